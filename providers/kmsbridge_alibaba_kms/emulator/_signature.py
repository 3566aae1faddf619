"""Who is let in at the region's door: whoever has signed, lately, for the first time, with a key that is known.

Requests are signed in one of two ways: `_acs3` by headers, as of version 3, `_hmac_sha1` by parameters, as before.
"""

from __future__ import annotations

import hmac
import time
from datetime import UTC, datetime
from typing import NamedTuple

from kmsbridge_alibaba_kms.emulator._known import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

WINDOW_SECONDS = 15 * 60
"""How far the date of a request may be off; and so long a nonce is remembered."""


class AccessKey(NamedTuple):
    """A pair that the account knows. `token` is that of a temporary one."""

    id: str
    secret: str
    token: str | None = None


class Claim(NamedTuple):
    """What a request says of who has sent it, and when."""

    identity: str
    date: str
    nonce: str
    token: str | None
    signature: str
    to_sign: str
    """What was signed, as the service reads the request."""
    sign: Callable[[str, str], str]
    """The signature that a secret makes of it."""


class Verifier:
    """Lets in what is claimed by right.

    Args:
        keys: Those that are known, by their ids.
    """

    def __init__(self, keys: Mapping[str, AccessKey]) -> None:
        self._keys = keys
        self._nonces: dict[str, float] = {}

    def verify(self, claim: Claim) -> None:
        """Look at it, by the real clock: the client's is not moved with the emulator's.

        Raises:
            Refused: The request is not let in.
        """
        key = self._keys.get(claim.identity)
        if key is None:
            raise Refused("InvalidAccessKeyId.NotFound")
        self._date(claim.date)
        if not hmac.compare_digest(claim.signature.encode(), claim.sign(key.secret, claim.to_sign).encode()):
            raise Refused("SignatureDoesNotMatch", signed=claim.to_sign)
        self._token(key, claim.token)
        self._once(claim.nonce)

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
