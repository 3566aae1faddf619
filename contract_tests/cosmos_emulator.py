"""The emulator of Azure Cosmos DB as the tests of the driver use it: one for all, emptied for each."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from contract_tests.shared_emulator import SharedEmulator, surrounded
from kmsbridge_azure_cosmos.emulator import Cosmos, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmsbridge.emulation import Emulator

CONTAINER = "/dbs/db/colls/secrets"
shared = SharedEmulator(lambda: Cosmos(Settings(containers=("db/secrets/name",))))
running, authority = shared.running, shared.authority


@contextmanager
def emptied(**settings: Any) -> Iterator[Emulator]:
    """The emulator with an empty container, set up as said; key and application are in the environment."""
    with shared.emptied(**settings) as emulator, surrounded(emulator.backend.environment):
        yield emulator


def url(container: str = "secrets", **options: str) -> str:
    """Where to connect to: by the account's key, or as the options say."""
    told = {"ca": authority(), **options}
    query = "&".join(f"{name}={value}" for name, value in told.items())
    return f"azure-cosmos://localhost:{running().port}/db/{container}?{query}"


def by_token() -> str:
    """The same with tokens of the emulator's own Microsoft Entra."""
    return url(credential="environment", authority=running().url)
