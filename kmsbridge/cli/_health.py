"""``kmsbridge health``: whether the backends can be used."""

from __future__ import annotations

import sys

import click

from kmsbridge import TAXONOMY, Health, KMSError
from kmsbridge.cli._help import Command
from kmsbridge.cli._options import Chosen, connect, target_options
from kmsbridge.cli._output import STATUS, note, say_json, shown, table

HEALTH_SECONDS = 2.0
"""What one look may take, where --timeout does not say."""


@click.command(cls=Command, epilog="kmsbridge health eu cn")
@click.argument("profiles", nargs=-1, metavar="[PROFILE]...")
@target_options
@click.pass_context
def health(context: click.Context, profiles: tuple[str, ...]) -> None:
    """Ask each backend one harmless thing.

    Without PROFILE it is the one that --profile, --url or the configuration chooses. The exit
    status is 0 if all can be used, else that of the first that cannot.
    """
    chosen = context.ensure_object(Chosen)
    timeout = HEALTH_SECONDS if chosen.timeout is None else chosen.timeout
    found = [(name or "", _look(name, timeout)) for name in profiles or [chosen.target()]]
    if chosen.json:
        say_json([{"profile": name or None, **each.to_dict()} for name, each in found])
    else:
        rows = [
            (
                name or "(default)", each.provider, "yes" if each else str(each.code),
                _known(each.reachable), _known(each.authenticated), _known(each.key_usable), f"{each.elapsed:.3f} s",
            )
            for name, each in found
        ]
        table(("profile", "provider", "healthy", "reachable", "authenticated", "key usable", "took"), rows)
        sys.stdout.flush()
        for name, each in found:
            if not each:
                what = f"{name or each.provider or 'default'}: {each.message}"
                note(f"{shown(what)}\n-> {shown(each.remediation)}")
    for _, each in found:
        if each.code is not None:
            raise click.exceptions.Exit(STATUS[TAXONOMY[each.code].category])


def _look(target: str | None, timeout: float) -> Health:
    """The health of one backend; a configuration that is wrong is a reason like any other."""
    try:
        with connect(target, timeout) as bridge:
            return bridge.health(timeout=timeout)
    except KMSError as error:
        return Health(
            error.provider or "", None, None, None, error.code, error.fault, error.message, error.remediation,
            elapsed=error.elapsed,
        )


def _known(fact: bool | None) -> str:
    return "?" if fact is None else "yes" if fact else "no"
