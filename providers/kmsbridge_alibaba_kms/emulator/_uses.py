"""What keys are used for."""

from __future__ import annotations

import base64
import secrets
from typing import Any

from kmsbridge_alibaba_kms.emulator import _arithmetic
from kmsbridge_alibaba_kms.emulator._keys import find, usable, version_of
from kmsbridge_alibaba_kms.emulator._known import Refused
from kmsbridge_alibaba_kms.emulator._material import ENCRYPT, SIGN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kmsbridge_alibaba_kms.emulator._state import Call, Key, KeyVersion, Material

MAX_PLAINTEXT = 6 * 1024
MAX_DATA_KEY = 1024
_ID_BYTES = 36
"""A ciphertext begins with the id of its key version; the IV follows, ciphertext and tag."""


def encrypt(call: Call) -> dict[str, Any]:
    """Under a symmetric key."""
    plaintext = call.data("Plaintext")
    if len(plaintext) > MAX_PLAINTEXT:
        raise Refused("InvalidParameter")
    return _sealed(call, plaintext)


def decrypt(call: Call) -> dict[str, Any]:
    """The ciphertext says under which version of which key."""
    blob = call.data("CiphertextBlob")
    start = _ID_BYTES + _arithmetic.IV_BYTES
    id_, iv, sealed = blob[:_ID_BYTES], blob[_ID_BYTES:start], blob[start:]
    if len(sealed) < _arithmetic.TAG_BYTES:
        raise Refused("InvalidParameter")
    for key in call.account.keys.values():
        for version in key.versions:
            if version.id.encode() == id_:
                plaintext = _arithmetic.unseal(_used(key, ENCRYPT, version), iv, sealed, _context(call))
                return {**_told(key, version), "Plaintext": _text(plaintext)}
    raise Refused("Forbidden.KeyNotFound")


def generate_data_key(call: Call) -> dict[str, Any]:
    """Random bytes, and the same encrypted."""
    plaintext = _random(call)
    return {**_sealed(call, plaintext), "Plaintext": _text(plaintext)}


def generate_data_key_without_plaintext(call: Call) -> dict[str, Any]:
    """Random bytes, encrypted."""
    return _sealed(call, _random(call))


def asymmetric_encrypt(call: Call) -> dict[str, Any]:
    """By the public key of one version."""
    key, version = _named(call)
    material, algorithm = _used(key, ENCRYPT, version), call.text("Algorithm")
    made = _arithmetic.encrypt(material, algorithm, call.data("Plaintext"))
    return {**_told(key, version), "CiphertextBlob": _text(made)}


def asymmetric_decrypt(call: Call) -> dict[str, Any]:
    """By the private key of one version."""
    key, version = _named(call)
    material, algorithm = _used(key, ENCRYPT, version), call.text("Algorithm")
    made = _arithmetic.decrypt(material, algorithm, call.data("CiphertextBlob"))
    return {**_told(key, version), "Plaintext": _text(made)}


def asymmetric_sign(call: Call) -> dict[str, Any]:
    """A digest, by the private key of one version."""
    key, version = _named(call)
    made = _arithmetic.sign(_used(key, SIGN, version), call.text("Algorithm"), call.data("Digest"))
    return {**_told(key, version), "Value": _text(made)}


def asymmetric_verify(call: Call) -> dict[str, Any]:
    """A wrong signature is an answer, and no error."""
    key, version = _named(call)
    material, signature = _used(key, SIGN, version), call.data("Value")
    good = _arithmetic.verify(material, call.text("Algorithm"), call.data("Digest"), signature)
    return {**_told(key, version), "Value": good}


def get_public_key(call: Call) -> dict[str, Any]:
    """As PEM."""
    key, version = _named(call)
    usable(key)
    return {**_told(key, version), "PublicKey": _arithmetic.public_pem(version.material)}


def _named(call: Call) -> tuple[Key, KeyVersion]:
    key = find(call)
    return key, version_of(key, call.text("KeyVersionId"))


def _used(key: Key, usage: str, version: KeyVersion) -> Material:
    if usable(key).usage != usage:
        raise Refused("UnsupportedOperation")
    return version.material


def _sealed(call: Call, plaintext: bytes) -> dict[str, Any]:
    key = usable(find(call))
    version = key.versions[-1]
    iv, sealed = _arithmetic.seal(_used(key, ENCRYPT, version), plaintext, _context(call))
    return {**_told(key, version), "CiphertextBlob": _text(version.id.encode() + iv + sealed)}


def _random(call: Call) -> bytes:
    if call.text("NumberOfBytes"):
        return secrets.token_bytes(call.number("NumberOfBytes", 0, 1, MAX_DATA_KEY))
    sizes = {"AES_256": 32, "AES_128": 16}
    if (size := sizes.get(call.text("KeySpec", "AES_256"))) is None:
        raise Refused("InvalidParameter")
    return secrets.token_bytes(size)


def _context(call: Call) -> bytes:
    context = call.json("EncryptionContext", dict)
    if not all(isinstance(value, str) for value in context.values()):
        raise Refused("InvalidParameter")
    return _arithmetic.additional_data(context)


def _told(key: Key, version: KeyVersion) -> dict[str, str]:
    return {"KeyId": key.id, "KeyVersionId": version.id}


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


HANDLERS: Mapping[str, Callable[[Call], dict[str, Any]]] = {
    "Encrypt": encrypt,
    "Decrypt": decrypt,
    "GenerateDataKey": generate_data_key,
    "GenerateDataKeyWithoutPlaintext": generate_data_key_without_plaintext,
    "AsymmetricEncrypt": asymmetric_encrypt,
    "AsymmetricDecrypt": asymmetric_decrypt,
    "AsymmetricSign": asymmetric_sign,
    "AsymmetricVerify": asymmetric_verify,
    "GetPublicKey": get_public_key,
}
