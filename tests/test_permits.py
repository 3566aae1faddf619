"""Permits: so many threads at a time, and no interrupt that breaks them."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from kmsbridge._permits import Permits

if TYPE_CHECKING:
    from types import FrameType


def test_so_many_may_be_taken() -> None:
    """Who finds none waits as long as it said, or until another gives one back."""
    permits = Permits(2)
    assert permits.acquire(0)
    assert permits.acquire(0)
    began = monotonic()
    assert not permits.acquire(0.01)
    assert monotonic() - began >= 0.005
    threading.Timer(0.01, permits.release).start()
    assert permits.acquire(30)


def test_an_interrupt_breaks_nothing() -> None:
    """Wherever Python looks for one: at the start of any function. A semaphore would hang here for ever."""
    for number in range(1, 10):
        permits, left = Permits(2), number

        def interrupt(frame: FrameType, event: str, arg: object) -> None:
            nonlocal left
            del event, arg
            left -= frame.f_globals["__name__"] in (Permits.__module__, "threading", "queue")
            if not left:
                left = -1
                raise KeyboardInterrupt

        before = sys.gettrace()
        sys.settrace(interrupt)
        with suppress(KeyboardInterrupt):
            permits.acquire(30)
            permits.release()
        sys.settrace(before)
        assert permits.acquire(30)
