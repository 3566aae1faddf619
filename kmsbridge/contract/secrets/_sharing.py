"""Several at once: bridges, threads, tasks, event loops, writers of one name."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import pytest

from kmsbridge import Code, KMSError, Secret
from kmsbridge.contract._contract import check, needs, refused
from kmsbridge.contract._views import Mode
from kmsbridge.contract.secrets._acts import SecretCases, drained, names

if TYPE_CHECKING:
    from kmsbridge.contract._contract import Connect
    from kmsbridge.contract._views import BridgeView
    from kmsbridge.contract._witness import Canary

_WRITERS = 8


class SharingCases(SecretCases):
    """Cases about what is done at the same time, or from several places."""

    @needs("get", "set", "versions", "get_version")
    async def test_writers_of_one_name_lose_no_version(
        self, bridge: BridgeView, connect: Connect, canary: Canary
    ) -> None:
        """All versions are there afterwards, each with its value, and the latest is one of them."""
        views = [bridge, *(connect() for _ in range(_WRITERS - 1))]
        values = [canary.text(str(number)) for number in range(_WRITERS)]
        written = await bridge.together(
            [partial(view.secrets.set, "some/name", value) for view, value in zip(views, values, strict=True)]
        )
        secrets = [secret for secret in written if isinstance(secret, Secret)]
        assert len(secrets) == _WRITERS, written
        listed = [info.version for info in await drained(bridge.secrets.versions("some/name"))]
        assert sorted(map(str, listed)) == sorted(secret.version for secret in secrets)
        for secret, value in zip(secrets, values, strict=True):
            assert (await bridge.secrets.get("some/name", secret.version)).value == value
        assert (await bridge.secrets.get("some/name")).version == listed[0]

    @needs("get", "set", "if_absent")
    async def test_one_of_many_creates(self, bridge: BridgeView, connect: Connect, canary: Canary) -> None:
        """With if_absent exactly one wins, and the others get already_exists."""
        views = [bridge, *(connect() for _ in range(_WRITERS - 1))]
        results = await bridge.together(
            [
                partial(view.secrets.set, "some/name", canary.text(str(number)), if_absent=True)
                for number, view in enumerate(views)
            ]
        )
        (winner,) = [result for result in results if isinstance(result, Secret)]
        losers = [result for result in results if isinstance(result, KMSError)]
        assert len(losers) == _WRITERS - 1
        for error in losers:
            check(error, Code.ALREADY_EXISTS)
        secret = await bridge.secrets.get("some/name")
        assert (secret.version, secret.value) == (winner.version, winner.value)

    @needs("set", "delete", "recover")
    async def test_one_of_many_recovers(self, bridge: BridgeView, canary: Canary) -> None:
        """A deleted secret is recovered once; the others find nothing that is deleted."""
        await bridge.secrets.set("some/name", canary.text())
        await bridge.secrets.delete("some/name")
        results = await bridge.together([partial(bridge.secrets.recover, "some/name")] * _WRITERS)
        losers = [result for result in results if isinstance(result, KMSError)]
        assert len(losers) == _WRITERS - 1
        for error in losers:
            check(error, Code.NOT_FOUND)

    @needs("get", "set")
    async def test_two_bridges_see_each_others_writes(
        self, bridge: BridgeView, connect: Connect, canary: Canary
    ) -> None:
        """What one has written the other reads at once, also after the first is closed."""
        other = connect()
        await bridge.secrets.set("some/name", canary.text("1"))
        assert (await other.secrets.get("some/name")).value == canary.text("1")
        await other.secrets.set("some/name", canary.text("2"))
        assert (await bridge.secrets.get("some/name")).value == canary.text("2")
        await bridge.aclose()
        assert (await other.secrets.get("some/name")).value == canary.text("2")

    @needs("get", "set", "list")
    async def test_one_bridge_is_used_from_many_places(self, bridge: BridgeView, canary: Canary) -> None:
        """Threads or tasks share a bridge, and each gets what it asked for."""

        async def work(number: int) -> list[str | bytes]:
            name, read = f"worker/{number}", []
            for turn in range(5):
                await bridge.secrets.set(name, canary.text(f"{number} {turn}"))
                read.append((await bridge.secrets.get(name)).value)
            return read

        results = await bridge.together([partial(work, number) for number in range(_WRITERS)])
        assert results == [[canary.text(f"{number} {turn}") for turn in range(5)] for number in range(_WRITERS)]
        assert sorted(await names(bridge.secrets.list())) == [f"worker/{number}" for number in range(_WRITERS)]

    @needs("get", "set")
    async def test_one_bridge_is_used_in_several_places_in_turn(self, bridge: BridgeView, canary: Canary) -> None:
        """In one thread, or event loop, after the other; what the first one opened does not bind the next."""

        async def work(number: int) -> str | bytes:
            await bridge.secrets.set("some/name", canary.text(str(number)))
            with refused(Code.NOT_FOUND):
                await bridge.secrets.get("missing")
            return (await bridge.secrets.get("some/name")).value

        for number in range(3):
            assert await bridge.elsewhere(partial(work, number)) == canary.text(str(number))
        assert await work(3) == canary.text("3")

    @needs("get", "set")
    @pytest.mark.parametrize("mode", [Mode.ASYNC], ids=["async"], indirect=True)
    async def test_a_cancelled_call_is_cancelled(self, bridge: BridgeView, canary: Canary) -> None:
        """Cancellation is not turned into an error of ours, and the bridge goes on."""
        await bridge.secrets.set("some/name", canary.text("1"))
        for turns in range(4):
            call = asyncio.ensure_future(bridge.secrets.get("some/name"))
            for _ in range(turns):
                await asyncio.sleep(0)
            if call.cancel():
                with pytest.raises(asyncio.CancelledError):
                    await call
        assert (await bridge.secrets.get("some/name")).value == canary.text("1")
