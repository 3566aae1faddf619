"""Names: one grammar everywhere, native names beside it, and tables that map one to the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from kmsbridge import Code, Outcome
from kmsbridge.contract._contract import for_each, needs, refused
from kmsbridge.contract._wrong import GOOD_NAMES, NAMES
from kmsbridge.contract.keys._acts import NAMED, KeyCases, names

if TYPE_CHECKING:
    from kmsbridge.contract._contract import Connect, Profile
    from kmsbridge.contract._views import BridgeView
    from kmsbridge.contract._witness import Canary


class NameCases(KeyCases):
    """Cases about names."""

    @for_each("kind", NAMES)
    async def test_a_bad_name_is_refused(self, bridge: BridgeView, canary: Canary, kind: str) -> None:
        """No operation sends a name that is not legal, and the error says that it is the name."""
        name = cast("str", NAMES[kind])
        for operation in filter(self.can, NAMED):
            with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
                await self.act(bridge.keys, operation, canary, name=name)
            assert [field.path for field in info.value.fields] == ["name"]

    @needs("create", "get", "list")
    async def test_every_kind_of_name_can_be_used(self, bridge: BridgeView) -> None:
        """What is in the grammar is kept apart from every other name, and listed as it was written."""
        versions = {}
        for name in GOOD_NAMES:
            key = await self.create(bridge.keys, name)
            versions[name] = key.version
            assert key.name == name
        for name, version in versions.items():
            key = await bridge.keys.get(name)
            assert (key.name, key.version) == (name, version)
        assert sorted(await names(bridge.keys.list())) == sorted(GOOD_NAMES)

    @needs("create", "list")
    async def test_a_native_name_is_used_as_it_is(self, bridge: BridgeView, canary: Canary) -> None:
        """``native:`` reaches what has no portable name, and listings show it so."""
        name = f"native:{self.harness.native_name}"
        assert (await self.create(bridge.keys, name)).name == name
        samples = await self.samples(bridge.keys, name, self.kind(), canary)
        await self.check_samples(bridge.keys, name, samples, canary)
        assert await names(bridge.keys.list()) == [name]

    async def test_a_native_name_that_has_a_portable_one_is_refused(self, bridge: BridgeView, canary: Canary) -> None:
        """A key has one name: the error says which."""
        name = f"native:{bridge.keys.native('name')}"
        for operation in filter(self.can, NAMED):
            with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
                await self.act(bridge.keys, operation, canary, name=name)
            assert "'name'" in info.value.remediation

    @needs("create", "get", "list")
    async def test_a_profile_maps_names(
        self, bridge: BridgeView, connect: Connect, canary: Canary, profile: Profile
    ) -> None:
        """A table says where a name lives; what was done under one name is taken back under the other."""
        native, spec = self.harness.native_name, self.kind()
        mapped = connect(profile({"team/key": native}))
        made = await self.create(mapped.keys, "team/key", spec)
        found = await mapped.keys.get("team/key")
        assert (found.name, found.version) == (made.name, made.version) == ("team/key", made.version)
        await self.create(mapped.keys, "other", spec)
        samples = await self.samples(mapped.keys, "team/key", spec, canary)
        for view, name in ((mapped, "team/key"), (bridge, f"native:{native}")):
            await self.check_samples(view.keys, name, samples, canary)
            assert sorted(await names(view.keys.list())) == sorted([name, "other"])

    @needs("get")
    async def test_an_error_names_the_mapped_name(self, connect: Connect, profile: Profile) -> None:
        """What the caller wrote is what the error is about, and the native name is no other way to it."""
        mapped = connect(profile({"team/key": self.harness.native_name}))
        with refused(Code.NOT_FOUND) as info:
            await mapped.keys.get("team/key")
        assert info.value.resource is not None
        assert info.value.resource.name == "team/key"
        with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
            await mapped.keys.get(f"native:{self.harness.native_name}")
        assert "'team/key'" in info.value.remediation
