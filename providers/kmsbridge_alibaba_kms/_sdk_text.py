"""What an SDK printed, taken apart: status, code and request id.

Alibaba's answers reach logs as its SDKs for Python (three generations), Java, Go, PHP and
Node.js print them, and through Terraform and the command line. They share labels more than
a form. Whatever stands behind a label may be anybody's: only codes of the table, and what is
built like one, are taken from a text.
"""

from __future__ import annotations

import re
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MAX_TEXT = 8 * 1024
"""Characters that are looked at: what matters stands at the beginning of a text, or at its end."""

_NAME = r"([A-Za-z][A-Za-z0-9]{2,60}(?:\.[A-Za-z][A-Za-z0-9]{1,60}){0,3})"
_IS = r"[\\\"']{0,4}\s{0,4}[:=][\\\"'\s]{0,8}"
"""Between a label and its value. Bounded, as all repetitions here: texts may be long."""
_LABELLED = re.compile(
    # Code: X, "Code":"X", ErrorCode: X, Error Code = X, ErrCode : X
    rf"\b(?:err(?:or)?[ _]?)?code{_IS}{_NAME}"
    # "HTTP Status: 404 Error:X The specified ...": the old SDK for Python; "Error: X code: 404, ...": the new one
    rf"|\bError:\s?{_NAME}\b"
    # "...ClientException: X : The specified ...": Java; also "[X] The specified ..."
    rf"|Exception:\s{{0,4}}\[?{_NAME}\]?\b"
    rf"|\A\s{{0,8}}(?!(?-i:[a-z]{{2,20}})\.|\w{{0,60}}Exception\b)\[?{_NAME}\]?(?:\s{{0,4}}:|\Z)"
    # The links for advice: ...search?Keyword=X&source=PopGw, ...troubleshoot?q=X&product=Kms
    rf"|\b(?:Keyword|q)={_NAME}"
    rf"|<Code>\s{{0,4}}{_NAME}",
    re.IGNORECASE,
)
_DOTTED = re.compile(r"\b[A-Z][A-Za-z]{2,40}(?:\.[A-Z][A-Za-z]{1,40}){1,3}\b")
_CAMEL = re.compile(r"\b(?:[A-Z][a-z]+){2,8}\b")
_STATUS = re.compile(
    # StatusCode: 400, HTTP Status: 404, "httpCode": 403, HttpStatus: 429
    r"\b(?:http[ _]?)?(?:status(?: ?code)?|httpCode)[\\\"']{0,4}\s{0,4}[:=]\s{0,4}[\\\"']{0,4}([45]\d\d)\b"
    r"|\bcode: ([45]\d\d), "  # the new SDKs: "code: 404, The specified ... request id: ..."
    r"|\bHTTP(?:/\d(?:\.\d)?)? (?:error )?([45]\d\d)\b",
    re.IGNORECASE,
)
_REQUEST_ID = re.compile(rf"\brequest[ _-]?id{_IS}([0-9A-Za-z-]{{16,64}})\b", re.IGNORECASE)
_FRAMED = re.compile(r"\A\s?(?:.{0,4}[^A-Za-z])?([A-Z][A-Za-z.]{4,60}) .?[A-Z]", re.DOTALL)
"""A Protocol Buffers error that was printed as text: the code, the next field's tag and length, its words (FAQ)."""


class Printed(NamedTuple):
    """What was found in a text."""

    status: int | None
    code: str | None
    request_id: str | None


def printed(text: str, known: Callable[[str], bool], fitting: Callable[[str], bool]) -> Printed:
    """Take a text apart.

    Args:
        text: As printed, and `clipped`.
        known: Whether a word is a code of the rule table.
        fitting: Whether a word is built as codes are; asked of what stands behind a label.
    """
    labelled = [next(filter(None, groups)) for groups in _LABELLED.findall(text)]
    words = [*_FRAMED.findall(text), *_DOTTED.findall(text), *_CAMEL.findall(text)]
    code = next((name for name in labelled if known(name)), None)
    code = code or next((name for name in words if known(name)), None)
    code = code or next((name for name in labelled if fitting(name)), None)
    status = _STATUS.search(text)
    identifier = _REQUEST_ID.search(text)
    return Printed(
        None if status is None else int(next(filter(None, status.groups()))),
        code,
        None if identifier is None else identifier[1],
    )


def clipped(text: str) -> str:
    """A text of at most `MAX_TEXT` characters: the beginning and the end of a longer one."""
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT * 3 // 4]}\n{text[-MAX_TEXT // 4 :]}"
