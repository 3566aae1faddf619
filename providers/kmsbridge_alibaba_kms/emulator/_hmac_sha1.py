"""HMAC-SHA1: the signature by parameters, of the query, the form or both, which older clients still make.

https://www.alibabacloud.com/help/en/sdk/product-overview/rpc-mechanism
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import quote

from kmsbridge_alibaba_kms.emulator._known import Refused
from kmsbridge_alibaba_kms.emulator._signature import Claim

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kmsbridge.emulation import Request

_NEEDED = ("AccessKeyId", "Signature", "SignatureMethod", "SignatureVersion", "SignatureNonce", "Timestamp")


def is_claimed(request: Request) -> bool:
    """Whether the parameters name an AccessKey."""
    return not request.params.keys().isdisjoint(("AccessKeyId", "Signature"))


def claimed(request: Request) -> Claim:
    """What the parameters say.

    Raises:
        Refused: They do not say all that they must, or in another way.
    """
    parameters = request.params
    for name in _NEEDED:
        if not parameters.get(name):
            raise Refused(f"Missing{name}")
    if (parameters["SignatureMethod"], parameters["SignatureVersion"]) != ("HMAC-SHA1", "1.0"):
        raise Refused("InvalidSignatureMethod")
    pairs = sorted((name, value) for name, value in parameters.items() if name != "Signature")
    canonical = "&".join(f"{_encoded(name)}={_encoded(value)}" for name, value in pairs)
    to_sign = f"{request.method}&{_encoded('/')}&{_encoded(canonical)}"
    return Claim(
        parameters["AccessKeyId"], parameters["Timestamp"], parameters["SignatureNonce"],
        parameters.get("SecurityToken"), parameters["Signature"], to_sign, _sign,
    )  # fmt: skip


def _sign(secret: str, text: str) -> str:
    return base64.b64encode(hmac.new(f"{secret}&".encode(), text.encode(), hashlib.sha1).digest()).decode()


def _encoded(text: str) -> str:
    return quote(text, safe="~")
