"""`connect` and `connect_async`, and the bridges they give."""

from __future__ import annotations

from kmsbridge._errors import Category, Code, InvalidRequestError, KMSError, Outcome
from kmsbridge._faces import AsyncKeys, AsyncSecrets, Keys, Secrets
from kmsbridge._runtime import BLOCKING, AsyncioRuntime, deliver, drive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from kmsbridge._call import Call
    from kmsbridge._model import Capabilities, Health
    from kmsbridge._retry import RetryPolicy
    from kmsbridge._runtime import Runtime
    from kmsbridge._telemetry import Event, Stats

HEALTH_SECONDS = 2.0


def connect(
    target: str | None = None,
    *,
    timeout: float = 30.0,
    retry: RetryPolicy | None = None,
    credential: object | None = None,
    on_event: Callable[[Event], object] | None = None,
    debug_causes: bool = False,
) -> Bridge:
    """A bridge to the backend that a URL or the configuration names. Does no I/O beyond reading the file.

    Args:
        target: A URL such as ``local:`` or the name of a profile; without it
            ``KMSBRIDGE_PROFILE`` decides, then ``default`` in the configuration file.
        timeout: Seconds that a call may take where it does not say itself.
        retry: How calls are tried again; None for the profile's table ``retry``, else the default.
            ``RetryPolicy(attempts=1)`` switches it off.
        credential: A credential object of the backend's SDK, instead of its default chain.
        on_event: Called with one `Event` after each attempt and after each call; see `kmsbridge.telemetry`.
        debug_causes: Chain the original exceptions to errors. They may hold secrets:
            for development only.

    Raises:
        InvalidRequestError: Target, configuration or an argument is wrong.
    """
    return Bridge(_Core(target, BLOCKING, timeout, retry, credential, on_event, debug_causes))


def connect_async(
    target: str | None = None,
    *,
    timeout: float = 30.0,
    retry: RetryPolicy | None = None,
    credential: object | None = None,
    on_event: Callable[[Event], object] | None = None,
    debug_causes: bool = False,
) -> AsyncBridge:
    """As `connect`, for asyncio. A plain function: nothing is awaited here."""
    return AsyncBridge(_Core(target, AsyncioRuntime(), timeout, retry, credential, on_event, debug_causes))


class _Core:
    """What both faces stand on. Loads the machinery, which ``import kmsbridge`` leaves alone."""

    def __init__(
        self,
        target: str | None,
        runtime: Runtime,
        timeout: float,
        retry: RetryPolicy | None,
        credential: object | None,
        on_event: Callable[[Event], object] | None,
        debug_causes: bool,
    ) -> None:
        from kmsbridge import _config, _registry
        from kmsbridge._call import Calls
        from kmsbridge._keys import KeyOperations
        from kmsbridge._names import Names
        from kmsbridge._retry import check_policy, policy_from
        from kmsbridge._secrets import SecretOperations

        profile = _config.resolve(target)
        try:
            location = profile.location(credential)
            provider = _registry.provider_for(location.scheme)
            settings = provider.configure(location)
            secret_names = Names(settings.secret_names, profile.secrets)
            key_names = Names(settings.key_names, profile.keys, "key")
            policy = policy_from(profile.retry)
        except InvalidRequestError as error:
            profile.blame(error)
            raise
        hold = _registry.Hold(provider, settings, runtime)
        if retry is not None:
            policy = check_policy(retry)
        self.calls = Calls(
            hold, provider.decoder, timeout=timeout, policy=policy, on_event=on_event, debug_causes=debug_causes
        )
        self.capabilities = settings.capabilities
        self.secrets = SecretOperations(self.calls, secret_names, self.capabilities.secrets, "secret")
        self.keys = KeyOperations(self.calls, key_names, self.capabilities.keys, "key")
        self._decoder = provider.decoder
        self.title = provider.name if profile.name is None else f"{provider.name}, profile {profile.name!r}"

    async def health(self, timeout: float) -> Health:
        from kmsbridge._model import Health

        async def body(call: Call) -> Health:
            driver = await call.driver()
            identity = await driver.health(call)
            return Health(self.calls.provider, True, True, True, identity=identity, elapsed=timeout - call.time_left())

        try:
            return await self.calls.run("health", body, timeout)
        except KMSError as error:
            return _unhealthy(error, self._decoder.key_usable(error))


def _unhealthy(error: KMSError, key_usable: bool | None) -> Health:
    """What an error says of reachability and credential, beside the key; None where it says nothing."""
    from kmsbridge._model import Health

    code, category = error.code, error.category
    key_trouble = key_usable is False
    unreachable = code in (Code.NETWORK_ERROR, Code.TIMEOUT)
    known = key_trouble or (category is Category.PERMISSION_DENIED and code is not Code.NETWORK_FORBIDDEN)
    answered = error.http_status is not None and error.outcome is not Outcome.NOT_SENT  # else a token service did
    return Health(
        provider=error.provider or "",
        reachable=False if unreachable else True if answered or key_trouble else None,
        authenticated=False if category is Category.AUTHENTICATION else True if known else None,
        key_usable=key_usable,
        code=code,
        fault=error.fault,
        message=error.message,
        remediation=error.remediation,
        identity=error.identity,
        elapsed=error.elapsed,
    )


class Bridge:
    """A bridge to one backend, for blocking code. Made by `connect`; may be shared by threads."""

    def __init__(self, core: _Core) -> None:
        self._core = core
        self.secrets = Secrets(core.secrets)
        self.keys = Keys(core.keys)

    @property
    def capabilities(self) -> Capabilities:
        """What this backend can do, known without asking it."""
        return self._core.capabilities

    def health(self, *, timeout: float = HEALTH_SECONDS) -> Health:
        """Ask the backend one harmless thing. A failure of the backend is in the result, never raised."""
        return drive(self._core.health(timeout))

    def stats(self) -> Stats:
        """What became of this bridge's calls so far. Asks nobody."""
        return self._core.calls.stats()

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
        self.keys = AsyncKeys(core.keys)

    @property
    def capabilities(self) -> Capabilities:
        """See `Bridge.capabilities`."""
        return self._core.capabilities

    async def health(self, *, timeout: float = HEALTH_SECONDS) -> Health:
        """See `Bridge.health`."""
        return await deliver(self._core.health(timeout))

    def stats(self) -> Stats:
        """See `Bridge.stats`."""
        return self._core.calls.stats()

    async def aclose(self) -> None:
        """See `Bridge.close`."""
        await self._core.calls.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<kmsbridge.AsyncBridge to {self._core.title}>"
