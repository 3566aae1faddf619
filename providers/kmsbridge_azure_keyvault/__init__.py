"""The provider for Azure Key Vault and Managed HSM. The SDK is loaded by the first call, not before."""

from __future__ import annotations

from functools import partial
from importlib import import_module

from kmsbridge._options import check_certificates
from kmsbridge_azure_keyvault._config import configure
from kmsbridge_azure_keyvault._errors import decoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kmsbridge._runtime import Runtime
    from kmsbridge_azure_keyvault._config import VaultSettings
    from kmsbridge_azure_keyvault._driver import KeyVaultDriver

__all__ = ["configure", "decoder", "name", "open"]

name = "azure-keyvault"
_HEAVY = (
    "azure.core.pipeline.policies",
    "azure.identity",
    "azure.keyvault.secrets.aio",
    "kmsbridge_azure_keyvault._driver",
)
"""Loaded one by one in a thread: an import holds the interpreter, and an event loop gets its turn in between."""


async def open(settings: VaultSettings, runtime: Runtime) -> KeyVaultDriver:
    """A driver for these settings. Sends nothing: the first call does, within its own deadline.

    Raises:
        InvalidRequestError: The file with certificates is none, or the credential is of the other mode.
    """
    check_certificates(settings.ca)
    for module in _HEAVY:
        await runtime.in_thread(partial(import_module, module))
    from kmsbridge._entra._credentials import check_mode
    from kmsbridge_azure_keyvault._driver import KeyVaultDriver

    check_mode(settings.identity, runtime)
    return KeyVaultDriver(settings, runtime)
