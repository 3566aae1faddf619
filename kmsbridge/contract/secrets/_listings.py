"""Listings: whole, over pages, limited to a prefix, broken off, and while others write."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from kmsbridge import Code, Outcome, SecretInfo
from kmsbridge.contract._contract import for_each, needs, refused
from kmsbridge.contract._wrong import PREFIXES
from kmsbridge.contract.secrets._acts import SecretCases, drained, names

if TYPE_CHECKING:
    from kmsbridge.contract._contract import Connect
    from kmsbridge.contract._views import BridgeView
    from kmsbridge.contract._witness import Canary


class ListingCases(SecretCases):
    """Cases about listings."""

    @needs("list")
    async def test_an_empty_backend_lists_nothing(self, bridge: BridgeView) -> None:
        """Nothing is a listing without items, not an error."""
        assert await drained(bridge.secrets.list()) == []

    @needs("set", "list")
    async def test_a_secret_is_listed_once(self, bridge: BridgeView, canary: Canary) -> None:
        """However many versions it has, and without its value."""
        await bridge.secrets.set("some/name", canary.text("1"))
        latest = await bridge.secrets.set("some/name", canary.text("2"))
        (info,) = await drained(bridge.secrets.list())
        assert isinstance(info, SecretInfo)
        assert (info.name, info.enabled, info.deleted_at) == ("some/name", True, None)
        assert info.version in (latest.version, None)

    @needs("set", "list", "update", "enabled")
    async def test_a_disabled_secret_is_listed(self, bridge: BridgeView, canary: Canary) -> None:
        """It is there, and marked."""
        await bridge.secrets.set("some/name", canary.text())
        await bridge.secrets.update("some/name", enabled=False)
        assert [(info.name, info.enabled) async for info in bridge.secrets.list()] == [("some/name", False)]

    @needs("set", "list")
    async def test_a_listing_goes_over_more_than_one_page(self, bridge: BridgeView, canary: Canary) -> None:
        """Paging loses none and repeats none."""
        written = await self._more_than_a_page(bridge, canary)
        assert sorted(await names(bridge.secrets.list())) == written

    @needs("set", "list")
    async def test_a_prefix_limits_a_listing(self, bridge: BridgeView, canary: Canary) -> None:
        """It is compared with the whole name from its start, segments or not."""
        for name in ("team/a", "team/b/c", "teams", "other/team"):
            await bridge.secrets.set(name, canary.text())
        expected = {
            "": ["other/team", "team/a", "team/b/c", "teams"],
            "team": ["team/a", "team/b/c", "teams"],
            "team/": ["team/a", "team/b/c"],
            "team/b/c": ["team/b/c"],
            "none": [],
        }
        for prefix, found in expected.items():
            assert sorted(await names(bridge.secrets.list(prefix))) == found

    @needs("set", "list")
    async def test_a_prefix_finds_what_is_beyond_the_first_page(self, bridge: BridgeView, canary: Canary) -> None:
        """A page on which nothing fits does not end the listing."""
        await self._more_than_a_page(bridge, canary)
        for name in ("aa", "zz"):
            await bridge.secrets.set(name, canary.text())
        for name in ("aa", "zz"):
            assert await names(bridge.secrets.list(name)) == [name]

    @needs("list")
    @for_each("prefix", PREFIXES)
    async def test_a_prefix_no_name_can_have_is_refused(self, bridge: BridgeView, prefix: object) -> None:
        """It would silently find nothing."""
        with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
            await drained(bridge.secrets.list(cast("str", prefix)))
        assert [field.path for field in info.value.fields] == ["prefix"]

    @needs("get", "set", "list")
    async def test_a_listing_can_be_broken_off(self, bridge: BridgeView, connect: Connect, canary: Canary) -> None:
        """Whoever stops in the middle holds nothing: reads and writes go on, here and elsewhere."""
        written = await self._more_than_a_page(bridge, canary)
        listing = bridge.secrets.list()
        assert (await anext(listing)).name in written
        await listing.aclose()
        for view in (bridge, connect()):
            await view.secrets.set(written[0], canary.text("new"))
            assert (await view.secrets.get(written[0])).value == canary.text("new")
            assert sorted(await names(view.secrets.list())) == written

    @needs("set", "list")
    async def test_a_listing_goes_on_while_others_write(
        self, bridge: BridgeView, connect: Connect, canary: Canary
    ) -> None:
        """What was there from start to end appears exactly once, whatever comes in between."""
        written = await self._more_than_a_page(bridge, canary)
        listing, other = bridge.secrets.list(), connect()
        seen = [(await anext(listing)).name]
        await other.secrets.set("aaa", canary.text())
        await other.secrets.set("zzz", canary.text())
        await other.secrets.set(written[-1], canary.text("again"))
        seen += await names(listing)
        assert sorted(name for name in seen if name in written) == written

    @needs("set", "list", "delete")
    async def test_a_listing_goes_on_while_others_delete(
        self, bridge: BridgeView, connect: Connect, canary: Canary
    ) -> None:
        """What is deleted in between does not shift the others out of the next page."""
        written = await self._more_than_a_page(bridge, canary)
        listing, other = bridge.secrets.list(), connect()
        first = (await anext(listing)).name
        await other.secrets.delete(first)
        seen = [first, *await names(listing)]
        assert sorted(seen) == written

    @needs("set", "list")
    async def test_two_listings_of_one_bridge_run_side_by_side(self, bridge: BridgeView, canary: Canary) -> None:
        """Each has its own place."""
        written = await self._more_than_a_page(bridge, canary)
        one, two = bridge.secrets.list(), bridge.secrets.list()
        seen = ([(await anext(one)).name], [(await anext(two)).name])
        seen[0].extend(await names(one))
        seen[1].extend(await names(two))
        assert sorted(seen[0]) == sorted(seen[1]) == written

    async def _more_than_a_page(self, bridge: BridgeView, canary: Canary) -> list[str]:
        written = [f"many/{number:04}" for number in range(self.harness.page_size + 1)]
        for name in written:
            await bridge.secrets.set(name, canary.text())
        return written
