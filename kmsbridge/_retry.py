"""One retry policy for every backend, driven by nothing but the normalized advice of an error.

A call is made at most `RetryPolicy.attempts` times, whatever goes wrong, renewals included.
Waiting has full jitter, so that callers who failed together do not come back together
(Brooker, *Exponential backoff and jitter*). What a whole process may retry is bounded by a
budget per backend, with the sizes of the standard mode of the AWS SDKs (botocore 1.44): 500
tokens, 14 for a retry, 5 for one after throttling; a success gives back what its last retry
took, or one.
Renewals (token, ETag, an operation in the way) cost nothing: each is made once per call.
"""

from __future__ import annotations

import os
import threading
from functools import lru_cache
from typing import NamedTuple

from kmsbridge._errors import Attempt, Code, KMSError, Outcome, RetryAction, invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping
    from typing import Any

    from kmsbridge._errors import InvalidRequestError

MOST_ATTEMPTS = 10
THROTTLE_SECONDS = 1.0
"""The first wait after throttling, before jitter; it doubles as the others do."""
TOKENS = 500
COSTS = {RetryAction.BACKOFF: 14, RetryAction.THROTTLE: 5}
_BY_HARM = (Outcome.NOT_SENT, Outcome.NOT_APPLIED, Outcome.UNKNOWN)


class RetryPolicy(NamedTuple):
    """How a bridge tries again. The profile's table ``retry`` has the same members.

    A call is tried again only if the error says that this helps, and if its outcome is
    unknown only if the operation leaves the same state when it is done twice.
    """

    attempts: int = 3
    """Attempts of one call, the first one included; 1 switches retries and renewals off."""
    backoff: float = 0.1
    """Seconds: the longest first wait. The next is twice as long at most, and so on."""
    max_delay: float = 20.0
    """Seconds: doubling ends there. A server's own wish, or a second after throttling, is added."""
    repeat_unknown: bool = False
    """Whether to repeat what may have been applied already, such as a `set` whose answer was lost.
    It may append a second version."""


RetryPolicy.__module__ = "kmsbridge"  # tracebacks and reprs show the public path


def check_policy(policy: object) -> RetryPolicy:
    """The policy, if it is one.

    Raises:
        InvalidRequestError: It is none, or a member is out of range.
    """
    if not isinstance(policy, RetryPolicy):
        raise _wrong("retry", f"must be a RetryPolicy, not {type(policy).__name__}")
    if isinstance(policy.attempts, bool) or not isinstance(policy.attempts, int):
        raise _wrong("attempts", "must be a whole number")
    if not 1 <= policy.attempts <= MOST_ATTEMPTS:
        raise _wrong("attempts", f"must be from 1 to {MOST_ATTEMPTS}")
    for name in ("backoff", "max_delay"):
        seconds = getattr(policy, name)
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise _wrong(name, "must be a number of seconds")
        if not 0 <= seconds <= 3600:
            raise _wrong(name, "must be from 0 to 3600 seconds")
    if not isinstance(policy.repeat_unknown, bool):
        raise _wrong("repeat_unknown", "must be True or False")
    return policy


def policy_from(table: Mapping[str, Any]) -> RetryPolicy:
    """The policy of a profile's table ``retry``.

    Raises:
        InvalidRequestError: A member is unknown or out of range.
    """
    if unknown := sorted(table.keys() - set(RetryPolicy._fields)):
        raise invalid(
            f"unknown key {unknown[0]!r} in retry", "retry", remediation=f"Allowed: {', '.join(RetryPolicy._fields)}."
        )
    return check_policy(RetryPolicy(**table))


def _wrong(name: str, why: str) -> InvalidRequestError:
    path = "retry" if name == "retry" else f"retry.{name}"
    return invalid(f"{name} {why}", path, remediation="Write RetryPolicy(attempts=5, max_delay=60), for instance.")


# -- the budget ---------------------------------------------------------------------------------

_LOCK = threading.Lock()


def _after_fork() -> None:
    global _LOCK  # noqa: PLW0603 - another thread may have held it
    _LOCK = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Budget:
    """What the calls of this process may still retry on one backend."""

    __slots__ = ("__weakref__", "tokens")

    def __init__(self) -> None:
        self.tokens = TOKENS

    def take(self, cost: int) -> bool:
        """Pay for a retry; False where too little is left."""
        with _LOCK:
            if self.tokens < cost:
                return False
            self.tokens -= cost
            return True

    def give(self, tokens: int) -> None:
        """Give back after a success."""
        with _LOCK:
            self.tokens = min(TOKENS, self.tokens + tokens)


@lru_cache(1024)
def budget_of(provider: str, address: Hashable) -> Budget:
    """The budget that all bridges of the process to one backend share."""
    del provider, address
    return Budget()


# -- one call -----------------------------------------------------------------------------------


def jitter(seconds: float) -> float:
    """Any time up to so many seconds."""
    from random import random

    return random() * seconds  # noqa: S311 - it spreads callers, and keeps no secret


class Attempts:
    """The failed attempts of one call. Made at the first failure: a call that succeeds pays nothing for it."""

    __slots__ = ("_budget", "_by_code", "_failures", "_policy", "_waits", "history", "paid", "renewed", "worst")

    def __init__(self, policy: RetryPolicy, budget: Budget) -> None:
        self._policy = policy
        self._budget = budget
        self._by_code: dict[Code, int] = {}
        self._failures = 0
        self._waits = 0
        self.renewed: set[RetryAction] = set()
        """What has been renewed: each kind once per call."""
        self.history: list[Attempt] = []
        self.paid = 0
        """Tokens that the last retry took."""
        self.worst = Outcome.NOT_SENT

    def add(self, error: KMSError, elapsed: float, *, sent: bool) -> None:
        """Note a failure; the error's outcome becomes the worst of all."""
        self._failures += 1
        if sent:  # else the driver was not even asked
            self.history.append(
                Attempt(error.code, error.http_status, error.provider_codes, error.request_ids, error.outcome, elapsed)
            )
        self.worst = error.outcome = max(self.worst, error.outcome, key=_BY_HARM.index)

    def sensible(self, error: KMSError, made: int) -> bool:
        """Whether another attempt is allowed by the error's advice and the number made."""
        advice = error.retry
        if advice.action is RetryAction.NEVER or max(made, self._failures) >= self._policy.attempts:
            return False
        tried = self._by_code.get(error.code, 0)
        self._by_code[error.code] = tried + 1
        return (advice.limit is None or tried < advice.limit) and advice.action not in self.renewed

    def may_repeat(self, repeatable: bool) -> bool:
        """Whether what may have been applied may be done again."""
        return self.worst is not Outcome.UNKNOWN or repeatable or self._policy.repeat_unknown

    def delay(self, error: KMSError, left: float) -> float | None:
        """Seconds to wait before the next attempt; None where the time or the budget does not allow one."""
        throttled = error.retry.action is RetryAction.THROTTLE
        first = max(THROTTLE_SECONDS, self._policy.backoff) if throttled else self._policy.backoff
        wait = jitter(min(self._policy.max_delay, first * 2**self._waits))
        wait += max(error.retry.min_delay, error.retry_after or 0.0)
        if wait >= left or not self._budget.take(cost := COSTS[error.retry.action]):
            return None
        self._waits += 1
        self.paid = cost
        return wait

    def next(self, action: RetryAction, delay: float) -> None:
        """Note what was done before the next attempt."""
        if self.history:
            self.history[-1] = self.history[-1]._replace(then=action, delay=delay)

    def give_up(self, error: KMSError) -> None:
        """Say on the error what was tried; an outer loop is told to stop where we have had our tries."""
        error.history = tuple(self.history)
        if error.retry.action is not RetryAction.NEVER and self._policy.attempts > 1:
            error.retry = error.retry._replace(exhausted=True)
