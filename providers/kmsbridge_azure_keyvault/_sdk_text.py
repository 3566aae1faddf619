"""What an SDK printed, taken apart: status, codes, ids and the wait that the server wished.

Key Vault's answers reach logs as the SDKs of seven languages print them, through Terraform,
the CLI and PowerShell. They share labels ("Code:", "StatusCode=", "ErrorCode:") more than
a form, so labels are what is looked for. Whatever stands behind a label in a text may be
anybody's: only codes of the table are taken from it.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

MAX_TEXT = 8 * 1024
"""Characters that are looked at: what matters stands at the beginning of a text, or at its end."""
MAX_CODES = 16

_NAME = r"([A-Za-z][A-Za-z0-9_.]{2,63})"
_IS = r"[\\\"']{0,4}\s{0,4}[:=>][\\\"'\s]{0,8}"
"""Between a label and its value: quotes, escaped or not, and a sign. Bounded, as all repetitions here: texts may be "
  "long."""
_LABELLED = re.compile(
    # Code: X, "code":"X", Code="X", code: 'X', ErrorCode: X, ERROR CODE: X, <Code>X</Code>
    rf"\b(?:error[ _]?)?code{_IS}{_NAME}\b"
    # "(Forbidden) Caller is not authorized": azure-core for Python, and the CLI
    rf"|(?:^|: ?|\t| '?)\({_NAME}\) "
    # "unexpected status 409 (409 Conflict) with error: VaultAlreadyExists: ...": Terraform since 4.0
    rf"|\bwith error: {_NAME}: "
    # "404 | KeyNotFound": the log of Managed HSM, for the proxy of an external key
    rf"|\b[1-5]\d\d \| {_NAME}\b",
    re.IGNORECASE | re.MULTILINE,
)
_CORE = re.compile(
    # Numbered codes that stand in a message: Key Vault's own, its token validators' (IDX, S2S), Microsoft Entra's.
    r"\b(?:AKV(?:\.SKR\.)?\d{4,6}|IDX\d{5}|S2S\d{5}|AADSTS\d{4,8})\b"
)
_STATUS = re.compile(
    # Status: 403, StatusCode=403, "statusCode": 403
    r"\bstatus(?: ?code)?[\\\"']{0,4} {0,4}[:=]?[\\\"' ]{0,4}([45]\d\d)\b"
    r"|\bresponse ([45]\d\d):"  # RESPONSE 403: 403 Forbidden (Go)
    r"|\bunexpected status ([45]\d\d)\b"
    r"|\bstatus equal to ([45]\d\d)\b"
    r"|\bHTTP(?:/\d(?:\.\d)?)? (?:error )?([45]\d\d)\b"
    r"|\A\s{0,8}([45]\d\d)\b(?= [|\"A-Z])"  # 404 | KeyNotFound
    r"|\b([45]\d\d) (?:client|server) error\b"  # requests
    r"|returned an error: \(([45]\d\d)\)",  # .NET's WebException
    re.IGNORECASE,
)
_PHRASE = re.compile(r"\binvalid status(?: code)? ['\"]([A-Za-z -]{3,40})['\"]", re.IGNORECASE)
_PHRASES = {status.phrase.lower(): status.value for status in HTTPStatus if status >= 400}
_PHRASES |= {phrase.replace(" ", ""): status for phrase, status in _PHRASES.items()}
_REQUEST_ID = re.compile(rf"\b(x-ms-(?:client-)?request-id){_IS}([0-9a-f-]{{16,64}})\b", re.IGNORECASE)
_RETRY_AFTER = re.compile(rf"\bretry-after{_IS}(\d{{1,6}})\b", re.IGNORECASE)


class Printed(NamedTuple):
    """What was found in a text."""

    status: int | None
    codes: tuple[str, ...]
    """From the outermost to the innermost."""
    request_ids: dict[str, str]
    retry_after: float | None


def printed(text: str, known: Collection[str], generic: Collection[str]) -> Printed:
    """Take a text apart.

    Args:
        text: As printed, and `clipped`.
        known: The codes of the rule table, in lower case; only these are found, where need be without a label.
        generic: Those of them that mean several things: they are outer, wherever they stand.
    """
    found = [next(filter(None, groups)) for groups in _LABELLED.findall(text)]
    codes = [code for code in found if code.lower() in known]
    if not codes:
        codes = [word for word in re.findall(r"\b(?:[A-Z][a-z]+){2,}\b", text) if word.lower() in known]
    codes = ordered(codes, generic)
    return Printed(
        _status(text),
        (*codes, *numbered(text)),
        {name.lower(): value for name, value in _REQUEST_ID.findall(text)},
        float(wait[1]) if (wait := _RETRY_AFTER.search(text)) else None,
    )


def clipped(text: str) -> str:
    """A text of at most `MAX_TEXT` characters: the beginning and the end of a longer one."""
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT * 3 // 4]}\n{text[-MAX_TEXT // 4 :]}"


def numbered(words: str) -> list[str]:
    """The numbered codes in a message; of several the last, which is what the others wrap."""
    upper = words.upper()  # whether there is any is found faster so
    if "AADSTS" in upper or "AKV" in upper or "IDX" in upper or "S2S" in upper:
        return _CORE.findall(upper)[-1:]
    return []


def ordered(codes: Iterable[str], generic: Collection[str]) -> list[str]:
    """Codes without repetition, those that mean several things first, at most `MAX_CODES`."""
    seen = {code.lower(): code for code in codes}
    once = list(seen.values())
    if len(once) > 1:
        once.sort(key=lambda code: code.lower() not in generic)
    return once if len(once) <= MAX_CODES else [*once[:4], *once[4 - MAX_CODES :]]


def _status(text: str) -> int | None:
    if (found := _STATUS.search(text)) is not None:
        return int(next(filter(None, found.groups())))
    if (phrase := _PHRASE.search(text)) is not None:
        return _PHRASES.get(phrase[1].lower())
    return None
