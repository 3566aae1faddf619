"""How help is laid out: a command's examples stand under its options, word for word."""

from __future__ import annotations

import click

from kmsbridge.cli._output import say


class Command(click.Command):
    """A command whose ``epilog`` is its examples, one a line."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the examples as they stand; click would wrap them."""
        if self.epilog:
            with formatter.section("Examples" if "\n" in self.epilog else "Example"):
                for line in self.epilog.split("\n"):
                    formatter.write(f"  {line}\n")


class Group(Command, click.Group):
    """A group whose commands are of the class `Command`."""

    command_class = Command


def help_if_alone(context: click.Context) -> None:
    """Print the help of a group that is given no command."""
    if context.invoked_subcommand is None:
        say(context.get_help())
