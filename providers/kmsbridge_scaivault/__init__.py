"""The provider for ScaiVault. What speaks HTTP is loaded by the first call, not before."""

from __future__ import annotations

from functools import partial
from importlib import import_module

from kmsbridge._options import check_certificates
from kmsbridge_scaivault._config import configure
from kmsbridge_scaivault._errors import decoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kmsbridge._runtime import Runtime
    from kmsbridge_scaivault._config import ScaiVaultSettings
    from kmsbridge_scaivault._driver import ScaiVaultDriver

__all__ = ["configure", "decoder", "name", "open"]

name = "scaivault"
_HEAVY = ("urllib3", "aiohttp", "kmsbridge_scaivault._driver")
"""Loaded one by one in a thread: an import holds the interpreter, and an event loop gets its turn in between."""


async def open(settings: ScaiVaultSettings, runtime: Runtime) -> ScaiVaultDriver:
    """A driver for these settings. Sends nothing: the first call does, within its own deadline.

    Raises:
        InvalidRequestError: The file with certificates cannot be read, or has none.
    """
    check_certificates(settings.ca)
    for module in _HEAVY:
        await runtime.in_thread(partial(import_module, module))
    from kmsbridge_scaivault._driver import ScaiVaultDriver

    return ScaiVaultDriver(settings, runtime)
