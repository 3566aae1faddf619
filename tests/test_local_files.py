"""The files of a local store: who may touch them, what is in them, and where the root key comes from."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import sys
from contextlib import closing, contextmanager
from tempfile import TemporaryDirectory

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringError

from kmsbridge import Code, KMSError
from kmsbridge._config import parse_url
from kmsbridge._model import NewSecret
from kmsbridge_local import _files, _schema, configure, decoder
from kmsbridge_local._database import FileDatabase
from kmsbridge_local._rekey import rekey
from kmsbridge_local._root_key import FILE_VARIABLE, PREFIX, VARIABLE, RootKeySource, from_text, new_root_key, to_text
from kmsbridge_local._schema import APPLICATION_ID, MIGRATIONS
from kmsbridge_local._secrets import SecretStore
from kmsbridge_local._store import Store, open_store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NOBODY = 65534
"""A user and group without any rights."""


@pytest.fixture(autouse=True)
def _no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv(FILE_VARIABLE, raising=False)


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where a store goes."""
    return str(tmp_path / "s.db")


def soon() -> float:
    """Seconds that a call of these tests has."""
    return 5.0


@contextmanager
def opened(path: str, root_key: str | None = None) -> Iterator[SecretStore]:
    """The secrets of a store in a file; its connections are closed at the end."""
    with closing(Store(FileDatabase(path, RootKeySource(path, root_key)))) as store:
        yield SecretStore(store, 7)


def put(path: str, value: str = "value", root_key: str | None = None) -> None:
    """Set the secret a."""
    with opened(path, root_key) as secrets:
        secrets.set(soon, "a", NewSecret(value, None, {}, None, False))


def get(path: str, root_key: str | None = None) -> str | bytes:
    """The secret a."""
    with opened(path, root_key) as secrets:
        return secrets.get(soon, "a", None).value


def refusal(call: Callable[[], object]) -> KMSError:
    """The error that a failing call gives its caller."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - SQLite's, the system's or ours: the decoder knows
        call()
    assert isinstance(caught.value, Exception)
    return decoder.decode(decoder.answer(caught.value))


def what_comes(call: Callable[[], str | bytes]) -> str | bytes:
    """What a call returns, or the provider's code of its error; with none, the type of the exception."""
    try:
        return call()
    except Exception as error:  # as above
        return next(iter(decoder.decode(decoder.answer(error)).provider_codes), type(error).__name__)


def code(call: Callable[[], object]) -> str:
    """The code of our own by which a call is refused."""
    error = refusal(call)
    assert error.code is not Code.UNKNOWN
    return error.provider_codes[0]


# -- who may touch them -----------------------------------------------------------------


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_files_are_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    """Database, log, shared memory and key are 0600, a new folder is 0700."""
    folder = tmp_path / "new"
    os.mkdir(folder, 0o700)
    before = os.umask(umask)
    try:
        with opened(str(folder / "s.db")) as secrets:
            secrets.set(soon, "a", NewSecret("value", None, {}, None, False))
            modes = {name: stat.S_IMODE(os.stat(folder / name).st_mode) for name in os.listdir(folder)}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("s.db", "s.db-wal", "s.db-shm", "s.db.key"), 0o600)


def test_the_folder_of_the_default_path_is_made_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder that local: has of its own is made if it is missing, for its user alone."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    with closing(open_store(configure(parse_url("local:")))) as store, store.read(soon):
        pass
    assert stat.S_IMODE(os.stat(tmp_path / "data" / "kmsbridge").st_mode) == 0o700


def test_a_named_folder_that_is_missing_is_refused(tmp_path: Path) -> None:
    """A mistyped path makes no folder, no store and no key; the error says how to make the folder."""
    folder = tmp_path / "no" / "such"
    settings = configure(parse_url(f"local:{folder}/s.db"))
    with closing(open_store(settings)) as store:
        error = refusal(lambda: SecretStore(store, 7).list(soon, None))
    assert (error.code, error.provider_codes) == (Code.CONTAINER_NOT_FOUND, ("FolderMissing",))
    assert error.message == f"the folder {folder} is not there"
    assert "mkdir -m 700" in error.remediation
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("suffix", ["", ".key", "-wal", "-shm"])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o601])
def test_a_file_that_others_may_read_or_write_is_refused(path: str, suffix: str, mode: int) -> None:
    """Any bit for group or others is too many, and the error says what to do."""
    put(path)
    with open(path + suffix, "ab"):
        os.chmod(path + suffix, mode)
    error = refusal(lambda: get(path))
    assert (error.code, error.provider_codes) == (Code.WRONG_STATE, ("FileOpenToOthers",))
    assert error.message == f"others may read or write {path}{suffix} (mode {mode:04o})"
    assert "chmod 600" in error.remediation


@pytest.mark.parametrize("suffix", ["", ".key", "-wal", "-shm"])
def test_a_symbolic_link_is_refused(path: str, suffix: str) -> None:
    """A link could lead to a file of somebody else's choice."""
    put(path)
    with open(path + suffix, "ab"):
        os.rename(path + suffix, f"{path}.elsewhere")
    os.symlink(f"{path}.elsewhere", path + suffix)
    error = refusal(lambda: get(path))
    assert error.provider_codes == ("FileIsLink",)
    assert error.message == f"{path}{suffix} is a symbolic link"


def test_a_link_that_leads_nowhere_is_refused(path: str) -> None:
    """A new store is not made where a link points to."""
    os.symlink(f"{path}.elsewhere", path)
    assert code(lambda: put(path)) == "FileIsLink"
    assert os.listdir(os.path.dirname(path)) == ["s.db"]


@pytest.mark.parametrize("suffix", ["", ".key"])
def test_a_file_of_another_user_is_refused(path: str, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What belongs to another user could be changed by that user at any time."""
    put(path)
    mine = os.lstat
    other = os.geteuid() + 1

    def lstat(name: str) -> os.stat_result:
        status = mine(name)
        if name != path + suffix:
            return status
        return os.stat_result([*status[:4], other, *status[5:10]])

    monkeypatch.setattr(os, "lstat", lstat)
    error = refusal(lambda: get(path))
    assert error.provider_codes == ("FileOfAnotherUser",)
    assert error.message == f"{path}{suffix} belongs to user {other}, and this runs as user {other - 1}"


@pytest.mark.parametrize("suffix", ["", ".key"])
def test_what_is_no_regular_file_is_refused(path: str, suffix: str) -> None:
    """A folder or a pipe in place of a file is refused, without waiting on the pipe."""
    for make in (os.mkdir, os.mkfifo):
        make(path + suffix, 0o600)
        error = refusal(lambda: put(path))
        assert (error.provider_codes, error.message) == (("FileNotRegular",), f"{path}{suffix} is not a regular file")
        (os.rmdir if make is os.mkdir else os.unlink)(path + suffix)


def test_a_key_file_is_looked_at_again_when_it_is_open(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is swapped in between the look and the opening is refused."""
    put(path)
    os.chmod(f"{path}.key", 0o644)
    monkeypatch.setattr(_files, "status_of", os.lstat)
    assert code(lambda: _files.read_private(f"{path}.key")) == "FileOpenToOthers"


def test_a_folder_in_which_anybody_may_replace_files_is_refused(tmp_path: Path) -> None:
    """Write permission for all is refused, except with the sticky bit, as in /tmp."""
    folder = tmp_path / "open"
    os.mkdir(folder)
    os.chmod(folder, 0o777)  # noqa: S103 - that is what is refused
    error = refusal(lambda: put(str(folder / "s.db")))
    assert error.provider_codes == ("FolderOpenToOthers",)
    assert error.message == f"anybody may replace files in {folder} (mode 0777)"
    os.chmod(folder, 0o1777)  # noqa: S103 - as /tmp is
    put(str(folder / "s.db"))
    assert get(str(folder / "s.db")) == "value"


def test_a_path_that_leads_through_a_file_is_refused(tmp_path: Path) -> None:
    """A file in place of a folder is access_denied, with what to check."""
    (tmp_path / "file").write_bytes(b"")
    error = refusal(lambda: put(str(tmp_path / "file" / "s.db")))
    assert (error.code, error.provider_codes) == (Code.ACCESS_DENIED, ("StoreUnreadable",))


def test_a_store_on_a_read_only_disk_can_be_read_or_is_refused(path: str) -> None:
    """A write to what may only be read is access_denied, and changes nothing."""
    put(path)
    with closing(Store(FileDatabase(path, RootKeySource(path, None)))) as store:
        with store.pool.connection(soon) as connection:
            connection.execute("PRAGMA query_only = ON")
        secrets = SecretStore(store, 7)
        assert secrets.get(soon, "a", None).value == "value"
        error = refusal(lambda: secrets.set(soon, "a", NewSecret("new", None, {}, None, False)))
        assert (error.code, error.provider_codes) == (Code.ACCESS_DENIED, ("ReadOnly",))
        assert error.message == f"the database {path} can only be read here"
    assert get(path) == "value"


def told_to_a_plain_user(work: Callable[[], list[str]]) -> list[str]:
    """What work returns in a child that is not root: root may read everything."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            os.write(writer, json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, encoding="ascii") as stream:
        told: list[str] = json.loads(stream.read())
    os.waitpid(child, 0)
    return told


def test_what_this_user_may_not_open_is_named_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Database, key, folder and a home that cannot be made are told apart, each with its path."""
    put(str(tmp_path / "s.db"))  # loads what a plain user might not be able to load
    with TemporaryDirectory() as folder:
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        path = f"{folder}/s.db"
        monkeypatch.setenv("XDG_DATA_HOME", f"{folder}/data")
        home = open_store(configure(parse_url("local:")))

        def work() -> list[str]:
            put(path)
            said = []
            for locked in (path, f"{path}.key", folder):
                mode = stat.S_IMODE(os.stat(locked).st_mode)
                os.chmod(locked, 0)
                said.append(refusal(lambda: get(path)).message)
                os.chmod(locked, mode)
            os.mkdir(f"{folder}/data", 0o500)
            said.append(refusal(lambda: SecretStore(home, 7).list(soon, None)).message)
            return said

        assert told_to_a_plain_user(work) == [
            f"the database {path} cannot be opened: Permission denied",
            f"the root key file {path}.key cannot be opened: Permission denied",
            f"the folder {folder} cannot be opened: Permission denied",
            f"the folder {folder}/data/kmsbridge cannot be made: Permission denied",
        ]


def test_a_store_in_a_read_only_folder_cannot_be_read(tmp_path: Path) -> None:
    """SQLite's log cannot be made beside it; the error says so of the file, as the documentation does."""
    put(str(tmp_path / "s.db"))  # as above
    with TemporaryDirectory() as folder:
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)

        def work() -> list[str]:
            put(f"{folder}/s.db")
            os.chmod(folder, 0o500)
            said = refusal(lambda: get(f"{folder}/s.db")).message
            os.chmod(folder, 0o700)
            return [said]

        assert told_to_a_plain_user(work) == [f"the database {folder}/s.db can only be read here"]


@contextmanager
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What is synced, linked and replaced meanwhile, by the last part of each path."""
    done: list[str] = []
    names: dict[int, str] = {}
    real = {name: getattr(os, name) for name in ("open", "fsync", "link", "replace")}

    def opening(path: str, *arguments: int) -> int:
        descriptor: int = real["open"](path, *arguments)
        names[descriptor] = os.path.basename(path)
        return descriptor

    def syncing(descriptor: int) -> None:
        real["fsync"](descriptor)
        done.append(f"sync {names[descriptor]}")

    def naming(verb: str) -> Callable[[str, str], None]:
        def named(source: str, target: str) -> None:
            real[verb](source, target)
            done.append(f"{verb} {os.path.basename(source)} {os.path.basename(target)}")

        return named

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", opening)
        patched.setattr(os, "fsync", syncing)
        for verb in ("link", "replace"):
            patched.setattr(os, verb, naming(verb))
        yield done


def test_a_file_is_on_disk_before_its_name_and_the_name_before_it_is_used(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Key, then database: the file is synced, named, and the folder synced; a rekey holds the new key first."""
    folder = os.path.basename(os.path.dirname(path))
    with recorded(monkeypatch) as done:
        put(path)
    assert done == [
        "sync s.db.key.tmp", "link s.db.key.tmp s.db.key", f"sync {folder}",
        "sync s.db.tmp", "link s.db.tmp s.db", f"sync {folder}",
    ]  # fmt: skip
    with recorded(monkeypatch) as done:
        rekey(configure(parse_url(f"local:{path}")))
    assert done == ["sync s.db.key.new", f"sync {folder}", "replace s.db.key.new s.db.key", f"sync {folder}"]


# -- what is in them --------------------------------------------------------------------


@pytest.mark.parametrize("size", [100, 4096, 5000, 20000])
def test_random_bytes_are_no_store(path: str, size: int) -> None:
    """A file of noise is damaged or somebody else's, never empty, and is left as it is."""
    put(path)
    noise = os.urandom(size)
    with open(path, "wb") as stream:
        stream.write(noise)
    error = refusal(lambda: get(path))
    assert (error.code, error.retry.action) == (Code.WRONG_STATE, "never")
    assert error.provider_codes == ("NotAStore",)
    assert error.message == f"the database {path} is not a store of kmsbridge, or is damaged from its first bytes on"
    assert refusal(lambda: put(path)).code is Code.WRONG_STATE
    with open(path, "rb") as stream:
        assert stream.read() == noise


def test_an_empty_file_and_another_database_are_no_store(path: str) -> None:
    """What is a database of something else is not written to."""
    for content in (b"", b"\0"):
        with open(path, "wb") as stream:
            os.chmod(path, 0o600)
            stream.write(content)
        assert code(lambda: put(path)) == "NotAStore"
        assert os.path.getsize(path) == len(content)
    os.truncate(path, 0)
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE secrets (a)")
    error = refusal(lambda: put(path))
    assert (error.provider_codes, error.message) == (("NotAStore",), f"{path} is a database, and not of kmsbridge")


def test_every_truncation_to_whole_pages_is_refused(path: str) -> None:
    """A file that is cut short is an error, never a store with less in it."""
    put(path, "x" * 20_000)
    with open(path, "rb") as stream:
        whole = stream.read()
    assert len(whole) > 8 * 4096
    for size in range(4096, len(whole), 4096):
        with open(path, "wb") as stream:
            stream.write(whole[:size])
        assert refusal(lambda: get(path)).code in (Code.WRONG_STATE, Code.INTERNAL_ERROR)
    with open(path, "wb") as stream:
        stream.write(whole)
    assert get(path) == "x" * 20_000


def test_damage_anywhere_gives_one_of_our_errors_or_the_right_value(path: str) -> None:
    """Whatever byte of the file is wrong: no wrong value, no absence, and no foreign exception."""
    put(path)
    with open(path, "rb") as stream:
        whole = stream.read()
    step = 1 if os.environ.get("KMSBRIDGE_LONG") == "1" else 23
    outcomes = set()
    for position in range(0, len(whole), step):
        with open(path, "r+b") as stream:
            stream.write(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        outcomes.add(what_comes(lambda: get(path)))
        for suffix in ("-wal", "-shm"):
            _files.remove(path + suffix)
    assert outcomes >= {"value", "RowAltered", "StoreCorrupt", "NotAStore"}
    assert outcomes <= {"value", "RowAltered", "StoreCorrupt", "StoreNewerFormat", "NotAStore"}


def test_every_connection_is_durable_and_forgets_what_it_removes(path: str) -> None:
    """A commit waits for the disk, and what is removed is overwritten."""
    put(path)
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1, "trusted_schema": 0}
    with opened(path) as secrets, secrets._store.pool.connection(soon) as connection:
        found = {pragma: connection.execute(f"PRAGMA {pragma}").fetchone()[0] for pragma in wanted}
    assert found == wanted


def test_a_newer_format_is_refused(path: str) -> None:
    """A store that a later release wrote is unsupported, not misread."""
    put(path)
    with closing(sqlite3.connect(path)) as raw:
        raw.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    error = refusal(lambda: get(path))
    assert (error.code, error.provider_codes) == (Code.UNSUPPORTED, ("StoreNewerFormat",))
    newest = len(MIGRATIONS)
    assert error.message == f"{path} has format {newest + 1}, and this kmsbridge reads up to {newest}"


def test_an_older_format_is_brought_up_to_date(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps that are missing are run, once, and what was there stays."""
    put(path)
    monkeypatch.setattr(_schema, "MIGRATIONS", (*MIGRATIONS, "CREATE TABLE later (a); INSERT INTO later VALUES (1);"))
    assert get(path) == "value"
    assert get(path) == "value"
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT a FROM later").fetchall() == [(1,)]
        assert raw.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 1,)
        assert raw.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)


def test_a_migration_that_fails_changes_nothing(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All missing steps are one transaction."""
    put(path)
    broken = "CREATE TABLE later (a); INSERT INTO nowhere VALUES (1);"
    monkeypatch.setattr(_schema, "MIGRATIONS", (*MIGRATIONS, broken))
    assert code(lambda: get(path)) == "StoreCorrupt"
    monkeypatch.undo()
    assert get(path) == "value"
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'later'").fetchone() == (0,)


def test_a_full_disk_changes_nothing(path: str) -> None:
    """A write for which there is no room is quota_exceeded, not applied, and reads go on."""
    with closing(Store(FileDatabase(path, RootKeySource(path, None)))) as store:
        secrets = SecretStore(store, 7)
        secrets.set(soon, "a", NewSecret("value", None, {}, None, False))
        with store.pool.connection(soon) as connection:
            [pages] = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages + 1}")
        error = refusal(lambda: secrets.set(soon, "a", NewSecret("x" * 60_000, None, {}, None, False)))
        assert (error.code, error.provider_codes, error.outcome) == (Code.QUOTA_EXCEEDED, ("DiskFull",), "not_applied")
        assert error.message == f"the disk of the database {path} is full"
        assert secrets.get(soon, "a", None).value == "value"
        assert len(secrets.versions(soon, "a", None).items) == 1
        with store.pool.connection(soon) as connection:
            connection.execute("PRAGMA max_page_count = 1000000")
        assert secrets.set(soon, "a", NewSecret("x" * 60_000, None, {}, None, False)).value == "x" * 60_000


def test_a_file_that_is_removed_or_replaced_while_it_is_open(path: str) -> None:
    """What is gone is container_not_found, never an empty store; what was put in its place is read anew."""
    with closing(Store(FileDatabase(path, RootKeySource(path, None)))) as store:
        secrets = SecretStore(store, 7)
        secrets.set(soon, "a", NewSecret("old", None, {}, None, False))
        for suffix in ("", "-wal", "-shm"):
            os.rename(path + suffix, f"{path}.away{suffix}")
        error = refusal(lambda: secrets.get(soon, "a", None))
        assert (error.code, error.provider_codes) == (Code.CONTAINER_NOT_FOUND, ("StoreMissing",))
        assert not os.path.exists(path)
        put(path, "another")
        assert secrets.get(soon, "a", None).value == "another"


def test_a_backup_that_sqlite_makes_is_a_store(path: str) -> None:
    """VACUUM INTO, as the documentation has it, also while the store is open; the key is kept apart."""
    with opened(path) as secrets:
        secrets.set(soon, "a", NewSecret("value", None, {}, None, False))
        with closing(sqlite3.connect(path)) as raw:
            raw.execute("VACUUM INTO ?", (f"{path}.backup",))
    os.chmod(f"{path}.backup", 0o600)
    assert code(lambda: get(f"{path}.backup")) == "RootKeyMissing"
    os.rename(f"{path}.key", f"{path}.backup.key")
    assert get(f"{path}.backup") == "value"


def test_a_log_without_its_database_is_not_taken_for_a_new_store(path: str) -> None:
    """Where only the log is left, the last writes are in it, and nothing new is begun over it."""
    with open(f"{path}-wal", "wb"):
        os.chmod(f"{path}-wal", 0o600)
    assert code(lambda: put(path)) == "StoreMissing"


def test_what_a_cut_off_start_left_behind_is_in_nobodys_way(path: str) -> None:
    """Half-made files of a process that was killed are made anew."""
    for name in (f"{path}.tmp", f"{path}.tmp-wal", f"{path}.key.tmp"):
        with open(name, "wb") as stream:
            stream.write(b"half")
    put(path)
    assert get(path) == "value"
    assert sorted(os.listdir(os.path.dirname(path))) == ["s.db", "s.db.key"]


# -- the root key -----------------------------------------------------------------------


def test_a_root_key_is_written_and_read(path: str) -> None:
    """Prefix, Base64, checksum: one frozen example, and what is made here is like it."""
    text = "kmsbridge-root-key-v1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh_kukOJ"
    key = bytes(range(32))
    assert to_text(key) == text
    assert from_text(f" {text}\n", "here") == key
    put(path)
    with open(f"{path}.key") as stream:
        assert len(from_text(stream.read(), "here")) == 32


def bad_keys() -> list[str]:
    """What is not a root key."""
    text = to_text(bytes(range(32)))
    flipped = [text[:i] + ("A" if text[i] != "A" else "B") + text[i + 1 :] for i in range(len(PREFIX), len(text))]
    cut = [text[:size] for size in range(1, len(text))]
    return [*flipped, *cut, text + "A", text + text, text[len(PREFIX) :], "passphrase", text.upper(), "\u00e9"]


def test_what_is_not_a_root_key_is_refused_and_not_shown() -> None:
    """Any wrong, missing or extra character gives the same clear error, which repeats nothing of it."""
    for text in bad_keys():
        error = refusal(lambda text=text: from_text(text, "THE_SOURCE"))  # type: ignore[misc]
        assert (error.code, error.provider_codes) == (Code.CREDENTIAL_REJECTED, ("RootKeyMalformed",))
        assert error.message == "what THE_SOURCE holds is not a root key, or not all of it"


def test_the_environment_holds_the_key(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a key in the environment no key file is made."""
    monkeypatch.setenv(VARIABLE, to_text(new_root_key()))
    put(path)
    assert get(path) == "value"
    assert os.listdir(os.path.dirname(path)) == ["s.db"]


@pytest.mark.parametrize("linked", [False, True])
def test_the_environment_names_a_file_that_holds_the_key(
    path: str, monkeypatch: pytest.MonkeyPatch, linked: bool
) -> None:
    """The named file may be a link, as mounted secrets are."""
    held = f"{path}.held"
    _files.write_new(held, to_text(new_root_key()).encode())
    if linked:
        os.symlink(held, f"{path}.link")
    monkeypatch.setenv(FILE_VARIABLE, f"{path}.link" if linked else held)
    put(path)
    assert get(path) == "value"
    assert not os.path.exists(f"{path}.key")


def test_a_named_key_file_must_be_there_and_private(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing, readable by all, or no file: each is its own error, and no key is made instead."""
    held = f"{path}.held"
    monkeypatch.setenv(FILE_VARIABLE, held)
    error = refusal(lambda: put(path))
    assert (error.code, error.provider_codes) == (Code.CREDENTIAL_UNAVAILABLE, ("RootKeyMissing",))
    assert error.message == f"{FILE_VARIABLE} names {held}, which is not there"
    _files.write_new(held, to_text(new_root_key()).encode())
    os.chmod(held, 0o644)
    assert code(lambda: put(path)) == "FileOpenToOthers"
    os.unlink(held)
    os.mkdir(held)
    assert code(lambda: put(path)) == "FileNotRegular"
    assert not os.path.exists(path)
    assert not os.path.exists(f"{path}.key")


def test_two_sources_that_differ_are_an_error(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which of two keys is meant is not guessed; a chosen source is not compared."""
    put(path)
    monkeypatch.setenv(VARIABLE, to_text(new_root_key()))
    error = refusal(lambda: get(path))
    assert (error.code, error.provider_codes) == (Code.CREDENTIAL_REJECTED, ("RootKeysDiffer",))
    assert error.message == f"{VARIABLE} and {path}.key hold different root keys"
    assert get(path, "file") == "value"
    with open(f"{path}.key") as stream:
        monkeypatch.setenv(VARIABLE, stream.read())
    assert get(path) == "value"
    monkeypatch.setenv(FILE_VARIABLE, f"{path}.key")
    assert get(path) == "value"
    _files.write_new(f"{path}.held", to_text(new_root_key()).encode())
    monkeypatch.setenv(FILE_VARIABLE, f"{path}.held")
    assert code(lambda: get(path, "environment")) == "RootKeysDiffer"


def test_a_database_without_its_key_is_an_error(path: str) -> None:
    """No key is ever made for a database that is there."""
    put(path)
    os.rename(f"{path}.key", f"{path}.away")
    error = refusal(lambda: get(path))
    assert (error.code, error.retry.action) == (Code.CREDENTIAL_UNAVAILABLE, "never")
    assert error.provider_codes == ("RootKeyMissing",)
    assert f"{path}.key is not there" in error.message
    assert refusal(lambda: put(path)).provider_codes == ("RootKeyMissing",)
    assert not os.path.exists(f"{path}.key")
    os.rename(f"{path}.away", f"{path}.key")
    assert get(path) == "value"


def test_the_wrong_key_is_told_from_damage(path: str) -> None:
    """A key that does not fit is credential_rejected; a damaged record of the key is not blamed on the key."""
    put(path)
    with open(f"{path}.key") as stream:
        right = stream.read()
    with open(f"{path}.key", "w") as stream:
        stream.write(to_text(new_root_key()))
    error = refusal(lambda: get(path))
    assert (error.code, error.provider_codes) == (Code.CREDENTIAL_REJECTED, ("WrongRootKey",))
    assert error.message == f"the root key from the file is not the one of {path}"
    with open(f"{path}.key", "w") as stream:
        stream.write(right)
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("UPDATE meta SET key_check = zeroblob(32)")
    error = refusal(lambda: get(path))
    assert error.provider_codes == ("StoreCorrupt",)
    assert error.message == f"the database {path} is damaged: its record of the root key does not fit"
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("DELETE FROM meta")
    assert code(lambda: get(path)) == "StoreCorrupt"


def test_a_key_is_not_made_in_the_environment(path: str) -> None:
    """Where the key is to come from the environment and is not there, nothing is made."""
    assert code(lambda: put(path, root_key="environment")) == "RootKeyMissing"
    assert os.listdir(os.path.dirname(path)) == []


class Ring(KeyringBackend):
    """A keyring in memory; it can be locked."""

    priority = 1  # pyright: ignore[reportAssignmentType]

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.held: dict[tuple[str, str], str] = {}
        self.asked = 0
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        """What it holds."""
        self.asked += 1
        if self.locked:
            raise KeyringError("canary")
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        """Hold it."""
        if self.locked:
            raise KeyringError("canary")
        self.held[service, username] = password


@pytest.fixture
def ring() -> Iterator[Ring]:
    """The keyring of this test."""
    before = keyring.get_keyring()
    ring = Ring()
    keyring.set_keyring(ring)
    yield ring
    keyring.set_keyring(before)


def test_the_keyring_holds_the_key(path: str, ring: Ring) -> None:
    """When it is chosen, the key is made in the keyring, and no key file."""
    put(path, root_key="keyring")
    assert get(path, "keyring") == "value"
    assert list(ring.held) == [("kmsbridge-local", path)]
    assert os.listdir(os.path.dirname(path)) == ["s.db"]
    ring.held.clear()
    assert code(lambda: get(path, "keyring")) == "RootKeyMissing"


def test_the_keyring_is_asked_only_when_it_is_chosen(path: str, ring: Ring) -> None:
    """A keyring may prompt, and must not do so by surprise, not even when there is no key elsewhere."""
    put(path)
    os.unlink(f"{path}.key")
    assert code(lambda: get(path)) == "RootKeyMissing"
    assert ring.asked == 0


def test_a_keyring_that_refuses_is_an_error(path: str, ring: Ring) -> None:
    """A locked keyring is credential_unavailable, and its own words are not shown."""
    ring.locked = True
    error = refusal(lambda: put(path, root_key="keyring"))
    assert (error.code, error.provider_codes) == (Code.CREDENTIAL_UNAVAILABLE, ("KeyringUnavailable",))
    assert "canary" not in error.details()


def test_a_keyring_that_is_not_installed_is_named(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    error = refusal(lambda: put(path, root_key="keyring"))
    assert (error.code, error.provider_codes) == (Code.UNSUPPORTED, ("KeyringNotInstalled",))
    assert error.remediation == "pip install 'kmsbridge[keyring]'"


# -- where they are ---------------------------------------------------------------------


def test_where_a_store_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """local: is in the user's data folder, a relative path starts at the working directory."""
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert configure(parse_url("local:")).place == "/data/kmsbridge/local.db"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/u")
    assert configure(parse_url("local:")).place == "/home/u/.local/share/kmsbridge/local.db"
    assert configure(parse_url("local:~/x.db")).place == "/home/u/x.db"
    monkeypatch.chdir(tmp_path)
    assert configure(parse_url("local:x%20y.db")).place == str(tmp_path / "x y.db")
    assert configure(parse_url("local:/a/../b.db")).place == "/b.db"
    assert configure(parse_url("local:///b.db")).address == configure(parse_url("local:/b.db")).address


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("local://host/x.db", "local: has no host"),
        ("local:/x.db?mode=ro", "unknown URL parameter 'mode'"),
        ("local:/folder/", "must end in the name of a file"),
        ("local:..", "must end in the name of a file"),
        ("memory://x", "memory: has no host"),
        ("memory:a/b", "the name of a store in memory"),
    ],
)
def test_a_wrong_url_is_refused(url: str, says: str) -> None:
    """What is wrong with a URL is said before anything is opened."""
    with pytest.raises(KMSError, match=says):
        configure(parse_url(url))


@pytest.mark.parametrize(
    ("url", "options", "says", "write"),
    [
        ("local:x.db", {"recovery": 7}, "unknown option 'recovery'", "recovery_days"),
        ("memory:", {"root_key": "file"}, "unknown option 'root_key'", "recovery_days"),
        ("local:x.db", {"root_key": "vault"}, "one of environment, keyring, file", 'Write root_key = "file"'),
        *(("memory:", {"recovery_days": d}, "from 7 to 90", "recovery_days = 30") for d in (6, 91, True, "7", 7.5)),
    ],
)
def test_a_wrong_option_is_refused(url: str, options: dict[str, object], says: str, write: str) -> None:
    """Unknown options are refused with the allowed ones, wrong values with what to write."""
    with pytest.raises(KMSError, match=says) as caught:
        configure(parse_url(url)._replace(options=options))
    assert write in caught.value.remediation


def test_a_credential_is_refused() -> None:
    """There is nobody to log in to."""
    with pytest.raises(KMSError, match="takes no credential"):
        configure(parse_url("memory:")._replace(credential=object()))
