"""Which provider answers a scheme, and the open drivers that all bridges share.

A driver is opened once per backend address and identity: under the sync bridge once
per process, under the async bridge once per running loop, because an async client dies
with its loop. It is closed 5 s after the last bridge has let go of it, and at the end
of the loop or process. In a forked child everything is made anew: a connection that
two processes share hands one the other's answers.
"""

from __future__ import annotations

import atexit
import os
import re
import threading
from contextlib import suppress
from typing import NamedTuple, cast
from weakref import WeakKeyDictionary, WeakSet

from kmsbridge._errors import Outcome, PreconditionError, UnsupportedError, invalid
from kmsbridge._runtime import PROCESS, SingleFlight, drive

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator, Hashable
    from importlib.metadata import EntryPoint

    from kmsbridge._call import Call
    from kmsbridge._driver import Driver, Provider, Settings
    from kmsbridge._runtime import Runtime

IDLE_SECONDS = 5.0
"""How long a driver is kept after the last bridge has let go of it."""
GROUP = "kmsbridge.providers"
"""The entry points by which other distributions add a provider; the name is the scheme."""

_SAME_PROVIDER = {"memory": "local"}


# -- which provider ---------------------------------------------------------------------


def provider_for(scheme: str) -> Provider:
    """The provider of a URL scheme: by module name first, which is fast, then by entry point.

    Raises:
        InvalidRequestError: None answers to it, or more than one does.
    """
    if re.fullmatch(r"[a-z][a-z0-9-]*", scheme):
        module = "kmsbridge_" + _SAME_PROVIDER.get(scheme, scheme).replace("-", "_")
        try:
            found = __import__(module)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
        else:
            if hasattr(found, "configure"):  # the empty folder of a removed provider can be imported too
                return cast("Provider", found)
    points = [point for point in _entry_points() if point.name == scheme]
    if len(points) == 1:
        return cast("Provider", points[0].load())
    if not points:
        known = ", ".join(schemes()) or "none"
        raise invalid(f"no provider answers to the scheme {scheme!r}", "url", remediation=f"Known here: {known}.")
    names = " and ".join(sorted(f"{point.dist.name if point.dist else '?'} ({point.value})" for point in points))
    raise invalid(f"the scheme {scheme!r} is claimed by {names}", "url", remediation="Uninstall one of them.")


def schemes() -> list[str]:
    """The schemes of all installed providers."""
    return sorted({point.name for point in _entry_points()})


def _entry_points() -> list[EntryPoint]:
    from importlib.metadata import entry_points

    return list(entry_points(group=GROUP))


# -- open drivers -----------------------------------------------------------------------


class _Key(NamedTuple):
    provider: str
    address: Hashable
    identity: Hashable


class _Entry:
    """One open driver and the bridges that hold it."""

    def __init__(self, key: _Key, scope: object, driver: Driver) -> None:
        self.key = key
        self.scope = scope
        self.driver = driver
        self.holders: WeakSet[Hold] = WeakSet()
        self.timer: threading.Timer | asyncio.TimerHandle | None = None


class _Scope:
    """The open drivers of one loop, or of the process."""

    def __init__(self) -> None:
        self.entries: dict[_Key, _Entry] = {}
        self.keeper: AsyncGenerator[None, None] | None = None
        self.closing: set[asyncio.Task[None]] = set()


class Drivers:
    """The open drivers of this process."""

    def __init__(self) -> None:
        self.generation = 0
        """Goes up when what is open may no longer be used."""
        self._abandoned: list[object] = []
        self._renew()

    def _renew(self) -> None:
        self._lock = threading.RLock()  # a finalizer or signal handler may close a bridge in the middle
        self._scopes: WeakKeyDictionary[object, _Scope] = WeakKeyDictionary()
        self._opening: SingleFlight[tuple[int, _Key], None] = SingleFlight()

    def forget(self) -> None:
        """In a forked child: what is open belongs to the parent, and is neither used nor closed here."""
        self._abandoned.append((self._lock, dict(self._scopes), self._opening))
        self.generation += 1
        self._renew()

    async def take(self, hold: Hold, call: Call) -> Driver:
        """The open driver for a hold, counted once; opened by one caller where many ask at once."""
        scope = hold.runtime.scope()
        key = _Key(hold.provider.name, hold.settings.address, hold.settings.identity)

        async def open_driver() -> None:
            entry = _Entry(key, scope, await _opened(hold))
            with self._lock:
                for other in list(self._scopes):
                    if other is not PROCESS and cast("asyncio.AbstractEventLoop", other).is_closed():
                        del self._scopes[other]  # its drivers died with it
                drivers = self._scopes.setdefault(scope, _Scope())
                drivers.entries[key] = entry
                self._start_clock(entry)  # whoever waits for it may have gone meanwhile
                if scope is PROCESS or drivers.keeper is not None:
                    return
                keeper = drivers.keeper = _keep(drivers)
            await anext(keeper)

        while True:
            with self._lock:
                if hold.closed:
                    raise _bridge_closed()
                drivers = self._scopes.get(scope)
                if drivers is not None and (entry := drivers.entries.get(key)) is not None:
                    entry.holders.add(hold)
                    if entry.timer is not None:
                        entry.timer.cancel()
                        entry.timer = None
                    hold.ready = (scope, self.generation, entry.driver)
                    return entry.driver
            await self._opening.do(hold.runtime, (id(scope), key), open_driver, call.time_left)

    def give(self, hold: Hold) -> None:
        """Let go of what a hold has; the last one out starts the clock."""
        with self._lock:
            hold.closed = True
            hold.ready = None
            for drivers in list(self._scopes.values()):
                for entry in drivers.entries.values():
                    if hold in entry.holders:
                        entry.holders.discard(hold)
                        if not entry.holders:
                            self._start_clock(entry)

    def _start_clock(self, entry: _Entry) -> None:
        with suppress(RuntimeError):  # the process ends, or the loop has: there is no later
            if entry.scope is PROCESS:
                entry.timer = threading.Timer(IDLE_SECONDS, self._close_idle, (entry,))
                entry.timer.daemon = True
                entry.timer.start()
            else:
                loop = cast("asyncio.AbstractEventLoop", entry.scope)
                loop.call_soon_threadsafe(self._arm, entry, loop)

    def _arm(self, entry: _Entry, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            if not entry.holders and entry.timer is None:
                entry.timer = loop.call_later(IDLE_SECONDS, self._close_idle, entry)

    def _close_idle(self, entry: _Entry) -> None:
        with self._lock:
            drivers = self._scopes.get(entry.scope)
            if entry.holders or drivers is None or drivers.entries.get(entry.key) is not entry:
                return
            del drivers.entries[entry.key]
        if entry.scope is PROCESS:
            drive(_closed(entry.driver))
        else:
            loop = cast("asyncio.AbstractEventLoop", entry.scope)
            task = loop.create_task(_closed(entry.driver))
            drivers.closing.add(task)
            task.add_done_callback(drivers.closing.discard)

    def close_process(self) -> None:
        """At exit: close what is open and bound to no loop."""
        with self._lock:
            drivers = self._scopes.pop(PROCESS, None)
            self.generation += 1
        for entry in [] if drivers is None else drivers.entries.values():
            drive(_closed(entry.driver))


async def _opened(hold: Hold) -> Driver:
    try:
        return await hold.provider.open(hold.settings, hold.runtime)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in ("", "kmsbridge", getattr(hold.provider, "__name__", "").partition(".")[0]):
            raise
    name = hold.provider.name
    raise UnsupportedError(
        f"the provider {name} needs the package {missing!r}, which is not installed",
        outcome=Outcome.NOT_SENT,
        remediation=f"pip install 'kmsbridge[{name}]'",
    )


async def _closed(driver: Driver) -> None:
    try:
        await driver.close()
    except Exception:  # nobody is left to be told but the log
        import logging

        logging.getLogger("kmsbridge").exception("an idle driver could not be closed")


async def _keep(drivers: _Scope) -> AsyncGenerator[None, None]:
    """Closes the drivers of a loop when the loop shuts its async generators down, as asyncio.run does."""
    try:
        yield
    finally:
        for entry in list(drivers.entries.values()):
            await _closed(entry.driver)
        drivers.entries.clear()
        drivers.keeper = None  # it holds the loop


DRIVERS = Drivers()
atexit.register(DRIVERS.close_process)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=DRIVERS.forget)


class Hold:
    """One bridge's share in open drivers: taken at the first call, given back at close."""

    def __init__(self, provider: Provider, settings: Settings, runtime: Runtime) -> None:
        self.provider = provider
        self.settings = settings
        self.runtime = runtime
        self.closed = False
        self.ready: tuple[object, int, Driver] | None = None
        """Scope, generation and driver of the last call: one record, so that it is read without a lock."""

    async def driver(self, call: Call) -> Driver:
        """The open driver of the running loop or process.

        Raises:
            PreconditionError: The bridge is closed.
        """
        ready = self.ready
        if ready is not None and ready[0] is self.runtime.scope() and ready[1] == DRIVERS.generation:
            return ready[2]
        return await DRIVERS.take(self, call)

    async def close(self) -> None:
        """Give back what is held."""
        DRIVERS.give(self)


def _bridge_closed() -> PreconditionError:
    return PreconditionError(
        "this bridge is closed",
        outcome=Outcome.NOT_SENT,
        remediation="Connect again, or keep the bridge open for as long as it is used.",
    )
