"""Cryptography at the region's door: what every door does with a key, and how this one is asked.

Names are aliases, or ids of keys. An AES key needs no more; of an asymmetric one the
version has to be named too.
"""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, Protocol

from kmsbridge._model import SignatureAlgorithm
from kmsbridge_alibaba_kms import _answers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from kmsbridge._call import Call
    from kmsbridge._model import Context
    from kmsbridge_alibaba_kms._region import Region

OAEP = "RSAES_OAEP_SHA_256"
SIGNS = {
    SignatureAlgorithm.PS256: "RSA_PSS_SHA_256",
    SignatureAlgorithm.RS256: "RSA_PKCS1_SHA_256",
    SignatureAlgorithm.ES256: "ECDSA_SHA_256",
}
CONTEXT = "kmsbridge-context"
"""The one pair of an EncryptionContext: its value is the SHA-256 of our encoded context, in hexadecimal digits.

The service joins pairs by ``=`` and ``&``, so that other pairs can come to the same.
"""


class Made(NamedTuple):
    """What a key gave, and which version of which key it was; None where a door does not say."""

    key: str
    version: str | None
    data: bytes

    def __repr__(self) -> str:
        return f"<Made under {self.key!r}, not shown>"


class Cryptography(Protocol):
    """What a door does with a key."""

    label: str
    """The algorithm of a ciphertext under an AES key: each door has a form of its own."""
    versioned: bool
    """Whether an asymmetric key has versions there."""

    async def encrypt(self, call: Call, name: str, plaintext: bytes, context: Context) -> Made: ...
    async def decrypt(self, call: Call, name: str, payload: bytes, context: Context) -> Made: ...
    async def new_key(self, call: Call, name: str, context: Context) -> tuple[Made, bytes]:
        """A data key of 32 bytes, encrypted, and plain."""
        ...

    async def encrypt_rsa(self, call: Call, name: str, version: str, plaintext: bytes) -> Made: ...
    async def decrypt_rsa(self, call: Call, name: str, version: str, payload: bytes) -> Made: ...
    async def sign(self, call: Call, name: str, version: str, algorithm: SignatureAlgorithm, digest: bytes) -> Made: ...
    async def verify(
        self, call: Call, name: str, version: str, algorithm: SignatureAlgorithm, digest: bytes, signature: bytes
    ) -> tuple[str, bool]:
        """The key, and whether it fits."""
        ...

    async def public_key(self, call: Call, name: str, version: str | None) -> Made:
        """As PEM."""
        ...


class RegionCryptography:
    """The operations of the region's door.

    Args:
        region: The door.
    """

    label = "ALIYUN-KMS"
    versioned = True

    def __init__(self, region: Region) -> None:
        self._region = region

    async def encrypt(self, call: Call, name: str, plaintext: bytes, context: Context) -> Made:
        """The payload is the service's own blob."""
        request = {"KeyId": name, "Plaintext": _answers.encoded(plaintext), "EncryptionContext": _pairs(context)}
        return await self._region.exchange(call, "Encrypt", request, partial(_made, member="CiphertextBlob"))

    async def decrypt(self, call: Call, name: str, payload: bytes, context: Context) -> Made:
        """The blob says under which key it is: the caller compares."""
        del name
        request = {"CiphertextBlob": _answers.encoded(payload), "EncryptionContext": _pairs(context)}
        return await self._region.exchange(call, "Decrypt", request, partial(_made, member="Plaintext"))

    async def new_key(self, call: Call, name: str, context: Context) -> tuple[Made, bytes]:
        """Made by the service."""
        request = {"KeyId": name, "KeySpec": "AES_256", "EncryptionContext": _pairs(context)}

        def read(node: Mapping[str, Any]) -> tuple[Made, bytes]:
            return _made(node, "CiphertextBlob"), _answers.data(node, "Plaintext")

        return await self._region.exchange(call, "GenerateDataKey", request, read)

    async def encrypt_rsa(self, call: Call, name: str, version: str, plaintext: bytes) -> Made:
        """By RSA-OAEP-256."""
        request = {
            "KeyId": name,
            "KeyVersionId": version,
            "Algorithm": OAEP,
            "Plaintext": _answers.encoded(plaintext),
        }
        read = partial(_made, member="CiphertextBlob", version=version)
        return await self._region.exchange(call, "AsymmetricEncrypt", request, read)

    async def decrypt_rsa(self, call: Call, name: str, version: str, payload: bytes) -> Made:
        """By RSA-OAEP-256."""
        request = {
            "KeyId": name,
            "KeyVersionId": version,
            "Algorithm": OAEP,
            "CiphertextBlob": _answers.encoded(payload),
        }
        read = partial(_made, member="Plaintext", version=version)
        return await self._region.exchange(call, "AsymmetricDecrypt", request, read)

    async def sign(self, call: Call, name: str, version: str, algorithm: SignatureAlgorithm, digest: bytes) -> Made:
        """The signature of a digest."""
        request = {
            "KeyId": name,
            "KeyVersionId": version,
            "Algorithm": SIGNS[algorithm],
            "Digest": _answers.encoded(digest),
        }
        read = partial(_made, member="Value", version=version)
        return await self._region.exchange(call, "AsymmetricSign", request, read)

    async def verify(
        self, call: Call, name: str, version: str, algorithm: SignatureAlgorithm, digest: bytes, signature: bytes
    ) -> tuple[str, bool]:
        """Whether it is the signature of this digest."""
        request = {
            "KeyId": name,
            "KeyVersionId": version,
            "Algorithm": SIGNS[algorithm],
            "Digest": _answers.encoded(digest),
            "Value": _answers.encoded(signature),
        }

        def read(node: Mapping[str, Any]) -> tuple[str, bool]:
            _answers.same(node, "KeyVersionId", version)
            return _answers.text(node, "KeyId"), _answers.verdict(node, "Value")

        return await self._region.exchange(call, "AsymmetricVerify", request, read)

    async def public_key(self, call: Call, name: str, version: str | None) -> Made:
        """As PEM."""
        request = {"KeyId": name, "KeyVersionId": version}

        def read(node: Mapping[str, Any]) -> Made:
            return Made(_answers.text(node, "KeyId"), _used(node, version), _answers.text(node, "PublicKey").encode())

        return await self._region.exchange(call, "GetPublicKey", request, read)


def _pairs(context: Context) -> dict[str, str] | None:
    return {CONTEXT: sha256(context.encoded).hexdigest()} if context.encoded else None


def _made(node: Mapping[str, Any], member: str, version: str | None = None) -> Made:
    return Made(_answers.text(node, "KeyId"), _used(node, version), _answers.data(node, member))


def _used(node: Mapping[str, Any], version: str | None) -> str:
    """The version that was used, which is the one that was named."""
    return _answers.text(node, "KeyVersionId") if version is None else _answers.same(node, "KeyVersionId", version)
