"""The commands that need no secret: init, profiles, health, codes and explain."""

from __future__ import annotations

import io
import json
import os
import stat
import sys
from typing import Any, NamedTuple

import pytest

from kmsbridge import TAXONOMY, Category, Code
from kmsbridge._errors import CLASS_OF
from kmsbridge._explain import explain
from kmsbridge.cli import _app
from kmsbridge.cli._output import STATUS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has a folder, home and environment of its own."""
    for name in [name for name in os.environ if name.startswith("KMSBRIDGE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Runs a command in this process."""

    def run(*arguments: str) -> Ended:
        status = _app.run(arguments)
        out, err = capsys.readouterr()
        return Ended(status, out, err)

    return run


PROFILES = """\
default = "here"
[profiles.here]
url = "memory:"
[profiles.eu]
url = "azure-keyvault://${VAULT}"
[profiles.eu.secrets]
"billing/db-password" = "LegacyDbPassword"
[profiles.eu.options]
credential = "cli"
"""


@pytest.fixture
def file(folder: Path) -> Path:
    """A configuration file with two profiles."""
    path = folder / "kmsbridge.toml"
    path.write_text(PROFILES)
    path.chmod(0o600)
    return path


# -- init -------------------------------------------------------------------------------


def test_init_writes_a_file_that_works(run: Callable[..., Ended], folder: Path) -> None:
    """The starter is private, and its default profile is an embedded store that can be used at once."""
    path = folder / "kmsbridge.toml"
    assert run("init").out.startswith(f"wrote {path}\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert run("health").status == 0
    assert (folder / "data" / "kmsbridge" / "local.db").exists()
    used = run("profiles", "--json").json["used"]
    assert used == {"profile": "local", "url": "local:", "because": f"default in {path}"}


def test_init_overwrites_nothing_unasked(run: Callable[..., Ended], file: Path) -> None:
    """A file that is there is kept, unless --force is given; a link is replaced, not followed."""
    refused = run("init")
    assert refused == (
        STATUS[Category.CONFLICT], "",
        (f"{file} is there already [already_exists]\n"
         "-> Edit it, or replace it with: kmsbridge init --force\n"),
    )  # fmt: skip
    assert file.read_text() == PROFILES
    target = file.rename(file.with_name("target.toml"))
    file.symlink_to(target)
    assert run("init").status == STATUS[Category.CONFLICT]
    assert run("init", "--force", "--json").json == {"file": str(file)}
    assert not file.is_symlink()
    assert target.read_text() == PROFILES
    assert sorted(path.name for path in file.parent.glob("kmsbridge.toml*")) == ["kmsbridge.toml"]


def test_init_goes_where_the_variable_says(
    run: Callable[..., Ended], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KMSBRIDGE_CONFIG names the file; one that cannot be written is an error of two lines."""
    monkeypatch.setenv("KMSBRIDGE_CONFIG", str(folder / "mine.toml"))
    assert run("init").status == 0
    assert (folder / "mine.toml").exists()
    monkeypatch.setenv("KMSBRIDGE_CONFIG", str(folder / "none" / "mine.toml"))
    ended = run("init")
    assert (ended.status, ended.err.count("\n")) == (2, 2)
    assert "cannot be written: No such file or directory" in ended.err


# -- profiles ---------------------------------------------------------------------------


def test_profiles_say_where_each_value_came_from(
    run: Callable[..., Ended], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every value is shown as it is written, with its file and the variables in it, never what they hold."""
    monkeypatch.setenv("VAULT", "canary-vault")
    ended = run("profiles", "--json")
    assert "canary" not in ended.out
    assert ended.json["file"] == str(file)
    assert ended.json["used"] == {"profile": "here", "url": "memory:", "because": f"default in {file}"}
    here, eu = ended.json["profiles"]
    assert (here["name"], here["used"], eu["used"]) == ("here", True, False)
    assert eu["values"] == [
        {"setting": "url", "value": "azure-keyvault://${VAULT}", "from": f"{file}, VAULT from the environment"},
        {"setting": "secrets.billing/db-password", "value": "LegacyDbPassword", "from": str(file)},
        {"setting": "options.credential", "value": "cli", "from": str(file)},
    ]
    table = run("profiles").out
    assert "azure-keyvault://${VAULT}" in table
    assert table.endswith(f"used: here, because of default in {file}\n")


def test_profiles_show_what_is_missing(run: Callable[..., Ended], file: Path) -> None:
    """A variable that is not set is said beside the value, and what to do below."""
    ended = run("profiles")
    assert ended.status == 0
    assert f"{file}, VAULT not set" in ended.out
    assert ended.err == (
        f"{file}: profiles.eu.url needs the variable VAULT, which is not set\n"
        "-> Set VAULT, or write the value into the file.\n"
    )


@pytest.mark.parametrize(
    ("variable", "profile", "url"), [("eu", "eu", None), ("memory:", None, "memory:"), ("gone", None, None)]
)
def test_the_variable_decides(
    run: Callable[..., Ended], file: Path, monkeypatch: pytest.MonkeyPatch,
    variable: str, profile: str | None, url: str | None,
) -> None:  # fmt: skip
    """KMSBRIDGE_PROFILE wins over the file, as a name or a URL; one that is wrong leaves the table standing."""
    monkeypatch.setenv("VAULT", "v")
    monkeypatch.setenv("KMSBRIDGE_PROFILE", variable)
    ended = run("profiles", "--json").json
    assert [each["name"] for each in ended["profiles"]][:2] == ["here", "eu"]
    if variable == "gone":
        assert ended["used"] is None
        assert f"there is no profile 'gone' in {file}\n-> Profiles there: eu, here." in run("profiles").err
    else:
        assert ended["used"]["because"] == "KMSBRIDGE_PROFILE"
        assert (ended["used"]["profile"], url or ended["used"]["url"]) == (profile, ended["used"]["url"])
        assert [each["name"] for each in ended["profiles"] if each["used"]] == [profile]


def test_no_profiles(run: Callable[..., Ended]) -> None:
    """Without file and variable the way to start is named."""
    ended = run("profiles")
    assert (ended.status, ended.out) == (2, "")
    assert "-> Run `kmsbridge init`" in ended.err


# -- health -----------------------------------------------------------------------------


@pytest.mark.usefixtures("file")
def test_health(run: Callable[..., Ended]) -> None:
    """Every named backend has its line; the first that cannot be used gives the exit status and says why."""
    assert run("health").status == 0
    ended = run("health", "here", "gone", "local:/dev/null/x.db", "--json")
    good, gone, broken = ended.json
    assert (good["profile"], good["healthy"], good["code"]) == ("here", True, None)
    assert (gone["healthy"], gone["code"]) == (False, "invalid_argument")
    assert (broken["provider"], broken["healthy"]) == ("local", False)
    assert ended.status == STATUS[Category.INVALID_REQUEST]
    ended = run("health", "local:/dev/null/x.db", "gone")
    assert ended.status == STATUS[TAXONOMY[Code(broken["code"])].category]
    assert ended.out.splitlines()[1].split()[:3] == ["local:/dev/null/x.db", "local", broken["code"]]
    assert ended.err.count("\n-> ") == 2


# -- codes ------------------------------------------------------------------------------


def test_codes_lists_the_whole_taxonomy(run: Callable[..., Ended]) -> None:
    """One screen names every code under its category, with retry action and meaning."""
    lines = run("codes").out.splitlines()
    assert len(lines) == len(Category) + len(Code)
    assert max(map(len, lines)) <= 110
    for code, meaning in TAXONOMY.items():
        [line] = [line for line in lines if line.split()[0] == code and line.startswith("  ")]
        assert line.split()[1] == meaning.retry.action
        assert line.endswith(meaning.summary)
    assert [record["code"] for record in run("codes", "--json").json] == list(Code)


@pytest.mark.parametrize("code", Code)
def test_codes_tells_all_about_one(run: Callable[..., Ended], code: Code) -> None:
    """What a code means, who has to act, what to do, which class and which exit status."""
    meaning = TAXONOMY[code]
    text = run("codes", code).out
    assert text.startswith(f"{code}: {meaning.summary}\n")
    for part in (meaning.remediation, meaning.fault, meaning.retry.action, meaning.outcome, CLASS_OF[code].__name__):
        assert part in text
    record = run("codes", code, "--json").json
    assert record["exit_status"] == STATUS[meaning.category]
    assert (record["category"], record["class"]) == (meaning.category, CLASS_OF[code].__name__)


def test_codes_corrects_spelling(run: Callable[..., Ended]) -> None:
    """A code that is none is not found, and the nearest is named."""
    assert run("codes", "ratelimited") == (
        STATUS[Category.NOT_FOUND], "",
        ("there is no code 'ratelimited' [not_found]\n"
         "-> Did you mean rate_limited? `kmsbridge codes` lists them all.\n"),
    )  # fmt: skip


# -- explain ----------------------------------------------------------------------------


def test_explain_for_a_person(run: Callable[..., Ended]) -> None:
    """Options give one answer, and its meaning is told over several lines."""
    out = run("explain", "--provider", "local", "--text", "WrongRootKey").out
    assert out.startswith("local: the root key is not the one of this store [credential_rejected, WrongRootKey]\n")
    assert "  what to do: Give the key" in out
    given = ("--status", "429", "--header", "Retry-After: 5", "--door", "x", "--sub-status", "1")
    ended = run("explain", *given, "--json")
    assert ended.json == explain({"http_status": 429, "headers": {"Retry-After": "5"}, "door": "x", "sub_status": 1})
    assert ended.json["retry_after"] == 5


def test_explain_reads_a_body(run: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch) -> None:
    """A body is an option or, as it may hold any bytes, standard input."""
    body = b'{"error": {"code": "Forbidden", "message": "\xff"}}'
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(body)))
    assert run("explain", "--status", "403", "--body", "-", "--json").json["provider_codes"] == ["Forbidden"]
    ended = run("explain", "--body", '{"code": "Gone"}', "--json")
    assert (ended.status, ended.json["provider_codes"]) == (0, ["Gone"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "there is nothing to explain"),
        (["--jsonl", "--status", "404"], "--jsonl reads everything from standard input"),
        (["--status", "1000"], "Invalid value for '--status'"),
        (["--header", "a"], "--header takes NAME:VALUE"),
    ],
)
def test_explain_refuses(run: Callable[..., Ended], arguments: list[str], message: str) -> None:
    """What is no answer is wrong usage."""
    ended = run("explain", *arguments)
    assert ended.status == 2
    assert ended.err.startswith(message)
    assert ended.err.endswith("\n-> See: kmsbridge explain --help\n")


def test_explain_lines(run: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch) -> None:
    """With --jsonl any input succeeds: what is wrong with a line is its result."""
    source = b'{"http_status": 404}\n\xff\n\n{"http_status": "x"}'
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(source)))
    ended = run("explain", "--jsonl")
    assert (ended.status, ended.err) == (0, "")
    codes = [json.loads(line)["code"] for line in ended.out.splitlines()]
    assert codes == ["not_found", "invalid_argument", "invalid_argument", "invalid_argument"]
