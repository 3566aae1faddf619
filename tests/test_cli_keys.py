"""The commands on keys: what they read and write, where, and how they refuse."""

from __future__ import annotations

import io
import json
import os
import pty
import stat
import subprocess
import sys
import threading
from base64 import b64encode
from hashlib import sha256
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from kmsbridge import Category, KeySpec
from kmsbridge.cli import _app, _files
from kmsbridge.cli._keys import keys
from kmsbridge.cli._output import BROKEN_PIPE, INTERRUPTED, NOT_VALID, STATUS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMAND = [sys.executable, "-m", "kmsbridge.cli", "keys"]
CANARY = b"plaintext-canary"
DATA_COMMANDS = ("seal", "unseal", "encrypt", "decrypt", "sign", "verify")


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: bytes
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Every test has a folder, a home and a local store of its own."""
    for name in [name for name in os.environ if name.startswith("KMSBRIDGE_")]:
        monkeypatch.delenv(name)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("KMSBRIDGE_PROFILE", f"local:{tmp_path}/store/s.db")
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "store").mkdir(0o700)
    (tmp_path / "files").mkdir()
    monkeypatch.chdir(tmp_path / "files")
    yield tmp_path / "files"
    from kmsbridge._registry import DRIVERS

    DRIVERS.close_process()


def run(*arguments: str, stdin: bytes = b"") -> Ended:
    """Run ``kmsbridge keys`` in this process, with pipes of our own."""
    streams = [io.TextIOWrapper(io.BytesIO(content), "utf-8", write_through=True) for content in (stdin, b"", b"")]
    before = sys.stdin, sys.stdout, sys.stderr
    sys.stdin, sys.stdout, sys.stderr = streams
    try:
        status = _app.run(["keys", *arguments])
    finally:
        sys.stdin, sys.stdout, sys.stderr = before
    _, out, err = (stream.buffer for stream in streams)
    assert isinstance(out, io.BytesIO)
    assert isinstance(err, io.BytesIO)
    return Ended(status, out.getvalue(), err.getvalue().decode())


def on_terminal(*arguments: str, typed: bytes | None = None, stdin: bytes = b"") -> tuple[int, str]:
    """Run it with a terminal for its output; and with one for its input, if something is typed."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *arguments], stdin=subprocess.PIPE if typed is None else follower,
        stdout=follower, stderr=follower, start_new_session=True,
    ) as process:  # fmt: skip
        os.close(follower)
        if process.stdin is not None:
            process.stdin.write(stdin)
            process.stdin.close()
        elif typed:
            os.write(leader, typed)
        screen = b""
        while True:
            try:
                screen += os.read(leader, 4096)
            except OSError:  # the other end is closed
                break
        status = process.wait(20)
    os.close(leader)
    return status, screen.decode().replace("\r\n", "\n")


def made(kind: KeySpec = KeySpec.AES_256) -> str:
    """The name of a new key."""
    assert run("create", "kek", kind).status == 0
    return "kek"


# -- keys -------------------------------------------------------------------------------


def test_life_of_a_key() -> None:
    """create, list, show, rotate, disable, enable, delete and cancel-deletion do what they say."""
    created = run("create", "billing/kek", "AES_256", "--tag", "team=x", "--json").json
    assert (created["name"], created["spec"], created["tags"]) == ("billing/kek", "AES_256", {"team": "x"})
    assert run("create", "billing/kek", "AES_256").status == STATUS[Category.CONFLICT]
    rotated = run("rotate", "billing/kek", "--json").json
    assert rotated["version"] != created["version"]
    shown = run("show", "billing/kek", "--json").json
    assert [each["version"] for each in shown["versions"]] == [rotated["version"], created["version"]]
    assert run("show", "billing/kek").out.startswith(b"billing/kek: AES_256, enabled, team=x\nVERSION")
    sealed = run("seal", "billing/kek", stdin=b"x").out

    assert run("disable", "billing/kek", "--version", created["version"], "--json").json["enabled"] is False
    assert b"disabled" in run("show", "billing/kek").out
    assert run("enable", "billing/kek", "--version", created["version"]).status == 0
    assert run("disable", "billing/kek").out.startswith(b"disabled billing/kek version ")
    assert run("unseal", "billing/kek", stdin=sealed).status == STATUS[Category.FAILED_PRECONDITION]
    assert run("enable", "billing/kek", "--json").json["enabled"] is True

    deleted = run("delete", "billing/kek", "--days", "7", "--yes", "--json").json
    assert deleted["deletes_at"] is not None
    assert b" goes on 20" in run("list").out
    assert run("unseal", "billing/kek", stdin=sealed).status == STATUS[Category.FAILED_PRECONDITION]
    assert run("cancel-deletion", "billing/kek", "--json").json["deletes_at"] is None
    assert run("delete", "billing/kek", "--yes").out.startswith(b"billing/kek goes on 20")
    assert run("cancel-deletion", "billing/kek").out.startswith(b"kept billing/kek")
    assert run("unseal", "billing/kek", stdin=sealed).out == b"x"
    assert [key["name"] for key in run("list", "billing", "--json").json] == ["billing/kek"]
    assert run("list", "x") == (0, b"", "no keys\n")


def test_a_deletion_asks_first() -> None:
    """Where nobody can be asked, and after a no, the key stays as it is."""
    made()
    ended = run("delete", "kek")
    assert (ended.status, ended.err.splitlines()[1]) == (2, "-> Add --yes if that is meant.")
    status, screen = on_terminal("delete", "kek", typed=b"n\n")
    assert (status, screen.endswith("nothing was done\n")) == (1, True)
    assert run("show", "kek", "--json").json["deletes_at"] is None


@pytest.mark.parametrize("kind", KeySpec)
def test_every_kind_of_key_can_be_made(kind: KeySpec) -> None:
    """The kinds on the command line are those of the library."""
    assert run("create", "kek", kind, "--json").json["spec"] == kind


def test_public_keys(folder: Path) -> None:
    """PEM and JWK, on standard output, in a file and in JSON, of any version; an AES key has none."""
    made(KeySpec.EC_P256)
    pem = run("public-key", "kek").out
    assert isinstance(load_pem_public_key(pem), EllipticCurvePublicKey)
    jwk = json.loads(run("public-key", "kek", "--jwk").out)
    first = run("public-key", "kek", "--json").json
    assert (first["pem"].encode(), first["jwk"]) == (pem, jwk)
    run("rotate", "kek")
    assert run("public-key", "kek", "--version", first["version"]).out == pem != run("public-key", "kek").out
    ended = run("public-key", "kek", "--version", first["version"], "--out", "key.pem")
    assert (ended.out, ended.err) == (b"", f"the public key of kek version {first['version']} is in key.pem\n")
    assert (folder / "key.pem").read_bytes() == pem
    run("create", "aes", "AES_256")
    assert run("public-key", "aes").status == STATUS[Category.UNSUPPORTED]


# -- data -------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"4111 1111", b"\xff\x00\r\n", bytes(6_144)], ids=len)
@pytest.mark.parametrize(("close", "reopen"), [("seal", "unseal"), ("encrypt", "decrypt")])
def test_data_comes_back_exactly(folder: Path, close: str, reopen: str, data: bytes) -> None:
    """Through pipes, files and Base64, to the byte; files of plaintext are the user's alone."""
    name, context = made(), ["--context", "tenant=acme", "--context", "é=x=y"]
    piped = run(close, name, *context, stdin=data).out
    assert piped[:3] == b"KMB"
    assert run(reopen, name, *context, stdin=piped) == (0, data, "")
    text = run(close, name, *context, "--base64", stdin=data).out
    assert text.isascii()
    assert run(reopen, name, *context, stdin=text).out == data
    (folder / "plain").write_bytes(data)
    assert run(close, name, *context, "--in", "plain", "--out", "closed").out == b""
    assert run(reopen, name, *context, "--in", "closed", "--out", "open").out == b""
    assert (folder / "open").read_bytes() == data
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE((folder / "open").stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "closed").stat().st_mode) == 0o666 & ~umask
    assert sorted(os.listdir(folder)) == ["closed", "open", "plain"]


def test_json_of_data(folder: Path) -> None:
    """With --json the bytes are in the document, or in the file and then not repeated."""
    made()
    sealed = run("seal", "kek", "--json", stdin=CANARY).json
    assert sealed.keys() == {"key", "envelope_base64"}
    assert run("unseal", "kek", "--json", stdin=sealed["envelope_base64"].encode()).json == {
        "key": "kek", "plaintext": CANARY.decode(), "plaintext_base64": None,
    }  # fmt: skip
    encrypted = run("encrypt", "kek", "--json", stdin=b"\xff").json
    assert encrypted.keys() == {"key", "version", "algorithm", "ciphertext_base64"}
    decrypted = run("decrypt", "kek", "--json", stdin=encrypted["ciphertext_base64"].encode()).json
    assert (decrypted["plaintext"], decrypted["plaintext_base64"]) == (None, "/w==")
    run("seal", "kek", "--out", "s", stdin=CANARY)
    assert run("unseal", "kek", "--in", "s", "--out", "p", "--json").json == {"key": "kek", "out": "p"}
    assert run("seal", "kek", "--in", "p", "--out", "s", "--json").json == {"key": "kek", "out": "s"}
    assert (folder / "p").read_bytes() == CANARY


@pytest.mark.parametrize(("close", "reopen"), [("seal", "unseal"), ("encrypt", "decrypt")])
def test_another_context_key_or_content_is_refused(folder: Path, close: str, reopen: str) -> None:
    """Nothing is written, and a file that was there stays as it was."""
    made()
    closed = run(close, "kek", "--context", "a=b", stdin=CANARY).out
    (folder / "out").write_bytes(b"before")
    for arguments, stdin, category in (
        (["kek"], closed, Category.CRYPTO),
        (["kek", "--context", "a=c"], closed, Category.CRYPTO),
        (["kek", "--context", "a=b"], closed[:-1], Category.CRYPTO),
        (["other", "--context", "a=b"], closed, Category.INVALID_REQUEST),
        (["kek", "--context", "a=b"], b"", Category.INVALID_REQUEST),
        (["kek", "--context", "a=b"], b"no Base64!", Category.INVALID_REQUEST),
    ):
        ended = run(reopen, *arguments, "--out", "out", stdin=stdin)
        assert (ended.status, ended.out) == (STATUS[category], b"")
        assert ended.err.count("\n") == 2
        assert CANARY.decode() not in ended.err
    assert (folder / "out").read_bytes() == b"before"
    assert os.listdir(folder) == ["out"]


def test_encrypt_has_a_limit_and_seal_has_none() -> None:
    """What is too large to encrypt is told to be sealed."""
    made()
    ended = run("encrypt", "kek", stdin=bytes(6_145))
    assert (ended.status, ended.err.splitlines()[1]) == (2, "-> Use seal, which takes any size.")
    assert run("seal", "kek", stdin=bytes(6_145)).status == 0


@pytest.mark.parametrize("command", DATA_COMMANDS)
def test_data_is_not_taken_from_the_command_line(command: str) -> None:
    """Data among the arguments is refused, and not repeated."""
    made()
    more = {"sign": ["--algorithm", "ES256"], "verify": ["--signature", "s"]}.get(command, [])
    ended = run(command, "kek", CANARY.decode(), *more)
    assert (ended.status, ended.out) == (2, b"")
    assert ended.err == (
        "data is never taken from the command line, where others on this machine can read it [invalid_argument]\n"
        "-> Pipe it in, or give --in FILE.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["seal", "kek", "--in", "none"], "'none' cannot be read: No such file or directory"),
        (["seal", "kek", "--in", "."], "'.' cannot be read: Is a directory"),
        (["seal", "kek", "--out", "none/x"], "'none/x' cannot be written: No such file or directory"),
        (["seal", "kek", "--out", "."], "'.' cannot be written: Is a directory"),
        (["seal", "kek", "--out", "a\0b"], "'a\\x00b' cannot be written: no legal path"),
        (["seal", "kek", "--context", "x"], "--context takes NAME=VALUE"),
        (["seal", "kek", "--context", "x=1", "--context", "x=2"], "--context names 'x' twice"),
        (["seal", "Kek"], "local keys.seal: key name 'Kek' has characters other than"),
        (["create", "new", "DES"], "Invalid value for '{AES_256|"),
        (["delete", "kek", "--days", "3", "--yes"], "local keys.schedule_deletion 'kek': days must be a whole number"),
        (["sign", "kek"], "Missing option '--algorithm'."),
        (["sign", "kek", "--algorithm", "MD5"], "Invalid value for '--algorithm'"),
        (["sign", "kek", "--algorithm", "ES256", "--digest"], "local keys.sign 'kek': ES256 signs a digest of 32"),
        (["verify", "kek"], "Missing option '--signature'."),
        (["verify", "kek", "--signature", "none"], "'none' cannot be read"),
        (["verify", "kek", "--signature", "raw"], "a signature without its JSON needs --algorithm"),
        (["verify", "kek", "--signature", "json"], "the signature is JSON, and not that of"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage(folder: Path, arguments: list[str], message: str) -> None:
    """What the command cannot make sense of exits with 2 and two lines, and leaves no file."""
    made()
    (folder / "raw").write_bytes(b"signature")
    (folder / "json").write_text('{"version": 1}')
    ended = run(*arguments)
    assert (ended.status, ended.out) == (2, b"")
    assert ended.err.startswith(message)
    assert ended.err.count("\n") == 2
    assert "the fields of the error say where" not in ended.err
    assert sorted(os.listdir(folder)) == ["json", "raw"]


def test_closed_and_endless_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed standard input is no data, and a pipe that never ends is not read to its end where it cannot fit."""
    made()
    words = " ".join(f"'{word}'" for word in COMMAND)
    done = subprocess.run(["/bin/sh", "-c", f"{words} seal kek <&-"], capture_output=True, check=False, timeout=20)
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 2)
    assert b"standard input is closed" in done.stderr
    monkeypatch.setattr(_files, "MAX_INPUT", 10)
    for command in ("encrypt", "decrypt"):
        assert json.loads(run(command, "kek", "--json", stdin=bytes(11)).err)["code"] == "payload_too_large"


# -- signatures -------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "algorithm"), [(KeySpec.EC_P256, "ES256"), (KeySpec.RSA_2048, "PS512")])
def test_signatures_in_every_form(folder: Path, kind: KeySpec, algorithm: str) -> None:
    """What sign writes, as bytes, Base64 or JSON, is valid for what was signed and for nothing else."""
    made(kind)
    (folder / "data").write_bytes(b"data")
    how = ["--algorithm", algorithm]
    for form, needed in (([], how), (["--base64"], how), (["--json"], [])):
        (folder / "sig").write_bytes(run("sign", "kek", *how, *form, "--in", "data").out)
        verify = ["verify", "kek", "--signature", "sig", *needed]
        assert run(*verify, "--in", "data") == (0, b"valid\n", "")
        assert run(*verify, stdin=b"data").out == b"valid\n"
        assert run(*verify, stdin=b"other") == (NOT_VALID, b"not valid\n", "")
        assert run(*verify, "--json", stdin=b"other").json == {"key": "kek", "valid": False}
    assert run("sign", "kek", *how, "--in", "data", "--out", "sig").err == "the signature is in sig\n"
    assert run("verify", "kek", "--signature", "sig", *how, "--in", "data", "--json").json["valid"] is True
    (folder / "sig").write_bytes(b"[" * 5_000)
    assert run("verify", "kek", "--signature", "sig", *how, "--in", "data").status == NOT_VALID


def test_a_signature_outlives_a_rotation(folder: Path) -> None:
    """With the JSON of sign, or with --version, it is valid after the key was rotated."""
    made(KeySpec.EC_P256)
    signed = run("sign", "kek", "--algorithm", "ES256", "--json", stdin=b"data")
    (folder / "json").write_bytes(signed.out)
    (folder / "base64").write_text(signed.json["signature_base64"])
    run("rotate", "kek")
    assert run("verify", "kek", "--signature", "json", stdin=b"data").out == b"valid\n"
    bare = ["verify", "kek", "--signature", "base64", "--algorithm", "ES256"]
    assert run(*bare, stdin=b"data").out == b"not valid\n"
    assert run(*bare, "--version", signed.json["version"], stdin=b"data").out == b"valid\n"


def test_a_digest_is_as_good_as_the_message(folder: Path) -> None:
    """--digest signs and verifies what was hashed elsewhere."""
    made(KeySpec.EC_P256)
    digest = sha256(b"data").digest()
    (folder / "sig").write_bytes(run("sign", "kek", "--algorithm", "ES256", "--digest", "--json", stdin=digest).out)
    assert run("verify", "kek", "--signature", "sig", stdin=b"data").out == b"valid\n"
    assert run("verify", "kek", "--signature", "sig", "--digest", stdin=digest).out == b"valid\n"


# -- on a terminal ----------------------------------------------------------------------


def test_a_terminal_gets_text() -> None:
    """Base64 of what is sealed; plaintext with a line break, and refused if it is not plain text."""
    made()
    status, screen = on_terminal("seal", "kek", stdin=b"text")
    assert status == 0
    assert screen.startswith(b64encode(b"KMBE\x01").decode()[:6])
    assert on_terminal("unseal", "kek", stdin=screen.encode()) == (0, "text\n")
    for data in (b"\xff\x00", b"\x1b[2J"):
        sealed = run("seal", "kek", stdin=data).out
        assert on_terminal("unseal", "kek", stdin=sealed) == (
            2,
            (
                "the plaintext is not plain text, and is not printed on a terminal [invalid_argument]\n"
                "-> Redirect it (> FILE), or give --out FILE.\n"
            ),
        )


def test_typed_data_is_asked_for() -> None:
    """Nothing waits for a terminal unless --in - says so."""
    made()
    status, screen = on_terminal("seal", "kek", typed=b"")
    assert (status, screen) == (2, "there is no data [invalid_argument]\n-> Pipe it in, or give --in FILE.\n")
    status, screen = on_terminal("seal", "kek", "--in", "-", typed=b"typed\n\x04")
    assert status == 0
    assert on_terminal("unseal", "kek", stdin=screen.split()[-1].encode()) == (0, "typed\n\n")


def test_progress_is_shown_for_what_is_large(folder: Path) -> None:
    """A terminal sees each stage of a large file, whether or not its size is known; of a small one nothing."""
    made()
    (folder / "large").write_bytes(bytes(17 << 20))
    (folder / "small").write_bytes(bytes(1 << 20))
    status, screen = on_terminal("seal", "kek", "--in", "large", "--out", "sealed")
    assert status == 0
    assert all(word in screen for word in ("reading", "sealing", "writing", "17.8", "the envelope is in sealed"))
    status, screen = on_terminal("unseal", "kek", "--out", "open", stdin=(folder / "sealed").read_bytes())
    assert status == 0
    assert all(word in screen for word in ("reading", "opening", "writing"))
    assert (folder / "open").read_bytes() == bytes(17 << 20)
    assert on_terminal("seal", "kek", "--in", "small", "--out", "s") == (0, "the envelope is in s\n")


def test_no_progress_in_a_pipe(folder: Path) -> None:
    """Standard error that is no terminal gets one line, and rich is not loaded for it."""
    made()
    (folder / "large").write_bytes(bytes(17 << 20))
    code = "import sys; from kmsbridge.cli import main; main(); assert 'rich' not in sys.modules"
    done = subprocess.run(
        [sys.executable, "-c", code, "keys", "seal", "kek", "--in", "large", "--out", "s"],
        capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "the envelope is in s\n")


# -- large files, and what goes wrong ---------------------------------------------------


def peak(*arguments: str) -> int:
    """The most memory that a command had, in bytes."""
    with subprocess.Popen([*COMMAND, *arguments], stderr=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss * 1024


def test_a_large_file_takes_three_times_its_size(folder: Path) -> None:
    """64 MiB are sealed and opened with at most three times as much memory, signed with next to none."""
    made()
    run("create", "signer", "EC_P256")
    size = 64 << 20
    (folder / "empty").touch()
    (folder / "large").write_bytes(os.urandom(1 << 20) * 64)
    alone = peak("seal", "kek", "--in", "empty", "--out", "s")
    assert peak("seal", "kek", "--in", "large", "--out", "sealed") - alone < 3 * size
    assert peak("unseal", "kek", "--in", "sealed", "--out", "open") - alone < 3 * size
    assert peak("sign", "signer", "--algorithm", "ES256", "--in", "large", "--out", "sig") - alone < size / 2
    with open("large", "rb") as large, open("open", "rb") as opened:
        assert large.read() == opened.read()


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), OSError(28, "the disk is full")], ids=["Ctrl-C", "full"])
def test_a_file_is_written_whole_or_not_at_all(
    folder: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    """Cut off just before its end, an output leaves the file that was there, and nothing beside it."""
    made()
    sealed = run("seal", "kek", stdin=CANARY).out
    (folder / "out").write_bytes(b"before")

    def fail(_: int) -> None:
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        ended = run("unseal", "kek", "--out", "out", stdin=sealed)
    assert ended.status == (INTERRUPTED if isinstance(failure, KeyboardInterrupt) else 2)
    assert (os.listdir(folder), (folder / "out").read_bytes()) == (["out"], b"before")
    assert run("unseal", "kek", "--out", "out", stdin=sealed).status == 0
    assert (folder / "out").read_bytes() == CANARY


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_leaves_no_file(folder: Path) -> None:
    """A real SIGINT in the middle of the input is one line and 130."""
    made()
    os.mkfifo("fifo")
    with subprocess.Popen([*COMMAND, "seal", "kek", "--in", "fifo", "--out", "out"], stderr=subprocess.PIPE) as process:
        with open("fifo", "wb") as fifo:
            fifo.write(bytes(20 << 20))
            process.send_signal(2)
            assert process.wait(10) == INTERRUPTED
        assert process.stderr is not None
        assert process.stderr.read() == b"interrupted\n"
    assert os.listdir(folder) == ["fifo"]


def test_outputs_that_are_no_files(folder: Path) -> None:
    """A device and a named pipe are written to, a link is followed; none is replaced."""
    made()
    assert run("seal", "kek", "--out", "/dev/null", stdin=b"x").status == 0
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    (folder / "target").touch()
    (folder / "link").symlink_to("target")
    assert run("seal", "kek", "--out", "link", stdin=b"x").status == 0
    assert (folder / "link").is_symlink()
    assert (folder / "target").read_bytes()[:4] == b"KMBE"
    os.mkfifo("fifo")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append((folder / "fifo").read_bytes()))
    reader.start()
    assert run("seal", "kek", "--out", "fifo", stdin=b"x").status == 0
    reader.join(10)
    assert read[0][:4] == b"KMBE"


def test_a_file_may_take_its_own_place(folder: Path) -> None:
    """The input is read whole before the output is written."""
    made()
    (folder / "file").write_bytes(CANARY)
    assert run("seal", "kek", "--in", "file", "--out", "file").status == 0
    assert (folder / "file").read_bytes()[:4] == b"KMBE"
    assert run("unseal", "kek", "--in", "file", "--out", "file").status == 0
    assert (folder / "file").read_bytes() == CANARY


def test_a_reader_that_went_away_is_quiet() -> None:
    """A broken pipe ends seal as it ends any command."""
    made()
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*COMMAND, "seal", "kek"], input=bytes(1 << 20), stdout=writer, stderr=subprocess.PIPE, check=False, timeout=20
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (BROKEN_PIPE, b"")


def test_too_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit memory is payload_too_large."""
    made()

    def fail(*_: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr("kmsbridge.cli._keys.read_large", fail)
    ended = run("seal", "kek", stdin=b"x")
    assert (ended.status, ended.err.splitlines()[0]) == (2, "there is not enough memory for it [payload_too_large]")


NEEDED = {
    "list": ["prefix"],
    "create": ["none", "AES_256"],
    "delete": ["none", "--yes"],
    "sign": ["none", "--algorithm", "ES256"],
    "verify": ["none", "--algorithm", "ES256", "--signature", "sig"],
}
"""The arguments of commands that take more than a name."""
ABSENT = {"list": 0, "create": 0, "unseal": 2, "decrypt": 2}
"""The exit statuses of those that do not fail by `not_found` where there is no key."""


@pytest.mark.parametrize("command", list(keys.commands))
def test_each_command_ends_in_two_lines_or_json(folder: Path, command: str) -> None:
    """Where there is no key, by text and by --json alike."""
    (folder / "sig").write_bytes(b"signature")
    words = [command, *NEEDED.get(command, ["none"])]
    as_json = run(*words, "--json", stdin=b"x" * 32)
    assert as_json.status == ABSENT.get(command, STATUS[Category.NOT_FOUND])
    if as_json.status:
        assert json.loads(as_json.err)["operation"].startswith("keys.")
        ended = run(*words, stdin=b"x" * 32)
        assert (ended.status, ended.out, ended.err.count("\n")) == (as_json.status, b"", 2)
    else:
        assert isinstance(as_json.json, list | dict)
