"""What differs between the sync and the async bridge: waiting.

Every portable operation and driver method is one ``async def``. The async bridge
awaits it. The sync bridge runs the same coroutine with one ``send(None)``: nothing in
it suspends, because it waits only through its `Runtime`, and the blocking runtime's
methods block instead of suspending.

Laws of such a body, each with a test in ``tests/test_runtime.py``:

- it waits only through its runtime; inner generators run under `contextlib.aclosing`;
- it holds no lock and no flight at a ``yield``;
- what a single flight makes never asks the same flight for its own key;
- no ``next()``: a StopIteration inside a coroutine turns into a RuntimeError.
"""

from __future__ import annotations

import os
import threading
import time
from types import coroutine
from typing import Any, Generic, Protocol, TypeVar, cast

from kmsbridge._errors import KMSError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Awaitable, Callable, Coroutine, Generator, Hashable, Sequence
    from concurrent.futures import ThreadPoolExecutor

T = TypeVar("T")
K = TypeVar("K", bound="Hashable")


def drive(body: Coroutine[Any, Any, T]) -> T:
    """Run a body of the blocking runtime to its end.

    The traceback of an error of ours starts here: the frames below hold values.
    """
    found: list[T] = []
    run: Any = _run(body, found)  # a generator, which types know as an awaitable
    try:
        if next(run, _ENDED) is _ENDED:
            return found[0]
    except KMSError as error:
        raised = error.with_traceback(None)
    else:
        run.close()
        raise RuntimeError("a body under the sync bridge tried to suspend: it waited for something but its runtime")
    try:
        raise raised
    finally:
        del raised  # the traceback holds this frame: no cycle


_ENDED = object()


@coroutine
def _run(body: Coroutine[Any, Any, T], found: list[T]) -> Generator[Any, Any, None]:
    """Run a body. By `send` alone its result would be raised, and that takes longer."""
    found.append((yield from body))


async def deliver(body: Coroutine[Any, Any, T]) -> T:
    """Await a body of the asyncio runtime; errors are cut as by `drive`."""
    try:
        return await body
    except KMSError as error:
        raised = error.with_traceback(None)
    try:
        raise raised
    finally:
        del raised


class NotStarted(TimeoutError):
    """There was no thread for a blocking function in time: it has not run, and will not."""


class _Process:
    """The scope of what lives as long as the process."""


PROCESS = _Process()


class Runtime(Protocol):
    """How a body waits."""

    async def settle(self, value: Awaitable[T] | T) -> T:
        """The result of one half of an SDK pair: awaited, or there already."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    async def in_thread(self, function: Callable[[], T], timeout: float | None = None) -> T:
        """Run a blocking function without holding up an event loop.

        Raises:
            NotStarted: No thread was free for `timeout` seconds. What has started is waited
                for: it has the same deadline, and knows whether it changed anything.
        """
        ...

    async def gather(self, makers: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
        """The results of all, in order; side by side where there is an event loop."""
        ...

    @property
    def now(self) -> Callable[[], float]:
        """The clock of deadlines, in seconds: it never goes back."""
        ...

    @property
    def scope(self) -> Callable[[], object]:
        """Gives what an SDK client lives and dies with: the running loop, or `PROCESS`."""
        ...

    async def wait(self, flight: Flight[Any], timeout: float | None) -> None:
        """Wait until the leader of a flight has left it, or TimeoutError after `timeout` seconds."""
        ...


class BlockingRuntime:
    """Waiting by blocking the thread."""

    now = staticmethod(time.monotonic)

    async def settle(self, value: Awaitable[T] | T) -> T:
        """The value itself; an awaitable is a mistake of the driver."""
        if hasattr(value, "__await__"):
            close: Callable[[], object] = getattr(value, "close", lambda: None)
            close()  # a coroutine that nobody awaits would warn
            raise RuntimeError("an async SDK client was given to the sync bridge")
        result: Any = value
        return cast("T", result)

    async def sleep(self, seconds: float) -> None:
        """Block for so long."""
        time.sleep(seconds)

    async def in_thread(self, function: Callable[[], T], timeout: float | None = None) -> T:
        """Call it here: this thread may block."""
        del timeout
        return function()

    async def gather(self, makers: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
        """One after the other."""
        return [await make() for make in makers]

    def scope(self) -> object:
        """Sync clients live as long as the process."""
        return PROCESS

    async def wait(self, flight: Flight[Any], timeout: float | None) -> None:
        """Block until then."""
        left = threading.Lock()  # an Event has a lock inside that an interrupt may leave held: see `Permits`
        left.acquire()
        flight.when_left(left.release)
        if not left.acquire(timeout=-1 if timeout is None else min(timeout, threading.TIMEOUT_MAX)):
            raise TimeoutError


class AsyncioRuntime:
    """Waiting in the running asyncio event loop."""

    now = staticmethod(time.monotonic)

    def __init__(self, parallel: int = 16) -> None:
        import asyncio

        self._parallel = parallel
        self.scope: Callable[[], AbstractEventLoop] = asyncio.get_running_loop

    async def settle(self, value: Awaitable[T] | T) -> T:
        """Await it, if it is to be awaited."""
        if hasattr(value, "__await__"):
            return await cast("Awaitable[T]", value)
        result: Any = value
        return cast("T", result)

    async def sleep(self, seconds: float) -> None:
        """Let the loop go on for so long."""
        import asyncio

        await asyncio.sleep(seconds)

    async def in_thread(self, function: Callable[[], T], timeout: float | None = None) -> T:
        """In a thread of ours: the loop's own executor is the application's, and may be full."""
        import asyncio
        from contextvars import copy_context

        job = _threads().submit(copy_context().run, function)
        done = asyncio.wrap_future(job)
        try:
            await asyncio.wait((done,), timeout=timeout)
            if not done.done() and job.cancel():
                raise NotStarted
            return await done
        finally:
            job.cancel()  # one that has not started never will
            done.cancel()  # nobody is left to hear of it

    async def gather(self, makers: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
        """A few at a time; when one fails or we are cancelled, none is left running."""
        import asyncio

        permits = asyncio.Semaphore(self._parallel)

        async def run(make: Callable[[], Awaitable[T]]) -> T:
            async with permits:
                return await make()

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(run(make)) for make in makers]
            return [task.result() for task in tasks]
        except BaseExceptionGroup as failures:
            first = failures.exceptions[0]
        raise first  # as the blocking runtime does, which has no group

    async def wait(self, flight: Flight[Any], timeout: float | None) -> None:
        """Let the loop go on until then."""
        import asyncio
        from contextlib import suppress

        loop = asyncio.get_running_loop()
        left = asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop has been closed: nobody is waiting there
                loop.call_soon_threadsafe(left.set)

        flight.when_left(wake)
        async with asyncio.timeout(timeout):
            await left.wait()


BLOCKING = BlockingRuntime()

THREADS = 32
"""How many blocking functions run side by side under the async bridges of a process."""
_pool: ThreadPoolExecutor | None = None


def _threads() -> ThreadPoolExecutor:
    global _pool  # noqa: PLW0603 - one for the process, made when it is first needed
    if _pool is None:
        from concurrent.futures import ThreadPoolExecutor

        _pool = ThreadPoolExecutor(THREADS, "kmsbridge")
    return _pool


def _forget_threads() -> None:
    global _pool  # noqa: PLW0603 - threads are not inherited
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


class Flight(Generic[T]):
    """One making of one thing, that any number of callers wait for."""

    def __init__(self) -> None:
        self.leader: tuple[int, object | None] | None = None
        """The thread and task that makes it; None before and after."""
        self.callers = 0
        self.landed = False
        self.value: T | None = None
        self.error: Exception | None = None
        self._waiting: list[Callable[[], object]] = []
        self._lock = threading.Lock()

    def when_left(self, wake: Callable[[], object]) -> None:
        """Call `wake` when the leader has left: landed or given up; at once if there is none."""
        with self._lock:
            if self.leader is not None:
                self._waiting.append(wake)
                return
        wake()

    def wake(self) -> None:
        """Wake everybody."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for wake in waiting:
            wake()

    def result(self) -> T:
        """What was made; a waiter's own copy of an error of ours."""
        if self.error is not None:
            raise self.error.copy() if isinstance(self.error, KMSError) else self.error.with_traceback(None)
        return cast("T", self.value)


class SingleFlight(Generic[K, T]):
    """Many callers ask for one thing at once, and it is made once.

    Works across threads and event loops. When a maker fails, every waiter gets the
    error (a copy, for one of ours); when it is cancelled or interrupted, a waiter
    takes over.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[K, Flight[T]] = {}

    async def do(
        self,
        runtime: Runtime,
        key: K,
        make: Callable[[], Awaitable[T]],
        time_left: Callable[[], float | None] = lambda: None,
    ) -> T:
        """What `make` returns for this key, made by us or by who came first."""
        us = (threading.get_ident(), _task())
        with self._lock:
            if (flight := self._flights.get(key)) is None:
                flight = self._flights[key] = Flight[T]()
            elif flight.leader == us:
                raise RuntimeError("the maker of a single flight asked for its own key")
            flight.callers += 1
        try:
            while True:
                with self._lock:
                    if flight.landed:
                        return flight.result()
                    if flight.leader is None:
                        flight.leader = us
                        break
                await runtime.wait(flight, time_left())
            try:
                flight.value = await make()
                flight.landed = True
            except Exception as error:
                flight.error, flight.landed = error, True
                raise
            return flight.value
        finally:
            with self._lock:
                flight.callers -= 1
                if led := flight.leader == us:
                    flight.leader = None
                if (flight.landed or not flight.callers) and self._flights.get(key) is flight:
                    del self._flights[key]
            if led:
                flight.wake()


def _task() -> object | None:
    """The running asyncio task; None outside of one, without importing asyncio."""
    import sys

    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return None
    try:
        return cast("object", asyncio.current_task())
    except (RuntimeError, AttributeError):  # outside of a loop; another thread is importing asyncio
        return None
