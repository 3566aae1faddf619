"""An emulator of Azure Cosmos DB for NoSQL: one account, its regions, and the state of its customer-managed key.

::

    from kmsbridge.emulation import Emulator
    from kmsbridge_azure_cosmos.emulator import Cosmos

    with Emulator(Cosmos()) as emulator:
        emulator.configure(key="revoked")
        ...

It shares no line with the adapter of this package, so that a test of the one against the
other proves something. Stored code, throughput offers, users, the change feed and most of
SQL are not emulated.
"""

from __future__ import annotations

from kmsbridge_azure_cosmos.emulator._service import Cosmos
from kmsbridge_azure_cosmos.emulator._settings import Settings

__all__ = ["Cosmos", "Settings", "backend"]


def backend() -> Cosmos:
    """A new account without databases; how ``kmsbridge emulate azure-cosmos`` finds it."""
    return Cosmos()
