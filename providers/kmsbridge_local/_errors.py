"""What can go wrong with a local store, as data."""

from __future__ import annotations

import errno
import os
import re
from contextlib import contextmanager

from kmsbridge._decode import Answer, Decoder, Phase, Reading, Rule, read_json
from kmsbridge._errors import Code, Outcome, RetryAction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

_NEVER = RetryAction.NEVER
_RESTORE = "Restore the store from a backup, and find out what wrote to its file."
_WAIT = "Try again, allow more time (timeout=), or look for a process that holds the store."

RULES = [
    Rule("SecretNotFound", Code.NOT_FOUND, sentence="there is no secret of this name"),
    Rule("SecretIsDeleted", Code.NOT_FOUND, sentence="the secret is deleted, and can still be recovered",
         remediation="Recover it, or purge it and create it anew."),
    Rule("SecretNotDeleted", Code.NOT_FOUND, sentence="there is no deleted secret of this name",
         remediation="See what is deleted; delete the secret first to purge it."),
    Rule("SecretVersionNotFound", Code.VERSION_NOT_FOUND, sentence="the secret has no such version"),
    Rule("SecretAlreadyExists", Code.ALREADY_EXISTS, sentence="there is a secret of this name"),
    Rule("SecretDeletedButRecoverable", Code.DELETED_BUT_RECOVERABLE,
         sentence="a deleted secret that can still be recovered holds this name"),
    Rule("SecretDisabled", Code.DISABLED, sentence="this version of the secret is disabled",
         remediation="Enable it, or ask for another version."),
    Rule("ValueTooLarge", Code.PAYLOAD_TOO_LARGE),

    Rule("KeyNotFound", Code.NOT_FOUND, sentence="there is no key of this name"),
    Rule("KeyVersionNotFound", Code.VERSION_NOT_FOUND, sentence="the key has no such version"),
    Rule("KeyAlreadyExists", Code.ALREADY_EXISTS, sentence="there is a key of this name"),
    Rule("KeyDeletedButRecoverable", Code.DELETED_BUT_RECOVERABLE,
         sentence="a key that is scheduled for deletion holds this name",
         remediation="Cancel its deletion, or wait until it is gone."),
    Rule("KeyPendingDeletion", Code.PENDING_DELETION, sentence="the key is scheduled for deletion"),
    Rule("KeyNotPendingDeletion", Code.NOT_FOUND, sentence="no deletion of this key is scheduled"),
    Rule("KeyDisabled", Code.DISABLED, sentence="the key is disabled", remediation="Enable it, or use another key."),
    Rule("KeyVersionDisabled", Code.DISABLED, sentence="this version of the key is disabled",
         remediation="Enable the version, or rotate the key."),
    Rule("KeyDoesNotEncrypt", Code.UNSUPPORTED, sentence="this kind of key does not encrypt",
         remediation="Use an AES or RSA key."),
    Rule("KeyDoesNotSignSo", Code.UNSUPPORTED, sentence="this kind of key does not sign in this way",
         remediation="RSA keys sign by PS and RS, EC_P256 by ES256, EC_P384 by ES384, EC_P521 by ES512."),
    Rule("KeyBindsNoContext", Code.UNSUPPORTED, sentence="this kind of key binds no context",
         remediation="Use seal, or an AES key."),
    Rule("KeyHasNoPublicHalf", Code.UNSUPPORTED, sentence="an AES key has no public half",
         remediation="Use an RSA or EC key."),
    Rule("PlaintextTooLarge", Code.PAYLOAD_TOO_LARGE, remediation="Use seal, which takes any size."),
    Rule("InvalidCursor", Code.INVALID_ARGUMENT, sentence="this cursor is none that a listing gave"),

    Rule("StoreBusy", Code.TIMEOUT, outcome=Outcome.NOT_APPLIED, remediation=_WAIT,
         sentence="others held the store for as long as the call had time"),
    Rule("DiskFull", Code.QUOTA_EXCEEDED, sentence="the disk of the store is full", remediation="Free space on it."),
    Rule("DiskFailure", Code.INTERNAL_ERROR, sentence="the disk of the store failed",
         remediation="Look at the system log for what is wrong with the disk."),
    Rule("ReadOnly", Code.ACCESS_DENIED, sentence="the store can only be read here",
         remediation="Make its file and its folder writable for this user."),
    Rule("StoreUnreadable", Code.ACCESS_DENIED, sentence="the store cannot be opened",
         remediation="Check that the path leads to a file, and that this user may read and write it and its folder."),
    Rule("StoreMissing", Code.CONTAINER_NOT_FOUND, sentence="the file of the store is gone",
         remediation="Put the file back, all of it, while no program uses the store."),
    Rule("StoreNotFound", Code.CONTAINER_NOT_FOUND, sentence="there is no store at this path",
         remediation="Check the path; a store is made by the first call to it."),
    Rule("FolderMissing", Code.CONTAINER_NOT_FOUND, sentence="the folder of the store is not there",
         remediation="Check the path; if it is right, make the folder first: mkdir -m 700 and its path."),
    Rule("StoreCorrupt", Code.WRONG_STATE, sentence="the file of the store is damaged", remediation=_RESTORE),
    Rule("NotAStore", Code.WRONG_STATE, sentence="the file is not a store of kmsbridge",
         remediation="Name another file, or none, to start a new store; if it was a store, restore it from a backup."),
    Rule("StoreNewerFormat", Code.UNSUPPORTED, sentence="the store was written by a newer kmsbridge",
         remediation="Update kmsbridge."),
    Rule("RowAltered", Code.DECRYPTION_FAILED, sentence="a row of the store does not fit its seal",
         remediation=f"It was altered, swapped or damaged. {_RESTORE}"),

    Rule("FileIsLink", Code.WRONG_STATE, remediation="Name the file that it leads to.",
         sentence="a file of the store is a symbolic link"),
    Rule("FileNotRegular", Code.WRONG_STATE, remediation="Name a regular file.",
         sentence="a file of the store is not a regular file"),
    Rule("FileOfAnotherUser", Code.WRONG_STATE, remediation="Run as its owner, or chown it to the user that runs this.",
         sentence="a file of the store belongs to another user"),
    Rule("FileOpenToOthers", Code.WRONG_STATE, sentence="others may read or write a file of the store",
         remediation="Run chmod 600 on it, and rekey the store if others could read its key."),
    Rule("FolderOpenToOthers", Code.WRONG_STATE, sentence="others may replace the files of the store",
         remediation="Run chmod o-w on the folder, or keep the store in another."),

    Rule("RootKeyMissing", Code.CREDENTIAL_UNAVAILABLE, action=_NEVER, sentence="the root key of the store is missing",
         remediation="Put the key back where it was held: without it, nothing in the store can be read."),
    Rule("RootKeyMalformed", Code.CREDENTIAL_REJECTED, sentence="what should be a root key is none",
         remediation="Give the whole key as it was made: kmsbridge-root-key-v1: and 48 characters."),
    Rule("WrongRootKey", Code.CREDENTIAL_REJECTED, sentence="the root key is not the one of this store",
         remediation="Give the key that this store was made or last rekeyed with."),
    Rule("RootKeyReplaced", Code.CREDENTIAL_REJECTED, sentence="the store was rekeyed, and this is its old root key",
         remediation="Install the key from that file where the old one is held, then delete the file."),
    Rule("RootKeysDiffer", Code.CREDENTIAL_REJECTED, sentence="two sources hold different root keys",
         remediation="Remove the one that is not of this store, or choose with options.root_key."),
    Rule("RootKeyUnchanged", Code.INVALID_ARGUMENT, sentence="the new root key is the old one",
         remediation="Give another key, or none, to have one made."),
    Rule("KeyringUnavailable", Code.CREDENTIAL_UNAVAILABLE, action=_NEVER, sentence="the OS keyring cannot be used",
         remediation="Unlock it, or hold the root key in the environment or a file."),
    Rule("KeyringNotInstalled", Code.UNSUPPORTED, sentence="the root key is held in the OS keyring, which needs the"
         " package 'keyring'", remediation="pip install 'kmsbridge[keyring]'"),
]  # fmt: skip
CODES = frozenset(rule.on for rule in RULES if rule.on is not None)

_SQLITE = {
    1: "StoreCorrupt",  # SQL that is fixed fails only where the schema is not ours
    3: "StoreUnreadable",
    5: "StoreBusy",
    6: "StoreBusy",
    8: "ReadOnly",
    10: "DiskFailure",
    11: "StoreCorrupt",
    13: "DiskFull",
    14: "StoreUnreadable",
    19: "StoreCorrupt",
    20: "StoreCorrupt",
    23: "StoreUnreadable",
    26: "NotAStore",
}
"""Primary result codes of SQLite, https://sqlite.org/rescode.html."""
_OS = {
    errno.ENOSPC: "DiskFull",
    errno.EDQUOT: "DiskFull",
    errno.EROFS: "ReadOnly",
    errno.EIO: "DiskFailure",
}
_NAMED = {
    "StoreBusy": "others held {} for as long as the call had time",
    "DiskFull": "the disk of {} is full",
    "DiskFailure": "the disk of {} failed",
    "ReadOnly": "{} can only be read here",
    "StoreUnreadable": "{} cannot be opened",
    "StoreCorrupt": "{} is damaged",
    "NotAStore": "{} is not a store of kmsbridge, or is damaged from its first bytes on",
}
"""What is said of a file, by the code of what SQLite or the system says."""


class StoreError(Exception):
    """A local store refuses; never leaves the library.

    Args:
        code: One of `CODES`.
        sentence: Our own words with a path, a mode or a name, never a value; without
            them the rule's speak.
    """

    def __init__(self, code: str, sentence: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.sentence = sentence


class _Said(str):
    """A code as text, with the sentence of this process. Text from elsewhere has none, and is never copied."""

    __slots__ = ("sentence",)

    def __new__(cls, code: str, sentence: str | None) -> Self:
        said = super().__new__(cls, code)
        said.sentence = sentence
        return said

    sentence: str | None


def answer(failure: Exception) -> Answer | None:
    """What a failure of the store, of SQLite or of the file system says; None for any other."""
    if isinstance(failure, StoreError):
        return Answer(text=_Said(failure.code, failure.sentence), exception=failure.__cause__)
    if isinstance(failure, TimeoutError):  # raised before anything is written
        return Answer(text="StoreBusy", phase=Phase.SENT)
    code = _code(failure)
    return None if code is None else Answer(text=code, exception=failure)


def _code(failure: Exception) -> str | None:
    """The code for what SQLite or the file system says; None for anything else."""
    code = None
    if isinstance(failure, TimeoutError):
        code = "StoreBusy"
    elif isinstance(number := getattr(failure, "sqlite_errorcode", None), int):
        code = _SQLITE.get(number & 0xFF)
    elif type(failure).__module__ == "sqlite3" or isinstance(failure, UnicodeDecodeError):
        code = "StoreCorrupt"  # text in the file that is not UTF-8, which Python finds and not SQLite
    elif isinstance(failure, OSError):
        code = _OS.get(failure.errno or 0, "StoreUnreadable")
    return code


@contextmanager
def naming(database: str) -> Iterator[None]:
    """Let what SQLite or the file system says of a store name the file, and the reason where one is known.

    Args:
        database: The path of its database file.

    Raises:
        StoreError: In place of their exceptions, which are its cause. Any other goes on as it is.
    """
    try:
        yield
    except Exception as caught:  # any other than theirs is raised as it is
        failure = caught
    else:
        return
    try:
        raise _named(failure, database)
    finally:
        del failure  # its traceback holds this frame


def _named(failure: Exception, database: str) -> Exception:
    if isinstance(failure, StoreError):
        if failure.code == "StoreCorrupt" and failure.sentence is not None and database not in failure.sentence:
            failure.sentence = f"the database {database} is damaged: {failure.sentence}"
        return failure
    code = _code(failure)
    if code is None:
        return failure
    error = StoreError(code, _sentence(code, failure, database))
    error.__cause__ = failure
    return error


def _sentence(code: str, failure: Exception, database: str) -> str:
    file, number = getattr(failure, "filename", None), getattr(failure, "errno", None)
    if not isinstance(file, str):
        file = database
    kinds = {
        database: "database",
        os.path.dirname(database): "folder",
        f"{database}.key": "root key file",
        f"{database}.key.new": "new root key file",
    }
    sentence = _NAMED[code].format(f"the {kinds.get(file, 'file')} {file}")
    return f"{sentence}: {os.strerror(number)}" if isinstance(number, int) else sentence


def read(said: Answer) -> Reading:
    """The code that a text names, or that a JSON body has."""
    for word in re.findall(r"[A-Za-z]+", said.text[:1000]):
        if word in CODES:
            return Reading((word,), sentence=said.text.sentence if isinstance(said.text, _Said) else None)
    return read_json(said)


decoder = Decoder("local", RULES, read=read, answer=answer)
