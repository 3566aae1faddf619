"""Claim and behaviour agree: what is claimed works, what is not claimed is refused and does not exist.

That what is claimed works is shown by all the other cases.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from kmsbridge import Code, KMSError, Outcome
from kmsbridge.contract._contract import refused
from kmsbridge.contract.secrets._acts import SecretCases, drained, names

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from kmsbridge.contract._views import BridgeView, SecretsView
    from kmsbridge.contract._witness import Canary

_NAME = "some/name"
_TAGS = {"team": "billing"}
_EXPIRES = datetime(2099, 12, 31, tzinfo=UTC)
_ON: Mapping[str, str] = {
    "get_version": "get",
    "if_absent": "set",
    "content_type": "set",
    "tags": "set",
    "expires_at": "set",
    "enabled": "update",
    "update_version": "update",
    "deleted": "delete",
    "recover": "delete",
    "purge": "delete",
}
"""What an ability is good for only with another."""


class AbilityCases(SecretCases):
    """Cases about what is claimed."""

    async def test_the_bridge_claims_what_the_cases_go_by(self, bridge: BridgeView) -> None:
        """Every bridge to this backend claims the same."""
        assert bridge.capabilities.secrets == self.claims

    async def test_the_claims_fit_together(self, bridge: BridgeView) -> None:
        """An argument is not claimed without its operation, nor an operation without its sizes."""
        claims = bridge.capabilities.secrets
        for ability, other in _ON.items():
            assert ability not in self.claimed or other in self.claimed, f"{ability} is claimed, {other} is not"
        assert (claims.max_value > 0) is ("set" in self.claimed)
        assert 0 <= claims.max_binary <= claims.max_value
        assert (claims.max_tags > 0) is ("tags" in self.claimed)
        assert (claims.max_content_type > 0) is ("content_type" in self.claimed)

    async def test_an_ability_that_is_not_claimed_is_refused(
        self, bridge: BridgeView, canary: Canary, ability: str
    ) -> None:
        """Using it is unsupported, and nothing is sent."""
        with refused(Code.UNSUPPORTED, Outcome.NOT_SENT) as info:
            await self._use(bridge.secrets, ability, canary)
        assert isinstance(info.value, NotImplementedError)

    async def test_an_ability_that_is_not_claimed_is_not_there(
        self, bridge: BridgeView, canary: Canary, ability: str
    ) -> None:
        """A driver claims all it can do: asked behind the back of its claims, it cannot."""
        try:
            works = await self._works(bridge.unlocked(), ability, canary)
        except KMSError:
            works = False
        assert not works, f"the driver can do {ability}, and the provider does not claim it"

    async def _use(self, secrets: SecretsView, ability: str, canary: Canary) -> object:
        match ability:
            case "get_version":
                return await secrets.get(_NAME, "1")
            case "if_absent":
                return await secrets.set(_NAME, canary.text(), if_absent=True)
            case "content_type":
                return await secrets.set(_NAME, canary.text(), content_type="text/plain")
            case "tags":
                return await secrets.set(_NAME, canary.text(), tags=_TAGS)
            case "expires_at":
                return await secrets.set(_NAME, canary.text(), expires_at=_EXPIRES)
            case "enabled":
                return await secrets.update(_NAME, enabled=False)
            case "update_version":
                return await secrets.update(_NAME, version="1", tags=_TAGS)
            case operation:
                return await self.act(secrets, operation, canary)

    async def _works(self, secrets: SecretsView, ability: str, canary: Canary) -> bool:
        """Whether the ability does what it would be claimed for."""
        value = canary.text("1")
        match ability:
            case "set":
                return (await secrets.set(_NAME, value)).value == value
            case "if_absent":
                await secrets.set(_NAME, value)
                return await _code(secrets.set(_NAME, value, if_absent=True)) is Code.ALREADY_EXISTS
            case "content_type":
                await secrets.set(_NAME, value, content_type="text/plain")
                return (await secrets.get(_NAME)).content_type == "text/plain"
            case "tags":
                await secrets.set(_NAME, value, tags=_TAGS)
                return dict((await secrets.get(_NAME)).tags) == _TAGS
            case "expires_at":
                await secrets.set(_NAME, value, expires_at=_EXPIRES)
                return (await secrets.get(_NAME)).expires_at == _EXPIRES
        first = await secrets.set(_NAME, value)
        match ability:
            case "get":
                return (await secrets.get(_NAME)).value == value
            case "get_version":
                await secrets.set(_NAME, canary.text("2"))
                return (await secrets.get(_NAME, first.version)).value == value
            case "list":
                return await names(secrets.list()) == [_NAME]
            case "versions":
                return [info.version for info in await drained(secrets.versions(_NAME))] == [first.version]
            case "update":
                return (await self.act(secrets, "update", canary)) is not None
            case "enabled":
                await secrets.update(_NAME, enabled=False)
                return await _code(secrets.get(_NAME)) is Code.DISABLED
            case "update_version":
                await secrets.set(_NAME, canary.text("2"), tags=_TAGS)
                info = await secrets.update(_NAME, version=first.version, tags={"team": "other"})
                return info.version == first.version and dict((await secrets.get(_NAME)).tags) == _TAGS
        await secrets.delete(_NAME)
        match ability:
            case "delete":
                return await _code(secrets.get(_NAME)) is Code.NOT_FOUND
            case "deleted":
                return await names(secrets.deleted()) == [_NAME]
            case "recover":
                await secrets.recover(_NAME)
                return (await secrets.get(_NAME)).value == value
            case "purge":
                held = await _code(secrets.set(_NAME, value)) is Code.DELETED_BUT_RECOVERABLE
                await secrets.purge(_NAME)
                return held and (await secrets.set(_NAME, value)).value == value
        raise AssertionError(f"nothing shows whether {ability} works")


async def _code(call: Awaitable[object]) -> Code | None:
    """The code a call fails with; None if it succeeds."""
    try:
        await call
    except KMSError as error:
        return error.code
    return None
