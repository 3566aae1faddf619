"""The pages on errors and on the command line say what the code says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click

from kmsbridge import TAXONOMY, Category, Code, Fault, KMSError, Meaning, Outcome, RetryAction
from kmsbridge._errors import CLASS_OF
from kmsbridge._explain import explain
from kmsbridge.cli._app import app
from kmsbridge.cli._output import BROKEN_PIPE, INTERRUPTED, NOT_VALID, STATUS

DOCS = Path(__file__).parent.parent / "docs"
ERRORS = (DOCS / "errors.md").read_text(encoding="utf-8")
CLI = (DOCS / "cli.md").read_text(encoding="utf-8")


def rows(text: str) -> list[list[str]]:
    """The cells of every table row."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def row(code: Code, meaning: Meaning) -> list[str]:
    """What the page must say of a code."""
    retry = [meaning.retry.action.value]
    if meaning.retry.limit is not None:
        retry.append(f"{meaning.retry.limit} at most")
    if meaning.retry.min_delay:
        retry.append(f"{meaning.retry.min_delay:g} s at least")
    return [f"`{code}`", meaning.summary, meaning.remediation, ", ".join(retry), meaning.outcome, meaning.fault]


def test_the_page_has_every_code_under_its_category() -> None:
    """docs/errors.md has one section per category, with its classes, and one row per code, word for word."""
    sections = re.split(r"^### ", ERRORS, flags=re.MULTILINE)[1:]
    assert [section.split("\n", 1)[0] for section in sections] == list(Category)
    for category, section in zip(Category, sections, strict=True):
        codes = [code for code in Code if TAXONOMY[code].category is category]
        assert rows(section)[2:] == [row(code, TAXONOMY[code]) for code in codes]
        assert set(re.findall(r"`(\w+Error)`", section)) == {CLASS_OF[code].__name__ for code in codes}


def test_the_page_explains_the_vocabulary() -> None:
    """Every retry action, outcome, fault and member of an error is named."""
    head = ERRORS.partition("## The codes")[0]
    assert [cells[0] for cells in rows(head)[2:]] == [f"`{action}`" for action in RetryAction]
    for word in (*Outcome, *Fault, *KMSError().to_dict()):
        assert f"`{word}`" in head or f"`error.{word}" in head, word


def test_the_page_has_every_exit_status() -> None:
    """docs/cli.md has the table of exit statuses as the code has it."""
    table = rows(CLI.partition("## Errors and exit statuses")[2].partition("\n## ")[0])[2:]
    listed = {int(number): meaning for number, meaning in table}
    assert set(listed) == {0, *STATUS.values(), NOT_VALID, INTERRUPTED, BROKEN_PIPE}
    for category, status in STATUS.items():
        assert re.match(rf"{category}\b", listed[status])


def test_the_page_has_every_command() -> None:
    """docs/cli.md lists each command once, and none that is not there."""
    commands = set()
    for name, command in app.commands.items():
        commands |= {f"{name} {inner}" for inner in command.commands} if isinstance(command, click.Group) else {name}
    listed = re.findall(r"^\| `kmsbridge ([a-z -]+[a-z])\b", CLI, re.MULTILINE)
    assert sorted(listed) == sorted(commands)


def test_the_page_has_every_member_of_the_input() -> None:
    """What docs/cli.md says that explain takes is what it takes."""
    listed = re.findall(r"`(\w+)`", " ".join(cells[0] for cells in rows(CLI.partition("## Explaining")[2])))
    assert len(listed) == 8
    for member in listed:
        assert [field["path"] for field in explain({member: object()})["fields"]] == [member]
    assert json.dumps(explain(dict.fromkeys(listed))) == json.dumps(explain({}))
