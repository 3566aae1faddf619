"""Several at once: bridges, threads, tasks, event loops, changers of one key."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import pytest

from kmsbridge import Code, Key, KMSError
from kmsbridge.contract._contract import check, needs, refused
from kmsbridge.contract._views import Mode
from kmsbridge.contract.keys._acts import KeyCases, names

if TYPE_CHECKING:
    from kmsbridge.contract._contract import Connect
    from kmsbridge.contract._views import BridgeView
    from kmsbridge.contract._witness import Canary

_SOME = 8
_MANY = 16


class SharingCases(KeyCases):
    """Cases about what is done at the same time, or from several places."""

    @needs("create", "rotate", "versions")
    async def test_rotations_at_once_lose_no_version(self, bridge: BridgeView, connect: Connect) -> None:
        """All of them are there afterwards, each once."""
        first = await self.create(bridge.keys, spec=self.rotated())
        views = [bridge, *(connect() for _ in range(_SOME - 1))]
        rotated = await bridge.together([partial(view.keys.rotate, "some/key") for view in views])
        versions = [key.version for key in rotated if isinstance(key, Key)]
        assert len(versions) == _SOME, rotated
        listed = [key.version async for key in bridge.keys.versions("some/key")]
        assert listed[-1] == first.version
        assert sorted(map(str, listed[:-1])) == sorted(map(str, versions))
        if "get" in self.claimed:
            assert (await bridge.keys.get("some/key")).version == listed[0]

    @needs("create")
    async def test_one_of_many_creates(self, bridge: BridgeView, connect: Connect, canary: Canary) -> None:
        """The others get already_exists, and all use the key of the one."""
        spec = self.kind()
        views = [bridge, *(connect() for _ in range(_SOME - 1))]
        results = await bridge.together([partial(self.create, view.keys, "some/key", spec) for view in views])
        winners = [result for result in results if isinstance(result, Key)]
        assert len(winners) == 1 or (winners and not self.harness.creates_once)
        losers = [result for result in results if isinstance(result, KMSError)]
        assert len(losers) == _SOME - len(winners)
        for error in losers:
            check(error, Code.ALREADY_EXISTS)
        samples = await self.samples(bridge.keys, "some/key", spec, canary)
        if samples.encrypted is not None:
            assert samples.encrypted.version in [winner.version for winner in winners]
        for view in views:
            await self.check_samples(view.keys, "some/key", samples, canary)

    @needs("create", "schedule_deletion", "cancel_deletion")
    async def test_one_of_many_keeps_a_key(self, bridge: BridgeView) -> None:
        """A deletion is scheduled once and cancelled once; the others are told so."""
        await self.create(bridge.keys)
        for change, code in (
            (bridge.keys.schedule_deletion, Code.PENDING_DELETION),
            (bridge.keys.cancel_deletion, Code.NOT_FOUND),
        ):
            results = await bridge.together([partial(change, "some/key")] * _SOME)
            losers = [result for result in results if isinstance(result, KMSError)]
            assert len(losers) == _SOME - 1
            for error in losers:
                check(error, code)

    @needs("create", "wrap", "unwrap")
    async def test_many_seal_and_unseal(self, bridge: BridgeView, connect: Connect, canary: Canary) -> None:
        """Threads or tasks share bridges and a key, and each gets back what it gave."""
        await self.create(bridge.keys, spec=self.ciphers()[0])
        views = (bridge, connect())

        async def work(number: int) -> list[bytes]:
            opened = []
            for turn in range(5):
                view, context = views[(number + turn) % 2], {"worker": str(number)}
                sealed = await view.keys.seal("some/key", canary.bytes(b"%d %d" % (number, turn)), context=context)
                opened.append(await view.keys.unseal("some/key", sealed, context=context))
            return opened

        results = await bridge.together([partial(work, number) for number in range(_MANY)])
        assert results == [[canary.bytes(b"%d %d" % (number, turn)) for turn in range(5)] for number in range(_MANY)]

    @needs("create", "rotate")
    async def test_a_key_is_used_while_it_is_rotated(
        self, bridge: BridgeView, connect: Connect, canary: Canary
    ) -> None:
        """What is given in between is taken back."""
        spec = self.rotated()
        await self.create(bridge.keys, spec=spec)
        other = connect()

        async def rotate() -> None:
            for _ in range(5):
                await other.keys.rotate("some/key")

        async def use() -> None:
            for _ in range(5):
                samples = await self.samples(bridge.keys, "some/key", spec, canary)
                await self.check_samples(bridge.keys, "some/key", samples, canary)

        assert await bridge.together([rotate, use, use, rotate]) == [None] * 4

    @needs("create", "list")
    async def test_two_bridges_see_each_others_changes(
        self, bridge: BridgeView, connect: Connect, canary: Canary
    ) -> None:
        """What one has made or changed the other sees at once, also after the first is closed."""
        other, spec = connect(), self.kind()
        await self.create(bridge.keys, spec=spec)
        samples = await self.samples(bridge.keys, "some/key", spec, canary)
        await self.check_samples(other.keys, "some/key", samples, canary)
        await self.create(other.keys, "other")
        assert sorted(await names(bridge.keys.list())) == ["other", "some/key"]
        if {"enable", "disable"} <= self.claimed:
            await bridge.keys.disable("some/key")
            for operation in self.uses(spec):
                with refused(Code.DISABLED):
                    await self.act(other.keys, operation, canary, samples=samples)
            await bridge.keys.enable("some/key")
        await bridge.aclose()
        await self.check_samples(other.keys, "some/key", samples, canary)

    @needs("create")
    async def test_one_bridge_is_used_in_several_places_in_turn(self, bridge: BridgeView, canary: Canary) -> None:
        """In one thread, or event loop, after the other; what the first one opened does not bind the next."""
        spec = self.kind()

        async def work(number: int) -> str:
            await self.create(bridge.keys, f"key/{number}", spec)
            samples = await self.samples(bridge.keys, f"key/{number}", spec, canary)
            await self.check_samples(bridge.keys, f"key/{number}", samples, canary)
            return f"key/{number}"

        for number in range(3):
            assert await bridge.elsewhere(partial(work, number)) == f"key/{number}"
        assert await work(3) == "key/3"

    @needs("create", "list")
    @pytest.mark.parametrize("mode", [Mode.ASYNC], ids=["async"], indirect=True)
    async def test_making_a_key_does_not_hold_up_the_event_loop(self, bridge: BridgeView, rsa: str) -> None:
        """However long the search for primes takes, other tasks go on."""
        assert await names(bridge.keys.list()) == []  # the driver is open
        making = asyncio.ensure_future(bridge.keys.create("some/key", rsa))
        turns = 0
        while not making.done():
            await asyncio.sleep(0)
            turns += 1
        assert (await making).name == "some/key"
        assert turns > 20  # some hundreds, where the key is made elsewhere

    @needs("create", "wrap", "unwrap")
    @pytest.mark.parametrize("mode", [Mode.ASYNC], ids=["async"], indirect=True)
    async def test_a_cancelled_call_is_cancelled(self, bridge: BridgeView, canary: Canary) -> None:
        """Cancellation is not turned into an error of ours, and the bridge goes on."""
        await self.create(bridge.keys, spec=self.ciphers()[0])
        sealed = await bridge.keys.seal("some/key", canary.bytes())
        for turns in range(4):
            call = asyncio.ensure_future(bridge.keys.unseal("some/key", sealed))
            for _ in range(turns):
                await asyncio.sleep(0)
            if call.cancel():
                with pytest.raises(asyncio.CancelledError):
                    await call
        assert await bridge.keys.unseal("some/key", sealed) == canary.bytes()
