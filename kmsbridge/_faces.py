"""What stands in front of the portable operations: ``bridge.secrets`` and ``bridge.keys``.

Every method is one line, typed by hand. A method that is given a value drops it before
the call starts, so that the traceback of an error does not hold it.
"""

from __future__ import annotations

from typing import TypeVar

from kmsbridge._runtime import deliver, drive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
    from datetime import datetime
    from typing import Any

    from kmsbridge._ciphertext import Ciphertext
    from kmsbridge._errors import KMSError
    from kmsbridge._keys import KeyOperations
    from kmsbridge._model import (
        DataKey,
        Key,
        KeySpec,
        Page,
        PublicKey,
        Secret,
        SecretInfo,
        Signature,
        SignatureAlgorithm,
    )
    from kmsbridge._secrets import SecretOperations

T = TypeVar("T")


class Secrets:
    """Secrets under the sync bridge: ``bridge.secrets``."""

    __slots__ = ("_operations",)

    def __init__(self, operations: SecretOperations) -> None:
        self._operations = operations

    def get(self, name: str, version: str | None = None, *, timeout: float | None = None) -> Secret:
        """The latest version of a secret, or the named one.

        Raises:
            NotFoundError: It is not there (``not_found``, ``version_not_found``).
            PreconditionError: The version is disabled.
        """
        return drive(self._operations.get(name, version, timeout))

    def get_many(self, names: Iterable[str], *, timeout: float | None = None) -> dict[str, Secret | KMSError]:
        """The latest versions of several secrets; what failed is its error, and raises nothing."""
        return drive(self._operations.get_many(names, timeout))

    def set(
        self,
        name: str,
        value: str | bytes,
        *,
        content_type: str | None = None,
        tags: Mapping[str, str] | None = None,
        expires_at: datetime | None = None,
        if_absent: bool = False,
        timeout: float | None = None,
    ) -> Secret:
        """Append a version; create the secret if it is missing.

        Args:
            name: The portable name, or ``native:...``.
            value: Text or bytes; it comes back as it was given.
            content_type: What the value is, for people and programs.
            tags: Labels of this version.
            expires_at: With a time zone; kept to the whole second. Informs, does not lock.
            if_absent: Only create: an existing secret is ``already_exists``.
            timeout: Seconds for the whole call.

        Raises:
            ConflictError: It exists, or a deleted secret holds the name.
            InvalidRequestError: An argument is wrong or too large.
            UnsupportedError: The backend lacks an argument that is given.
        """
        body = self._operations.set(name, value, content_type, tags, expires_at, if_absent, timeout)
        del value
        return drive(body)

    def list(self, prefix: str = "", *, timeout: float | None = None) -> Iterator[SecretInfo]:
        """All secrets whose name starts with `prefix`, without values. `timeout` is for each page."""
        return items(self._operations.list(prefix, timeout))

    def versions(self, name: str, *, timeout: float | None = None) -> Iterator[SecretInfo]:
        """The versions of a secret, newest first."""
        return items(self._operations.versions(name, timeout))

    def update(
        self,
        name: str,
        *,
        version: str | None = None,
        enabled: bool | None = None,
        tags: Mapping[str, str] | None = None,
        expires_at: datetime | None = None,
        timeout: float | None = None,
    ) -> SecretInfo:
        """Change what is said of a version, the latest if none is named; None leaves a thing as it is."""
        return drive(self._operations.update(name, version, enabled, tags, expires_at, timeout))

    def delete(self, name: str, *, timeout: float | None = None) -> SecretInfo:
        """Delete a secret with all its versions; it can be recovered where the backend can do that."""
        return drive(self._operations.delete(name, timeout))

    def deleted(self, *, timeout: float | None = None) -> Iterator[SecretInfo]:
        """The deleted secrets that can still be recovered."""
        return items(self._operations.deleted(timeout))

    def recover(self, name: str, *, timeout: float | None = None) -> SecretInfo:
        """Bring a deleted secret back, with all its versions."""
        return drive(self._operations.recover(name, timeout))

    def purge(self, name: str, *, timeout: float | None = None) -> None:
        """Remove a deleted secret for good."""
        return drive(self._operations.purge(name, timeout))


class AsyncSecrets:
    """Secrets under the async bridge; see `Secrets` for what each method does and raises."""

    __slots__ = ("_operations",)

    def __init__(self, operations: SecretOperations) -> None:
        self._operations = operations

    async def get(self, name: str, version: str | None = None, *, timeout: float | None = None) -> Secret:
        """See `Secrets.get`."""
        return await deliver(self._operations.get(name, version, timeout))

    async def get_many(self, names: Iterable[str], *, timeout: float | None = None) -> dict[str, Secret | KMSError]:
        """See `Secrets.get_many`; the gets run side by side."""
        return await deliver(self._operations.get_many(names, timeout))

    async def set(
        self,
        name: str,
        value: str | bytes,
        *,
        content_type: str | None = None,
        tags: Mapping[str, str] | None = None,
        expires_at: datetime | None = None,
        if_absent: bool = False,
        timeout: float | None = None,
    ) -> Secret:
        """See `Secrets.set`."""
        body = self._operations.set(name, value, content_type, tags, expires_at, if_absent, timeout)
        del value
        return await deliver(body)

    def list(self, prefix: str = "", *, timeout: float | None = None) -> AsyncIterator[SecretInfo]:
        """See `Secrets.list`."""
        return async_items(self._operations.list(prefix, timeout))

    def versions(self, name: str, *, timeout: float | None = None) -> AsyncIterator[SecretInfo]:
        """See `Secrets.versions`."""
        return async_items(self._operations.versions(name, timeout))

    async def update(
        self,
        name: str,
        *,
        version: str | None = None,
        enabled: bool | None = None,
        tags: Mapping[str, str] | None = None,
        expires_at: datetime | None = None,
        timeout: float | None = None,
    ) -> SecretInfo:
        """See `Secrets.update`."""
        return await deliver(self._operations.update(name, version, enabled, tags, expires_at, timeout))

    async def delete(self, name: str, *, timeout: float | None = None) -> SecretInfo:
        """See `Secrets.delete`."""
        return await deliver(self._operations.delete(name, timeout))

    def deleted(self, *, timeout: float | None = None) -> AsyncIterator[SecretInfo]:
        """See `Secrets.deleted`."""
        return async_items(self._operations.deleted(timeout))

    async def recover(self, name: str, *, timeout: float | None = None) -> SecretInfo:
        """See `Secrets.recover`."""
        return await deliver(self._operations.recover(name, timeout))

    async def purge(self, name: str, *, timeout: float | None = None) -> None:
        """See `Secrets.purge`."""
        return await deliver(self._operations.purge(name, timeout))


class Keys:
    """Keys under the sync bridge: ``bridge.keys``."""

    __slots__ = ("_operations",)

    def __init__(self, operations: KeyOperations) -> None:
        self._operations = operations

    def seal(
        self, key: str, data: bytes, *, context: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> bytes:
        """Encrypt data of any size: AES-256-GCM here, under a fresh key that the backend's key wraps.

        It says nothing of who sealed: under an RSA key, anybody with its public half can.

        Args:
            key: The name of an AES or RSA key.
            data: What is encrypted; any size that fits memory.
            context: What must be said again to open it, at most 8 KB; it is not in the result.
            timeout: Seconds for the whole call.

        Raises:
            NotFoundError: There is no such key.
            PreconditionError: It is disabled, or scheduled for deletion.
            UnsupportedError: This kind of key does not encrypt.
        """
        body = self._operations.seal(key, data, context, timeout)
        del data
        return drive(body)

    def unseal(
        self, key: str, sealed: bytes, *, context: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> bytes:
        """The data that was sealed under this key.

        Raises:
            CryptoError: Envelope, key and context do not fit; nothing of the data is given out.
            InvalidRequestError: It was not sealed under this key.
        """
        return drive(self._operations.unseal(key, sealed, context, timeout))

    def create(
        self, key: str, spec: KeySpec | str, *, tags: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> Key:
        """Make a key.

        Raises:
            ConflictError: It exists, or a key of this name is scheduled for deletion.
            UnsupportedError: The backend has no such kind of key.
        """
        return drive(self._operations.create(key, spec, tags, timeout))

    def get(self, key: str, *, timeout: float | None = None) -> Key:
        """What there is to know of a key, without its material."""
        return drive(self._operations.get(key, timeout))

    def list(self, prefix: str = "", *, timeout: float | None = None) -> Iterator[Key]:
        """All keys whose name starts with `prefix`. `timeout` is for each page."""
        return items(self._operations.list(prefix, timeout))

    def versions(self, key: str, *, timeout: float | None = None) -> Iterator[Key]:
        """The versions of a key, newest first."""
        return items(self._operations.versions(key, timeout))

    def rotate(self, key: str, *, timeout: float | None = None) -> Key:
        """Make a new version, under which everything is encrypted and signed from now on."""
        return drive(self._operations.rotate(key, timeout))

    def enable(self, key: str, *, version: str | None = None, timeout: float | None = None) -> Key:
        """Allow the use of a key, or of one version of it."""
        return drive(self._operations.enable(key, version, True, timeout))

    def disable(self, key: str, *, version: str | None = None, timeout: float | None = None) -> Key:
        """Forbid the use of a key, or of one version of it."""
        return drive(self._operations.enable(key, version, False, timeout))

    def schedule_deletion(self, key: str, *, days: int | None = None, timeout: float | None = None) -> Key:
        """Have a key with all its versions deleted in so many days; it cannot be used meanwhile."""
        return drive(self._operations.schedule_deletion(key, days, timeout))

    def cancel_deletion(self, key: str, *, timeout: float | None = None) -> Key:
        """Keep a key that was scheduled for deletion."""
        return drive(self._operations.cancel_deletion(key, timeout))

    def public_key(self, key: str, version: str | None = None, *, timeout: float | None = None) -> PublicKey:
        """The public half of an RSA or EC key."""
        return drive(self._operations.public_key(key, version, timeout))

    def sign(
        self,
        key: str,
        message: bytes | None = None,
        *,
        algorithm: SignatureAlgorithm | str,
        digest: bytes | None = None,
        timeout: float | None = None,
    ) -> Signature:
        """Sign a message, or the digest of one, with the latest version of a key."""
        body = self._operations.sign(key, message, digest, algorithm, timeout)
        del message, digest
        return drive(body)

    def verify(
        self,
        key: str,
        message: bytes | None = None,
        signature: Signature | bytes = b"",
        *,
        algorithm: SignatureAlgorithm | str | None = None,
        digest: bytes | None = None,
        version: str | None = None,
        timeout: float | None = None,
    ) -> bool:
        """Whether a signature is that of this key. False for one that does not fit, malformed ones included.

        Args:
            key: The name of the key.
            message: What was signed, unless `digest` is given.
            signature: From `sign`, or its bytes; bytes need `algorithm`.
            algorithm: How it was signed; a Signature says it itself.
            digest: The digest of what was signed.
            version: The version of the key; without it the Signature's, else the latest.
            timeout: Seconds for the whole call.
        """
        body = self._operations.verify(key, message, signature, digest, algorithm, version, timeout)
        del message, digest
        return drive(body)

    def encrypt(
        self, key: str, plaintext: bytes, *, context: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> Ciphertext:
        """Encrypt with the backend's own operation and within its limits; `seal` has none.

        Raises:
            InvalidRequestError: The plaintext is too large (``payload_too_large``).
            UnsupportedError: The key does not encrypt, or binds no context.
        """
        body = self._operations.encrypt(key, plaintext, context, timeout)
        del plaintext
        return drive(body)

    def decrypt(
        self,
        key: str,
        ciphertext: Ciphertext | bytes,
        *,
        context: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> bytes:
        """The plaintext of what `encrypt` gave.

        Raises:
            CryptoError: Ciphertext, key and context do not fit.
            InvalidRequestError: It was not encrypted under this key.
        """
        return drive(self._operations.decrypt(key, ciphertext, context, timeout))

    def wrap(self, key: str, data_key: bytes, *, timeout: float | None = None) -> Ciphertext:
        """Encrypt a key of 16 to 64 bytes."""
        body = self._operations.wrap(key, data_key, timeout)
        del data_key
        return drive(body)

    def unwrap(self, key: str, wrapped: Ciphertext | bytes, *, timeout: float | None = None) -> bytes:
        """The key that `wrap` was given; errors as `decrypt`."""
        return drive(self._operations.unwrap(key, wrapped, timeout))

    def generate_data_key(
        self, key: str, *, context: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> DataKey:
        """A fresh key of 32 bytes, plain and encrypted; `decrypt` gives it back."""
        return drive(self._operations.generate_data_key(key, context, timeout))


class AsyncKeys:
    """Keys under the async bridge; see `Keys` for what each method does and raises."""

    __slots__ = ("_operations",)

    def __init__(self, operations: KeyOperations) -> None:
        self._operations = operations

    async def seal(
        self, key: str, data: bytes, *, context: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> bytes:
        """See `Keys.seal`."""
        body = self._operations.seal(key, data, context, timeout)
        del data
        return await deliver(body)

    async def unseal(
        self, key: str, sealed: bytes, *, context: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> bytes:
        """See `Keys.unseal`."""
        return await deliver(self._operations.unseal(key, sealed, context, timeout))

    async def create(
        self, key: str, spec: KeySpec | str, *, tags: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> Key:
        """See `Keys.create`."""
        return await deliver(self._operations.create(key, spec, tags, timeout))

    async def get(self, key: str, *, timeout: float | None = None) -> Key:
        """See `Keys.get`."""
        return await deliver(self._operations.get(key, timeout))

    def list(self, prefix: str = "", *, timeout: float | None = None) -> AsyncIterator[Key]:
        """See `Keys.list`."""
        return async_items(self._operations.list(prefix, timeout))

    def versions(self, key: str, *, timeout: float | None = None) -> AsyncIterator[Key]:
        """See `Keys.versions`."""
        return async_items(self._operations.versions(key, timeout))

    async def rotate(self, key: str, *, timeout: float | None = None) -> Key:
        """See `Keys.rotate`."""
        return await deliver(self._operations.rotate(key, timeout))

    async def enable(self, key: str, *, version: str | None = None, timeout: float | None = None) -> Key:
        """See `Keys.enable`."""
        return await deliver(self._operations.enable(key, version, True, timeout))

    async def disable(self, key: str, *, version: str | None = None, timeout: float | None = None) -> Key:
        """See `Keys.disable`."""
        return await deliver(self._operations.enable(key, version, False, timeout))

    async def schedule_deletion(self, key: str, *, days: int | None = None, timeout: float | None = None) -> Key:
        """See `Keys.schedule_deletion`."""
        return await deliver(self._operations.schedule_deletion(key, days, timeout))

    async def cancel_deletion(self, key: str, *, timeout: float | None = None) -> Key:
        """See `Keys.cancel_deletion`."""
        return await deliver(self._operations.cancel_deletion(key, timeout))

    async def public_key(self, key: str, version: str | None = None, *, timeout: float | None = None) -> PublicKey:
        """See `Keys.public_key`."""
        return await deliver(self._operations.public_key(key, version, timeout))

    async def sign(
        self,
        key: str,
        message: bytes | None = None,
        *,
        algorithm: SignatureAlgorithm | str,
        digest: bytes | None = None,
        timeout: float | None = None,
    ) -> Signature:
        """See `Keys.sign`."""
        body = self._operations.sign(key, message, digest, algorithm, timeout)
        del message, digest
        return await deliver(body)

    async def verify(
        self,
        key: str,
        message: bytes | None = None,
        signature: Signature | bytes = b"",
        *,
        algorithm: SignatureAlgorithm | str | None = None,
        digest: bytes | None = None,
        version: str | None = None,
        timeout: float | None = None,
    ) -> bool:
        """See `Keys.verify`."""
        body = self._operations.verify(key, message, signature, digest, algorithm, version, timeout)
        del message, digest
        return await deliver(body)

    async def encrypt(
        self, key: str, plaintext: bytes, *, context: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> Ciphertext:
        """See `Keys.encrypt`."""
        body = self._operations.encrypt(key, plaintext, context, timeout)
        del plaintext
        return await deliver(body)

    async def decrypt(
        self,
        key: str,
        ciphertext: Ciphertext | bytes,
        *,
        context: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> bytes:
        """See `Keys.decrypt`."""
        return await deliver(self._operations.decrypt(key, ciphertext, context, timeout))

    async def wrap(self, key: str, data_key: bytes, *, timeout: float | None = None) -> Ciphertext:
        """See `Keys.wrap`."""
        body = self._operations.wrap(key, data_key, timeout)
        del data_key
        return await deliver(body)

    async def unwrap(self, key: str, wrapped: Ciphertext | bytes, *, timeout: float | None = None) -> bytes:
        """See `Keys.unwrap`."""
        return await deliver(self._operations.unwrap(key, wrapped, timeout))

    async def generate_data_key(
        self, key: str, *, context: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> DataKey:
        """See `Keys.generate_data_key`."""
        return await deliver(self._operations.generate_data_key(key, context, timeout))


def items(fetch: Callable[[str | None], Coroutine[Any, Any, Page[T]]]) -> Iterator[T]:
    """The items of all pages; nothing is held between two of them."""
    cursor: str | None = None
    while True:
        page = drive(fetch(cursor))
        yield from page.items
        if (cursor := page.cursor) is None:
            return


async def async_items(fetch: Callable[[str | None], Coroutine[Any, Any, Page[T]]]) -> AsyncIterator[T]:
    """The same for the async bridge."""
    cursor: str | None = None
    while True:
        page = await deliver(fetch(cursor))
        for item in page.items:
            yield item
        if (cursor := page.cursor) is None:
            return
