"""ACS3-HMAC-SHA256: the signature by headers.

https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature
"""

from __future__ import annotations

import hashlib
import hmac
import re
from urllib.parse import parse_qsl, quote

from kmsbridge_alibaba_kms.emulator._known import Refused
from kmsbridge_alibaba_kms.emulator._signature import Claim

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kmsbridge.emulation import Request

ALGORITHM = "ACS3-HMAC-SHA256"
_AUTHORIZATION = re.compile(rf"{ALGORITHM} +Credential=([^, ]+), *SignedHeaders=([^, ]+), *Signature=([0-9a-f]{{64}})")
_SIGNED = {"host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"}


def claimed(request: Request) -> Claim:
    """What the headers say.

    Raises:
        Refused: They do not say all that they must, or not what the body is.
    """
    headers = request.headers
    found = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if found is None:
        raise Refused("IncompleteSignature")
    identity, signed, signature = found.groups()
    names = signed.split(";")
    if not set(names) >= _SIGNED or not set(names) <= headers.keys():
        raise Refused("IncompleteSignature")
    body = hashlib.sha256(request.body).hexdigest()
    to_sign = _to_sign(request, names, body)
    if headers["x-acs-content-sha256"] != body:
        raise Refused("SignatureDoesNotMatch", signed=to_sign)
    return Claim(
        identity, headers["x-acs-date"], headers["x-acs-signature-nonce"], headers.get("x-acs-security-token"),
        signature, to_sign, _sign,
    )  # fmt: skip


def _sign(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def _to_sign(request: Request, names: list[str], body: str) -> str:
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
