"""The operations on keys by name, for cases that hold for all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from kmsbridge import Ciphertext, InvalidRequestError, KeySpec, Signature, SignatureAlgorithm
from kmsbridge.contract._contract import Contract
from kmsbridge.contract.keys._damage import relabelled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from kmsbridge import Key, KeyAbilities
    from kmsbridge.contract._views import KeysView
    from kmsbridge.contract._witness import Canary

ENCRYPTING = ("encrypt", "decrypt", "wrap", "unwrap", "generate_data_key", "seal", "unseal")
SIGNING = ("sign", "verify")
KEEPING = ("get", "create", "versions", "rotate", "enable", "disable", "schedule_deletion", "cancel_deletion")
NAMED = (*KEEPING, "public_key", *SIGNING, *ENCRYPTING)
"""The operations that take a name."""
OPENING = {"decrypt": "encrypt", "unwrap": "wrap", "unseal": "seal", "verify": "sign"}
"""What takes back what another operation gave."""
_NEEDED = {"seal": "wrap", "unseal": "unwrap"}
"""The abilities behind operations that are none themselves."""
_BY_COST = (
    KeySpec.AES_256,
    KeySpec.EC_P256,
    KeySpec.EC_P384,
    KeySpec.EC_P521,
    KeySpec.RSA_2048,
    KeySpec.RSA_3072,
    KeySpec.RSA_4096,
)
"""Some take a second to make."""


class Samples(NamedTuple):
    """What a key gave while it could be used; None where it cannot do that."""

    encrypted: Ciphertext | None = None
    wrapped: Ciphertext | None = None
    sealed: bytes | None = None
    signature: Signature | None = None


class KeyCases(Contract):
    """What the groups of cases share."""

    part = "keys"
    operations: ClassVar[tuple[str, ...]] = (*NAMED, "list")

    claims: ClassVar[KeyAbilities]
    """What the provider claims, kinds of key included."""

    @classmethod
    def can(cls, operation: str) -> bool:
        """Whether an operation is claimed."""
        return _NEEDED.get(operation, operation) in cls.claimed

    @classmethod
    def _tables(cls) -> dict[str, list[str]]:
        return {
            **super()._tables(),
            "operation": [name for name in cls.operations if cls.can(name)],
            "spec": [*cls.kinds()],
            "absent_spec": [spec for spec in KeySpec if cls.kinds() and spec not in cls.kinds()],
            "rsa": [spec.value for spec in cls.families() if spec.startswith("RSA")],
            "asymmetric": [*cls.asymmetric()],
            "cipher": [*cls.ciphers()],
            "binder": [spec for spec in cls.ciphers() if cls.claims.specs[spec].context],
            "signer": [*cls.signers()],
            "fixed": [spec for spec in cls.families() if not cls.claims.specs[spec].rotate],
            "rotating_asymmetric": [*cls.rotating(cls.asymmetric())],
            "rotating_cipher": [*cls.rotating(cls.ciphers())],
            "rotating_signer": [*cls.rotating(cls.signers())],
        }

    # -- kinds of key -------------------------------------------------------------------

    @classmethod
    def kinds(cls) -> list[KeySpec]:
        """The claimed kinds, cheap ones first."""
        return [spec for spec in _BY_COST if spec in cls.claims.specs]

    @classmethod
    def families(cls) -> list[KeySpec]:
        """One kind of each of AES, RSA and EC."""
        return _one_of_each_family(cls.kinds())

    @classmethod
    def asymmetric(cls) -> list[KeySpec]:
        """One kind with a public half of each family."""
        return [spec for spec in cls.families() if spec is not KeySpec.AES_256]

    @classmethod
    def ciphers(cls) -> list[KeySpec]:
        """One kind that encrypts of each family."""
        return _one_of_each_family(spec for spec in cls.kinds() if cls.claims.specs[spec].encrypt)

    @classmethod
    def signers(cls) -> list[KeySpec]:
        """One kind that signs of each family."""
        return _one_of_each_family(spec for spec in cls.kinds() if cls.claims.specs[spec].signature_algorithms)

    @classmethod
    def users(cls) -> list[KeySpec]:
        """As few and cheap kinds as can do between them all that is claimed."""
        return list(dict.fromkeys([*cls.ciphers()[:1], *cls.signers()[:1]]))

    @classmethod
    def kind(cls) -> KeySpec:
        """A cheap kind, for cases in which it does not matter; any where there is none."""
        return (cls.users() or cls.kinds() or list(KeySpec))[0]

    @classmethod
    def rotating(cls, specs: Iterable[KeySpec]) -> list[KeySpec]:
        """Those of these kinds that are rotated."""
        return [spec for spec in specs if cls.claims.specs[spec].rotate]

    @classmethod
    def rotated(cls) -> KeySpec:
        """A cheap kind that is rotated."""
        return cls.rotating([*cls.users(), *cls.kinds()])[0]

    @classmethod
    def uses(cls, spec: KeySpec | str) -> list[str]:
        """The claimed operations that a key of this kind is made for."""
        does = cls.claims.specs[KeySpec(spec)]
        named = (*(ENCRYPTING if does.encrypt else ()), *(SIGNING if does.signature_algorithms else ()))
        return [operation for operation in named if cls.can(operation)]

    @classmethod
    def algorithm(cls, spec: KeySpec | str) -> SignatureAlgorithm:
        """One by which a key of this kind signs."""
        return cls.claims.specs[KeySpec(spec)].signature_algorithms[0]

    # -- operations ---------------------------------------------------------------------

    async def create(self, keys: KeysView, name: str = "some/key", spec: KeySpec | str | None = None) -> Key:
        """A key, of a cheap kind if none is named."""
        return await keys.create(name, spec or self.kind())

    async def samples(self, keys: KeysView, name: str, spec: KeySpec | str, canary: Canary) -> Samples:
        """What a key of this kind gives, for later."""
        uses = self.uses(spec)
        return Samples(
            encrypted=await keys.encrypt(name, canary.bytes()) if "encrypt" in uses else None,
            wrapped=await keys.wrap(name, canary.bytes()) if "wrap" in uses else None,
            sealed=await keys.seal(name, canary.bytes()) if "seal" in uses else None,
            signature=await keys.sign(name, canary.bytes(), algorithm=self.algorithm(spec)) if "sign" in uses else None,
        )

    async def check_samples(self, keys: KeysView, name: str, samples: Samples, canary: Canary) -> None:
        """The key takes back what it gave."""
        if samples.encrypted is not None and self.can("decrypt"):
            assert await keys.decrypt(name, samples.encrypted) == canary.bytes()
        if samples.wrapped is not None and self.can("unwrap"):
            assert await keys.unwrap(name, samples.wrapped) == canary.bytes()
        if samples.sealed is not None and self.can("unseal"):
            assert await keys.unseal(name, samples.sealed) == canary.bytes()
        if samples.signature is not None and self.can("verify"):
            assert await keys.verify(name, canary.bytes(), samples.signature) is True

    async def act(
        self,
        keys: KeysView,
        operation: str,
        canary: Canary,
        *,
        name: str = "some/key",
        samples: Samples | None = None,
        timeout: float | None = None,
    ) -> object:
        """Do an operation to its end, with arguments that are all right.

        What it takes back is from `samples`, or made up, and is said to be of the key.
        """
        given = samples or Samples()
        match operation:
            case "get":
                return await keys.get(name, timeout=timeout)
            case "create":
                return await keys.create(name, self.kind(), timeout=timeout)
            case "list":
                return await drained(keys.list(timeout=timeout))
            case "versions":
                return await drained(keys.versions(name, timeout=timeout))
            case "rotate":
                return await keys.rotate(name, timeout=timeout)
            case "enable":
                return await keys.enable(name, timeout=timeout)
            case "disable":
                return await keys.disable(name, timeout=timeout)
            case "schedule_deletion":
                return await keys.schedule_deletion(name, timeout=timeout)
            case "cancel_deletion":
                return await keys.cancel_deletion(name, timeout=timeout)
            case "public_key":
                return await keys.public_key(name, timeout=timeout)
            case "sign":
                how = given.signature.algorithm if given.signature else self._algorithm
                return await keys.sign(name, canary.bytes(), algorithm=how, timeout=timeout)
            case "verify":
                signature = given.signature or bytes(64)
                algorithm = None if given.signature else self._algorithm
                return await keys.verify(name, canary.bytes(), signature, algorithm=algorithm, timeout=timeout)
            case "encrypt":
                return await keys.encrypt(name, canary.bytes(), timeout=timeout)
            case "decrypt":
                return await keys.decrypt(name, _ours(keys, name, given.encrypted), timeout=timeout)
            case "wrap":
                return await keys.wrap(name, canary.bytes(), timeout=timeout)
            case "unwrap":
                return await keys.unwrap(name, _ours(keys, name, given.wrapped), timeout=timeout)
            case "generate_data_key":
                return await keys.generate_data_key(name, timeout=timeout)
            case "seal":
                return await keys.seal(name, canary.bytes(), timeout=timeout)
            case "unseal":
                sealed = given.sealed or _SEALED
                return await keys.unseal(name, relabelled(sealed, keys.provider, _native(keys, name)), timeout=timeout)
        raise AssertionError(f"there is no operation {operation!r}")

    @property
    def _algorithm(self) -> SignatureAlgorithm:
        return self.algorithm(self.signers()[0]) if self.signers() else SignatureAlgorithm.ES256


_SEALED = b"KMBE\x01\x01\x01\x00\x00\x00\x01\x31\x01A\x00\x04" + bytes(4 + 32 + 32 + 16)
"""Has the form of an envelope, and was sealed by nobody."""


def _ours(keys: KeysView, name: str, given: Ciphertext | None) -> Ciphertext:
    """A ciphertext that says it is of this key."""
    given = given or Ciphertext(keys.provider, "", "1", "A", b"payload")
    return replace(given, key=_native(keys, name))


def _native(keys: KeysView, name: str) -> str:
    try:
        return keys.native(name)
    except InvalidRequestError:
        return "none"  # what the case is about


def _one_of_each_family(specs: Iterable[KeySpec]) -> list[KeySpec]:
    """The first of AES, of RSA and of EC."""
    families: dict[str, KeySpec] = {}
    for spec in specs:
        families.setdefault(spec.partition("_")[0], spec)
    return list(families.values())


async def drained(listing: AsyncIterator[Key]) -> list[Key]:
    """All items of a listing."""
    return [key async for key in listing]


async def names(listing: AsyncIterator[Key]) -> list[str]:
    """The names of all items of a listing, in order."""
    return [key.name async for key in listing]
