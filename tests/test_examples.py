"""The example runs everywhere by configuration alone, and the demo shows that it does."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kmsbridge import Category, Code, KMSError
from kmsbridge.cli import _app, _demo, _demo_cases
from kmsbridge.cli._output import STATUS

APPLICATION = Path(__file__).parent.parent / "examples" / "app.py"
TITLES = [step.title for step in _demo_cases.STEPS], [mistake.title for mistake in _demo_cases.MISTAKES]


def application(where: str | None, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the example in a folder, with nothing but this variable to tell it where its secrets are."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KMSBRIDGE_")}
    environment |= {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    environment |= {} if where is None else {"KMSBRIDGE_PROFILE": where}
    return subprocess.run(
        [sys.executable, str(APPLICATION)], env=environment, cwd=folder,
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip


def test_the_demo_runs_the_example() -> None:
    """What the wheel ships for the demo is the example, byte for byte."""
    assert _demo.APPLICATION.read_bytes() == APPLICATION.read_bytes()
    assert len(APPLICATION.read_text().splitlines()) <= 28


def test_the_example_makes_then_finds(tmp_path: Path) -> None:
    """The first run makes the password and the key, the second finds them; neither prints a value."""
    for verb in ("made", "found"):
        done = application("local:store.db", tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"{verb} billing/db-password: 6 characters\n9 bytes sealed in 419\n"


def test_the_example_takes_a_profile(tmp_path: Path) -> None:
    """The same program runs on what a profile names, and on the default of the file."""
    config = tmp_path / "kmsbridge.toml"
    config.write_text('default = "a"\n[profiles.a]\nurl = "memory:"\n[profiles.b]\nurl = "local:b.db"\n')
    config.chmod(0o600)
    assert application(None, tmp_path).returncode == 0
    assert application("b", tmp_path).returncode == 0
    assert (tmp_path / "b.db").exists()


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (None, "nothing says where to connect to [invalid_argument]\n-> Run `kmsbridge init`"),
        ("no-such-cloud://x", "no provider answers to the scheme 'no-such-cloud' [invalid_argument]\n-> "),
        ("local:/dev/null/x.db", "local secrets.get 'billing/db-password': "),
    ],
)
def test_the_example_says_what_to_do(tmp_path: Path, where: str | None, said: str) -> None:
    """Where it cannot go on it says in two lines what happened and what fixes it."""
    done = application(where, tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(said)
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 2


@pytest.fixture
def _no_emulators(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are in contract_tests/test_demo.py."""
    monkeypatch.setattr(_demo, "_emulated", lambda *_: None)


@pytest.mark.usefixtures("_no_emulators")
def test_demo(capsys: pytest.CaptureFixture[str]) -> None:
    """Everything behaves on both local backends; every step and every mistake is in its table."""
    assert _app.run(["demo", "--json"]) == 0
    demo = json.loads(capsys.readouterr().out)
    assert demo["ok"] is True
    assert set(demo["backends"]) == {"local", "memory"}
    for backend in ("local", "memory"):
        worked = {each["title"]: each for each in demo["worked"] if each["backend"] == backend}
        failed = {each["title"]: each for each in demo["mistakes"] if each["backend"] == backend}
        assert list(worked) == ["application, first run", "application, second run", *TITLES[0]]
        assert worked["application, second run"]["result"] == ("found" if backend == "local" else "made")
        assert all(worked[title]["result"] == "ok" for title in TITLES[0])
        assert list(failed) == TITLES[1]
        assert [failed[mistake.title]["error"]["code"] for mistake in _demo_cases.MISTAKES] == [
            mistake.expected for mistake in _demo_cases.MISTAKES
        ]


@pytest.mark.usefixtures("_no_emulators")
def test_demo_for_people(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables are plain text in a pipe; what the environment says of the user's own store is left alone."""
    monkeypatch.setenv("KMSBRIDGE_CONFIG", "not-there.toml")
    monkeypatch.setenv("KMSBRIDGE_PROFILE", "not-there")
    assert _app.run(["demo"]) == 0
    assert os.environ["KMSBRIDGE_CONFIG"] == "not-there.toml"
    out, err = capsys.readouterr()
    assert err == ""
    assert "\x1b" not in out
    assert "FAILED" not in out
    for title in (*TITLES[0], *TITLES[1]):
        assert f"\n{title}  " in out
    assert re.search(r"\ndeleted, recoverable +deleted_but_recoverable  deleted_but_recoverable  never", out)


def test_demo_reports_what_misbehaves(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong answer, an error where there should be none, and a missing error each fail the demo."""

    def fail(*_: object) -> bool:
        raise KMSError(code=Code.SERVICE_UNAVAILABLE)

    steps = (
        _demo_cases.Step("wrong", "secrets.get", lambda _: False),
        _demo_cases.Step("failing", "secrets.get", fail),
    )
    mistakes = (
        _demo_cases.Mistake("foreign", Code.NOT_FOUND, "secrets.get", lambda *_: int("x")),
        _demo_cases.Mistake("harmless", Code.NOT_FOUND, "secrets.get", lambda *_: None),
        _demo_cases.Mistake("other", Code.NOT_FOUND, "secrets.get", fail),
    )
    monkeypatch.setattr(_demo, "STEPS", steps)
    monkeypatch.setattr(_demo, "MISTAKES", mistakes)
    monkeypatch.setattr(_demo, "APPLICATION", Path("not-there.py"))
    monkeypatch.setattr(_demo, "_targets", lambda *_: ({"memory": "memory:"}, ["elsewhere"]))
    assert _app.run(["demo"]) == STATUS[Category.UNKNOWN]
    out, err = capsys.readouterr()
    for result in ("FAILED: exit status 2", "FAILED: wrong answer", "FAILED: no error", "FAILED: ValueError"):
        assert result in out
    assert out.count("FAILED: service_unavailable") == 2
    assert out.endswith("elsewhere is installed, and has nothing to run against here.\n")
    assert err == "something did not behave as it should\n"


def test_demo_accepts_what_a_backend_says_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ability that is not claimed must fail as unsupported, and then counts as good behaviour."""
    from kmsbridge import Capabilities, SecretAbilities, connect

    with connect("memory:") as bridge:
        lacking = SecretAbilities(get=True, set=True)
        monkeypatch.setattr(type(bridge), "capabilities", Capabilities(lacking))
        monkeypatch.setattr(bridge.secrets._operations, "_abilities", lacking)
        lists = _demo_cases.Step("deleted", "secrets.deleted", lambda bridge: list(bridge.secrets.deleted()) == [])
        honest = _demo._tried(lists, "memory", bridge)
        lied = _demo._tried(_demo_cases.Step("list", "secrets.list", lambda _: True), "memory", bridge)
    assert (honest.good, honest.shown) == (True, "unsupported")
    assert lied.good is False


def test_demo_without_providers(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation without any provider is not called a success."""
    monkeypatch.setattr(_demo, "_targets", lambda *_: ({}, []))
    assert _app.run(["demo", "--json"]) == STATUS[Category.UNKNOWN]
    out, err = capsys.readouterr()
    assert json.loads(out)["ok"] is False
    assert err == "no provider is installed\n"
