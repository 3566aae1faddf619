"""Bytes in and out of a command: from a pipe or a file; to a pipe, a file or a terminal."""

from __future__ import annotations

import os
import secrets
import stat
import sys
from contextlib import suppress
from hashlib import new as new_hash
from io import BytesIO
from typing import TypeVar

from kmsbridge._errors import Code, InvalidRequestError, Outcome, invalid
from kmsbridge.cli._output import is_terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from kmsbridge.cli._progress import Progress

T = TypeVar("T")

MAX_INPUT = 64 * 1024 * 1024
"""Bytes of a value or plaintext that are read; every backend takes less."""
CHUNK = 4 << 20
"""Bytes between two looks at the progress bar."""


def read_small(path: str | None, what: str) -> bytes:
    """What a file holds, or for None and ``-`` standard input, up to the limit of what any backend takes.

    Raises:
        InvalidRequestError: It cannot be read, or is more than that.
    """
    content = _read(path, what, lambda stream: stream.read(MAX_INPUT + 1))
    if len(content) > MAX_INPUT:
        raise InvalidRequestError(
            f"the {what} has more than {MAX_INPUT} bytes", code=Code.PAYLOAD_TOO_LARGE, outcome=Outcome.NOT_SENT
        )
    return content


def read_large(path: str | None, what: str, progress: Progress) -> bytes:
    """The same without a limit but that of memory."""

    def read(stream: BinaryIO) -> bytes:
        content = BytesIO()  # gives its buffer away uncopied
        for chunk in _chunks(stream, progress):
            content.write(chunk)
        return content.getvalue()

    return _read(path, what, read)


def read_digest(path: str | None, what: str, algorithm: str, progress: Progress) -> bytes:
    """The digest of what is read; any size."""

    def read(stream: BinaryIO) -> bytes:
        hashed = new_hash(algorithm)
        for chunk in _chunks(stream, progress):
            hashed.update(chunk)
        return hashed.digest()

    return _read(path, what, read)


def _chunks(stream: BinaryIO, progress: Progress) -> Iterator[bytes]:
    progress.stage("reading", _size(stream))
    size = CHUNK
    while size == CHUNK:  # less is the end: a terminal would have to be told twice
        chunk = stream.read(CHUNK)
        yield chunk
        size = len(chunk)
        progress.advance(size)


def _read(path: str | None, what: str, how: Callable[[BinaryIO], T]) -> T:
    if path is None and is_terminal(sys.stdin):
        raise invalid(f"there is no {what}", "in", remediation="Pipe it in, or give --in FILE.")
    if path in (None, "-"):
        if sys.stdin is None:
            raise invalid(
                f"there is no {what}: standard input is closed", "in", remediation="Pipe it in, or name a file."
            )
        return how(sys.stdin.buffer)
    try:
        with open(path, "rb") as stream:
            return how(stream)
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or "no legal path"
    raise invalid(f"{path!r} cannot be read: {problem}", "file", remediation="Name a file that you can read.")


def _size(stream: BinaryIO) -> int | None:
    """Bytes of a file; None for a pipe."""
    with suppress(OSError):
        status = os.fstat(stream.fileno())
        if stat.S_ISREG(status.st_mode):
            return status.st_size
    return None


def write_file(path: str, content: bytes, *, private: bool, progress: Progress | None = None) -> None:
    """Write a file whole, or leave things as they were: also when this is interrupted.

    Args:
        path: Where to; a file there is replaced, what is no regular file is written to.
        content: What.
        private: Only the user may read it.
        progress: Is told how far it is.

    Raises:
        InvalidRequestError: It cannot be written there.
    """
    try:
        _write(os.path.realpath(path), content, 0o600 if private else 0o666, progress)
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or "no legal path"
    else:
        return
    raise invalid(f"{path!r} cannot be written: {problem}", "out", remediation="Name a file that you can write.")


def _write(path: str, content: bytes, mode: int, progress: Progress | None) -> None:
    if os.path.exists(path) and not os.path.isfile(path):  # a device or a named pipe; a folder refuses by itself
        with open(path, "wb") as stream:
            _copy(content, stream, progress)
        return
    temporary = os.path.join(os.path.dirname(path), f".kmsbridge-{secrets.token_hex(8)}.tmp")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
            _copy(content, stream, progress)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)


def _copy(content: bytes, stream: BinaryIO, progress: Progress | None) -> None:
    if progress is None:
        stream.write(content)
        return
    progress.stage("writing", len(content))
    with memoryview(content) as view:
        for start in range(0, len(content), CHUNK):
            chunk = view[start : start + CHUNK]
            stream.write(chunk)
            progress.advance(len(chunk))
