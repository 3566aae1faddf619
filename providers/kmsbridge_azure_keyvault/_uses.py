"""What keys do: sign, verify, encrypt, wrap, and the reverse. The vault does it, so that it can also refuse.

RSA keys encrypt by RSA-OAEP-256, which binds no context. AES keys, which Managed HSM has,
encrypt by AES-256-GCM; the payload is nonce (12 bytes), tag (16 bytes) and ciphertext, and
what it is for and the context are its associated data.
"""

from __future__ import annotations

import os
from functools import partial

from kmsbridge._ciphertext import Broken, Ciphertext, Foreign
from kmsbridge._decode import Answer, Refused
from kmsbridge._errors import Code
from kmsbridge._model import DataKey, KeySpec, Signature
from kmsbridge_azure_keyvault import _bundles, _findings
from kmsbridge_azure_keyvault._errors import decoder
from kmsbridge_azure_keyvault._keys import VaultKeys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from kmsbridge._call import Call
    from kmsbridge._model import Context, SignatureAlgorithm, SpecAbilities

PROVIDER = "azure-keyvault"
OAEP = "RSA-OAEP-256"
GCM = "A256GCM"
_NONCE = 12
_TAG = 16
_KEY_BYTES = 32
_ENCRYPT = b"kmsbridge 1 encrypt\0"
_WRAP = b"kmsbridge 1 wrap\0"
"""What the associated data begin with."""
_NOT_OURS = (Code.INVALID_ARGUMENT, Code.PAYLOAD_TOO_LARGE, Code.DECRYPTION_FAILED)
"""What a vault says of data that its key has not made."""


class VaultKeyUses(VaultKeys):
    """The operations that use a key."""

    async def sign_digest(
        self, call: Call, name: str, version: str | None, algorithm: SignatureAlgorithm, digest: bytes
    ) -> Signature:
        """The signature of a digest."""
        body = {"alg": algorithm.value, "value": _bundles.encoded(digest)}
        path = f"/keys/{name}/{version or ''}/sign"
        try:
            used, value = await self._vault.exchange(call, "POST", path, partial(_made, asked=name), body)
        except Refused as error:
            refused = error
        else:
            return Signature(name, used, algorithm, value)
        raise await self._unfit(call, refused, name, version, _signs(algorithm))

    async def verify_digest(
        self, call: Call, name: str, version: str | None, algorithm: SignatureAlgorithm, digest: bytes, signature: bytes
    ) -> bool:
        """Whether it is the signature of this digest; a signature that the vault cannot even read is not."""
        body = {
            "alg": algorithm.value,
            "digest": _bundles.encoded(digest),
            "value": _bundles.encoded(signature),
        }
        path = f"/keys/{name}/{version or ''}/verify"
        try:
            return await self._vault.exchange(call, "POST", path, _verdict, body)
        except Refused as error:
            refused = error
        unfit = await self._unfit(call, refused, name, version, _signs(algorithm))
        if unfit is refused and refused.answer.status == 400 and _code(refused) in _NOT_OURS:
            return False
        raise unfit

    async def encrypt(self, call: Call, name: str, plaintext: bytes, context: Context) -> Ciphertext:
        """Encrypt under the latest version."""
        return await self._encrypted(call, name, "encrypt", plaintext, _ENCRYPT, context.encoded)

    async def decrypt(self, call: Call, name: str, ciphertext: Ciphertext, context: Context) -> bytes:
        """Decrypt under the version that the ciphertext names."""
        return await self._decrypted(call, name, "decrypt", ciphertext, _ENCRYPT, context.encoded)

    async def wrap_key(self, call: Call, name: str, data_key: bytes) -> Ciphertext:
        """Wrap under the latest version."""
        return await self._encrypted(call, name, "wrapkey", data_key, _WRAP, b"")

    async def unwrap_key(self, call: Call, name: str, wrapped: Ciphertext) -> bytes:
        """Unwrap under the version that wrapped it."""
        return await self._decrypted(call, name, "unwrapkey", wrapped, _WRAP, b"")

    async def generate_data_key(self, call: Call, name: str, context: Context) -> DataKey:
        """A fresh key of this process's making, plain and encrypted: vaults make none."""
        plaintext = os.urandom(_KEY_BYTES)
        return DataKey(plaintext, await self.encrypt(call, name, plaintext, context))

    async def _encrypted(
        self, call: Call, name: str, operation: str, plaintext: bytes, use: bytes, context: bytes
    ) -> Ciphertext:
        version, algorithm = None, OAEP
        body: dict[str, str] = {"value": _bundles.encoded(plaintext)}
        if self._hsm:  # where there are two kinds that encrypt, and the request must say how
            key = await self._there(call, name)
            version = key.version
            if key.spec is KeySpec.AES_256:
                algorithm, operation, body["aad"] = GCM, "encrypt", _bundles.encoded(use + context)
        if context and algorithm == OAEP:
            raise Refused(Answer(door=_findings.KIND))
        body["alg"] = algorithm
        path = f"/keys/{name}/{version or ''}/{operation}"
        read = partial(_sealed if algorithm == GCM else _made, asked=name)
        try:
            used, payload = await self._vault.exchange(call, "POST", path, read, body)
        except Refused as error:
            refused = error
        else:
            return Ciphertext(PROVIDER, name, used, algorithm, payload)
        raise await self._unfit(call, refused, name, version, _takes(len(plaintext)))

    async def _decrypted(
        self, call: Call, name: str, operation: str, ciphertext: Ciphertext, use: bytes, context: bytes
    ) -> bytes:
        version, payload = ciphertext.version, ciphertext.payload
        if not _bundles.VERSION.fullmatch(version):
            raise Foreign
        body = {"alg": ciphertext.algorithm}
        if ciphertext.algorithm == OAEP:
            if context:
                raise Refused(Answer(door=_findings.KIND))
            body["value"] = _bundles.encoded(payload)
        elif ciphertext.algorithm == GCM and self._hsm and len(payload) >= _NONCE + _TAG:
            operation = "decrypt"
            parts = {"iv": payload[:_NONCE], "tag": payload[_NONCE : _NONCE + _TAG], "value": payload[_NONCE + _TAG :]}
            body |= {part: _bundles.encoded(value) for part, value in parts.items()}
            body["aad"] = _bundles.encoded(use + context)
        else:
            raise Broken
        path = f"/keys/{name}/{version}/{operation}"
        try:
            _, plaintext = await self._vault.exchange(call, "POST", path, partial(_made, asked=name), body)
        except Refused as error:
            refused = error
        else:
            return plaintext
        if refused.answer.status == 400 and _code(refused) in _NOT_OURS:
            raise Broken
        missing = await self._missing(call, refused, name, version)
        raise Foreign if missing.answer.door == _findings.VERSION else missing


def _code(refused: Refused) -> Code:
    return decoder.decode(refused.answer).code


def _signs(algorithm: SignatureAlgorithm) -> Callable[[SpecAbilities], str | None]:
    def wrong(does: SpecAbilities) -> str | None:
        return None if algorithm in does.signature_algorithms else _findings.KIND

    return wrong


def _takes(size: int) -> Callable[[SpecAbilities], str | None]:
    def wrong(does: SpecAbilities) -> str | None:
        if not does.encrypt:
            return _findings.KIND
        return _findings.SIZE if size > does.max_plaintext else None

    return wrong


def _made(node: Mapping[str, Any], asked: str) -> tuple[str, bytes]:
    """The version that was used, and what it gave."""
    return _bundles.used(node, asked), _bundles.data(node, "value")


def _sealed(node: Mapping[str, Any], asked: str) -> tuple[str, bytes]:
    nonce, tag = _bundles.data(node, "iv"), _bundles.data(node, "tag")
    if len(nonce) != _NONCE or len(tag) != _TAG:
        raise _bundles.Malformed("no AES-GCM")
    return _bundles.used(node, asked), nonce + tag + _bundles.data(node, "value")


def _verdict(node: Mapping[str, Any]) -> bool:
    verdict = node.get("value")
    if not isinstance(verdict, bool):
        raise _bundles.Malformed("neither true nor false")
    return verdict
