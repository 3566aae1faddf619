"""``kmsbridge explain``: what an answer from a log means."""

from __future__ import annotations

import sys

import click

from kmsbridge._errors import invalid
from kmsbridge.cli._help import Command
from kmsbridge.cli._options import Chosen, json_option
from kmsbridge.cli._output import say, say_json, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

MAX_BODY = 32 * 1024 * 1024
"""Bytes of a body that are read."""


@click.command(
    cls=Command,
    epilog="kmsbridge explain --provider azure-keyvault --status 429 --header 'Retry-After: 5'\n"
           "kmsbridge explain --jsonl < answers.jsonl",
)
@click.option("--jsonl", is_flag=True, help="Read one JSON object a line, print one a line.")
@click.option("--provider", help="Whose answer it is: azure-keyvault, azure-cosmos, alibaba-kms, scaivault, local.")
@click.option("--status", type=click.IntRange(0, 999), help="The HTTP status.")
@click.option("--sub-status", type=click.IntRange(0, 999_999), help="Azure Cosmos DB's sub-status.")
@click.option("--header", multiple=True, metavar="NAME:VALUE", help="A header of the answer; may be repeated.")
@click.option("--body", help="The body of the answer; - reads it from standard input.")
@click.option("--text", help="What an SDK printed.")
@click.option("--door", help="Which interface answered, where a service has several.")
@json_option
@click.pass_context
def explain(
    context: click.Context,
    *,
    jsonl: bool,
    provider: str | None,
    status: int | None,
    sub_status: int | None,
    header: tuple[str, ...],
    body: str | None,
    text: str | None,
    door: str | None,
) -> None:
    """Explain an error answer from a log, offline.

    Without --jsonl the options give one answer. With it, each line of standard input is a JSON
    object with any of provider, http_status, headers, body or body_base64, text, door and
    sub_status; each gives one line, at once and in the same order.
    """
    from kmsbridge._explain import explain_lines, explained

    given = {
        "provider": provider, "http_status": status, "sub_status": sub_status,
        "body": body, "text": text, "door": door, "headers": header or None,
    }
    record: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    if jsonl:
        if record:
            raise click.UsageError("--jsonl reads everything from standard input, and takes no other option")
        for line in explain_lines(_stdin()):
            say(line)
            sys.stdout.flush()
        return
    if not record:
        raise click.UsageError("there is nothing to explain: give --status, --body, --text or --jsonl")
    record["headers"] = [_pair(each) for each in header]
    if body == "-":
        from base64 import b64encode

        del record["body"]
        record["body_base64"] = b64encode(_stdin().read(MAX_BODY)).decode()
    error = explained(record)
    if context.ensure_object(Chosen).json:
        say_json(error.to_dict())
    else:
        for each in error.details().split("\n"):
            say(shown(each))


def _pair(header: str) -> list[str]:
    name, colon, value = header.partition(":")
    if not colon:
        raise click.UsageError("--header takes NAME:VALUE")
    return [name.strip(), value.strip()]


def _stdin() -> BinaryIO:
    if sys.stdin is None:
        raise invalid("standard input is closed", remediation="Pipe the answers in: kmsbridge explain --jsonl < FILE")
    return sys.stdin.buffer
