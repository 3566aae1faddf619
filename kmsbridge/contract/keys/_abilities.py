"""Claim and behaviour agree: what is claimed works, what is not claimed is refused and does not exist.

That what is claimed works is shown by all the other cases.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from kmsbridge import Code, KeySpec, KMSError, Outcome, SignatureAlgorithm
from kmsbridge.contract._contract import refused
from kmsbridge.contract.keys._acts import KeyCases, drained, names

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from kmsbridge.contract._views import BridgeView, KeysView
    from kmsbridge.contract._witness import Canary

_NAME = "some/key"
_TAGS = {"team": "billing"}
_CONTEXT = {"tenant": "acme"}
_DAYS = 30
_ON: Mapping[str, str] = {
    "enable": "disable",
    "disable": "enable",
    "enable_version": "enable",
    "cancel_deletion": "schedule_deletion",
    "deletion_days": "schedule_deletion",
    "tags": "create",
    "decrypt": "encrypt",
    "unwrap": "wrap",
    "generate_data_key": "decrypt",
    "context": "encrypt",
}
"""What an ability is good for only with another."""
_SIGNED_BY = {
    KeySpec.EC_P256: {SignatureAlgorithm.ES256},
    KeySpec.EC_P384: {SignatureAlgorithm.ES384},
    KeySpec.EC_P521: {SignatureAlgorithm.ES512},
    KeySpec.AES_256: set[SignatureAlgorithm](),
}
_RSA_SIGNED_BY = {algorithm for algorithm in SignatureAlgorithm if not algorithm.startswith("ES")}


class AbilityCases(KeyCases):
    """Cases about what is claimed."""

    async def test_the_bridge_claims_what_the_cases_go_by(self, bridge: BridgeView) -> None:
        """Every bridge to this backend claims the same."""
        assert bridge.capabilities.keys == self.claims

    async def test_the_claims_fit_together(self, bridge: BridgeView) -> None:
        """An argument is not claimed without its operation, nor an operation without its sizes."""
        claims = bridge.capabilities.keys
        for ability, other in _ON.items():
            assert ability not in self.claimed or other in self.claimed, f"{ability} is claimed, {other} is not"
        assert (claims.max_tags > 0) is ("tags" in self.claimed)
        chosen = "deletion_days" in self.claimed
        assert (0 < claims.min_deletion_days <= claims.max_deletion_days) is chosen
        assert (claims.max_deletion_days == 0) is not chosen

    async def test_the_claims_of_kinds_fit_together(self) -> None:
        """What the backend can do some kind of key can do, each as much as such keys can."""
        specs = self.claims.specs
        encrypting = {"encrypt", "wrap", "generate_data_key"} & self.claimed
        assert any(does.encrypt for does in specs.values()) is bool(encrypting)
        assert any(does.context for does in specs.values()) is ("context" in self.claimed)
        assert any(does.signature_algorithms for does in specs.values()) is bool({"sign", "verify"} & self.claimed)
        for spec, does in specs.items():
            assert (does.max_plaintext > 0) is does.encrypt, spec
            assert does.encrypt or not does.context, spec
            assert not (does.encrypt and spec.startswith("EC")), spec
            assert set(does.signature_algorithms) <= _SIGNED_BY.get(spec, _RSA_SIGNED_BY), spec

    async def test_an_ability_that_is_not_claimed_is_refused(
        self, bridge: BridgeView, canary: Canary, ability: str
    ) -> None:
        """Using it is unsupported, and nothing is sent."""
        keys = bridge.keys
        with refused(Code.UNSUPPORTED, Outcome.NOT_SENT) as info:
            match ability:
                case "enable_version":
                    await keys.enable(_NAME, version="1")
                case "context":
                    await keys.encrypt(_NAME, canary.bytes(), context=_CONTEXT)
                case "tags":
                    await keys.create(_NAME, KeySpec.AES_256, tags=_TAGS)
                case "deletion_days":
                    await keys.schedule_deletion(_NAME, days=_DAYS)
                case operation:
                    await self.act(keys, operation, canary)
        assert isinstance(info.value, NotImplementedError)
        for operation, needed in (("seal", "wrap"), ("unseal", "unwrap")):
            if needed == ability:
                with refused(Code.UNSUPPORTED, Outcome.NOT_SENT):
                    await self.act(keys, operation, canary)

    async def test_an_ability_that_is_not_claimed_is_not_there(
        self, bridge: BridgeView, canary: Canary, ability: str
    ) -> None:
        """A driver claims all it can do: asked behind the back of its claims, it cannot, with any kind of key."""
        keys = bridge.unlocked_keys()
        for number, spec in enumerate(self.families() or (KeySpec.AES_256, KeySpec.EC_P256, KeySpec.RSA_2048)):
            name = f"key/{number}"
            try:
                await keys.create(name, spec)
                works = await self._works(keys, ability, name, spec, canary)
            except KMSError:
                works = False
            assert not works, f"the driver can do {ability}, and the provider does not claim it"

    async def test_a_kind_of_key_that_is_not_claimed_is_not_there(self, bridge: BridgeView, absent_spec: str) -> None:
        """The same, of kinds of key."""
        try:
            made = await bridge.unlocked_keys().create(_NAME, absent_spec)
        except KMSError:
            return
        assert made.spec != absent_spec, f"the driver makes {absent_spec}, and the provider does not claim it"

    async def _works(self, keys: KeysView, ability: str, name: str, spec: KeySpec, canary: Canary) -> bool:
        """Whether the ability does what it would be claimed for."""
        value, algorithm = canary.bytes(), _first_algorithm(spec)
        match ability:
            case "create":
                return True
            case "get":
                return (await keys.get(name)).name == name
            case "list":
                return name in await names(keys.list())
            case "versions":
                return len(await drained(keys.versions(name))) == 1
            case "rotate":
                return (await keys.rotate(name)).name == name
            case "enable":
                return (await keys.enable(name)).enabled
            case "disable":
                return not (await keys.disable(name)).enabled
            case "enable_version":
                old = await keys.encrypt(name, value)
                await keys.rotate(name)
                await keys.disable(name, version=old.version)
                await keys.encrypt(name, value)
                return await _code(keys.decrypt(name, old)) is Code.DISABLED
            case "schedule_deletion":
                return (await keys.schedule_deletion(name)).deletes_at is not None
            case "deletion_days":
                deletes_at = (await keys.schedule_deletion(name, days=_DAYS)).deletes_at
                return deletes_at is not None and abs(deletes_at - datetime.now(UTC) - timedelta(_DAYS)) < timedelta(1)
            case "cancel_deletion":
                await keys.schedule_deletion(name)
                return (await keys.cancel_deletion(name)).deletes_at is None
            case "public_key":
                return "PUBLIC KEY" in (await keys.public_key(name)).pem
            case "sign":
                return bool((await keys.sign(name, value, algorithm=algorithm)).value)
            case "verify":
                return await keys.verify(name, value, bytes(64), algorithm=algorithm) is False
            case "encrypt":
                return bool((await keys.encrypt(name, value)).payload)
            case "decrypt":
                return await keys.decrypt(name, await keys.encrypt(name, value)) == value
            case "wrap":
                return bool((await keys.wrap(name, value)).payload)
            case "unwrap":
                return await keys.unwrap(name, await keys.wrap(name, value)) == value
            case "generate_data_key":
                return len((await keys.generate_data_key(name)).plaintext) == 32
            case "context":
                bound = await keys.encrypt(name, value, context=_CONTEXT)
                return await _code(keys.decrypt(name, bound)) is Code.DECRYPTION_FAILED
            case "tags":
                return dict((await keys.create(f"{name}/tagged", spec, tags=_TAGS)).tags) == _TAGS
        raise AssertionError(f"nothing shows whether {ability} works")


def _first_algorithm(spec: KeySpec) -> SignatureAlgorithm:
    return min(_SIGNED_BY.get(spec, _RSA_SIGNED_BY), default=SignatureAlgorithm.ES256)


async def _code(call: Awaitable[object]) -> Code | None:
    """The code a call fails with; None if it succeeds."""
    try:
        await call
    except KMSError as error:
        return error.code
    return None
