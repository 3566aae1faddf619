"""The clock of an emulated service: the real one, moved."""

from __future__ import annotations

import time
from datetime import timedelta

LATEST = 95_617_584_000.0
"""The beginning of the year 5000, in seconds since 1970. Times have four digits for the year, and some lie ahead."""


class Clock:
    """What time the emulated service believes it is.

    It runs on with the real clock from wherever it was moved to. Tokens and certificates
    are outside it: their holders judge them by the real clock.
    """

    __slots__ = ("_offset",)

    def __init__(self) -> None:
        self._offset = 0.0

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time() + self._offset

    def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Move on by so much; a negative amount moves back.

        Raises:
            ValueError: It would be before 1970, or so late that times which follow could not be written.
        """
        try:
            by = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
        except OverflowError:
            by = LATEST
        if not 0 <= self.now() + by <= LATEST:
            raise ValueError("the clock goes from 1970 to 4999")
        self._offset += by

    def reset(self) -> None:
        """Show the real time again."""
        self._offset = 0.0
