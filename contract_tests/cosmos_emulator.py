"""The emulator of Azure Cosmos DB as the tests of the driver use it: one for all, emptied for each."""

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
from kmsbridge_azure_cosmos.emulator import Cosmos, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTAINER = "/dbs/db/colls/secrets"


@cache
def running() -> Emulator:
    """The emulator, started by the first who asks; it ends with the process."""
    emulator = Emulator(Cosmos(Settings(containers=("db/secrets/name",)))).start()
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
    """The emulator with an empty container, set up as said; key and application are in the environment."""
    emulator = running()
    emulator.reset()
    emulator.configure(**settings)
    resolve = socket.getaddrinfo

    def resolved(host: Any, *arguments: Any, **options: Any) -> Any:
        """Not every system knows the names under localhost."""
        return resolve("localhost" if str(host).endswith(".localhost") else host, *arguments, **options)

    with patch.dict(os.environ, emulator.backend.environment), patch.object(socket, "getaddrinfo", resolved):
        yield emulator
    emulator.clear_failures()


def url(container: str = "secrets", **options: str) -> str:
    """Where to connect to: by the account's key, or as the options say."""
    told = {"ca": authority(), **options}
    query = "&".join(f"{name}={value}" for name, value in told.items())
    return f"azure-cosmos://localhost:{running().port}/db/{container}?{query}"


def by_token() -> str:
    """The same with tokens of the emulator's own Microsoft Entra."""
    return url(credential="environment", authority=running().url)
