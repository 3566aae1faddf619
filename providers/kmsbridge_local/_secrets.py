"""The operations on secrets, each one transaction."""

from __future__ import annotations

import json
import os
from datetime import timedelta

from kmsbridge._model import Page, Secret, SecretInfo
from kmsbridge_local._config import MAX_VALUE
from kmsbridge_local._errors import StoreError
from kmsbridge_local._rows import DAY, EPOCH, SECRETS, Head, Version, encoded_tags, moment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime

    from kmsbridge._model import NewSecret, SecretChange
    from kmsbridge_local._files import TimeLeft
    from kmsbridge_local._store import Store, Transaction


class SecretStore:
    """Secrets in a store. Blocking; every method takes what gives the seconds left.

    Args:
        store: The open store.
        recovery_days: How long what is deleted can be recovered.
    """

    def __init__(self, store: Store, recovery_days: int) -> None:
        self._store = store
        self._recovery = recovery_days * DAY

    def get(self, time_left: TimeLeft, name: str, version: str | None) -> Secret:
        """A version with its value, whether or not it has expired."""
        with self._store.read(time_left) as transaction:
            head = _active(transaction, name)
            row, value = SECRETS.version(transaction, head, version)
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
            head = SECRETS.head(transaction, name)
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
                tags=encoded_tags(new.tags),
                created_at=now,
                updated_at=now,
                expires_at=_seconds(new.expires_at),
            )
            SECRETS.put(transaction, head)
            SECRETS.put_version(transaction, head, row, value)
        return _secret(head, row, value)

    def list(self, time_left: TimeLeft, cursor: str | None) -> Page[SecretInfo]:
        """A page of the secrets that are not deleted, by name."""
        return self._page(time_left, cursor, deleted=False)

    def deleted(self, time_left: TimeLeft, cursor: str | None) -> Page[SecretInfo]:
        """A page of the secrets that are deleted and can be recovered, by name."""
        return self._page(time_left, cursor, deleted=True)

    def _page(self, time_left: TimeLeft, cursor: str | None, *, deleted: bool) -> Page[SecretInfo]:
        with self._store.read(time_left) as transaction:
            heads, following = SECRETS.page(transaction, cursor)
            infos = [
                _info(head, SECRETS.version(transaction, head, None)[0])
                for head in heads
                if (head.deleted_at is not None) is deleted
            ]
        return Page(infos, following)

    def versions(self, time_left: TimeLeft, name: str, cursor: str | None) -> Page[SecretInfo]:
        """A page of the versions of a secret, newest first."""
        with self._store.read(time_left) as transaction:
            head = _active(transaction, name)
            rows, following = SECRETS.versions(transaction, head, cursor)
        return Page([_info(head, row) for row in rows], following)

    def update(self, time_left: TimeLeft, name: str, version: str | None, change: SecretChange) -> SecretInfo:
        """Change what is said of a version."""
        with self._store.write(time_left) as transaction:
            head = _active(transaction, name)
            row, value = SECRETS.version(transaction, head, version)
            row = row._replace(
                enabled=row.enabled if change.enabled is None else int(change.enabled),
                tags=row.tags if change.tags is None else encoded_tags(change.tags),
                expires_at=row.expires_at if change.expires_at is None else _seconds(change.expires_at),
                updated_at=transaction.now,
            )
            SECRETS.put_version(transaction, head, row, value)
        return _info(head, row)

    def delete(self, time_left: TimeLeft, name: str) -> SecretInfo:
        """Delete a secret, with all versions, so that it can be recovered for some days."""
        with self._store.write(time_left) as transaction:
            now = transaction.now
            head = _active(transaction, name)._replace(deleted_at=now, purge_at=now + self._recovery)
            row, _ = SECRETS.version(transaction, head, None)
            SECRETS.put(transaction, head)
        return _info(head, row)

    def recover(self, time_left: TimeLeft, name: str) -> SecretInfo:
        """Bring a deleted secret back, with all versions."""
        with self._store.write(time_left) as transaction:
            head = _deleted(transaction, name)._replace(deleted_at=None, purge_at=None)
            row, _ = SECRETS.version(transaction, head, None)
            SECRETS.put(transaction, head)
        return _info(head, row)

    def purge(self, time_left: TimeLeft, name: str) -> None:
        """Remove a deleted secret for good."""
        with self._store.write(time_left) as transaction:
            SECRETS.remove(transaction, _deleted(transaction, name))


def _active(transaction: Transaction, name: str) -> Head:
    head = SECRETS.head(transaction, name)
    if head is None:
        raise StoreError("SecretNotFound")
    if head.deleted_at is not None:
        raise StoreError("SecretIsDeleted")
    return head


def _deleted(transaction: Transaction, name: str) -> Head:
    head = SECRETS.head(transaction, name)
    if head is None:
        raise StoreError("SecretNotFound")
    if head.deleted_at is None:
        raise StoreError("SecretNotDeleted")
    return head


# -- rows to records and back -----------------------------------------------------------


def _secret(head: Head, row: Version, value: bytes) -> Secret:
    return Secret(
        name=head.name,
        version=row.version,
        value=value.decode() if row.kind == "text" else value,
        content_type=row.content_type,
        tags=json.loads(row.tags),
        created_at=moment(row.created_at),
        expires_at=None if row.expires_at is None else moment(row.expires_at * 1_000_000),
    )


def _info(head: Head, row: Version) -> SecretInfo:
    return SecretInfo(
        name=head.name,
        version=row.version,
        enabled=bool(row.enabled),
        content_type=row.content_type,
        tags=json.loads(row.tags),
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
        expires_at=None if row.expires_at is None else moment(row.expires_at * 1_000_000),
        deleted_at=None if head.deleted_at is None else moment(head.deleted_at),
        purge_at=None if head.purge_at is None else moment(head.purge_at),
    )


def _seconds(when: datetime | None) -> int | None:
    return None if when is None else (when - EPOCH) // timedelta(seconds=1)
