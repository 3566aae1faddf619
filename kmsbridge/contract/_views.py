"""What a case sees of a bridge: one awaitable view of both modes.

The view adds nothing and hides nothing: it calls the face, awaits what the async face
returns, insists that the sync face returns nothing to await, and shows the witness
every error and result that comes out.
"""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import AsyncIterator, Awaitable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import fields, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar, cast

from kmsbridge import AsyncBridge, Bridge, KeySpec, KMSError, SignatureAlgorithm, SpecAbilities
from kmsbridge._bridge import HEALTH_SECONDS
from kmsbridge._errors import CLASS_OF
from kmsbridge.contract._witness import linked

if TYPE_CHECKING:
    import builtins
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping, Sequence
    from datetime import datetime
    from types import TracebackType
    from typing import Self

    from kmsbridge import (
        AsyncKeys,
        AsyncSecrets,
        Capabilities,
        Ciphertext,
        DataKey,
        Health,
        Key,
        Keys,
        PublicKey,
        Secret,
        SecretInfo,
        Secrets,
        Signature,
    )
    from kmsbridge.contract._witness import Witness

T = TypeVar("T")

_ANY_SPEC = SpecAbilities(True, True, 1024, tuple(SignatureAlgorithm))
"""What every kind of key would be able to do."""


class Mode(Enum):
    """Which of the two faces a case runs against."""

    SYNC = "sync"
    ASYNC = "async"


class BridgeView:
    """A bridge of either mode; every method can be awaited.

    Args:
        bridge: The bridge itself.
        witness: Sees what comes out of it.
    """

    def __init__(self, bridge: Bridge | AsyncBridge, witness: Witness) -> None:
        self.bridge = bridge
        """As `kmsbridge.connect` or `kmsbridge.connect_async` returned it."""
        self.mode = Mode.ASYNC if isinstance(bridge, AsyncBridge) else Mode.SYNC
        self.witness = witness
        self._way = _Way(self.mode, witness)
        self.secrets = SecretsView(bridge.secrets, self._way)
        self.keys = KeysView(bridge.keys, self._way)

    @property
    def capabilities(self) -> Capabilities:
        """See `kmsbridge.Bridge.capabilities`."""
        return self.bridge.capabilities

    async def health(self, *, timeout: float = HEALTH_SECONDS) -> Health:
        """See `kmsbridge.Bridge.health`."""
        health = await self._way.call("health", lambda: self.bridge.health(timeout=timeout))
        self.witness.result("health", health.to_dict())
        return health

    async def aclose(self) -> None:
        """``close()`` of the one, ``aclose()`` of the other."""
        bridge = self.bridge
        await self._way.call("close", bridge.aclose if isinstance(bridge, AsyncBridge) else bridge.close)

    async def __aenter__(self) -> Self:
        """``with`` for the one, ``async with`` for the other."""
        bridge = self.bridge
        entered = await bridge.__aenter__() if isinstance(bridge, AsyncBridge) else bridge.__enter__()
        assert entered is bridge
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        bridge = self.bridge
        if isinstance(bridge, AsyncBridge):
            await bridge.__aexit__(*exc_info)
        else:
            bridge.__exit__(*exc_info)

    async def together(self, makers: Sequence[Callable[[], Coroutine[Any, Any, T]]]) -> list[T | KMSError]:
        """What several calls at once return, or their errors: from threads in one mode, from tasks in the other."""
        if self.mode is Mode.ASYNC:
            return await asyncio.gather(*(_result(make) for make in makers))
        ready = threading.Barrier(len(makers), timeout=30)

        def run(make: Callable[[], Coroutine[Any, Any, T]]) -> T | KMSError:
            ready.wait()
            return _finish(_result(make))

        with ThreadPoolExecutor(len(makers)) as pool:
            return list(pool.map(run, makers))

    async def elsewhere(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What a call returns in another thread, which under the async bridge runs an event loop of its own."""
        if self.mode is Mode.ASYNC:
            return await asyncio.to_thread(lambda: asyncio.run(make()))
        return await asyncio.to_thread(lambda: _finish(make()))

    def unlocked(self) -> SecretsView:
        """Secrets as if the provider claimed every ability: shows what a driver does without saying so."""
        operations = copy(self.bridge._core.secrets)  # noqa: SLF001 - no public way round the claims, and rightly so
        claims = operations._abilities  # noqa: SLF001
        flags = {field.name: True for field in fields(claims) if field.type == "bool"}
        operations._abilities = replace(  # noqa: SLF001
            claims,
            **flags,
            max_value=claims.max_value or 256,
            max_tags=claims.max_tags or 1,
            max_content_type=claims.max_content_type or 64,
        )
        return SecretsView(type(self.bridge.secrets)(operations), self._way)

    def unlocked_keys(self) -> KeysView:
        """The same of keys, of every kind."""
        operations = copy(self.bridge._core.keys)  # noqa: SLF001 - see `unlocked`
        claims = operations._abilities  # noqa: SLF001
        flags = {field.name: True for field in fields(claims) if field.type == "bool"}
        operations._abilities = replace(  # noqa: SLF001
            claims,
            **flags,
            max_tags=claims.max_tags or 1,
            min_deletion_days=claims.min_deletion_days or 1,
            max_deletion_days=claims.max_deletion_days or 90,
            specs=dict.fromkeys(KeySpec, _ANY_SPEC),
        )
        return KeysView(type(self.bridge.keys)(operations), self._way)


class SecretsView:
    """``bridge.secrets`` of either mode; see `kmsbridge.Secrets` for the methods."""

    def __init__(self, secrets: Secrets | AsyncSecrets, way: _Way) -> None:
        self._secrets = secrets
        self._way = way

    async def get(self, name: str, version: str | None = None, *, timeout: float | None = None) -> Secret:
        """See `kmsbridge.Secrets.get`."""
        return await self._way.call("secrets.get", lambda: self._secrets.get(name, version, timeout=timeout))

    async def get_many(self, names: Iterable[str], *, timeout: float | None = None) -> dict[str, Secret | KMSError]:
        """See `kmsbridge.Secrets.get_many`."""
        found = await self._way.call("secrets.get_many", lambda: self._secrets.get_many(names, timeout=timeout))
        for result in found.values():
            if isinstance(result, KMSError):
                self._way.check("secrets.get", result)
        return found

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
        """See `kmsbridge.Secrets.set`."""
        return await self._way.call(
            "secrets.set",
            lambda: self._secrets.set(
                name,
                value,
                content_type=content_type,
                tags=tags,
                expires_at=expires_at,
                if_absent=if_absent,
                timeout=timeout,
            ),
        )

    def list(self, prefix: str = "", *, timeout: float | None = None) -> AsyncGenerator[SecretInfo, None]:
        """See `kmsbridge.Secrets.list`."""
        return self._way.items("secrets.list", self._secrets.list(prefix, timeout=timeout))

    def versions(self, name: str, *, timeout: float | None = None) -> AsyncGenerator[SecretInfo, None]:
        """See `kmsbridge.Secrets.versions`."""
        return self._way.items("secrets.versions", self._secrets.versions(name, timeout=timeout))

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
        """See `kmsbridge.Secrets.update`."""
        return await self._way.call(
            "secrets.update",
            lambda: self._secrets.update(
                name, version=version, enabled=enabled, tags=tags, expires_at=expires_at, timeout=timeout
            ),
        )

    async def delete(self, name: str, *, timeout: float | None = None) -> SecretInfo:
        """See `kmsbridge.Secrets.delete`."""
        return await self._way.call("secrets.delete", lambda: self._secrets.delete(name, timeout=timeout))

    def deleted(self, *, timeout: float | None = None) -> AsyncGenerator[SecretInfo, None]:
        """See `kmsbridge.Secrets.deleted`."""
        return self._way.items("secrets.deleted", self._secrets.deleted(timeout=timeout))

    async def recover(self, name: str, *, timeout: float | None = None) -> SecretInfo:
        """See `kmsbridge.Secrets.recover`."""
        return await self._way.call("secrets.recover", lambda: self._secrets.recover(name, timeout=timeout))

    async def purge(self, name: str, *, timeout: float | None = None) -> None:
        """See `kmsbridge.Secrets.purge`."""
        return await self._way.call("secrets.purge", lambda: self._secrets.purge(name, timeout=timeout))


class KeysView:
    """``bridge.keys`` of either mode; see `kmsbridge.Keys` for the methods."""

    def __init__(self, keys: Keys | AsyncKeys, way: _Way) -> None:
        self._keys = keys
        self._way = way

    async def seal(
        self, key: str, data: bytes, *, context: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> bytes:
        """See `kmsbridge.Keys.seal`."""
        return await self._way.call("keys.seal", lambda: self._keys.seal(key, data, context=context, timeout=timeout))

    async def unseal(
        self, key: str, sealed: bytes, *, context: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> bytes:
        """See `kmsbridge.Keys.unseal`."""
        return await self._way.call(
            "keys.unseal", lambda: self._keys.unseal(key, sealed, context=context, timeout=timeout)
        )

    async def create(
        self, key: str, spec: KeySpec | str, *, tags: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> Key:
        """See `kmsbridge.Keys.create`."""
        return await self._way.call("keys.create", lambda: self._keys.create(key, spec, tags=tags, timeout=timeout))

    async def get(self, key: str, *, timeout: float | None = None) -> Key:
        """See `kmsbridge.Keys.get`."""
        return await self._way.call("keys.get", lambda: self._keys.get(key, timeout=timeout))

    def list(self, prefix: str = "", *, timeout: float | None = None) -> AsyncGenerator[Key, None]:
        """See `kmsbridge.Keys.list`."""
        return self._way.items("keys.list", self._keys.list(prefix, timeout=timeout))

    def versions(self, key: str, *, timeout: float | None = None) -> AsyncGenerator[Key, None]:
        """See `kmsbridge.Keys.versions`."""
        return self._way.items("keys.versions", self._keys.versions(key, timeout=timeout))

    async def rotate(self, key: str, *, timeout: float | None = None) -> Key:
        """See `kmsbridge.Keys.rotate`."""
        return await self._way.call("keys.rotate", lambda: self._keys.rotate(key, timeout=timeout))

    async def enable(self, key: str, *, version: str | None = None, timeout: float | None = None) -> Key:
        """See `kmsbridge.Keys.enable`."""
        return await self._way.call("keys.enable", lambda: self._keys.enable(key, version=version, timeout=timeout))

    async def disable(self, key: str, *, version: str | None = None, timeout: float | None = None) -> Key:
        """See `kmsbridge.Keys.disable`."""
        return await self._way.call("keys.disable", lambda: self._keys.disable(key, version=version, timeout=timeout))

    async def schedule_deletion(self, key: str, *, days: int | None = None, timeout: float | None = None) -> Key:
        """See `kmsbridge.Keys.schedule_deletion`."""
        return await self._way.call(
            "keys.schedule_deletion", lambda: self._keys.schedule_deletion(key, days=days, timeout=timeout)
        )

    async def cancel_deletion(self, key: str, *, timeout: float | None = None) -> Key:
        """See `kmsbridge.Keys.cancel_deletion`."""
        return await self._way.call("keys.cancel_deletion", lambda: self._keys.cancel_deletion(key, timeout=timeout))

    async def public_key(self, key: str, version: str | None = None, *, timeout: float | None = None) -> PublicKey:
        """See `kmsbridge.Keys.public_key`."""
        return await self._way.call("keys.public_key", lambda: self._keys.public_key(key, version, timeout=timeout))

    async def sign(
        self,
        key: str,
        message: bytes | None = None,
        *,
        algorithm: SignatureAlgorithm | str,
        digest: bytes | None = None,
        timeout: float | None = None,
    ) -> Signature:
        """See `kmsbridge.Keys.sign`."""
        return await self._way.call(
            "keys.sign", lambda: self._keys.sign(key, message, algorithm=algorithm, digest=digest, timeout=timeout)
        )

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
        """See `kmsbridge.Keys.verify`."""
        return await self._way.call(
            "keys.verify",
            lambda: self._keys.verify(
                key, message, signature, algorithm=algorithm, digest=digest, version=version, timeout=timeout
            ),
        )

    async def encrypt(
        self, key: str, plaintext: bytes, *, context: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> Ciphertext:
        """See `kmsbridge.Keys.encrypt`."""
        return await self._way.call(
            "keys.encrypt", lambda: self._keys.encrypt(key, plaintext, context=context, timeout=timeout)
        )

    async def decrypt(
        self,
        key: str,
        ciphertext: Ciphertext | bytes,
        *,
        context: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> bytes:
        """See `kmsbridge.Keys.decrypt`."""
        return await self._way.call(
            "keys.decrypt", lambda: self._keys.decrypt(key, ciphertext, context=context, timeout=timeout)
        )

    async def wrap(self, key: str, data_key: bytes, *, timeout: float | None = None) -> Ciphertext:
        """See `kmsbridge.Keys.wrap`."""
        return await self._way.call("keys.wrap", lambda: self._keys.wrap(key, data_key, timeout=timeout))

    async def unwrap(self, key: str, wrapped: Ciphertext | bytes, *, timeout: float | None = None) -> bytes:
        """See `kmsbridge.Keys.unwrap`."""
        return await self._way.call("keys.unwrap", lambda: self._keys.unwrap(key, wrapped, timeout=timeout))

    async def generate_data_key(
        self, key: str, *, context: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> DataKey:
        """See `kmsbridge.Keys.generate_data_key`."""
        return await self._way.call(
            "keys.generate_data_key", lambda: self._keys.generate_data_key(key, context=context, timeout=timeout)
        )

    async def each(
        self, operation: str, key: str, blobs: Iterable[bytes], context: Mapping[str, str] | None = None
    ) -> Sequence[KMSError | None]:
        """What ``decrypt`` or ``unseal`` says of each of many blobs: its error, None where it opens.

        The witness looks at the first error of each text alone: there may be thousands.
        """
        method = getattr(self._keys, operation)
        errors: builtins.list[KMSError | None] = []
        seen: set[str] = set()
        for blob in blobs:
            try:
                opened = method(key, blob, context=context)
                if isinstance(opened, Awaitable):
                    await opened
                errors.append(None)
            except KMSError as error:
                errors.append(error)
                if str(error) not in seen:
                    seen.add(str(error))
                    self._way.check(f"keys.{operation}", error)
        return errors

    def native(self, key: str) -> str:
        """The backend's own name of a key, as containers and envelopes hold it."""
        return self._keys._operations._names.native(key)  # noqa: SLF001 - applications have no use for it

    @property
    def provider(self) -> str:
        """The provider's name, as containers and envelopes hold it."""
        return self._keys._operations._calls.provider  # noqa: SLF001


class _Way:
    """How a view calls its face, in one mode."""

    def __init__(self, mode: Mode, witness: Witness) -> None:
        self._mode = mode
        self._witness = witness

    async def call(self, operation: str, make: Callable[[], Awaitable[T] | T]) -> T:
        try:
            made = make()
            assert isinstance(made, Awaitable) is (self._mode is Mode.ASYNC), f"{operation} returned {type(made)}"
            result = await cast("Awaitable[T]", made) if self._mode is Mode.ASYNC else cast("T", made)
        except KMSError as error:
            failure = error
        else:
            self._witness.result(operation, result)
            return result
        self.check(operation, failure)
        raise failure

    async def items(self, operation: str, listing: Iterator[T] | AsyncIterator[T]) -> AsyncGenerator[T, None]:
        if self._mode is Mode.ASYNC:
            assert isinstance(listing, AsyncIterator), f"{operation} returned {type(listing)}"
        else:
            assert isinstance(listing, Iterator), f"{operation} returned {type(listing)}"
        end = object()

        def following() -> Awaitable[T | object] | T | object:
            return anext(listing, end) if isinstance(listing, AsyncIterator) else next(listing, end)

        try:
            while (item := await self.call(operation, following)) is not end:
                yield cast("T", item)
        finally:
            close: Callable[[], Any] = getattr(listing, "aclose" if self._mode is Mode.ASYNC else "close")
            closing = close()
            if self._mode is Mode.ASYNC:
                await closing

    def check(self, operation: str, error: KMSError) -> None:
        """What holds for every error that leaves a bridge."""
        self._witness.error(error, _library_part(error.__traceback__))
        assert type(error) is CLASS_OF[error.code], f"{error.code} was raised as {type(error).__name__}"
        assert error.provider, f"no provider is named in: {error}"
        assert error.operation == operation
        assert error.message, "an error says nothing"
        assert error.remediation, "an error says nothing about what to do"
        assert "\n" not in str(error)
        assert error.elapsed >= 0
        assert error.attempts >= 0
        foreign = [type(link) for link in linked(error) if not isinstance(link, KMSError)]
        assert not foreign, f"a foreign exception hangs on {error!r}: {foreign}"
        assert pickle.loads(pickle.dumps(error)).to_dict() == error.to_dict()  # noqa: S301 - pickled on this line


def _library_part(traceback: TracebackType | None) -> TracebackType | None:
    """A traceback without the frames of the view and the case, which hold values rightly."""
    while traceback is not None and traceback.tb_frame.f_code.co_filename == __file__:
        traceback = traceback.tb_next
    return traceback


async def _result(make: Callable[[], Coroutine[Any, Any, T]]) -> T | KMSError:
    try:
        return await make()
    except KMSError as error:
        return error


def _finish(body: Coroutine[Any, Any, T]) -> T:
    """Run to its end what never suspends: a view of the sync bridge."""
    try:
        body.send(None)
    except StopIteration as done:
        return cast("T", done.value)
    body.close()
    raise AssertionError("the view of a sync bridge was made to wait")
