"""The rows of the store: their columns, and how each is bound to where it stands.

A secret or key has a head row under a MAC, and one row per version whose box holds the
value or the material. MAC and associated data cover every column that has a meaning, with
table, format and name, so a row that was edited, or copied from elsewhere, does not fit.
The head's random id is in its versions' data: rows of an item that is gone do not fit a new
one of its name.
"""

from __future__ import annotations

import hmac
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

from kmsbridge._ciphertext import Broken
from kmsbridge_local._box import canonical, seal, subkey, unseal
from kmsbridge_local._errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from kmsbridge_local._database import Stored
    from kmsbridge_local._store import Transaction

DAY = 24 * 60 * 60 * 1_000_000
"""Microseconds: so rows write times, since 1970."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FORMAT = 1
PAGE = 100
"""Rows that one page of a listing looks at."""


class Keys:
    """The sub-keys of one root key in one store, each for one use."""

    def __init__(self, root_key: bytes, stored: Stored) -> None:
        self.stored = stored
        self.macs = {table: subkey(root_key, stored.salt, f"MAC of {table}") for table in ("secrets", "keys")}
        self.boxes = {
            "secrets": subkey(root_key, stored.salt, "values of secrets"),
            "keys": subkey(root_key, stored.salt, "material of keys"),
        }


class Head(NamedTuple):
    """What is said of a secret as a whole. The fields are the columns of ``secrets``, in their order."""

    name: str
    id: str
    """32 hexadecimal digits, new for each secret, even of the same name."""
    latest: int
    """The ordinal of its latest version; they count from 1 without a gap."""
    deleted_at: int | None
    purge_at: int | None
    mac: bytes = b""


class Version(NamedTuple):
    """One version of a secret. The fields are the columns of ``secret_versions``, in their order."""

    secret: str
    """The id of its head."""
    ordinal: int
    version: str
    enabled: int
    kind: str
    """``text`` or ``bytes``: what the value was given as."""
    content_type: str | None
    tags: str
    """A JSON object."""
    created_at: int
    updated_at: int
    expires_at: int | None
    box: bytes = b""


class KeyHead(NamedTuple):
    """What is said of a key as a whole. The fields are the columns of ``keys``, in their order."""

    name: str
    id: str
    latest: int
    spec: str
    enabled: int
    tags: str
    created_at: int
    purge_at: int | None
    """When a scheduled deletion takes effect."""
    mac: bytes = b""


class KeyVersion(NamedTuple):
    """One version of a key. The fields are the columns of ``key_versions``, in their order."""

    key: str
    """The id of its head."""
    ordinal: int
    version: str
    enabled: int
    created_at: int
    box: bytes = b""


H = TypeVar("H", Head, KeyHead)
V = TypeVar("V", Version, KeyVersion)


class Table(Generic[H, V]):
    """How heads and versions of one kind of item are read and written. What is read is always checked.

    Args:
        what: ``secret`` or ``key``.
        head: The columns of the heads.
        version: The columns of the versions.
    """

    def __init__(self, what: str, head: type[H], version: type[V]) -> None:
        self.what = what
        self._heads, self._versions = f"{what}s", f"{what}_versions"
        self._head: type[H] = head
        self._version: type[V] = version
        columns = ", ".join(head._fields)
        of_head = f"SELECT * FROM {self._versions} WHERE {what} = ?"  # noqa: S608 - names of our own
        self._one = f"SELECT {columns} FROM {self._heads} WHERE name = ?"  # noqa: S608
        self._before = f"SELECT {columns} FROM {self._heads} WHERE name < ? ORDER BY name DESC LIMIT ?"  # noqa: S608
        self._after = f"SELECT {columns} FROM {self._heads} WHERE name > ? ORDER BY name LIMIT ?"  # noqa: S608
        self._remove = f"DELETE FROM {self._heads} WHERE name = ?"  # noqa: S608
        self._due = f"SELECT {columns} FROM {self._heads} WHERE purge_at <= ?"  # noqa: S608
        self._names = f"SELECT name FROM {self._heads}"  # noqa: S608
        self._put = (
            f"INSERT INTO {self._heads} ({columns}) VALUES ({_marks(head._fields)}) ON CONFLICT (name) DO UPDATE SET "  # noqa: S608
            + ", ".join(f"{column} = excluded.{column}" for column in head._fields[2:])
        )
        self._put_row = f"INSERT OR REPLACE INTO {self._versions} VALUES ({_marks(version._fields)})"  # noqa: S608
        self._count = f"SELECT count(*) FROM {self._versions} WHERE {what} = ?"  # noqa: S608
        self._by_ordinal = f"{of_head} AND ordinal = ?"
        self._newest = f"{of_head} AND ordinal >= ? ORDER BY ordinal DESC LIMIT 1"
        self._by_version = f"{of_head} AND version = ?"
        self._down = f"{of_head} AND ordinal <= ? ORDER BY ordinal DESC LIMIT ?"

    # -- heads --------------------------------------------------------------------------

    def head(self, transaction: Transaction, name: str) -> H | None:
        """The head of an item; None where there is none, or none any more."""
        row = transaction.connection.execute(self._one, (name,)).fetchone()
        if row is None:
            # A name that was edited or damaged stands where its own would: next to where the search ended.
            for query in (self._before, self._after):
                for neighbour in transaction.connection.execute(query, (name, 1)):
                    self._checked(transaction, neighbour)
            return None
        head = self._checked(transaction, row)
        return None if _gone(transaction, head) else head

    def page(self, transaction: Transaction, cursor: str | None) -> tuple[list[H], str | None]:
        """The heads after a name, and where the next page starts. An edited row hides no item: it is refused."""
        rows = transaction.connection.execute(self._after, (cursor or "", PAGE + 1))
        heads = [self._checked(transaction, row) for row in rows]
        following = heads[PAGE - 1].name if len(heads) > PAGE else None
        return [head for head in heads[:PAGE] if not _gone(transaction, head)], following

    def put(self, transaction: Transaction, head: H) -> None:
        """Write a head with its MAC."""
        sealed = head._replace(mac=self._mac(transaction.keys, head))
        transaction.connection.execute(self._put, sealed[:])

    def remove(self, transaction: Transaction, head: H) -> None:
        """Remove an item with all its versions."""
        transaction.connection.execute(self._remove, (head.name,))

    def remove_due(self, transaction: Transaction) -> None:
        """Remove the items whose time is over. A row that was edited stays: its date is not to be believed."""
        for row in transaction.connection.execute(self._due, (transaction.now,)).fetchall():
            with suppress(StoreError):
                self.remove(transaction, self._checked(transaction, row))

    def _checked(self, transaction: Transaction, row: tuple[Any, ...]) -> H:
        head: H = self._head(*row)
        try:
            if hmac.compare_digest(self._mac(transaction.keys, head), head.mac):
                return head
        except (Broken, TypeError):
            pass  # a column of another type is one more way to be altered
        raise self.altered(head.name)

    def _mac(self, keys: Keys, head: H) -> bytes:
        return hmac.digest(keys.macs[self._heads], canonical((_FORMAT, self._heads, *head[:-1])), "sha256")

    # -- versions -----------------------------------------------------------------------

    def version(self, transaction: Transaction, head: H, version: str | None) -> tuple[V, bytes]:
        """A version and what is in its box; the latest if none is named.

        Raises:
            StoreError: There is no such version, or a row is not one that this store wrote for this item.
        """
        if version is None:
            return self._read(transaction, head, self._newest, head.latest)
        return self._read(transaction, head, self._by_version, version)

    def versions(self, transaction: Transaction, head: H, cursor: str | None) -> tuple[list[V], str | None]:
        """A page of versions, newest first, and where the next page starts."""
        newest = head.latest if cursor is None else _ordinal(cursor)
        rows = [self._version(*row) for row in transaction.connection.execute(self._down, (head.id, newest, PAGE))]
        if [row.ordinal for row in rows] != list(range(newest, max(0, newest - PAGE), -1)):
            raise self.altered(head.name)
        for row in rows:
            self._opened(transaction.keys, head, row)
        return rows, str(newest - PAGE) if newest > PAGE else None

    def put_version(self, transaction: Transaction, head: H, row: V, content: bytes) -> V:
        """Write a version with its content in its box."""
        box = seal(transaction.keys.boxes[self._heads], content, self._associated(head, row))
        sealed = row._replace(box=box)
        transaction.connection.execute(self._put_row, sealed[:])
        return sealed

    def _read(self, transaction: Transaction, head: H, query: str, which: str | int) -> tuple[V, bytes]:
        row = transaction.connection.execute(query, (head.id, which)).fetchone()
        if row is None:
            [count] = transaction.connection.execute(self._count, (head.id,)).fetchone()
            if count != head.latest or query is not self._by_version:
                raise self.altered(head.name)  # a version was taken out: it may have been this one
            raise StoreError(f"{self.what.title()}VersionNotFound")
        found = self._version(*row)
        content = self._opened(transaction.keys, head, found)
        if found.ordinal > head.latest:  # the head is an old one
            raise self.altered(head.name)
        return found, content

    def _opened(self, keys: Keys, head: H, row: V) -> bytes:
        """What is in the box; this is also what proves all other columns."""
        try:
            return unseal(keys.boxes[self._heads], row.box, self._associated(head, row))
        except (Broken, TypeError):
            pass  # raised below, with nothing hanging on it
        raise self.altered(head.name)

    def _associated(self, head: H, row: V) -> bytes:
        return canonical((_FORMAT, self._versions, head.id, head.name, *row[:-1]))

    # -- all of them --------------------------------------------------------------------

    def reseal(self, transaction: Transaction, keys: Keys) -> int:
        """Seal all rows anew under other keys; how many there were."""
        anew = transaction._replace(keys=keys)
        count = 0
        for [name] in transaction.connection.execute(self._names).fetchall():
            head = self.head(transaction, name)
            if head is None:
                raise self.altered(name)
            for ordinal in range(1, head.latest + 1):
                row, content = self._read(transaction, head, self._by_ordinal, ordinal)
                self.put_version(anew, head, row, content)
            if transaction.connection.execute(self._count, (head.id,)).fetchone() != (head.latest,):
                raise self.altered(name)  # the head is an old one: what it does not know of would be lost
            self.put(anew, head)
            count += 1 + head.latest
        return count

    def altered(self, name: object) -> StoreError:
        """What to raise for a row that does not fit."""
        return StoreError("RowAltered", f"a stored row of {self.what} {ascii(name)[:110]} does not fit its seal")


def moment(microseconds: int) -> datetime:
    """A time as a row has it."""
    return EPOCH + timedelta(microseconds=microseconds)


def encoded_tags(tags: Mapping[str, str]) -> str:
    """Tags as a row has them: a JSON object."""
    return json.dumps(dict(tags), sort_keys=True, separators=(",", ":"))


def _marks(columns: tuple[str, ...]) -> str:
    return ", ".join("?" * len(columns))


def _gone(transaction: Transaction, head: Head | KeyHead) -> bool:
    """Whether its time is over; the next write removes it."""
    return head.purge_at is not None and head.purge_at <= transaction.now


def _ordinal(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise StoreError("InvalidCursor")
    return int(cursor)


SECRETS = Table("secret", Head, Version)
KEYS = Table("key", KeyHead, KeyVersion)
