"""The root key: how it is written, and where it is held.

Written, it is ``kmsbridge-root-key-v1:`` and 48 characters: the URL-safe Base64 of its
32 random bytes and the first 4 bytes of the SHA-256 of prefix and key. It is never a
passphrase.

Without ``options.root_key`` it is looked for in the environment and in the file beside
the database; if both hold one, they must agree. With it, only the named source counts.
The OS keyring is asked only when it is named: it may prompt, and must not do so by
surprise.
"""

from __future__ import annotations

import base64
import hashlib
import os

from kmsbridge_local._errors import StoreError
from kmsbridge_local._files import publish, read_mounted, read_private, remove, sync_folder, write_new

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

VARIABLE = "KMSBRIDGE_LOCAL_ROOT_KEY"
FILE_VARIABLE = "KMSBRIDGE_LOCAL_ROOT_KEY_FILE"
KEYRING_SERVICE = "kmsbridge-local"
PREFIX = "kmsbridge-root-key-v1:"
_BYTES = 32
_CHECKSUM_BYTES = 4


def new_root_key() -> bytes:
    """A fresh root key."""
    return os.urandom(_BYTES)


def to_text(key: bytes) -> str:
    """A root key as it is written."""
    return PREFIX + base64.urlsafe_b64encode(key + _checksum(key)).decode()


def from_text(text: str, where: str) -> bytes:
    """A root key that was written, with or without white space round it.

    Args:
        text: What was found.
        where: What held it, for the error; the text itself is never shown.

    Raises:
        StoreError: It is not a root key, or not all of it.
    """
    text = text.strip()
    try:
        content = base64.b64decode(text.removeprefix(PREFIX).encode("ascii"), altchars=b"-_", validate=True)
    except ValueError:
        content = b""
    key = content[:_BYTES]
    if len(content) != _BYTES + _CHECKSUM_BYTES or to_text(key) != text:
        raise StoreError("RootKeyMalformed", f"what {where} holds is not a root key, or not all of it")
    return key


def _checksum(key: bytes) -> bytes:
    return hashlib.sha256(PREFIX.encode() + key).digest()[:_CHECKSUM_BYTES]


class RootKeySource:
    """Where the root key of one database is held.

    Args:
        database: The path of the database file.
        chosen: ``environment``, ``keyring`` or ``file``; None for environment or file.
    """

    def __init__(self, database: str, chosen: str | None) -> None:
        self._database = database
        self._chosen = chosen
        self.file = f"{database}.key"
        self.next_file = f"{database}.key.new"
        """Holds the new key while a rekey goes on."""

    def find(self) -> tuple[str, bytes] | None:
        """The source that holds the key, and the key; None where none does.

        Raises:
            StoreError: It is malformed, held differently in two places, or its holder refuses.
        """
        if self._chosen == "keyring":
            return None if (key := self._in_keyring()) is None else ("keyring", key)
        found: list[tuple[str, str, bytes]] = []
        if self._chosen != "file":
            if text := os.environ.get(VARIABLE):
                found.append(("environment", VARIABLE, from_text(text, VARIABLE)))
            if path := os.environ.get(FILE_VARIABLE):
                found.append(("environment", path, self._mounted(path)))
        if self._chosen != "environment" and (content := read_private(self.file)) is not None:
            found.append(("file", self.file, from_text(content.decode("ascii", "replace"), self.file)))
        if not found:
            return None
        source, where, key = found[0]
        for _, other, other_key in found[1:]:
            if other_key != key:
                raise StoreError("RootKeysDiffer", f"{where} and {other} hold different root keys")
        return source, key

    def make(self) -> bytes:
        """Make a key and hold it; the caller has the lock of the folder, and there is no database.

        Raises:
            StoreError: The key is to come from the environment, or the keyring refuses.
        """
        if self._chosen == "environment":
            raise self.missing()
        key = new_root_key()
        if self._chosen == "keyring":
            self._to_keyring(key)
        else:
            temporary = f"{self.file}.tmp"
            remove(temporary)
            write_new(temporary, to_text(key).encode() + b"\n")
            publish(temporary, self.file)
        return key

    def missing(self) -> StoreError:
        """What to raise where no key is found and none may be made."""
        where = {
            "environment": f"{VARIABLE} and {FILE_VARIABLE} are not set",
            "keyring": f"the OS keyring has none for {self._database}",
            "file": f"{self.file} is not there",
            None: f"neither {VARIABLE} nor {FILE_VARIABLE} is set, and {self.file} is not there",
        }
        return StoreError("RootKeyMissing", f"the root key of {self._database} is missing: {where[self._chosen]}")

    # -- while a rekey goes on; the caller has the lock of the folder -------------------

    def announce(self, key: bytes) -> None:
        """Hold the new key beside the old one, on disk, before anything is sealed with it."""
        remove(self.next_file)
        write_new(self.next_file, to_text(key).encode() + b"\n")
        sync_folder(os.path.dirname(self.next_file))

    def announced(self) -> bytes | None:
        """The new key of a rekey that goes on or was cut off; None for half a file."""
        content = read_private(self.next_file)
        if content is None:
            return None
        try:
            return from_text(content.decode("ascii", "replace"), self.next_file)
        except StoreError:  # cut off while it was written: nothing is sealed with it
            return None

    def install(self, source: str, key: bytes) -> bool:
        """Let the new key take the place of the old one; False where only an operator can."""
        if source == "keyring":
            self._to_keyring(key)
            remove(self.next_file)
        elif source == "file" or (self._chosen is None and os.path.exists(self.file)):
            os.replace(self.next_file, self.file)  # also of the environment's key: the two must agree
        sync_folder(os.path.dirname(self.file))
        return source != "environment"

    def holder(self) -> str:
        """The source that a key is installed in where none holds one any more."""
        return self._chosen or "file"

    # -- the other sources --------------------------------------------------------------

    def _mounted(self, path: str) -> bytes:
        content = read_mounted(path)
        if content is None:
            raise StoreError("RootKeyMissing", f"{FILE_VARIABLE} names {path}, which is not there")
        return from_text(content.decode("ascii", "replace"), path)

    def _in_keyring(self) -> bytes | None:
        keyring = _keyring()
        try:
            text = keyring.get_password(KEYRING_SERVICE, self._database)
        except Exception as error:  # a keyring's backends raise whatever they like
            failure = error
        else:
            return None if text is None else from_text(text, "the OS keyring")
        raise StoreError("KeyringUnavailable") from failure

    def _to_keyring(self, key: bytes) -> None:
        keyring = _keyring()
        try:
            keyring.set_password(KEYRING_SERVICE, self._database, to_text(key))
        except Exception as error:  # as above
            failure = error
        else:
            return
        raise StoreError("KeyringUnavailable") from failure


def _keyring() -> ModuleType:
    try:
        import keyring
    except ModuleNotFoundError:
        pass
    else:
        return keyring
    raise StoreError("KeyringNotInstalled")
