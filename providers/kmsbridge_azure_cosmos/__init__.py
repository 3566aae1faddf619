"""The provider for Azure Cosmos DB under a customer-managed key. So far it reads its answers; it does not connect."""

from __future__ import annotations

from kmsbridge._errors import unsupported
from kmsbridge_azure_cosmos._config import configure
from kmsbridge_azure_cosmos._errors import decoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from kmsbridge._runtime import Runtime
    from kmsbridge_azure_cosmos._config import CosmosSettings

__all__ = ["configure", "decoder", "name", "open"]

name = "azure-cosmos"


async def open(settings: CosmosSettings, runtime: Runtime) -> NoReturn:
    """There is no driver yet.

    Raises:
        UnsupportedError: Always.
    """
    del settings, runtime
    raise unsupported("way to connect yet", "Use `kmsbridge explain` for its errors.")
