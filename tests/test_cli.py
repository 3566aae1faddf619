"""The command line: what it prints, how it fails, and how it exits."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import stat
import subprocess
import sys
import threading
import types
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kmsbridge
from kmsbridge import Category, Code, UnknownError
from kmsbridge._config import parse_url
from kmsbridge._decode import Decoder
from kmsbridge._errors import error_for
from kmsbridge.cli import _app, _output, main
from kmsbridge.cli._output import STATUS, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

COMMAND = [sys.executable, "-m", "kmsbridge.cli"]
VALUE = "s3cret-canary"


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        """What it printed."""
        return self.out.decode()

    @property
    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)


def run(*arguments: str, stdin: bytes = b"") -> Ended:
    """Run a command in this process, with pipes of our own."""
    streams = [io.TextIOWrapper(io.BytesIO(content), "utf-8", write_through=True) for content in (stdin, b"", b"")]
    before = sys.stdin, sys.stdout, sys.stderr
    sys.stdin, sys.stdout, sys.stderr = streams
    try:
        status = _app.run(arguments)
    finally:
        sys.stdin, sys.stdout, sys.stderr = before
    _, out, err = (stream.buffer for stream in streams)
    assert isinstance(out, io.BytesIO)
    assert isinstance(err, io.BytesIO)
    return Ended(status, out.getvalue(), err.getvalue().decode())


def on_terminal(*arguments: str, typed: bytes = b"") -> tuple[int, str]:
    """Run a command with a terminal in front of it; gives its exit status and what the terminal showed."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *arguments], stdin=follower, stdout=follower, stderr=follower, start_new_session=True
    ) as process:
        os.close(follower)
        impatience = threading.Timer(20, process.kill)  # whoever waits for a prompt that never comes
        impatience.start()
        screen = b""
        for answer in typed.splitlines(keepends=True):
            while not screen.rstrip(b" ").endswith(b":"):
                screen += os.read(leader, 1024)  # OSError when it was killed
            os.write(leader, answer)
            screen += b"\n"
        while True:
            try:
                if not (read := os.read(leader, 1024)):
                    break
            except OSError:  # the other end is closed
                break
            screen += read
        status = process.wait(20)
        impatience.cancel()
    os.close(leader)
    return status, screen.decode().replace("\r\n", "\n")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Every test has a folder, home and environment of its own."""
    for name in [name for name in os.environ if name.startswith("KMSBRIDGE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    from kmsbridge._registry import DRIVERS

    DRIVERS.close_process()


@pytest.fixture
def config(folder: Path) -> Callable[[str], Path]:
    """Writes a configuration file."""

    def write(text: str) -> Path:
        path = folder / "kmsbridge.toml"
        path.write_text(text)
        path.chmod(0o600)
        return path

    return write


@pytest.fixture
def store(config: Callable[[str], Path], folder: Path) -> Path:
    """A configuration whose default is a local store; gives the database's path."""
    config('default = "here"\n[profiles.here]\nurl = "local:store.db"\n[profiles.other]\nurl = "memory:"\n')
    return folder / "store.db"


# -- secrets ----------------------------------------------------------------------------


@pytest.mark.usefixtures("store")
def test_life_of_a_secret() -> None:
    """set, get, list, versions, update, delete, deleted, recover and purge do what they say."""
    assert run("secrets", "set", "a/b", "--tag", "team=x", stdin=b"one").status == 0
    assert run("secrets", "set", "a/b", "--content-type", "text/plain", stdin=b"two").status == 0
    assert run("secrets", "get", "a/b") == (0, b"two", "")
    newest, oldest = run("secrets", "versions", "a/b", "--json").json
    assert (newest["content_type"], oldest["tags"]) == ("text/plain", {"team": "x"})
    assert run("secrets", "get", "a/b", "--version", oldest["version"]) == (0, b"one", "")
    assert [info["name"] for info in run("secrets", "list", "a/", "--json").json] == ["a/b"]
    assert run("secrets", "list", "b", "--json").json == []
    changed = run("secrets", "update", "a/b", "--tag", "k=v=w", "--expires-at", "2030-01-31T12:00:00Z", "--json").json
    assert (changed["tags"], changed["expires_at"]) == ({"k": "v=w"}, "2030-01-31T12:00:00+00:00")
    assert run("secrets", "update", "a/b", "--no-tags", "--json").json["tags"] == {}
    assert run("secrets", "update", "a/b", "--disable").text == "updated a/b\n"
    assert run("secrets", "get", "a/b").status == STATUS[Category.FAILED_PRECONDITION]
    assert run("secrets", "update", "a/b", "--enable").status == 0
    assert run("secrets", "delete", "a/b").text == "deleted a/b\n"
    assert [info["name"] for info in run("secrets", "deleted", "--json").json] == ["a/b"]
    assert "a/b" in run("secrets", "deleted").text
    assert run("secrets", "recover", "a/b").text == "recovered a/b\n"
    assert run("secrets", "get", "a/b").out == b"two"
    assert run("secrets", "delete", "a/b", "--json").json["name"] == "a/b"
    assert run("secrets", "purge", "a/b", "--yes", "--json").json == {"name": "a/b", "purged": True}
    assert run("secrets", "list") == (0, b"", "no secrets\n")
    assert run("secrets", "deleted") == (0, b"", "no deleted secrets\n")


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    "value",
    [b"", b"x", b"line\n", b"\r\n", b"\xff\x00", "é🔑".encode(), b"x" * 65_536],
    ids=lambda value: repr(value[:12]),
)
def test_value_comes_back_exactly(folder: Path, value: bytes) -> None:
    """What a pipe or a file holds is what a pipe or a file gets, to the byte."""
    assert run("secrets", "set", "piped", stdin=value).status == 0
    assert run("secrets", "get", "piped").out == value
    (folder / "value").write_bytes(value)
    assert run("secrets", "set", "filed", "--file", "value").status == 0
    assert run("secrets", "get", "filed", "--output", "got").status == 0
    assert (folder / "got").read_bytes() == value
    assert stat.S_IMODE((folder / "got").stat().st_mode) == 0o600


@pytest.mark.usefixtures("store")
def test_text_and_bytes_are_told_apart() -> None:
    """UTF-8 is stored as text, other bytes as bytes; --bytes decides for bytes."""
    for arguments, stdin, value, encoded in (
        ([], b"text", "text", None), ([], b"\xff", None, "/w=="), (["--bytes"], b"text", None, "dGV4dA=="),
    ):  # fmt: skip
        run("secrets", "set", "a", *arguments, stdin=stdin)
        found = run("secrets", "get", "a", "--json").json
        assert (found["value"], found["value_base64"]) == (value, encoded)


@pytest.mark.usefixtures("store")
def test_set_prints_no_value() -> None:
    """Neither the text nor the JSON of set repeats what was set."""
    for arguments in ([], ["--json"]):
        ended = run("secrets", "set", "a", *arguments, stdin=VALUE.encode())
        assert ended.status == 0
        assert VALUE not in ended.text + ended.err


@pytest.mark.usefixtures("store")
def test_a_value_is_not_taken_from_the_command_line() -> None:
    """A value among the arguments is refused, and not repeated."""
    ended = run("secrets", "set", "a", VALUE)
    assert ended.status == 2
    assert ended.err == (
        "a value is never taken from the command line, where others on this machine can read it [invalid_argument]\n"
        "-> Pipe it in, give --file FILE, or leave both out to be asked for it.\n"
    )


@pytest.mark.usefixtures("store")
def test_what_destroys_asks_first() -> None:
    """Without a terminal and without --yes, purge and rekey do nothing and say what to do; delete can be undone."""
    run("secrets", "set", "a", stdin=b"x")
    assert run("secrets", "delete", "a").status == 0
    for arguments in (["secrets", "purge", "a"], ["local", "rekey"]):
        ended = run(*arguments)
        assert ended.status == 2
        assert ended.err.endswith("\n-> Add --yes if that is meant.\n")
    assert run("secrets", "recover", "a").status == 0


@pytest.mark.usefixtures("store")
def test_rekey_replaces_the_root_key(folder: Path) -> None:
    """After a rekey the key file is another, and what was stored can be read."""
    run("secrets", "set", "a", stdin=b"x")
    before = (folder / "store.db.key").read_text()
    ended = run("local", "rekey", "--yes", "--json")
    assert ended.json["installed"] is True
    after = (folder / "store.db.key").read_text()
    assert before != after
    assert after.strip() not in ended.text
    assert run("secrets", "get", "a").out == b"x"


def test_rekey_is_for_local_stores(store: Path) -> None:
    """A store that is not there, or is in memory, is refused like any call."""
    assert run("local", "rekey", "--yes", "--profile", "other").status == 2
    ended = run("local", "rekey", "--yes")
    assert (ended.status, store.exists()) == (STATUS[Category.NOT_FOUND], False)
    assert ended.err.startswith("local local.rekey: there is no store at ")
    assert run("local", "rekey", "--yes", "--json").err.count("StoreNotFound") == 1


# -- on a terminal ----------------------------------------------------------------------


@pytest.mark.usefixtures("store")
def test_a_value_is_asked_for_and_not_shown() -> None:
    """On a terminal set asks twice; what is typed does not appear."""
    status, screen = on_terminal("secrets", "set", "a", typed=f"{VALUE}\n{VALUE}\n".encode())
    assert status == 0
    assert "Value (not shown)" in screen
    assert VALUE not in screen
    assert run("secrets", "get", "a").text == VALUE


@pytest.mark.usefixtures("store")
def test_get_on_a_terminal_adds_a_line_break() -> None:
    """Text is printed on a line of its own."""
    run("secrets", "set", "a", stdin=b"text")
    assert on_terminal("secrets", "get", "a") == (0, "text\n")


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("value", [b"\xff\x00", b"\x1b[2J", b"a\rb"], ids=repr)
def test_what_could_steer_a_terminal_is_not_printed_on_one(value: bytes) -> None:
    """Bytes that are no plain text are refused, and the way out is named."""
    run("secrets", "set", "a", stdin=value)
    status, screen = on_terminal("secrets", "get", "a")
    assert status == 2
    assert screen == (
        "the value of 'a' is not plain text, and is not printed on a terminal [invalid_argument]\n"
        "-> Redirect it (> FILE), or give --output FILE.\n"
    )


@pytest.mark.usefixtures("store")
def test_a_no_changes_nothing() -> None:
    """Whoever answers no keeps what is there."""
    run("secrets", "set", "a", stdin=b"x")
    run("secrets", "delete", "a")
    status, screen = on_terminal("secrets", "purge", "a", typed=b"n\n")
    assert status == 1
    assert screen.endswith("nothing was done\n")
    assert run("secrets", "recover", "a").status == 0


@pytest.mark.usefixtures("store")
def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table is drawn on a terminal, without colour if NO_COLOR is set, and is plain in a pipe."""
    monkeypatch.setenv("TERM", "xterm")
    run("secrets", "set", "a/b", stdin=b"x")
    coloured = on_terminal("secrets", "list")[1]
    monkeypatch.setenv("NO_COLOR", "1")
    plain = on_terminal("secrets", "list")[1]
    assert "\x1b[1m" in coloured
    assert not re.search(r"\x1b\[3\d", plain)
    assert all("a/b" in screen and "─" in screen for screen in (coloured, plain))
    piped = run("secrets", "list").text
    assert piped.startswith("NAME  VERSION")
    assert "\x1b" not in piped


# -- bad input: each its own two lines --------------------------------------------------

CONFIGURED = 'default = "here"\n[profiles.here]\nurl = "local:store.db"\n'
BAD_FILES = {
    "unknown key": (
        f"{CONFIGURED}[other]\n", [],
        "{file}: unknown key 'other' [invalid_argument]\n-> Allowed there: ",
    ),
    "unknown key in a profile": (
        f'{CONFIGURED}adress = "x"\n', [],
        "{file}: unknown key 'adress' in profiles.here [invalid_argument]\n-> Allowed there: url, ",
    ),
    "unknown profile": (
        CONFIGURED, ["--profile", "eu"],
        "there is no profile 'eu' in {file} [invalid_argument]\n-> Profiles there: here.",
    ),
    "unset variable": (
        '[profiles.here]\nurl = "local:${{NOT_SET_HERE}}"\n', ["--profile", "here"],
        ("{file}: profiles.here.url needs the variable NOT_SET_HERE, which is not set [invalid_argument]\n"
         "-> Set NOT_SET_HERE, or write the value into the file."),
    ),
    "name listed twice": (
        f'{CONFIGURED}[profiles.here.secrets]\n"a" = "N"\n"b" = "N"\n', [],
        ("{file}: profiles.here: secrets 'a' and 'b' are both mapped to 'N' [invalid_argument]\n"
         "-> Map each name of the backend once"),
    ),
    "key written twice": (
        f'{CONFIGURED}[profiles.here.secrets]\n"a" = "N"\n"a" = "M"\n', [],
        ("{file} is no valid TOML: Cannot overwrite a value (at line 6, column 10) [invalid_argument]\n"
         "-> Correct the file, or name another in KMSBRIDGE_CONFIG."),
    ),
    "unknown option": (
        f'{CONFIGURED}options = {{ speed = "fast" }}\n', [],
        "{file}: profiles.here: unknown option 'speed' [invalid_argument]\n-> Allowed: recovery_days (",
    ),
    "malformed URL": (
        CONFIGURED, ["--url", "local:a b"],
        ("the URL is malformed: it holds a blank or control character; write it as %20 and so on [invalid_argument]\n"
         "-> Write <scheme>://<host>/<path>, or local:<path>."),
    ),
    "a URL that is none": (
        CONFIGURED, ["--url", "store.db"],
        ("the URL is malformed: it must start with a scheme of a-z, 0-9 and '-', such as 'local:' [invalid_argument]\n"
         "-> Write <scheme>://<host>/<path>, or local:<path>."),
    ),
    "unknown scheme": (
        CONFIGURED, ["--url", "no-such-cloud://x"],
        "no provider answers to the scheme 'no-such-cloud' [invalid_argument]\n-> ",
    ),
    "missing extra": (
        CONFIGURED, ["--url", "needy-cloud://x"],
        ("needy-cloud secrets.get 'a': the provider needy-cloud needs the package 'needy_sdk', which is not installed"
         " [unsupported]\n-> pip install 'kmsbridge[needy-cloud]'"),
    ),
    "both a profile and a URL": (
        CONFIGURED, ["--url", "local:", "--profile", "here"],
        "--profile and --url exclude each other [invalid_argument]\n-> See: kmsbridge secrets get --help",
    ),
}  # fmt: skip


@pytest.fixture
def needy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider whose SDK is not installed."""
    import kmsbridge_local

    async def open_without_sdk(*_: object) -> object:
        raise ModuleNotFoundError("No module named 'needy_sdk'", name="needy_sdk.client")

    provider = types.ModuleType("kmsbridge_needy_cloud")
    local = kmsbridge_local.configure(parse_url("memory:"))
    vars(provider).update(
        name="needy-cloud", decoder=Decoder("needy-cloud"), configure=lambda _: local, open=open_without_sdk
    )
    monkeypatch.setitem(sys.modules, "kmsbridge_needy_cloud", provider)


@pytest.mark.usefixtures("needy")
@pytest.mark.parametrize(("text", "arguments", "expected"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_input_has_its_own_two_lines(
    config: Callable[[str], Path], text: str, arguments: list[str], expected: str
) -> None:
    """What is wrong with configuration or target is said in one line, and what to do in another."""
    file = config(text.replace("${{NOT_SET_HERE}}", "${NOT_SET_HERE}"))
    ended = run("secrets", "get", "a", *arguments)
    assert ended.status == (STATUS[Category.UNSUPPORTED] if "[unsupported]" in expected else 2)
    assert ended.err.startswith(expected.replace("{file}", str(file)))
    assert re.fullmatch(r".+\n-> .+\n", ended.err)
    as_json = run("secrets", "get", "a", *arguments, "--json")
    assert (as_json.status, as_json.out) == (ended.status, b"")
    assert json.loads(as_json.err)["message"] in ended.err


def test_nothing_configured() -> None:
    """Without argument, environment and file the way to start is named."""
    assert run("secrets", "list") == (
        2, b"",
        ("nothing says where to connect to [invalid_argument]\n"
         "-> Run `kmsbridge init`, set KMSBRIDGE_PROFILE, or connect('local:') for the embedded store.\n"),
    )  # fmt: skip


def test_file_that_others_can_write(config: Callable[[str], Path]) -> None:
    """A configuration that others can write is not believed."""
    file = config(CONFIGURED)
    file.chmod(0o666)
    ended = run("secrets", "list")
    assert ended.status == STATUS[Category.FAILED_PRECONDITION]
    assert ended.err == (
        f"{file} can be written by others, who could point this program at a store of theirs [wrong_state]\n"
        f"-> chown it to yourself, and: chmod go-w {file}\n"
    )


def test_unreadable_database(store: Path) -> None:
    """A file that is no store is named as such, and left alone."""
    store.write_bytes(b"not a database, but long enough to be looked at" * 100)
    store.chmod(0o600)
    (store.parent / "store.db.key").touch(0o600)
    ended = run("secrets", "list")
    assert ended.status != 0
    assert re.fullmatch(r"local secrets\.list: .+ \[\w+, \w+\]\n-> .+\n", ended.err)
    assert store.read_bytes().startswith(b"not a database")


def test_wrong_root_key(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key of another store opens nothing, and is not blamed on the data."""
    run("secrets", "set", "a", stdin=b"x")
    run("secrets", "set", "a", "--url", "local:other.db", stdin=b"x")
    monkeypatch.setenv("KMSBRIDGE_LOCAL_ROOT_KEY", (store.parent / "other.db.key").read_text())
    (store.parent / "store.db.key").unlink()
    from kmsbridge._registry import DRIVERS

    DRIVERS.close_process()
    ended = run("secrets", "get", "a")
    assert ended.status == STATUS[Category.AUTHENTICATION]
    assert re.fullmatch(r"local secrets\.get 'a': .+ \[credential_rejected, WrongRootKey\]\n-> .+\n", ended.err)


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["get", "a", "--output", "none/x"], "'none/x' cannot be written: No such file or directory"),
        (["set", "a", "--file", "none"], "'none' cannot be read: No such file or directory"),
        (["set", "a", "--file", "."], "'.' cannot be read: Is a directory"),
        (["set", "a", "--tag", "x"], "--tag takes NAME=VALUE"),
        (["set", "a", "--tag", "x=1", "--tag", "x=2"], "--tag names 'x' twice"),
        (["set", "a", "--expires-at", "tomorrow"], "--expires-at takes a time with its zone"),
        (["set", "a", "--expires-at", "2030-01-31"], "--expires-at takes a time with its zone"),
        (["update", "a", "--tag", "a=b", "--no-tags"], "--tag and --no-tags exclude each other"),
        (["update", "a"], "local secrets.update 'a': there is nothing to update"),
        (["get", "A"], "local secrets.get: secret name 'A' has characters other than"),
        (["get", "a", "--timeout", "0"], "timeout must be a positive number of seconds"),
        (["get", "a", "--timeout", "soon"], "Invalid value for '--timeout'"),
        (["get", "a", "--profile", "local:"], "--profile takes a name; a URL belongs to --url"),
        (["get"], "Missing argument 'NAME'."),
        (["gut", "a"], "No such command 'gut'."),
        (["get", "a", "--nope"], "No such option"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage(arguments: list[str], message: str) -> None:
    """What the command cannot make sense of exits with 2 and two lines."""
    run("secrets", "set", "a", stdin=b"x")
    ended = run("secrets", *arguments)
    assert (ended.status, ended.out) == (2, b"")
    assert ended.err.startswith(message)
    assert re.fullmatch(r".+\n-> .+\n", ended.err)
    assert "the fields of the error say where" not in ended.err


@pytest.mark.usefixtures("store")
def test_too_large_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe without end is not read to its end."""
    from kmsbridge.cli import _files

    monkeypatch.setattr(_files, "MAX_INPUT", 10)
    ended = run("secrets", "set", "a", "--json", stdin=b"x" * 11)
    assert (ended.status, json.loads(ended.err)["code"]) == (2, "payload_too_large")


# -- how it ends ------------------------------------------------------------------------


def test_exit_statuses_are_a_fixed_table() -> None:
    """Every category has a status of its own, and none is ever renumbered."""
    assert {category.value: status for category, status in STATUS.items()} == {
        "unknown": 1, "invalid_request": 2, "authentication": 3, "permission_denied": 4, "unsupported": 5,
        "not_found": 6, "conflict": 7, "failed_precondition": 8, "throttled": 9, "unavailable": 10, "crypto": 11,
    }  # fmt: skip
    assert set(STATUS) == set(Category)
    assert _output.NOT_VALID == 20


@pytest.mark.parametrize("code", Code)
def test_every_error_is_two_lines_and_a_status(code: Code, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever code a backend's failure gets, it ends the command in the same way."""
    error = error_for(code, provider="cloud", operation="secrets.get")

    def fail(*_: object, **__: object) -> None:
        raise error.copy()

    monkeypatch.setattr(kmsbridge, "connect", fail)
    assert run("secrets", "get", "a") == (STATUS[error.category], b"", f"{error}\n-> {error.remediation}\n")
    ended = run("secrets", "get", "a", "--json")
    assert (ended.status, json.loads(ended.err)) == (STATUS[error.category], error.to_dict())


def test_an_unexpected_failure_shows_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake of ours is two lines too: its type and place, never its text."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(VALUE)

    monkeypatch.setattr(kmsbridge, "connect", fail)
    ended = run("secrets", "get", "a")
    assert ended.status == STATUS[Category.UNKNOWN]
    expected = r"the command failed at _options.py:\d+ \[unknown\] because of RuntimeError\n-> .+\n"
    assert re.fullmatch(expected, ended.err)
    assert VALUE not in run("secrets", "get", "a", "--json").err


def test_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is one line and 130."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(kmsbridge, "connect", interrupt)
    assert run("secrets", "get", "a") == (130, b"", "interrupted\n")


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(
    ("number", "status", "said"), [(2, 130, b"interrupted\n"), (15, 143, b"")], ids=["INT", "TERM"]
)
def test_signal_to_a_program(number: int, status: int, said: bytes) -> None:
    """A real signal, while a command waits for input, ends it in the same way: by an exception that lets it tidy up."""
    with subprocess.Popen(
        [*COMMAND, "explain", "--jsonl"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"{}\n")
        process.stdin.flush()
        process.stdout.readline()
        process.send_signal(number)
        assert process.wait(10) == status
        assert process.stderr.read() == said


def shell(command: str) -> subprocess.CompletedProcess[bytes]:
    """Run a shell command in which $K is ours."""
    words = " ".join(f"'{word}'" for word in COMMAND)
    return subprocess.run(["/bin/sh", "-c", command.replace("$K", words)], capture_output=True, check=False, timeout=20)


def test_the_reader_of_the_output_has_gone() -> None:
    """A broken pipe is quiet."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*COMMAND, "codes"], stdout=writer, stderr=subprocess.PIPE, check=False, timeout=20)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_output_that_cannot_be_written() -> None:
    """A full disk and a closed output are two lines like any other failure."""
    for command in ("$K codes > /dev/full", "$K codes >&-"):
        done = shell(command)
        assert done.returncode == 1
        assert re.fullmatch(rb"the system refused: .+ \[unknown\] because of OSError\n-> .+\n", done.stderr)
    assert shell("$K secrets get a --url memory: 2>&-").returncode == STATUS[Category.NOT_FOUND]


def test_closed_input() -> None:
    """A closed standard input is no value and no answer to explain."""
    for command in ("$K secrets set a --url memory: <&-", "$K explain --jsonl <&-", "$K explain --body - <&-"):
        done = shell(command)
        assert done.returncode == 2
        assert re.fullmatch(rb".*standard input is closed \[invalid_argument\]\n-> .+\n", done.stderr)


@pytest.mark.usefixtures("store")
def test_output_in_a_poor_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a terminal's encoding lacks is escaped, and breaks nothing."""
    run("secrets", "set", "a", "--tag", "team=größe", stdin=b"x")
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = shell("$K secrets list")
    assert done.returncode == 0
    assert rb"team=gr\xf6\xdfe" in done.stdout


def test_what_is_shown_cannot_steer_a_terminal() -> None:
    """Control characters, line breaks and lone surrogates are escaped; other text stays as it is."""
    assert shown("\x1b[2J a\nb\x9b\ud800") == r"\x1b[2J a\nb\x9b\ud800"
    assert shown("größe 🔑") == "größe 🔑"


WORDS = [
    *("secrets", "get", "set", "list", "versions", "update", "delete", "deleted", "recover", "purge"),
    *("keys", "create", "show", "rotate", "enable", "disable", "cancel-deletion", "public-key", "AES_256", "ES256"),
    *("seal", "unseal", "encrypt", "decrypt", "sign", "verify", "--in", "--out", "--context", "--signature", "--jwk"),
    *("profiles", "health", "codes", "explain", "local", "rekey", "init", "completion", "bash", "a", "a/b", "A"),
    *("--json", "--yes", "--url", "memory:", "local:x", "--profile", "--timeout", "1", "--version", "--help", "-h"),
    *("--tag", "a=b", "--file", "--output", "--status", "404", "--header", "a:b", "--body", "-", "--jsonl", "--"),
    *("--force", "--bytes", "--enable", "--disable", "--if-absent"),
]


@given(st.lists(st.sampled_from(WORDS) | st.text(max_size=5), max_size=6), st.binary(max_size=40))
@settings(max_examples=100)
def test_any_words_end_in_order(words: list[str], stdin: bytes) -> None:
    """Whatever is typed and piped, there is an exit status of the table and never a traceback."""
    ended = run(*words, stdin=stdin)
    assert ended.status in {0, *STATUS.values()}
    assert "Traceback" not in ended.text + ended.err
    assert "the command failed" not in ended.err
    if ended.status and "--json" not in words and "health" not in words:
        assert re.fullmatch(r".+\n-> .+\n", ended.err), ended.err


# -- the console script -----------------------------------------------------------------


def test_without_click(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the extra the command says which to install."""
    monkeypatch.setitem(sys.modules, "click", None)
    for name in [name for name in sys.modules if name.startswith("kmsbridge.cli.")]:
        monkeypatch.delitem(sys.modules, name)
    assert main() == 1
    assert capsys.readouterr().err == (
        "the command line needs the package 'click', which is not installed\n-> pip install 'kmsbridge[cli]'\n"
    )


def test_rich_is_loaded_for_terminals_only() -> None:
    """A command into a pipe loads click, and neither rich nor a provider it does not need."""
    code = "import sys; from kmsbridge.cli import _app; _app.run(['codes']); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "click" in loaded
    assert not {"rich", "kmsbridge_local", "cryptography", "asyncio", "sqlite3"} & set(loaded)


def test_every_command_has_help_and_an_example() -> None:
    """Each command says what it does and shows how."""

    def visit(*path: str) -> Iterator[tuple[str, ...]]:
        command = _app.app
        for name in path:
            command = command.commands[name]  # type: ignore[assignment]
        yield path
        for name in getattr(command, "commands", {}):
            yield from visit(*path, name)

    paths = list(visit())
    assert len(paths) > 18
    for path in paths:
        ended = run(*path, "--help")
        assert (ended.status, ended.err) == (0, "")
        assert "\nExample" in ended.text
        if path not in ((), ("completion",), ("local",), ("emulate",)):
            assert "--json" in ended.text, path
    assert run().text == run("-h").text
    assert run("secrets").text == run("secrets", "--help").text


def test_version() -> None:
    """--version is the version of the distribution."""
    assert run("--version").text == f"kmsbridge {kmsbridge.__version__}\n"


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_completion(shell_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script that is printed asks the command itself, which knows commands and codes."""
    script = run("completion", shell_name).text
    assert "_KMSBRIDGE_COMPLETE" in script
    monkeypatch.setenv("_KMSBRIDGE_COMPLETE", f"{shell_name}_complete")
    monkeypatch.setenv("COMP_WORDS", "kmsbridge codes rate")
    monkeypatch.setenv("COMP_CWORD", "rate" if shell_name == "fish" else "2")
    ended = run()
    assert ended.status == 0
    assert "rate_limited" in ended.text


def test_errors_of_the_reporting_itself_are_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where even standard error is gone, the exit status still says what happened."""
    monkeypatch.setattr(sys, "stderr", None)
    assert _output.report(UnknownError(), as_json=False) == 1
