"""The pages on errors and on the command line say what the code says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from kmsbridge import TAXONOMY, Category, Code, Fault, KMSError, Meaning, Outcome, RetryAction
from kmsbridge._errors import CLASS_OF
from kmsbridge._explain import explain
from kmsbridge.cli import TERMINATED
from kmsbridge.cli._app import app
from kmsbridge.cli._output import BROKEN_PIPE, INTERRUPTED, NOT_VALID, STATUS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

DOCS = Path(__file__).parent.parent / "docs"
ERRORS = (DOCS / "errors.md").read_text(encoding="utf-8")
CLI = (DOCS / "cli.md").read_text(encoding="utf-8")
README = (DOCS.parent / "README.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"^```console\n(.*?)^```$", CLI, re.MULTILINE | re.DOTALL)
"""What a reader is to type, after ``$``, and what it prints."""


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
    assert set(listed) == {0, *STATUS.values(), NOT_VALID, INTERRUPTED, BROKEN_PIPE, TERMINATED}
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


@pytest.fixture
def shell(tmp_path: Path) -> Callable[[str], str]:
    """Runs a line in a folder with what the pages speak of; gives what it printed."""
    programs = {
        "kmsbridge": f"{sys.executable} -m kmsbridge.cli",
        "python": sys.executable,
        "jq": f"{sys.executable} -c 'import json, sys; [print(json.loads(line)[\"code\"]) for line in sys.stdin]'",
    }
    (tmp_path / "bin").mkdir()
    for name, command in programs.items():
        (tmp_path / "bin" / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (tmp_path / "bin" / name).chmod(0o700)
    (tmp_path / "examples").symlink_to(DOCS.parent / "examples")
    (tmp_path / "cards.csv").write_text("4111 1111\n")
    (tmp_path / "answers.jsonl").write_text('{"http_status": 429}\n{"http_status": 404}\n')
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KMSBRIDGE_")}
    environment |= {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    environment["PATH"] = f"{tmp_path}/bin:{os.environ['PATH']}"

    def run(line: str) -> str:
        done = subprocess.run(
            ["/bin/sh", "-c", line], cwd=tmp_path, env=environment, input="s3cret",
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}: {done.stderr}"
        return done.stdout

    return run


def test_what_the_page_shows_is_what_happens(shell: Callable[[str], str]) -> None:
    """Every command line of docs/cli.md works, one after the other, and prints what stands under it."""
    typed = 0
    for block in SHOWN:
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, output = step.partition("\n")
            printed = shell(line)
            for expected in output.splitlines():
                assert expected.strip() in ("...", *map(str.strip, printed.splitlines())), line
            typed += 1
    assert typed > 10


def test_the_commands_of_the_readme_work(shell: Callable[[str], str]) -> None:
    """What the README says to type after the installation works as it stands."""
    [block] = re.findall(r"^```\n(pip .*?)^```$", README, re.MULTILINE | re.DOTALL)
    lines = block.splitlines()[1:]
    assert [line.split()[0] for line in lines] == ["kmsbridge", "kmsbridge", "kmsbridge", "python"]
    printed = [shell(line) for line in lines]
    assert printed[-1].startswith("found billing/db-password: 6 characters\n")
