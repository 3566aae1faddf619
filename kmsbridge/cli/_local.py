"""``kmsbridge local``: what only the embedded store needs."""

from __future__ import annotations

import click

from kmsbridge.cli._help import Group, help_if_alone


@click.group(cls=Group, invoke_without_command=True)
@click.pass_context
def local(context: click.Context) -> None:
    """Look after an embedded local store."""
    help_if_alone(context)
