"""The emulator of Azure Key Vault as the tests of the driver use it: one for all, emptied for each."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from contract_tests.shared_emulator import SharedEmulator, surrounded
from kmsbridge_azure_keyvault.emulator import KeyVault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmsbridge.emulation import Emulator

shared = SharedEmulator(KeyVault)
running, authority = shared.running, shared.authority


@contextmanager
def emptied(**settings: Any) -> Iterator[Emulator]:
    """The emulator without state, set up as said; its application is in the environment."""
    with shared.emptied(**settings) as emulator, surrounded(emulator.backend.environment):
        yield emulator


def url(host: str = "localhost", *, credential: str | None = "environment", verify: bool | None = None) -> str:
    """Where to connect to.

    Args:
        host: Without the port.
        credential: Which to ask for a token; None where one is given.
        verify: Whether the challenge is; None for as the host needs it.
    """
    emulator = running()
    options = {"ca": authority()}
    if credential is not None:
        options |= {"authority": emulator.url, "credential": credential}
    if not (host != "localhost" if verify is None else verify):
        options["verify_challenge"] = "false"
    return f"azure-keyvault://{host}:{emulator.port}?{'&'.join(f'{name}={value}' for name, value in options.items())}"
