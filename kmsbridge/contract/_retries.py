"""The cases about retries: for providers whose backend can be made to fail."""

from __future__ import annotations

from abc import abstractmethod
from enum import Enum
from typing import TYPE_CHECKING

import pytest

from kmsbridge import Code, KMSError, Outcome, RetryAction, RetryPolicy
from kmsbridge.contract._contract import Contract, needs
from kmsbridge.contract._harness import Harness
from kmsbridge.contract.secrets._acts import drained

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kmsbridge.contract._contract import Connect
    from kmsbridge.contract._views import BridgeView
    from kmsbridge.contract._witness import Canary

ONCE = RetryPolicy(attempts=1)


class Failing(Enum):
    """How a backend can be made to fail."""

    UNAVAILABLE = "unavailable"
    """It answers that it cannot serve anybody now."""
    THROTTLED = "throttled"
    """It answers that too much was asked, with or without a time to wait."""
    DENIED = "denied"
    """It answers that the identity may not do this."""
    RESET = "reset"
    """The connection breaks, and nothing was done."""
    LOST = "lost"
    """What was asked is done, and the connection breaks before the answer."""


class FailingHarness(Harness):
    """What the cases about retries need to know beside the rest."""

    @abstractmethod
    def fail(self, how: Failing, times: int | None = None) -> None:
        """Let so many requests fail that are operations on items, all of them where None is given."""

    @abstractmethod
    def recover(self) -> None:
        """Let nothing fail any more."""

    @abstractmethod
    def requests(self) -> int:
        """How many requests for operations on items have arrived so far."""


class RetriesContract(Contract):
    """Everything a bridge promises of its retries.

    Subclass it as the other contracts, with a harness that can make the backend fail.
    """

    part = "secrets"
    operations = ("get", "set")

    @property
    def failing(self) -> FailingHarness:
        """The harness, which must be one that can make its backend fail."""
        assert isinstance(self.harness, FailingHarness), f"{type(self.harness).__name__} is no FailingHarness"
        return self.harness

    @pytest.fixture(autouse=True)
    def waits(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        """The waits between attempts, which are over at once; and no case pays for another's."""
        from kmsbridge import _retry, _runtime

        waits: list[float] = []

        async def sleep(_: object, seconds: float) -> None:
            waits.append(seconds)

        monkeypatch.setattr(_runtime.BlockingRuntime, "sleep", sleep)
        monkeypatch.setattr(_runtime.AsyncioRuntime, "sleep", sleep)
        _retry.budget_of.cache_clear()
        return waits

    @needs("get", "set")
    @pytest.mark.parametrize("how", [Failing.UNAVAILABLE, Failing.THROTTLED, Failing.RESET])
    async def test_what_may_pass_is_asked_three_times(
        self, bridge: BridgeView, canary: Canary, waits: list[float], how: Failing
    ) -> None:
        """Not more, also in an application's own loop of three that stops when we have given up."""
        await bridge.secrets.set("some/name", canary.text())
        before = self.failing.requests()
        self.failing.fail(how)
        error = await self._in_a_loop(lambda: bridge.secrets.get("some/name"))
        assert self.failing.requests() - before == 3
        assert (error.attempts, error.retry.exhausted, len(error.history), len(waits)) == (3, True, 3, 2)
        assert [attempt.code for attempt in error.history] == [error.code] * 3
        if how is Failing.THROTTLED:
            assert error.code is Code.RATE_LIMITED
            assert min(waits) >= max(1.0, error.retry_after or 0.0)
        else:
            assert error.code in (Code.SERVICE_UNAVAILABLE, Code.NETWORK_ERROR)

    @needs("get", "set")
    @pytest.mark.parametrize("how", [Failing.UNAVAILABLE, Failing.THROTTLED, Failing.RESET])
    async def test_what_passes_is_not_told(self, bridge: BridgeView, canary: Canary, how: Failing) -> None:
        """The third attempt gets through, and the caller has the value."""
        await bridge.secrets.set("some/name", canary.text())
        before = self.failing.requests()
        self.failing.fail(how, times=2)
        assert (await bridge.secrets.get("some/name")).value == canary.text()
        assert self.failing.requests() - before == 3

    @needs("get", "set")
    async def test_what_is_permanent_is_asked_once(
        self, bridge: BridgeView, canary: Canary, waits: list[float]
    ) -> None:
        """A loop of three makes three requests."""
        await bridge.secrets.set("some/name", canary.text())
        before = self.failing.requests()
        self.failing.fail(Failing.DENIED)
        for _ in range(3):
            with pytest.raises(KMSError) as caught:
                await bridge.secrets.get("some/name")
            assert (caught.value.code, caught.value.attempts) == (Code.ACCESS_DENIED, 1)
            assert caught.value.retry == (RetryAction.NEVER, None, 0.0, False)
        assert self.failing.requests() - before == 3
        assert waits == []

    @needs("get", "set")
    async def test_a_wait_beyond_the_deadline_is_not_begun(
        self, bridge: BridgeView, canary: Canary, waits: list[float]
    ) -> None:
        """After throttling the wait is a second at least: who has less is told at once."""
        await bridge.secrets.set("some/name", canary.text())
        before = self.failing.requests()
        self.failing.fail(Failing.THROTTLED)
        with pytest.raises(KMSError) as caught:
            await bridge.secrets.get("some/name", timeout=0.9)
        assert self.failing.requests() - before == 1
        assert (caught.value.code, caught.value.retry.exhausted, waits) == (Code.RATE_LIMITED, True, [])

    @needs("get", "set")
    @pytest.mark.parametrize("how", [Failing.UNAVAILABLE, Failing.THROTTLED, Failing.RESET])
    async def test_retries_can_be_switched_off(
        self, connect: Connect, canary: Canary, waits: list[float], how: Failing
    ) -> None:
        """Then the loop is the application's, and it is not told to stop."""
        bridge = connect(retry=ONCE)
        await bridge.secrets.set("some/name", canary.text())
        before = self.failing.requests()
        self.failing.fail(how)
        with pytest.raises(KMSError) as caught:
            await bridge.secrets.get("some/name")
        assert self.failing.requests() - before == 1
        assert (caught.value.attempts, caught.value.retry.exhausted, waits) == (1, False, [])

    @needs("get", "set", "versions")
    @pytest.mark.parametrize("how", [Failing.LOST, Failing.RESET])
    async def test_a_set_whose_answer_was_lost_makes_one_version_at_most(
        self, bridge: BridgeView, canary: Canary, how: Failing
    ) -> None:
        """It succeeds only if its version is there; else its outcome is unknown, and nothing was sent twice."""
        await bridge.secrets.set("some/name", canary.text("old"))
        self.failing.fail(how, times=1)
        made = failed = None
        try:
            made = await bridge.secrets.set("some/name", canary.text("new"))
        except KMSError as error:
            failed = error
        self.failing.recover()
        if failed is not None:
            assert failed.outcome is Outcome.UNKNOWN, failed.details()
            assert failed.retry.exhausted
        versions = [info.version for info in await drained(bridge.secrets.versions("some/name"))]
        assert len(versions) <= 2
        if made is not None:
            assert made.version == versions[0]
            assert len(versions) == 2
            assert (await bridge.secrets.get("some/name")).value == canary.text("new")

    @needs("get", "set")
    async def test_each_attempt_is_told(self, bridge: BridgeView, canary: Canary) -> None:
        """On the error, and in what the bridge has counted."""
        await bridge.secrets.set("some/name", canary.text())
        before = bridge.bridge.stats()
        self.failing.fail(Failing.UNAVAILABLE)
        with pytest.raises(KMSError) as caught:
            await bridge.secrets.get("some/name")
        after = bridge.bridge.stats()
        assert (after.calls - before.calls, after.attempts - before.attempts) == (1, 3)
        assert after.codes == {caught.value.code: 1}
        assert after.budget < before.budget
        assert f"3 in {caught.value.elapsed:.3f} s" in caught.value.details()

    async def _in_a_loop(self, call: Callable[[], Awaitable[object]]) -> KMSError:
        """What an application's loop of three ends with that honours the advice."""
        errors: list[KMSError] = []
        while len(errors) < 3:
            with pytest.raises(KMSError) as caught:
                await call()
            errors.append(caught.value)
            if caught.value.retry.exhausted or caught.value.retry.action is RetryAction.NEVER:
                break
        return errors[-1]
