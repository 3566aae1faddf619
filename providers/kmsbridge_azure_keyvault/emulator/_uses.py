"""What keys are used for: to encrypt, wrap, sign, and the reverse."""

from __future__ import annotations

import secrets
from typing import Any

from kmsbridge_azure_keyvault.emulator import _arithmetic as arithmetic
from kmsbridge_azure_keyvault.emulator._base64url import encode
from kmsbridge_azure_keyvault.emulator._items import Refused
from kmsbridge_azure_keyvault.emulator._keys import find_key, kid_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kmsbridge_azure_keyvault.emulator._items import Item
    from kmsbridge_azure_keyvault.emulator._material import KeyVersion
    from kmsbridge_azure_keyvault.emulator._vault import Call

OUTSIDE_ITS_TIMES = frozenset({"decrypt", "unwrapKey", "verify"})
"""What a key still does before it is valid and after it has expired."""
MAX_RANDOM_BYTES = 128


def encrypt(call: Call) -> dict[str, Any]:
    """Encrypt a value."""
    return _encrypt(call, "encrypt", wrapping=False)


def wrap_key(call: Call) -> dict[str, Any]:
    """Wrap another key."""
    return _encrypt(call, "wrapKey", wrapping=True)


def decrypt(call: Call) -> dict[str, Any]:
    """Decrypt what `encrypt` gave."""
    return _decrypt(call, "decrypt", wrapping=False)


def unwrap_key(call: Call) -> dict[str, Any]:
    """Unwrap what `wrap_key` gave."""
    return _decrypt(call, "unwrapKey", wrapping=True)


def sign(call: Call) -> dict[str, Any]:
    """Sign a digest."""
    item, version = _usable(call, "sign")
    signature = arithmetic.sign(version, _algorithm(call), call.bytes("value") or b"")
    return {"kid": kid_of(call, item, version), "value": encode(signature)}


def verify(call: Call) -> dict[str, Any]:
    """Whether a signature fits a digest: an answer, and no error, if not."""
    _, version = _usable(call, "verify")
    digest, signature = call.bytes("digest") or b"", call.bytes("value") or b""
    return {"value": arithmetic.verify(version, _algorithm(call), digest, signature)}


def get_random_bytes(call: Call) -> dict[str, Any]:
    """Bytes from the HSM's generator."""
    count = call.body.get("count")
    if type(count) is not int or not 1 <= count <= MAX_RANDOM_BYTES:
        raise Refused("InvalidProperty")
    return {"value": encode(secrets.token_bytes(count))}


def _encrypt(call: Call, operation: str, *, wrapping: bool) -> dict[str, Any]:
    item, version = _usable(call, operation)
    plain = arithmetic.Sealed(
        call.bytes("value") or b"", call.bytes("iv", required=False), call.bytes("aad", required=False)
    )
    sealed = arithmetic.encrypt(version, _algorithm(call), plain, wrapping=wrapping)
    shown = {"value": sealed.value, "iv": sealed.iv, "aad": sealed.aad, "tag": sealed.tag}
    parts = {name: encode(each) for name, each in shown.items() if each is not None}
    return {"kid": kid_of(call, item, version), **parts}


def _decrypt(call: Call, operation: str, *, wrapping: bool) -> dict[str, Any]:
    item, version = _usable(call, operation)
    sealed = arithmetic.Sealed(
        call.bytes("value") or b"", call.bytes("iv", required=False), call.bytes("aad", required=False),
        call.bytes("tag", required=False),
    )
    plain = arithmetic.decrypt(version, _algorithm(call), sealed, wrapping=wrapping)
    return {"kid": kid_of(call, item, version), "value": encode(plain)}


def _algorithm(call: Call) -> str:
    return call.text("alg") or ""


def _usable(call: Call, operation: str) -> tuple[Item[KeyVersion], KeyVersion]:
    """The key of a call, if it may do this now."""
    item, version = find_key(call)
    if operation not in version.key_ops:
        raise Refused("KeyOperationForbidden")
    if not version.enabled and operation not in call.settings.disabled_key_allows:
        raise Refused("KeyDisabled")
    if operation not in OUTSIDE_ITS_TIMES:
        if version.nbf is not None and call.now < version.nbf:
            raise Refused("KeyNotYetValid")
        if version.exp is not None and call.now >= version.exp:
            raise Refused("KeyExpired")
    return item, version


HANDLERS: dict[str, Callable[[Call], dict[str, Any] | None]] = {
    "Encrypt": encrypt,
    "Decrypt": decrypt,
    "WrapKey": wrap_key,
    "UnwrapKey": unwrap_key,
    "Sign": sign,
    "Verify": verify,
    "GetRandomBytes": get_random_bytes,
}
