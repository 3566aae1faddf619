"""What the command line prints: text, JSON, tables and errors; and how it exits."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from io import TextIOWrapper
from types import MappingProxyType

from kmsbridge import Category, Code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import IO, Any

    from kmsbridge import KMSError

STATUS: Mapping[Category, int] = MappingProxyType({
    Category.UNKNOWN: 1,
    Category.INVALID_REQUEST: 2,
    Category.AUTHENTICATION: 3,
    Category.PERMISSION_DENIED: 4,
    Category.UNSUPPORTED: 5,
    Category.NOT_FOUND: 6,
    Category.CONFLICT: 7,
    Category.FAILED_PRECONDITION: 8,
    Category.THROTTLED: 9,
    Category.UNAVAILABLE: 10,
    Category.CRYPTO: 11,
})
"""The exit status for each category of error; 0 is success. Never renumbered."""
NOT_VALID = 20
"""The exit status of `keys verify` for a signature that is not valid: no error."""
INTERRUPTED = 130
"""The exit status after Ctrl-C, as a shell has it for SIGINT."""
BROKEN_PIPE = 141
"""The exit status when the reader of the output has gone, as a shell has it for SIGPIPE."""


def prepare() -> None:
    """Let no text fail for want of a character in the terminal's encoding."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def is_terminal(stream: IO[str] | None) -> bool:
    """Whether a person sits at the other end; a closed stream has none."""
    return stream is not None and not stream.closed and stream.isatty()


def shown(text: str) -> str:
    """The text on one line, without what could steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def plain_text(content: bytes) -> str | None:
    """The text, if a terminal can show it and nothing in it steers the terminal."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    return text if all(c.isprintable() or c in "\n\t" for c in text) else None


def say(text: str) -> None:
    """Print a line of output."""
    _open(sys.stdout).write(text + "\n")


def say_bytes(value: bytes) -> None:
    """Print bytes exactly."""
    stream = _open(sys.stdout)
    stream.flush()
    stream.buffer.write(value)
    stream.buffer.flush()


def say_json(value: object) -> None:
    """Print a JSON document."""
    say(json.dumps(value, indent=2, default=_json_time))


def note(text: str) -> None:
    """Tell the person something that is no output."""
    if sys.stderr is not None:
        with suppress(OSError):  # nobody is left to be told
            sys.stderr.write(text + "\n")


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: drawn on a terminal, without empty columns and cutting nothing; aligned columns in a pipe."""
    cells = [[shown(cell) for cell in row] for row in rows]
    if is_terminal(sys.stdout):
        filled = [i for i in range(len(headings)) if not cells or any(row[i] for row in cells)]
        headings, cells = [headings[i] for i in filled], [[row[i] for i in filled] for row in cells]
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        drawn = Table(box=SIMPLE_HEAD, header_style="bold")
        for i, heading in enumerate(headings):
            whole = heading.lower() == "version"  # is copied into the next command, so it must stay in one piece
            width = max((len(row[i]) for row in cells), default=0) if whole else None
            drawn.add_column(heading, overflow="fold", min_width=width)
        for row in cells:
            drawn.add_row(*map(Text, row))
        Console(file=sys.stdout).print(drawn)
        return
    lines = [[heading.upper() for heading in headings], *cells]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        say("  ".join(map(str.ljust, line, widths)).rstrip())


def report(error: KMSError, *, as_json: bool) -> int:
    """Print an error, what happened and what to do, and give the exit status for it."""
    if as_json:
        note(json.dumps(error.to_dict()))
    else:
        what = str(error)
        if error.code is Code.UNKNOWN and error.causes:  # nothing else says anything
            what += f" because of {error.causes[-1].type}"
        note(f"{shown(what)}\n-> {shown(error.remediation)}")
    return STATUS[error.category]


def short_time(time: datetime | None) -> str:
    """A time for a table, in UTC; empty where there is none."""
    return "" if time is None else time.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def abandon_output() -> None:
    """Where output cannot be written: point it nowhere, so that Python's last flush is quiet."""
    if sys.stdout is not None:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _open(stream: Any) -> Any:
    if stream is None:
        raise OSError("standard output is closed")
    return stream


def _json_time(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError
