"""The SQLite database of a store: how it is made and opened, and what it says of its root key."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from typing import NamedTuple
from urllib.parse import quote

from kmsbridge_local._box import subkey
from kmsbridge_local._errors import StoreError
from kmsbridge_local._files import (
    check_access,
    check_folder,
    folder_lock,
    make_folder,
    publish,
    remove,
    status_of,
    write_new,
)
from kmsbridge_local._root_key import RootKeySource, new_root_key
from kmsbridge_local._schema import APPLICATION_ID, migrate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable

    from kmsbridge_local._files import TimeLeft

_SALT_BYTES = 32


class Stored(NamedTuple):
    """What the database says of its root key."""

    salt: bytes
    """Goes into all sub-keys: rows of two stores under one root key do not fit each other."""
    key_check: bytes
    """A sub-key that seals nothing, to tell the wrong key from damage."""
    checksum: bytes

    @classmethod
    def of(cls, root_key: bytes, salt: bytes) -> Stored:
        """What is stored for a root key."""
        key_check = subkey(root_key, salt, "key check")
        return cls(salt, key_check, hashlib.sha256(salt + key_check).digest())

    def fits(self, root_key: bytes) -> bool:
        """Whether this is the root key of the database.

        Raises:
            StoreError: What is stored is damaged, and so says nothing of any key.
        """
        if hashlib.sha256(self.salt + self.key_check).digest() != self.checksum:
            raise StoreError("StoreCorrupt", "its record of the root key does not fit")
        return self == Stored.of(root_key, self.salt)


def stored(connection: sqlite3.Connection) -> Stored:
    """What the database says of its root key."""
    row = connection.execute("SELECT salt, key_check, checksum FROM meta").fetchone()
    if row is None or not all(isinstance(column, bytes) for column in row):
        raise StoreError("StoreCorrupt", "its record of the root key is gone")
    return Stored(*row)


def keep(connection: sqlite3.Connection, record: Stored) -> None:
    """Write what the database says of its root key."""
    connection.execute("INSERT OR REPLACE INTO meta (id, salt, key_check, checksum) VALUES (1, ?, ?, ?)", record)


class FileDatabase:
    """A store in a file.

    Args:
        path: Absolute path of the database file.
        source: Where its root key is held.
        makes_folder: Whether a missing folder is made.
    """

    connections = 8
    in_memory = False

    def __init__(self, path: str, source: RootKeySource, *, makes_folder: bool = False) -> None:
        self.path = path
        self.folder = os.path.dirname(path)
        self.source = source
        self._makes_folder = makes_folder
        self._found = False

    def identity(self) -> Hashable:
        """Device and inode of the file; None while there is none, or none can be seen: `connect` says why."""
        try:
            status = os.lstat(self.path)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def connect(self, time_left: TimeLeft) -> sqlite3.Connection:
        """A new connection; the first one makes the database if it is missing.

        Raises:
            StoreError: A file is not as it must be, or not a store that can be read here.
            OSError: A file or the folder cannot be opened.
            sqlite3.Error: What the database is or has is not as it must be.
        """
        if self._makes_folder and not self._found:
            make_folder(self.folder)
        check_folder(self.folder)
        if status_of(self.path) is None:
            if self._found:
                raise StoreError("StoreMissing", f"{self.path} was there and is gone")
            self._make(time_left)
        for file in (self.path, f"{self.path}-wal", f"{self.path}-shm"):
            if status_of(file) is not None:
                check_access(file, os.R_OK)
        connection = _opened(self.path, time_left)
        try:
            migrate(connection, self.path)
        except BaseException:
            connection.close()
            raise
        self._found = True
        return connection

    def root_key(self, record: Stored, time_left: TimeLeft) -> tuple[str, bytes]:
        """The root key that fits, and the source that holds it.

        Finishes a rekey that was cut off after its key came into use.

        Raises:
            StoreError: There is no key, or it is not the one of this store.
        """
        found = self.source.find()
        if found is not None and record.fits(found[1]):
            return found
        with folder_lock(self.folder, time_left):  # a rekey that goes on holds it until its key is installed
            found = self.source.find()
            if found is not None and record.fits(found[1]):
                return found
            announced = self.source.announced()
            if announced is not None and record.fits(announced):
                holder = self.source.holder() if found is None else found[0]
                if self.source.install(holder, announced):
                    return holder, announced
                raise StoreError("RootKeyReplaced", f"the store was rekeyed; its new key is in {self.source.next_file}")
        if found is None:
            raise self.source.missing()
        raise StoreError("WrongRootKey", f"the root key from the {found[0]} is not the one of {self.path}")

    def _make(self, time_left: TimeLeft) -> None:
        """Make key and database; of several processes that try, one does."""
        with folder_lock(self.folder, time_left):
            if status_of(self.path) is not None:
                return
            if os.path.lexists(f"{self.path}-wal"):
                raise StoreError("StoreMissing", f"{self.path} is gone, but {self.path}-wal holds writes to it")
            found = self.source.find()
            root_key = self.source.make() if found is None else found[1]
            temporary = f"{self.path}.tmp"
            remove(temporary, f"{temporary}-wal", f"{temporary}-shm", f"{temporary}-journal")
            write_new(temporary, b"")  # SQLite's own files take their mode from this one
            connection = _opened(temporary, time_left)
            try:
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                migrate(connection, temporary)
                keep(connection, Stored.of(root_key, os.urandom(_SALT_BYTES)))
            finally:
                connection.close()
            publish(temporary, self.path)


class MemoryDatabase:
    """A store in memory, under a root key that nobody ever sees."""

    path = "in memory"
    """What an error says of it."""
    connections = 1
    in_memory = True

    def __init__(self) -> None:
        self._root_key = new_root_key()

    def identity(self) -> Hashable:
        """Always the same."""
        return None

    def connect(self, time_left: TimeLeft) -> sqlite3.Connection:
        """The one connection."""
        connection = _opened(None, time_left)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        migrate(connection, "memory:")
        keep(connection, Stored.of(self._root_key, os.urandom(_SALT_BYTES)))
        return connection

    def root_key(self, record: Stored, time_left: TimeLeft) -> tuple[str, bytes]:  # noqa: ARG002 - as for files
        """Its root key."""
        return "memory", self._root_key


def _opened(path: str | None, time_left: TimeLeft) -> sqlite3.Connection:
    """A connection to an existing file, or to a new database in memory."""
    connection = sqlite3.connect(
        ":memory:" if path is None else f"file:{quote(path)}?mode=rw",
        uri=True,
        timeout=time_left(),
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        for pragma in (
            "synchronous = FULL",
            "foreign_keys = ON",
            "secure_delete = ON",
            "trusted_schema = OFF",
            "cell_size_check = ON",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection
