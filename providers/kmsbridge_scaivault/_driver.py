"""One tenant of one ScaiVault under one identity, open."""

from __future__ import annotations

from kmsbridge._decode import CODE, copied
from kmsbridge_scaivault._secrets import ScaiVaultSecrets
from kmsbridge_scaivault._service import Service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from kmsbridge._call import Call
    from kmsbridge._errors import Identity, KMSError
    from kmsbridge._runtime import Runtime
    from kmsbridge_scaivault._config import ScaiVaultSettings

_NOT_REPEATABLE = frozenset(("secrets.set", "secrets.delete"))
"""What appends a version, whatever its HTTP method, and what finds its work done the second time."""


class ScaiVaultDriver(ScaiVaultSecrets):
    """ScaiVault."""

    def __init__(self, settings: ScaiVaultSettings, runtime: Runtime) -> None:
        super().__init__(Service(settings, runtime), hard_delete=settings.hard_delete)

    def repeatable(self, operation: str) -> bool:
        """Whether a call that may have been applied can be made again."""
        return operation not in _NOT_REPEATABLE

    async def reauthenticate(self) -> bool:
        """Drop the token that was refused; one that was given is what it is."""
        return self._service.tokens.renew()

    async def refresh(self, error: KMSError) -> bool:  # noqa: ARG002 - nothing is ever stale
        """Nothing is kept from one call to the next."""
        return False

    async def poll(self, error: KMSError, call: Call) -> bool:  # noqa: ARG002 - no operation goes on behind an answer
        """Nothing goes on behind an answer."""
        return True

    async def health(self, call: Call) -> Identity | None:
        """Ask who we are: the token is checked, and the tenant."""
        who = self._service.tokens.who

        def read(node: Mapping[str, Any]) -> Identity:
            if not isinstance(id_ := node.get("identity_id"), str):
                raise ValueError("no identity")  # noqa: TRY004 - a malformed answer
            return who._replace(tenant=copied(node.get("tenant_id"), CODE), object_id=copied(id_, CODE))

        call.identity = await self._service.exchange(call, "GET", "/auth/whoami", read)
        return call.identity

    async def close(self) -> None:
        """Close the connections; the tokens are the process's."""
        await self._service.close()
