"""The exceptions of kmsbridge, and the vocabulary they are written in.

    KMSError
    ├── AuthenticationError
    ├── PermissionDeniedError
    ├── InvalidRequestError          (also a ValueError)
    ├── UnsupportedError             (also a NotImplementedError)
    ├── NotFoundError                (also a LookupError)
    ├── ConflictError
    ├── PreconditionError
    ├── ThrottledError
    ├── UnavailableError
    │   ├── DeadlineExceededError
    │   └── NetworkError
    ├── CryptoError
    └── UnknownError

There is one class per `Category`; `Code` says more exactly what happened, and
`TAXONOMY` holds what each code means. No class is an OSError: ``except OSError``
round a file must not swallow the answer of a vault.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple, TypedDict, TypeVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self, Unpack

E = TypeVar("E", bound="KMSError")


class Category(StrEnum):
    """What kind of failure it is. Each category has one exception class."""

    AUTHENTICATION = "authentication"
    PERMISSION_DENIED = "permission_denied"
    INVALID_REQUEST = "invalid_request"
    UNSUPPORTED = "unsupported"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    FAILED_PRECONDITION = "failed_precondition"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    CRYPTO = "crypto"
    UNKNOWN = "unknown"


class Code(StrEnum):
    """What happened, exactly. Codes are never renamed and never reused.

    Treat a code you do not know by its category: later releases may add codes.
    """

    UNAUTHENTICATED = "unauthenticated"
    TOKEN_EXPIRED = "token_expired"
    CREDENTIAL_REJECTED = "credential_rejected"
    CREDENTIAL_UNAVAILABLE = "credential_unavailable"
    CLOCK_SKEW = "clock_skew"
    ACCESS_DENIED = "access_denied"
    NETWORK_FORBIDDEN = "network_forbidden"
    CONDITION_NOT_MET = "condition_not_met"
    KEY_ACCESS_REVOKED = "key_access_revoked"
    INVALID_ARGUMENT = "invalid_argument"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    UNSUPPORTED = "unsupported"
    NOT_FOUND = "not_found"
    VERSION_NOT_FOUND = "version_not_found"
    CONTAINER_NOT_FOUND = "container_not_found"
    ALREADY_EXISTS = "already_exists"
    DELETED_BUT_RECOVERABLE = "deleted_but_recoverable"
    VERSION_CONFLICT = "version_conflict"
    OPERATION_IN_PROGRESS = "operation_in_progress"
    DISABLED = "disabled"
    PENDING_DELETION = "pending_deletion"
    EXPIRED = "expired"
    KEY_VERSION_UNUSABLE = "key_version_unusable"
    QUOTA_EXCEEDED = "quota_exceeded"
    WRONG_STATE = "wrong_state"
    RATE_LIMITED = "rate_limited"
    SERVICE_UNAVAILABLE = "service_unavailable"
    DEPENDENCY_UNAVAILABLE = "dependency_unavailable"
    TIMEOUT = "timeout"
    NETWORK_ERROR = "network_error"
    INTERNAL_ERROR = "internal_error"
    DECRYPTION_FAILED = "decryption_failed"
    UNKNOWN = "unknown"


class RetryAction(StrEnum):
    """What to do before the same call can succeed."""

    NEVER = "never"
    """Same call, same answer."""
    BACKOFF = "backoff"
    """Wait with full jitter, then call again."""
    THROTTLE = "throttle"
    """Wait as long as the server wishes, and slow the whole client down."""
    REAUTHENTICATE = "reauthenticate"
    """Drop the cached token, get a fresh one, call again once."""
    REFRESH = "refresh"
    """Read what is stale again (ETag, endpoints, key version), then make a new request."""
    POLL = "poll"
    """Ask for the state of the operation that runs; never start it again."""


class Outcome(StrEnum):
    """Whether the backend carried the failed call out."""

    NOT_SENT = "not_sent"
    """Nothing reached the backend."""
    NOT_APPLIED = "not_applied"
    """The backend refused it: nothing was changed."""
    UNKNOWN = "unknown"
    """It may have been applied."""


class Fault(StrEnum):
    """Who has to act."""

    CALLER = "caller"
    CUSTOMER = "customer"
    """The owner of the vault or the key."""
    SERVICE = "service"
    NETWORK = "network"
    UNKNOWN = "unknown"


class RetryAdvice(NamedTuple):
    """Whether and how to call again."""

    action: RetryAction = RetryAction.NEVER
    limit: int | None = None
    """Retries this failure allows at most; None leaves it to the policy."""
    min_delay: float = 0.0
    """Seconds to wait at least."""
    exhausted: bool = False
    """We have given up: an outer loop should stop too."""


class RateLimit(NamedTuple):
    """The backend's own account of its limit, as it sent it."""

    limit: int | None = None
    remaining: int | None = None
    reset: float | None = None
    """Seconds until the limit is lifted."""


class Attempt(NamedTuple):
    """One attempt of a call that failed."""

    code: Code
    http_status: int | None
    provider_codes: tuple[str, ...]
    request_ids: Mapping[str, str]
    outcome: Outcome
    elapsed: float
    """Seconds it took."""
    then: RetryAction | None = None
    """What was done before the next attempt; None when there was none."""
    delay: float = 0.0
    """Seconds waited before the next attempt."""


class Resource(NamedTuple):
    """What the call was about. Never holds a value."""

    type: str
    name: str | None = None
    version: str | None = None
    container: str | None = None

    def __str__(self) -> str:
        text = self.type if self.name is None else f"{self.type} {self.name!r}"
        if self.version is not None:
            text += f" version {self.version!r}"
        return text if self.container is None else f"{text} in {self.container!r}"


class FieldError(NamedTuple):
    """One argument or field that was refused, and why."""

    path: str
    reason: str


class Identity(NamedTuple):
    """Who we were to the backend: never a token."""

    credential: str | None = None
    """Which credential of the chain answered."""
    tenant: str | None = None
    application: str | None = None
    object_id: str | None = None


class Cause(NamedTuple):
    """One exception underneath: its type, and its text where that is known to be safe."""

    type: str
    text: str | None = None


class Meaning(NamedTuple):
    """What a code stands for, and what is assumed where a backend says no more."""

    category: Category
    summary: str
    remediation: str
    retry: RetryAdvice
    outcome: Outcome
    fault: Fault


def _taxonomy() -> Mapping[Code, Meaning]:
    from types import MappingProxyType

    never = RetryAdvice()
    backoff = RetryAdvice(RetryAction.BACKOFF)
    table: dict[Code, Meaning] = {}

    def add(
        category: Category,
        fault: Fault,
        code: Code,
        summary: str,
        remediation: str,
        retry: RetryAdvice = never,
        outcome: Outcome = Outcome.NOT_APPLIED,
    ) -> None:
        table[code] = Meaning(category, summary, remediation, retry, outcome, fault)

    # fmt: off
    C, F = Category, Fault
    fresh = RetryAdvice(RetryAction.REAUTHENTICATE, limit=1)
    add(C.AUTHENTICATION, F.CALLER, Code.UNAUTHENTICATED,
        "no usable credential was presented",
        "Give the call a credential: log in, or name one in the profile (options.credential).",
        fresh)
    add(C.AUTHENTICATION, F.CALLER, Code.TOKEN_EXPIRED,
        "the access token has expired and no fresh one could be had",
        "Renew the credential's session, then call again.",
        fresh)
    add(C.AUTHENTICATION, F.CALLER, Code.CREDENTIAL_REJECTED,
        "the credential was refused",
        "Replace the credential: it is wrong, revoked or unknown to the backend.")
    add(C.AUTHENTICATION, F.CALLER, Code.CREDENTIAL_UNAVAILABLE,
        "no token could be had; nothing was sent to the service",
        "Check the token source: login, managed identity endpoint or environment variables.",
        outcome=Outcome.NOT_SENT)
    add(C.AUTHENTICATION, F.CALLER, Code.CLOCK_SKEW,
        "the clock of this machine differs too much from the service's",
        "Set the clock (NTP); the key itself is fine.")
    add(C.PERMISSION_DENIED, F.CUSTOMER, Code.ACCESS_DENIED,
        "the identity may not do this",
        "Ask the owner of the vault or key to grant this identity the operation.")
    add(C.PERMISSION_DENIED, F.CUSTOMER, Code.NETWORK_FORBIDDEN,
        "calls from this network are refused",
        "Ask the owner of the network rules: firewall, IP rule, private link or perimeter.")
    add(C.PERMISSION_DENIED, F.CALLER, Code.CONDITION_NOT_MET,
        "it is allowed, but not in this way",
        "Meet the condition of the policy, such as multi-factor login or a time window.")
    add(C.PERMISSION_DENIED, F.CUSTOMER, Code.KEY_ACCESS_REVOKED,
        "the service can no longer use the customer's key",
        "Ask the owner of the key to give the service's identity access to it again.")
    add(C.INVALID_REQUEST, F.CALLER, Code.INVALID_ARGUMENT,
        "the request is not valid",
        "Correct the call; the fields of the error say where.")
    add(C.INVALID_REQUEST, F.CALLER, Code.PAYLOAD_TOO_LARGE,
        "the value is larger than the backend takes",
        "Send less: seal large data with an envelope, sign a digest.")
    add(C.UNSUPPORTED, F.CALLER, Code.UNSUPPORTED,
        "this backend cannot do it",
        "Look at bridge.capabilities before the call, or use another backend.")
    add(C.NOT_FOUND, F.CALLER, Code.NOT_FOUND,
        "there is no such item",
        "Create it, or correct the name.")
    add(C.NOT_FOUND, F.CALLER, Code.VERSION_NOT_FOUND,
        "the item has no such version",
        "List its versions, and ask for one that is there.")
    add(C.NOT_FOUND, F.CUSTOMER, Code.CONTAINER_NOT_FOUND,
        "the vault, account, database or tenant is not there",
        "Correct the address in the configuration: this says nothing about the item.")
    add(C.CONFLICT, F.CALLER, Code.ALREADY_EXISTS,
        "an item of this name exists already",
        "Use what is there, or choose another name.")
    add(C.CONFLICT, F.CALLER, Code.DELETED_BUT_RECOVERABLE,
        "the name is held by a deleted item that can still be recovered",
        "Recover it, or purge it and create it anew.")
    add(C.CONFLICT, F.CALLER, Code.VERSION_CONFLICT,
        "somebody else has changed the item in the meantime",
        "Read the item again, apply the change to what you read, write again.",
        RetryAdvice(RetryAction.REFRESH))
    add(C.CONFLICT, F.SERVICE, Code.OPERATION_IN_PROGRESS,
        "another operation on this item is still running",
        "Wait until it is done.",
        RetryAdvice(RetryAction.POLL))
    add(C.FAILED_PRECONDITION, F.CUSTOMER, Code.DISABLED,
        "the item or version is disabled",
        "Enable it, or use another version.")
    add(C.FAILED_PRECONDITION, F.CUSTOMER, Code.PENDING_DELETION,
        "the item is scheduled for deletion",
        "Cancel the deletion before its date.")
    add(C.FAILED_PRECONDITION, F.CUSTOMER, Code.EXPIRED,
        "the item is outside the time in which it may be used",
        "Rotate it, or take out a new lease.")
    add(C.FAILED_PRECONDITION, F.CUSTOMER, Code.KEY_VERSION_UNUSABLE,
        "a key version that is needed is disabled or gone",
        "Enable that key version again.")
    add(C.FAILED_PRECONDITION, F.CUSTOMER, Code.QUOTA_EXCEEDED,
        "a quota is used up, and waiting does not help",
        "Free some of it, or have it raised.")
    add(C.FAILED_PRECONDITION, F.CUSTOMER, Code.WRONG_STATE,
        "the item is in a state that does not allow this",
        "Look at the item's state, and bring it into the right one first.")
    add(C.THROTTLED, F.CALLER, Code.RATE_LIMITED,
        "too many requests",
        "Slow down: share one bridge, cache what is read, spread the calls.",
        RetryAdvice(RetryAction.THROTTLE, min_delay=1.0))
    add(C.UNAVAILABLE, F.SERVICE, Code.SERVICE_UNAVAILABLE,
        "the service cannot answer at the moment",
        "Try again later; if it lasts, look at the provider's status page.",
        backoff)
    add(C.UNAVAILABLE, F.SERVICE, Code.DEPENDENCY_UNAVAILABLE,
        "something the service itself depends on cannot answer",
        "Try again later; if it lasts, check the vault or directory behind the service.",
        backoff)
    add(C.UNAVAILABLE, F.UNKNOWN, Code.TIMEOUT,
        "no answer came in time",
        "Try again, or allow more time (timeout=).",
        backoff, Outcome.UNKNOWN)
    add(C.UNAVAILABLE, F.NETWORK, Code.NETWORK_ERROR,
        "the backend could not be reached, or the connection broke",
        "Check name resolution, route, proxy and TLS to the backend.",
        backoff, Outcome.UNKNOWN)
    add(C.UNAVAILABLE, F.SERVICE, Code.INTERNAL_ERROR,
        "the backend failed, or its answer makes no sense",
        "If it happens again, give the provider's support the request id.",
        RetryAdvice(RetryAction.BACKOFF, limit=1), Outcome.UNKNOWN)
    add(C.CRYPTO, F.CALLER, Code.DECRYPTION_FAILED,
        "the data, the key and the context do not fit together",
        "Check that this is the right key, the same context and unaltered data.")
    add(C.UNKNOWN, F.UNKNOWN, Code.UNKNOWN,
        "the backend failed in a way that is not known here",
        "See the provider codes and causes; run `kmsbridge explain` on the answer.",
        outcome=Outcome.UNKNOWN)
    # fmt: on
    return MappingProxyType(table)


TAXONOMY: Mapping[Code, Meaning] = _taxonomy()


class ErrorFields(TypedDict, total=False):
    """What may be said of an error beside its message; see the attributes of KMSError."""

    code: Code
    provider: str | None
    operation: str | None
    resource: Resource | None
    provider_codes: tuple[str, ...]
    http_status: int | None
    sub_status: int | None
    request_ids: Mapping[str, str]
    retry: RetryAdvice
    retry_after: float | None
    rate_limit: RateLimit | None
    outcome: Outcome
    attempts: int
    elapsed: float
    history: tuple[Attempt, ...]
    fault: Fault
    fields: tuple[FieldError, ...]
    identity: Identity | None
    causes: tuple[Cause, ...]
    remediation: str
    doc_url: str | None


class KMSError(Exception):
    """Root of every error that kmsbridge raises.

    Args:
        message: One sentence of ours; without it the meaning of the code speaks.
        fields: Any of the attributes below.
    """

    code: Code = Code.UNKNOWN
    provider: str | None = None
    operation: str | None = None
    """Such as ``secrets.get``."""
    resource: Resource | None = None
    provider_codes: tuple[str, ...] = ()
    """The backend's own codes, from the outermost to the innermost."""
    http_status: int | None = None
    sub_status: int | None = None
    request_ids: Mapping[str, str] = {}
    """Ours and theirs, by the name of the header that carried them."""
    retry: RetryAdvice
    retry_after: float | None = None
    """Seconds the backend asked us to wait."""
    rate_limit: RateLimit | None = None
    outcome: Outcome
    attempts: int = 0
    """Requests made for this call."""
    elapsed: float = 0.0
    """Seconds from the start of the call to the raise."""
    history: tuple[Attempt, ...] = ()
    """Every attempt that failed, oldest first; empty where the call has not got as far as one."""
    fault: Fault
    fields: tuple[FieldError, ...] = ()
    identity: Identity | None = None
    causes: tuple[Cause, ...] = ()
    """What went wrong underneath, outermost first."""
    remediation: str
    """One sentence: what to do."""
    doc_url: str | None = None

    def __init__(self, message: str | None = None, /, **fields: Unpack[ErrorFields]) -> None:
        super().__init__(*(() if message is None else (message,)))
        meaning = TAXONOMY[fields.get("code", self.code)]
        state = self.__dict__
        state["retry"] = meaning.retry
        state["outcome"] = meaning.outcome
        state["fault"] = meaning.fault
        state["remediation"] = meaning.remediation
        state.update(fields)

    @property
    def category(self) -> Category:
        """The category of the code."""
        return TAXONOMY[self.code].category

    @property
    def message(self) -> str:
        """What happened, in a sentence of ours: never the words of an answer."""
        return self.args[0] if self.args else TAXONOMY[self.code].summary

    def __str__(self) -> str:
        where = " ".join(str(part) for part in (self.provider, self.operation) if part)
        if self.resource is not None and self.resource.name is not None:
            where += f" {self.resource.name!r}"
        notes = [str(self.code)]
        if self.http_status is not None:
            notes.append(f"HTTP {self.http_status}")
        if self.sub_status is not None:
            notes.append(f"sub-status {self.sub_status}")
        if self.provider_codes:
            notes.append("/".join(self.provider_codes))
        return _line(f"{where}: {self.message} [{', '.join(notes)}]".removeprefix(": "))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"

    def details(self) -> str:
        """All there is to know, over several lines."""
        advice = self.retry
        retry = advice.action.value
        if advice.limit is not None:
            retry += f", {advice.limit} at most"
        if advice.exhausted:
            retry += ", given up"
        known = {
            "what to do": self.remediation,
            "who has to act": self.fault.value,
            "retry": retry,
            "retry after": None if self.retry_after is None else f"{self.retry_after:g} s",
            "outcome": self.outcome.value,
            "resource": None if self.resource is None else str(self.resource),
            "attempts": f"{self.attempts} in {self.elapsed:.3f} s" if self.attempts or self.elapsed else None,
            "before": "; ".join(_told(attempt) for attempt in self.history[:-1]),
            "request ids": ", ".join(f"{k} {v}" for k, v in self.request_ids.items()),
            "rate limit": None if self.rate_limit is None else _named(self.rate_limit),
            "identity": None if self.identity is None else _named(self.identity),
            "fields": "; ".join(f"{f.path}: {f.reason}" for f in self.fields),
            "causes": "; ".join(c.type if c.text is None else f"{c.type}: {c.text}" for c in self.causes),
            "see": self.doc_url,
        }
        return "\n".join([str(self), *(f"  {name}: {_line(text)}" for name, text in known.items() if text)])

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON-ready data; keys are only ever added."""
        return {
            "category": self.category.value,
            "code": self.code.value,
            "message": self.message,
            "provider": self.provider,
            "operation": self.operation,
            "resource": None if self.resource is None else self.resource._asdict(),
            "provider_codes": list(self.provider_codes),
            "http_status": self.http_status,
            "sub_status": self.sub_status,
            "request_ids": dict(self.request_ids),
            "retry": {**self.retry._asdict(), "action": self.retry.action.value},
            "retry_after": self.retry_after,
            "rate_limit": None if self.rate_limit is None else self.rate_limit._asdict(),
            "outcome": self.outcome.value,
            "attempts": self.attempts,
            "elapsed": round(self.elapsed, 6),
            "history": [_attempt_dict(attempt) for attempt in self.history],
            "fault": self.fault.value,
            "fields": [field._asdict() for field in self.fields],
            "identity": None if self.identity is None else self.identity._asdict(),
            "causes": [cause._asdict() for cause in self.causes],
            "remediation": self.remediation,
            "doc_url": self.doc_url,
        }

    def copy(self) -> Self:
        """A twin without traceback, so that an error shared by many waiters does not grow."""
        twin = _restore(type(self), self.args, self._state())
        twin.__cause__ = self.__cause__
        return twin

    def __reduce__(self) -> tuple[Callable[..., KMSError], tuple[type[KMSError], tuple[str, ...], dict[str, Any]]]:
        return _restore, (type(self), self.args, self._state())

    def _state(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        if notes := state.get("__notes__"):
            state["__notes__"] = list(notes)  # a note on a twin is not on this one
        return state


def _restore(kind: type[E], args: tuple[str, ...], state: dict[str, Any]) -> E:
    error = kind(*args)
    error.__dict__.update(state)
    return error


def _line(text: str) -> str:
    """The text on one line of a log or terminal: what does not print is escaped."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _told(attempt: Attempt) -> str:
    """One attempt, for people."""
    status = "" if attempt.http_status is None else f" (HTTP {attempt.http_status})"
    then = "" if attempt.then is None else f", then {attempt.then}"
    return f"{attempt.code}{status}{then}" + (f" after {attempt.delay:.2f} s" if attempt.delay else "")


def _attempt_dict(attempt: Attempt) -> dict[str, Any]:
    """One attempt as JSON-ready data."""
    return {
        **attempt._asdict(),
        "code": attempt.code.value,
        "outcome": attempt.outcome.value,
        "provider_codes": list(attempt.provider_codes),
        "request_ids": dict(attempt.request_ids),
        "elapsed": round(attempt.elapsed, 6),
        "then": None if attempt.then is None else attempt.then.value,
        "delay": round(attempt.delay, 6),
    }


def _named(record: RateLimit | Identity) -> str:
    return ", ".join(f"{k} {v}" for k, v in record._asdict().items() if v is not None)


class AuthenticationError(KMSError):
    """Who we are could not be shown."""

    code = Code.UNAUTHENTICATED


class PermissionDeniedError(KMSError):
    """Who we are is known, and may not do this."""

    code = Code.ACCESS_DENIED


class InvalidRequestError(KMSError, ValueError):
    """The call itself is wrong."""

    code = Code.INVALID_ARGUMENT


class UnsupportedError(KMSError, NotImplementedError):
    """The backend cannot do it."""

    code = Code.UNSUPPORTED


class NotFoundError(KMSError, LookupError):
    """It is not there; never "could not ask"."""

    code = Code.NOT_FOUND


class ConflictError(KMSError):
    """Something else is in the way."""

    code = Code.VERSION_CONFLICT


class PreconditionError(KMSError):
    """It is there, in a state that does not allow this."""

    code = Code.WRONG_STATE


class ThrottledError(KMSError):
    """Too much was asked; worth waiting for."""

    code = Code.RATE_LIMITED


class UnavailableError(KMSError):
    """The backend could not answer."""

    code = Code.SERVICE_UNAVAILABLE


class DeadlineExceededError(UnavailableError):
    """The time given to the call is over."""

    code = Code.TIMEOUT


class NetworkError(UnavailableError):
    """Name resolution, TLS or the connection failed."""

    code = Code.NETWORK_ERROR


class CryptoError(KMSError):
    """Data, key and context do not fit."""

    code = Code.DECRYPTION_FAILED


class UnknownError(KMSError):
    """None of the above could be told."""

    code = Code.UNKNOWN


_CLASSES: Mapping[Category, type[KMSError]] = {
    Category.AUTHENTICATION: AuthenticationError,
    Category.PERMISSION_DENIED: PermissionDeniedError,
    Category.INVALID_REQUEST: InvalidRequestError,
    Category.UNSUPPORTED: UnsupportedError,
    Category.NOT_FOUND: NotFoundError,
    Category.CONFLICT: ConflictError,
    Category.FAILED_PRECONDITION: PreconditionError,
    Category.THROTTLED: ThrottledError,
    Category.UNAVAILABLE: UnavailableError,
    Category.CRYPTO: CryptoError,
    Category.UNKNOWN: UnknownError,
}
CLASS_OF: Mapping[Code, type[KMSError]] = {code: _CLASSES[meaning.category] for code, meaning in TAXONOMY.items()} | {
    Code.TIMEOUT: DeadlineExceededError,
    Code.NETWORK_ERROR: NetworkError,
}
"""The exception class that is raised for each code."""


def error_for(code: Code, message: str | None = None, /, **fields: Unpack[ErrorFields]) -> KMSError:
    """The error of this code, of the class that belongs to it."""
    fields["code"] = code
    return CLASS_OF[code](message, **fields)


def invalid(message: str, path: str | None = None, *, remediation: str | None = None) -> InvalidRequestError:
    """The caller's mistake, found before anything was sent."""
    error = InvalidRequestError(message, outcome=Outcome.NOT_SENT)
    if path is not None:
        error.fields = (FieldError(path, message),)
    if remediation is not None:
        error.remediation = remediation
    return error


def unsupported(ability: str, remediation: str | None = None) -> UnsupportedError:
    """The backend lacks this ability; found before anything was sent."""
    error = UnsupportedError(f"this backend has no {ability}", outcome=Outcome.NOT_SENT)
    if remediation is not None:
        error.remediation = remediation
    return error
