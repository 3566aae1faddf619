"""The emulator of Alibaba Cloud KMS as the tests of the driver use it: one for all, emptied for each."""

from __future__ import annotations

import atexit
import os
import socket
import tempfile
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from kmsbridge.emulation import Emulator
from kmsbridge_alibaba_kms.emulator import AlibabaKms

if TYPE_CHECKING:
    from collections.abc import Iterator


@cache
def running() -> Emulator:
    """The emulator, started by the first who asks; it ends with the process."""
    emulator = Emulator(AlibabaKms()).start()
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
    """The emulator without state, set up as said."""
    emulator = running()
    emulator.reset()
    emulator.configure(**settings)
    yield emulator
    emulator.clear_failures()


def url(port: int | None = None, ca: str | None = None) -> str:
    """The door of the region; of this emulator, if no other is said."""
    port = running().port if port is None else port
    return f"alibaba-kms://cn-hangzhou?endpoint=localhost:{port}&ca={ca or authority()}"


INSTANCE = "kst-emulator"


def instance_url(port: int | None = None, ca: str | None = None) -> str:
    """The door of an instance alone: without an AccessKey."""
    host = f"{INSTANCE}.cryptoservice.localhost:{running().port if port is None else port}"
    return f"alibaba-kms://cn-hangzhou?instance={INSTANCE}&instance_endpoint={host}&instance_ca={ca or authority()}"


def both_url(port: int | None = None, ca: str | None = None) -> str:
    """The door of an instance beside the region's: there its keys are made, and used at its own."""
    return f"{url(port, ca)}&{instance_url(port, ca).partition('?')[2]}"


@contextmanager
def admitted(emulator: Emulator | None = None) -> Iterator[None]:
    """The client key of the instance in the environment, and its name resolved."""
    backend, resolve = (emulator or running()).backend, socket.getaddrinfo
    assert isinstance(backend, AlibabaKms)

    def resolved(host: Any, *arguments: Any, **options: Any) -> Any:
        """Not every system knows the names under localhost."""
        return resolve("localhost" if str(host).endswith(".localhost") else host, *arguments, **options)

    client_key = {"KMSBRIDGE_CLIENT_KEY": backend.access_point.client_key}
    with patch.dict(os.environ, client_key), patch.object(socket, "getaddrinfo", resolved):
        yield


@cache
def credential() -> object:
    """The AccessKey of its account; what comes from the environment is kept for the whole process."""
    provider: Any = import_module("alibabacloud_credentials.provider")
    key = AlibabaKms.access_key
    return provider.StaticAKCredentialsProvider(access_key_id=key.id, access_key_secret=key.secret)
