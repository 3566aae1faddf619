"""An emulator of Alibaba Cloud KMS: the OpenAPI door of a region, version 2016-01-20, and that of an instance.

::

    from kmsbridge.emulation import Emulator
    from kmsbridge_alibaba_kms.emulator import AlibabaKms, Settings

    with Emulator(AlibabaKms(Settings(region="cn-shanghai"))) as emulator:
        print(emulator.url, emulator.ca_pem)

It shares no line with the adapter of this package, so that a test of the one against the
other proves something.
"""

from __future__ import annotations

from kmsbridge_alibaba_kms.emulator._service import AlibabaKms
from kmsbridge_alibaba_kms.emulator._state import Settings

__all__ = ["AlibabaKms", "Settings", "backend"]


def backend() -> AlibabaKms:
    """A new service without state; how ``kmsbridge emulate alibaba-kms`` finds it."""
    return AlibabaKms()
