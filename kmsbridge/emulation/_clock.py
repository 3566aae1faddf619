"""The clock of an emulated service: the real one, moved."""

from __future__ import annotations

import time
from datetime import timedelta


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
        """Move on by so much; a negative amount moves back."""
        self._offset += timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()

    def reset(self) -> None:
        """Show the real time again."""
        self._offset = 0.0
