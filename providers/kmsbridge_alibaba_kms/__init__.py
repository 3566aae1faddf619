"""The provider for Alibaba Cloud KMS, both of its doors. The SDK is loaded by the first call, not before."""

from __future__ import annotations

from functools import partial
from importlib import import_module

from kmsbridge._options import check_certificates
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
        InvalidRequestError: A file that is named cannot be read, or has no certificate.
        PreconditionError: Others can read the client key.
    """
    check_certificates(settings.ca)
    if settings.instance is not None:
        check_certificates(settings.instance.ca, "instance_ca")
    for module in _HEAVY:
        await runtime.in_thread(partial(import_module, module))
    from kmsbridge_alibaba_kms._driver import open_driver

    return await open_driver(settings, runtime)
