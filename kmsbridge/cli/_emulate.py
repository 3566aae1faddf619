"""``kmsbridge emulate``: backends on this machine, for tests and for trying things out."""

from __future__ import annotations

import os
import sys

import click

from kmsbridge import UnsupportedError
from kmsbridge._errors import invalid
from kmsbridge._registry import schemes
from kmsbridge.cli._help import Command
from kmsbridge.cli._options import Chosen, json_option
from kmsbridge.cli._output import say


@click.command(
    cls=Command,
    epilog="kmsbridge emulate azure-keyvault\nkmsbridge emulate azure-keyvault --port 8443 --ca-file ca.pem\n"
    "kmsbridge emulate --all",
)
@click.argument("backends", nargs=-1, metavar="[BACKEND]...")
@click.option("--all", "everything", is_flag=True, help="Every backend that has an emulator.")
@click.option("--host", default="localhost", show_default=True, help="Where to listen.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Of the first; 0 takes a free one.")
@click.option("--ca-file", type=click.Path(dir_okay=False), help="Where to write the certificate clients must trust.")
@click.option("--expose", is_flag=True, help="Allow a host that other machines can reach.")
@json_option
@click.pass_context
def emulate(
    context: click.Context, *, backends: tuple[str, ...], everything: bool, host: str, port: int,
    ca_file: str | None, expose: bool,
) -> None:
    """Serve BACKEND on this machine until Ctrl-C, with the wire of the real one.

    What is stored is lost at the end. Prints how to point the vendor's own clients at it, and
    the token with which failures, the clock and settings are controlled; with --json, one line
    for each BACKEND, for programs.
    """
    if everything == bool(backends):
        raise click.UsageError("Name one BACKEND or more, or give --all.")
    try:
        from kmsbridge.emulation import has_emulator, serve
    except ModuleNotFoundError as error:
        missing = error.name
    else:
        if everything:
            backends = tuple(filter(has_emulator, schemes()))
        try:
            serve(
                backends, host=host, port=port, expose=expose, ca_file=ca_file,
                as_json=context.ensure_object(Chosen).json, say=_say_now,
            )
        except ValueError as error:
            reason, advice = str(error), "See: kmsbridge emulate --help"
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else "the system refused"
            if error.filename is not None:
                reason, advice = f"{error.filename} cannot be written: {why}", "Give another --ca-file."
            else:
                reason, advice = f"cannot listen on {host}:{port}: {why}", "Give another --port; 0 takes a free one."
        else:
            return
        raise invalid(reason, remediation=advice)
    raise UnsupportedError(
        f"emulators need {missing}, which is not installed", remediation="pip install 'kmsbridge[emulators]'"
    )


def _say_now(text: str) -> None:
    say(text)
    sys.stdout.flush()  # whoever started it in a pipe waits for these lines
