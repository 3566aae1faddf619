"""The abilities of a local store: each is one blocking call, made where blocking is allowed."""

from __future__ import annotations

from kmsbridge._errors import Identity
from kmsbridge_local._secrets import SecretStore
from kmsbridge_local._store import open_store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kmsbridge._call import Call
    from kmsbridge._errors import KMSError
    from kmsbridge._model import NewSecret, Page, Secret, SecretChange, SecretInfo
    from kmsbridge._runtime import Runtime
    from kmsbridge_local._config import LocalSettings

_REPEATABLE = frozenset(
    ("health", "secrets.get", "secrets.list", "secrets.versions", "secrets.deleted", "secrets.update")
)
"""Not `set`, which appends; nor what finds nothing the second time, and would report success as not_found."""


class LocalDriver:
    """One local store."""

    def __init__(self, settings: LocalSettings, runtime: Runtime) -> None:
        self._runtime = runtime
        self._in_memory = not isinstance(settings.place, str)
        self._store = open_store(settings)
        self._secrets = SecretStore(self._store, settings.recovery_days)

    def repeatable(self, operation: str) -> bool:
        """Whether a call that may have been applied can be made again."""
        return operation in _REPEATABLE

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

        return await self._runtime.in_thread(check)

    async def close(self) -> None:
        """Close the connections to a file; a store in memory lives as long as what names it."""
        if not self._in_memory:
            await self._runtime.in_thread(self._store.close)

    async def get_secret(self, call: Call, name: str, version: str | None) -> Secret:
        """A version with its value; a disabled one is refused, and so is the latest if it is disabled."""
        return await self._runtime.in_thread(lambda: self._secrets.get(call.time_left, name, version))

    async def set_secret(self, call: Call, name: str, new: NewSecret) -> Secret:
        """Append a version."""
        return await self._runtime.in_thread(lambda: self._secrets.set(call.time_left, name, new))

    async def list_secrets(self, call: Call, cursor: str | None) -> Page[SecretInfo]:
        """By name, with what is said of the latest version."""
        return await self._runtime.in_thread(lambda: self._secrets.list(call.time_left, cursor))

    async def list_secret_versions(self, call: Call, name: str, cursor: str | None) -> Page[SecretInfo]:
        """Newest first."""
        return await self._runtime.in_thread(lambda: self._secrets.versions(call.time_left, name, cursor))

    async def update_secret(self, call: Call, name: str, version: str | None, change: SecretChange) -> SecretInfo:
        """Change what is said of a version, the latest if none is named."""
        return await self._runtime.in_thread(lambda: self._secrets.update(call.time_left, name, version, change))

    async def delete_secret(self, call: Call, name: str) -> SecretInfo:
        """Soft-delete all versions."""
        return await self._runtime.in_thread(lambda: self._secrets.delete(call.time_left, name))

    async def list_deleted_secrets(self, call: Call, cursor: str | None) -> Page[SecretInfo]:
        """By name."""
        return await self._runtime.in_thread(lambda: self._secrets.deleted(call.time_left, cursor))

    async def recover_secret(self, call: Call, name: str) -> SecretInfo:
        """Bring back all versions."""
        return await self._runtime.in_thread(lambda: self._secrets.recover(call.time_left, name))

    async def purge_secret(self, call: Call, name: str) -> None:
        """Remove for good."""
        return await self._runtime.in_thread(lambda: self._secrets.purge(call.time_left, name))
