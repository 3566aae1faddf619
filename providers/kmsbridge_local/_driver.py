"""The abilities of a local store: each is one blocking call, made where blocking is allowed."""

from __future__ import annotations

from typing import TypeVar

from kmsbridge._errors import Identity
from kmsbridge_local._keys import KeyStore
from kmsbridge_local._secrets import SecretStore
from kmsbridge_local._store import open_store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kmsbridge._call import Call
    from kmsbridge._ciphertext import Ciphertext
    from kmsbridge._errors import KMSError
    from kmsbridge._model import (
        Context,
        DataKey,
        Key,
        KeySpec,
        NewSecret,
        Page,
        PublicKey,
        Secret,
        SecretChange,
        SecretInfo,
        Signature,
        SignatureAlgorithm,
    )
    from kmsbridge._runtime import Runtime
    from kmsbridge_local._config import LocalSettings

T = TypeVar("T")

_NOT_REPEATABLE = frozenset(
    (
        "secrets.set",
        "secrets.delete",
        "secrets.recover",
        "secrets.purge",
        "keys.create",
        "keys.rotate",
        "keys.schedule_deletion",
        "keys.cancel_deletion",
    )
)
"""What appends, and what finds its work done the second time and would report success as an error."""


class LocalDriver:
    """One local store."""

    def __init__(self, settings: LocalSettings, runtime: Runtime) -> None:
        self._runtime = runtime
        self._in_memory = not isinstance(settings.place, str)
        self._store = open_store(settings)
        self._secrets = SecretStore(self._store, settings.recovery_days)
        self._keys = KeyStore(self._store, settings.recovery_days)

    def repeatable(self, operation: str) -> bool:
        """Whether a call that may have been applied can be made again."""
        return operation not in _NOT_REPEATABLE

    async def reauthenticate(self) -> bool:
        """There is no token; a root key that was replaced is read again by itself."""
        return False

    async def refresh(self, error: KMSError) -> bool:  # noqa: ARG002 - nothing is ever stale
        """Nothing is kept from one call to the next."""
        return False

    async def poll(self, error: KMSError, call: Call) -> bool:  # noqa: ARG002 - nothing goes on behind a call
        """Every operation ends with its call."""
        return True

    async def health(self, call: Call) -> Identity:
        """Open the store and check that its root key fits."""

        def check() -> Identity:
            with self._store.read(call.time_left):
                return Identity(credential=f"root key ({self._store.source})")

        return await self._run(call, check)

    async def close(self) -> None:
        """Close the connections to a file; a store in memory lives as long as what names it."""
        if not self._in_memory:
            await self._runtime.in_thread(self._store.close)

    async def _run(self, call: Call, function: Callable[[], T]) -> T:
        return await self._runtime.in_thread(function, call.time_left())

    async def get_secret(self, call: Call, name: str, version: str | None) -> Secret:
        """A version with its value; a disabled one is refused, and so is the latest if it is disabled."""
        return await self._run(call, lambda: self._secrets.get(call.time_left, name, version))

    async def set_secret(self, call: Call, name: str, new: NewSecret) -> Secret:
        """Append a version."""
        return await self._run(call, lambda: self._secrets.set(call.time_left, name, new))

    async def list_secrets(self, call: Call, cursor: str | None) -> Page[SecretInfo]:
        """By name, with what is said of the latest version."""
        return await self._run(call, lambda: self._secrets.list(call.time_left, cursor))

    async def list_secret_versions(self, call: Call, name: str, cursor: str | None) -> Page[SecretInfo]:
        """Newest first."""
        return await self._run(call, lambda: self._secrets.versions(call.time_left, name, cursor))

    async def update_secret(self, call: Call, name: str, version: str | None, change: SecretChange) -> SecretInfo:
        """Change what is said of a version, the latest if none is named."""
        return await self._run(call, lambda: self._secrets.update(call.time_left, name, version, change))

    async def delete_secret(self, call: Call, name: str) -> SecretInfo:
        """Soft-delete all versions."""
        return await self._run(call, lambda: self._secrets.delete(call.time_left, name))

    async def list_deleted_secrets(self, call: Call, cursor: str | None) -> Page[SecretInfo]:
        """By name."""
        return await self._run(call, lambda: self._secrets.deleted(call.time_left, cursor))

    async def recover_secret(self, call: Call, name: str) -> SecretInfo:
        """Bring back all versions."""
        return await self._run(call, lambda: self._secrets.recover(call.time_left, name))

    async def purge_secret(self, call: Call, name: str) -> None:
        """Remove for good."""
        return await self._run(call, lambda: self._secrets.purge(call.time_left, name))

    async def create_key(self, call: Call, name: str, spec: KeySpec, tags: Mapping[str, str]) -> Key:
        """Make a key; an RSA key takes a second or so."""
        return await self._run(call, lambda: self._keys.create(call.time_left, name, spec, tags))

    async def get_key(self, call: Call, name: str) -> Key:
        """A key as a whole."""
        return await self._run(call, lambda: self._keys.get(call.time_left, name))

    async def list_keys(self, call: Call, cursor: str | None) -> Page[Key]:
        """By name."""
        return await self._run(call, lambda: self._keys.list(call.time_left, cursor))

    async def list_key_versions(self, call: Call, name: str, cursor: str | None) -> Page[Key]:
        """Newest first."""
        return await self._run(call, lambda: self._keys.versions(call.time_left, name, cursor))

    async def rotate_key(self, call: Call, name: str) -> Key:
        """Append a version."""
        return await self._run(call, lambda: self._keys.rotate(call.time_left, name))

    async def enable_key(self, call: Call, name: str, version: str | None, enabled: bool) -> Key:
        """Enable or disable the key, or one version."""
        return await self._run(call, lambda: self._keys.enable(call.time_left, name, version, enabled))

    async def schedule_key_deletion(self, call: Call, name: str, days: int | None) -> Key:
        """In so many days, as long as the store keeps what is deleted if none are given."""
        return await self._run(call, lambda: self._keys.schedule_deletion(call.time_left, name, days))

    async def cancel_key_deletion(self, call: Call, name: str) -> Key:
        """Keep the key."""
        return await self._run(call, lambda: self._keys.cancel_deletion(call.time_left, name))

    async def get_public_key(self, call: Call, name: str, version: str | None) -> PublicKey:
        """Of the latest version, if none is named."""
        return await self._run(call, lambda: self._keys.public_key(call.time_left, name, version))

    async def sign_digest(
        self, call: Call, name: str, version: str | None, algorithm: SignatureAlgorithm, digest: bytes
    ) -> Signature:
        """Sign."""
        return await self._run(call, lambda: self._keys.sign(call.time_left, name, version, algorithm, digest))

    async def verify_digest(
        self, call: Call, name: str, version: str | None, algorithm: SignatureAlgorithm, digest: bytes, signature: bytes
    ) -> bool:
        """Verify."""
        return await self._run(
            call, lambda: self._keys.verify(call.time_left, name, version, algorithm, digest, signature)
        )

    async def encrypt(self, call: Call, name: str, plaintext: bytes, context: Context) -> Ciphertext:
        """Encrypt under the latest version."""
        return await self._run(call, lambda: self._keys.encrypt(call.time_left, name, plaintext, context))

    async def decrypt(self, call: Call, name: str, ciphertext: Ciphertext, context: Context) -> bytes:  # noqa: ARG002
        """Decrypt; the name is the one in the container, or this would not have been called."""
        return await self._run(call, lambda: self._keys.decrypt(call.time_left, ciphertext, context))

    async def wrap_key(self, call: Call, name: str, data_key: bytes) -> Ciphertext:
        """Wrap under the latest version."""
        return await self._run(call, lambda: self._keys.wrap(call.time_left, name, data_key))

    async def unwrap_key(self, call: Call, name: str, wrapped: Ciphertext) -> bytes:  # noqa: ARG002
        """Unwrap; the name is the one in the container, or this would not have been called."""
        return await self._run(call, lambda: self._keys.unwrap(call.time_left, wrapped))

    async def generate_data_key(self, call: Call, name: str, context: Context) -> DataKey:
        """A fresh data key."""
        return await self._run(call, lambda: self._keys.generate_data_key(call.time_left, name, context))
