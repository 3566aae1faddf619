"""What a provider implements. Nothing here runs.

A provider is a module with what `Provider` names. Its driver speaks to one backend
address under one identity. Every driver method is written once, as ``async def``:
under the sync bridge it is run to its end without an event loop, so it may wait only
through its `Runtime` (see `kmsbridge._runtime`).

A driver raises no `KMSError` for a failure of its backend: it lets its SDK's exception
pass, or raises `kmsbridge._decode.Refused` with the raw answer. Names it is given are
native names, already checked; names it returns are native names.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence
    from typing import Any

    from kmsbridge._call import Call
    from kmsbridge._ciphertext import Ciphertext
    from kmsbridge._decode import Answer, Decoder
    from kmsbridge._errors import Identity, KMSError
    from kmsbridge._model import (
        Capabilities,
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
    from kmsbridge._names import NativeNames
    from kmsbridge._runtime import Runtime


class Location(Protocol):
    """Where a profile or URL points, taken apart and with ``${VAR}`` replaced."""

    @property
    def scheme(self) -> str: ...
    @property
    def host(self) -> str:
        """The part between ``//`` and the next ``/``, as written; empty where the URL has none."""
        ...

    @property
    def path(self) -> str:
        """What follows the host, or the scheme where there is no ``//``; percent-decoded."""
        ...

    @property
    def parameters(self) -> Mapping[str, str]:
        """The URL's query."""
        ...

    @property
    def options(self) -> Mapping[str, Any]:
        """The profile's table ``options``."""
        ...

    @property
    def credential(self) -> object | None:
        """What the caller gave as ``credential=``."""
        ...


class Settings(Protocol):
    """A location, checked and typed by its provider."""

    @property
    def address(self) -> Hashable:
        """Equal for two settings that reach the same backend in the same way."""
        ...

    @property
    def identity(self) -> Hashable:
        """Equal for two settings that use the same credential."""
        ...

    @property
    def capabilities(self) -> Capabilities: ...
    @property
    def secret_names(self) -> NativeNames: ...
    @property
    def key_names(self) -> NativeNames: ...


class Driver(Protocol):
    """One backend address under one identity, open."""

    def repeatable(self, operation: str) -> bool:
        """Whether doing the operation (such as ``secrets.set``) twice leaves the same state as once."""
        ...

    async def reauthenticate(self) -> bool:
        """Drop the cached token; True if a fresh one may be had."""
        ...

    async def refresh(self, error: KMSError) -> bool:
        """Read again what the error shows to be stale, if it is ours; True if a new request makes sense."""
        ...

    async def poll(self, error: KMSError, call: Call) -> bool:
        """Look once whether the operation that is in the way has ended; True when it has."""
        ...

    async def health(self, call: Call) -> Identity | None:
        """One harmless call that proves reachability, authentication and key access."""
        ...

    async def close(self) -> None: ...


class SecretsDriver(Driver, Protocol):
    """A driver that keeps secrets. `Secret` and `SecretInfo` carry native names here."""

    async def get_secret(self, call: Call, name: str, version: str | None) -> Secret: ...
    async def set_secret(self, call: Call, name: str, new: NewSecret) -> Secret: ...
    async def list_secrets(self, call: Call, cursor: str | None) -> Page[SecretInfo]: ...
    async def list_secret_versions(self, call: Call, name: str, cursor: str | None) -> Page[SecretInfo]:
        """Newest first."""
        ...

    async def update_secret(self, call: Call, name: str, version: str | None, change: SecretChange) -> SecretInfo: ...
    async def delete_secret(self, call: Call, name: str) -> SecretInfo: ...
    async def list_deleted_secrets(self, call: Call, cursor: str | None) -> Page[SecretInfo]: ...
    async def recover_secret(self, call: Call, name: str) -> SecretInfo: ...
    async def purge_secret(self, call: Call, name: str) -> None: ...


@runtime_checkable
class ProvesWrites(Protocol):
    """A driver that may be able to show that a write whose answer was lost was applied."""

    async def proved_set(self, call: Call, name: str, new: NewSecret) -> Secret | None:
        """The version that this very call has made, read back; None where another may have made it.

        That it holds the same value proves nothing by itself: it may have done so before.
        """
        ...


class ReadsMany(SecretsDriver, Protocol):
    """A driver whose backend reads several secrets by one request: the ability ``max_batch``."""

    async def get_secrets(self, call: Call, names: Sequence[str]) -> Mapping[str, Secret | Answer]:
        """The latest version of each, or the answer that its decoder reads the reason from."""
        ...


class KeysDriver(Driver, Protocol):
    """A driver that keeps keys. `Key`, `PublicKey` and `Signature` carry native names here.

    What was not encrypted under the named key is `kmsbridge._ciphertext.Foreign`; what
    does not fit it is `Broken`, unless the backend itself refuses it.
    """

    async def create_key(self, call: Call, name: str, spec: KeySpec, tags: Mapping[str, str]) -> Key: ...
    async def get_key(self, call: Call, name: str) -> Key: ...
    async def list_keys(self, call: Call, cursor: str | None) -> Page[Key]:
        """Also the disabled ones and those with a scheduled deletion."""
        ...

    async def list_key_versions(self, call: Call, name: str, cursor: str | None) -> Page[Key]:
        """Newest first."""
        ...

    async def rotate_key(self, call: Call, name: str) -> Key: ...
    async def enable_key(self, call: Call, name: str, version: str | None, enabled: bool) -> Key:
        """Enable or disable the whole key, or one version of it."""
        ...

    async def schedule_key_deletion(self, call: Call, name: str, days: int | None) -> Key: ...
    async def cancel_key_deletion(self, call: Call, name: str) -> Key: ...
    async def get_public_key(self, call: Call, name: str, version: str | None) -> PublicKey: ...
    async def sign_digest(
        self, call: Call, name: str, version: str | None, algorithm: SignatureAlgorithm, digest: bytes
    ) -> Signature: ...
    async def verify_digest(
        self, call: Call, name: str, version: str | None, algorithm: SignatureAlgorithm, digest: bytes, signature: bytes
    ) -> bool:
        """False for any signature that does not fit, malformed ones included."""
        ...

    async def encrypt(self, call: Call, name: str, plaintext: bytes, context: Context) -> Ciphertext: ...
    async def decrypt(self, call: Call, name: str, ciphertext: Ciphertext, context: Context) -> bytes: ...
    async def wrap_key(self, call: Call, name: str, data_key: bytes) -> Ciphertext: ...
    async def unwrap_key(self, call: Call, name: str, wrapped: Ciphertext) -> bytes: ...
    async def generate_data_key(self, call: Call, name: str, context: Context) -> DataKey:
        """A data key of 32 bytes; `decrypt` gives it back."""
        ...


class Provider(Protocol):
    """A backend, as a module: ``kmsbridge_<scheme>`` or an entry point in ``kmsbridge.providers``."""

    name: str
    """As it stands in `KMSError.provider`."""
    decoder: Decoder

    def configure(self, location: Location) -> Settings:
        """Check a location. No I/O.

        Raises:
            InvalidRequestError: Something in it is unknown or wrong; the text names what is allowed.
        """
        ...

    async def open(self, settings: Settings, runtime: Runtime) -> Driver:
        """Open a driver; import the SDK here, not before."""
        ...
