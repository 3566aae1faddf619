"""The emulator of ScaiVault as the tests of the driver use it: one for all, emptied for each."""

from __future__ import annotations

import atexit
import os
import tempfile
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from kmsbridge.emulation import Emulator
from kmsbridge_scaivault.emulator import ScaiVault

if TYPE_CHECKING:
    from collections.abc import Iterator

UNLIMITED = {
    f"{kind}_per_minute": 10**9
    for kind in ("reads", "writes", "deletes", "lists", "batch_reads", "batch_metadata", "whoami")
}


@cache
def running() -> Emulator:
    """The emulator, started by the first who asks; it ends with the process."""
    emulator = Emulator(ScaiVault()).start()
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
    """The emulator without state, set up as said; without its limits, unless they are."""
    emulator = running()
    emulator.reset()
    emulator.configure(**{**UNLIMITED, **settings})
    yield emulator
    emulator.clear_failures()


def url(tenant: str = "", **options: str) -> str:
    """Where to connect to with a token."""
    said = "".join(f"&{name}={value}" for name, value in options.items())
    return f"scaivault://localhost:{running().port}/{tenant}?ca={authority()}{said}"


TOKEN_PATHS = {"post": "/oauth/token", "basic": "/api/v1/platform/oauth/token"}
"""Of the token service, by how it is told who asks: as ScaiVault's documents have it, and as ScaiKey's."""


def client_url(auth: str = "post", **options: str) -> str:
    """Where to connect to with the credentials of a client."""
    client = {"client_id": ScaiVault.client_id, "client_secret": ScaiVault.client_secret, "client_auth": auth}
    return url(**{**client, "token_url": running().url + TOKEN_PATHS[auth], **options})
