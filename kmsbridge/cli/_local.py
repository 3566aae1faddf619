"""``kmsbridge local``: what only the embedded store needs."""

from __future__ import annotations

from typing import Protocol, cast

import click

from kmsbridge._config import resolve
from kmsbridge._errors import invalid
from kmsbridge._registry import provider_for
from kmsbridge.cli._help import Group, help_if_alone
from kmsbridge.cli._options import Chosen, confirm, target_options, yes_option
from kmsbridge.cli._output import say, say_json, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kmsbridge._driver import Settings

REKEY_SECONDS = 300.0
"""What sealing a whole store anew may take, where --timeout does not say."""


class RekeyReport(Protocol):
    """What the local provider tells of a rekey."""

    @property
    def source(self) -> str:
        """What held the old key: ``environment``, ``keyring`` or ``file``."""
        ...

    @property
    def rows(self) -> int:
        """How many rows were sealed anew."""
        ...

    @property
    def key_file(self) -> str | None:
        """The file that holds the new key."""
        ...

    @property
    def root_key(self) -> str | None:
        """The new key, where a person has to install it. Never printed."""
        ...


class Rekey(Protocol):
    """``rekey`` of a provider whose stores have a root key."""

    def __call__(self, settings: Settings, *, timeout: float) -> RekeyReport: ...


@click.group(
    cls=Group,
    invoke_without_command=True,
    epilog="kmsbridge local rekey --profile local",
)
@click.pass_context
def local(context: click.Context) -> None:
    """Look after an embedded local store."""
    help_if_alone(context)


@local.command(epilog="kmsbridge local rekey --profile local --yes")
@yes_option
@target_options
@click.pass_context
def rekey(context: click.Context, *, yes: bool) -> None:
    """Replace the root key of a local store.

    Every row is sealed anew in one transaction; programs that have the store open go on. A key
    from the environment is yours to replace: the command says which file holds the new one. Asks
    first, because a copy of the old key opens no later state of the store.
    """
    chosen = context.ensure_object(Chosen)
    location = resolve(chosen.target()).location()
    provider = provider_for(location.scheme)
    replace = cast("Rekey | None", getattr(provider, "rekey", None))
    if replace is None:
        raise invalid(f"this is a {provider.name} backend, and only a local store has a root key", "target",
                      remediation="Name a local store by --profile or --url.")
    settings = provider.configure(location)
    confirm("The root key of the store will be replaced", yes=yes)
    report = replace(settings, timeout=REKEY_SECONDS if chosen.timeout is None else chosen.timeout)
    if chosen.json:
        say_json({
            "source": report.source, "rows": report.rows, "key_file": report.key_file,
            "installed": report.root_key is None,
        })
        return
    say(f"{report.rows} rows are sealed under a new root key")
    file = shown(report.key_file or "")
    if report.root_key is not None:
        say(f"The old key came from the {report.source}: put the new one there, then delete {file}, which holds it")
    elif file:
        say(f"It is in {file}")
