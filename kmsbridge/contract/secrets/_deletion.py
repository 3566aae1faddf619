"""What is missing, what is deleted, and the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmsbridge import Code, ConflictError, Resource
from kmsbridge.contract._contract import check, needs, refused, without
from kmsbridge.contract.secrets._acts import SecretCases, drained, names

if TYPE_CHECKING:
    from kmsbridge import Secret
    from kmsbridge.contract._views import BridgeView
    from kmsbridge.contract._witness import Canary


class DeletionCases(SecretCases):
    """Cases about missing and deleted secrets."""

    async def test_what_is_missing_is_not_found(self, bridge: BridgeView, canary: Canary) -> None:
        """Every operation on a secret that is not there says so, and names it."""
        for operation in ("get", "versions", "update", "delete", "recover", "purge"):
            if operation in self.claimed:
                with refused(Code.NOT_FOUND) as info:
                    await self.act(bridge.secrets, operation, canary, name="not/there")
                assert info.value.resource == Resource("secret", "not/there")

    @needs("set", "delete")
    async def test_what_is_deleted_is_not_found(self, bridge: BridgeView, canary: Canary) -> None:
        """A deleted secret is gone for all who read or change it."""
        await bridge.secrets.set("some/name", canary.text())
        assert (await bridge.secrets.delete("some/name")).name == "some/name"
        for operation in ("get", "versions", "update", "delete"):
            if operation in self.claimed:
                with refused(Code.NOT_FOUND):
                    await self.act(bridge.secrets, operation, canary)

    @needs("get", "set", "get_version", "delete")
    async def test_a_version_of_a_deleted_secret_is_not_found(self, bridge: BridgeView, canary: Canary) -> None:
        """All versions go with the secret."""
        version = (await bridge.secrets.set("some/name", canary.text())).version
        await bridge.secrets.delete("some/name")
        with refused(Code.NOT_FOUND):
            await bridge.secrets.get("some/name", version)

    @needs("get", "set", "delete", "list")
    async def test_a_deletion_leaves_the_others_alone(self, bridge: BridgeView, canary: Canary) -> None:
        """Only the named secret goes, not what its name is the start of."""
        for name in ("some", "some/name", "some/name/else"):
            await bridge.secrets.set(name, canary.text(name))
        await bridge.secrets.delete("some/name")
        assert sorted(await names(bridge.secrets.list())) == ["some", "some/name/else"]
        for name in ("some", "some/name/else"):
            assert (await bridge.secrets.get(name)).value == canary.text(name)

    @needs("set", "delete", "recover")
    async def test_a_deleted_name_is_held(self, bridge: BridgeView, canary: Canary) -> None:
        """Setting it is deleted_but_recoverable: nobody overwrites what can still be recovered."""
        await bridge.secrets.set("some/name", canary.text())
        await bridge.secrets.delete("some/name")
        with refused(Code.DELETED_BUT_RECOVERABLE):
            await bridge.secrets.set("some/name", canary.text("new"))
        if "if_absent" in self.claimed:
            with refused(Code.DELETED_BUT_RECOVERABLE):
                await bridge.secrets.set("some/name", canary.text("new"), if_absent=True)

    @needs("get", "set", "delete")
    @without("recover")
    async def test_a_deleted_name_is_held_or_free(self, bridge: BridgeView, canary: Canary) -> None:
        """Where nothing is recovered, setting a deleted name is refused for that reason, or starts anew."""
        old = await bridge.secrets.set("some/name", canary.text("old"))
        await bridge.secrets.delete("some/name")
        try:
            new = await bridge.secrets.set("some/name", canary.text("new"))
        except ConflictError as error:
            check(error, Code.DELETED_BUT_RECOVERABLE)
        else:
            await self._check_only_version(bridge, old, new)

    @needs("set", "delete", "deleted")
    async def test_the_deleted_are_listed(self, bridge: BridgeView, canary: Canary) -> None:
        """With the time of deletion or of removal, and only they."""
        for name in ("stays", "some/name"):
            await bridge.secrets.set(name, canary.text())
        assert await drained(bridge.secrets.deleted()) == []
        await bridge.secrets.delete("some/name")
        (info,) = await drained(bridge.secrets.deleted())
        assert info.name == "some/name"
        assert info.deleted_at is not None or info.purge_at is not None

    @needs("set", "delete", "deleted")
    async def test_the_deleted_go_over_more_than_one_page(self, bridge: BridgeView, canary: Canary) -> None:
        """Paging loses none and repeats none."""
        written = [f"many/{number:04}" for number in range(self.harness.page_size + 1)]
        for name in written:
            await bridge.secrets.set(name, canary.text())
            await bridge.secrets.delete(name)
        assert sorted(await names(bridge.secrets.deleted())) == written

    @needs("get", "set", "delete", "recover")
    async def test_what_is_recovered_is_as_before(self, bridge: BridgeView, canary: Canary) -> None:
        """Value and version are the same, and the name takes new versions again."""
        written = await bridge.secrets.set("some/name", canary.text())
        await bridge.secrets.delete("some/name")
        assert (await bridge.secrets.recover("some/name")).name == "some/name"
        secret = await bridge.secrets.get("some/name")
        assert (secret.version, secret.value) == (written.version, canary.text())
        await bridge.secrets.set("some/name", canary.text("new"))
        assert (await bridge.secrets.get("some/name")).value == canary.text("new")

    @needs("get", "set", "get_version", "versions", "delete", "recover")
    async def test_recover_brings_all_versions_back(self, bridge: BridgeView, canary: Canary) -> None:
        """In the same order, each with its value."""
        written = [await bridge.secrets.set("some/name", canary.text(str(number))) for number in range(3)]
        await bridge.secrets.delete("some/name")
        await bridge.secrets.recover("some/name")
        listed = [info.version async for info in bridge.secrets.versions("some/name")]
        assert listed == [secret.version for secret in written][::-1]
        for number, secret in enumerate(written):
            assert (await bridge.secrets.get("some/name", secret.version)).value == canary.text(str(number))

    @needs("set", "delete", "recover", "list", "deleted")
    async def test_listings_follow_deletion_and_recovery(self, bridge: BridgeView, canary: Canary) -> None:
        """A secret is in exactly one of the two listings."""
        await bridge.secrets.set("some/name", canary.text())
        await bridge.secrets.delete("some/name")
        assert (await names(bridge.secrets.list()), await names(bridge.secrets.deleted())) == ([], ["some/name"])
        await bridge.secrets.recover("some/name")
        assert (await names(bridge.secrets.list()), await names(bridge.secrets.deleted())) == (["some/name"], [])

    @needs("get", "set", "get_version", "update", "update_version", "enabled", "delete", "recover")
    async def test_recovery_enables_nothing(self, bridge: BridgeView, canary: Canary) -> None:
        """A version that was disabled before the deletion is disabled after the recovery."""
        first = await bridge.secrets.set("some/name", canary.text("1"))
        await bridge.secrets.set("some/name", canary.text("2"))
        await bridge.secrets.update("some/name", version=first.version, enabled=False)
        await bridge.secrets.delete("some/name")
        await bridge.secrets.recover("some/name")
        with refused(Code.DISABLED):
            await bridge.secrets.get("some/name", first.version)
        assert (await bridge.secrets.get("some/name")).value == canary.text("2")

    @needs("get", "set")
    async def test_recover_and_purge_want_a_deleted_secret(self, bridge: BridgeView, canary: Canary) -> None:
        """A secret that is not deleted is not found among the deleted, and stays as it is."""
        await bridge.secrets.set("some/name", canary.text())
        for operation in ("recover", "purge"):
            if operation in self.claimed:
                with refused(Code.NOT_FOUND):
                    await self.act(bridge.secrets, operation, canary)
        assert (await bridge.secrets.get("some/name")).value == canary.text()

    @needs("get", "set", "delete", "purge")
    async def test_purge_frees_the_name(self, bridge: BridgeView, canary: Canary) -> None:
        """What is purged is gone for good: the name starts anew, and no old version is left under it."""
        old = await bridge.secrets.set("some/name", canary.text("old"))
        await bridge.secrets.delete("some/name")
        await bridge.secrets.purge("some/name")
        for operation in ("get", "purge", "recover"):
            if operation in self.claimed:
                with refused(Code.NOT_FOUND):
                    await self.act(bridge.secrets, operation, canary)
        new = await bridge.secrets.set("some/name", canary.text("new"))
        await self._check_only_version(bridge, old, new)

    @needs("set", "if_absent")
    async def test_if_absent_creates(self, bridge: BridgeView, canary: Canary) -> None:
        """On a free name it is a set like any other."""
        assert (await bridge.secrets.set("some/name", canary.text(), if_absent=True)).value == canary.text()

    @needs("get", "set", "if_absent")
    async def test_if_absent_does_not_overwrite(self, bridge: BridgeView, canary: Canary) -> None:
        """On a name that exists it is already_exists, and appends no version."""
        await bridge.secrets.set("some/name", canary.text("1"))
        with refused(Code.ALREADY_EXISTS):
            await bridge.secrets.set("some/name", canary.text("2"), if_absent=True)
        assert (await bridge.secrets.get("some/name")).value == canary.text("1")

    @needs("set", "if_absent", "update", "enabled")
    async def test_a_disabled_secret_exists(self, bridge: BridgeView, canary: Canary) -> None:
        """What is disabled is not absent."""
        await bridge.secrets.set("some/name", canary.text())
        await bridge.secrets.update("some/name", enabled=False)
        with refused(Code.ALREADY_EXISTS):
            await bridge.secrets.set("some/name", canary.text(), if_absent=True)

    async def _check_only_version(self, bridge: BridgeView, old: Secret, new: Secret) -> None:
        """A name that starts anew shows nothing of what it was."""
        assert (await bridge.secrets.get(new.name)).value == new.value
        if "versions" in self.claimed:
            assert [info.version async for info in bridge.secrets.versions(new.name)] == [new.version]
        if "get_version" in self.claimed and old.version != new.version:
            with refused(Code.VERSION_NOT_FOUND):
                await bridge.secrets.get(new.name, old.version)
