"""The tables of a store, and what leads from each format to the next."""

from __future__ import annotations

from kmsbridge_local._errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3

APPLICATION_ID = int.from_bytes(b"kmsb", "big")

FORMAT_1 = """
CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    salt BLOB NOT NULL,
    key_check BLOB NOT NULL,
    checksum BLOB NOT NULL
) STRICT;
CREATE TABLE secrets (
    name TEXT PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    latest INTEGER NOT NULL,
    deleted_at INTEGER,
    purge_at INTEGER,
    mac BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX secrets_to_purge ON secrets (purge_at) WHERE purge_at IS NOT NULL;
CREATE TABLE secret_versions (
    secret TEXT NOT NULL REFERENCES secrets (id) ON DELETE CASCADE,
    ordinal INTEGER NOT NULL,
    version TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    kind TEXT NOT NULL,
    content_type TEXT,
    tags TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    expires_at INTEGER,
    box BLOB NOT NULL,
    PRIMARY KEY (secret, ordinal),
    UNIQUE (secret, version)
) STRICT;
"""
"""Times are microseconds since 1970, `expires_at` seconds; `tags` is a JSON object."""
FORMAT_2 = """
CREATE TABLE keys (
    name TEXT PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    latest INTEGER NOT NULL,
    spec TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    tags TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    purge_at INTEGER,
    mac BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX keys_to_purge ON keys (purge_at) WHERE purge_at IS NOT NULL;
CREATE TABLE key_versions (
    key TEXT NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
    ordinal INTEGER NOT NULL,
    version TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    box BLOB NOT NULL,
    PRIMARY KEY (key, ordinal),
    UNIQUE (key, version)
) STRICT;
"""
"""Adds keys."""
MIGRATIONS = (FORMAT_1, FORMAT_2)
"""What leads from each format to the next; the format is how many have been run."""


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Bring the database to the format of this release.

    Raises:
        StoreError: It is of a later release, or no store at all.
    """

    def format_of() -> int:
        [number] = connection.execute("PRAGMA user_version").fetchone()
        if number > len(MIGRATIONS):
            raise StoreError(
                "StoreNewerFormat", f"{path} has format {number}, and this kmsbridge reads up to {len(MIGRATIONS)}"
            )
        return int(number)

    [application] = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID:
        raise StoreError("NotAStore", f"{path} is a database, and not of kmsbridge")
    connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if format_of() == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in "".join(MIGRATIONS[format_of() :]).split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
