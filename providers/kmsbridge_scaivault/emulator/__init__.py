"""An emulator of ScaiVault: its API ``/v1`` of secrets, and the token endpoint of ScaiKey.

::

    from kmsbridge.emulation import Emulator
    from kmsbridge_scaivault.emulator import ScaiVault, Settings

    with Emulator(ScaiVault(Settings(retention_days=7))) as emulator:
        print(emulator.url, emulator.ca_pem, ScaiVault.token)

The vendor publishes documents, and neither a client nor a server that could be run. What they
leave open is in `_assumed`, so that it can be put right in one place. The emulator shares no
line with the adapter of this package, so that a test of the one against the other proves
something.
"""

from __future__ import annotations

from kmsbridge_scaivault.emulator._service import ScaiVault
from kmsbridge_scaivault.emulator._state import Settings

__all__ = ["ScaiVault", "Settings", "backend"]


def backend() -> ScaiVault:
    """A new service without state; how ``kmsbridge emulate scaivault`` finds it."""
    return ScaiVault()
