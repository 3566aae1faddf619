"""What is missing, what is to be deleted, and the way back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

from kmsbridge import Code, Outcome, Resource
from kmsbridge.contract._contract import for_each, needs, refused
from kmsbridge.contract.keys._acts import KEEPING, NAMED, KeyCases, drained

if TYPE_CHECKING:
    from kmsbridge.contract._views import BridgeView
    from kmsbridge.contract._witness import Canary

_CHANGING = [operation for operation in KEEPING if operation not in ("get", "create", "versions", "cancel_deletion")]


class DeletionCases(KeyCases):
    """Cases about missing keys, and keys whose deletion is scheduled."""

    async def test_what_is_missing_is_not_found(self, bridge: BridgeView, canary: Canary) -> None:
        """Every operation on a key that is not there says so, and names it."""
        operations = [
            name for name in NAMED if self.can(name) and name not in ("create", "decrypt", "unwrap", "unseal")
        ]
        for operation in operations:
            with refused(Code.NOT_FOUND) as info:
                await self.act(bridge.keys, operation, canary, name="not/there")
            assert info.value.resource == Resource("key", "not/there")

    @needs("create")
    async def test_what_was_encrypted_under_a_missing_key_is_not_found(
        self, bridge: BridgeView, canary: Canary
    ) -> None:
        """What names a key that is not there is refused for that reason."""
        spec = self.kind()
        await self.create(bridge.keys, "other", spec)
        samples = await self.samples(bridge.keys, "other", spec, canary)
        for operation in self.uses(spec):
            if operation in ("decrypt", "unwrap", "unseal"):
                with refused(Code.NOT_FOUND) as info:
                    await self.act(bridge.keys, operation, canary, name="not/there", samples=samples)
                assert info.value.resource == Resource("key", "not/there")

    @needs("create", "schedule_deletion", "get")
    async def test_a_deletion_is_scheduled(self, bridge: BridgeView) -> None:
        """For as long as the backend has; the key shows when."""
        await self._schedule(bridge, "some/key", None)

    @needs("create", "schedule_deletion", "deletion_days", "get")
    async def test_a_deletion_is_scheduled_in_so_many_days(self, bridge: BridgeView) -> None:
        """As many as are asked for; where none are, as many as might have been."""
        low, high = self.claims.min_deletion_days, self.claims.max_deletion_days
        for number, days in enumerate((low, high, None)):
            left = await self._schedule(bridge, f"key/{number}", days)
            wanted = (low, high) if days is None else (days, days)
            assert timedelta(days=wanted[0], hours=-1) < left < timedelta(days=wanted[1], hours=1)

    async def _schedule(self, bridge: BridgeView, name: str, days: int | None) -> timedelta:
        """The time a new key has left."""
        await self.create(bridge.keys, name)
        scheduled = await bridge.keys.schedule_deletion(name, days=days)
        found = await bridge.keys.get(name)
        assert scheduled.name == found.name == name
        assert scheduled.deletes_at is not None
        assert found.deletes_at == scheduled.deletes_at
        left = scheduled.deletes_at - datetime.now(UTC)
        assert left > timedelta(0)
        return left

    @needs("schedule_deletion", "deletion_days")
    @for_each("kind", ["too few", "too many", "none", "negative", "True", "a part", "text"])
    async def test_what_is_no_number_of_days_is_refused(self, bridge: BridgeView, kind: str) -> None:
        """Whole days, within what is claimed."""
        days = {
            "too few": self.claims.min_deletion_days - 1,
            "too many": self.claims.max_deletion_days + 1,
            "none": 0,
            "negative": -7,
            "True": True,
            "a part": self.claims.min_deletion_days + 0.5,
            "text": str(self.claims.min_deletion_days),
        }[kind]
        with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
            await bridge.keys.schedule_deletion("some/key", days=cast("int", days))
        assert [field.path for field in info.value.fields] == ["days"]

    @needs("create", "schedule_deletion")
    async def test_a_key_is_not_used_while_its_deletion_is_scheduled(self, bridge: BridgeView, canary: Canary) -> None:
        """It gives nothing, takes nothing back, and is changed in no way but to be kept."""
        for number, spec in enumerate(self.users()):
            name = f"key/{number}"
            await self.create(bridge.keys, name, spec)
            samples = await self.samples(bridge.keys, name, spec, canary)
            await bridge.keys.schedule_deletion(name)
            for operation in (*self.uses(spec), *filter(self.can, _CHANGING)):
                with refused(Code.PENDING_DELETION):
                    await self.act(bridge.keys, operation, canary, name=name, samples=samples)

    @needs("create", "schedule_deletion", "list")
    async def test_a_key_whose_deletion_is_scheduled_is_listed(self, bridge: BridgeView) -> None:
        """It is there, and marked; the others are not."""
        for name in ("some", "some/key"):
            await self.create(bridge.keys, name)
        scheduled = await bridge.keys.schedule_deletion("some/key")
        listed = {key.name: key.deletes_at for key in await drained(bridge.keys.list())}
        assert listed == {"some": None, "some/key": scheduled.deletes_at}

    @needs("create", "schedule_deletion")
    async def test_a_scheduled_deletion_holds_the_name(self, bridge: BridgeView) -> None:
        """Nobody makes a new key while the old one can still be kept."""
        await self.create(bridge.keys)
        await bridge.keys.schedule_deletion("some/key")
        for spec in self.kinds()[:2]:
            with refused(Code.DELETED_BUT_RECOVERABLE):
                await bridge.keys.create("some/key", spec)

    @needs("create", "schedule_deletion", "cancel_deletion", "get")
    async def test_a_key_that_is_kept_is_as_before(self, bridge: BridgeView, canary: Canary) -> None:
        """It takes back what it gave, and gives again."""
        for number, spec in enumerate(self.users()):
            name = f"key/{number}"
            made = await self.create(bridge.keys, name, spec)
            samples = await self.samples(bridge.keys, name, spec, canary)
            await bridge.keys.schedule_deletion(name)
            kept = await bridge.keys.cancel_deletion(name)
            found = await bridge.keys.get(name)
            for key in (kept, found):
                assert (key.name, key.version, key.enabled, key.deletes_at) == (name, made.version, True, None)
            await self.check_samples(bridge.keys, name, samples, canary)
            await self.samples(bridge.keys, name, spec, canary)

    @needs("create", "schedule_deletion", "cancel_deletion", "disable", "get")
    async def test_keeping_a_key_does_not_enable_it(self, bridge: BridgeView, canary: Canary) -> None:
        """What was disabled before is disabled afterwards."""
        spec = self.kind()
        await self.create(bridge.keys, spec=spec)
        samples = await self.samples(bridge.keys, "some/key", spec, canary)
        await bridge.keys.disable("some/key")
        await bridge.keys.schedule_deletion("some/key")
        assert (await bridge.keys.cancel_deletion("some/key")).enabled is False
        assert (await bridge.keys.get("some/key")).enabled is False
        for operation in self.uses(spec):
            with refused(Code.DISABLED):
                await self.act(bridge.keys, operation, canary, samples=samples)

    @needs("create", "cancel_deletion")
    async def test_keeping_a_key_wants_a_scheduled_deletion(self, bridge: BridgeView, canary: Canary) -> None:
        """Where none is scheduled there is nothing to cancel, and the key stays as it is."""
        spec = self.kind()
        await self.create(bridge.keys, spec=spec)
        with refused(Code.NOT_FOUND):
            await bridge.keys.cancel_deletion("some/key")
        await self.samples(bridge.keys, "some/key", spec, canary)

    @needs("create", "schedule_deletion", "cancel_deletion", "rotate", "versions")
    async def test_keeping_a_key_keeps_its_versions(self, bridge: BridgeView, canary: Canary) -> None:
        """All of them, in the same order, and what the older ones gave."""
        spec = self.rotated()
        versions = [(await self.create(bridge.keys, spec=spec)).version]
        samples = await self.samples(bridge.keys, "some/key", spec, canary)
        versions += [(await bridge.keys.rotate("some/key")).version for _ in range(2)]
        await bridge.keys.schedule_deletion("some/key")
        await bridge.keys.cancel_deletion("some/key")
        assert [key.version async for key in bridge.keys.versions("some/key")] == versions[::-1]
        await self.check_samples(bridge.keys, "some/key", samples, canary)
