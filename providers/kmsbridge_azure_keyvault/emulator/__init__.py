"""An emulator of Azure Key Vault and Managed HSM: secrets, keys, and the tokens for them.

::

    from kmsbridge.emulation import Emulator
    from kmsbridge_azure_keyvault.emulator import KeyVault, Settings

    with Emulator(KeyVault(Settings(deletion_polls=2))) as emulator:
        print(emulator.url, emulator.ca_pem)

It shares no line with the adapter of this package, so that a test of the one against the
other proves something. Certificates, storage accounts and the control plane are not emulated.
"""

from __future__ import annotations

from kmsbridge_azure_keyvault.emulator._service import KeyVault
from kmsbridge_azure_keyvault.emulator._vault import Settings

__all__ = ["KeyVault", "Settings", "backend"]


def backend() -> KeyVault:
    """A new service without state; how ``kmsbridge emulate azure-keyvault`` finds it."""
    return KeyVault()
