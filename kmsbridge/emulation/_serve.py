"""Emulators that stand alone, in a process of their own."""

from __future__ import annotations

import re
import signal
import tempfile
import threading
from contextlib import ExitStack
from importlib import import_module
from typing import Any, cast

from kmsbridge.emulation._emulator import Emulator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kmsbridge.emulation._backend import Backend


def backend_named(name: str) -> Backend[Any]:
    """A new backend by its provider's scheme, from ``kmsbridge_<scheme>.emulator``.

    Raises:
        ValueError: That provider is not installed, or has no emulator.
    """
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise ValueError(f"{name!r} is no name of an emulator")
    package = f"kmsbridge_{name.replace('-', '_')}"
    module = f"{package}.emulator"
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        if error.name not in (package, module):
            raise
        raise ValueError(f"there is no emulator {name!r}") from None
    return cast("Backend[Any]", found.backend())


def serve(
    names: Sequence[str], *, host: str = "localhost", port: int = 0, expose: bool = False,
    ca_file: str | None = None, say: Callable[[str], None] = print, until: threading.Event | None = None,
) -> None:
    """Run emulators until SIGINT or SIGTERM comes, or `until` is set.

    Args:
        names: Schemes of providers, each once.
        host: Where to listen.
        port: Of the first; the others follow. 0 stands for free ones.
        expose: Whether `host` may be other than loopback.
        ca_file: Where to write the certificate that clients have to trust; for several
            emulators, one file holds all. Without it, a temporary file that is gone at the end.
        say: Takes each line of what a person has to know.
        until: Ends it from another thread. Signals are only listened to in the main thread.

    Raises:
        ValueError: There is no such emulator, or `host` is not loopback.
        OSError: The port is taken, or the file cannot be written.
    """
    over = until or threading.Event()
    with ExitStack() as stack:
        emulators = [
            stack.enter_context(
                Emulator(backend_named(name), host=host, port=port + at if port else 0, expose=expose)
            )
            for at, name in enumerate(dict.fromkeys(names))
        ]
        if ca_file is None:
            file = stack.enter_context(tempfile.NamedTemporaryFile(prefix="kmsbridge-ca-", suffix=".pem"))
            ca_file = file.name
        with open(ca_file, "wb") as certificates:
            certificates.writelines(emulator.ca_pem for emulator in emulators)
        for emulator in emulators:
            say(f"{emulator.backend.name} listens on {emulator.url}")
            say(f"control: {emulator.url}/_emulator/ with X-Emulator-Token: {emulator.token}")
            say(emulator.backend.usage(ca_file))
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                previous = signal.signal(number, lambda *_: over.set())
                stack.callback(signal.signal, number, previous)
        over.wait()
