"""Versions: each set appends one, each can be read, changed and switched off by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from kmsbridge import Code, Outcome, Resource
from kmsbridge.contract._contract import for_each, needs, refused
from kmsbridge.contract._wrong import VERSIONS
from kmsbridge.contract.secrets._acts import SecretCases, drained

if TYPE_CHECKING:
    from kmsbridge.contract._views import BridgeView
    from kmsbridge.contract._witness import Canary


class VersionCases(SecretCases):
    """Cases about versions."""

    @needs("get", "set")
    async def test_set_appends_a_version(self, bridge: BridgeView, canary: Canary) -> None:
        """The latest version is what was set last, even if the value is the same."""
        first = await bridge.secrets.set("some/name", canary.text("1"))
        second = await bridge.secrets.set("some/name", canary.text("2"))
        third = await bridge.secrets.set("some/name", canary.text("2"))
        assert len({first.version, second.version, third.version}) == 3
        latest = await bridge.secrets.get("some/name")
        assert (latest.version, latest.value) == (third.version, canary.text("2"))

    @needs("get", "set", "get_version")
    async def test_each_version_can_be_read(self, bridge: BridgeView, canary: Canary) -> None:
        """An old version stays as it was."""
        written = [await bridge.secrets.set("some/name", canary.text(str(number))) for number in range(3)]
        for number, secret in enumerate(written):
            read = await bridge.secrets.get("some/name", secret.version)
            assert (read.version, read.value) == (secret.version, canary.text(str(number)))

    @needs("set", "versions")
    async def test_versions_are_listed_newest_first(self, bridge: BridgeView, canary: Canary) -> None:
        """All versions of this secret and of no other, the latest first."""
        await bridge.secrets.set("some/name/else", canary.text())
        written = [(await bridge.secrets.set("some/name", canary.text())).version for _ in range(4)]
        listed = await drained(bridge.secrets.versions("some/name"))
        assert [info.version for info in listed] == written[::-1]
        assert {info.name for info in listed} == {"some/name"}
        assert all(info.enabled for info in listed)

    @needs("set", "versions")
    async def test_versions_go_over_more_than_one_page(self, bridge: BridgeView, canary: Canary) -> None:
        """Paging loses none and repeats none."""
        count = self.harness.page_size + 1
        written = [(await bridge.secrets.set("some/name", canary.text())).version for _ in range(count)]
        listed = await drained(bridge.secrets.versions("some/name"))
        assert [info.version for info in listed] == written[::-1]

    @needs("get", "set", "get_version")
    async def test_a_version_that_is_not_there_is_version_not_found(self, bridge: BridgeView, canary: Canary) -> None:
        """The secret is there, that version is not: a version of another secret is none of this one."""
        await bridge.secrets.set("some/name", canary.text())
        versions = [(await bridge.secrets.set("other", canary.text())).version for _ in range(3)]
        with refused(Code.VERSION_NOT_FOUND) as info:
            await bridge.secrets.get("some/name", versions[-1])
        assert info.value.resource == Resource("secret", "some/name", versions[-1])

    @needs("get", "set", "get_version")
    async def test_a_version_of_a_missing_secret_is_not_found(self, bridge: BridgeView, canary: Canary) -> None:
        """Where there is no secret, its version is not what is missing."""
        version = (await bridge.secrets.set("other", canary.text())).version
        with refused(Code.NOT_FOUND):
            await bridge.secrets.get("some/name", version)

    @needs("get", "set", "get_version")
    @for_each("kind", VERSIONS)
    async def test_what_is_no_version_is_refused(self, bridge: BridgeView, canary: Canary, kind: str) -> None:
        """A malformed version is not sent."""
        await bridge.secrets.set("some/name", canary.text())
        version = cast("str", VERSIONS[kind])
        with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
            await bridge.secrets.get("some/name", version)
        assert [field.path for field in info.value.fields] == ["version"]
        if {"update_version", "tags"} <= self.claimed:
            with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
                await bridge.secrets.update("some/name", version=version, tags={"team": "billing"})
            assert [field.path for field in info.value.fields] == ["version"]

    @needs("get", "set", "update", "enabled")
    async def test_a_disabled_secret_is_not_read(self, bridge: BridgeView, canary: Canary) -> None:
        """When the latest version is off, get says so and never falls back to an older one."""
        await bridge.secrets.set("some/name", canary.text("1"))
        latest = await bridge.secrets.set("some/name", canary.text("2"))
        info = await bridge.secrets.update("some/name", enabled=False)
        assert (info.name, info.enabled) == ("some/name", False)
        assert info.version in (latest.version, None)
        with refused(Code.DISABLED):
            await bridge.secrets.get("some/name")
        assert (await bridge.secrets.update("some/name", enabled=True)).enabled
        assert (await bridge.secrets.get("some/name")).value == canary.text("2")

    @needs("get", "set", "update", "enabled")
    async def test_a_new_version_of_a_disabled_secret_is_enabled(self, bridge: BridgeView, canary: Canary) -> None:
        """Disabling is of a version, not of the name."""
        await bridge.secrets.set("some/name", canary.text("1"))
        await bridge.secrets.update("some/name", enabled=False)
        await bridge.secrets.set("some/name", canary.text("2"))
        assert (await bridge.secrets.get("some/name")).value == canary.text("2")

    @needs("get", "set", "get_version", "update", "update_version", "enabled")
    async def test_a_disabled_version_is_not_read(self, bridge: BridgeView, canary: Canary) -> None:
        """Disabling one version leaves the others alone."""
        first = await bridge.secrets.set("some/name", canary.text("1"))
        second = await bridge.secrets.set("some/name", canary.text("2"))
        await bridge.secrets.update("some/name", version=first.version, enabled=False)
        with refused(Code.DISABLED) as info:
            await bridge.secrets.get("some/name", first.version)
        assert info.value.resource == Resource("secret", "some/name", first.version)
        for version in (None, second.version):
            assert (await bridge.secrets.get("some/name", version)).value == canary.text("2")

    @needs("set", "versions", "update", "update_version", "enabled")
    async def test_versions_show_which_are_disabled(self, bridge: BridgeView, canary: Canary) -> None:
        """A disabled version stays in the listing, marked."""
        first = await bridge.secrets.set("some/name", canary.text("1"))
        second = await bridge.secrets.set("some/name", canary.text("2"))
        await bridge.secrets.update("some/name", version=first.version, enabled=False)
        listed = {info.version: info.enabled async for info in bridge.secrets.versions("some/name")}
        assert listed == {first.version: False, second.version: True}

    @needs("set", "update", "update_version", "tags")
    async def test_updating_a_version_that_is_not_there_is_version_not_found(
        self, bridge: BridgeView, canary: Canary
    ) -> None:
        """As for reading one."""
        await bridge.secrets.set("some/name", canary.text())
        versions = [(await bridge.secrets.set("other", canary.text())).version for _ in range(3)]
        with refused(Code.VERSION_NOT_FOUND):
            await bridge.secrets.update("some/name", version=versions[-1], tags={"team": "billing"})
