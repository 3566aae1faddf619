"""The retry policy: what is tried again, how often, after how long, and what is said when it was in vain."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kmsbridge
from kmsbridge import (
    Code,
    InvalidRequestError,
    KMSError,
    NotFoundError,
    Outcome,
    PermissionDeniedError,
    RetryAction,
    RetryPolicy,
    Secret,
    ThrottledError,
    UnavailableError,
    _telemetry,
)
from kmsbridge import _retry as retry
from kmsbridge._decode import Answer, Phase, Refused
from kmsbridge._errors import RateLimit, error_for
from kmsbridge._runtime import AsyncioRuntime, BlockingRuntime

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kmsbridge._call import Call
    from tests.conftest import FakeTime
    from tests.kmsbridge_scripted import Script

URL = "scripted://a"
DOWN = Refused(Answer(503, (("x-ms-request-id", "id-1"),)))
SLOW_DOWN = Refused(Answer(429))


def always(failure: BaseException) -> Callable[..., Awaitable[object]]:
    """A step that fails whenever it is taken."""

    async def step(*_: object) -> None:
        raise failure

    return step


def first(*failures: BaseException) -> Callable[..., Awaitable[object]]:
    """A step that fails in these ways one after the other, and then no more."""
    left = list(failures)

    async def step(*_: object) -> None:
        if left:
            raise left.pop(0)

    return step


def answered(status: int, **headers: str) -> Refused:
    """A refusal with headers."""
    return Refused(Answer(status, tuple((name.replace("_", "-"), value) for name, value in headers.items())))


class Mode:
    """One of the two bridges, used the same way."""

    def __init__(self, name: str) -> None:
        self.name = name

    def call(self, method: str, *arguments: Any, timeout: float = 30.0, **options: Any) -> Any:
        """One call on a fresh bridge: ``secrets.get`` and so on."""
        kind, _, what = method.partition(".")
        if self.name == "sync":
            with kmsbridge.connect(URL, **options) as bridge:
                return getattr(getattr(bridge, kind), what)(*arguments, timeout=timeout)

        async def main() -> Any:
            async with kmsbridge.connect_async(URL, **options) as bridge:
                return await getattr(getattr(bridge, kind), what)(*arguments, timeout=timeout)

        return asyncio.run(main())

    def error(self, method: str, *arguments: Any, **options: Any) -> KMSError:
        """The error it raises."""
        with pytest.raises(KMSError) as caught:
            self.call(method, *arguments, **options)
        return caught.value


@pytest.fixture(params=["sync", "async"])
def mode(request: pytest.FixtureRequest) -> Mode:
    """Each of the two."""
    return Mode(request.param)


# -- how often, after how long ------------------------------------------------------------------


def test_what_passes_is_tried_three_times_in_all(script: Script, fake_time: FakeTime, mode: Mode) -> None:
    """The waits double; the error tells every attempt, and that an outer loop should stop."""
    script.on["get"] = always(DOWN)
    error = mode.error("secrets.get", "x")
    assert script.log == ["get", "repeatable secrets.get"] * 2 + ["get"]
    assert fake_time.waits == pytest.approx([0.1, 0.2])
    assert (error.code, error.attempts, error.retry.exhausted) == (Code.SERVICE_UNAVAILABLE, 3, True)
    assert [(each.http_status, each.then, each.delay) for each in error.history] == [
        (503, RetryAction.BACKOFF, pytest.approx(0.1)), (503, RetryAction.BACKOFF, pytest.approx(0.2)), (503, None, 0),
    ]
    assert error.history[0].request_ids == {"x-ms-request-id": "id-1"}
    assert error.elapsed == pytest.approx(0.3)
    assert pickle.loads(pickle.dumps(error)).history == error.history  # noqa: S301 - our own bytes


def test_a_call_that_gets_through_says_nothing(script: Script, fake_time: FakeTime, mode: Mode) -> None:
    """One or two failures that pass are not the caller's business."""
    script.on["get"] = first(DOWN, answered(504))
    assert mode.call("secrets.get", "x").text == "value of x"
    assert script.log.count("get") == 3
    assert len(fake_time.waits) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 413])
def test_what_is_permanent_is_asked_once(script: Script, fake_time: FakeTime, mode: Mode, status: int) -> None:
    """No second request; a Retry-After on it changes nothing, and nobody is told that we gave up."""
    script.on["get"] = always(answered(status, Retry_After="1"))
    error = mode.error("secrets.get", "x", retry=RetryPolicy(attempts=5))
    if error.retry.action is RetryAction.NEVER:
        assert (script.log, error.retry.exhausted, error.retry_after) == (["get"], False, None)
        assert [each.then for each in error.history] == [None]
    else:  # a fresh token, a fresh ETag: once
        assert script.log.count("get") == 2
        assert error.retry.exhausted
    assert fake_time.waits == []


def test_inside_an_applications_loop_nothing_is_multiplied(script: Script, fake_time: FakeTime) -> None:
    """A loop of three that honours `exhausted` makes three requests in all; a permanent error one per turn."""
    del fake_time
    with kmsbridge.connect(URL) as bridge:
        for failure, wanted in ((DOWN, 3), (answered(403), 1)):
            script.on["get"] = always(failure)
            script.log.clear()
            for _ in range(3):
                with pytest.raises(KMSError) as caught:
                    bridge.secrets.get("x")
                if caught.value.retry.exhausted or caught.value.retry.action is RetryAction.NEVER:
                    break
            assert script.log.count("get") == wanted


def test_a_rule_may_allow_fewer(script: Script, fake_time: FakeTime, mode: Mode) -> None:
    """An internal error is tried once more, not twice."""
    script.on["get"] = always(answered(500))
    error = mode.error("secrets.get", "x")
    assert (error.code, error.attempts, error.retry.exhausted) == (Code.INTERNAL_ERROR, 2, True)
    assert len(fake_time.waits) == 1


def test_after_throttling_the_wait_is_a_second_at_least(script: Script, fake_time: FakeTime, mode: Mode) -> None:
    """And a jitter of its own that doubles, so that all who were throttled do not come back at once."""
    script.on["get"] = always(SLOW_DOWN)
    error = mode.error("secrets.get", "x")
    assert isinstance(error, ThrottledError)
    assert fake_time.waits == pytest.approx([1 + 1, 1 + 2])


@pytest.mark.parametrize(("headers", "least"), [
    ({"Retry_After": "7"}, 7), ({"x_ms_retry_after_ms": "2500"}, 2.5), ({"retry_after_ms": "1500"}, 1.5),
    ({"Retry_After": "-3"}, 0), ({"Retry_After": "soon"}, 0), ({"Retry_After": "9999999999"}, 0),
    ({"Retry_After": "Sun, 06 Nov 1994 08:49:40 GMT", "Date": "Sun, 06 Nov 1994 08:49:37 GMT"}, 3),
])
def test_the_server_is_given_the_time_it_asks_for(
    script: Script, fake_time: FakeTime, mode: Mode, headers: dict[str, str], least: float
) -> None:
    """In all forms in use; what makes no sense is ignored."""
    script.on["get"] = first(answered(503, **headers))
    mode.call("secrets.get", "x")
    assert fake_time.waits == pytest.approx([least + 0.1])


@pytest.mark.parametrize("status", [429, 503])
def test_a_wait_beyond_the_deadline_is_not_begun(script: Script, fake_time: FakeTime, mode: Mode, status: int) -> None:
    """The error is raised now, and says how long the server wants."""
    script.on["get"] = always(answered(status, Retry_After="31"))
    error = mode.error("secrets.get", "x")
    assert (fake_time.waits, error.attempts, error.retry_after, error.retry.exhausted) == ([], 1, 31, True)


def test_all_attempts_share_one_deadline(script: Script, fake_time: FakeTime, mode: Mode) -> None:
    """What an attempt and its wait took is missing to the next."""

    async def slowly(_: object, call: Call) -> None:
        fake_time.now += 4
        call.time_left()
        raise DOWN

    script.on["get"] = slowly
    error = mode.error("secrets.get", "x", timeout=8.05, retry=RetryPolicy(attempts=10))
    assert error.attempts == 2
    assert fake_time.waits == pytest.approx([0.1])
    assert error.elapsed == pytest.approx(8.1)


def test_who_wakes_up_too_late_has_no_other_attempt(
    script: Script, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch, mode: Mode
) -> None:
    """What was said of the one that was made stands: nothing is in doubt, and no second one is told of."""

    async def oversleeps(_: object, seconds: float) -> None:
        fake_time.sleep(seconds + 60)

    for runtime in (BlockingRuntime, AsyncioRuntime):
        monkeypatch.setattr(runtime, "sleep", oversleeps)
    script.on["set"] = always(SLOW_DOWN)
    events: list[kmsbridge.Event] = []
    error = mode.error("secrets.set", "x", "y", on_event=events.append)
    assert script.log == ["set"]
    assert (error.code, error.outcome, error.attempts) == (Code.RATE_LIMITED, Outcome.NOT_APPLIED, 1)
    assert [(each.then, each.delay) for each in error.history] == [(None, 0)]
    assert [each.attempt for each in events] == [1, None]


def test_an_attempt_that_sent_nothing_is_not_told_of(
    script: Script, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bridge is closed during the wait: one request was made, and what it came to is known."""
    del fake_time
    script.on["set"] = always(SLOW_DOWN)
    events: list[kmsbridge.Event] = []
    bridge = kmsbridge.connect(URL, on_event=events.append)

    async def closes(*_: object) -> None:
        bridge.close()

    monkeypatch.setattr(BlockingRuntime, "sleep", closes)
    with pytest.raises(KMSError, match="closed") as caught:
        bridge.secrets.set("x", "y")
    assert (caught.value.outcome, caught.value.attempts) == (Outcome.NOT_APPLIED, 1)
    assert [(each.code, each.then) for each in caught.value.history] == [(Code.RATE_LIMITED, RetryAction.THROTTLE)]
    assert [each.attempt for each in events] == [1, None]


def test_each_attempt_has_the_request_ids_of_its_own_answer(script: Script, fake_time: FakeTime) -> None:
    """One that got no answer has none."""
    del fake_time
    failures = [DOWN, LOST, SLOW_DOWN]

    async def step(_: object, call: Call) -> None:
        failure = failures.pop(0)
        if failure is DOWN:
            call.request_ids = {"x-ms-request-id": "id-1"}
        raise failure

    script.on["get"] = step
    events: list[kmsbridge.Event] = []
    with kmsbridge.connect(URL, on_event=events.append) as bridge, pytest.raises(ThrottledError):
        bridge.secrets.get("x")
    assert [dict(each.request_ids) for each in events] == [{"x-ms-request-id": "id-1"}, {}, {}, {}]


def test_no_wait_of_ours_is_longer_than_the_policy_says(script: Script, fake_time: FakeTime) -> None:
    """Doubling ends there."""
    script.on["get"] = always(DOWN)
    policy = RetryPolicy(attempts=7, backoff=0.5, max_delay=3)
    with kmsbridge.connect(URL, retry=policy) as bridge, pytest.raises(UnavailableError):
        bridge.secrets.get("x", timeout=60)
    assert fake_time.waits == pytest.approx([0.5, 1, 2, 3, 3, 3])


def test_waits_are_spread_over_all_their_length() -> None:
    """Full jitter: from nothing to the longest, evenly enough."""
    drawn = [retry.jitter(2.0) for _ in range(2_000)]
    assert 0 <= min(drawn) < 0.2
    assert 1.8 < max(drawn) <= 2
    assert 0.9 < sum(drawn) / len(drawn) < 1.1


def test_a_policy_of_one_attempt_leaves_it_to_the_caller(script: Script, fake_time: FakeTime, mode: Mode) -> None:
    """Neither retries nor renewals; the advice is passed on as it is."""
    for failure in (DOWN, answered(412)):
        script.log.clear()
        script.on["get"] = always(failure)
        error = mode.error("secrets.get", "x", retry=RetryPolicy(attempts=1))
        assert (script.log, error.attempts, error.retry.exhausted) == (["get"], 1, False)
    assert fake_time.waits == []


# -- what may have been applied -----------------------------------------------------------------

LOST = Refused(Answer(phase=Phase.SENT, exception=ConnectionResetError(104, "reset")))


def test_a_lost_answer_is_not_asked_for_again(script: Script, fake_time: FakeTime, mode: Mode) -> None:
    """Unless the operation leaves the same state when done twice, or the caller has said so."""
    script.repeatable = False
    script.on["set"] = always(LOST)
    error = mode.error("secrets.set", "x", "y")
    assert script.log == ["set", "repeatable secrets.set", "proof"]
    assert (error.code, error.outcome, len(error.history), error.retry.exhausted) == (
        Code.NETWORK_ERROR, Outcome.UNKNOWN, 1, True,
    )
    script.log.clear()
    assert mode.error("secrets.set", "x", "y", retry=RetryPolicy(repeat_unknown=True)).attempts == 3
    script.repeatable = True
    assert mode.error("secrets.set", "x", "y").attempts == 3
    assert len(fake_time.waits) == 4


def test_what_was_certainly_not_applied_is_sent_again(script: Script, fake_time: FakeTime, mode: Mode) -> None:
    """Refused by the service, or never sent: also what must not be done twice."""
    script.repeatable = False
    script.on["set"] = first(SLOW_DOWN, UnavailableError(outcome=Outcome.NOT_SENT))
    assert mode.call("secrets.set", "x", "y").version == "2"
    assert script.log == ["set", "set", "set"]
    assert len(fake_time.waits) == 2


def test_after_one_lost_answer_nothing_is_sent_again_either(script: Script, fake_time: FakeTime, mode: Mode) -> None:
    """The doubt stays, whatever the next attempt says."""
    del fake_time
    script.on["set"] = first(LOST, answered(404))
    error = mode.error("secrets.set", "x", "y")
    assert isinstance(error, NotFoundError)
    assert (error.outcome, [each.outcome for each in error.history]) == (
        Outcome.UNKNOWN, [Outcome.UNKNOWN, Outcome.NOT_APPLIED],
    )


def test_a_write_that_can_be_shown_is_a_success(script: Script, fake_time: FakeTime, mode: Mode) -> None:
    """A driver may be able to show that a lost write was applied; then it was, and the caller gets its result."""
    script.repeatable = False
    script.on["set"] = always(LOST)
    script.proof = Secret("x", "7", "y")
    found = mode.call("secrets.set", "x", "y")
    assert (found.name, found.version) == ("x", "7")
    assert script.log == ["set", "repeatable secrets.set", "proof"]
    assert fake_time.waits == []


@pytest.mark.parametrize("how", ["nothing", "fails"])
def test_a_write_that_cannot_be_shown_stays_unknown(script: Script, mode: Mode, how: str) -> None:
    """The first error is raised, with what is known: nothing."""
    script.repeatable = False
    script.on["set"] = always(LOST)
    if how == "fails":
        script.on["proof"] = always(RuntimeError("of the look"))
    error = mode.error("secrets.set", "x", "y")
    assert (error.code, error.outcome, error.attempts) == (Code.NETWORK_ERROR, Outcome.UNKNOWN, 2)


def test_there_is_nothing_to_show_where_it_is_known(script: Script, fake_time: FakeTime, mode: Mode) -> None:
    """What was refused is not looked for; and a look is an attempt like any."""
    del fake_time
    script.proof = Secret("x", "7", "y")
    script.on["set"] = always(answered(403))
    assert isinstance(mode.error("secrets.set", "x", "y"), PermissionDeniedError)
    script.on["set"] = always(LOST)  # repeatable: three times lost
    assert mode.error("secrets.set", "x", "y").attempts == 3
    assert "proof" not in script.log


def test_what_was_partly_carried_out_is_in_doubt(script: Script, fake_time: FakeTime, mode: Mode) -> None:
    """The driver says so, whatever the refusal that followed: it is not done again, and a look would show nothing."""
    script.repeatable = False
    script.proof = Secret("x", "7", "y")

    async def half(_: object, call: Call) -> None:
        call.applied = True
        raise SLOW_DOWN

    script.on["set"] = half
    error = mode.error("secrets.set", "x", "y")
    assert script.log == ["set", "repeatable secrets.set"]
    assert (error.code, error.outcome, error.attempts) == (Code.RATE_LIMITED, Outcome.UNKNOWN, 1)
    assert fake_time.waits == []


def test_attempts_that_an_sdk_makes_are_counted(script: Script, fake_time: FakeTime, mode: Mode) -> None:
    """Three are three, whoever made them."""

    async def thrice(_: object, call: Call) -> None:
        call.attempts += 2
        raise DOWN

    script.on["get"] = thrice
    error = mode.error("secrets.get", "x")
    assert (script.log, error.attempts, error.retry.exhausted, fake_time.waits) == (["get"], 3, True, [])


# -- the budget ---------------------------------------------------------------------------------


def test_a_process_retries_no_more_than_its_budget(script: Script, fake_time: FakeTime) -> None:
    """All bridges to one backend share it; another backend has its own."""
    del fake_time
    script.on["get"] = always(DOWN)
    with kmsbridge.connect(URL) as one, kmsbridge.connect(URL) as other, kmsbridge.connect("scripted://b") as away:
        for number in range(30):
            with pytest.raises(UnavailableError):
                (one if number % 2 else other).secrets.get("x")
        retries = script.log.count("get") - 30
        assert retries == retry.TOKENS // 14
        assert one.stats().budget == other.stats().budget == (retry.TOKENS % 14) / retry.TOKENS
        assert away.stats().budget == 1.0


def test_throttling_costs_less_and_success_gives_back(script: Script, fake_time: FakeTime) -> None:
    """A retry that helps costs nothing in the end; every other success gives one token."""
    del fake_time
    with kmsbridge.connect(URL) as bridge:

        def tokens() -> int:
            return round(bridge.stats().budget * retry.TOKENS)

        script.on["get"] = first(DOWN, SLOW_DOWN)
        bridge.secrets.get("x")  # the last retry's come back, the first's do not
        assert tokens() == retry.TOKENS - 14
        for _ in range(20):
            bridge.secrets.get("x")
        assert tokens() == retry.TOKENS
        with kmsbridge.connect(URL, on_event=lambda _: None) as watched:
            watched.secrets.get("x")
        assert tokens() == retry.TOKENS  # and never more
        script.on["get"] = always(SLOW_DOWN)
        with pytest.raises(ThrottledError):
            bridge.secrets.get("x")
        assert tokens() == retry.TOKENS - 2 * 5
        script.on["get"] = first(SLOW_DOWN)
        bridge.secrets.get("x")
        assert tokens() == retry.TOKENS - 2 * 5
        for _ in range(20):
            bridge.secrets.get("x")
        assert tokens() == retry.TOKENS


def test_a_forked_child_has_locks_of_its_own(script: Script, fake_time: FakeTime) -> None:
    """Another thread of the parent may hold them at the fork."""
    del fake_time
    script.on["get"] = first(DOWN)
    with kmsbridge.connect(URL) as bridge, retry._LOCK, _telemetry._LOCK:
        child = os.fork()
        if child == 0:
            done = 1
            with contextlib.suppress(BaseException):
                done = 0 if bridge.secrets.get("x").text == "value of x" else 2
            os._exit(done)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# -- what ends it from outside ------------------------------------------------------------------


def test_cancelling_a_wait_ends_the_call(script: Script) -> None:
    """Nothing of ours wraps it, and nothing is sent afterwards."""
    waiting = asyncio.Event()

    async def main() -> None:
        async def fails(*_: object) -> None:
            waiting.set()
            raise DOWN

        script.on["get"] = fails
        async with kmsbridge.connect_async(URL, retry=RetryPolicy(backoff=600, max_delay=600)) as bridge:
            task = asyncio.ensure_future(bridge.secrets.get("x", timeout=3_000))
            await waiting.wait()
            for _ in range(3):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            script.on.clear()
            assert (await bridge.secrets.get("x")).text == "value of x"

    asyncio.run(main())
    assert script.log.count("get") == 2


def test_an_interrupt_in_a_wait_passes(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is never an error of ours."""

    async def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(BlockingRuntime, "sleep", interrupted)
    script.on["get"] = always(DOWN)
    with kmsbridge.connect(URL) as bridge, pytest.raises(KeyboardInterrupt):
        bridge.secrets.get("x")


def test_many_threads_retry_at_once(script: Script, fake_time: FakeTime) -> None:
    """Each call has its own attempts, and the tokens add up."""
    del fake_time
    failed = threading.local()

    async def every_other(*_: object) -> None:
        failed.last = not getattr(failed, "last", False)
        if failed.last:
            raise DOWN

    script.on["get"] = every_other
    wrong: list[object] = []
    with kmsbridge.connect(URL) as bridge:

        def work() -> None:
            for _ in range(50):
                try:
                    bridge.secrets.get("x")
                except KMSError as error:
                    wrong.append(error)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        stats = bridge.stats()
    assert wrong == []
    assert (stats.calls, stats.attempts, stats.codes, stats.budget) == (400, 800, {}, 1.0)


# -- what is counted ----------------------------------------------------------------------------


def test_a_bridge_tells_what_became_of_its_calls(script: Script, fake_time: FakeTime) -> None:
    """Calls, attempts, codes, and the last word on limits."""
    del fake_time

    async def limited(_: object, call: Call) -> None:
        call.rate_limit = RateLimit(100, 99, 60)

    script.on.update(get=limited, set=always(DOWN), delete=always(answered(404)))
    with kmsbridge.connect(URL) as bridge:
        assert bridge.stats() == (0, 0, {}, 1.0, {})
        bridge.secrets.get("x")
        for call in (lambda: bridge.secrets.set("x", "y"), lambda: bridge.secrets.delete("x")):
            with pytest.raises(KMSError):
                call()
        with pytest.raises(InvalidRequestError):
            bridge.secrets.get("Wrong")
        stats = bridge.stats()
        assert stats == bridge.stats()  # a look changes nothing
    assert (stats.calls, stats.attempts) == (4, 5)
    assert stats.codes == {Code.SERVICE_UNAVAILABLE: 1, Code.NOT_FOUND: 1, Code.INVALID_ARGUMENT: 1}
    assert stats.rate_limits == {"secrets.get": (100, 99, 60)}


# -- how it is said -----------------------------------------------------------------------------


@pytest.mark.parametrize(("policy", "path"), [
    ({"attempts": 0}, "retry.attempts"), ({"attempts": 11}, "retry.attempts"), ({"attempts": True}, "retry.attempts"),
    ({"attempts": 2.0}, "retry.attempts"), ({"backoff": -1}, "retry.backoff"), ({"backoff": "1"}, "retry.backoff"),
    ({"max_delay": float("nan")}, "retry.max_delay"), ({"max_delay": 4_000}, "retry.max_delay"),
    ({"repeat_unknown": 1}, "retry.repeat_unknown"),
])
def test_a_policy_out_of_range_is_refused(policy: dict[str, Any], path: str) -> None:
    """By `connect`, and in a profile; the error names the member."""
    for make in (
        lambda: kmsbridge.connect("memory:", retry=RetryPolicy(**policy)), lambda: retry.policy_from(policy),
    ):
        with pytest.raises(InvalidRequestError) as caught:
            make()
        assert caught.value.fields[0].path == path


def test_what_is_no_policy_is_refused() -> None:
    """A number of attempts alone is none; an unknown key is answered with the known ones."""
    wrong: Any = 3
    with pytest.raises(InvalidRequestError, match="must be a RetryPolicy, not int"):
        kmsbridge.connect("memory:", retry=wrong)
    with pytest.raises(InvalidRequestError, match="unknown key 'tries'") as caught:
        retry.policy_from({"tries": 3})
    assert "attempts, backoff, max_delay, repeat_unknown" in caught.value.remediation


@pytest.mark.parametrize(("given_here", "attempts"), [(None, 2), (RetryPolicy(attempts=1), 1)])
def test_a_profile_says_how(
    script: Script, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, given_here: RetryPolicy | None,
    attempts: int,
) -> None:
    """Its table `retry` has the policy's members; an argument wins over it."""
    del fake_time
    file = tmp_path / "kmsbridge.toml"
    file.write_text(f'[profiles.eu]\nurl = "{URL}"\n[profiles.eu.retry]\nattempts = 2\n')
    file.chmod(0o600)
    monkeypatch.setenv("KMSBRIDGE_CONFIG", str(file))
    script.on["get"] = always(DOWN)
    with kmsbridge.connect("eu", retry=given_here) as bridge, pytest.raises(UnavailableError):
        bridge.secrets.get("x")
    assert script.log.count("get") == attempts


# -- whatever comes -----------------------------------------------------------------------------

FAILURES = st.lists(st.builds(
    error_for, st.sampled_from([code for code in Code if code is not Code.INVALID_ARGUMENT]),
    outcome=st.sampled_from(Outcome), retry_after=st.none() | st.floats(0, 100),
), min_size=1, max_size=12)


class Backend:
    """Fails as told, and writes down what reached it."""

    def __init__(self, failures: list[KMSError]) -> None:
        self.failures = failures
        self.seen: list[KMSError | None] = []

    async def step(self, *_: object) -> None:
        """Fail, while there is something left to fail with."""
        self.seen.append(self.failures[len(self.seen)].copy() if len(self.seen) < len(self.failures) else None)
        if (failure := self.seen[-1]) is not None:
            raise failure


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(failures=FAILURES, repeatable=st.booleans(), attempts=st.integers(1, 5), timeout=st.floats(0.5, 60))
def test_no_sequence_of_failures_breaks_the_laws(
    script: Script, fake_time: FakeTime, failures: list[KMSError], repeatable: bool, attempts: int, timeout: float
) -> None:
    """Never more attempts, never longer than the deadline, never again what is permanent or may have been applied."""
    retry.budget_of.cache_clear()
    script.log.clear()
    backend = Backend(failures)
    script.on["set"], script.repeatable = backend.step, repeatable
    raised: KMSError | None = None
    began = fake_time.now
    with kmsbridge.connect(URL, retry=RetryPolicy(attempts=attempts)) as bridge:
        try:
            bridge.secrets.set("x", "y", timeout=timeout)
        except KMSError as error:
            raised = error
    assert len(backend.seen) + script.log.count("proof") <= attempts
    assert fake_time.now - began <= timeout
    for failure in backend.seen[:-1]:
        assert failure is not None
        assert failure.retry.action is not RetryAction.NEVER
        assert repeatable or failure.outcome is not Outcome.UNKNOWN
    if raised is None:
        assert backend.seen[-1] is None
        return
    worst = max((each.outcome for each in raised.history), key=list(Outcome).index)
    assert (raised.outcome, len(raised.history)) == (worst, len(backend.seen))
    assert raised.attempts == len(backend.seen) + script.log.count("proof")
    assert raised.retry.exhausted == (attempts > 1 and raised.retry.action is not RetryAction.NEVER)
