"""One open store: its transactions, each under the root key that the database has at that moment."""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager, suppress
from typing import NamedTuple

from kmsbridge_local._database import FileDatabase, MemoryDatabase, stored
from kmsbridge_local._errors import naming
from kmsbridge_local._pool import Pool
from kmsbridge_local._root_key import RootKeySource
from kmsbridge_local._rows import KEYS, SECRETS, Keys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmsbridge_local._config import LocalSettings
    from kmsbridge_local._files import TimeLeft


class Transaction(NamedTuple):
    """What an operation works with."""

    connection: sqlite3.Connection
    keys: Keys
    now: int
    """Microseconds since 1970."""


class Store:
    """Blocking, and safe for any number of threads and processes.

    Opens nothing until it is used: the first call does, within its own deadline.
    """

    def __init__(self, database: FileDatabase | MemoryDatabase) -> None:
        self.database = database
        self.pool = Pool(database)
        self.source = ""
        """Where the root key was found."""
        self._keys: Keys | None = None

    @contextmanager
    def read(self, time_left: TimeLeft) -> Iterator[Transaction]:
        """A transaction that sees one state of the store.

        Raises:
            StoreError: The store cannot be used; every failure names its file.
        """
        with (
            naming(self.database.path),
            self.pool.connection(time_left) as connection,
            self._begun(connection, "BEGIN", time_left) as keys,
        ):
            yield Transaction(connection, keys, _now())

    @contextmanager
    def write(self, time_left: TimeLeft) -> Iterator[Transaction]:
        """A transaction that is on disk when this ends, or has changed nothing.

        Raises:
            StoreError: The store cannot be used, or other threads or processes wrote until the deadline.
        """
        with (
            naming(self.database.path),
            self._turn(time_left),
            self.pool.connection(time_left) as connection,
            self._begun(connection, "BEGIN IMMEDIATE", time_left) as keys,
        ):
            transaction = Transaction(connection, keys, _now())
            for table in (SECRETS, KEYS):
                table.remove_due(transaction)
            yield transaction
            time_left()  # whoever asked has given up: leave no change that nobody will hear of

    @contextmanager
    def _turn(self, time_left: TimeLeft) -> Iterator[None]:
        """This thread is the one of this process that writes."""
        writing = self.pool.writing
        if not writing.acquire(timeout=time_left()):
            raise TimeoutError
        try:
            yield
        finally:
            writing.release()

    @contextmanager
    def _begun(self, connection: sqlite3.Connection, begin: str, time_left: TimeLeft) -> Iterator[Keys]:
        try:
            keys = self._keys or self._found(connection, time_left)
            connection.execute(f"PRAGMA busy_timeout = {int(time_left() * 1000) + 1}")
            connection.execute(begin)
            while stored(connection) != keys.stored:  # another process has rekeyed the store
                connection.execute("ROLLBACK")
                keys = self._found(connection, time_left)
                connection.execute(begin)
            yield keys
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")

    def _found(self, connection: sqlite3.Connection, time_left: TimeLeft) -> Keys:
        """The sub-keys, found outside of any transaction: a keyring may take its time."""
        time_left()
        record = stored(connection)
        self.source, root_key = self.database.root_key(record, time_left)
        self._keys = Keys(root_key, record)
        return self._keys

    def close(self) -> None:
        """Close its connections."""
        self.pool.close()


def open_store(settings: LocalSettings) -> Store:
    """The store of these settings. Touches no file yet."""
    place = settings.place
    if isinstance(place, str):
        source = RootKeySource(place, settings.root_key)
        return Store(FileDatabase(place, source, makes_folder=settings.makes_folder))
    if not place.stores:
        from weakref import finalize

        store = Store(MemoryDatabase())
        if place.stores.setdefault(None, store) is store:
            finalize(place, store.close)
    return place.stores[None]


def _now() -> int:
    return time.time_ns() // 1000
