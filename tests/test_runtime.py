"""The laws of a body that is written once, and of many callers who ask for one thing."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from contextlib import aclosing
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

import kmsbridge
from kmsbridge import KMSError, NotFoundError, UnavailableError, _runtime
from kmsbridge._runtime import BLOCKING, PROCESS, AsyncioRuntime, NotStarted, SingleFlight, deliver, drive

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator

WAIT = 10.0
"""Seconds after which a test that should not wait has hung."""


class Suspend:
    """An awaitable that gives control to an event loop that is not there."""

    def __await__(self) -> Generator[None, None, int]:
        yield
        return 0


def thread(work: Callable[[], object]) -> threading.Thread:
    """A started thread."""
    started = threading.Thread(target=work, daemon=True)
    started.start()
    return started


def join(threads: list[threading.Thread]) -> None:
    """Wait for all of them; one that hangs fails the test."""
    until = time.monotonic() + WAIT
    for each in threads:
        each.join(max(0.0, until - time.monotonic()))
    assert not any(each.is_alive() for each in threads)


def depth(error: BaseException) -> int:
    """Entries of its traceback."""
    link, count = error.__traceback__, 0
    while link is not None:
        link, count = link.tb_next, count + 1
    return count


# -- driving a body ------------------------------------------------------------------------


def test_drive_gives_what_the_body_returns() -> None:
    """A body that suspends nowhere runs to its end without an event loop."""

    async def inner() -> int:
        return 40

    async def body() -> int:
        return await inner() + await BLOCKING.settle(2)

    assert drive(body()) == 42


def test_drive_refuses_a_body_that_suspends_and_cleans_it_up() -> None:
    """Waiting for anything but the runtime is a mistake, found at once instead of hanging."""
    left: list[str] = []

    async def body() -> None:
        try:
            await Suspend()
        finally:
            left.append("freed")

    with pytest.raises(RuntimeError, match="tried to suspend"):
        drive(body())
    assert left == ["freed"]


def test_settle_refuses_an_awaitable_under_the_sync_bridge() -> None:
    """An async client given to the sync bridge is named as such, and its coroutine leaves no warning behind."""

    async def exchange() -> int:
        return 1

    async def settled(value: Awaitable[int]) -> int:
        return await BLOCKING.settle(value)

    def refuse(value: Awaitable[int]) -> None:
        with pytest.raises(RuntimeError, match="async SDK client was given to the sync bridge"):
            drive(settled(value))

    refuse(exchange())
    refuse(Suspend())


def test_settle_takes_both_halves_of_a_pair_under_the_async_bridge() -> None:
    """What is there already is returned, what is to be awaited is awaited."""

    async def main() -> tuple[int, int]:
        async def exchange() -> int:
            await asyncio.sleep(0)
            return 1

        runtime = AsyncioRuntime()
        return await runtime.settle(exchange()), await runtime.settle(2)

    assert asyncio.run(main()) == (1, 2)


def test_a_stop_iteration_does_not_end_a_body_quietly() -> None:
    """A `next()` in a body would be taken for its result; Python turns it into a RuntimeError."""

    async def body() -> object:
        return next(iter(()))

    with pytest.raises(RuntimeError, match="coroutine raised StopIteration"):
        drive(body())


async def fail(error: BaseException, levels: int = 5) -> None:
    """Raise from some frames down that hold something."""
    value = "s3cret"
    if levels:
        await fail(error, levels - 1)
    assert value
    raise error


def test_errors_of_ours_start_where_they_are_delivered() -> None:
    """The frames below hold values: they are cut off, in both modes; foreign exceptions keep theirs."""
    with pytest.raises(KMSError) as caught:
        drive(fail(KMSError()))
    assert depth(caught.value) == 2

    async def main() -> None:
        await deliver(fail(KMSError()))

    with pytest.raises(KMSError) as caught:
        asyncio.run(main())
    assert [frame.name for frame in caught.traceback][-2:] == ["main", "deliver"]
    for other in (KeyboardInterrupt(), ValueError()):
        with pytest.raises(type(other)) as foreign:
            drive(fail(other))
        assert [frame.name for frame in foreign.traceback][-6:] == ["fail"] * 6


def test_an_error_raised_while_another_is_handled_by_the_caller_keeps_that_context() -> None:
    """The caller's own exception is the caller's business; nothing of ours is put there."""
    own, error = ValueError("the caller's own"), KMSError()
    try:
        drive(fail(own, 0))
    except ValueError:
        with pytest.raises(KMSError):
            drive(fail(error))
    assert error.__context__ is own


@pytest.mark.parametrize("in_loop", [False, True])
def test_aclosing_frees_what_an_inner_generator_holds_at_once(in_loop: bool) -> None:
    """A loop that is broken off inside a body frees its permit before the body goes on, in a running loop too."""
    permit = threading.Lock()

    async def pages() -> AsyncGenerator[int, None]:
        with permit:
            for number in range(10):
                yield number

    async def outer() -> AsyncGenerator[int, None]:
        async with aclosing(pages()) as numbers:
            async for number in numbers:
                yield number

    async def body() -> bool:
        async with aclosing(outer()) as numbers:
            async for number in numbers:
                assert permit.locked()
                if number == 3:
                    break
        return permit.locked()

    async def main() -> bool:
        return drive(body())

    assert (asyncio.run(main()) if in_loop else drive(body())) is False


# -- what else a runtime does -----------------------------------------------------------------


def test_blocking_calls_stay_here_or_leave_the_loop() -> None:
    """in_thread runs in this thread under the sync bridge and in another one under the async bridge."""
    here = threading.get_ident()
    assert drive(BLOCKING.in_thread(threading.get_ident)) == here

    async def main() -> int:
        return await AsyncioRuntime().in_thread(threading.get_ident)

    assert asyncio.run(main()) != here


def test_the_scope_of_a_client_is_the_process_or_the_running_loop() -> None:
    """An async client lives and dies with its loop."""
    assert BLOCKING.scope() is PROCESS

    async def main() -> bool:
        return AsyncioRuntime().scope() is asyncio.get_running_loop()

    assert asyncio.run(main())
    with pytest.raises(RuntimeError):
        AsyncioRuntime().scope()


def test_sleep_waits() -> None:
    """Both runtimes wait at least as long as asked, the async one without holding up the loop."""
    started = time.monotonic()
    drive(BLOCKING.sleep(0.02))
    assert time.monotonic() - started >= 0.02

    async def main() -> float:
        started = time.monotonic()
        await asyncio.gather(*(AsyncioRuntime().sleep(0.05) for _ in range(20)))
        return time.monotonic() - started

    assert 0.05 <= asyncio.run(main()) < 0.5


def test_gather_keeps_the_order_and_the_limit() -> None:
    """Results come in the order asked for; at most so many run side by side, and one under the sync bridge."""
    running: list[int] = []
    most: list[int] = []

    def makers(sleep: Callable[[float], Awaitable[None]]) -> list[Callable[[], Coroutine[Any, Any, int]]]:
        async def make(number: int) -> int:
            running.append(number)
            most.append(len(running))
            await sleep(0.001 * (number % 3))
            running.remove(number)
            return number

        return [lambda number=number: make(number) for number in range(20)]  # type: ignore[misc]

    assert drive(BLOCKING.gather(makers(BLOCKING.sleep))) == list(range(20))
    assert max(most) == 1

    async def main() -> list[int]:
        runtime = AsyncioRuntime(parallel=4)
        return await runtime.gather(makers(runtime.sleep))

    assert asyncio.run(main()) == list(range(20))
    assert max(most) == 4
    assert drive(BLOCKING.gather([])) == asyncio.run(AsyncioRuntime_gather_nothing()) == []


async def AsyncioRuntime_gather_nothing() -> list[int]:  # noqa: N802
    """Nothing to gather."""
    return await AsyncioRuntime().gather([])


@pytest.mark.parametrize("error", [NotFoundError("gone"), ValueError("wrong")])
def test_gather_raises_the_same_error_in_both_modes_and_leaves_nothing_running(error: Exception) -> None:
    """One failure ends the others, and is raised as it is, not in a group."""
    left: list[str] = []

    async def bad() -> None:
        raise error

    with pytest.raises(type(error), match=str(error.args[0])):
        drive(BLOCKING.gather([bad]))

    async def main() -> None:
        async def slow() -> None:
            try:
                await asyncio.sleep(WAIT)
            finally:
                left.append("freed")

        before = asyncio.all_tasks()
        with pytest.raises(type(error), match=str(error.args[0])):
            await AsyncioRuntime().gather([slow, slow, bad])
        assert asyncio.all_tasks() == before

    asyncio.run(main())
    assert left == ["freed", "freed"]


def test_gather_that_is_cancelled_leaves_nothing_running() -> None:
    """Cancelling the caller cancels what it gathers, started or waiting for its turn."""

    async def main() -> int:
        ended: list[str] = []

        async def slow() -> None:
            try:
                await asyncio.sleep(WAIT)
            finally:
                ended.append("freed")

        task = asyncio.create_task(AsyncioRuntime(parallel=2).gather([slow] * 5))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return len(ended)

    assert asyncio.run(main()) == 2


# -- single flight ------------------------------------------------------------------------------


def waiting(flights: SingleFlight[str, object]) -> int:
    """How many wait for the one flight."""
    flight = flights._flights.get("key")
    return 0 if flight is None else len(flight._waiting)


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, not for ever."""
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        time.sleep(0.001)


async def until_waiting(flights: SingleFlight[str, object], count: int) -> None:
    """Let the loop go on until so many wait."""
    for _ in range(10_000):
        if waiting(flights) == count:
            return
        await asyncio.sleep(0.001)
    pytest.fail("they did not come to wait")


def ask_from_threads(
    count: int, make: Callable[[], Awaitable[object]], flights: SingleFlight[str, object]
) -> list[object]:
    """What that many threads got, who all asked before it was made."""
    results: list[object] = []

    def ask() -> None:
        try:
            results.append(drive(flights.do(BLOCKING, "key", make)))
        except BaseException as error:
            results.append(error)

    size = threading.stack_size(256 * 1024)
    try:
        join([thread(ask) for _ in range(count)])
    finally:
        threading.stack_size(size)
    return results


@pytest.mark.parametrize("outcome", ["value", KMSError("no"), OSError("no")])
def test_a_thousand_threads_make_one_call(outcome: object) -> None:
    """All get its value, or its error: a copy each, for one of ours."""
    flights: SingleFlight[str, object] = SingleFlight()
    calls: list[int] = []

    async def make() -> object:
        calls.append(1)
        until(lambda: waiting(flights) == 999)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    results = ask_from_threads(1_000, make, flights)
    assert len(calls) == 1
    assert len(results) == 1_000
    if isinstance(outcome, KMSError):
        assert {type(result) for result in results} == {KMSError}
        assert len({id(result) for result in results}) == 1_000
        assert all(isinstance(result, KMSError) and depth(result) == 2 for result in results)
    else:
        assert set(results) == {outcome}
    assert not flights._flights


@pytest.mark.parametrize("outcome", ["value", KMSError("no"), OSError("no")])
def test_a_thousand_tasks_make_one_call(outcome: object) -> None:
    """The same between the tasks of a loop."""
    flights: SingleFlight[str, object] = SingleFlight()
    calls: list[int] = []

    async def make() -> object:
        calls.append(1)
        await until_waiting(flights, 999)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def main() -> list[object]:
        runtime = AsyncioRuntime()
        async with asyncio.timeout(WAIT):
            asked = (flights.do(runtime, "key", make) for _ in range(1_000))
            return await asyncio.gather(*asked, return_exceptions=True)

    results = asyncio.run(main())
    assert len(calls) == 1
    if isinstance(outcome, KMSError):
        assert len({id(result) for result in results}) == 1_000
        assert all(isinstance(result, KMSError) for result in results)
    else:
        assert set(results) == {outcome}
    assert not flights._flights


def test_each_key_has_its_own_flight_and_each_round_too() -> None:
    """Two keys are made side by side, and what has landed is made anew for who asks later."""
    flights: SingleFlight[str, object] = SingleFlight()
    made: list[str] = []

    async def make(key: str) -> str:
        made.append(key)
        return key + str(len(made))

    async def body() -> list[object]:
        async def nested() -> object:
            return await flights.do(BLOCKING, "b", lambda: make("b"))

        return [
            await flights.do(BLOCKING, "a", lambda: make("a")),
            await flights.do(BLOCKING, "a", nested),
        ]

    assert drive(body()) == ["a1", "b2"]


def test_a_cancelled_leader_is_replaced_by_a_waiter() -> None:
    """No waiter is cancelled by somebody else's cancellation: one of them leads."""

    async def main() -> tuple[list[object], int]:
        flights: SingleFlight[str, object] = SingleFlight()
        calls: list[int] = []

        async def make() -> object:
            calls.append(1)
            if len(calls) == 1:
                await asyncio.sleep(WAIT)
            return "value"

        runtime = AsyncioRuntime()
        tasks = [asyncio.create_task(flights.do(runtime, "key", make)) for _ in range(10)]
        await until_waiting(flights, 9)
        tasks[0].cancel()
        async with asyncio.timeout(WAIT):
            results = await asyncio.gather(*tasks, return_exceptions=True)
        assert not flights._flights
        return results, len(calls)

    results, calls = asyncio.run(main())
    assert isinstance(results[0], asyncio.CancelledError)
    assert results[1:] == ["value"] * 9
    assert calls == 2


def test_an_interrupted_leader_is_replaced_by_a_waiter() -> None:
    """KeyboardInterrupt in the thread that leads goes to that thread alone; two calls, nobody hangs."""
    flights: SingleFlight[str, object] = SingleFlight()
    calls: list[int] = []

    async def make() -> object:
        calls.append(1)
        if len(calls) == 1:
            until(lambda: waiting(flights) == 7)
            raise KeyboardInterrupt
        return "value"

    results = ask_from_threads(8, make, flights)
    assert sorted(type(result).__name__ for result in results) == ["KeyboardInterrupt"] + ["str"] * 7
    assert len(calls) == 2


def test_leaders_may_be_interrupted_again_and_again() -> None:
    """Each interruption costs its own caller only."""
    flights: SingleFlight[str, object] = SingleFlight()
    calls: list[int] = []

    async def make() -> object:
        calls.append(1)
        if len(calls) == 1:
            until(lambda: waiting(flights) == 4)
        raise KeyboardInterrupt

    results = ask_from_threads(5, make, flights)
    assert [type(result) for result in results] == [KeyboardInterrupt] * 5
    assert len(calls) == 5


def test_threads_and_event_loops_share_one_flight() -> None:
    """A thread may wait for a task and a task for a thread, in loops of their own; it is made once."""
    for leader_is_task in (True, False):
        flights: SingleFlight[str, object] = SingleFlight()
        calls: list[int] = []
        results: list[object] = []

        async def make_sync(flights: SingleFlight[str, object] = flights, calls: list[int] = calls) -> object:
            calls.append(1)
            until(lambda: waiting(flights) == 24)
            return "value"

        async def make_async(flights: SingleFlight[str, object] = flights, calls: list[int] = calls) -> object:
            calls.append(1)
            await until_waiting(flights, 24)
            return "value"

        def ask(flights: SingleFlight[str, object] = flights, results: list[object] = results) -> None:
            results.append(drive(flights.do(BLOCKING, "key", make_sync)))

        def ask_from_loop(
            count: int, flights: SingleFlight[str, object] = flights, results: list[object] = results
        ) -> None:
            async def main() -> None:
                runtime = AsyncioRuntime()
                results.extend(await asyncio.gather(*(flights.do(runtime, "key", make_async) for _ in range(count))))

            asyncio.run(main())

        leader = thread(lambda: ask_from_loop(1)) if leader_is_task else thread(ask)
        until(lambda calls=calls: len(calls) == 1)  # type: ignore[misc]
        others = [thread(ask) for _ in range(4)] + [thread(lambda: ask_from_loop(10)) for _ in range(2)]
        join([leader, *others])
        assert results == ["value"] * 25
        assert len(calls) == 1


def test_a_maker_that_asks_for_its_own_key_is_told_so() -> None:
    """It would wait for itself: RuntimeError at once, and the key is free again."""
    flights: SingleFlight[str, object] = SingleFlight()

    async def again() -> object:
        return await flights.do(BLOCKING, "key", again)

    async def again_async() -> object:
        return await flights.do(AsyncioRuntime(), "key", again_async)

    with pytest.raises(RuntimeError, match="asked for its own key"):
        drive(flights.do(BLOCKING, "key", again))

    async def main() -> None:
        async with asyncio.timeout(WAIT):
            await again_async()

    with pytest.raises(RuntimeError, match="asked for its own key"):
        asyncio.run(main())
    assert not flights._flights


def test_a_waiter_waits_no_longer_than_its_own_deadline() -> None:
    """TimeoutError for the waiter; the leader goes on and the next waiter gets the value."""
    flights: SingleFlight[str, object] = SingleFlight()
    release = threading.Event()
    got: list[object] = []

    async def make() -> object:
        release.wait(WAIT)
        return "value"

    leader = thread(lambda: got.append(drive(flights.do(BLOCKING, "key", make))))
    until(lambda: "key" in flights._flights)
    with pytest.raises(TimeoutError):
        drive(flights.do(BLOCKING, "key", make, lambda: 0.01))

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await flights.do(AsyncioRuntime(), "key", make, lambda: 0.01)

    asyncio.run(main())
    patient = thread(lambda: got.append(drive(flights.do(BLOCKING, "key", make, lambda: 1e300))))
    until(lambda: waiting(flights) == 3)
    release.set()
    join([leader, patient])
    assert got == ["value", "value"]


def test_a_deadline_that_is_over_is_noticed_before_waiting() -> None:
    """What time_left raises reaches the waiter."""
    flights: SingleFlight[str, object] = SingleFlight()
    release = threading.Event()

    async def make() -> object:
        release.wait(WAIT)
        return None

    def over() -> float:
        raise TimeoutError

    leader = thread(lambda: drive(flights.do(BLOCKING, "key", make)))
    until(lambda: "key" in flights._flights)
    with pytest.raises(TimeoutError):
        drive(flights.do(BLOCKING, "key", make, over))
    release.set()
    join([leader])


def test_shared_errors_are_copies() -> None:
    """What one waiter notes on its error is not on another's, and the leader keeps the original."""
    flights: SingleFlight[str, object] = SingleFlight()
    original = UnavailableError("down")

    async def make() -> object:
        until(lambda: waiting(flights) == 3)
        raise original

    results = ask_from_threads(4, make, flights)
    assert sum(result is original for result in results) == 1
    for number, result in enumerate(results):
        assert isinstance(result, UnavailableError)
        result.add_note(str(number))
    assert [getattr(result, "__notes__", None) for result in results] == [[str(number)] for number in range(4)]


def test_a_loop_that_closes_while_it_is_woken_costs_only_its_own_waiters(monkeypatch: pytest.MonkeyPatch) -> None:
    """A waiter whose loop is gone keeps no other waiter from waking."""
    flights: SingleFlight[str, object] = SingleFlight()
    got: list[object] = []

    async def make() -> object:
        until(lambda: waiting(flights) == 2)
        return "value"

    leader = thread(lambda: got.append(drive(flights.do(BLOCKING, "key", make))))
    until(lambda: "key" in flights._flights)
    loop = asyncio.new_event_loop()

    def closed(*_: object) -> None:
        raise RuntimeError("Event loop is closed")

    async def lost() -> None:
        task = asyncio.ensure_future(flights.do(AsyncioRuntime(), "key", make))
        await asyncio.sleep(0)
        until(lambda: waiting(flights) == 1)
        monkeypatch.setattr(loop, "call_soon_threadsafe", closed)
        other = thread(lambda: got.append(drive(flights.do(BLOCKING, "key", make))))
        join([leader, other])
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    loop.run_until_complete(lost())
    loop.close()
    assert got == ["value", "value"]


def test_a_flight_does_not_stumble_over_an_asyncio_that_is_being_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread may import asyncio at this moment, and half of it is there."""
    monkeypatch.setitem(sys.modules, "asyncio", ModuleType("asyncio"))
    flights: SingleFlight[str, object] = SingleFlight()

    async def make() -> object:
        return "value"

    assert drive(flights.do(BLOCKING, "key", make)) == "value"


def test_a_full_pool_does_not_outlast_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has not started in time never runs; what has started is waited for, and the loop's executor is not ours."""
    monkeypatch.setattr(_runtime, "THREADS", 1)
    monkeypatch.setattr(_runtime, "_pool", None)
    release, ran = threading.Event(), list[str]()

    def busy() -> str:
        release.wait(10)
        return "done"

    async def main() -> None:
        runtime = AsyncioRuntime()
        first = asyncio.ensure_future(runtime.in_thread(busy, 0.01))
        await asyncio.sleep(0)
        with pytest.raises(NotStarted):
            await runtime.in_thread(lambda: ran.append("late"), 0.05)
        assert not first.done()
        abandoned = asyncio.ensure_future(runtime.in_thread(lambda: ran.append("abandoned")))
        await asyncio.sleep(0)
        abandoned.cancel()
        with pytest.raises(asyncio.CancelledError):
            await abandoned
        release.set()
        assert await first == "done"
        assert await runtime.in_thread(threading.get_ident) != threading.get_ident()

    asyncio.run(main())
    assert ran == []


def test_a_full_executor_of_the_application_holds_up_no_call() -> None:
    """A read ends in time although every thread of the loop's own executor sleeps."""
    release = threading.Event()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        sleeping = [loop.run_in_executor(None, release.wait, 10) for _ in range(40)]
        try:
            async with kmsbridge.connect_async("memory:") as bridge:
                await bridge.secrets.set("a", "value", timeout=5)
                assert (await bridge.secrets.get("a", timeout=5)).text == "value"
            assert not sleeping[0].done()
        finally:
            release.set()
            await asyncio.gather(*sleeping)

    asyncio.run(main())
