"""The operations on keys, each one transaction; what a key does happens after it."""

from __future__ import annotations

import json
import os
from functools import lru_cache
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from kmsbridge._ciphertext import Broken, Ciphertext, Foreign
from kmsbridge._model import DataKey, Key, KeySpec, Page, PublicKey, Signature
from kmsbridge_local import _asymmetric
from kmsbridge_local._box import KEY_BYTES, canonical, seal, unseal
from kmsbridge_local._config import KEY_ABILITIES
from kmsbridge_local._errors import StoreError
from kmsbridge_local._rows import DAY, KEYS, KeyHead, KeyVersion, encoded_tags, moment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kmsbridge._model import Context, SignatureAlgorithm
    from kmsbridge_local._asymmetric import PrivateKey
    from kmsbridge_local._files import TimeLeft
    from kmsbridge_local._store import Store, Transaction

AES = "A256GCM"
OAEP = "RSA-OAEP-256"
_PROVIDER = "local"


class _Usable(NamedTuple):
    """One version of a key that may be used now."""

    name: str
    version: str
    spec: KeySpec
    material: bytes

    def __repr__(self) -> str:
        return f"<version of key {self.name!r}, material not shown>"


class KeyStore:
    """Keys in a store. Blocking; every method takes what gives the seconds left.

    Args:
        store: The open store.
        recovery_days: How long a deletion can be cancelled, where the caller does not say.
    """

    def __init__(self, store: Store, recovery_days: int) -> None:
        self._store = store
        self._days = recovery_days
        self._load = lru_cache(maxsize=64)(_asymmetric.load)

    # -- what becomes of a key ----------------------------------------------------------

    def create(self, time_left: TimeLeft, name: str, spec: KeySpec, tags: Mapping[str, str]) -> Key:
        """Make a key with its first version."""
        with self._store.read(time_left) as transaction:  # making an RSA key takes a while: not for nothing
            _refuse_existing(transaction, name)
        material = _new_material(spec)
        with self._store.write(time_left) as transaction:
            _refuse_existing(transaction, name)
            head = KeyHead(name, os.urandom(16).hex(), 0, spec, 1, encoded_tags(tags), transaction.now, None)
            return self._appended(transaction, head, material)

    def rotate(self, time_left: TimeLeft, name: str) -> Key:
        """Append a version."""
        with self._store.read(time_left) as transaction:
            spec = KeySpec(_usable_head(transaction, name).spec)
        material = _new_material(spec)
        with self._store.write(time_left) as transaction:
            head = _usable_head(transaction, name)
            if head.spec != spec:  # deleted and made anew meanwhile
                raise StoreError("KeyNotFound")
            return self._appended(transaction, head, material)

    def _appended(self, transaction: Transaction, head: KeyHead, material: bytes) -> Key:
        head = head._replace(latest=head.latest + 1)
        row = KeyVersion(head.id, head.latest, os.urandom(16).hex(), 1, transaction.now)
        KEYS.put(transaction, head)
        KEYS.put_version(transaction, head, row, material)
        return _key(head, row)

    def get(self, time_left: TimeLeft, name: str) -> Key:
        """A key as a whole, whatever its state."""
        with self._store.read(time_left) as transaction:
            head = _head(transaction, name)
            return _key(head, KEYS.version(transaction, head, None)[0])

    def list(self, time_left: TimeLeft, cursor: str | None) -> Page[Key]:
        """A page of the keys, by name, whatever their state."""
        with self._store.read(time_left) as transaction:
            heads, following = KEYS.page(transaction, cursor)
            return Page([_key(head, KEYS.version(transaction, head, None)[0]) for head in heads], following)

    def versions(self, time_left: TimeLeft, name: str, cursor: str | None) -> Page[Key]:
        """A page of the versions of a key, newest first; each says whether it itself is enabled."""
        with self._store.read(time_left) as transaction:
            head = _head(transaction, name)
            rows, following = KEYS.versions(transaction, head, cursor)
        return Page([_key(head._replace(enabled=row.enabled), row) for row in rows], following)

    def enable(self, time_left: TimeLeft, name: str, version: str | None, enabled: bool) -> Key:
        """Enable or disable a key, or one version of it."""
        with self._store.write(time_left) as transaction:
            head = _head(transaction, name)
            if head.purge_at is not None:
                raise StoreError("KeyPendingDeletion")
            row, material = KEYS.version(transaction, head, version)
            if version is None:
                head = head._replace(enabled=int(enabled))
                KEYS.put(transaction, head)
                return _key(head, row)
            row = row._replace(enabled=int(enabled))
            KEYS.put_version(transaction, head, row, material)
            return _key(head._replace(enabled=row.enabled), row)

    def schedule_deletion(self, time_left: TimeLeft, name: str, days: int | None) -> Key:
        """Have a key removed in so many days."""
        with self._store.write(time_left) as transaction:
            head = _head(transaction, name)
            if head.purge_at is not None:
                raise StoreError("KeyPendingDeletion")
            head = head._replace(purge_at=transaction.now + (days or self._days) * DAY)
            KEYS.put(transaction, head)
            return _key(head, KEYS.version(transaction, head, None)[0])

    def cancel_deletion(self, time_left: TimeLeft, name: str) -> Key:
        """Keep a key after all, enabled or disabled as it was."""
        with self._store.write(time_left) as transaction:
            head = _head(transaction, name)
            if head.purge_at is None:
                raise StoreError("KeyNotPendingDeletion")
            head = head._replace(purge_at=None)
            KEYS.put(transaction, head)
            return _key(head, KEYS.version(transaction, head, None)[0])

    # -- what a key does ----------------------------------------------------------------

    def public_key(self, time_left: TimeLeft, name: str, version: str | None) -> PublicKey:
        """The public half of a version, whatever the state of the key."""
        with self._store.read(time_left) as transaction:
            head = _head(transaction, name)
            row, material = KEYS.version(transaction, head, version)
        spec = KeySpec(head.spec)
        if spec is KeySpec.AES_256:
            raise StoreError("KeyHasNoPublicHalf")
        return PublicKey(name, row.version, spec, _asymmetric.pem(self._load(material).public_key()))

    def sign(
        self, time_left: TimeLeft, name: str, version: str | None, algorithm: SignatureAlgorithm, digest: bytes
    ) -> Signature:
        """The signature of a digest."""
        used = self._used(time_left, name, version)
        return Signature(
            name, used.version, algorithm, _asymmetric.sign(self._signing(used, algorithm), algorithm, digest)
        )

    def verify(
        self,
        time_left: TimeLeft,
        name: str,
        version: str | None,
        algorithm: SignatureAlgorithm,
        digest: bytes,
        signature: bytes,
    ) -> bool:
        """Whether it is the signature of this digest."""
        key = self._signing(self._used(time_left, name, version), algorithm)
        return _asymmetric.verify(key.public_key(), algorithm, digest, signature)

    def encrypt(self, time_left: TimeLeft, name: str, plaintext: bytes, context: Context) -> Ciphertext:
        """Encrypt under the latest version."""
        return self._encrypted(time_left, name, plaintext, "encrypt", context.encoded)

    def decrypt(self, time_left: TimeLeft, ciphertext: Ciphertext, context: Context) -> bytes:
        """Decrypt under the key that the caller has checked, and the version that the ciphertext names."""
        return self._decrypted(time_left, ciphertext, "encrypt", context.encoded)

    def wrap(self, time_left: TimeLeft, name: str, data_key: bytes) -> Ciphertext:
        """As `encrypt`; what one of them made, the other's counterpart does not open."""
        return self._encrypted(time_left, name, data_key, "wrap", b"")

    def unwrap(self, time_left: TimeLeft, wrapped: Ciphertext) -> bytes:
        """As `decrypt`."""
        return self._decrypted(time_left, wrapped, "wrap", b"")

    def generate_data_key(self, time_left: TimeLeft, name: str, context: Context) -> DataKey:
        """A fresh key, plain and encrypted."""
        plaintext = os.urandom(KEY_BYTES)
        return DataKey(plaintext, self.encrypt(time_left, name, plaintext, context))

    def _encrypted(self, time_left: TimeLeft, name: str, plaintext: bytes, use: str, context: bytes) -> Ciphertext:
        used = self._used(time_left, name, None)
        if used.spec is KeySpec.AES_256:
            payload = seal(used.material, plaintext, _associated(used, use, context))
            return Ciphertext(_PROVIDER, name, used.version, AES, payload)
        key = self._encrypting(used, context)
        limit = KEY_ABILITIES.specs[used.spec].max_plaintext
        if len(plaintext) > limit:
            sentence = f"the plaintext has {len(plaintext)} bytes; a key of kind {used.spec} encrypts at most {limit}"
            raise StoreError("PlaintextTooLarge", sentence)
        return Ciphertext(_PROVIDER, name, used.version, OAEP, _asymmetric.encrypt(key.public_key(), plaintext))

    def _decrypted(self, time_left: TimeLeft, ciphertext: Ciphertext, use: str, context: bytes) -> bytes:
        used = self._used_for(time_left, ciphertext)
        if used.spec is KeySpec.AES_256:
            if ciphertext.algorithm != AES:
                raise Broken
            return unseal(used.material, ciphertext.payload, _associated(used, use, context))
        key = self._encrypting(used, context)
        if ciphertext.algorithm != OAEP:
            raise Broken
        return _asymmetric.decrypt(key, ciphertext.payload)

    def _used(self, time_left: TimeLeft, name: str, version: str | None) -> _Usable:
        """A version that may be used; the latest if none is named."""
        with self._store.read(time_left) as transaction:
            head = _usable_head(transaction, name)
            row, material = KEYS.version(transaction, head, version)
        if not row.enabled:
            raise StoreError("KeyVersionDisabled")
        return _Usable(name, row.version, KeySpec(head.spec), material)

    def _used_for(self, time_left: TimeLeft, ciphertext: Ciphertext) -> _Usable:
        """The version that a ciphertext names; one that the key does not have is another's."""
        try:
            return self._used(time_left, ciphertext.key, ciphertext.version)
        except StoreError as error:
            if error.code != "KeyVersionNotFound":
                raise
        raise Foreign

    def _encrypting(self, used: _Usable, context: bytes) -> RSAPrivateKey:
        key = self._load(used.material)
        if not isinstance(key, RSAPrivateKey):
            raise StoreError("KeyDoesNotEncrypt")
        if context:
            raise StoreError("KeyBindsNoContext")
        return key

    def _signing(self, used: _Usable, algorithm: SignatureAlgorithm) -> PrivateKey:
        if algorithm not in KEY_ABILITIES.specs[used.spec].signature_algorithms:
            raise StoreError("KeyDoesNotSignSo", f"a key of kind {used.spec} does not sign by {algorithm}")
        return self._load(used.material)


# -- heads and what they allow ----------------------------------------------------------


def _head(transaction: Transaction, name: str) -> KeyHead:
    head = KEYS.head(transaction, name)
    if head is None:
        raise StoreError("KeyNotFound")
    return head


def _usable_head(transaction: Transaction, name: str) -> KeyHead:
    head = _head(transaction, name)
    if head.purge_at is not None:
        raise StoreError("KeyPendingDeletion")
    if not head.enabled:
        raise StoreError("KeyDisabled")
    return head


def _refuse_existing(transaction: Transaction, name: str) -> None:
    head = KEYS.head(transaction, name)
    if head is not None:
        raise StoreError("KeyAlreadyExists" if head.purge_at is None else "KeyDeletedButRecoverable")


def _new_material(spec: KeySpec) -> bytes:
    return os.urandom(KEY_BYTES) if spec is KeySpec.AES_256 else _asymmetric.generate(spec)


def _associated(used: _Usable, use: str, context: bytes) -> bytes:
    """What a ciphertext is bound to: whose it is, what it is for, and the context."""
    return canonical(("ciphertext", use, _PROVIDER, used.name, used.version, AES, context))


def _key(head: KeyHead, row: KeyVersion) -> Key:
    return Key(
        name=head.name,
        version=row.version,
        spec=KeySpec(head.spec),
        enabled=bool(head.enabled),
        tags=json.loads(head.tags),
        created_at=moment(row.created_at),
        deletes_at=None if head.purge_at is None else moment(head.purge_at),
    )
