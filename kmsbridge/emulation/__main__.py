"""``python -m kmsbridge.emulation azure-keyvault``: emulators that stand alone."""

from __future__ import annotations

import argparse
import functools
import sys

from kmsbridge.emulation._serve import serve


def main() -> int:
    """Read the arguments, and serve until a signal comes. The exit status."""
    parser = argparse.ArgumentParser(prog="kmsbridge.emulation", description="Emulate backends on this machine.")
    parser.add_argument("names", nargs="+", metavar="BACKEND", help="azure-keyvault, ...")
    parser.add_argument("--host", default="localhost", help="where to listen; loopback only without --expose")
    parser.add_argument("--port", type=int, default=0, help="of the first; 0 for free ones")
    parser.add_argument("--expose", action="store_true", help="let other machines reach it")
    parser.add_argument("--ca-file", help="where to write the certificate that clients have to trust")
    given = parser.parse_args()
    try:
        serve(
            given.names, host=given.host, port=given.port, expose=given.expose, ca_file=given.ca_file,
            say=functools.partial(print, flush=True),
        )
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
