"""An emulator as the tests of a driver use it: one for the whole process, emptied for each test."""

from __future__ import annotations

import atexit
import os
import socket
import tempfile
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from kmsbridge.emulation import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from kmsbridge.emulation import Backend


class SharedEmulator:
    """An emulator that the first who asks starts; it ends with the process.

    Args:
        make: Makes its backend.
        settings: Those of each test that does not say otherwise.
    """

    def __init__(self, make: Callable[[], Backend[Any]], **settings: Any) -> None:
        self._make = make
        self._settings = settings

    @cached_property
    def _emulator(self) -> Emulator:
        emulator = Emulator(self._make()).start()
        atexit.register(emulator.stop)
        return emulator

    @cached_property
    def _authority(self) -> str:
        handle, path = tempfile.mkstemp(suffix=".pem")
        os.close(handle)
        atexit.register(os.unlink, path)
        return self._emulator.write_ca(path)

    def running(self) -> Emulator:
        """The emulator itself."""
        return self._emulator

    def authority(self) -> str:
        """The file with the certificate that its clients trust."""
        return self._authority

    @contextmanager
    def emptied(self, **settings: Any) -> Iterator[Emulator]:
        """The emulator without state, set up as said."""
        emulator = self._emulator
        emulator.reset()
        emulator.configure(**{**self._settings, **settings})
        yield emulator
        emulator.clear_failures()


@contextmanager
def surrounded(environment: Mapping[str, str]) -> Iterator[None]:
    """What clients find around them: these variables, and names under ``localhost``, which not every system knows."""
    resolve = socket.getaddrinfo

    def resolved(host: Any, *arguments: Any, **options: Any) -> Any:
        return resolve("localhost" if str(host).endswith(".localhost") else host, *arguments, **options)

    with patch.dict(os.environ, environment), patch.object(socket, "getaddrinfo", resolved):
        yield
