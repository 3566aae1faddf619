"""What an answer of ScaiVault says: its envelope, what is left of one, or that there is none.

The envelope is ``{"error": {"code", "message", "details", "request_id"}}``; the token service
answers ``{"error": "invalid_client"}`` (RFC 6749, 5.2). Proxies in front of either answer in
their own ways.
"""

from __future__ import annotations

import re

from kmsbridge._decode import CODE, MAX_BODY, PATH, Answer, Reading, copied, http_date, request_ids
from kmsbridge._errors import FieldError, RateLimit
from kmsbridge_scaivault._findings import TOKEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

STRANGER = "<no envelope>"
"""Begins the words of what is not ScaiVault's own; of what is, no words are needed."""
PAGE = f"{STRANGER} a page"
_MAX_SAYS = 4 * 1024
_MAX_FIELDS = 64
_LIMITS = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "date")
_MAX_RESET = 24 * 60 * 60.0
_CODE = re.compile(r"[a-z][a-z0-9_]*")
"""How all codes of the vocabulary are spelled; an envelope of the same form with another code is a stranger's."""
_BROKEN_CODE = re.compile(r'"code"\s{0,4}:\s{0,4}"([a-z][a-z0-9_]{2,63})"')
_BROKEN_ID = re.compile(r'"request_id"\s{0,4}:\s{0,4}"([A-Za-z0-9_-]{4,64})"')
_KIND = re.compile(r"[a-z]{1,32}(?:_[a-z]{1,32}){0,5}")
"""What is wrong with a field, as one word; a sentence may quote the value."""
_NUMBER = re.compile(r"[0-9]{1,12}")


def read(answer: Answer) -> Reading:
    """Everything that an answer says."""
    ids = request_ids(answer)
    limit = rate_limit(answer)
    success = answer.status is not None and 200 <= answer.status < 300
    body = answer.json()
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, str):  # RFC 6749; of the vault itself it is somebody else's
        return Reading((error,), says="" if answer.door == TOKEN else STRANGER, request_ids=ids, rate_limit=limit)
    if isinstance(error, dict) and isinstance(code := error.get("code"), str):
        details, ours = error.get("details"), error.get("request_id")
        if isinstance(ours, str) and ours not in ids.values():
            ids["request_id"] = ours
        return Reading(
            (code,),
            says="" if _CODE.fullmatch(code) else STRANGER,
            request_ids=ids,
            fields=tuple(_fields(details)) if isinstance(details, dict) else (),
            rate_limit=limit,
        )
    text = answer.text[:MAX_BODY]
    if not success:  # of a success that is cut short, nothing is an error's: it may hold a value
        raw = answer.body[:MAX_BODY].decode("utf-8", "replace")
        for words in (raw, text) if body is None else (text,):
            if found := _BROKEN_CODE.search(words):
                if (named := _BROKEN_ID.search(words)) and named[1] not in ids.values():
                    ids["request_id"] = named[1]
                return Reading((found[1],), request_ids=ids, rate_limit=limit)
        if raw[:256].lstrip("\ufeff \t\r\n").startswith("<"):
            return Reading(says=PAGE, request_ids=ids, rate_limit=limit)
    printed = " ".join(text[:_MAX_SAYS].split())
    return Reading(says=f"{STRANGER} {printed}", request_ids=ids, rate_limit=limit)


def rate_limit(answer: Answer) -> RateLimit | None:
    """What the headers say of the limit on requests, which every answer carries; None where they say nothing."""
    found = {name: value for key, value in reversed(answer.headers) if (name := key.lower()) in _LIMITS}
    limit, remaining, reset = (_number(found.get(name)) for name in _LIMITS[:3])
    seconds = None
    if reset is not None:  # a moment, in seconds since 1970, on the clock of the service
        now = http_date(found.get("date", ""))
        now = answer.received_at if now is None else now
        seconds = None if now is None or reset - now > _MAX_RESET else max(0.0, reset - now)
    return None if limit is remaining is seconds is None else RateLimit(limit, remaining, seconds)


def _number(value: str | None) -> int | None:
    return int(value) if value is not None and _NUMBER.fullmatch(value := value.strip()) else None


def _fields(details: Mapping[str, object]) -> Iterator[FieldError]:
    """The fields that were refused, by name, and the condition that was not met; no words, which may hold a value."""
    if (condition := copied(details.get("failed_condition"), CODE)) is not None:
        yield FieldError("failed_condition", condition)
    fields = details.get("fields")
    if isinstance(fields, dict):
        for path, why in list(fields.items())[:_MAX_FIELDS]:
            yield FieldError(path, _why(why))
    elif isinstance(fields, list):
        for item in fields[:_MAX_FIELDS]:
            named = item
            if isinstance(item, dict):
                named = next((item[name] for name in ("field", "path", "name", "loc") if name in item), None)
            if isinstance(named, list):
                named = ".".join(str(part) for part in named[:16])
            if (path := copied(named, PATH)) is not None:
                yield FieldError(path, _why(item))


def _why(told: object) -> str:
    kind = None
    if isinstance(told, dict):
        kind = next((told[name] for name in ("code", "type") if name in told), None)
    return copied(kind, _KIND) or "was refused"
