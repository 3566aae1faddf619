"""Making keys: every kind that is claimed, with its tags; and what is said of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

from kmsbridge import Code, Key, KeySpec, Outcome
from kmsbridge.contract._contract import for_each, needs, refused
from kmsbridge.contract.keys._acts import ENCRYPTING, SIGNING, KeyCases, drained

if TYPE_CHECKING:
    from kmsbridge.contract._contract import Connect
    from kmsbridge.contract._views import BridgeView
    from kmsbridge.contract._witness import Canary

_GIVING = ("encrypt", "wrap", "generate_data_key", "seal", "sign")


class MakingCases(KeyCases):
    """Cases about new keys."""

    @needs("create")
    async def test_each_kind_of_key_does_what_is_claimed_of_it(
        self, bridge: BridgeView, canary: Canary, spec: str
    ) -> None:
        """It encrypts as much as is claimed and signs in each way that is claimed, or does not at all."""
        key = await bridge.keys.create("some/key", spec)
        assert (key.name, key.spec, key.enabled, key.deletes_at) == ("some/key", spec, True, None)
        does = self.claims.specs[KeySpec(spec)]
        for operation in self.uses(spec):
            if operation in ("encrypt", "wrap", "seal", "generate_data_key"):
                await self.act(bridge.keys, operation, canary)
        if does.encrypt and self.can("encrypt"):
            largest = await bridge.keys.encrypt("some/key", canary.sized(does.max_plaintext).encode())
            with refused(Code.PAYLOAD_TOO_LARGE, None) as info:
                await bridge.keys.encrypt("some/key", canary.sized(does.max_plaintext + 1).encode())
            assert "seal" in info.value.remediation
            if self.can("decrypt"):
                assert await bridge.keys.decrypt("some/key", largest) == canary.sized(does.max_plaintext).encode()
        for algorithm in does.signature_algorithms if self.can("sign") else ():
            signature = await bridge.keys.sign("some/key", canary.bytes(), algorithm=algorithm)
            assert (signature.key, signature.version, signature.algorithm) == ("some/key", key.version, algorithm)
            if self.can("verify"):
                assert await bridge.keys.verify("some/key", canary.bytes(), signature) is True

    @needs("create")
    async def test_a_kind_of_key_does_nothing_that_is_not_claimed_of_it(
        self, bridge: BridgeView, canary: Canary
    ) -> None:
        """A key that only signs encrypts nothing, and the other way round."""
        for number, spec in enumerate(self.families()):
            refused_uses = [use for use in _GIVING if self.can(use) and use not in self.uses(spec)]
            if refused_uses:
                await bridge.keys.create(f"key/{number}", spec)
            for operation in refused_uses:
                with refused(Code.UNSUPPORTED, None):
                    await self.act(bridge.keys, operation, canary, name=f"key/{number}")

    @needs("create", "get")
    async def test_a_new_key_is_found(self, bridge: BridgeView, connect: Connect) -> None:
        """By whoever asks, with kind and version, enabled, and the time it was made."""
        made = await self.create(bridge.keys)
        found = await connect().keys.get("some/key")
        assert isinstance(found, Key)
        assert (found.name, found.version, found.spec) == ("some/key", made.version, self.kind())
        assert (found.enabled, dict(found.tags), found.deletes_at) == (True, {}, None)
        assert found.created_at is None or abs(datetime.now(UTC) - found.created_at) < timedelta(days=1)

    @needs("create", "get", "list", "tags")
    async def test_tags_come_back(self, bridge: BridgeView) -> None:
        """As many as are claimed, with any printable text, and empty values, wherever the key is seen."""
        tags = {"team": "billing", "Owner's name": "Zürich 密碼", "empty": ""}
        tags = dict(list(tags.items())[: self.claims.max_tags])
        tags |= {f"tag-{number}": str(number) for number in range(self.claims.max_tags - len(tags))}
        made = await bridge.keys.create("some/key", self.kind(), tags=tags)
        (listed,) = await drained(bridge.keys.list())
        for key in (made, await bridge.keys.get("some/key"), listed):
            assert dict(key.tags) == tags

    @needs("create", "tags", "get", "rotate")
    async def test_tags_stay_with_the_key(self, bridge: BridgeView) -> None:
        """A rotation leaves them alone."""
        await bridge.keys.create("some/key", self.rotated(), tags={"team": "billing"})
        await bridge.keys.rotate("some/key")
        assert dict((await bridge.keys.get("some/key")).tags) == {"team": "billing"}

    @needs("create")
    async def test_a_name_that_is_taken_is_already_exists(self, bridge: BridgeView, canary: Canary) -> None:
        """And the key under it stays as it is."""
        spec = self.kind()
        await bridge.keys.create("some/key", spec)
        samples = await self.samples(bridge.keys, "some/key", spec, canary)
        for again in self.kinds()[:2]:
            with refused(Code.ALREADY_EXISTS):
                await bridge.keys.create("some/key", again)
        await self.check_samples(bridge.keys, "some/key", samples, canary)

    @needs("create", "disable")
    async def test_a_disabled_key_exists(self, bridge: BridgeView) -> None:
        """What is disabled does not leave its name free."""
        await self.create(bridge.keys)
        await bridge.keys.disable("some/key")
        with refused(Code.ALREADY_EXISTS):
            await self.create(bridge.keys)

    @needs("create")
    @for_each("spec_given", ["", "AES", "aes_256", "RSA_1024", 256, None, ["AES_256"]])
    async def test_what_is_no_kind_of_key_is_refused(self, bridge: BridgeView, spec_given: object) -> None:
        """There is a fixed set of them, and the error says which are to be had."""
        with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
            await bridge.keys.create("some/key", cast("str", spec_given))
        assert [field.path for field in info.value.fields] == ["spec"]
        assert self.kinds()[0] in info.value.remediation

    @needs("create")
    async def test_a_kind_of_key_that_is_not_claimed_is_refused(self, bridge: BridgeView, absent_spec: str) -> None:
        """It exists, and this backend does not have it."""
        with refused(Code.UNSUPPORTED, Outcome.NOT_SENT) as info:
            await bridge.keys.create("some/key", absent_spec)
        assert self.kinds()[0] in info.value.remediation

    async def test_every_use_is_of_some_kind_of_key(self) -> None:
        """What is claimed of the backend is claimed of a kind of key, and the other way round."""
        used = {use for spec in self.kinds() for use in self.uses(spec)}
        assert used == {use for use in (*ENCRYPTING, *SIGNING) if self.can(use)}
