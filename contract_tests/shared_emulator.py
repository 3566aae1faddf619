"""An emulator as the tests of a driver use it: one for the whole process, emptied for each test."""

from __future__ import annotations

import atexit
import os
import socket
import tempfile
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar
from unittest.mock import patch

from kmsbridge.contract import Failing, FailingHarness
from kmsbridge.emulation import Emulator, Reset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from kmsbridge.emulation import Backend
    from kmsbridge.emulation._recorder import Seen


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


class FailingEmulator(FailingHarness):
    """A harness whose backend is an emulator: it fails by documented errors, or below HTTP."""

    shared: ClassVar[SharedEmulator]
    errors: ClassVar[Mapping[Failing, str]]
    """The emulator's names of what it answers."""
    lost: ClassVar[tuple[str, ...]] = ("*",)
    """The operations whose answers are lost."""

    def fail(self, how: Failing, times: int | None = None) -> None:
        """Before what is asked is done; after it, where the answer is lost."""
        after = how is Failing.LOST
        for operation in self.lost if after else ("*",):
            self.shared.running().fail(operation, self.errors.get(how, Reset()), times=times, before_applying=not after)

    def recover(self) -> None:
        """Back to normal."""
        self.shared.running().clear_failures()

    def requests(self) -> int:
        """Those that are about items."""
        return sum(map(self.counts, self.shared.running().requests))

    def counts(self, seen: Seen) -> bool:
        """Whether a request is about an item."""
        del seen
        return True


@contextmanager
def surrounded(environment: Mapping[str, str]) -> Iterator[None]:
    """What clients find around them: these variables, and names under ``localhost``, which not every system knows."""
    resolve = socket.getaddrinfo

    def resolved(host: Any, *arguments: Any, **options: Any) -> Any:
        return resolve("localhost" if str(host).endswith(".localhost") else host, *arguments, **options)

    with patch.dict(os.environ, environment), patch.object(socket, "getaddrinfo", resolved):
        yield
