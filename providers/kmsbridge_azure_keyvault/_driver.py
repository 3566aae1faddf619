"""One vault under one identity, open."""

from __future__ import annotations

from time import monotonic

from kmsbridge._decode import Refused
from kmsbridge_azure_keyvault._secrets import VaultSecrets
from kmsbridge_azure_keyvault._uses import VaultKeyUses
from kmsbridge_azure_keyvault._vault import Vault
from kmsbridge_azure_keyvault._waiting import is_there, no_right

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kmsbridge._call import Call
    from kmsbridge._errors import Identity, KMSError
    from kmsbridge._runtime import Runtime
    from kmsbridge_azure_keyvault._config import VaultSettings

PURGE_SECONDS = 6.0
"""How long a name may be taken after its item was purged: 1 to 5 s were seen (azure-sdk-for-net 26027)."""
_NOT_REPEATABLE = frozenset(
    (
        "secrets.set",
        "secrets.delete",
        "secrets.recover",
        "secrets.purge",
        "keys.create",
        "keys.rotate",
        "keys.schedule_deletion",
        "keys.cancel_deletion",
    )
)
"""What appends a version, whatever its HTTP method, and what finds its work done the second time."""


class KeyVaultDriver(VaultSecrets, VaultKeyUses):
    """A vault or a Managed HSM."""

    def __init__(self, settings: VaultSettings, runtime: Runtime) -> None:
        vault = Vault(settings, runtime)
        VaultSecrets.__init__(self, vault)
        VaultKeyUses.__init__(self, vault, settings.capabilities.keys.specs, hsm=settings.hsm)
        self._first = "/keys" if settings.hsm else "/secrets"

    def repeatable(self, operation: str) -> bool:
        """Whether a call that may have been applied can be made again."""
        return operation not in _NOT_REPEATABLE

    async def reauthenticate(self) -> bool:
        """Drop the token that the vault refused."""
        return self._vault.tokens.renew()

    async def refresh(self, error: KMSError) -> bool:  # noqa: ARG002 - nothing is ever stale
        """Nothing is kept from one call to the next."""
        return False

    async def poll(self, error: KMSError, call: Call) -> bool:
        """Whether a deletion or recovery is over: the item can be seen on one of the two sides.

        What is being purged cannot be seen on either.
        """
        del error
        if call.native is None:  # a listing: no one item is in its way
            return True
        kind = call.operation.partition(".")[0]
        for path in (f"/deleted{kind}/{call.native}", f"/{kind}/{call.native}/"):
            if await is_there(self._vault, call, path):
                return True
        return monotonic() - call.started > PURGE_SECONDS

    async def health(self, call: Call) -> Identity | None:
        """List one item; who may not list is known to the vault all the same."""
        try:
            await self._vault.ask(call, "GET", f"{self._first}?maxresults=1")
        except Refused as refused:
            if not no_right(refused.answer):
                raise
        return call.identity

    async def close(self) -> None:
        """Close the connections; the tokens are the process's."""
        await self._vault.close()
