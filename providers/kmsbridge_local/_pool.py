"""The connections of one store: few, each used by one thread at a time, none carried across a fork."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Protocol
from weakref import WeakSet

from kmsbridge._permits import Permits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator
    from sqlite3 import Connection

    from kmsbridge_local._files import TimeLeft

FORK_SECONDS = 10.0
"""How long a fork waits at most for the calls that are under way."""


class Database(Protocol):
    """What a pool opens connections to."""

    @property
    def connections(self) -> int:
        """How many there may be at once."""
        ...
    @property
    def in_memory(self) -> bool:
        """Whether its one connection is the database."""
        ...
    def identity(self) -> Hashable:
        """Which database it is at the moment; another when its file has been replaced."""
        ...
    def connect(self, time_left: TimeLeft) -> Connection:
        """A new connection, checked."""
        ...


class Pool:
    """Lends connections."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._idle: list[tuple[Hashable, Connection]] = []
        self._closed = False
        self._paused = 0
        self.renew()
        with _FORKING:
            _POOLS.add(self)

    @contextmanager
    def connection(self, time_left: TimeLeft) -> Iterator[Connection]:
        """A connection for this thread.

        Raises:
            TimeoutError: All were in use until the deadline.
        """
        permits = self._permits
        if not permits.acquire(time_left()):
            raise TimeoutError
        try:
            identity, connection = self._take(time_left)
            try:
                yield connection
            finally:
                if self._database.in_memory or not (self._closed or connection.in_transaction):
                    self._idle.append((identity, connection))
                else:  # what could not even be rolled back is not used again
                    connection.close()
        finally:
            permits.release()

    def _take(self, time_left: TimeLeft) -> tuple[Hashable, Connection]:
        identity = self._database.identity()
        while self._idle:
            with suppress(IndexError):
                known, connection = self._idle.pop()
                if known == identity:
                    return known, connection
                connection.close()
        connection = self._database.connect(time_left)
        return self._database.identity(), connection

    def close(self) -> None:
        """Close what is idle now, and the rest when it comes back."""
        self._closed = True
        self._drain()

    def _drain(self) -> None:
        while self._idle:
            with suppress(IndexError):
                self._idle.pop()[1].close()

    # -- fork ---------------------------------------------------------------------------

    def pause(self, until: float) -> None:
        """Wait until no connection is in use, and close those to a file.

        SQLite's locks belong to a process but its record of them is copied by a fork: a
        child that opens the file while it holds an inherited connection believes to have
        locks that it has not.
        """
        while self._paused < self._database.connections:
            if not self._permits.acquire(max(0.0, until - monotonic())):
                break
            self._paused += 1
        if not self._database.in_memory:
            self._drain()

    def resume(self) -> None:
        """In the parent: go on."""
        for _ in range(self._paused):
            self._permits.release()
        self._paused = 0

    def renew(self) -> None:
        """At the start, and in a forked child: locks that no other thread holds."""
        self._permits = Permits(self._database.connections)
        self.writing = threading.Lock()
        """Held by the one thread that writes."""
        self._paused = 0


_POOLS: WeakSet[Pool] = WeakSet()
_FORKING = threading.Lock()


def _before_fork() -> None:
    _FORKING.acquire()
    until = monotonic() + FORK_SECONDS
    for pool in _POOLS:
        pool.pause(until)


def _after_in_parent() -> None:
    for pool in _POOLS:
        pool.resume()
    _FORKING.release()


def _after_in_child() -> None:
    for pool in _POOLS:
        pool.renew()
    _FORKING.release()


os.register_at_fork(before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
