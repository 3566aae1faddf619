"""The one way every call goes: deadline, driver, errors, event.

Nothing else raises one of our errors for a failure of a backend, and it is raised
outside every ``except`` block, so that no exception of an SDK hangs on it.
"""

from __future__ import annotations

import os
from threading import TIMEOUT_MAX
from time import monotonic, time_ns
from typing import TypeVar

from kmsbridge._ciphertext import Broken, Foreign, not_ours
from kmsbridge._errors import CryptoError, DeadlineExceededError, Identity, KMSError, Outcome, RetryAction, invalid
from kmsbridge._runtime import NotStarted
from kmsbridge._telemetry import Event, emit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kmsbridge._decode import Decoder
    from kmsbridge._driver import Driver
    from kmsbridge._errors import RateLimit, Resource
    from kmsbridge._registry import Hold
    from kmsbridge._runtime import Runtime

T = TypeVar("T")

POLL_EVERY = 0.5
"""Seconds between two looks at an operation that is in the way."""
_BY_HARM = (Outcome.NOT_SENT, Outcome.NOT_APPLIED, Outcome.UNKNOWN)


class Call:
    """One logical call, as its body and its driver see it.

    Args:
        operation: Such as ``secrets.get``.
        resource: What it is about.
        timeout: Seconds until its deadline.
        hold: Gives the driver; None where the caller has one.
    """

    __slots__ = (
        "_deadline", "_hold", "_token", "applied", "attempts", "identity", "native", "operation", "rate_limit",
        "request_ids", "resource", "started",
    )  # fmt: skip

    def __init__(self, operation: str, resource: Resource | None, timeout: float, hold: Hold | None = None) -> None:
        self.operation = operation
        self.resource = resource
        self.started = monotonic()
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
        if (left := self._deadline - monotonic()) <= 0:
            raise TimeoutError
        return left

    def token(self) -> str:
        """32 hexadecimal digits of this call alone, the same in all its attempts; later calls have greater ones.

        A write that carries them to a backend can be repeated.
        """
        if self._token is None:
            self._token = f"{time_ns() // 1000:016x}{os.urandom(8).hex()}"
        return self._token

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
        on_event: Gets one `Event` per call.
        debug_causes: Chain the original exceptions; they may hold values.
    """

    def __init__(
        self,
        hold: Hold,
        decoder: Decoder,
        *,
        timeout: float,
        on_event: Callable[[Event], object] | None,
        debug_causes: bool,
    ) -> None:
        self._hold = hold
        self._decoder = decoder
        self._timeout = check_timeout(timeout)
        if on_event is not None and not callable(on_event):
            raise invalid(
                f"on_event must be a function, not {type(on_event).__name__}",
                "on_event",
                remediation="Give a function that takes one Event.",
            )
        self._on_event = on_event
        self._debug_causes = debug_causes
        self.provider = hold.provider.name

    @property
    def runtime(self) -> Runtime:
        """How the bodies of this bridge wait."""
        return self._hold.runtime

    async def run(
        self,
        operation: str,
        body: Callable[[Call], Awaitable[T]],
        timeout: float | None = None,
    ) -> T:
        """Make one call: one attempt, and one more after what was stale has been renewed.

        Raises:
            KMSError: The one error the failure decodes to.
        """
        call = Call(operation, None, self._timeout, self._hold)
        renewed: set[RetryAction] = set()
        worst = Outcome.NOT_SENT
        failure: Exception
        while True:
            try:
                if timeout is not None:
                    call = Call(operation, None, check_timeout(timeout), self._hold)
                    timeout = None
                result = await body(call)
            except Exception as caught:
                failure = caught
            else:
                if self._on_event is not None:
                    self._emit(call, None)
                return result
            error = self._error(failure, call)
            worst = error.outcome = max(worst, error.outcome, key=_BY_HARM.index)
            if not await self._renewed(error, call, renewed):
                break
        error.elapsed = monotonic() - call.started
        if self._on_event is not None:
            self._emit(call, error)
        if self._debug_causes and error is not failure:
            error.__cause__ = failure
        try:
            raise error
        finally:
            del error, failure  # their tracebacks hold this frame: what is in a cycle outlives the call

    def _error(self, failure: Exception, call: Call) -> KMSError:
        if isinstance(failure, KMSError):
            error = failure
        elif isinstance(failure, NotStarted) or (isinstance(failure, TimeoutError) and not call.attempts):
            error = DeadlineExceededError("the time for the call was over before it began", outcome=Outcome.NOT_SENT)
        elif isinstance(failure, Broken):
            error = CryptoError()
        elif isinstance(failure, Foreign):
            error = not_ours()
            if call.attempts:  # only the backend could tell
                error.outcome = Outcome.NOT_APPLIED
        else:
            error = self._decoder.decode(self._decoder.answer(failure), operation=call.operation)
            if not call.attempts:  # its driver could not be opened
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

    async def _renewed(self, error: KMSError, call: Call, renewed: set[RetryAction]) -> bool:
        """Do what the advice asks for, if it may be done here; True when another attempt makes sense."""
        action = error.retry.action
        if action in (RetryAction.NEVER, RetryAction.BACKOFF, RetryAction.THROTTLE):
            return False
        if action in renewed or not call.attempts:
            return False
        renewed.add(action)
        try:
            driver = await self._hold.driver(call)
            if error.outcome is Outcome.UNKNOWN and not driver.repeatable(call.operation):
                return False
            if action is RetryAction.REAUTHENTICATE:
                return await driver.reauthenticate()
            if action is RetryAction.REFRESH:
                return await driver.refresh(error)
            while not await driver.poll(error, call):
                await self.runtime.sleep(min(POLL_EVERY, call.time_left()))
        except Exception:  # the first error says more than the failed attempt to mend it
            return False
        return True

    def _emit(self, call: Call, error: KMSError | None) -> None:
        assert self._on_event is not None
        elapsed = monotonic() - call.started
        code, ids, limit = None, call.request_ids, call.rate_limit
        if error is not None:
            code, ids, limit = error.code, {**ids, **error.request_ids}, error.rate_limit or limit
        emit(self._on_event, Event(self.provider, call.operation, code, call.attempts, elapsed, ids, limit))

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
