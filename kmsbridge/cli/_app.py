"""The command itself: its groups, and the one way it ends, whatever happens."""

from __future__ import annotations

import os
import sys
import traceback

import click

import kmsbridge
from kmsbridge._decode import causes_of
from kmsbridge._errors import Code, Outcome, UnknownError, error_for, invalid
from kmsbridge.cli._codes import codes
from kmsbridge.cli._demo import demo
from kmsbridge.cli._emulate import emulate
from kmsbridge.cli._explain import explain
from kmsbridge.cli._health import health
from kmsbridge.cli._help import Group, help_if_alone
from kmsbridge.cli._keys import keys
from kmsbridge.cli._local import local
from kmsbridge.cli._options import target_options
from kmsbridge.cli._output import BROKEN_PIPE, INTERRUPTED, abandon_output, note, prepare, report, say
from kmsbridge.cli._profiles import init, profiles
from kmsbridge.cli._secrets import secrets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kmsbridge import KMSError

NAME = "kmsbridge"
_COMPLETE = "_KMSBRIDGE_COMPLETE"


@click.group(
    NAME,
    context_settings={"help_option_names": ["-h", "--help"]},
    cls=Group,
    invoke_without_command=True,
    epilog="printf %s s3cret | kmsbridge secrets set billing/db-password\n"
           "kmsbridge secrets get billing/db-password",
)
@click.option("--version", is_flag=True, help="Print the version.")
@target_options
@click.pass_context
def app(context: click.Context, *, version: bool) -> None:
    """Secrets and keys over several clouds' key services, with one error vocabulary.

    Which backend is meant is said by --profile or --url, else by KMSBRIDGE_PROFILE, else by the
    file kmsbridge.toml. To start: `kmsbridge init`.
    """
    if version:
        say(f"{NAME} {kmsbridge.__version__}")
    else:
        help_if_alone(context)


@app.command(epilog="kmsbridge completion bash >> ~/.bashrc")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes a shell complete kmsbridge's commands."""
    from click.shell_completion import get_completion_class

    if (kind := get_completion_class(shell)) is not None:
        say(kind(app, {}, NAME, _COMPLETE).source())


for _command in (init, secrets, keys, profiles, health, codes, explain, local, demo, emulate):
    app.add_command(_command)


def run(arguments: Sequence[str]) -> int:
    """Run one command to its end.

    Returns:
        The exit status. Never raises, and never shows a traceback.
    """
    prepare()
    as_json = "--json" in arguments
    try:
        status = _ended(arguments, as_json=as_json)
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        return _interrupted()
    except BrokenPipeError:
        abandon_output()
        return BROKEN_PIPE
    except OSError as caught:
        failure = caught
    else:
        return status
    abandon_output()
    return report(_refused(failure), as_json=as_json)


def _ended(arguments: Sequence[str], *, as_json: bool) -> int:
    """Run one command, and report what it raises."""
    error: KMSError
    try:
        return _invoke(arguments)
    except (KeyboardInterrupt, click.Abort):
        return _interrupted()
    except BrokenPipeError:
        raise
    except kmsbridge.KMSError as caught:
        error = caught
    except click.ClickException as caught:
        error = _usage(caught)
    except OSError as caught:
        error = _refused(caught)
    except MemoryError:
        error = error_for(
            Code.PAYLOAD_TOO_LARGE, "there is not enough memory for it", outcome=Outcome.NOT_APPLIED,
            remediation="Split it, or use a machine with three times its size.",
        )
    except Exception as caught:  # the law of the command line: two lines, never a traceback
        error = _unexpected(caught)
    return report(error, as_json=as_json)


def _invoke(arguments: Sequence[str]) -> int:
    if instruction := os.environ.get(_COMPLETE):
        from click.shell_completion import shell_complete

        return shell_complete(app, {}, NAME, _COMPLETE, instruction)
    try:
        with app.make_context(NAME, list(arguments)) as context:
            app.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    return 0


def _interrupted() -> int:
    note("interrupted")
    return INTERRUPTED


def _refused(caught: OSError) -> KMSError:
    return UnknownError(
        f"the system refused: {caught.strerror or caught}", causes=causes_of(caught),
        remediation="Check the disk, the files named, and where the output goes.",
    )


def _usage(caught: click.ClickException) -> KMSError:
    context = caught.ctx if isinstance(caught, click.UsageError) else None
    path = NAME if context is None else context.command_path
    return invalid(" ".join(caught.format_message().split()), remediation=f"See: {path} --help")


def _unexpected(caught: Exception) -> KMSError:
    """A mistake of ours: where it is, and not its text, which may hold anything."""
    frames = [frame for frame in traceback.extract_tb(caught.__traceback__) if NAME in frame.filename]
    where = f" at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""
    return UnknownError(
        f"the command failed{where}", causes=causes_of(caught),
        remediation="This is a mistake in kmsbridge: please report it with the command and this line.",
    )
