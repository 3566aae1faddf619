"""Replacing the root key of a store in a file."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from time import monotonic
from typing import NamedTuple

from kmsbridge._errors import invalid
from kmsbridge_local._database import FileDatabase, Stored, keep
from kmsbridge_local._errors import StoreError, naming
from kmsbridge_local._files import folder_lock, status_of
from kmsbridge_local._root_key import RootKeySource, from_text, new_root_key, to_text
from kmsbridge_local._rows import KEYS, SECRETS, Keys
from kmsbridge_local._store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kmsbridge_local._config import LocalSettings


class RekeyReport(NamedTuple):
    """What a rekey did; its repr shows no key."""

    source: str
    """What held the old key: ``environment``, ``keyring`` or ``file``."""
    rows: int
    """How many rows were sealed anew."""
    key_file: str | None
    """The file that holds the new key; None where the keyring does."""
    root_key: str | None
    """The new key as it is written, where an operator has to install it; else None."""

    def __repr__(self) -> str:
        return f"<RekeyReport: {self.rows} rows, root key from the {self.source}, key not shown>"


def rekey(settings: LocalSettings, new_key: str | None = None, *, timeout: float = 300.0) -> RekeyReport:
    """Seal every row of a store under a new root key, in one transaction.

    The new key is on disk, in ``<database>.key.new``, before anything is sealed with it,
    and takes its place after the commit: whenever this is cut off, one of the keys on
    disk opens the store, and the next call finishes what was begun. Open bridges, also
    of other processes, find the new key by themselves. A key from the environment is
    replaced by an operator: the report has the new one.

    Args:
        settings: The store, as `configure` gave it.
        new_key: The new key as it is written; None has one made.
        timeout: Seconds until it gives up and changes nothing.

    Raises:
        InvalidRequestError: The store is in memory.
        StoreError: As for any call; the provider's `decoder` knows them.
    """
    if not isinstance(settings.place, str):
        hint = "Name a store in a file, such as local:/path/file.db."
        raise invalid("a store in memory has no root key to replace", "url", remediation=hint)
    deadline = monotonic() + timeout

    def time_left() -> float:
        if (left := deadline - monotonic()) <= 0:
            raise TimeoutError
        return left

    source = RootKeySource(settings.place, settings.root_key)
    root_key = new_root_key() if new_key is None else from_text(new_key, "the argument")
    with naming(settings.place):
        if status_of(settings.place) is None:
            raise StoreError("StoreNotFound", f"there is no store at {settings.place}")
        database = FileDatabase(settings.place, source)
        store = Store(database)
        try:
            with store.read(time_left):  # finishes an earlier rekey, which needs the lock of the folder itself
                pass
            with folder_lock(database.folder, time_left):
                with store.write(time_left) as transaction:
                    if transaction.keys.stored.fits(root_key):
                        raise StoreError("RootKeyUnchanged")
                    record = Stored.of(root_key, os.urandom(len(transaction.keys.stored.salt)))
                    keys = Keys(root_key, record)
                    rows = sum(table.reseal(transaction, keys) for table in (SECRETS, KEYS))
                    keep(transaction.connection, record)
                    source.announce(root_key)
                holder = store.source
                installed = source.install(holder, root_key)
            with store.pool.connection(time_left) as connection, suppress(sqlite3.Error):
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()  # what is sealed with the old key goes
        finally:
            store.close()
    key_file = source.file if os.path.exists(source.file) else source.next_file
    return RekeyReport(
        holder, rows, None if holder == "keyring" else key_file, None if installed else to_text(root_key)
    )
