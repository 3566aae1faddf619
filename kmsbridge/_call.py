"""The one way every call goes: deadline, driver, attempts, errors, events.

Nothing else raises one of our errors for a failure of a backend, and it is raised
outside every ``except`` block, so that no exception of an SDK hangs on it.
"""

from __future__ import annotations

import os
from threading import TIMEOUT_MAX
from time import monotonic, time_ns
from typing import TypeVar

from kmsbridge._ciphertext import Broken, Foreign, not_ours
from kmsbridge._decode import Refused
from kmsbridge._errors import CryptoError, DeadlineExceededError, Identity, KMSError, Outcome, RetryAction, invalid
from kmsbridge._retry import COSTS, TOKENS, Attempts, budget_of
from kmsbridge._runtime import NotStarted
from kmsbridge._telemetry import Event, Tally, emit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kmsbridge._decode import Answer, Decoder
    from kmsbridge._driver import Driver
    from kmsbridge._errors import RateLimit, Resource
    from kmsbridge._registry import Hold
    from kmsbridge._retry import RetryPolicy
    from kmsbridge._runtime import Runtime
    from kmsbridge._telemetry import Stats

T = TypeVar("T")

POLL_EVERY = 0.5
"""Seconds between two looks at an operation that is in the way."""


class Call:
    """One logical call, as its body and its driver see it.

    Args:
        operation: Such as ``secrets.get``.
        resource: What it is about.
        timeout: Seconds until its deadline.
        hold: Gives the driver; None where the caller has one.
        now: The clock that its deadline is on.
    """

    __slots__ = (
        "_deadline", "_hold", "_now", "_token", "applied", "attempts", "identity", "native", "operation",
        "rate_limit", "request_ids", "resource", "started",
    )  # fmt: skip

    def __init__(
        self,
        operation: str,
        resource: Resource | None,
        timeout: float,
        hold: Hold | None = None,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self.operation = operation
        self.resource = resource
        self._now = now
        self.started = now()
        self._deadline = self.started + timeout
        self._hold = hold
        self._token: str | None = None
        self.attempts = 0
        """Requests made; a driver whose SDK makes more than one adds them."""
        self.request_ids: dict[str, str] = {}
        """Of the last answer, by header; a driver fills them in."""
        self.rate_limit: RateLimit | None = None
        """What the last answer said of the limit on requests; a driver fills it in."""
        self.identity: Identity | None = None
        """Who we were to the backend; a driver that knows fills it in."""
        self.native: str | None = None
        """The backend's own name of the item, once that is known."""
        self.applied = False
        """Whether part of it has been carried out, so that a failure from here on leaves the outcome unknown."""

    def time_left(self) -> float:
        """Seconds until the deadline.

        Raises:
            TimeoutError: There are none.
        """
        if (left := self._deadline - self._now()) <= 0:
            raise TimeoutError
        return left

    def token(self) -> str:
        """32 hexadecimal digits of this call alone, the same in all its attempts; later calls have greater ones.

        A write that carries them to a backend can be repeated.
        """
        if self._token is None:
            self._token = f"{time_ns() // 1000:016x}{os.urandom(8).hex()}"
        return self._token

    def elapsed(self) -> float:
        """Seconds since it began."""
        return self._now() - self.started

    async def driver(self) -> Driver:
        """The open driver. What the caller can get wrong is checked before this is asked for."""
        assert self._hold is not None
        self.time_left()
        driver = await self._hold.driver(self)
        self.attempts += 1
        return driver


class Calls:
    """Makes the calls of one bridge.

    Args:
        hold: The bridge's share in an open driver.
        decoder: The provider's.
        timeout: Seconds for calls that do not say.
        policy: How they are tried again.
        on_event: Gets an `Event` for each attempt and each call.
        debug_causes: Chain the original exceptions; they may hold values.
    """

    def __init__(
        self,
        hold: Hold,
        decoder: Decoder,
        *,
        timeout: float,
        policy: RetryPolicy,
        on_event: Callable[[Event], object] | None,
        debug_causes: bool,
    ) -> None:
        self._hold = hold
        self._decoder = decoder
        self._now = hold.runtime.now
        self._timeout = check_timeout(timeout)
        if on_event is not None and not callable(on_event):
            raise invalid(
                f"on_event must be a function, not {type(on_event).__name__}",
                "on_event",
                remediation="Give a function that takes one Event.",
            )
        self._on_event = on_event
        self._debug_causes = debug_causes
        self._policy = policy
        self._budget = budget_of(hold.provider.name, hold.settings.address)
        self.provider = hold.provider.name
        self.tally = Tally()

    def stats(self) -> Stats:
        """What became of the calls so far."""
        return self.tally.stats(self._budget.tokens / TOKENS)

    @property
    def runtime(self) -> Runtime:
        """How the bodies of this bridge wait."""
        return self._hold.runtime

    async def run(
        self,
        operation: str,
        body: Callable[[Call], Awaitable[T]],
        timeout: float | None = None,
        proof: Callable[[Call, Driver], Awaitable[T | None]] | None = None,
    ) -> T:
        """Make one call, in as many attempts as the policy allows.

        Args:
            operation: Such as ``secrets.get``.
            body: Makes one attempt.
            timeout: Seconds for all of it; None for the bridge's.
            proof: What was done, where a write whose answer was lost can be shown to have been applied.

        Raises:
            KMSError: The one error that the last failure decodes to.
        """
        call = Call(operation, None, self._timeout, self._hold, self._now)
        attempts: Attempts | None = None
        began = call.started
        failure: Exception
        while True:
            made = call.attempts
            try:
                if timeout is not None:
                    call = Call(operation, None, check_timeout(timeout), self._hold, self._now)
                    timeout = None
                result = await body(call)
            except Exception as caught:
                failure = caught
            else:
                if attempts is None and self._on_event is None:  # most calls: what they pay for all this
                    if self._budget.tokens < TOKENS:
                        self._budget.give(1)
                    self.tally.add(call, None)
                else:
                    self._succeeded(call, attempts, began)
                return result
            sent = call.attempts > made
            error = self._error(failure, call, sent=sent)
            attempts = attempts or Attempts(self._policy, self._budget)
            attempts.add(error, self._now() - began, sent=sent)
            if self._on_event is not None and sent:
                self._emit(call, error, began)
            if await self._another(error, call, attempts):
                began = self._now()
                call.request_ids = {}
                continue
            if proof is not None and attempts.worst is Outcome.UNKNOWN:
                began = self._now()
                found = await self._proved(proof, call)
                if found is not None:
                    self._succeeded(call, attempts, began)
                    return found
            break
        attempts.give_up(error)
        error.attempts = call.attempts
        error.elapsed = call.elapsed()
        self.tally.add(call, error)
        if self._on_event is not None:
            self._emit(call, error)
        if self._debug_causes and error is not failure:
            error.__cause__ = failure
        try:
            raise error
        finally:
            del error, failure  # their tracebacks hold this frame: what is in a cycle outlives the call

    def item_error(self, answer: Answer, call: Call) -> KMSError:
        """Why one item of a call failed that succeeded as a whole."""
        error = self._error(Refused(answer), call, sent=True)
        error.elapsed = call.elapsed()
        error.request_ids = error.request_ids or call.request_ids
        return error

    def _succeeded(self, call: Call, attempts: Attempts | None, began: float) -> None:
        self._budget.give(1 if attempts is None else attempts.paid or 1)
        self.tally.add(call, None)
        if self._on_event is not None:
            self._emit(call, None, began)
            self._emit(call, None)

    def _error(self, failure: Exception, call: Call, *, sent: bool) -> KMSError:
        """The error of one attempt, which may have come to nothing before anything was sent."""
        if isinstance(failure, KMSError):
            error = failure
        elif isinstance(failure, NotStarted) or (isinstance(failure, TimeoutError) and not sent):
            error = DeadlineExceededError("the time for the call was over before it began", outcome=Outcome.NOT_SENT)
        elif isinstance(failure, Broken):
            error = CryptoError()
        elif isinstance(failure, Foreign):
            error = not_ours()
            if sent:  # only the backend could tell
                error.outcome = Outcome.NOT_APPLIED
        else:
            error = self._decoder.decode(self._decoder.answer(failure), operation=call.operation)
            if not sent:  # its driver could not be opened
                error.outcome = Outcome.NOT_SENT
        error.provider = error.provider or self.provider
        error.operation = error.operation or call.operation
        error.resource = error.resource or call.resource
        if call.identity is not None:  # what the backend says of us comes first
            said = error.identity or Identity()
            error.identity = Identity(*[said[at] or known for at, known in enumerate(call.identity)])
        error.attempts = call.attempts
        if call.applied:
            error.outcome = Outcome.UNKNOWN
        return error

    async def _another(self, error: KMSError, call: Call, attempts: Attempts) -> bool:
        """Do what the advice asks for, if it may be done here; True when another attempt is to be made."""
        action = error.retry.action
        if not attempts.sensible(error, call.attempts):
            return False
        try:
            if not await self._may_repeat(call, attempts):
                return False
            delay = 0.0
            if action in COSTS:
                if (wait := attempts.delay(error, call.time_left())) is None:
                    return False
                await self.runtime.sleep(delay := wait)
            elif not call.attempts or not await self._renewed(error, call, attempts):
                return False
            call.time_left()
        except Exception:  # the first error says more than the failed attempt to mend it
            return False
        attempts.next(action, delay)
        return True

    async def _renewed(self, error: KMSError, call: Call, attempts: Attempts) -> bool:
        """Whether what the error shows to be stale or in the way no longer is."""
        action = error.retry.action
        attempts.renewed.add(action)
        driver = await self._hold.driver(call)
        if action is RetryAction.REAUTHENTICATE:
            return await driver.reauthenticate()
        if action is RetryAction.REFRESH:
            return await driver.refresh(error)
        while not await driver.poll(error, call):
            await self.runtime.sleep(min(POLL_EVERY, call.time_left()))
        return True

    async def _may_repeat(self, call: Call, attempts: Attempts) -> bool:
        if attempts.worst is not Outcome.UNKNOWN:
            return True
        driver = await self._hold.driver(call)
        return attempts.may_repeat(driver.repeatable(call.operation))

    async def _proved(self, proof: Callable[[Call, Driver], Awaitable[T | None]], call: Call) -> T | None:
        """What a write did whose answer was lost; None where that cannot be shown."""
        if call.applied or not 0 < call.attempts < self._policy.attempts:
            return None
        try:
            call.time_left()
            return await proof(call, await self._hold.driver(call))
        except Exception:  # it cannot be shown: the outcome stays unknown
            return None

    def _emit(self, call: Call, error: KMSError | None, began: float | None = None) -> None:
        """Give the hook the event of an attempt that began then, or of the whole call."""
        assert self._on_event is not None
        elapsed = self._now() - (call.started if began is None else began)
        code, ids, limit = None, call.request_ids, call.rate_limit
        if error is not None:
            code, ids, limit = error.code, {**ids, **error.request_ids}, error.rate_limit or limit
        attempt = None if began is None else call.attempts
        named = getattr(self._on_event, "names", False) is True
        emit(
            self._on_event,
            Event(
                self.provider, call.operation, code, call.attempts, elapsed, ids, limit, attempt,
                () if error is None else error.history, call.resource if named else None,
            ),
        )  # fmt: skip

    async def close(self) -> None:
        """Let go of the driver; later calls are refused."""
        await self._hold.close()


def check_timeout(timeout: float) -> float:
    """A timeout in seconds, if it is one.

    Raises:
        InvalidRequestError: It is not a positive number that a clock can count to.
    """
    hint = "Give seconds, such as 30."
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise invalid(f"timeout must be a number of seconds, not {type(timeout).__name__}", "timeout", remediation=hint)
    if not 0 < timeout <= TIMEOUT_MAX:
        raise invalid("timeout must be a positive number of seconds", "timeout", remediation=hint)
    return float(timeout)
