"""What the documents say is true of the tree: links, commands, variables and the first program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
page = pytest.mark.parametrize("path", PAGES, ids=[path.relative_to(ROOT).as_posix() for path in PAGES])
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def anchors(path: Path) -> set[str]:
    """The names that a page's headings can be linked by."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@page
def test_links_lead_somewhere(path: Path) -> None:
    """Every link inside the project names a file that is there, and a heading that is in it."""
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if re.match(r"https?://|mailto:", target):
            continue
        name, _, anchor = target.partition("#")
        linked = (path.parent / name).resolve() if name else path
        assert linked.is_relative_to(ROOT), target
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


@page
def test_commands_exist(path: Path) -> None:
    """Every ``make`` command that a page names is in the Makefile."""
    named = set(re.findall(r"(?:^|`|&& )make ([a-z][a-z-]*)", path.read_text(), re.MULTILINE))
    assert named - TARGETS == set()


@page
def test_variables_exist(path: Path) -> None:
    """Every environment variable of ours that a page names is read somewhere."""
    code = [path.read_text() for folder in ("kmsbridge", "providers") for path in (ROOT / folder).rglob("*.py")]
    known = "\n".join([*code, (ROOT / "conftest.py").read_text()])
    assert [name for name in re.findall(r"\bKMSBRIDGE_[A-Z_]+\b", path.read_text()) if name not in known] == []


def test_the_readme_shows_the_program_that_is_run() -> None:
    """The first program of the README stands, word for word, in ``examples/app.py``, which the tests run."""
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    assert blocks[0] in (ROOT / "examples" / "app.py").read_text()


def test_the_readme_names_both_commands() -> None:
    """``make demo`` and ``make test`` stand on the first screen."""
    first_screen = "\n".join((ROOT / "README.md").read_text().splitlines()[:60])
    assert "make demo" in first_screen
    assert "make test" in first_screen
