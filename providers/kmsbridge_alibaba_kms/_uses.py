"""What keys do: sign, verify, encrypt, wrap, and the reverse. The service does it, so that it can also refuse.

What is known of a key by its name is kept for a minute. A key behind a name may be replaced:
what the service then refuses, or does with another key, is looked at anew.
"""

from __future__ import annotations

import os
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from kmsbridge._ciphertext import Broken, Ciphertext, Foreign
from kmsbridge._decode import Answer, Refused
from kmsbridge._errors import Code
from kmsbridge._model import Context, DataKey, KeySpec, PublicKey, Signature
from kmsbridge_alibaba_kms import _findings
from kmsbridge_alibaba_kms._abilities import SPECS
from kmsbridge_alibaba_kms._answers import Malformed
from kmsbridge_alibaba_kms._cryptography import SIGNS
from kmsbridge_alibaba_kms._errors import decoder
from kmsbridge_alibaba_kms._keys import KmsKeys, Metadata
from kmsbridge_alibaba_kms._signatures import from_der, public_key, to_der

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kmsbridge._call import Call
    from kmsbridge._model import SignatureAlgorithm
    from kmsbridge_alibaba_kms._cryptography import Cryptography
    from kmsbridge_alibaba_kms._region import Region

T = TypeVar("T")

PROVIDER = "alibaba-kms"
OAEP = "RSA-OAEP-256"
UNTOLD = "1"
"""The version of an asymmetric key where only an instance's door is asked, which does not tell it."""
_KEY_BYTES = 32
_STALE = (
    Code.NOT_FOUND, Code.VERSION_NOT_FOUND, Code.UNSUPPORTED, Code.INVALID_ARGUMENT, Code.PAYLOAD_TOO_LARGE
)  # fmt: skip
"""How a service answers that has another key behind the name than we believe."""
_NOT_OURS = (Code.INVALID_ARGUMENT, Code.DECRYPTION_FAILED, Code.NOT_FOUND, Code.VERSION_NOT_FOUND, Code.UNSUPPORTED)
"""What it says of data that the key has not made."""


class _Replaced(Exception):
    """Another key than we know of has the name now."""


class KmsKeyUses(KmsKeys):
    """The operations that use a key.

    Args:
        region: Its door, if we may use it.
        door: The door that does the cryptography.
    """

    def __init__(self, region: Region | None, door: Cryptography) -> None:
        super().__init__(region)
        self._does = door

    async def sign_digest(
        self, call: Call, name: str, version: str | None, algorithm: SignatureAlgorithm, digest: bytes
    ) -> Signature:
        """The signature of a digest."""

        async def sign(key: Metadata) -> Signature:
            _check_signer(key, algorithm)
            used = version or _version(key)
            made = await self._does.sign(call, name, used, algorithm, digest)
            _check_same(key, made.key)
            value = made.data
            if key.spec is KeySpec.EC_P256:
                try:
                    value = from_der(value)
                except (ValueError, OverflowError):
                    raise Refused(Answer(200)) from None
            return Signature(name, used, algorithm, value)

        return await self._with(call, name, sign)

    async def verify_digest(
        self, call: Call, name: str, version: str | None, algorithm: SignatureAlgorithm, digest: bytes, signature: bytes
    ) -> bool:
        """Whether it is the signature of this digest; one that cannot be is not sent."""

        async def verify(key: Metadata) -> bool:
            _check_signer(key, algorithm)
            used = version or _version(key)
            if version is not None:
                await self._check_version(call, key, version)
            sent = to_der(signature) if key.spec is KeySpec.EC_P256 else _of_size(key, signature)
            if sent is None:
                return False
            id_, fits = await self._does.verify(call, name, used, algorithm, digest, sent)
            _check_same(key, id_)
            return fits

        try:
            return await self._with(call, name, verify)
        except Refused as error:
            refused = error
        if _code(refused) is Code.INVALID_ARGUMENT and refused.answer.door not in _DRIVERS_OWN:
            return False
        raise refused

    async def get_public_key(self, call: Call, name: str, version: str | None) -> PublicKey:
        """The public half of a version."""

        async def get(key: Metadata) -> PublicKey:
            if key.spec is KeySpec.AES_256:
                raise Refused(Answer(door=_findings.KIND))
            if version is not None:
                await self._check_version(call, key, version)
            used = version or _version(key)
            made = await self._does.public_key(call, name, used)
            _check_same(key, made.key)
            try:
                spec, pem = public_key(made.data)
            except Malformed:
                raise Refused(Answer(200)) from None
            if spec is None:
                raise Refused(Answer(door=_findings.KIND))
            return PublicKey(name, used, spec, pem)

        return await self._with(call, name, get)

    async def encrypt(self, call: Call, name: str, plaintext: bytes, context: Context) -> Ciphertext:
        """Encrypt under the version that is used."""

        async def encrypt(key: Metadata) -> Ciphertext:
            _check_cipher(key, len(plaintext), context)
            if key.spec is KeySpec.AES_256:
                made = await self._does.encrypt(call, name, plaintext, context)
                return Ciphertext(PROVIDER, name, made.version or "1", self._does.label, made.data)
            version = _version(key)
            made = await self._does.encrypt_rsa(call, name, version, plaintext)
            _check_same(key, made.key)
            return Ciphertext(PROVIDER, name, version, OAEP, made.data)

        return await self._with(call, name, encrypt)

    async def decrypt(self, call: Call, name: str, ciphertext: Ciphertext, context: Context) -> bytes:
        """Decrypt what the key has encrypted, and nothing else, whatever its own blob says."""

        async def decrypt(key: Metadata) -> bytes:
            version, payload, how = ciphertext.version, ciphertext.payload, ciphertext.algorithm
            aes = key.spec is KeySpec.AES_256
            if key.encrypts is False or (context.encoded and not aes):
                raise Refused(Answer(door=_findings.KIND))
            if how != (self._does.label if aes else OAEP) or not payload:
                raise await self._unfit(call, key, version)
            if not aes and not await self._has(call, key, version):
                raise Foreign  # not every door looks at it
            try:
                if aes:
                    made = await self._does.decrypt(call, name, payload, context)
                else:
                    made = await self._does.decrypt_rsa(call, name, version, payload)
            except Refused as error:
                refused = error
            else:
                if made.version not in (version, None) or (key.id and made.key != key.id):
                    raise await self._unfit(call, key, version)
                return made.data
            if _code(refused) not in _NOT_OURS or refused.answer.status is None or refused.answer.status < 400:
                raise refused
            raise await self._unfit(call, key, version)

        return await self._with(call, name, decrypt)

    async def wrap_key(self, call: Call, name: str, data_key: bytes) -> Ciphertext:
        """The service has no other operation for it."""
        return await self.encrypt(call, name, data_key, _NO_CONTEXT)

    async def unwrap_key(self, call: Call, name: str, wrapped: Ciphertext) -> bytes:
        """The service has no other operation for it."""
        return await self.decrypt(call, name, wrapped, _NO_CONTEXT)

    async def generate_data_key(self, call: Call, name: str, context: Context) -> DataKey:
        """Of the service's making, under an AES key; of this process's, under another."""

        async def generate(key: Metadata) -> DataKey:
            _check_cipher(key, _KEY_BYTES, context)
            if key.spec is not KeySpec.AES_256:
                plaintext = os.urandom(_KEY_BYTES)
                made = await self._does.encrypt_rsa(call, name, _version(key), plaintext)
                _check_same(key, made.key)
                return DataKey(plaintext, Ciphertext(PROVIDER, name, _version(key), OAEP, made.data))
            made, plaintext = await self._does.new_key(call, name, context)
            if len(plaintext) != _KEY_BYTES:
                raise Refused(Answer(200))
            return DataKey(plaintext, Ciphertext(PROVIDER, name, made.version or "1", self._does.label, made.data))

        return await self._with(call, name, generate)

    # -- what is known of a key ---------------------------------------------------------

    async def _with(self, call: Call, name: str, act: Callable[[Metadata], Awaitable[T]]) -> T:
        """Do it with what is known of the key; where that may be why it fails, look, and do it again."""
        held = self._known.get(name)
        if held is None or monotonic() >= held[1]:
            return await self._finally(act, await self._look_up(call, name))
        failure: Exception
        try:
            return await act(held[0])
        except (Broken, Foreign, _Replaced) as error:
            failure = error
        except Refused as error:
            if _code(error) not in _STALE:
                raise
            failure = error
        known = await self._look_up(call, name)
        if (known.id, known.version, known.spec) == (held[0].id, held[0].version, held[0].spec):
            raise Refused(Answer(200)) if isinstance(failure, _Replaced) else failure
        return await self._finally(act, known)

    async def _finally(self, act: Callable[[Metadata], Awaitable[T]], known: Metadata) -> T:
        """Do it with what is known for sure."""
        try:
            return await act(known)
        except _Replaced:
            pass
        raise Refused(Answer(200))

    async def _look_up(self, call: Call, name: str) -> Metadata:
        self._known.pop(name, None)
        if self._door_or_none is None:
            known = await self._by_public_key(call, name)
        else:
            known = await self._described(call, name)
            if known.spec is not KeySpec.AES_256:
                known = known._replace(version=await self._latest(call, known))
        if not known.pending:
            self._keep(name, known)
        return known

    async def _by_public_key(self, call: Call, name: str) -> Metadata:
        """What an instance's door alone tells of a key: whether it has a public half, and of what kind."""
        try:
            made = await self._does.public_key(call, name, None)
        except Refused as error:
            if _code(error) not in (Code.UNSUPPORTED, Code.INVALID_ARGUMENT):
                raise
            return Metadata("", KeySpec.AES_256, True, "Enabled", None, None, None)
        try:
            spec, _ = public_key(made.data)
        except Malformed:
            raise Refused(Answer(200)) from None
        return Metadata(made.key, spec, None, "Enabled", UNTOLD, None, None)

    async def _check_version(self, call: Call, key: Metadata, version: str) -> None:
        if not await self._has(call, key, version):
            raise Refused(Answer(door=_findings.VERSION))

    async def _unfit(self, call: Call, key: Metadata, version: str) -> Exception:
        """Data that does not decrypt: of a version that the key has it is broken, else it is not the key's."""
        if await self._has(call, key, version):
            return Broken()
        # An instance's door alone does not tell the versions of an AES key.
        return Broken() if self._door_or_none is None and key.version is None else Foreign()

    async def _has(self, call: Call, key: Metadata, version: str) -> bool:
        """Whether the key has this version, as far as can be told."""
        if version == key.version:
            return True
        alone = self._door_or_none is None
        if key.spec is not KeySpec.AES_256 and not self._does.versioned and (alone or version == UNTOLD):
            return True  # the only one, as the other way to this door calls it
        return not alone and version in [each for each, _ in await self._versions(call, key)]


_NO_CONTEXT = Context({}, b"")
_DRIVERS_OWN = (_findings.VERSION, _findings.KIND, _findings.SIZE)


def _code(refused: Refused) -> Code:
    return decoder.decode(refused.answer).code


def _version(key: Metadata) -> str:
    if key.version is None:
        raise Refused(Answer(200))
    return key.version


def _check_same(key: Metadata, id_: str) -> None:
    if key.id and id_ != key.id:
        raise _Replaced


def _check_signer(key: Metadata, algorithm: SignatureAlgorithm) -> None:
    spec = key.spec
    family = "E" if spec is KeySpec.EC_P256 else "RP" if spec is not None and spec.startswith("RSA") else ""
    if algorithm not in SIGNS or algorithm[0] not in family or key.encrypts:
        raise Refused(Answer(door=_findings.KIND))


def _check_cipher(key: Metadata, size: int, context: Context) -> None:
    does = None if key.spec is None else SPECS.get(key.spec)
    if does is None or key.encrypts is False or not does.encrypt or (context.encoded and not does.context):
        raise Refused(Answer(door=_findings.KIND))
    if size > does.max_plaintext:
        raise Refused(Answer(door=_findings.SIZE))


def _of_size(key: Metadata, signature: bytes) -> bytes | None:
    """A signature as long as the modulus; None for what is not."""
    bits = int(str(key.spec).rpartition("_")[2])
    return signature if len(signature) * 8 == bits else None
