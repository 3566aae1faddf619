"""The command ``kmsbridge``: loaded by the console script, never by the library."""

from __future__ import annotations

import signal
import sys

TERMINATED = 143
"""The exit status after SIGTERM, as a shell has it."""


def main() -> int:
    """Run the command line; the console script exits with what it returns."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        from kmsbridge.cli._app import run
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    else:
        return run(sys.argv[1:])
    sys.stderr.write("the command line needs the package 'click', which is not installed\n")
    sys.stderr.write("-> pip install 'kmsbridge[cli]'\n")
    return 1


def _terminated(*_: object) -> None:
    """End as after an interrupt, not at once: a half-written file may hold a plaintext, and is removed on the way."""
    raise SystemExit(TERMINATED)
