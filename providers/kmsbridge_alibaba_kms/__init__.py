"""The provider for Alibaba Cloud KMS, both of its doors. The SDK is loaded by the first call, not before."""

from __future__ import annotations

import os
from functools import partial
from importlib import import_module

from kmsbridge._errors import invalid
from kmsbridge_alibaba_kms._config import configure
from kmsbridge_alibaba_kms._errors import decoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kmsbridge._runtime import Runtime
    from kmsbridge_alibaba_kms._config import KmsSettings
    from kmsbridge_alibaba_kms._driver import AlibabaKmsDriver

__all__ = ["configure", "decoder", "name", "open"]

name = "alibaba-kms"
_HEAVY = (
    "requests",
    "aiohttp",
    "cryptography.hazmat.primitives.serialization",
    "kmsbridge_alibaba_kms._client",
    "kmsbridge_alibaba_kms._driver",
)
"""Loaded one by one in a thread: an import holds the interpreter, and an event loop gets its turn in between."""


async def open(settings: KmsSettings, runtime: Runtime) -> AlibabaKmsDriver:
    """A driver for these settings. Sends nothing: the first call does, within its own deadline.

    Raises:
        InvalidRequestError: A file that is named cannot be read.
        PreconditionError: Others can read the client key.
    """
    cas = {"ca": settings.ca, "instance_ca": None if settings.instance is None else settings.instance.ca}
    for option, path in cas.items():
        if path is not None and not os.access(path, os.R_OK):
            raise invalid(
                f"the file that {option} names cannot be read", f"options.{option}", remediation="Check path and mode."
            )
    for module in _HEAVY:
        await runtime.in_thread(partial(import_module, module))
    from kmsbridge_alibaba_kms._driver import open_driver

    return await open_driver(settings, runtime)
