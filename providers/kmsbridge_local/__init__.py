"""The embedded provider: secrets and keys in one SQLite file, or in memory, with no service to run.

``local:`` and ``memory:`` are the same code. Importing this package loads neither
`sqlite3` nor `cryptography`: they come with the first call, and not in the thread of an
event loop.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module

from kmsbridge_local._config import configure
from kmsbridge_local._errors import decoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kmsbridge._runtime import Runtime
    from kmsbridge_local._config import LocalSettings
    from kmsbridge_local._driver import LocalDriver
    from kmsbridge_local._rekey import RekeyReport

__all__ = ["configure", "decoder", "name", "open", "rekey"]

name = "local"
_HEAVY = (
    "sqlite3",
    "cryptography.hazmat.bindings._rust",
    "cryptography.hazmat.primitives.ciphers.aead",
    "cryptography.hazmat.primitives.kdf.hkdf",
    "kmsbridge_local._database",
    "kmsbridge_local._driver",
)
"""Loaded one by one: an import holds the interpreter, and an event loop gets its turn in between."""


async def open(settings: LocalSettings, runtime: Runtime) -> LocalDriver:
    """A driver for these settings. Touches no file: the first call does, within its own deadline."""
    for module in _HEAVY:
        await runtime.in_thread(partial(import_module, module))
    from kmsbridge_local._driver import LocalDriver

    return LocalDriver(settings, runtime)


def rekey(settings: LocalSettings, new_key: str | None = None, *, timeout: float = 300.0) -> RekeyReport:
    """Seal a whole store anew under another root key; blocking. See `kmsbridge_local._rekey.rekey`.

    Raises:
        KMSError: What any call to the store would have raised.
    """
    from kmsbridge._errors import KMSError
    from kmsbridge_local._rekey import rekey as replace

    try:
        return replace(settings, new_key, timeout=timeout)
    except KMSError as caught:
        error = caught
    except Exception as caught:  # the decoder knows every failure of a store
        error = decoder.decode(decoder.answer(caught), operation="local.rekey")
    error.operation = "local.rekey"
    try:
        raise error
    finally:
        del error, new_key  # its traceback holds this frame
