"""From the answer of a backend to one error: rules as data, a ladder of statuses under them.

A provider brings a `Decoder`: how to read its answers, and its rules. The order of the
search is fixed: the innermost provider code, then the outer ones, then the sub-status,
then the status, then the ladder; within a group the rule that stands first and fits.
A rule looks at the vendor's words only where the vendor uses one code for several
things. Decoding is a pure, total function: no I/O, no clock, and any bytes give exactly
one error. Nothing of an answer reaches an error but through `copied`.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple, TypeVar

from kmsbridge._errors import (
    TAXONOMY,
    Cause,
    Code,
    Fault,
    FieldError,
    Identity,
    KMSError,
    Outcome,
    RateLimit,
    RetryAction,
    RetryAdvice,
    error_for,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

T = TypeVar("T")

MAX_BODY = 64 * 1024
"""Bytes of an error body that are looked at."""
MAX_COPIED = 128
"""Characters of anything that is copied from an answer."""
MAX_WAIT = 24 * 60 * 60.0
"""Seconds; a server that asks for more is not believed."""


class Phase(StrEnum):
    """How far a request got."""

    BEFORE_SEND = "before_send"
    SENT = "sent"
    HEADERS = "headers"
    BODY = "body"


_BEFORE_SEND, _NOT_SENT, _NEVER = Phase.BEFORE_SEND, Outcome.NOT_SENT, RetryAction.NEVER
"""Python 3.11 looks up a member of an enumeration slowly, and every error needs these."""


class Answer(NamedTuple):
    """What came back, raw: of a request, or of an SDK that hides it."""

    status: int | None = None
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    phase: Phase = Phase.BODY
    exception: BaseException | None = None
    """What ended the request, where there is no whole answer."""
    text: str = ""
    """What an SDK printed, where that is all there is."""
    door: str | None = None
    """Which interface of the backend answered, where it has several."""
    received_at: float | None = None
    """When it came, in seconds since 1970: needed for a Retry-After that is a date."""

    def header(self, name: str) -> str | None:
        """The first header of that name, given in lower case."""
        for key, value in self.headers:
            if key.lower() == name:
                return value
        return None

    def all(self, name: str) -> list[str]:
        """Every header of that name, given in lower case."""
        return [value for key, value in self.headers if key.lower() == name]

    def json(self) -> object:
        """The body as JSON; None if it is not."""
        body = self.body[:MAX_BODY]
        if not body:
            return None
        import json

        try:  # most bodies are UTF-8, which `json` would find out slowly
            return json.loads(body.decode())
        except UnicodeDecodeError:
            pass
        except (ValueError, RecursionError):
            if b"\0" not in body and not body.startswith(b"\xef\xbb\xbf"):
                return None
        try:  # UTF-16, UTF-32, or with a byte order mark
            return json.loads(body)
        except UnicodeDecodeError:
            pass
        except (ValueError, RecursionError):
            return None
        try:  # a body with a few bytes that are not UTF-8 still says what is wrong
            return json.loads(body.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            return None


class Refused(Exception):
    """A driver's word that the backend refused; never leaves the library."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("the backend refused the call")
        self.answer = answer


class Reading(NamedTuple):
    """What a provider found in an answer. Nothing in it is trusted."""

    codes: tuple[str, ...] = ()
    """Provider codes, from the outermost to the innermost."""
    sub_status: int | None = None
    says: str = ""
    """The vendor's words: matched against listed patterns, never copied."""
    sentence: str | None = None
    """Our own words for the message, where the provider knows better than the code."""
    request_ids: Mapping[str, str] = {}
    fields: tuple[FieldError, ...] = ()
    identity: Identity | None = None
    retry_after: float | None = None
    """Seconds, where the answer has it elsewhere than in the usual headers."""
    rate_limit: RateLimit | None = None
    status: int | None = None
    """The HTTP status, where only the text of an SDK has it."""


class Rule(NamedTuple):
    """When it fits, what it means. What is left out is as `TAXONOMY` has it."""

    on: str | None
    """The provider code, at any depth; None for any."""
    code: Code
    under: str | None = None
    """A provider code that must stand further out."""
    sub_status: int | None = None
    status: int | None = None
    operation: str | None = None
    """``secrets.get``, or ``secrets`` for all of them."""
    door: str | None = None
    says: str | None = None
    """A regular expression over the vendor's words, in any case; write its source beside it."""
    action: RetryAction | None = None
    limit: int | None = None
    min_delay: float | None = None
    outcome: Outcome | None = None
    fault: Fault | None = None
    sentence: str | None = None
    remediation: str | None = None
    doc_url: str | None = None


def _ladder() -> Mapping[int, Rule]:
    never, backoff, unknown = RetryAction.NEVER, RetryAction.BACKOFF, Outcome.UNKNOWN
    down = Code.SERVICE_UNAVAILABLE
    # fmt: off
    return {
        400: Rule(None, Code.INVALID_ARGUMENT),
        401: Rule(None, Code.UNAUTHENTICATED),
        402: Rule(None, Code.QUOTA_EXCEEDED),
        403: Rule(None, Code.ACCESS_DENIED),
        404: Rule(None, Code.NOT_FOUND),
        405: Rule(None, Code.UNSUPPORTED),
        407: Rule(None, Code.NETWORK_FORBIDDEN, sentence="a proxy on the way asks for a login",
                  remediation="Give the proxy's user and password in the proxy variable."),
        408: Rule(None, Code.TIMEOUT),
        409: Rule(None, Code.OPERATION_IN_PROGRESS, action=never, sentence="the item's state is in the way"),
        410: Rule(None, Code.NOT_FOUND),
        412: Rule(None, Code.VERSION_CONFLICT),
        413: Rule(None, Code.PAYLOAD_TOO_LARGE),
        421: Rule(None, Code.NETWORK_ERROR, outcome=Outcome.NOT_APPLIED),
        423: Rule(None, Code.OPERATION_IN_PROGRESS, action=backoff),
        424: Rule(None, Code.WRONG_STATE),
        425: Rule(None, down),
        428: Rule(None, Code.VERSION_CONFLICT),
        429: Rule(None, Code.RATE_LIMITED),
        449: Rule(None, Code.VERSION_CONFLICT, action=backoff),
        451: Rule(None, Code.NETWORK_FORBIDDEN),
        500: Rule(None, Code.INTERNAL_ERROR),
        501: Rule(None, Code.UNSUPPORTED),
        502: Rule(None, down, outcome=unknown),
        503: Rule(None, down, outcome=unknown),
        504: Rule(None, Code.TIMEOUT),
        505: Rule(None, Code.UNSUPPORTED),
        507: Rule(None, Code.QUOTA_EXCEEDED),
        511: Rule(None, Code.NETWORK_FORBIDDEN, sentence="this network asks for a login of its own"),
    }
    # fmt: on


LADDER = _ladder()
"""What an HTTP status means where no rule of the provider knows more (RFC 9110, RFC 6585)."""
_ANY_2XX = Rule(None, Code.INTERNAL_ERROR, sentence="the backend answered success without what it must hold")
_ANY_3XX = Rule(
    None,
    Code.NETWORK_ERROR,
    action=RetryAction.NEVER,
    sentence="the backend's address redirects elsewhere, which is not followed",
    remediation="Check the address, and whether a proxy or login page stands in the way.",
)
_ANY_4XX = Rule(None, Code.INVALID_ARGUMENT)
_ANY_5XX = Rule(None, Code.SERVICE_UNAVAILABLE, outcome=Outcome.UNKNOWN)
_NOTHING_KNOWN = Rule(None, Code.UNKNOWN)
_CERTIFICATE = Rule(
    None,
    Code.NETWORK_ERROR,
    action=RetryAction.NEVER,
    outcome=Outcome.NOT_SENT,
    sentence="the backend's TLS certificate is not trusted",
    remediation="Check the address, and name the private CA if there is one.",
)
_NO_CONNECTION = Rule(None, Code.NETWORK_ERROR, outcome=Outcome.NOT_SENT)
_BROKEN = Rule(None, Code.NETWORK_ERROR)
_LATE = Rule(None, Code.TIMEOUT)


class Decoder:
    """One provider's way from an answer to an error.

    Args:
        provider: Its name, for `KMSError.provider`.
        rules: Its rules; of those that fit, the first in its group counts.
        read: What an answer says. Any exception of it counts as "nothing".
        answer: The answer that an SDK's exception hides; None where there is none to be had.
        fold: How provider codes are compared.
    """

    def __init__(
        self,
        provider: str | None,
        rules: Iterable[Rule] = (),
        *,
        read: Callable[[Answer], Reading] | None = None,
        answer: Callable[[Exception], Answer | None] = lambda _: None,
        fold: Callable[[str], str] = str.lower,
    ) -> None:
        self.provider = provider
        self._read = read or read_json
        self._answer = answer
        self._fold = fold
        self._by_code: dict[str, list[tuple[Rule, re.Pattern[str] | None]]] = {}
        self._by_sub_status: dict[int, list[tuple[Rule, re.Pattern[str] | None]]] = {}
        self._by_status: dict[int | None, list[tuple[Rule, re.Pattern[str] | None]]] = {}
        for rule in rules:
            entry = (rule, re.compile(rule.says, re.IGNORECASE | re.DOTALL) if rule.says else None)
            if rule.on is not None:
                self._by_code.setdefault(fold(rule.on), []).append(entry)
            elif rule.sub_status is not None:
                self._by_sub_status.setdefault(rule.sub_status, []).append(entry)
            else:
                self._by_status.setdefault(rule.status, []).append(entry)

    def answer(self, failure: Exception) -> Answer:
        """What is known of a failure: the raw answer, or how far the request got."""
        if isinstance(failure, Refused):
            return failure.answer
        return self._answer(failure) or Answer(phase=Phase.SENT, exception=failure)

    def key_usable(self, error: KMSError) -> bool | None:
        """Whether the backend can use the key that it depends on itself; None where an error does not tell.

        What another service cannot do, such as one that issues tokens, says nothing of that key.
        """
        return False if error.code in (Code.KEY_ACCESS_REVOKED, Code.KEY_VERSION_UNUSABLE) else None

    def decode(self, answer: Answer, *, operation: str | None = None) -> KMSError:
        """The one error this answer gives."""
        try:
            reading = self._read(answer)
        except Exception:  # the law: any bytes give one error; tests call read itself
            reading = Reading()
        if answer.status is None and reading.status is not None:
            answer = answer._replace(status=reading.status)
        rule = self._rule(answer, reading, operation)
        meaning = TAXONOMY[rule.code]
        retry = meaning.retry
        if rule.action is not None or rule.limit is not None or rule.min_delay is not None:
            action = rule.action or retry.action
            plain = action is not retry.action
            retry = RetryAdvice(
                action,
                rule.limit if rule.limit is not None or plain else retry.limit,
                rule.min_delay if rule.min_delay is not None else 0.0 if plain else retry.min_delay,
            )
        error = error_for(rule.code, reading.sentence or rule.sentence)
        error.provider = self.provider
        error.provider_codes = tuple([code for code in reading.codes if copied(code, CODE) is not None])
        error.http_status = answer.status
        error.retry = retry
        error.outcome = _NOT_SENT if answer.phase is _BEFORE_SEND else rule.outcome or meaning.outcome
        error.fault = rule.fault or meaning.fault
        error.remediation = rule.remediation or meaning.remediation
        error.doc_url = rule.doc_url
        error.rate_limit = reading.rate_limit
        if reading.sub_status is not None and 0 < reading.sub_status < 1_000_000:
            error.sub_status = reading.sub_status
        if reading.fields:
            error.fields = tuple([field for field in reading.fields if copied(field.path, PATH) is not None])
        if reading.identity is not None:
            error.identity = Identity(*[copied(part, CODE) for part in reading.identity])
        error.request_ids = _ids(reading.request_ids) or request_ids(answer)
        if retry.action is not _NEVER:
            wait = reading.retry_after
            error.retry_after = wait if wait is not None and 0 <= wait <= MAX_WAIT else retry_after(answer)
        if answer.exception is not None:
            error.causes = causes_of(answer.exception)
        return error

    def _rule(self, answer: Answer, reading: Reading, operation: str | None) -> Rule:
        codes = [self._fold(code) for code in reading.codes]

        def first(entries: Iterable[tuple[Rule, re.Pattern[str] | None]], depth: int) -> Rule | None:
            for rule, says in entries:
                if (
                    (rule.status is None or rule.status == answer.status)
                    and (rule.sub_status is None or rule.sub_status == reading.sub_status)
                    and (rule.under is None or self._fold(rule.under) in codes[:depth])
                    and (rule.door is None or rule.door == answer.door)
                    and (rule.operation is None or f"{operation}.".startswith(f"{rule.operation}."))
                    and (says is None or says.search(reading.says))
                ):
                    return rule
            return None

        for depth in range(len(codes) - 1, -1, -1):
            if (found := first(self._by_code.get(codes[depth], ()), depth)) is not None:
                return found
        if reading.sub_status is not None:
            found = first(self._by_sub_status.get(reading.sub_status, ()), len(codes))
            if found is not None:
                return found
        for status in (answer.status, None):
            if (found := first(self._by_status.get(status, ()), len(codes))) is not None:
                return found
        return _by_ladder(answer)


def _by_ladder(answer: Answer) -> Rule:
    """What the status alone says, or the exception where there is no status."""
    status = answer.status
    if answer.exception is not None and (status is None or 200 <= status < 300):
        return _by_exception(answer.exception)
    if status is None:
        return _NOTHING_KNOWN
    if (rule := LADDER.get(status)) is not None:
        return rule
    hundreds = {2: _ANY_2XX, 3: _ANY_3XX, 4: _ANY_4XX, 5: _ANY_5XX}
    return hundreds.get(status // 100, _NOTHING_KNOWN)


def _by_exception(exception: BaseException) -> Rule:
    """By the types in the chain of causes; types by name, so that ssl and socket need not be loaded."""
    names = {kind.__name__ for link in chain(exception) for kind in type(link).__mro__}
    if "SSLCertVerificationError" in names:
        return _CERTIFICATE
    broken = {"ConnectionResetError", "ConnectionAbortedError", "BrokenPipeError"}  # of an attempt that was sent
    if names & {"gaierror", "ConnectionRefusedError"} and not names & broken:
        return _NO_CONNECTION
    if "TimeoutError" in names:
        return _LATE
    if names & {"ConnectionError", "SSLError"}:
        return _BROKEN
    return _NOTHING_KNOWN


# -- what is copied from an answer ------------------------------------------------------

CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]*")
"""The alphabet of provider codes and request ids."""
PATH = re.compile(r"[A-Za-z_$][A-Za-z0-9_.$\[\]-]*")
"""The alphabet of the path to a field."""
_TYPE = re.compile(r"[A-Za-z_][A-Za-z0-9_.<>]*")


def copied(value: object, alphabet: re.Pattern[str]) -> str | None:
    """The value, if it is text of this alphabet and not too long; else nothing of it."""
    if isinstance(value, str) and len(value) <= MAX_COPIED and alphabet.fullmatch(value):
        return value
    return None


_REQUEST_IDS = frozenset(
    ("x-ms-request-id", "x-ms-client-request-id", "x-ms-activity-id", "x-acs-request-id", "x-request-id")
)


def request_ids(answer: Answer) -> dict[str, str]:
    """The request ids in the headers of an answer."""
    found: dict[str, str] = {}
    for key, value in answer.headers:  # each answer is read so, also a success
        if (name := key.lower()) in _REQUEST_IDS and copied(value, CODE) is not None:
            found[name] = value
    return found


def _ids(found: Mapping[str, str]) -> dict[str, str]:
    """Those that look like request ids, under names that look like names."""
    return {n: v for n, v in found.items() if copied(n, CODE) is not None and copied(v, CODE) is not None}


def read_json(answer: Answer) -> Reading:
    """What most JSON answers have: a code, words, and further codes inside.

    ``{"error": {"code", "message", "innererror": {"code", ...}}}``, or the same without
    the outer object, with names in any case.
    """
    body = answer.json()
    if not isinstance(body, dict):
        return Reading(says=answer.text[:MAX_BODY])
    error = member(body, "error")
    node: object = error if isinstance(error, dict) else body
    codes: list[str] = []
    says: list[str] = [answer.text[:MAX_BODY]] if answer.text else []
    while isinstance(node, dict) and len(codes) < 16:
        if isinstance(code := member(node, "code"), str):
            codes.append(code)
        if isinstance(words := member(node, "message"), str):
            says.append(words)
        node = member(node, "innererror")
    return Reading(tuple(codes), says="\n".join(says))


def member(node: Mapping[str, Any], name: str) -> object:
    """A member of a JSON object by its name in any case; None where there is none."""
    if name in node:
        return node[name]
    for key, value in node.items():
        if key.lower() == name:
            return value
    return None


_WAITS = ("retry-after-ms", "x-ms-retry-after-ms", "retry-after")
"""The headers that ask to wait, the most exact first."""
_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")


def retry_after(answer: Answer) -> float | None:
    """Seconds the server asks us to wait, from the header forms in use; None for what makes no sense."""
    found = [(name, value) for key, value in answer.headers if (name := key.lower()) in _WAITS]
    for wanted in _WAITS if found else ():
        values = [value for name, value in found if name == wanted][:4]
        if waits := [wait for value in values if (wait := _seconds(wanted, value, answer)) is not None]:
            return max(waits)
    return None


def _seconds(name: str, value: str, answer: Answer) -> float | None:
    if _NUMBER.fullmatch(value := value.strip()):
        wait = float(value) / 1000 if name.endswith("-ms") else float(value)
        return wait if wait <= MAX_WAIT else None
    if name.endswith("-ms") or (until := http_date(value)) is None:
        return None
    now = answer.received_at if (sent := http_date(answer.header("date") or "")) is None else sent
    return None if now is None or until - now > MAX_WAIT else max(0.0, until - now)


@lru_cache(64)
def http_date(value: str) -> float | None:
    """An HTTP date, in seconds since 1970; the forms that name no zone are UTC too (RFC 9110, 5.6.7).

    Remembered: many answers come within one second.
    """
    if len(value) > MAX_COPIED:
        return None
    from datetime import UTC
    from email.utils import parsedate_to_datetime

    try:
        date = parsedate_to_datetime(value)
        return (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


# -- what went wrong underneath ---------------------------------------------------------


def chain(exception: BaseException) -> Iterator[BaseException]:
    """An exception and what caused it, outermost first, at most eight.

    azure-core raises outside its ``except`` block and keeps the cause in `inner_exception`.
    """
    seen: list[BaseException] = []
    link: BaseException | None = exception
    while link is not None and len(seen) < 8 and not any(link is known for known in seen):
        seen.append(link)
        yield link
        inner = link.__context__ if link.__cause__ is None else link.__cause__
        if inner is None and isinstance(kept := link.__dict__.get("inner_exception"), BaseException):
            inner = kept
        link = inner


def causes_of(exception: BaseException) -> tuple[Cause, ...]:
    """The chain as data: type names, and only texts that can hold nothing of the caller's."""
    return tuple(Cause(_type_name(link), _safe_text(link)) for link in chain(exception))


def _type_name(link: BaseException) -> str:
    kind = type(link)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return copied(name[:MAX_COPIED], _TYPE) or "?"


def _safe_text(link: BaseException) -> str | None:
    module = type(link).__module__
    try:
        if isinstance(link, OSError) and isinstance(number := link.errno, int) and abs(number) < 100_000:
            import errno

            foreign = module in ("ssl", "socket")  # they number errors of their own
            return f"errno {number}" if foreign else errno.errorcode.get(number, f"errno {number}")
        if module == "sqlite3":
            return copied(getattr(link, "sqlite_errorname", None), CODE)
    except Exception:  # an SDK's exception may do anything when looked at
        return None
    return None
