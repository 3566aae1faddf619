"""What a call tells about itself: events, given to a hook, and a tally per bridge."""

from __future__ import annotations

import os
import threading
from itertools import count
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kmsbridge._call import Call
    from kmsbridge._errors import Attempt, Code, KMSError, RateLimit, Resource


class Event(NamedTuple):
    """One attempt, or one whole call, that has ended. Holds no value."""

    provider: str
    operation: str
    """Such as ``secrets.get``; each page of a listing is a call of its own."""
    code: Code | None
    """None when it succeeded."""
    attempts: int
    """Requests made so far."""
    elapsed: float
    """Seconds."""
    request_ids: Mapping[str, str]
    rate_limit: RateLimit | None = None
    """What the last answer said of the limit on requests; None where the backend says nothing of it."""
    attempt: int | None = None
    """Which attempt has ended, counted from 1; None for the whole call."""
    history: tuple[Attempt, ...] = ()
    """Of a call that failed: its attempts."""
    resource: Resource | None = None
    """What the call was about; None unless the hook has an attribute ``names`` that is True."""


class Stats(NamedTuple):
    """What became of the calls of one bridge so far."""

    calls: int
    """Those that have ended."""
    attempts: int
    """Requests made for them."""
    codes: Mapping[Code, int]
    """How many failed with which code."""
    budget: float
    """What is left to retry with on this backend, in this process: 1.0 is all, 0.0 none."""
    rate_limits: Mapping[str, RateLimit]
    """What the backend last said of its limit, by operation."""


_LOCK = threading.Lock()


def _after_fork() -> None:
    global _LOCK  # noqa: PLW0603 - another thread may have held it
    _LOCK = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Tally:
    """Counts the calls of one bridge."""

    __slots__ = ("_attempts", "_calls", "_codes", "_looks", "_rate_limits", "_smooth")

    def __init__(self) -> None:
        self._smooth = count()
        """Of calls that succeeded at once: most of them. It counts without a lock, and a look at it counts too."""
        self._looks = 0
        self._calls = 0
        self._attempts = 0
        self._codes: dict[Code, int] = {}
        self._rate_limits: dict[str, RateLimit] = {}

    def add(self, call: Call, error: KMSError | None) -> None:
        """Count a call that has ended."""
        if error is None and call.attempts == 1 and call.rate_limit is None:
            next(self._smooth)
            return
        limit = call.rate_limit if error is None else error.rate_limit or call.rate_limit
        with _LOCK:
            self._calls += 1
            self._attempts += call.attempts
            if error is not None:
                self._codes[error.code] = self._codes.get(error.code, 0) + 1
            if limit is not None:
                self._rate_limits[call.operation] = limit

    def stats(self, budget: float) -> Stats:
        """All that was counted."""
        with _LOCK:
            smooth = next(self._smooth) - self._looks
            self._looks += 1
            return Stats(
                self._calls + smooth, self._attempts + smooth, dict(self._codes), budget, dict(self._rate_limits)
            )


def emit(hook: Callable[[Event], object], event: Event) -> None:
    """Give an event to a hook; a hook that fails does not fail the call."""
    try:
        hook(event)
    except Exception:
        import logging

        logging.getLogger("kmsbridge").exception("the on_event hook failed on %s", event.operation)
