"""``kmsbridge codes``: the taxonomy, from the code itself."""

from __future__ import annotations

import click

from kmsbridge import TAXONOMY, Category, Code, NotFoundError
from kmsbridge._errors import CLASS_OF, Outcome
from kmsbridge.cli._help import Command
from kmsbridge.cli._options import Chosen, json_option
from kmsbridge.cli._output import STATUS, say, say_json, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_OUTCOMES = {
    Outcome.NOT_SENT: "nothing reached the backend",
    Outcome.NOT_APPLIED: "the backend changed nothing",
    Outcome.UNKNOWN: "it may have been applied",
}


@click.command(cls=Command, epilog="kmsbridge codes\nkmsbridge codes rate_limited")
@click.argument("code", required=False, shell_complete=lambda *_: [code.value for code in Code])
@json_option
@click.pass_context
def codes(context: click.Context, code: str | None) -> None:
    """List the error codes by category, or explain CODE."""
    as_json = context.ensure_object(Chosen).json
    if code is None:
        if as_json:
            say_json([_record(each) for each in Code])
        else:
            _list()
        return
    if code not in list(Code):
        raise _no_such(code)
    record = _record(Code(code))
    if as_json:
        say_json(record)
    else:
        _describe(Code(code))


def _list() -> None:
    for category in Category:
        members = [code for code in Code if TAXONOMY[code].category is category]
        classes = ", ".join(dict.fromkeys(CLASS_OF[code].__name__ for code in members))
        say(f"{category}: {classes}; exit status {STATUS[category]}")
        for code in members:
            meaning = TAXONOMY[code]
            say(f"  {code:<24}{meaning.retry.action:<16}{meaning.summary}")


def _describe(code: Code) -> None:
    meaning = TAXONOMY[code]
    retry = meaning.retry
    notes = [retry.action.value]
    if retry.limit is not None:
        notes.append(f"{retry.limit} at most")
    if retry.min_delay:
        notes.append(f"after {retry.min_delay:g} s at least")
    say(f"{code}: {meaning.summary}")
    for name, text in {
        "what to do": meaning.remediation,
        "who has to act": meaning.fault.value,
        "retry": ", ".join(notes),
        "outcome": f"{meaning.outcome}: {_OUTCOMES[meaning.outcome]}",
        "category": meaning.category.value,
        "class": f"kmsbridge.{CLASS_OF[code].__name__}",
        "exit status": str(STATUS[meaning.category]),
    }.items():
        say(f"  {name}: {text}")
    say("A backend's rules may say more exactly what to do; the error itself then carries that.")


def _record(code: Code) -> dict[str, Any]:
    meaning = TAXONOMY[code]
    return {
        "category": meaning.category.value,
        "code": code.value,
        "class": CLASS_OF[code].__name__,
        "summary": meaning.summary,
        "remediation": meaning.remediation,
        "retry": {**meaning.retry._asdict(), "action": meaning.retry.action.value},
        "outcome": meaning.outcome.value,
        "fault": meaning.fault.value,
        "exit_status": STATUS[meaning.category],
    }


def _no_such(code: str) -> NotFoundError:
    from difflib import get_close_matches

    near = get_close_matches(code, list(Code), n=3)
    advice = f"Did you mean {' or '.join(near)}? " if near else ""
    return NotFoundError(
        f"there is no code {shown(code[:100])!r}", remediation=f"{advice}`kmsbridge codes` lists them all."
    )
