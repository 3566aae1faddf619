"""The options that many commands share: which backend, how long, in which form."""

from __future__ import annotations

import sys
from typing import TypeVar

import click

import kmsbridge
from kmsbridge._config import parse_url
from kmsbridge._errors import invalid
from kmsbridge.cli._output import is_terminal, note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

F = TypeVar("F", bound="Callable[..., object]")


class Chosen:
    """What the options say, before the command's name or after it; the later word counts."""

    profile: str | None = None
    url: str | None = None
    timeout: float | None = None
    json: bool = False

    def target(self) -> str | None:
        """What to give to `kmsbridge.connect`; None leaves it to environment and file.

        Raises:
            UsageError: Both a profile and a URL are named.
            InvalidRequestError: The URL is malformed.
        """
        if self.profile is not None and self.url is not None:
            raise click.UsageError("--profile and --url exclude each other")
        if self.profile is not None and ":" in self.profile:
            raise click.UsageError("--profile takes a name; a URL belongs to --url")
        if self.url is not None:
            parse_url(self.url)
        return self.profile if self.url is None else self.url

    def bridge(self) -> kmsbridge.Bridge:
        """A bridge to what is chosen."""
        return connect(self.target(), 30.0 if self.timeout is None else self.timeout)


def connect(target: str | None, timeout: float) -> kmsbridge.Bridge:
    """As `kmsbridge.connect`; what the library logs of its own accord stays out of the terminal."""
    import logging

    logging.getLogger("kmsbridge").addHandler(logging.NullHandler())
    return kmsbridge.connect(target, timeout=timeout)


def _remember(context: click.Context, parameter: click.Parameter, value: object) -> None:
    if value is not None and value is not False:
        setattr(context.ensure_object(Chosen), parameter.name or "", value)


def json_option(command: F) -> F:
    """Add ``--json``."""
    return click.option("--json", is_flag=True, expose_value=False, callback=_remember, help="Print JSON.")(command)


def target_options(command: F) -> F:
    """Add ``--profile``, ``--url``, ``--timeout`` and ``--json``."""
    command = json_option(command)
    for name, kind, text in (
        ("--timeout", float, "Seconds that a call may take; 30 if not given."),
        ("--url", str, "A backend, such as local: or azure-keyvault://my-vault."),
        ("--profile", str, "A profile of the configuration file."),
    ):
        command = click.option(name, type=kind, expose_value=False, callback=_remember, help=text)(command)
    return command


def pairs(given: Iterable[str], option: str) -> dict[str, str] | None:
    """What an option of the form NAME=VALUE was given; None if nothing.

    Raises:
        UsageError: One has no equals sign, or two have one name.
    """
    found: dict[str, str] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals:
            raise click.UsageError(f"{option} takes NAME=VALUE")
        if name in found:
            raise click.UsageError(f"{option} names {name!r} twice")
        found[name] = value
    return found or None


yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


def confirm(what: str, *, yes: bool) -> None:
    """Ask before something is destroyed.

    Raises:
        InvalidRequestError: Nobody is there to be asked.
        Exit: The answer is no.
    """
    if yes:
        return
    if not is_terminal(sys.stdin):
        raise invalid(f"{what}, and nobody is there to be asked", "yes", remediation="Add --yes if that is meant.")
    if not click.confirm(f"{what}. Go on?", err=True):
        note("nothing was done")
        raise click.exceptions.Exit(1)
