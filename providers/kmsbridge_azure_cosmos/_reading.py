"""What an answer of Azure Cosmos DB says.

Bodies have four forms: ``{"code", "message"}``; the same with a backend's JSON inside the
message (``Message: {"Errors": ["..."]}``); ``{"Errors": [...]}`` alone; and the pages of
proxies. A batch answers 200 with a list, in which one member speaks and the others are 424.
SDKs of five languages print them with labels of their own: labels are what is looked for.
"""

from __future__ import annotations

import json
import re

from kmsbridge._decode import MAX_BODY, Answer, Reading, member, request_ids
from kmsbridge._entra._azure_core import IDENTITY, told
from kmsbridge._entra._reading import GUID, plain
from kmsbridge._entra._reading import read as read_identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PAGE = "<page>"
"""Stands for the words of a page: they are not the service's."""
STRANGER = "<no mark of the service>"
"""Begins what is said by an answer that the service has not signed: no header, no code of its own."""
_MAX_WORDS = 64
_SUB_STATUS = re.compile(
    r"\bsub-?status(?:code)?[\\\"' ]{0,4}[:=]?[\\\"' ]{0,4}(\d{1,6})\b"
    r"|currently revoked\b.{0,600}\((4\d{3})\)",
    re.IGNORECASE | re.DOTALL,
)
_STATUS = re.compile(
    r"(?<!sub)(?<!sub-)\bstatus(?: ?code)?(?: does not indicate success)?[\\\"']{0,4} ?[:=]?[\\\"' ]{0,4}"
    r"(?:[A-Za-z]{2,40} \()?([45]\d\d)\b|\b[A-Z][A-Za-z]{2,40} \(([45]\d\d)\)|\(([45]\d\d), \d{1,6}\)",
    re.IGNORECASE,
)
_NAMES: Mapping[str, int] = {
    "badrequest": 400, "unauthorized": 401, "forbidden": 403, "notfound": 404, "methodnotallowed": 405,
    "requesttimeout": 408, "conflict": 409, "gone": 410, "preconditionfailed": 412, "requestentitytoolarge": 413,
    "locked": 423, "faileddependency": 424, "toomanyrequests": 429, "retrywith": 449, "internalservererror": 500,
    "serviceunavailable": 503,
}  # fmt: skip
"""The codes of the service, which are the names of its statuses."""
_NAMED = re.compile(
    r"(?:\(|code[\\\"']{0,4}[:=]? ?[\\\"']{0,4}|error type: )(" + "|".join(_NAMES) + r")\b", re.IGNORECASE
)
_ACTIVITY = re.compile(rf"\bactivity-?id[\\\"']{{0,4}}[:=]? ?[\\\"']{{0,4}}{GUID}", re.IGNORECASE)
_WAIT = re.compile(r"\bretry-?after(?:-ms|InMs|Milliseconds)[\\\"']{0,4}[:=]? ?[\\\"']{0,4}(\d{1,9})\b", re.IGNORECASE)
_HARMLESS = re.compile(r"Id contains illegal chars|Id ends with a space")
"""How the ValueErrors begin by which the SDK refuses an id: they hold nothing of it."""
_LIST = re.compile(rb"\s*\[")
_SQL = re.compile(r"\bSC[12]\d{3}\b")


def read(answer: Answer) -> Reading:
    """Everything that an answer says; of one that ended in an exception, what that says."""
    if answer.door == IDENTITY:
        return read_identity(answer)
    success = answer.status is not None and 200 <= answer.status < 300
    codes: list[str] = []
    words: list[str] = []
    page = False
    if not success:
        body = answer.json()
        if isinstance(body, dict):
            _read_object(body, codes, words)
            words = words if any(words) else ["{}"]  # silent, but in the service's form
        elif answer.body:
            text = answer.body[:MAX_BODY].decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
            page = text.startswith("<")
            words.append(PAGE if page else text if " " in text else "")
    marked = bool(codes) or any(name.lower().startswith("x-ms-") for name, _ in answer.headers)
    if answer.text:
        page = page or "<html" in answer.text[:512].lower()
        words.append(PAGE if page else answer.text)
        marked = marked or not page
    if answer.exception is not None and (success or answer.status is None):
        words.append(told(answer.exception, _HARMLESS))
        marked = True
    says = plain(words).replace("\\", "")
    status = None
    if says and not page:
        codes += [found[1] for found in (_NAMED.search(says),) if found is not None and not codes]
        codes += _SQL.findall(says)[:1]
        status = _status(says, codes)
    if answer.status is not None and not success and not marked:
        says = f"{STRANGER} {says}".strip()
    found = _SUB_STATUS.search(says)
    sub_status = sub_status_of(answer.all("x-ms-substatus"))
    if sub_status is None and found is not None:
        sub_status = int(found[1] or found[2])
    activity = _ACTIVITY.search(says)
    wait = _WAIT.search(says)
    return Reading(
        tuple(codes),
        sub_status=sub_status,
        says=says,
        request_ids={**({} if activity is None else {"x-ms-activity-id": activity[1]}), **request_ids(answer)},
        retry_after=None if wait is None else int(wait[1]) / 1000,
        status=status,
    )


def speaking(answer: Answer) -> Answer:
    """Of the answer to a batch the member that has failed by itself, as an answer of its own; else the answer."""
    if answer.status not in (200, 207) or _LIST.match(answer.body) is None:
        return answer
    members = answer.json()
    if not isinstance(members, list):
        return answer
    failed = [item for item in members if isinstance(item, dict) and _number(item.get("statusCode"), 400, 599)]
    if not failed:
        return answer
    culprit = next((item for item in failed if item["statusCode"] != 424), failed[0])
    headers = [pair for pair in answer.headers if pair[0].lower() != "x-ms-substatus"]
    if _number(culprit.get("subStatusCode"), 0, 999_999):
        headers.append(("x-ms-substatus", str(culprit["subStatusCode"])))
    if _number(wait := culprit.get("retryAfterMilliseconds"), 0, 10**9):
        headers.append(("x-ms-retry-after-ms", str(wait)))
    name = next((name for name, status in _NAMES.items() if status == culprit["statusCode"]), None)
    said = {} if name is None else {"code": name}
    return answer._replace(status=culprit["statusCode"], headers=headers, body=json.dumps(said).encode())


def sub_status_of(values: Iterable[str]) -> int | None:
    """The sub-status of headers that may be repeated, joined, empty or garbage: the first that says something."""
    parts = [part.strip(" ") for value in values for part in value[:256].split(",")]
    numbers = [int(part) for part in parts if re.fullmatch(r"[0-9]{1,6}", part)]
    return next((number for number in numbers if number), numbers[0] if numbers else None)


def _number(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _read_object(body: Mapping[str, object], codes: list[str], words: list[str]) -> None:
    nodes: list[object] = [body]
    while nodes and len(words) < _MAX_WORDS:
        node = nodes.pop(0)
        if isinstance(node, str):
            words.append(node)
        elif isinstance(node, list):
            nodes += node[:16]
        elif isinstance(node, dict):
            if isinstance(code := member(node, "code"), str) and code not in codes and len(codes) < 16:
                codes.append(code)
            nodes += [found for name in ("error", "message", "errors", "details") if (found := member(node, name))]


def _status(says: str, codes: list[str]) -> int | None:
    if (found := _STATUS.search(says)) is not None:
        return int(next(filter(None, found.groups())))
    return next((_NAMES[code.lower()] for code in codes if code.lower() in _NAMES), None)
