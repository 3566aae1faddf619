"""What is sealed in a local store, and that nothing in it can be edited, moved or put back unnoticed."""

from __future__ import annotations

import atexit
import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import combinations
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmsbridge._ciphertext import Broken
from kmsbridge._model import Context, KeySpec, NewSecret, SecretChange
from kmsbridge_local._box import SALT_BYTES, canonical, seal, subkey, unseal
from kmsbridge_local._config import NAMES
from kmsbridge_local._database import FileDatabase, MemoryDatabase
from kmsbridge_local._errors import StoreError
from kmsbridge_local._keys import KeyStore
from kmsbridge_local._root_key import RootKeySource
from kmsbridge_local._rows import Head, KeyHead, KeyVersion, Version
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


class Kind(NamedTuple):
    """Secrets or keys: their tables, and what can be asked of them."""

    what: str
    heads: type[NamedTuple]
    versions: type[NamedTuple]
    head_edits: dict[str, str]
    """By column: what changes it in a head, and nothing else that has a meaning."""
    version_edits: dict[str, str]
    """By column: the same for a version."""
    listings: Callable[[Store], list[Callable[[], object]]]
    uses: Callable[[Store, str], list[Callable[[], object]]]
    """Whatever looks at a head of this name."""
    reads: Callable[[Store, str], list[Callable[[], object]]]
    """Whatever opens the latest version of this name."""


def secret_listings(store: Store) -> list[Callable[[], object]]:
    """The listings of secrets."""
    secrets = SecretStore(store, 7)
    return [lambda: secrets.list(soon, None), lambda: secrets.deleted(soon, None)]


def secret_uses(store: Store, name: str) -> list[Callable[[], object]]:
    """What can be done with a secret."""
    secrets = SecretStore(store, 7)
    return [
        lambda: secrets.get(soon, name, None),
        lambda: secrets.set(soon, name, new("more")),
        lambda: secrets.recover(soon, name),
    ]


def secret_reads(store: Store, name: str) -> list[Callable[[], object]]:
    """What reads the latest version of a secret."""
    secrets = SecretStore(store, 7)
    return [
        lambda: secrets.get(soon, name, None),
        lambda: secrets.versions(soon, name, None),
        lambda: secrets.list(soon, None),
        lambda: secrets.update(soon, name, None, SecretChange(tags={})),
    ]


def key_listings(store: Store) -> list[Callable[[], object]]:
    """The listing of keys."""
    return [lambda: KeyStore(store, 7).list(soon, None)]


def key_uses(store: Store, name: str) -> list[Callable[[], object]]:
    """What can be done with a key."""
    keys = KeyStore(store, 7)
    return [
        *key_reads(store, name),
        lambda: keys.create(soon, name, KeySpec.AES_256, {}),
        lambda: keys.rotate(soon, name),
        lambda: keys.cancel_deletion(soon, name),
    ]


def key_reads(store: Store, name: str) -> list[Callable[[], object]]:
    """What reads the latest version of a key."""
    keys = KeyStore(store, 7)
    return [
        lambda: keys.get(soon, name),
        lambda: keys.versions(soon, name, None),
        lambda: keys.encrypt(soon, name, b"plaintext", Context({}, b"")),
        lambda: keys.public_key(soon, name, None),
        lambda: keys.enable(soon, name, None, True),
        lambda: keys.schedule_deletion(soon, name, 7),
    ]


SECRET = Kind(
    "secret",
    Head,
    Version,
    {
        "name": "UPDATE secrets SET name = 'z' WHERE name = 'b'",
        "id": "UPDATE secrets SET id = '0123' WHERE name = 'b'",
        "latest": "UPDATE secrets SET latest = 1 WHERE name = 'a'",
        "deleted_at": "UPDATE secrets SET deleted_at = 1 WHERE name = 'b'",
        "purge_at": "UPDATE secrets SET purge_at = 9000000000000000 WHERE name = 'b'",
        "mac": "UPDATE secrets SET mac = zeroblob(32) WHERE name = 'b'",
    },
    {
        "secret": "UPDATE secret_versions SET secret = (SELECT id FROM secrets WHERE name = 'c'), ordinal = 2"
        " WHERE secret = (SELECT id FROM secrets WHERE name = 'b')",
        "ordinal": "UPDATE secret_versions SET ordinal = 13 - ordinal;"
        "UPDATE secret_versions SET ordinal = ordinal - 10",
        "version": "UPDATE secret_versions SET version = 'f' || version",
        "enabled": "UPDATE secret_versions SET enabled = 0",
        "kind": "UPDATE secret_versions SET kind = 'bytes' WHERE kind = 'text'",
        "content_type": "UPDATE secret_versions SET content_type = NULL",
        "tags": "UPDATE secret_versions SET tags = '{\"x\":\"y\"}'",
        "created_at": "UPDATE secret_versions SET created_at = created_at + 1",
        "updated_at": "UPDATE secret_versions SET updated_at = updated_at + 1",
        "expires_at": "UPDATE secret_versions SET expires_at = NULL",
        "box": "UPDATE secret_versions SET box = zeroblob(60)",
    },
    secret_listings,
    secret_uses,
    secret_reads,
)
KEY_KIND = Kind(
    "key",
    KeyHead,
    KeyVersion,
    {
        "name": "UPDATE keys SET name = 'z' WHERE name = 'b'",
        "id": "UPDATE keys SET id = '0123' WHERE name = 'b'",
        "latest": "UPDATE keys SET latest = 1 WHERE name = 'a'",
        "spec": "UPDATE keys SET spec = 'RSA_2048' WHERE name = 'b'",
        "enabled": "UPDATE keys SET enabled = 0 WHERE name = 'b'",
        "tags": "UPDATE keys SET tags = '{\"x\":\"y\"}' WHERE name = 'b'",
        "created_at": "UPDATE keys SET created_at = created_at + 1 WHERE name = 'b'",
        "purge_at": "UPDATE keys SET purge_at = 9000000000000000 WHERE name = 'b'",
        "mac": "UPDATE keys SET mac = zeroblob(32) WHERE name = 'b'",
    },
    {
        "key": "UPDATE key_versions SET key = (SELECT id FROM keys WHERE name = 'c'), ordinal = 2"
        " WHERE key = (SELECT id FROM keys WHERE name = 'b')",
        "ordinal": "UPDATE key_versions SET ordinal = 13 - ordinal; UPDATE key_versions SET ordinal = ordinal - 10",
        "version": "UPDATE key_versions SET version = 'f' || version",
        "enabled": "UPDATE key_versions SET enabled = 0",
        "created_at": "UPDATE key_versions SET created_at = created_at + 1",
        "box": "UPDATE key_versions SET box = zeroblob(80)",
    },
    key_listings,
    key_uses,
    key_reads,
)
KINDS = (SECRET, KEY_KIND)
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.what)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with secrets and keys a (2 versions), b and c."""
    path = str(tmp_path / "s.db")
    with closing(Store(FileDatabase(path, RootKeySource(path, None)))) as store:
        secrets, keys = SecretStore(store, 7), KeyStore(store, 7)
        secrets.set(soon, "a", new("first", tag="x"))
        secrets.set(soon, "a", new(b"second"))
        secrets.set(soon, "b", new("of b"))
        secrets.set(soon, "c", new("of c"))
        for name in "abc":
            keys.create(soon, name, KeySpec.AES_256, {})
        keys.rotate(soon, "a")
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


def test_the_records_have_the_columns_of_the_tables(store: Store) -> None:
    """A record is read by position, and a new column or table must not go unsealed."""
    with store.read(soon) as transaction:
        columns = {
            table: tuple(row[1] for row in transaction.connection.execute(f"PRAGMA table_info({table})"))
            for [table] in transaction.connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        }
    del columns["meta"]
    for kind in KINDS:
        assert columns.pop(f"{kind.what}s") == kind.heads._fields
        assert columns.pop(f"{kind.what}_versions") == kind.versions._fields
        assert (tuple(kind.head_edits), tuple(kind.version_edits)) == (kind.heads._fields, kind.versions._fields)
    assert columns == {}


@pytest.mark.parametrize(
    ("kind", "column"), [pytest.param(kind, c, id=f"{kind.what}-{c}") for kind in KINDS for c in kind.head_edits]
)
def test_an_edited_head_is_refused(store: Store, kind: Kind, column: str) -> None:
    """Every column of a head is under its MAC; an edit does not even hide the item from a listing."""
    edit(store, kind.head_edits[column])
    name = {"name": "z", "latest": "a"}.get(column, "b")
    for call in (*kind.listings(store), *kind.uses(store, name)):
        assert refusal(call) == "RowAltered"


@pytest.mark.parametrize(
    ("kind", "column"), [pytest.param(kind, c, id=f"{kind.what}-{c}") for kind in KINDS for c in kind.version_edits]
)
def test_an_edited_version_is_refused(store: Store, kind: Kind, column: str) -> None:
    """Every column of a version is in its associated data."""
    edit(store, kind.version_edits[column])
    for call in kind.reads(store, "b"):
        assert refusal(call) == "RowAltered"


@pytest.mark.parametrize("value", ["1.5", "'text'", "x'00'", "NULL", "9223372036854775807"])
def test_a_column_of_another_type_is_refused(store: Store, value: str) -> None:
    """Even where the schema was taken out of the way first, what a column holds cannot crash a read."""
    edit(
        store,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET sql = replace(replace(replace(sql, ') STRICT', ')'), 'tags TEXT NOT NULL', 'tags'),"
        " 'created_at INTEGER NOT NULL', 'created_at')",
        "PRAGMA writable_schema = RESET",
        f"UPDATE secret_versions SET tags = {value}",
        f"UPDATE keys SET tags = {value} WHERE name = 'a'",
        f"UPDATE key_versions SET created_at = {value} WHERE key = (SELECT id FROM keys WHERE name = 'b')",
    )
    assert refusal(lambda: SecretStore(store, 7).get(soon, "a", None)) == "RowAltered"
    for name in "ab":
        assert refusal(partial(KeyStore(store, 7).get, soon, name)) == "RowAltered"


@each_kind
@pytest.mark.parametrize(
    "statement",
    [
        """UPDATE {what}_versions SET box =
            (SELECT box FROM {what}_versions v JOIN {what}s s ON s.id = v.{what} WHERE s.name = 'c')
            WHERE {what} = (SELECT id FROM {what}s WHERE name = 'b')""",
        "UPDATE {what}s SET mac = (SELECT mac FROM {what}s WHERE name = 'c') WHERE name = 'b'",
        """UPDATE {what}s SET id = '' WHERE name = 'b';
            UPDATE {what}_versions SET {what} = 'b' WHERE {what} = (SELECT id FROM {what}s WHERE name = 'c');
            UPDATE {what}s SET id = (SELECT {what} FROM {what}_versions WHERE {what} != 'b' AND ordinal = 1 AND {what}
            NOT IN (SELECT id FROM {what}s)) WHERE name = 'c'""",
    ],
    ids=["box", "mac", "versions"],
)
def test_what_is_copied_from_another_item_is_refused(store: Store, kind: Kind, statement: str) -> None:
    """A box, a MAC or all versions of one secret or key do not fit another."""
    edit(store, statement.replace("{what}", kind.what))
    assert refusal(kind.listings(store)[0]) == "RowAltered"


def test_a_version_that_was_taken_out_is_missed(store: Store) -> None:
    """A row that was removed from the file is no version_not_found."""
    secrets, keys = SecretStore(store, 7), KeyStore(store, 7)
    versions = [info.version for info in secrets.versions(soon, "a", None).items]
    ciphertext = keys.encrypt(soon, "a", b"plaintext", Context({}, b""))
    for what in ("secret", "key"):
        of_a = f"{what} = (SELECT id FROM {what}s WHERE name = 'a')"
        edit(store, f"DELETE FROM {what}_versions WHERE ordinal = 1 AND {of_a}")
    assert refusal(lambda: secrets.versions(soon, "a", None)) == "RowAltered"
    assert refusal(lambda: secrets.get(soon, "a", versions[1])) == "RowAltered"
    assert refusal(lambda: secrets.get(soon, "a", "0" * 32)) == "RowAltered"
    assert secrets.get(soon, "a", versions[0]).value == b"second"
    assert refusal(lambda: keys.versions(soon, "a", None)) == "RowAltered"
    gone = replace(ciphertext, version="0" * 32)
    assert refusal(lambda: keys.decrypt(soon, gone, Context({}, b""))) == "RowAltered"
    assert keys.decrypt(soon, ciphertext, Context({}, b"")) == b"plaintext"


def test_an_old_head_is_noticed(store: Store) -> None:
    """Putting a head back from before the last version does not bring the version before it back."""
    with store.read(soon) as transaction:
        old = {
            what: transaction.connection.execute(f"SELECT latest, mac FROM {what}s WHERE name = 'b'").fetchone()
            for what in ("secret", "key")
        }
    SecretStore(store, 7).set(soon, "b", new("newer"))
    KeyStore(store, 7).rotate(soon, "b")
    with store.write(soon) as transaction:
        for what, columns in old.items():
            transaction.connection.execute(f"UPDATE {what}s SET (latest, mac) = (?, ?) WHERE name = 'b'", columns)
    assert refusal(lambda: SecretStore(store, 7).get(soon, "b", None)) == "RowAltered"
    assert refusal(lambda: KeyStore(store, 7).encrypt(soon, "b", b"x", Context({}, b""))) == "RowAltered"


@each_kind
def test_rows_of_an_item_that_is_gone_do_not_fit_a_new_one_of_its_name(store: Store, kind: Kind) -> None:
    """What was removed for good does not come back under the new item's head."""
    what = kind.what
    query = f"SELECT v.* FROM {what}_versions v JOIN {what}s s ON s.id = v.{what} WHERE s.name = 'b'"
    with store.write(soon) as transaction:
        old = transaction.connection.execute(query).fetchone()
        transaction.connection.execute(f"DELETE FROM {what}s WHERE name = 'b'")
    if kind is SECRET:
        SecretStore(store, 7).set(soon, "b", new("newer"))
    else:
        KeyStore(store, 7).create(soon, "b", KeySpec.AES_256, {})
    columns = ", ".join(kind.versions._fields[1:])
    marks = ", ".join("?" * len(kind.versions._fields[1:]))
    with store.write(soon) as transaction:
        change = f"UPDATE {what}_versions SET ({columns}) = ({marks}) WHERE {what} ="
        change += f" (SELECT id FROM {what}s WHERE name = 'b')"
        transaction.connection.execute(change, old[1:])
    for call in kind.reads(store, "b"):
        assert refusal(call) == "RowAltered"


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
