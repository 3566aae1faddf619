"""Listings: whole, over pages, limited to a prefix, broken off, and while others write."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from kmsbridge import Code, Key, Outcome
from kmsbridge.contract._contract import for_each, needs, refused
from kmsbridge.contract._wrong import PREFIXES
from kmsbridge.contract.keys._acts import KeyCases, drained, names

if TYPE_CHECKING:
    from kmsbridge.contract._contract import Connect
    from kmsbridge.contract._views import BridgeView


class ListingCases(KeyCases):
    """Cases about listings."""

    @needs("list")
    async def test_an_empty_backend_lists_nothing(self, bridge: BridgeView) -> None:
        """Nothing is a listing without items, not an error."""
        assert await drained(bridge.keys.list()) == []

    @needs("create", "list", "rotate")
    async def test_a_key_is_listed_once(self, bridge: BridgeView) -> None:
        """However many versions it has."""
        await self.create(bridge.keys, spec=self.rotated())
        latest = await bridge.keys.rotate("some/key")
        (key,) = await drained(bridge.keys.list())
        assert isinstance(key, Key)
        assert (key.name, key.enabled, key.deletes_at) == ("some/key", True, None)
        assert key.version in (latest.version, None)
        assert key.spec in (latest.spec, None)

    @needs("create", "list")
    async def test_a_listing_goes_over_more_than_one_page(self, bridge: BridgeView) -> None:
        """Paging loses none and repeats none."""
        made = await self._more_than_a_page(bridge)
        assert sorted(await names(bridge.keys.list())) == made

    @needs("create", "list")
    async def test_a_prefix_limits_a_listing(self, bridge: BridgeView) -> None:
        """It is compared with the whole name from its start, segments or not."""
        for name in ("team/a", "team/b/c", "teams", "other/team"):
            await self.create(bridge.keys, name)
        expected = {
            "": ["other/team", "team/a", "team/b/c", "teams"],
            "team": ["team/a", "team/b/c", "teams"],
            "team/": ["team/a", "team/b/c"],
            "team/b/c": ["team/b/c"],
            "none": [],
        }
        for prefix, found in expected.items():
            assert sorted(await names(bridge.keys.list(prefix))) == found

    @needs("create", "list")
    async def test_a_prefix_finds_what_is_beyond_the_first_page(self, bridge: BridgeView) -> None:
        """A page on which nothing fits does not end the listing."""
        await self._more_than_a_page(bridge)
        for name in ("aa", "zz"):
            await self.create(bridge.keys, name)
        for name in ("aa", "zz"):
            assert await names(bridge.keys.list(name)) == [name]

    @needs("list")
    @for_each("prefix", PREFIXES)
    async def test_a_prefix_no_name_can_have_is_refused(self, bridge: BridgeView, prefix: object) -> None:
        """It would silently find nothing."""
        with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
            await drained(bridge.keys.list(cast("str", prefix)))
        assert [field.path for field in info.value.fields] == ["prefix"]

    @needs("create", "list")
    async def test_a_listing_goes_on_while_others_write(self, bridge: BridgeView, connect: Connect) -> None:
        """What was there from start to end appears exactly once; two listings have each its own place."""
        made = await self._more_than_a_page(bridge)
        one, two, other = bridge.keys.list(), bridge.keys.list(), connect()
        seen = ([(await anext(one)).name], [(await anext(two)).name])
        for name in ("aaa", "zzz"):
            await self.create(other.keys, name)
        for first, listing in zip(seen, (one, two), strict=True):
            assert sorted(name for name in (*first, *await names(listing)) if name in made) == made

    @needs("create", "list")
    async def test_a_listing_can_be_broken_off(self, bridge: BridgeView, connect: Connect) -> None:
        """Whoever stops in the middle holds nothing: others go on, here and elsewhere."""
        made = await self._more_than_a_page(bridge)
        listing = bridge.keys.list()
        assert (await anext(listing)).name in made
        await listing.aclose()
        for number, view in enumerate((bridge, connect())):
            await self.create(view.keys, f"more/{number}")
            assert sorted(await names(view.keys.list("many/"))) == made

    async def _more_than_a_page(self, bridge: BridgeView) -> list[str]:
        made = [f"many/{number:04}" for number in range(self.harness.page_size + 1)]
        for name in made:
            await self.create(bridge.keys, name)
        return made
