"""What is fetched once for an identity and shown with every request until its time is over.

A process has one store of tokens or access keys per identity, for all bridges, threads and
event loops. However many ask at once, one of them fetches. In a forked child what is held
stays, which is plain data; the locks are made anew.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from functools import partial
from typing import Generic, NamedTuple, Protocol, TypeVar
from weakref import WeakSet, WeakValueDictionary

from kmsbridge._runtime import SingleFlight

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, MutableMapping

    from kmsbridge._runtime import Runtime

K = TypeVar("K", bound="Hashable")
T = TypeVar("T")
I = TypeVar("I", bound="Hashable")  # noqa: E741 - an identity

REFUSED = 16
"""How many of the values that were refused last are known."""


class Kept(NamedTuple, Generic[T]):
    """A value, and when to fetch another, in seconds since 1970."""

    value: T
    again: float

    def __repr__(self) -> str:
        return "<kept, not shown>"


class Held(Generic[K, T]):
    """Values that are fetched once, however many ask, until they are to be replaced or are refused.

    Args:
        shown: What of a value the service sees, by which it is known again.
    """

    def __init__(self, shown: Callable[[T], object]) -> None:
        self.kept: dict[K, Kept[T]] = {}
        self._shown = shown
        self._refused: deque[object] = deque(maxlen=REFUSED)
        self._flights: SingleFlight[K, Kept[T] | None] = SingleFlight()

    def after_fork(self) -> None:
        """In a forked child: leave the parent's locks alone."""
        abandon(self._flights)
        self._flights = SingleFlight()

    def fresh(self, key: K) -> Kept[T] | None:
        """What is held and need not be fetched."""
        kept = self.kept.get(key)
        return kept if kept is not None and time.time() < kept.again else None

    async def get(
        self,
        runtime: Runtime,
        key: K,
        fetch: Callable[[], Awaitable[Kept[T] | None]],
        time_left: Callable[[], float | None],
    ) -> T:
        """The value of a key, fetched by us or by who asked first.

        Args:
            runtime: How to wait.
            key: Of what.
            fetch: Gives a new one; None where the fetcher's own time is over, which is nobody else's failure.
            time_left: Seconds until ours is.

        Raises:
            TimeoutError: There was none in time.
        """
        while True:
            if (kept := self.fresh(key)) is not None:
                return kept.value
            made = await self._flights.do(runtime, key, partial(self._fetched, key, fetch), time_left)
            if made is not None:
                return made.value
            left = time_left()
            if left is not None and left <= 0:
                raise TimeoutError

    async def _fetched(self, key: K, fetch: Callable[[], Awaitable[Kept[T] | None]]) -> Kept[T] | None:
        if (kept := self.fresh(key)) is not None:
            return kept  # somebody was faster than our look at what is held
        made = await fetch()
        if made is not None:
            self.kept[key] = made
        return made

    def refuse(self, shown: object) -> None:
        """Note that the service does not take this one."""
        self._refused.append(shown)

    def renew(self, dropped: Callable[[], object] = lambda: None) -> bool:
        """Drop what was refused; True if there was something.

        Of several refused at once, whoever comes first renews them all.

        Args:
            dropped: Called if it was still held.
        """
        refused = tuple(self._refused)
        for key, kept in list(self.kept.items()):
            if self._shown(kept.value) in refused:
                self.kept.pop(key, None)
                dropped()
        return bool(refused)


class Store(Protocol):
    """What there is one of for each identity."""

    def after_fork(self) -> None:
        """In a forked child: leave the parent's locks and connections alone."""
        ...


S = TypeVar("S", bound=Store)


class Stores(Generic[I, S]):
    """One store for each identity of this process.

    Args:
        make: Makes the store of an identity.
        given: Identities of this kind are objects of the caller's: their store lives as long as a driver uses it.
    """

    def __init__(self, make: Callable[[I], S], given: type | tuple[type, ...] = ()) -> None:
        self._make = make
        self._given = given
        self.lasting: dict[I, S] = {}
        self.passing: WeakValueDictionary[I, S] = WeakValueDictionary()
        self._lock = threading.Lock()
        _FAMILIES.append(self.after_fork)

    def of(self, identity: I) -> S:
        """The store of an identity."""
        known: MutableMapping[I, S] = self.passing if isinstance(identity, self._given) else self.lasting
        with self._lock:
            found = known.get(identity)
            if found is None:
                found = known[identity] = self._make(identity)
                _STORES.add(found)
            return found

    def after_fork(self) -> None:
        """In a forked child: another thread may have held the lock."""
        self._lock = threading.Lock()


_FAMILIES: list[Callable[[], None]] = []
_STORES: WeakSet[Store] = WeakSet()
_ABANDONED: list[object] = []
"""What belongs to the parent of this process: neither used nor closed here."""


def abandon(*what: object) -> None:
    """Keep what a forked child has inherited and must not touch, not even to close it."""
    _ABANDONED.append(what)


def _after_fork() -> None:
    for renew in _FAMILIES:
        renew()
    for store in list(_STORES):
        store.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
