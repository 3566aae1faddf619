"""ACS3-HMAC-SHA256: the signature of every request at the OpenAPI door.

https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import parse_qsl, quote

from kmsbridge_alibaba_kms.emulator._known import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kmsbridge.emulation import Request

ALGORITHM = "ACS3-HMAC-SHA256"
WINDOW_SECONDS = 15 * 60
"""How far the date of a request may be off; and so long a nonce is remembered."""
_AUTHORIZATION = re.compile(rf"{ALGORITHM} +Credential=([^, ]+), *SignedHeaders=([^, ]+), *Signature=([0-9a-f]{{64}})")
_SIGNED = {"host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"}


class AccessKey(NamedTuple):
    """A pair that the account knows. `token` is that of a temporary one."""

    id: str
    secret: str
    token: str | None = None


class Verifier:
    """Lets in what is signed by a known key, lately, and for the first time."""

    def __init__(self, keys: Mapping[str, AccessKey]) -> None:
        self._keys = keys
        self._nonces: dict[str, float] = {}

    def verify(self, request: Request) -> None:
        """Look at the signature, by the real clock: the client's is not moved with the emulator's.

        Raises:
            Refused: The request is not let in.
        """
        headers = request.headers
        found = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
        if found is None:
            raise Refused("IncompleteSignature")
        identity, signed, signature = found.groups()
        names = signed.split(";")
        if not set(names) >= _SIGNED or not set(names) <= headers.keys():
            raise Refused("IncompleteSignature")
        key = self._keys.get(identity)
        if key is None:
            raise Refused("InvalidAccessKeyId.NotFound")
        self._date(headers["x-acs-date"])
        body = hashlib.sha256(request.body).hexdigest()
        to_sign = string_to_sign(request, names, body)
        expected = hmac.new(key.secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
        if headers["x-acs-content-sha256"] != body or not hmac.compare_digest(signature, expected):
            raise Refused("SignatureDoesNotMatch", signed=to_sign)
        self._token(key, headers.get("x-acs-security-token"))
        self._once(headers["x-acs-signature-nonce"])

    def _date(self, text: str) -> None:
        try:
            sent = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
        except ValueError:
            raise Refused("InvalidTimeStamp.Format") from None
        if abs(time.time() - sent) > WINDOW_SECONDS:
            raise Refused("InvalidTimeStamp.Expired")

    def _token(self, key: AccessKey, token: str | None) -> None:
        if key.token is not None and token is None:
            raise Refused("MissingSecurityToken")
        if key.token != token:
            known = {each.token for each in self._keys.values()}
            raise Refused(f"InvalidSecurityToken.{'MismatchWithAccessKey' if token in known else 'Malformed'}")

    def _once(self, nonce: str) -> None:
        now = time.monotonic()
        while self._nonces and (oldest := next(iter(self._nonces.items())))[1] < now - 2 * WINDOW_SECONDS:
            del self._nonces[oldest[0]]
        if nonce in self._nonces:
            raise Refused("SignatureNonceUsed")
        self._nonces[nonce] = now


def string_to_sign(request: Request, names: list[str], body: str) -> str:
    """What the client has signed.

    Args:
        request: As it came.
        names: Of the headers that are signed, in the order of the request.
        body: SHA-256 of the body, in hexadecimal digits.
    """
    path, _, query = request.target.partition("?")
    # The wire may write a space as a plus; what is signed never does.
    pairs = sorted((_encoded(name), _encoded(value)) for name, value in parse_qsl(query, keep_blank_values=True))
    canonical = "\n".join((
        request.method, path, "&".join(f"{name}={value}" for name, value in pairs),
        "".join(f"{name}:{request.headers[name].strip()}\n" for name in names), ";".join(names), body,
    ))
    return f"{ALGORITHM}\n{hashlib.sha256(canonical.encode()).hexdigest()}"


def _encoded(text: str) -> str:
    return quote(text, safe="~")
