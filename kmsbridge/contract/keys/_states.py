"""Keys that are switched off: not used until they are switched on again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmsbridge import Code, Resource
from kmsbridge.contract._contract import needs, refused
from kmsbridge.contract.keys._acts import KeyCases, drained

if TYPE_CHECKING:
    from kmsbridge.contract._views import BridgeView
    from kmsbridge.contract._witness import Canary


class StateCases(KeyCases):
    """Cases about enabling and disabling."""

    @needs("create", "enable", "disable")
    async def test_a_disabled_key_is_not_used(self, bridge: BridgeView, canary: Canary) -> None:
        """It gives nothing, takes nothing back and is not rotated, until it is enabled."""
        for number, spec in enumerate(self.users()):
            name = f"key/{number}"
            await self.create(bridge.keys, name, spec)
            samples = await self.samples(bridge.keys, name, spec, canary)
            disabled = await bridge.keys.disable(name)
            assert (disabled.name, disabled.enabled) == (name, False)
            for operation in (*self.uses(spec), *(["rotate"] if self.can("rotate") and self.rotating([spec]) else [])):
                with refused(Code.DISABLED) as info:
                    await self.act(bridge.keys, operation, canary, name=name, samples=samples)
                assert info.value.resource is not None
                assert info.value.resource.name == name
            enabled = await bridge.keys.enable(name)
            assert (enabled.name, enabled.enabled) == (name, True)
            await self.check_samples(bridge.keys, name, samples, canary)
            await self.samples(bridge.keys, name, spec, canary)

    @needs("create", "get", "list", "enable", "disable")
    async def test_the_state_of_a_key_is_seen(self, bridge: BridgeView) -> None:
        """Wherever the key is; switching it where it is already changes nothing."""
        await self.create(bridge.keys)
        for switch, enabled in (("disable", False), ("disable", False), ("enable", True), ("enable", True)):
            switched = await (bridge.keys.enable if switch == "enable" else bridge.keys.disable)("some/key")
            (listed,) = await drained(bridge.keys.list())
            for key in (switched, await bridge.keys.get("some/key"), listed):
                assert (key.name, key.enabled) == ("some/key", enabled)

    @needs("create", "disable")
    async def test_disabling_leaves_other_keys_alone(self, bridge: BridgeView, canary: Canary) -> None:
        """Only the named key is switched off."""
        spec = self.kind()
        for name in ("some", "some/key", "some/key/else"):
            await self.create(bridge.keys, name, spec)
        await bridge.keys.disable("some/key")
        for name in ("some", "some/key/else"):
            await self.samples(bridge.keys, name, spec, canary)

    @needs("create", "rotate", "enable", "disable", "enable_version", "get")
    async def test_a_disabled_version_is_not_used(self, bridge: BridgeView, canary: Canary) -> None:
        """What it gave is refused until it is enabled; the other versions go on."""
        for number, spec in enumerate(self.users()):
            name = f"key/{number}"
            first = (await self.create(bridge.keys, name, spec)).version
            old = await self.samples(bridge.keys, name, spec, canary)
            await bridge.keys.rotate(name)
            new = await self.samples(bridge.keys, name, spec, canary)
            disabled = await bridge.keys.disable(name, version=first)
            assert (disabled.name, disabled.version, disabled.enabled) == (name, first, False)
            assert (await bridge.keys.get(name)).enabled
            for operation in self.uses(spec):
                if operation in ("decrypt", "unwrap", "unseal", "verify"):
                    with refused(Code.DISABLED):
                        await self.act(bridge.keys, operation, canary, name=name, samples=old)
            await self.check_samples(bridge.keys, name, new, canary)
            await self.samples(bridge.keys, name, spec, canary)
            enabled = await bridge.keys.enable(name, version=first)
            assert (enabled.name, enabled.version, enabled.enabled) == (name, first, True)
            await self.check_samples(bridge.keys, name, old, canary)

    @needs("create", "rotate", "disable", "enable_version")
    async def test_a_disabled_latest_version_is_not_replaced_by_an_older_one(
        self, bridge: BridgeView, canary: Canary
    ) -> None:
        """The key gives nothing until it is rotated or the version is enabled."""
        for number, spec in enumerate(self.users()):
            name = f"key/{number}"
            await self.create(bridge.keys, name, spec)
            latest = (await bridge.keys.rotate(name)).version
            await bridge.keys.disable(name, version=latest)
            for operation in self.uses(spec):
                if operation in ("encrypt", "wrap", "seal", "sign", "generate_data_key"):
                    with refused(Code.DISABLED):
                        await self.act(bridge.keys, operation, canary, name=name)

    @needs("create", "rotate", "versions", "disable", "enable_version")
    async def test_versions_show_which_are_disabled(self, bridge: BridgeView) -> None:
        """A disabled version stays in the listing, marked, and a rotation does not enable it."""
        first = (await self.create(bridge.keys)).version
        second = (await bridge.keys.rotate("some/key")).version
        await bridge.keys.disable("some/key", version=first)
        third = (await bridge.keys.rotate("some/key")).version
        listed = {key.version: key.enabled async for key in bridge.keys.versions("some/key")}
        assert listed == {first: False, second: True, third: True}

    @needs("create", "enable", "disable", "enable_version")
    async def test_switching_a_version_that_is_not_there_is_version_not_found(self, bridge: BridgeView) -> None:
        """A version of another key is none of this one."""
        await self.create(bridge.keys)
        version = (await self.create(bridge.keys, "other")).version
        for switch in (bridge.keys.enable, bridge.keys.disable):
            with refused(Code.VERSION_NOT_FOUND) as info:
                await switch("some/key", version=version)
            assert info.value.resource == Resource("key", "some/key", version)
