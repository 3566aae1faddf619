"""Names: one grammar everywhere, native names beside it, and tables that map one to the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from kmsbridge import Code, Outcome
from kmsbridge.contract._contract import for_each, needs, refused
from kmsbridge.contract._wrong import GOOD_NAMES, NAMES
from kmsbridge.contract.secrets._acts import NAMED, SecretCases, names

if TYPE_CHECKING:
    from kmsbridge.contract._contract import Connect, Profile
    from kmsbridge.contract._views import BridgeView
    from kmsbridge.contract._witness import Canary


class NameCases(SecretCases):
    """Cases about names."""

    @for_each("kind", NAMES)
    async def test_a_bad_name_is_refused(self, bridge: BridgeView, canary: Canary, kind: str) -> None:
        """No operation sends a name that is not legal, and the error says that it is the name."""
        name = cast("str", NAMES[kind])
        for operation in NAMED:
            if operation in self.claimed:
                with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
                    await self.act(bridge.secrets, operation, canary, name=name)
                assert [field.path for field in info.value.fields] == ["name"]

    @needs("get", "set", "list")
    async def test_every_kind_of_name_can_be_used(self, bridge: BridgeView, canary: Canary) -> None:
        """What is in the grammar is stored apart from every other name, and listed as it was written."""
        for name in GOOD_NAMES:
            assert (await bridge.secrets.set(name, canary.text(name))).name == name
        for name in GOOD_NAMES:
            secret = await bridge.secrets.get(name)
            assert (secret.name, secret.value) == (name, canary.text(name))
        assert sorted(await names(bridge.secrets.list())) == sorted(GOOD_NAMES)

    @needs("get", "set", "list")
    async def test_a_native_name_is_used_as_it_is(self, bridge: BridgeView, canary: Canary) -> None:
        """``native:`` reaches what has no portable name, and listings show it so."""
        name = f"native:{self.harness.native_name}"
        assert (await bridge.secrets.set(name, canary.text())).name == name
        secret = await bridge.secrets.get(name)
        assert (secret.name, secret.value) == (name, canary.text())
        assert await names(bridge.secrets.list()) == [name]

    async def test_a_native_name_that_has_a_portable_one_is_refused(self, bridge: BridgeView, canary: Canary) -> None:
        """An item has one name: the error says which."""
        for operation in NAMED:
            if operation in self.claimed:
                with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
                    await self.act(bridge.secrets, operation, canary, name="native:name")
                assert "'name'" in info.value.remediation

    @needs("get", "set", "list")
    async def test_a_profile_maps_names(
        self, bridge: BridgeView, connect: Connect, canary: Canary, profile: Profile
    ) -> None:
        """A table says where a name lives: it is read, written and listed under it; others stay as they are."""
        native = self.harness.native_name
        mapped = connect(profile({"team/password": native}))
        await bridge.secrets.set(f"native:{native}", canary.text("old"))
        secret = await mapped.secrets.get("team/password")
        assert (secret.name, secret.value) == ("team/password", canary.text("old"))
        await mapped.secrets.set("team/password", canary.text("new"))
        await mapped.secrets.set("other", canary.text("other"))
        assert (await bridge.secrets.get(f"native:{native}")).value == canary.text("new")
        assert sorted(await names(mapped.secrets.list())) == ["other", "team/password"]
        assert sorted(await names(bridge.secrets.list())) == [f"native:{native}", "other"]

    @needs("get")
    async def test_a_mapped_item_has_its_mapped_name_only(self, connect: Connect, profile: Profile) -> None:
        """Under a table that maps it, a native name is refused, and the error says what it is called."""
        native = self.harness.native_name
        mapped = connect(profile({"team/password": native}))
        with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
            await mapped.secrets.get(f"native:{native}")
        assert "'team/password'" in info.value.remediation

    @needs("get")
    async def test_an_error_names_the_mapped_name(self, connect: Connect, profile: Profile) -> None:
        """What the caller wrote is what the error is about."""
        mapped = connect(profile({"team/password": self.harness.native_name}))
        with refused(Code.NOT_FOUND) as info:
            await mapped.secrets.get("team/password")
        assert info.value.resource is not None
        assert info.value.resource.name == "team/password"
