"""The operations on secrets by name, for cases that hold for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from kmsbridge.contract._contract import Contract

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kmsbridge import SecretAbilities, SecretInfo
    from kmsbridge.contract._views import SecretsView
    from kmsbridge.contract._witness import Canary

NAMED = ("get", "set", "versions", "update", "delete", "recover", "purge")
"""The operations that take a name."""


class SecretCases(Contract):
    """What the groups of cases share."""

    part = "secrets"
    operations: ClassVar[tuple[str, ...]] = (*NAMED, "list", "deleted")

    claims: ClassVar[SecretAbilities]
    """What the provider claims, sizes included."""

    async def act(
        self,
        secrets: SecretsView,
        operation: str,
        canary: Canary,
        *,
        name: str = "some/name",
        timeout: float | None = None,
    ) -> object:
        """Do an operation to its end, with arguments that are all right."""
        match operation:
            case "get":
                return await secrets.get(name, timeout=timeout)
            case "set":
                return await secrets.set(name, canary.text(), timeout=timeout)
            case "versions":
                return await drained(secrets.versions(name, timeout=timeout))
            case "update" if "enabled" in self.claimed:
                return await secrets.update(name, enabled=True, timeout=timeout)
            case "update":
                return await secrets.update(name, tags={"team": "billing"}, timeout=timeout)
            case "delete":
                return await secrets.delete(name, timeout=timeout)
            case "recover":
                return await secrets.recover(name, timeout=timeout)
            case "purge":
                await secrets.purge(name, timeout=timeout)
                return None
            case "list":
                return await drained(secrets.list(timeout=timeout))
            case "deleted":
                return await drained(secrets.deleted(timeout=timeout))
        raise AssertionError(f"there is no operation {operation!r}")


async def drained(listing: AsyncIterator[SecretInfo]) -> list[SecretInfo]:
    """All items of a listing."""
    return [info async for info in listing]


async def names(listing: AsyncIterator[SecretInfo]) -> list[str]:
    """The names of all items of a listing, in order."""
    return [info.name async for info in listing]
