"""Permits: so many threads at a time."""

from __future__ import annotations

from queue import Empty, SimpleQueue


class Permits:
    """What `threading.Semaphore` is, but a KeyboardInterrupt can not break it.

    A semaphore's lock is released by Python code. An interrupt that comes as this begins
    leaves it held, and then every thread waits for ever, whatever its time. Here all that
    is held is held by C code, which no interrupt divides.

    Args:
        count: How many there are.
    """

    __slots__ = ("_free",)

    def __init__(self, count: int) -> None:
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(count):
            self._free.put(None)

    def acquire(self, timeout: float) -> bool:
        """Take one; False if none was free for so many seconds."""
        try:
            self._free.get(timeout=timeout)
        except Empty:
            return False
        return True

    def release(self) -> None:
        """Give it back."""
        self._free.put(None)
