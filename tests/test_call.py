"""The one way every call goes: deadline, renewal, event, and what is raised."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

import kmsbridge
from kmsbridge import (
    AuthenticationError,
    Code,
    ConflictError,
    DeadlineExceededError,
    Event,
    InvalidRequestError,
    KMSError,
    NotFoundError,
    Outcome,
    UnknownError,
)
from kmsbridge._decode import Answer, Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kmsbridge._call import Call
    from tests.kmsbridge_scripted import Driver, Script

    Step = Callable[[Driver, Call], Awaitable[object]]

CANARY = "c4nary"


def answer(code: str, status: int = 409) -> Answer:
    """What the backend says."""
    return Answer(status, (("x-ms-request-id", "id-1"),), b'{"code": "%s"}' % code.encode())


def failing(*failures: BaseException | None) -> Step:
    """A step that fails in these ways one after the other, and then no more."""
    left = list(failures)

    async def step(*_: object) -> None:
        if left and (failure := left.pop(0)) is not None:
            raise failure

    return step


def caught_by(call: Callable[[], object]) -> KMSError:
    """The error a call raises."""
    with pytest.raises(KMSError) as caught:
        call()
    return caught.value


# -- time -----------------------------------------------------------------------------------


def test_a_deadline_that_is_over_before_the_call_sends_nothing(script: Script) -> None:
    """No driver is opened for it, and the error says not_sent."""
    with kmsbridge.connect("scripted://a") as bridge:
        error = caught_by(lambda: bridge.secrets.set("x", "y", timeout=1e-9))
    assert isinstance(error, DeadlineExceededError)
    assert (error.outcome, error.attempts, error.provider, error.operation) == (
        Outcome.NOT_SENT, 0, "scripted", "secrets.set",
    )
    assert script.opened == []


def test_a_call_that_waits_for_anothers_opening_waits_no_longer_than_its_deadline(script: Script) -> None:
    """The driver is opened by one thread; the other's deadline counts all the same."""
    opening, go_on = threading.Event(), threading.Event()

    async def slowly(_: object) -> None:
        opening.set()
        go_on.wait(10)

    script.on_open = slowly
    with kmsbridge.connect("scripted://a") as bridge:
        first = threading.Thread(target=lambda: bridge.secrets.get("x"), daemon=True)
        first.start()
        assert opening.wait(10)
        error = caught_by(lambda: bridge.secrets.set("x", "y", timeout=0.02))
        go_on.set()
        first.join(10)
    assert isinstance(error, DeadlineExceededError)
    assert error.outcome is Outcome.NOT_SENT


def test_the_driver_is_handed_the_time_left(script: Script) -> None:
    """The bridge's timeout, or the call's own; it runs down; when it is over the outcome is unknown."""
    left: list[float] = []

    async def look(_: object, call: Call) -> None:
        left.append(call.time_left())

    async def dawdle(_: object, call: Call) -> None:
        time.sleep(0.03)  # noqa: ASYNC251 - the blocking runtime blocks
        call.time_left()

    script.on.update(get=look, set=dawdle)
    with kmsbridge.connect("scripted://a") as usual, kmsbridge.connect("scripted://a", timeout=7) as short:
        usual.secrets.get("x")
        short.secrets.get("x")
        short.secrets.get("x", timeout=2.5)
        short.secrets.get("x")
        error = caught_by(lambda: short.secrets.set("x", "y", timeout=0.02))
    assert [round(seconds, 1) for seconds in left] == [30.0, 7.0, 2.5, 7.0]
    assert all(seconds <= limit for seconds, limit in zip(left, (30, 7, 2.5, 7), strict=True))
    assert isinstance(error, DeadlineExceededError)
    assert (error.outcome, error.attempts) == (Outcome.UNKNOWN, 1)
    assert error.elapsed >= 0.02


class Unspeakable:
    """What should not be shown."""

    def __repr__(self) -> str:
        return CANARY


@pytest.mark.parametrize("timeout", [
    0, -1, -0.0, float("nan"), float("inf"), -float("inf"), True, "5", CANARY, b"5", [5], 10**400, -(10**5_000), 1e300,
    Unspeakable(),
], ids=lambda timeout: type(timeout).__name__)
def test_a_timeout_that_is_none_is_refused(script: Script, timeout: float) -> None:
    """Both where a bridge is made and where a call is; nothing is sent, and what was given is not repeated."""
    with kmsbridge.connect("scripted://a") as bridge:
        for call in (
            lambda: kmsbridge.connect("scripted://a", timeout=timeout),
            lambda: kmsbridge.connect_async("scripted://a", timeout=timeout),
            lambda: bridge.secrets.get("x", timeout=timeout),
            lambda: list(bridge.secrets.list(timeout=timeout)),
        ):
            error = caught_by(call)
            assert isinstance(error, InvalidRequestError)
            assert (error.outcome, error.fields[0].path) == (Outcome.NOT_SENT, "timeout")
            assert CANARY not in error.details()
            assert len(str(error)) < 200
        assert bridge.health(timeout=timeout).code is Code.INVALID_ARGUMENT
    assert script.opened == []


# -- renewal ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "how"), [("Token", "reauthenticate"), ("Stale", "refresh"), ("Busy", "poll")])
def test_what_is_stale_is_renewed_once_and_the_call_made_once_more(script: Script, code: str, how: str) -> None:
    """One more attempt after reauthenticate, refresh or poll; a second such failure is raised."""
    script.on["set"] = failing(Refused(answer(code)))
    with kmsbridge.connect("scripted://a") as bridge:
        assert bridge.secrets.set("x", "y").version == "2"
        assert script.log == ["set", how, "set"]
        script.log.clear()
        script.on["set"] = failing(*(Refused(answer(code)) for _ in range(5)))
        error = caught_by(lambda: bridge.secrets.set("x", "y"))
    assert script.log == ["set", how, "set"]
    assert (error.attempts, error.provider_codes) == (2, (code,))


@pytest.mark.parametrize(("code", "how"), [("Token", "reauthenticate"), ("Stale", "refresh")])
def test_a_renewal_that_makes_no_sense_ends_the_call(script: Script, code: str, how: str) -> None:
    """A driver that has nothing to renew says so, and the first error is raised."""
    script.renews = False
    script.on["set"] = failing(Refused(answer(code)))
    with kmsbridge.connect("scripted://a") as bridge:
        error = caught_by(lambda: bridge.secrets.set("x", "y"))
    assert (script.log, error.attempts) == (["set", how], 1)


@pytest.mark.parametrize(("code", "how"), [("Token", "reauthenticate"), ("Stale", "refresh"), ("Busy", "poll")])
def test_a_renewal_that_fails_keeps_the_first_error(script: Script, code: str, how: str) -> None:
    """It says more than the failed attempt to mend it."""
    script.on["set"] = failing(Refused(answer(code)))
    script.on[how] = failing(ValueError(CANARY))
    with kmsbridge.connect("scripted://a") as bridge:
        error = caught_by(lambda: bridge.secrets.set("x", "y"))
    assert error.provider_codes == (code,)
    assert error.__context__ is None
    assert script.log == ["set", how]


def test_another_kind_of_renewal_may_follow(script: Script) -> None:
    """A fresh token and a fresh ETag may both be needed; each is fetched once."""
    script.on["set"] = failing(Refused(answer("Token", 401)), Refused(answer("Stale")), Refused(answer("Busy")))
    with kmsbridge.connect("scripted://a", retry=kmsbridge.RetryPolicy(attempts=4)) as bridge:
        assert bridge.secrets.set("x", "y").version == "2"
    assert script.log == ["set", "reauthenticate", "set", "refresh", "set", "poll", "set"]


def test_an_operation_in_the_way_is_asked_for_until_it_is_done(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is never started again: the state is polled, then the call is made once more."""
    monkeypatch.setattr("kmsbridge._call.POLL_EVERY", 0.005)
    states = [False, False, False, True]

    async def poll(*_: object) -> bool:
        return states.pop(0)

    script.on["poll"] = poll
    script.on["set"] = failing(Refused(answer("Busy")))
    with kmsbridge.connect("scripted://a") as bridge:
        bridge.secrets.set("x", "y")
    assert script.log == ["set", "poll", "poll", "poll", "poll", "set"]


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_polling_ends_at_the_deadline(script: Script, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    """The error is still the one that says what is in the way."""
    monkeypatch.setattr("kmsbridge._call.POLL_EVERY", 0.005)

    async def never(*_: object) -> bool:
        return False

    script.on["poll"] = never
    script.on["set"] = failing(Refused(answer("Busy")))

    async def main() -> None:
        async with kmsbridge.connect_async("scripted://a") as bridge:
            await bridge.secrets.set("x", "y", timeout=0.05)

    def call() -> None:
        with kmsbridge.connect("scripted://a") as bridge:
            bridge.secrets.set("x", "y", timeout=0.05)

    error = caught_by(call if mode == "sync" else lambda: asyncio.run(main()))
    assert (error.code, error.attempts) == (Code.OPERATION_IN_PROGRESS, 1)
    assert 0.04 < error.elapsed < 2
    assert script.log.count("poll") >= 3


@pytest.mark.parametrize("repeatable", [True, False])
def test_an_unknown_outcome_is_renewed_only_for_what_may_be_repeated(script: Script, repeatable: bool) -> None:
    """A set that may have been applied is not made again unless the driver says that this leaves the same state."""
    script.repeatable = repeatable
    script.on["set"] = failing(ConflictError(outcome=Outcome.UNKNOWN))
    with kmsbridge.connect("scripted://a") as bridge:
        if repeatable:
            bridge.secrets.set("x", "y")
            assert script.log == ["set", "repeatable secrets.set", "refresh", "set"]
        else:
            error = caught_by(lambda: bridge.secrets.set("x", "y"))
            assert error.outcome is Outcome.UNKNOWN
            assert script.log == ["set", "repeatable secrets.set", "proof"]


@pytest.mark.parametrize(("first", "second", "worst"), [
    (Outcome.UNKNOWN, Outcome.NOT_APPLIED, Outcome.UNKNOWN),
    (Outcome.UNKNOWN, Outcome.NOT_SENT, Outcome.UNKNOWN),
    (Outcome.NOT_APPLIED, Outcome.NOT_SENT, Outcome.NOT_APPLIED),
    (Outcome.NOT_APPLIED, Outcome.UNKNOWN, Outcome.UNKNOWN),
    (Outcome.NOT_SENT, Outcome.NOT_SENT, Outcome.NOT_SENT),
])
def test_the_outcome_is_the_worst_over_all_attempts(
    script: Script, first: Outcome, second: Outcome, worst: Outcome
) -> None:
    """A second attempt that was refused does not undo what the first may have done."""
    script.on["set"] = failing(ConflictError(outcome=first), NotFoundError(outcome=second))
    with kmsbridge.connect("scripted://a") as bridge:
        error = caught_by(lambda: bridge.secrets.set("x", "y"))
    assert isinstance(error, NotFoundError)
    assert (error.outcome, len(error.history)) == (worst, 2)


# -- what is raised -----------------------------------------------------------------------------


def test_an_error_says_what_was_asked_and_answered(script: Script) -> None:
    """Provider, operation, resource, attempts and time are filled in here; the rest is the decoder's."""
    script.on["get"] = failing(Refused(answer("Gone", 404)))
    with kmsbridge.connect("scripted://a") as bridge:
        error = caught_by(lambda: bridge.secrets.get("billing/db", "7"))
    assert str(error) == "scripted secrets.get 'billing/db': there is no such item [not_found, HTTP 404, Gone]"
    assert error.resource == ("secret", "billing/db", "7", None)
    assert (error.attempts, error.request_ids) == (1, {"x-ms-request-id": "id-1"})
    assert 0 < error.elapsed < 5


def test_the_mistake_of_a_caller_is_answered_without_a_driver(script: Script) -> None:
    """Names and arguments are checked before anything is opened; the error says so."""
    with kmsbridge.connect("scripted://a") as bridge:
        error = caught_by(lambda: bridge.secrets.get("Wrong Name"))
    assert (error.attempts, error.outcome, error.provider, error.operation) == (
        0, Outcome.NOT_SENT, "scripted", "secrets.get",
    )
    assert script.opened == []


def test_an_sdks_exception_never_leaves(script: Script) -> None:
    """Neither raised nor hung on to what is raised: it is data, without its text."""
    inner = script.failure(f"cannot encrypt {CANARY}", answer("Stale"))
    inner.__cause__ = ConnectionResetError(104, CANARY)
    script.renews = False
    script.on["get"] = failing(inner)
    with kmsbridge.connect("scripted://a") as bridge:
        error = caught_by(lambda: bridge.secrets.get("x"))
    assert error.code is Code.VERSION_CONFLICT
    assert error.__cause__ is error.__context__ is None
    script.on["get"] = failing(RuntimeError(CANARY))
    with kmsbridge.connect("scripted://a") as bridge:
        error = caught_by(lambda: bridge.secrets.get("x"))
    assert isinstance(error, UnknownError)
    assert error.causes == (("RuntimeError", None),)
    assert error.__cause__ is error.__context__ is None
    assert CANARY not in error.details()


def test_debug_causes_chains_the_original(script: Script) -> None:
    """For development the exception underneath can be seen, and only if asked for."""
    original = RuntimeError("in the SDK")
    script.on["get"] = failing(original)
    with kmsbridge.connect("scripted://a", debug_causes=True) as bridge:
        error = caught_by(lambda: bridge.secrets.get("x"))
    assert error.__cause__ is original
    with kmsbridge.connect("scripted://a", debug_causes=True) as bridge:
        assert caught_by(lambda: bridge.secrets.get("X")).__cause__ is None


def frames(error: BaseException) -> list[str]:
    """The functions of its traceback, from the test on."""
    return [frame.name for frame in traceback.extract_tb(error.__traceback__)]


def locals_of(error: BaseException) -> str:
    """What the frames of its traceback hold, without the test's own."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "\n".join(str(frame.locals) for frame in shown.stack if "test_" not in frame.filename)


@pytest.mark.parametrize("value", [CANARY, CANARY.encode()])
def test_a_traceback_is_short_and_holds_no_value(script: Script, value: str | bytes) -> None:
    """The user's line, the face and what delivers it: no frame of ours keeps the value, in either mode."""

    async def fails(driver: object, call: object) -> None:
        del driver, call
        held = value
        raise RuntimeError(str(held))

    script.on["set"] = fails
    bridge = kmsbridge.connect("scripted://a")
    with pytest.raises(UnknownError) as caught:
        bridge.secrets.set("x", value)
    assert frames(caught.value)[1:] == ["set", "drive"]
    assert CANARY not in locals_of(caught.value)
    bridge.close()

    async def main() -> KMSError:
        async with kmsbridge.connect_async("scripted://a") as bridge:
            with pytest.raises(UnknownError) as caught:
                await bridge.secrets.set("x", value)
        return caught.value

    error = asyncio.run(main())
    assert frames(error)[-2:] == ["set", "deliver"]
    assert CANARY not in locals_of(error)


def test_a_raised_error_is_freed_without_the_collector(script: Script) -> None:
    """It is in no cycle with the frames that raised it: a loop over many failures does not grow."""
    script.on["get"] = failing(*(Refused(answer("Gone", 404)) for _ in range(3)))
    bridge = kmsbridge.connect("scripted://a")
    gc.collect()
    gc.disable()
    try:
        before = sum(isinstance(thing, NotFoundError) for thing in gc.get_objects())
        for _ in range(3):
            with suppress(NotFoundError):
                bridge.secrets.get("x")
        assert sum(isinstance(thing, NotFoundError) for thing in gc.get_objects()) == before
    finally:
        gc.enable()
        bridge.close()


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
def test_what_ends_a_program_is_not_wrapped(script: Script, kind: type[BaseException]) -> None:
    """Interrupts and cancellation pass as they are, and no event says that a call failed."""
    events: list[Event] = []
    ending = kind()
    script.on["get"] = failing(ending)
    with kmsbridge.connect("scripted://a", on_event=events.append) as bridge:
        with pytest.raises(kind) as caught:
            bridge.secrets.get("x")
        assert caught.value is ending
        assert events == []
        assert bridge.secrets.get("x").text == "value of x"


def test_a_call_may_be_cancelled_at_every_point_where_it_waits(script: Script) -> None:
    """While opening, asking, renewing or polling: CancelledError passes, and nothing is left taken."""

    async def pause(*_: object) -> bool:
        for _step in range(3):
            await asyncio.sleep(0)
        return True

    async def busy(*_: object) -> None:
        await pause()
        if script.log[-2:] != ["poll", "set"]:
            raise Refused(answer("Busy"))

    script.on_open = pause
    script.on.update(set=busy, poll=pause)

    async def main(steps: int) -> bool:
        async with asyncio.timeout(10):
            return await cancelled_after(steps)

    async def cancelled_after(steps: int) -> bool:
        bridge = kmsbridge.connect_async(f"scripted://a{steps}")
        task = asyncio.create_task(bridge.secrets.set("x", "y"))
        for _ in range(steps):
            await asyncio.sleep(0)
        ended = task.done()
        task.cancel()
        if ended:
            assert (await task).version == "2"
        else:
            with pytest.raises(asyncio.CancelledError):
                await task
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert (await bridge.secrets.set("x", "y")).version == "2"
        await bridge.aclose()
        return ended

    steps = 0
    while not asyncio.run(main(steps)):
        steps += 1
        assert steps < 100
    assert steps > 10
    assert len(script.closed) == len(script.opened)


# -- events ------------------------------------------------------------------------------------


def test_each_attempt_and_each_call_gives_one_event(script: Script) -> None:
    """Operation, provider, code, attempts, time and request ids: of what succeeded, failed or was never sent."""

    async def tell(_: object, call: Call) -> None:
        call.request_ids["x-request-id"] = "id-7"

    events: list[Event] = []
    script.on["get"] = tell
    script.on["set"] = failing(Refused(answer("Token", 401)), Refused(answer("Gone", 404)))
    with kmsbridge.connect("scripted://a", on_event=events.append) as bridge:
        bridge.secrets.get("x")
        for call in (
            lambda: bridge.secrets.set("x", "y"),
            lambda: bridge.secrets.get("Wrong"),
            lambda: bridge.secrets.get("x", timeout=-1),
        ):
            caught_by(call)
        bridge.health()
        list(bridge.secrets.list())
    assert {event.provider for event in events} == {"scripted"}
    assert [(event.operation, event.code, event.attempts, event.attempt) for event in events] == [
        ("secrets.get", None, 1, 1),
        ("secrets.get", None, 1, None),
        ("secrets.set", Code.TOKEN_EXPIRED, 1, 1),
        ("secrets.set", Code.NOT_FOUND, 2, 2),
        ("secrets.set", Code.NOT_FOUND, 2, None),
        ("secrets.get", Code.INVALID_ARGUMENT, 0, None),
        ("secrets.get", Code.INVALID_ARGUMENT, 0, None),
        ("health", None, 1, 1),
        ("health", None, 1, None),
        *[("secrets.list", None, 1, number) for _ in range(3) for number in (1, None)],
    ]
    assert events[0].request_ids == {"x-request-id": "id-7"}
    assert events[4].request_ids == {"x-ms-request-id": "id-1"}
    assert [len(event.history) for event in events[:5]] == [0, 0, 0, 0, 2]
    assert all(0 <= event.elapsed < 5 for event in events)


def test_an_event_holds_no_name_and_no_value(script: Script) -> None:
    """It may go to any log."""
    events: list[Event] = []
    with kmsbridge.connect("scripted://a", on_event=events.append) as bridge:
        bridge.secrets.set("billing/db", CANARY)
    assert script.log == ["set"]
    assert "billing" not in repr(events)
    assert CANARY not in repr(events)


def test_a_hook_that_fails_does_not_fail_the_call(script: Script, caplog: pytest.LogCaptureFixture) -> None:
    """The failure of the hook is in the log; the call's own result or error is what the caller gets."""

    def hook(_: Event) -> None:
        raise ValueError("the hook's own")

    script.on["set"] = failing(Refused(answer("Gone", 404)))
    with kmsbridge.connect("scripted://a", on_event=hook) as bridge:
        assert bridge.secrets.get("x").text == "value of x"
        assert caught_by(lambda: bridge.secrets.set("x", "y")).__context__ is None
    assert caplog.text.count("the on_event hook failed on secrets.") == 4  # each an attempt and its call


def test_an_error_given_by_a_driver_is_completed(script: Script) -> None:
    """An error of ours that comes from below has its provider and operation filled in, and keeps what it has."""
    script.on["get"] = failing(AuthenticationError("no login", provider="directory", code=Code.CREDENTIAL_REJECTED))
    with kmsbridge.connect("scripted://a") as bridge:
        error = caught_by(lambda: bridge.secrets.get("x"))
    assert (error.provider, error.operation, error.attempts) == ("directory", "secrets.get", 1)


def test_many_threads_make_calls_on_one_bridge(script: Script) -> None:
    """Deadlines, attempts and results of calls that run at once do not mix."""
    wrong: list[object] = []

    async def check(_: object, call: Call) -> None:
        assert call.attempts == 1

    script.on["get"] = check
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with kmsbridge.connect("scripted://a") as bridge:

            def work(number: int) -> None:
                texts = [bridge.secrets.get(f"x{number}").text for _ in range(50)]
                wrong.extend(text for text in texts if text != f"value of x{number}")

            threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(16)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(20)
            assert not any(thread.is_alive() for thread in threads)
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []
