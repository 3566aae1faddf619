"""What is held for an identity: fetched once, replaced when its time is over or it was refused, new after a fork."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import Any

import pytest

from kmsbridge._held import Held, Kept, Stores
from kmsbridge._runtime import BLOCKING, AsyncioRuntime, drive


class Fetch:
    """Counts how often it is asked."""

    def __init__(self, life: float = 60.0) -> None:
        self.count = 0
        self.life = life

    async def __call__(self) -> Kept[str]:
        """One more."""
        self.count += 1
        return Kept(f"value-{self.count}", time.time() + self.life)


def get(held: Held[str, str], fetch: Fetch, key: str = "key") -> str:
    """What is held, or fetched now."""
    return drive(held.get(BLOCKING, key, fetch, lambda: 5.0))


def test_a_value_is_fetched_once_for_each_key_and_again_when_its_time_is_over() -> None:
    """Keys do not share."""
    held: Held[str, str] = Held(str)
    fetch = Fetch()
    assert [get(held, fetch), get(held, fetch), get(held, fetch, "other")] == ["value-1", "value-1", "value-2"]
    held.kept["key"] = held.kept["key"]._replace(again=0.0)
    assert get(held, fetch) == "value-3"
    assert "value" not in f"{held.kept!r} {held!r}"


def test_only_what_was_refused_is_dropped() -> None:
    """And who made it is told once, however many were refused with it."""
    held: Held[str, str] = Held(str)
    fetch, dropped = Fetch(), []
    assert not held.renew(lambda: dropped.append(1))
    first, other = get(held, fetch), get(held, fetch, "other")
    for _ in range(3):
        held.refuse(first)
        assert held.renew(lambda: dropped.append(1))
        assert get(held, fetch) == "value-3"
    assert get(held, fetch, "other") == other
    assert dropped == [1]


def test_who_waits_is_not_failed_by_anothers_deadline() -> None:
    """The leader's time is over: a waiter fetches anew. Who has no time left himself is told so."""

    async def main() -> None:
        held: Held[str, str] = Held(str)
        runtime, begun = AsyncioRuntime(), asyncio.Event()

        async def late() -> None:
            begun.set()
            await asyncio.sleep(0)

        first = asyncio.create_task(held.get(runtime, "key", late, lambda: 0.0))
        await begun.wait()
        second = asyncio.create_task(held.get(runtime, "key", Fetch(), lambda: 60.0))
        with pytest.raises(TimeoutError):
            await first
        assert await second == "value-1"

    asyncio.run(main())


class Store:
    """What there is one of for each identity."""

    def __init__(self, identity: object) -> None:
        self.identity = identity
        self.forks = 0

    def after_fork(self) -> None:
        """Told of a fork."""
        self.forks += 1


class Given(str):
    """An identity that is an object of the caller's."""

    __slots__ = ("__weakref__",)


def test_an_identity_has_one_store() -> None:
    """A login's lasts as long as the process, an object's as long as somebody uses it."""
    stores: Stores[Any, Store] = Stores(Store, Given)
    assert stores.of("login") is stores.of("login")
    assert stores.of("login") is not stores.of("other")
    mine = stores.of(Given("object"))
    assert stores.of(Given("object")) is mine
    del mine
    gc.collect()
    assert (set(stores.lasting), set(stores.passing)) == ({"login", "other"}, set())


def test_every_store_is_told_of_a_fork() -> None:
    """And the lock that another thread may have held is a new one."""
    from kmsbridge import _held

    stores: Stores[str, Store] = Stores(Store)
    mine = stores.of("login")
    with stores._lock:
        _held._after_fork()
        assert stores.of("login") is mine
    assert mine.forks == 1
