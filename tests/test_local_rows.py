"""What is sealed in a local store, and that nothing in it can be edited, moved or put back unnoticed."""

from __future__ import annotations

import atexit
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmsbridge._ciphertext import Broken
from kmsbridge._model import NewSecret, SecretChange
from kmsbridge_local._box import SALT_BYTES, canonical, seal, subkey, unseal
from kmsbridge_local._config import NAMES
from kmsbridge_local._database import FileDatabase, MemoryDatabase
from kmsbridge_local._errors import StoreError
from kmsbridge_local._root_key import RootKeySource
from kmsbridge_local._rows import Head, Version
from kmsbridge_local._secrets import SecretStore
from kmsbridge_local._store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEY = bytes(range(32))
FIELDS = st.lists(st.none() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(codec="utf-8")) | st.binary())


def soon() -> float:
    """Seconds that a call of these tests has."""
    return 5.0


def new(value: str | bytes, **tags: str) -> NewSecret:
    """A value on its way to a store."""
    return NewSecret(value, "text/plain", tags, datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC), False)


# -- boxes ------------------------------------------------------------------------------


def test_a_box_of_this_release_opens() -> None:
    """A box that was sealed once is opened by every later release: key, salt, nonce and layout are fixed."""
    box = bytes.fromhex(
        "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
        "78d5c00452fd47faf9a3c7b5251f5b88be0f576cfac1fcf1a3320154dd"
    )
    assert unseal(KEY, box, b"where it stands") == b"what it holds"


def test_boxes_of_one_message_have_nothing_in_common() -> None:
    """Every box has a salt of its own, and so a key of its own."""
    boxes = {seal(KEY, b"message", b"")[:SALT_BYTES] for _ in range(1000)}
    assert len(boxes) == 1000


def test_every_flipped_bit_and_every_truncation_of_a_box_is_refused() -> None:
    """A box opens whole and unaltered, or not at all."""
    box = seal(KEY, b"a message of some size", b"data")
    damaged = [box[:size] for size in range(len(box))] + [box + b"\0"]
    for bit in range(len(box) * 8):
        flipped = bytearray(box)
        flipped[bit // 8] ^= 1 << bit % 8
        damaged.append(bytes(flipped))
    for other in damaged:
        with pytest.raises(Broken):
            unseal(KEY, other, b"data")


def test_another_key_or_other_data_does_not_open_a_box() -> None:
    """A box is bound to its sub-key and to its associated data."""
    box = seal(KEY, b"message", b"data")
    for key, data in ((subkey(KEY, b"", "other"), b"data"), (KEY, b"datb"), (KEY, b"")):
        with pytest.raises(Broken):
            unseal(key, box, data)


def test_sub_keys_differ_by_use_by_salt_and_by_root_key() -> None:
    """No two uses, stores or root keys share a key."""
    keys = [
        subkey(root, salt, use) for root in (KEY, bytes(32)) for salt in (b"a", b"b") for use in ("heads", "values")
    ]
    assert len(set(keys)) == len(keys)


@given(FIELDS, FIELDS)
def test_canonical_is_injective(one: list[str | bytes | int | None], other: list[str | bytes | int | None]) -> None:
    """Two lists of fields have the same bytes only if they are the same list."""
    assert (canonical(one) == canonical(other)) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    list(
        combinations(
            [
                (), ("",), (b"",), (None,), (0,), ("", ""), ("ab",), ("a", "b"), (b"ab",), ("0",), ("n",), (None, None),
                ("a", "bc"), ("ab", "c"), (1,), (-1,), (2**62,),
            ],
            2,
        )
    ),
)  # fmt: skip
def test_canonical_tells_what_looks_alike_apart(
    one: tuple[str | bytes | int | None, ...], other: tuple[str | bytes | int | None, ...]
) -> None:
    """Neither type, nor length, nor where one field ends is left open."""
    assert canonical(one) != canonical(other)


def test_canonical_refuses_what_no_row_of_ours_holds() -> None:
    """A number out of range, half a surrogate pair or a float in a column is an altered row, not a crash."""
    for fields in ((2**63,), ("\ud800",), (1.5,)):
        with pytest.raises(Broken):
            canonical(fields)  # type: ignore[arg-type]


# -- rows -------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with the secrets a (2 versions), b and c."""
    path = str(tmp_path / "s.db")
    with closing(Store(FileDatabase(path, RootKeySource(path, None)))) as store:
        secrets = SecretStore(store, 7)
        secrets.set(soon, "a", new("first", tag="x"))
        secrets.set(soon, "a", new(b"second"))
        secrets.set(soon, "b", new("of b"))
        secrets.set(soon, "c", new("of c"))
        yield store


def edit(store: Store, *statements: str) -> None:
    """What somebody does who can write to the file."""
    assert isinstance(store.database, FileDatabase)
    with closing(sqlite3.connect(store.database.path)) as raw:
        raw.executescript(";".join(statements))


def refusal(call: Callable[[], object]) -> str:
    """The code by which the store refuses a call."""
    with pytest.raises(StoreError) as caught:
        call()
    return caught.value.code


HEAD_EDITS = {
    "name": "UPDATE secrets SET name = 'z' WHERE name = 'b'",
    "id": "UPDATE secrets SET id = '0123' WHERE name = 'b'",
    "latest": "UPDATE secrets SET latest = 1 WHERE name = 'a'",
    "deleted_at": "UPDATE secrets SET deleted_at = 1 WHERE name = 'b'",
    "purge_at": "UPDATE secrets SET purge_at = 9000000000000000 WHERE name = 'b'",
    "mac": "UPDATE secrets SET mac = zeroblob(32) WHERE name = 'b'",
}
VERSION_EDITS = {
    "secret": "UPDATE secret_versions SET secret = (SELECT id FROM secrets WHERE name = 'c'), ordinal = 2"
    " WHERE secret = (SELECT id FROM secrets WHERE name = 'b')",
    "ordinal": "UPDATE secret_versions SET ordinal = 13 - ordinal; UPDATE secret_versions SET ordinal = ordinal - 10",
    "version": "UPDATE secret_versions SET version = 'f' || version",
    "enabled": "UPDATE secret_versions SET enabled = 0",
    "kind": "UPDATE secret_versions SET kind = 'bytes' WHERE kind = 'text'",
    "content_type": "UPDATE secret_versions SET content_type = NULL",
    "tags": "UPDATE secret_versions SET tags = '{\"x\":\"y\"}'",
    "created_at": "UPDATE secret_versions SET created_at = created_at + 1",
    "updated_at": "UPDATE secret_versions SET updated_at = updated_at + 1",
    "expires_at": "UPDATE secret_versions SET expires_at = NULL",
    "box": "UPDATE secret_versions SET box = zeroblob(60)",
}


def test_the_records_have_the_columns_of_the_tables(store: Store) -> None:
    """A record is read by position, and a new column must not go unsealed."""
    with store.read(soon) as transaction:
        columns = {
            table: tuple(row[1] for row in transaction.connection.execute(f"PRAGMA table_info({table})"))
            for table in ("secrets", "secret_versions")
        }
    assert columns == {"secrets": Head._fields, "secret_versions": Version._fields}
    assert (tuple(HEAD_EDITS), tuple(VERSION_EDITS)) == (Head._fields, Version._fields)


@pytest.mark.parametrize("column", HEAD_EDITS)
def test_an_edited_head_is_refused(store: Store, column: str) -> None:
    """Every column of a head is under its MAC; an edit does not even hide the secret from a listing."""
    edit(store, HEAD_EDITS[column])
    secrets = SecretStore(store, 7)
    assert refusal(lambda: secrets.list(soon, None)) == "RowAltered"
    assert refusal(lambda: secrets.deleted(soon, None)) == "RowAltered"
    name = {"name": "z", "latest": "a"}.get(column, "b")
    assert refusal(lambda: secrets.get(soon, name, None)) == "RowAltered"
    assert refusal(lambda: secrets.set(soon, name, new("more"))) == "RowAltered"
    assert refusal(lambda: secrets.recover(soon, name)) == "RowAltered"


@pytest.mark.parametrize("column", VERSION_EDITS)
def test_an_edited_version_is_refused(store: Store, column: str) -> None:
    """Every column of a version is in its associated data."""
    edit(store, VERSION_EDITS[column])
    secrets = SecretStore(store, 7)
    assert refusal(lambda: secrets.get(soon, "b", None)) == "RowAltered"
    assert refusal(lambda: secrets.versions(soon, "b", None)) == "RowAltered"
    assert refusal(lambda: secrets.list(soon, None)) == "RowAltered"
    assert refusal(lambda: secrets.update(soon, "b", None, SecretChange(tags={}))) == "RowAltered"


@pytest.mark.parametrize("value", ["1.5", "'text'", "x'00'", "NULL", "9223372036854775807"])
def test_a_column_of_another_type_is_refused(store: Store, value: str) -> None:
    """Even where the schema was taken out of the way first, what a column holds cannot crash a read."""
    edit(
        store,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET sql = replace(replace(sql, ') STRICT', ')'), 'tags TEXT NOT NULL', 'tags')",
        "PRAGMA writable_schema = RESET",
        f"UPDATE secret_versions SET tags = {value}",
    )
    assert refusal(lambda: SecretStore(store, 7).get(soon, "a", None)) == "RowAltered"


@pytest.mark.parametrize(
    "statement",
    [
        """UPDATE secret_versions SET box =
            (SELECT box FROM secret_versions v JOIN secrets s ON s.id = v.secret WHERE s.name = 'c')
            WHERE secret = (SELECT id FROM secrets WHERE name = 'b')""",
        "UPDATE secrets SET mac = (SELECT mac FROM secrets WHERE name = 'c') WHERE name = 'b'",
        """UPDATE secrets SET id = '' WHERE name = 'b';
            UPDATE secret_versions SET secret = 'b' WHERE secret = (SELECT id FROM secrets WHERE name = 'c');
            UPDATE secrets SET id = (SELECT secret FROM secret_versions WHERE secret != 'b' AND ordinal = 1 AND secret
            NOT IN (SELECT id FROM secrets)) WHERE name = 'c'""",
    ],
    ids=["box", "mac", "versions"],
)
def test_what_is_copied_from_another_secret_is_refused(store: Store, statement: str) -> None:
    """A box, a MAC or all versions of one secret do not fit another."""
    edit(store, statement)
    assert refusal(lambda: SecretStore(store, 7).list(soon, None)) == "RowAltered"


def test_a_version_that_was_taken_out_is_missed(store: Store) -> None:
    """A row that was removed from the file is no version_not_found."""
    secrets = SecretStore(store, 7)
    versions = [info.version for info in secrets.versions(soon, "a", None).items]
    edit(store, "DELETE FROM secret_versions WHERE ordinal = 1 AND kind = 'text' AND tags != '{}'")
    assert refusal(lambda: secrets.versions(soon, "a", None)) == "RowAltered"
    assert refusal(lambda: secrets.get(soon, "a", versions[1])) == "RowAltered"
    assert refusal(lambda: secrets.get(soon, "a", "0" * 32)) == "RowAltered"
    assert secrets.get(soon, "a", versions[0]).value == b"second"


def test_an_old_head_is_noticed(store: Store) -> None:
    """Putting a head back from before the last version does not bring the version before it back."""
    secrets = SecretStore(store, 7)
    with store.read(soon) as transaction:
        old = transaction.connection.execute("SELECT latest, mac FROM secrets WHERE name = 'b'").fetchone()
    secrets.set(soon, "b", new("newer"))
    with store.write(soon) as transaction:
        transaction.connection.execute("UPDATE secrets SET (latest, mac) = (?, ?) WHERE name = 'b'", old)
    assert refusal(lambda: secrets.get(soon, "b", None)) == "RowAltered"


def test_rows_of_a_purged_secret_do_not_fit_a_new_one_of_its_name(store: Store) -> None:
    """What was removed for good does not come back under the new secret's head."""
    secrets = SecretStore(store, 7)
    with store.read(soon) as transaction:
        query = "SELECT v.* FROM secret_versions v JOIN secrets s ON s.id = v.secret WHERE s.name = 'b'"
        old = Version(*transaction.connection.execute(query).fetchone())
    secrets.delete(soon, "b")
    secrets.purge(soon, "b")
    secrets.set(soon, "b", new("newer"))
    with store.write(soon) as transaction:
        change = "UPDATE secret_versions SET version = ?, created_at = ?, updated_at = ?, box = ? WHERE secret ="
        change += " (SELECT id FROM secrets WHERE name = 'b')"
        transaction.connection.execute(change, (old.version, old.created_at, old.updated_at, old.box))
    assert refusal(lambda: secrets.get(soon, "b", None)) == "RowAltered"


def test_rows_do_not_fit_another_store_under_the_same_root_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two stores that share a root key share no sub-key."""
    from kmsbridge_local._root_key import VARIABLE, new_root_key, to_text

    monkeypatch.setenv(VARIABLE, to_text(new_root_key()))
    paths = [str(tmp_path / name) for name in ("one.db", "two.db")]
    for path in paths:
        with closing(Store(FileDatabase(path, RootKeySource(path, None)))) as store:
            SecretStore(store, 7).set(soon, "a", new(path))
    with closing(sqlite3.connect(paths[0])) as raw:
        raw.execute("ATTACH ? AS other", (paths[1],))
        raw.executescript(
            """DELETE FROM secret_versions; DELETE FROM secrets;
            INSERT INTO secrets SELECT * FROM other.secrets;
            INSERT INTO secret_versions SELECT * FROM other.secret_versions"""
        )
    with closing(Store(FileDatabase(paths[0], RootKeySource(paths[0], None)))) as store:
        assert refusal(lambda: SecretStore(store, 7).get(soon, "a", None)) == "RowAltered"


def test_no_value_is_in_the_file(tmp_path: Path) -> None:
    """Neither the database nor its log holds a value, and no root key."""
    path = str(tmp_path / "s.db")
    with closing(Store(FileDatabase(path, RootKeySource(path, None)))) as store:
        SecretStore(store, 7).set(soon, "name", new("a-canary-value" * 100))
        for suffix in ("", "-wal"):
            with open(path + suffix, "rb") as stream:
                assert b"canary" not in stream.read()
    with open(f"{path}.key", "rb") as stream:
        key = stream.read().strip()
    for other in os.listdir(tmp_path):
        if not other.endswith(".key"):
            with open(tmp_path / other, "rb") as stream:
                assert key[30:] not in stream.read()


# -- round trip -------------------------------------------------------------------------

_MEMORY = Store(MemoryDatabase())
atexit.register(_MEMORY.close)
TEXT = st.text(st.characters(codec="utf-8"))


@given(
    st.from_regex(r"[!-~](?:[ -~]{0,253}[!-~])?", fullmatch=True),
    TEXT | st.binary(),
    st.dictionaries(TEXT, TEXT, max_size=15),
    st.none() | TEXT,
    st.none() | st.datetimes(datetime(1970, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - the zone comes with it
)
def test_what_goes_in_comes_out(
    name: str,
    value: str | bytes,
    tags: dict[str, str],
    content_type: str | None,
    expires_at: datetime | None,
) -> None:
    """Any legal name, and any value, tags, content type and date, come back as they were given."""
    assert NAMES.canonical(name) == name
    secrets = SecretStore(_MEMORY, 7)
    given_ = secrets.set(soon, name, NewSecret(value, content_type, tags, expires_at, False))
    found = secrets.get(soon, name, None)
    assert found == given_
    assert (found.name, found.value, type(found.value)) == (name, value, type(value))
    assert (found.tags, found.content_type) == (tags, content_type)
    assert found.expires_at == (None if expires_at is None else expires_at.replace(microsecond=0))


@pytest.mark.parametrize("name", ["", " a", "a ", "a\n", "\0", "ä", "a\u200eb", "x" * 256, "a\x7f"])
def test_names_that_look_alike_or_hide_something_are_not_legal(name: str) -> None:
    """A native name is printable ASCII, with no blank at an end, at most 255 characters."""
    assert NAMES.canonical(name) is None
