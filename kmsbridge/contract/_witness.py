"""The canary, and who looks for it: nothing that leaves the library may hold a value.

Every value the suite writes holds one token, random in each run. The witness sees all
that a case makes the library say (errors, results, log records, warnings, events) and
looks for the token in it, as it is and encoded.
"""

from __future__ import annotations

import logging
import pickle
import re
import warnings
from base64 import b64encode
from contextlib import contextmanager
from secrets import token_hex
from traceback import walk_tb
from typing import TYPE_CHECKING

from kmsbridge import KMSError, Secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from kmsbridge import Event

_SHOWN = 60
"""Characters round a find that the report shows."""
_SEARCHED = 100_000
"""Bytes of a sealed message that are searched: what is sealed is full of tokens."""
_GIVES_BACK = ("keys.decrypt", "keys.unwrap", "keys.unseal")
"""The operations that return the value itself."""


class Canary:
    """Makes values that hold the token."""

    def __init__(self) -> None:
        self.token = "canary" + token_hex(10)
        raw = self.token.encode()
        # a Base64 text of something longer holds the token in one of three alignments
        aligned = [b64encode(b"\0" * shift + raw).decode() for shift in range(3)]
        inner = [text[skip:].rstrip("=")[:-1] for text, skip in zip(aligned, (0, 2, 3), strict=True)]
        self._in_any_case, self._as_it_is = (self.token, raw.hex()), inner
        self._forms = re.compile("|".join((f"(?i:{self.token}|{raw.hex()})", *inner)))

    def text(self, note: str = "") -> str:
        """A value: the token, then `note`."""
        return self.token + note

    def bytes(self, note: bytes = b"") -> bytes:
        """The same as bytes."""
        return self.token.encode() + note

    def sized(self, size: int) -> str:
        """A value of exactly so many ASCII characters, full of tokens."""
        return (self.token * (size // len(self.token) + 1))[:size]

    def find(self, text: str) -> str | None:
        """The surroundings of the token in a text, without the token; None where it is not there."""
        lowered = text.lower()  # to look for words is faster than to search by a pattern
        if not any(form in lowered for form in self._in_any_case) and not any(form in text for form in self._as_it_is):
            return None
        found = self._forms.search(text)
        if found is None:
            return None
        around = text[max(0, found.start() - _SHOWN) : found.end() + _SHOWN]
        return " ".join(self._forms.sub("<the value>", around).split())


class Witness:
    """Sees what one case makes the library say, and keeps what should not have been said."""

    def __init__(self, canary: Canary) -> None:
        self.canary = canary
        self.events: list[Event] = []
        """Of all calls of all bridges of the case, in order."""
        self.attempts: list[Event] = []
        """Of their attempts, in order."""
        self.records: list[logging.LogRecord] = []
        """Of all loggers, from DEBUG up."""
        self.leaks: list[str] = []
        """Where a value was found."""

    def event(self, event: Event) -> None:
        """The ``on_event`` hook of every bridge."""
        (self.events if event.attempt is None else self.attempts).append(event)
        self._search("an event", repr(event))

    def result(self, operation: str, result: object) -> None:
        """What a call returned: its repr may be logged by anybody."""
        if operation in _GIVES_BACK:
            return
        shown = result[:_SEARCHED] if isinstance(result, bytes) else result
        self._search(f"the repr of what {operation} returned", repr(shown))
        if isinstance(result, Secret):
            self._search(f"the tags of what {operation} returned", repr(dict(result.tags)))

    def error(self, error: KMSError, traceback: TracebackType | None) -> None:
        """An error as it leaves a bridge, with the part of its traceback that lies in the library."""
        for depth, link in enumerate(linked(error)):
            what = f"{type(link).__name__} {'raised' if depth == 0 else 'chained to the error'}"
            frames = traceback if depth == 0 else link.__traceback__
            self._search(f"str of the {what}", str(link))
            self._search(f"repr of the {what}", repr(link))
            self._search(f"args or attributes of the {what}", f"{link.args!r} {vars(link)!r}")
            self._search(f"traceback with locals of the {what}", _locals(frames))
            if isinstance(link, KMSError):
                self._search(f"details() of the {what}", link.details())
                self._search(f"to_dict() of the {what}", repr(link.to_dict()))
        self._search("the pickled error", pickle.dumps(error).decode("latin-1"))

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Listen to all loggers and warnings; search them at the end."""
        with warnings.catch_warnings(record=True) as warned, _all_records(self.records):
            warnings.simplefilter("always")
            yield
        for record in self.records:
            logger = f"of logger {record.name!r}"
            self._search(f"the formatted log record {logger}", _formatted(record))
            self._search(f"the arguments of a log record {logger}", repr(record.args))
            self._search(f"the attributes of a log record {logger}", repr(vars(record)))
        for warning in warned:
            self._search("a warning", str(warning.message))
            # the warning itself goes its way, to whatever filters the test run has
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno, source=warning.source
            )

    def _search(self, where: str, text: str) -> None:
        if (found := self.canary.find(text)) is not None:
            self.leaks.append(f"{where}: ...{found}...")


def linked(error: BaseException) -> Iterator[BaseException]:
    """The error and everything that hangs on it, by cause and by context, suppressed or not."""
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        link = waiting.pop(0)
        if link is None or any(link is known for known in seen):
            continue
        seen.append(link)
        yield link
        waiting += [link.__cause__, link.__context__]


def _locals(traceback: TracebackType | None) -> str:
    """The local variables of all frames, as reporters of errors print them."""
    return "\n".join(
        f"{name} = {_shown(value)}" for frame, _ in walk_tb(traceback) for name, value in frame.f_locals.items()
    )


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # of what is not whole yet
        return f"<{type(value).__name__}>"


def _formatted(record: logging.LogRecord) -> str:
    try:
        return logging.Formatter().format(record)
    except Exception:  # a record whose arguments do not fit its text is formatted by nobody
        return str(record.msg)


@contextmanager
def _all_records(records: list[logging.LogRecord]) -> Iterator[None]:
    """Every record of every logger, whatever levels, filters and handlers the test run has set."""
    factory = logging.getLogRecordFactory()

    def keep(*args: object, **kwargs: object) -> logging.LogRecord:
        record = factory(*args, **kwargs)
        records.append(record)
        return record

    known = [logging.root, *(it for it in logging.root.manager.loggerDict.values() if isinstance(it, logging.Logger))]
    levels = [(logger, logger.level, logger.disabled) for logger in known]
    off = logging.root.manager.disable
    logging.setLogRecordFactory(keep)
    logging.disable(logging.NOTSET)
    for logger in known:
        logger.level, logger.disabled = logging.DEBUG, False
    logging.root.setLevel(logging.DEBUG)  # which forgets what loggers remember of levels: once, and not for each
    try:
        yield
    finally:
        logging.setLogRecordFactory(factory)
        logging.disable(off)
        for logger, level, disabled in levels:
            logger.level, logger.disabled = level, disabled
        logging.root.setLevel(logging.root.level)
