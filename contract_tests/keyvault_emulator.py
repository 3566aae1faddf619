"""The emulator of Azure Key Vault as the tests of the driver use it: one for all, emptied for each."""

from __future__ import annotations

import atexit
import os
import socket
import tempfile
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from kmsbridge.emulation import Emulator
from kmsbridge_azure_keyvault.emulator import KeyVault

if TYPE_CHECKING:
    from collections.abc import Iterator


@cache
def running() -> Emulator:
    """The emulator, started by the first who asks; it ends with the process."""
    emulator = Emulator(KeyVault()).start()
    atexit.register(emulator.stop)
    return emulator


@cache
def authority() -> str:
    """The file with the certificate that its clients trust."""
    handle, path = tempfile.mkstemp(suffix=".pem")
    os.close(handle)
    atexit.register(os.unlink, path)
    return running().write_ca(path)


@contextmanager
def emptied(**settings: Any) -> Iterator[Emulator]:
    """The emulator without state, set up as said, its application in the environment, and its names resolved."""
    emulator = running()
    emulator.reset()
    emulator.configure(**settings)
    backend, resolve = emulator.backend, socket.getaddrinfo
    assert isinstance(backend, KeyVault)

    def resolved(host: Any, *arguments: Any, **options: Any) -> Any:
        """Not every system knows the names under localhost."""
        return resolve("localhost" if str(host).endswith(".localhost") else host, *arguments, **options)

    with patch.dict(os.environ, backend.environment), patch.object(socket, "getaddrinfo", resolved):
        yield emulator
    emulator.clear_failures()


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
