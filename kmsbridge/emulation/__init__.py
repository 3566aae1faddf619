"""What every emulator of a backend shares: a server, and the ways it can fail.

An emulator speaks its backend's real wire, so that the vendor's own clients work
against it, and fails on demand, below HTTP as well::

    from kmsbridge.emulation import Cut, Emulator
    from kmsbridge_azure_keyvault.emulator import KeyVault

    with Emulator(KeyVault()) as emulator:
        emulator.fail("GetSecret", with_="Throttled", times=2)
        emulator.fail("SetSecret", with_=Cut(at=10), probability=0.1)
        ...
        assert emulator.requests.count(operation="GetSecret") == 3

It serves loopback alone, in a thread of this process; `serve` does the same for a
program that stands alone. This package knows no backend. It needs the extra
``emulators``.
"""

from __future__ import annotations

from kmsbridge.emulation._backend import Backend, Documented
from kmsbridge.emulation._clock import Clock
from kmsbridge.emulation._emulator import Emulator
from kmsbridge.emulation._failures import Answer, Close, Cut, Delay, Drip, Failure, Garbage, Hang, Reset
from kmsbridge.emulation._message import Request, Response
from kmsbridge.emulation._recorder import Recorder, Seen
from kmsbridge.emulation._routing import Operation, Router
from kmsbridge.emulation._serve import backend_named, has_emulator, serve

__all__ = [
    "Answer",
    "Backend",
    "Clock",
    "Close",
    "Cut",
    "Delay",
    "Documented",
    "Drip",
    "Emulator",
    "Failure",
    "Garbage",
    "Hang",
    "Operation",
    "Recorder",
    "Request",
    "Reset",
    "Response",
    "Router",
    "Seen",
    "backend_named",
    "has_emulator",
    "serve",
]
