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

from kmsbridge import AsyncBridge, Bridge, KMSError
from kmsbridge._bridge import HEALTH_SECONDS
from kmsbridge._errors import CLASS_OF
from kmsbridge.contract._witness import linked

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping, Sequence
    from datetime import datetime
    from types import TracebackType
    from typing import Self

    from kmsbridge import AsyncSecrets, Capabilities, Health, Secret, SecretInfo, Secrets
    from kmsbridge.contract._witness import Witness

T = TypeVar("T")


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
