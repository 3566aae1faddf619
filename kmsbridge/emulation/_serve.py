"""Emulators that stand alone, in a process of their own."""

from __future__ import annotations

import json
import re
import signal
import tempfile
import threading
from contextlib import ExitStack
from importlib import import_module
from importlib.util import find_spec
from shlex import quote
from typing import Any, cast

from kmsbridge.emulation._emulator import Emulator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kmsbridge.emulation._backend import Backend


def has_emulator(name: str) -> bool:
    """Whether the provider of that scheme is installed, and has an emulator. What it needs is not looked at."""
    try:
        return find_spec(_module(name)) is not None
    except (ModuleNotFoundError, ValueError):
        return False


def backend_named(name: str) -> Backend[Any]:
    """A new backend by its provider's scheme, from ``kmsbridge_<scheme>.emulator``.

    Raises:
        ValueError: That provider is not installed, or has no emulator.
    """
    module = _module(name)
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        if error.name not in (module, module.partition(".")[0]):
            raise
        raise ValueError(f"there is no emulator {name!r}") from None
    return cast("Backend[Any]", found.backend())


def _module(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise ValueError(f"{name!r} is no name of an emulator")
    return f"kmsbridge_{name.replace('-', '_')}.emulator"


def serve(
    names: Sequence[str], *, host: str = "localhost", port: int = 0, expose: bool = False,
    ca_file: str | None = None, as_json: bool = False, say: Callable[[str], None] = print,
    until: threading.Event | None = None,
) -> None:
    """Run emulators until SIGINT or SIGTERM comes, or `until` is set.

    Args:
        names: Schemes of providers, each once.
        host: Where to listen.
        port: Of the first; the others follow. 0 stands for free ones.
        expose: Whether `host` may be other than loopback.
        ca_file: Where to write the certificate that clients have to trust; for several
            emulators, one file holds all. Without it, a temporary file that is gone at the end.
        as_json: Whether `say` is given one line of JSON for each emulator, for programs: its
            name, address, token, certificate file, and what clients look for in the environment.
        say: Takes each piece of what a person has to know.
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
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                previous = signal.signal(number, lambda *_: over.set())
                stack.callback(signal.signal, number, previous)
        for emulator in emulators:
            say(_for_programs(emulator, ca_file) if as_json else _for_people(emulator, ca_file))
        over.wait()


def _environment(emulator: Emulator, ca_file: str) -> dict[str, str]:
    trust = dict.fromkeys(("NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"), ca_file)
    return {**emulator.backend.environment, **trust}


def _for_programs(emulator: Emulator, ca_file: str) -> str:
    return json.dumps({
        "name": emulator.backend.name, "url": emulator.url, "token": emulator.token, "ca_file": ca_file,
        "environment": _environment(emulator, ca_file),
    })


def _for_people(emulator: Emulator, ca_file: str) -> str:
    exports = "\n".join(f"    export {name}={quote(value)}" for name, value in _environment(emulator, ca_file).items())
    return (
        f"{emulator.backend.name} listens on {emulator.url}\n"
        f"failures, clock and settings: {emulator.url}/_emulator/ with X-Emulator-Token: {emulator.token}\n\n"
        f"{exports}\n\n{emulator.backend.usage}\n"
    )
