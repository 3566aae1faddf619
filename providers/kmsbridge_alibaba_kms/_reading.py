"""What an answer of either door says, whatever form it has: JSON, XML, Protocol Buffers, a page, an SDK's print.

The doors answer in each other's forms: an instance's gateway stands behind the wrong
address, a proxy's page before the right one. So the form is seen in the bytes, and the code
in it decides, never the status.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import NamedTuple

from kmsbridge._decode import MAX_BODY, Answer, Reading, chain, member, request_ids
from kmsbridge._errors import FieldError
from kmsbridge_alibaba_kms import _findings
from kmsbridge_alibaba_kms._error_message import read_error
from kmsbridge_alibaba_kms._sdk_text import clipped, printed
from kmsbridge_alibaba_kms._spelling import NO_CREDENTIAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import TypeGuard

PAGE = "<html>"
"""The words of a page: its own are not the vendor's."""
_MAX_SAYS = 4 * 1024
_SPEAKERS = ("alibabacloud_", "darabonba", "Tea", "requests", "urllib3", "aiohttp", "ssl", "socket", "OpenSSL")
"""Packages whose exceptions say what went wrong."""
_ANY_CODE = re.compile(r'"code"\s{0,4}:\s{0,4}"([A-Za-z][A-Za-z0-9.]{2,127})"', re.IGNORECASE)
_ELEMENT = re.compile(r"<(Code|Message|RequestId|HttpStatus)>([^<]{0,4096})</", re.IGNORECASE)
_XML = re.compile(r"\s{0,8}(?:<\?xml[^>]{0,200}\?>\s{0,8})?<(?:Error|KMS)[\s>]", re.IGNORECASE)
_FIELDS = (
    ("AuthAction", re.compile(r"[a-z]{2,16}:[A-Za-z]{2,64}")),
    ("NoPermissionType", re.compile(r"(?:Ex|Im)plicitDeny")),
    ("PolicyType", re.compile(r"[A-Za-z]{1,48}Policy")),
)
"""What is shown of an AccessDeniedDetail; who it was and the encoded message are private."""


class Table(NamedTuple):
    """What the reader must know of the rule table."""

    known: Collection[str]
    """The codes of the table, folded."""
    general: Collection[str]
    """Those that mean the same where the credential comes from: they say nothing of an item."""
    fold: Callable[[str], str]

    def is_known(self, code: str) -> bool:
        return self.fold(code) in self.known

    def is_fitting(self, code: str) -> bool:
        """Known, or of a family that is."""
        return self.fold(code).startswith("*") or self.is_known(code)


class _Said(NamedTuple):
    code: str | None = None
    words: str = ""
    request_id: str | None = None
    status: int | None = None
    fields: tuple[FieldError, ...] = ()


def read(answer: Answer, table: Table) -> Reading:
    """Everything that an answer says; of one that ended in an exception, what that says."""
    success = answer.status is not None and 200 <= answer.status < 300
    said = _body(answer, success, table)
    texts = [answer.text] if answer.text else []
    if answer.exception is not None and (success or answer.status is None):
        texts.append(_told(answer.exception))
    status, says, code, identifier = said.status, said.words, said.code, said.request_id
    if texts:
        text = clipped("\n".join(texts).strip())
        found = printed(text, table.is_known, table.is_fitting)
        status, code = status or found.status, code or found.code
        identifier = identifier or found.request_id
        says = f"{says} {text}"
    ids = request_ids(answer)
    if identifier is not None and identifier not in ids.values():
        ids["RequestId"] = identifier
    if (trace := answer.header("x-acs-trace-id")) is not None:
        ids["x-acs-trace-id"] = trace
    codes: tuple[str, ...] = () if code is None else (code,)
    if code is not None and answer.door == _findings.CREDENTIAL and table.fold(code) not in table.general:
        codes = (code, NO_CREDENTIAL)
    return Reading(
        codes,
        says=_plain(says),
        request_ids=ids,
        fields=said.fields,
        retry_after=_wait(answer),
        status=status if status is not None and 400 <= status < 600 else None,
    )


def _body(answer: Answer, success: bool, table: Table) -> _Said:
    start = answer.body[:16].lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if not start:
        return _Said()
    if start in b"{[":
        said = _json(answer, success, table)
    elif start == b"<":
        said = _markup(answer.body[:MAX_BODY].decode("utf-8", "replace").lstrip("\ufeff"))
    elif (error := read_error(answer.body[:MAX_BODY])) is not None:
        if success and (error.status or 0) < 400:  # else it is a success, whose second field is none's code
            return _Said()
        said = _Said(error.code, error.words, error.request_id, error.status)
    else:
        text = answer.body[:MAX_BODY].decode("utf-8", "replace")
        return _Said(words=text) if " " in text and not success else _Said()
    if success and not (said.code is not None and table.is_known(said.code)):
        return _Said()  # what a success holds is no error's, whatever its members are called
    return said


def _json(answer: Answer, success: bool, table: Table) -> _Said:
    body = answer.json()
    if isinstance(body, list):
        body = next((item for item in body if isinstance(item, dict)), None)
    if not isinstance(body, dict):  # broken, or too deep
        text = answer.body[:MAX_BODY].decode("utf-8", "replace")
        codes = [code for code in _ANY_CODE.findall(text) if table.is_fitting(code)]
        return _Said(codes[0] if codes else None, "" if success else text[:_MAX_SAYS])
    errors = member(body, "errors")
    if isinstance(errors, list) and member(body, "code") is None:  # BatchGetSecretValue: the first item that failed
        items = [item for item in errors[:64] if isinstance(item, dict)]
        return next((item for item in map(_object, items) if item.code is not None), _Said())
    return _object(body)


def _object(body: dict[str, object]) -> _Said:
    """The members of an error object, by their names in any case."""
    members = {name.lower(): value for name, value in reversed(body.items())}
    code = _text(members, "code", "errorcode")
    words = _text(members, "message", "errormessage", "msg")
    status = members.get("httpstatus", members.get("statuscode", members.get("httpcode")))
    return _Said(
        code,
        words or "",
        _text(members, "requestid"),
        status if isinstance(status, int) and not isinstance(status, bool) else None,
        _denied(members.get("accessdenieddetail")),
    )


def _text(members: dict[str, object], *names: str) -> str | None:
    return next((value for name in names if isinstance(value := members.get(name), str) and value), None)


def _denied(detail: object) -> tuple[FieldError, ...]:
    """Which right is missing, and why: by a policy that denies, or by none that allows."""
    if not isinstance(detail, dict):
        return ()
    found = ((name, alphabet, detail.get(name)) for name, alphabet in _FIELDS)
    return tuple(FieldError(name, value) for name, alphabet, value in found if _fits(value, alphabet))


def _fits(value: object, alphabet: re.Pattern[str]) -> TypeGuard[str]:
    return isinstance(value, str) and alphabet.fullmatch(value) is not None


def _markup(text: str) -> _Said:
    """XML of the gateway (root ``Error``) or of the service (root ``KMS``), or a page."""
    if not _XML.match(text):
        return _Said(words=PAGE)
    found = {name.lower(): value.strip() for name, value in reversed(_ELEMENT.findall(text[: 4 * _MAX_SAYS]))}
    status = found.get("httpstatus", "")
    return _Said(
        found.get("code") or None,
        found.get("message", ""),
        found.get("requestid"),
        int(status) if re.fullmatch(r"[1-5][0-9][0-9]", status) else None,
    )


def _wait(answer: Answer) -> float | None:
    """``x-acs-retry-after``, which counts milliseconds; the usual headers are read elsewhere."""
    values = [value.strip() for value in answer.all("x-acs-retry-after")[:4]]
    waits = [int(value) / 1000 for value in values if re.fullmatch(r"[0-9]{1,9}", value)]
    return max(waits, default=None)


def _told(exception: BaseException) -> str:
    """An exception and its causes; of those that may hold anything, the name alone."""
    lines: list[str] = []
    for link in chain(exception):
        kind = type(link)
        line = kind.__name__
        if isinstance(link, OSError) or kind.__module__.startswith(_SPEAKERS):
            with suppress(Exception):  # an SDK's exception may do anything when it is printed
                line = f"{line}: {link}"
        lines.append(line[: 2 * _MAX_SAYS])
    return "\n".join(lines)


def _plain(says: str) -> str:
    """Words on one line, each blank a single one, so that a pattern need not care."""
    if len(says) > _MAX_SAYS:
        says = f"{says[: _MAX_SAYS * 3 // 4]} {says[-_MAX_SAYS // 4 :]}"
    return " ".join(says.split())
