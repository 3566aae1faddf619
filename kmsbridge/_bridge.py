"""The faces of kmsbridge: `connect` and `connect_async`, and what they give.

Every method is one line: the work is in `kmsbridge._secrets`. A method that is given a
value drops it before the call starts, so that the traceback of an error does not hold it.
"""

from __future__ import annotations

from typing import TypeVar

from kmsbridge._errors import Category, Code, KMSError
from kmsbridge._model import Health
from kmsbridge._runtime import BLOCKING, AsyncioRuntime, deliver, drive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
    from datetime import datetime
    from typing import Any, Self

    from kmsbridge._call import Call
    from kmsbridge._errors import Identity
    from kmsbridge._model import Capabilities, Page, Secret, SecretInfo
    from kmsbridge._runtime import Runtime
    from kmsbridge._secrets import SecretOperations
    from kmsbridge._telemetry import Event

T = TypeVar("T")

HEALTH_SECONDS = 2.0


def connect(
    target: str | None = None,
    *,
    timeout: float = 30.0,
    credential: object | None = None,
    on_event: Callable[[Event], object] | None = None,
    debug_causes: bool = False,
) -> Bridge:
    """A bridge to the backend that a URL or the configuration names. Does no I/O beyond reading the file.

    Args:
        target: A URL such as ``local:`` or the name of a profile; without it
            ``KMSBRIDGE_PROFILE`` decides, then ``default`` in the configuration file.
        timeout: Seconds that a call may take where it does not say itself.
        credential: A credential object of the backend's SDK, instead of its default chain.
        on_event: Called with one `Event` after each call.
        debug_causes: Chain the original exceptions to errors. They may hold secrets:
            for development only.

    Raises:
        InvalidRequestError: Target, configuration or an argument is wrong.
    """
    return Bridge(_Core(target, BLOCKING, timeout, credential, on_event, debug_causes))


def connect_async(
    target: str | None = None,
    *,
    timeout: float = 30.0,
    credential: object | None = None,
    on_event: Callable[[Event], object] | None = None,
    debug_causes: bool = False,
) -> AsyncBridge:
    """As `connect`, for asyncio. A plain function: nothing is awaited here."""
    return AsyncBridge(_Core(target, AsyncioRuntime(), timeout, credential, on_event, debug_causes))


class _Core:
    """What both faces stand on. Loads the machinery, which ``import kmsbridge`` leaves alone."""

    def __init__(
        self,
        target: str | None,
        runtime: Runtime,
        timeout: float,
        credential: object | None,
        on_event: Callable[[Event], object] | None,
        debug_causes: bool,
    ) -> None:
        from kmsbridge import _config, _registry
        from kmsbridge._call import Calls
        from kmsbridge._names import Names
        from kmsbridge._secrets import SecretOperations

        profile = _config.resolve(target)
        location = profile.location(credential)
        provider = _registry.provider_for(location.scheme)
        settings = provider.configure(location)
        hold = _registry.Hold(provider, settings, runtime)
        self.calls = Calls(hold, provider.decoder, timeout=timeout, on_event=on_event, debug_causes=debug_causes)
        self.capabilities = settings.capabilities
        names = Names(settings.secret_names, profile.secrets)
        self.secrets = SecretOperations(self.calls, names, self.capabilities.secrets)
        self.title = provider.name if profile.name is None else f"{provider.name}, profile {profile.name!r}"

    async def health(self, timeout: float) -> Health:
        async def body(call: Call) -> Health:
            driver = await call.driver()
            identity = await driver.health(call)
            return Health(self.calls.provider, True, True, True, identity=identity, elapsed=timeout - call.time_left())

        try:
            return await self.calls.run("health", body, timeout)
        except KMSError as error:
            return _unhealthy(error)


def _unhealthy(error: KMSError) -> Health:
    """What an error says of reachability, credential and key; None where it says nothing."""
    code, category = error.code, error.category
    key_trouble = code in (Code.KEY_ACCESS_REVOKED, Code.KEY_VERSION_UNUSABLE, Code.DEPENDENCY_UNAVAILABLE)
    unreachable = code in (Code.NETWORK_ERROR, Code.TIMEOUT)
    answered = error.http_status is not None
    return Health(
        provider=error.provider or "",
        reachable=False if unreachable else True if answered or key_trouble else None,
        authenticated=False if category is Category.AUTHENTICATION else True if key_trouble else None,
        key_usable=False if key_trouble else None,
        code=code,
        fault=error.fault,
        message=error.message,
        remediation=error.remediation,
        identity=error.identity,
        elapsed=error.elapsed,
    )


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
        return _items(self._operations.list(prefix, timeout))

    def versions(self, name: str, *, timeout: float | None = None) -> Iterator[SecretInfo]:
        """The versions of a secret, newest first."""
        return _items(self._operations.versions(name, timeout))

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
        return _items(self._operations.deleted(timeout))

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
        return _async_items(self._operations.list(prefix, timeout))

    def versions(self, name: str, *, timeout: float | None = None) -> AsyncIterator[SecretInfo]:
        """See `Secrets.versions`."""
        return _async_items(self._operations.versions(name, timeout))

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
        return _async_items(self._operations.deleted(timeout))

    async def recover(self, name: str, *, timeout: float | None = None) -> SecretInfo:
        """See `Secrets.recover`."""
        return await deliver(self._operations.recover(name, timeout))

    async def purge(self, name: str, *, timeout: float | None = None) -> None:
        """See `Secrets.purge`."""
        return await deliver(self._operations.purge(name, timeout))


class Bridge:
    """A bridge to one backend, for blocking code. Made by `connect`; may be shared by threads."""

    def __init__(self, core: _Core) -> None:
        self._core = core
        self.secrets = Secrets(core.secrets)

    @property
    def capabilities(self) -> Capabilities:
        """What this backend can do, known without asking it."""
        return self._core.capabilities

    def health(self, *, timeout: float = HEALTH_SECONDS) -> Health:
        """Ask the backend one harmless thing. A failure of the backend is in the result, never raised."""
        return drive(self._core.health(timeout))

    def close(self) -> None:
        """Let go of the backend; later calls raise PreconditionError."""
        drive(self._core.calls.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<kmsbridge.Bridge to {self._core.title}>"


class AsyncBridge:
    """A bridge to one backend, for asyncio. Made by `connect_async`; may be used from several loops."""

    def __init__(self, core: _Core) -> None:
        self._core = core
        self.secrets = AsyncSecrets(core.secrets)

    @property
    def capabilities(self) -> Capabilities:
        """See `Bridge.capabilities`."""
        return self._core.capabilities

    async def health(self, *, timeout: float = HEALTH_SECONDS) -> Health:
        """See `Bridge.health`."""
        return await deliver(self._core.health(timeout))

    async def aclose(self) -> None:
        """See `Bridge.close`."""
        await self._core.calls.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<kmsbridge.AsyncBridge to {self._core.title}>"


def _items(fetch: Callable[[str | None], Coroutine[Any, Any, Page[T]]]) -> Iterator[T]:
    """The items of all pages; nothing is held between two of them."""
    cursor: str | None = None
    while True:
        page = drive(fetch(cursor))
        yield from page.items
        if (cursor := page.cursor) is None:
            return


async def _async_items(fetch: Callable[[str | None], Coroutine[Any, Any, Page[T]]]) -> AsyncIterator[T]:
    cursor: str | None = None
    while True:
        page = await deliver(fetch(cursor))
        for item in page.items:
            yield item
        if (cursor := page.cursor) is None:
            return
