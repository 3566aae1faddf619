"""The operations on secrets, each one transaction."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta

from kmsbridge._model import Page, Secret, SecretInfo
from kmsbridge_local._config import MAX_VALUE
from kmsbridge_local._errors import StoreError
from kmsbridge_local._rows import Head, Version, altered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kmsbridge._model import NewSecret, SecretChange
    from kmsbridge_local._files import TimeLeft
    from kmsbridge_local._rows import Keys
    from kmsbridge_local._store import Store, Transaction

PAGE = 100
"""Rows that one page of a listing looks at."""
_DAY = 24 * 60 * 60 * 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_HEAD = "SELECT name, id, latest, deleted_at, purge_at, mac FROM secrets WHERE name = ?"
_HEADS_AFTER = "SELECT name, id, latest, deleted_at, purge_at, mac FROM secrets WHERE name > ? ORDER BY name LIMIT ?"
_PUT_HEAD = """
    INSERT INTO secrets (name, id, latest, deleted_at, purge_at, mac) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (name) DO UPDATE SET
        latest = excluded.latest, deleted_at = excluded.deleted_at, purge_at = excluded.purge_at, mac = excluded.mac
"""
_COUNT = "SELECT count(*) FROM secret_versions WHERE secret = ?"
_ORDINAL = "SELECT * FROM secret_versions WHERE secret = ? AND ordinal = ?"
_NEWEST = "SELECT * FROM secret_versions WHERE secret = ? AND ordinal >= ? ORDER BY ordinal DESC LIMIT 1"
_VERSION = "SELECT * FROM secret_versions WHERE secret = ? AND version = ?"
_VERSIONS_DOWN = "SELECT * FROM secret_versions WHERE secret = ? AND ordinal <= ? ORDER BY ordinal DESC LIMIT ?"
_PUT_VERSION = "INSERT OR REPLACE INTO secret_versions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class SecretStore:
    """Secrets in a store. Blocking; every method takes what gives the seconds left.

    Args:
        store: The open store.
        recovery_days: How long what is deleted can be recovered.
    """

    def __init__(self, store: Store, recovery_days: int) -> None:
        self._store = store
        self._recovery = recovery_days * _DAY

    def get(self, time_left: TimeLeft, name: str, version: str | None) -> Secret:
        """A version with its value, whether or not it has expired."""
        with self._store.read(time_left) as transaction:
            head = _active(transaction, name)
            row, value = _version(transaction, head, version)
        if not row.enabled:
            raise StoreError("SecretDisabled")
        return _secret(head, row, value)

    def set(self, time_left: TimeLeft, name: str, new: NewSecret) -> Secret:
        """Append a version; create the secret if it is missing."""
        text = isinstance(new.value, str)
        value = new.value.encode() if isinstance(new.value, str) else new.value
        if len(value) > MAX_VALUE:
            raise StoreError("ValueTooLarge")
        with self._store.write(time_left) as transaction:
            head = _head(transaction, name)
            if head is None:
                head = Head(name, os.urandom(16).hex(), 0, None, None)
            elif head.deleted_at is not None:
                raise StoreError("SecretDeletedButRecoverable")
            elif new.if_absent:
                raise StoreError("SecretAlreadyExists")
            head = head._replace(latest=head.latest + 1)
            now = transaction.now
            row = Version(
                secret=head.id,
                ordinal=head.latest,
                version=os.urandom(16).hex(),
                enabled=1,
                kind="text" if text else "bytes",
                content_type=new.content_type,
                tags=_tags(new.tags),
                created_at=now,
                updated_at=now,
                expires_at=_seconds(new.expires_at),
            )
            _put(transaction, head)
            _put_version(transaction, head, row, value)
        return _secret(head, row, value)

    def list(self, time_left: TimeLeft, cursor: str | None) -> Page[SecretInfo]:
        """A page of the secrets that are not deleted, by name."""
        return self._page(time_left, cursor, deleted=False)

    def deleted(self, time_left: TimeLeft, cursor: str | None) -> Page[SecretInfo]:
        """A page of the secrets that are deleted and can be recovered, by name."""
        return self._page(time_left, cursor, deleted=True)

    def _page(self, time_left: TimeLeft, cursor: str | None, *, deleted: bool) -> Page[SecretInfo]:
        with self._store.read(time_left) as transaction:
            heads = [Head(*row) for row in transaction.connection.execute(_HEADS_AFTER, (cursor or "", PAGE + 1))]
            infos = []
            for head in heads[:PAGE]:
                head.check(transaction.keys)  # also of what is left out: an edited state must not hide a secret
                if (head.deleted_at is not None) is deleted and not _purged(transaction, head):
                    infos.append(_info(head, _version(transaction, head, None)[0]))
        return Page(infos, heads[PAGE - 1].name if len(heads) > PAGE else None)

    def versions(self, time_left: TimeLeft, name: str, cursor: str | None) -> Page[SecretInfo]:
        """A page of the versions of a secret, newest first."""
        with self._store.read(time_left) as transaction:
            head = _active(transaction, name)
            newest = head.latest if cursor is None else _ordinal(cursor)
            rows = transaction.connection.execute(_VERSIONS_DOWN, (head.id, newest, PAGE))
            found = [Version(*row) for row in rows]
            if [row.ordinal for row in found] != list(range(newest, max(0, newest - PAGE), -1)):
                raise altered(name)
            for row in found:
                row.value(transaction.keys, head)
        return Page([_info(head, row) for row in found], str(newest - PAGE) if newest > PAGE else None)

    def update(self, time_left: TimeLeft, name: str, version: str | None, change: SecretChange) -> SecretInfo:
        """Change what is said of a version."""
        with self._store.write(time_left) as transaction:
            head = _active(transaction, name)
            row, value = _version(transaction, head, version)
            row = row._replace(
                enabled=row.enabled if change.enabled is None else int(change.enabled),
                tags=row.tags if change.tags is None else _tags(change.tags),
                expires_at=row.expires_at if change.expires_at is None else _seconds(change.expires_at),
                updated_at=transaction.now,
            )
            _put_version(transaction, head, row, value)
        return _info(head, row)

    def delete(self, time_left: TimeLeft, name: str) -> SecretInfo:
        """Delete a secret, with all versions, so that it can be recovered for some days."""
        with self._store.write(time_left) as transaction:
            now = transaction.now
            head = _active(transaction, name)._replace(deleted_at=now, purge_at=now + self._recovery)
            row, _ = _version(transaction, head, None)
            _put(transaction, head)
        return _info(head, row)

    def recover(self, time_left: TimeLeft, name: str) -> SecretInfo:
        """Bring a deleted secret back, with all versions."""
        with self._store.write(time_left) as transaction:
            head = _deleted(transaction, name)._replace(deleted_at=None, purge_at=None)
            row, _ = _version(transaction, head, None)
            _put(transaction, head)
        return _info(head, row)

    def purge(self, time_left: TimeLeft, name: str) -> None:
        """Remove a deleted secret for good."""
        with self._store.write(time_left) as transaction:
            head = _deleted(transaction, name)
            transaction.connection.execute("DELETE FROM secrets WHERE name = ?", (head.name,))

    @staticmethod
    def reseal(transaction: Transaction, keys: Keys) -> int:
        """Seal all rows anew under other keys; how many there were."""
        anew = transaction._replace(keys=keys)
        count = 0
        for [name] in transaction.connection.execute("SELECT name FROM secrets").fetchall():
            head = _head(transaction, name)
            if head is None:
                raise altered(name)
            for ordinal in range(1, head.latest + 1):
                row, value = _read(transaction, head, _ORDINAL, ordinal)
                _put_version(anew, head, row, value)
            if transaction.connection.execute(_COUNT, (head.id,)).fetchone() != (head.latest,):
                raise altered(name)  # the head is an old one: what it does not know of would be lost
            _put(anew, head)
            count += 1 + head.latest
        return count


# -- rows, always checked ---------------------------------------------------------------


def _head(transaction: Transaction, name: str) -> Head | None:
    """The head of a secret, deleted or not; None where there is none, or none any more."""
    row = transaction.connection.execute(_HEAD, (name,)).fetchone()
    if row is None:
        return None
    head = Head(*row)
    head.check(transaction.keys)
    return None if _purged(transaction, head) else head


def _purged(transaction: Transaction, head: Head) -> bool:
    """Whether its time to be recovered is over; the next write removes it."""
    return head.purge_at is not None and head.purge_at <= transaction.now


def _active(transaction: Transaction, name: str) -> Head:
    head = _head(transaction, name)
    if head is None:
        raise StoreError("SecretNotFound")
    if head.deleted_at is not None:
        raise StoreError("SecretIsDeleted")
    return head


def _deleted(transaction: Transaction, name: str) -> Head:
    head = _head(transaction, name)
    if head is None:
        raise StoreError("SecretNotFound")
    if head.deleted_at is None:
        raise StoreError("SecretNotDeleted")
    return head


def _version(transaction: Transaction, head: Head, version: str | None) -> tuple[Version, bytes]:
    """A version and its value; the latest if none is named."""
    if version is None:
        return _read(transaction, head, _NEWEST, head.latest)
    return _read(transaction, head, _VERSION, version)


def _read(transaction: Transaction, head: Head, query: str, which: str | int) -> tuple[Version, bytes]:
    row = transaction.connection.execute(query, (head.id, which)).fetchone()
    if row is None:
        [count] = transaction.connection.execute(_COUNT, (head.id,)).fetchone()
        if count != head.latest or query is not _VERSION:
            raise altered(head.name)  # a version was taken out: it may have been this one
        raise StoreError("SecretVersionNotFound")
    found = Version(*row)
    value = found.value(transaction.keys, head)
    if found.ordinal > head.latest:  # the head is an old one
        raise altered(head.name)
    return found, value


def _put(transaction: Transaction, head: Head) -> None:
    transaction.connection.execute(_PUT_HEAD, head.sealed(transaction.keys))


def _put_version(transaction: Transaction, head: Head, row: Version, value: bytes) -> None:
    transaction.connection.execute(_PUT_VERSION, row.sealed(transaction.keys, head, value))


# -- rows to records and back -----------------------------------------------------------


def _secret(head: Head, row: Version, value: bytes) -> Secret:
    return Secret(
        name=head.name,
        version=row.version,
        value=value.decode() if row.kind == "text" else value,
        content_type=row.content_type,
        tags=json.loads(row.tags),
        created_at=_moment(row.created_at),
        expires_at=None if row.expires_at is None else _moment(row.expires_at * 1_000_000),
    )


def _info(head: Head, row: Version) -> SecretInfo:
    return SecretInfo(
        name=head.name,
        version=row.version,
        enabled=bool(row.enabled),
        content_type=row.content_type,
        tags=json.loads(row.tags),
        created_at=_moment(row.created_at),
        updated_at=_moment(row.updated_at),
        expires_at=None if row.expires_at is None else _moment(row.expires_at * 1_000_000),
        deleted_at=None if head.deleted_at is None else _moment(head.deleted_at),
        purge_at=None if head.purge_at is None else _moment(head.purge_at),
    )


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _seconds(moment: datetime | None) -> int | None:
    return None if moment is None else (moment - _EPOCH) // timedelta(seconds=1)


def _tags(tags: Mapping[str, str]) -> str:
    return json.dumps(dict(tags), sort_keys=True, separators=(",", ":"))


def _ordinal(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise StoreError("InvalidCursor")
    return int(cursor)
