"""The exceptions: their tree, their vocabulary, and what they are like in the hands of Python."""

from __future__ import annotations

import copy
import json
import pickle
import re
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kmsbridge
from kmsbridge import Category, Code, Fault, KMSError, Outcome, RetryAction, RetryAdvice
from kmsbridge import _errors as errors
from kmsbridge._config import parse_url

CODES = {
    "authentication": "unauthenticated token_expired credential_rejected credential_unavailable clock_skew",
    "permission_denied": "access_denied network_forbidden condition_not_met key_access_revoked",
    "invalid_request": "invalid_argument payload_too_large",
    "unsupported": "unsupported",
    "not_found": "not_found version_not_found container_not_found",
    "conflict": "already_exists deleted_but_recoverable version_conflict operation_in_progress",
    "failed_precondition": "disabled pending_deletion expired key_version_unusable quota_exceeded wrong_state",
    "throttled": "rate_limited",
    "unavailable": "service_unavailable dependency_unavailable timeout network_error internal_error",
    "crypto": "decryption_failed",
    "unknown": "unknown",
}
CLASSES = {
    "authentication": (errors.AuthenticationError, "unauthenticated"),
    "permission_denied": (errors.PermissionDeniedError, "access_denied"),
    "invalid_request": (errors.InvalidRequestError, "invalid_argument"),
    "unsupported": (errors.UnsupportedError, "unsupported"),
    "not_found": (errors.NotFoundError, "not_found"),
    "conflict": (errors.ConflictError, "version_conflict"),
    "failed_precondition": (errors.PreconditionError, "wrong_state"),
    "throttled": (errors.ThrottledError, "rate_limited"),
    "unavailable": (errors.UnavailableError, "service_unavailable"),
    "crypto": (errors.CryptoError, "decryption_failed"),
    "unknown": (errors.UnknownError, "unknown"),
}
ALL_CLASSES = [KMSError, *(kind for kind, _ in CLASSES.values()), errors.DeadlineExceededError, errors.NetworkError]


def full(kind: type[KMSError] = errors.ThrottledError) -> KMSError:
    """An error with every field set to something that is not its default."""
    return kind(
        "too many requests from here",
        code=kind.code,
        provider="azure-keyvault",
        operation="secrets.get",
        resource=errors.Resource("secret", "billing/db", "v1", "vault-eu"),
        provider_codes=("Forbidden", "Throttled"),
        http_status=429,
        sub_status=3200,
        request_ids={"x-ms-request-id": "abc-123"},
        retry=RetryAdvice(RetryAction.THROTTLE, 3, 2.5, exhausted=True),
        retry_after=7.0,
        rate_limit=errors.RateLimit(100, 0, 9.5),
        outcome=Outcome.NOT_SENT,
        attempts=4,
        elapsed=1.25,
        history=(
            errors.Attempt(
                errors.Code.RATE_LIMITED, 429, ("Throttled",), {"x-ms-request-id": "abc-122"}, Outcome.NOT_APPLIED,
                0.25, RetryAction.THROTTLE, 0.5,
            ),
            errors.Attempt(
                errors.Code.RATE_LIMITED, 429, ("Throttled",), {"x-ms-request-id": "abc-123"}, Outcome.NOT_APPLIED, 0.5
            ),
        ),
        fault=Fault.SERVICE,
        fields=(errors.FieldError("tags.env", "is too long"),),
        identity=errors.Identity("managed-identity", "tenant-1", "app-1", "object-1"),
        causes=(errors.Cause("ssl.SSLError"), errors.Cause("ConnectionResetError", "ECONNRESET")),
        remediation="Slow down.",
        doc_url="https://example.org/throttling",
    )


# -- the vocabulary -----------------------------------------------------------------------


def test_codes_are_the_33_of_the_design_in_its_11_categories() -> None:
    """Every code is there once, in its category, and no other."""
    assert {c: set(names.split()) for c, names in CODES.items()} == {
        category.value: {code.value for code, meaning in errors.TAXONOMY.items() if meaning.category is category}
        for category in Category
    }
    assert len(Code) == len(errors.TAXONOMY) == 33
    assert len(Category) == 11


@pytest.mark.parametrize("category", CODES)
def test_each_code_has_the_class_of_its_category(category: str) -> None:
    """A code is raised as its category's class; only timeout and network_error have one of their own below it."""
    own = {"timeout": errors.DeadlineExceededError, "network_error": errors.NetworkError}
    for code in CODES[category].split():
        error = errors.error_for(Code(code))
        assert type(error) is errors.CLASS_OF[Code(code)] is own.get(code, CLASSES[category][0])
        assert error.code == code
        assert error.category == category


@pytest.mark.parametrize("category", CLASSES)
def test_each_class_has_its_default_code(category: str) -> None:
    """A class raised without a code carries the most general code of its category."""
    kind, code = CLASSES[category]
    assert kind().code == code
    assert kind().category == category


def test_the_two_classes_below_unavailable_have_their_codes() -> None:
    """`except UnavailableError` catches a deadline and a broken network too."""
    for kind, code in ((errors.DeadlineExceededError, Code.TIMEOUT), (errors.NetworkError, Code.NETWORK_ERROR)):
        assert kind().code is code
        assert kind.__bases__ == (errors.UnavailableError,)


def test_bases_are_the_three_builtin_ones_and_no_oserror() -> None:
    """`except OSError` round a file and `except TimeoutError` round asyncio.timeout swallow no answer of a vault."""
    extra = {
        errors.InvalidRequestError: ValueError,
        errors.NotFoundError: LookupError,
        errors.UnsupportedError: NotImplementedError,
    }
    for kind in ALL_CLASSES:
        assert not issubclass(kind, OSError)
        for builtin in (ValueError, LookupError, NotImplementedError):
            assert issubclass(kind, builtin) is (extra.get(kind) is builtin)
        if kind is not KMSError:
            assert KMSError in kind.__mro__[1:3]
            assert issubclass(kind.__bases__[0], KMSError), "KMSError stands first, so that its __init__ is used"


def test_the_docstring_draws_the_real_tree() -> None:
    """The tree in the module's docstring is the tree in the code."""
    drawn: dict[str, str] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if match := re.fullmatch(r"    ([│├└── ]*)(\w+Error)(?: +\(also a (\w+)\))?", line):
            depth = len(match[1]) // 4
            del above[depth:]
            bases = [above[-1]] if above else ["Exception"]
            drawn[match[2]] = ", ".join([*bases, *([match[3]] if match[3] else [])])
            above.append(match[2])
    assert drawn == {kind.__name__: ", ".join(base.__name__ for base in kind.__bases__) for kind in ALL_CLASSES}


def test_every_class_and_record_is_public() -> None:
    """What can be raised can be caught by its public name, which tracebacks show."""
    for kind in ALL_CLASSES:
        assert getattr(kmsbridge, kind.__name__) is kind
        assert kind.__module__ == "kmsbridge"


def test_meanings_are_sentences_and_cannot_be_changed() -> None:
    """Each code says what happened and what to do in one plain sentence, and the table is read-only."""
    for meaning in errors.TAXONOMY.values():
        assert re.fullmatch(r"[A-Z][^\n]*\.", meaning.remediation)
        assert re.fullmatch(r"[a-z][^\n]*[^.\n]", meaning.summary)
    with pytest.raises(TypeError):
        errors.TAXONOMY[Code.UNKNOWN] = errors.TAXONOMY[Code.TIMEOUT]  # type: ignore[index]


def test_only_what_can_change_is_worth_another_call() -> None:
    """The same call gives the same answer, except where the code says that waiting or renewing helps."""
    assert {code.value: meaning.retry.action.value for code, meaning in errors.TAXONOMY.items()
            if meaning.retry.action is not RetryAction.NEVER} == {
        "unauthenticated": "reauthenticate",
        "token_expired": "reauthenticate",
        "version_conflict": "refresh",
        "operation_in_progress": "poll",
        "rate_limited": "throttle",
        "service_unavailable": "backoff",
        "dependency_unavailable": "backoff",
        "timeout": "backoff",
        "network_error": "backoff",
        "internal_error": "backoff",
    }
    assert errors.TAXONOMY[Code.INTERNAL_ERROR].retry.limit == 1
    assert errors.TAXONOMY[Code.UNAUTHENTICATED].retry.limit == 1


def test_outcome_is_unknown_where_nobody_can_tell() -> None:
    """A call that ended without an answer that refuses it may have been applied."""
    assert {code for code, meaning in errors.TAXONOMY.items() if meaning.outcome is Outcome.UNKNOWN} == {
        Code.TIMEOUT, Code.NETWORK_ERROR, Code.INTERNAL_ERROR, Code.UNKNOWN,
    }
    assert {code for code, meaning in errors.TAXONOMY.items() if meaning.outcome is Outcome.NOT_SENT} == {
        Code.CREDENTIAL_UNAVAILABLE,
    }


# -- what an error carries -----------------------------------------------------------------


@pytest.mark.parametrize("code", Code)
def test_what_is_not_said_is_as_the_taxonomy_has_it(code: Code) -> None:
    """Message, advice, outcome, fault and remediation come from the code unless they are given."""
    error, meaning = errors.error_for(code), errors.TAXONOMY[code]
    assert (error.message, error.retry, error.outcome, error.fault, error.remediation) == (
        meaning.summary, meaning.retry, meaning.outcome, meaning.fault, meaning.remediation,
    )


def test_an_error_takes_one_positional_argument() -> None:
    """A second one would be taken for an errno's text by nobody's wish."""
    with pytest.raises(TypeError):
        KMSError("one", "two")  # type: ignore[call-arg, arg-type]
    assert KMSError("one").args == ("one",)
    assert KMSError().args == ()


def test_str_is_one_line_that_names_where_what_and_code() -> None:
    """The text has provider, operation, name, sentence, code, statuses and provider codes."""
    assert str(full()) == (
        "azure-keyvault secrets.get 'billing/db': too many requests from here"
        " [rate_limited, HTTP 429, sub-status 3200, Forbidden/Throttled]"
    )
    assert str(KMSError("it broke")) == "it broke [unknown]"
    assert repr(KMSError("it broke")) == "<KMSError it broke [unknown]>"


@given(st.text(), st.text(), st.text(), st.text())
def test_str_is_one_line_whatever_is_in_it(message: str, provider: str, operation: str, name: str) -> None:
    """Not even a line break in a file's name breaks the line of a log."""
    error = KMSError(message, provider=provider, operation=operation, resource=errors.Resource("secret", name))
    assert len(str(error).splitlines()) == len(repr(error).splitlines()) == 1
    assert str(error).isprintable()


@given(st.text())
def test_details_has_a_line_for_each_thing(text: str) -> None:
    """No text forges a line of the details."""
    error = full()
    lines = len(error.details().splitlines())
    error.remediation = text + "."
    error.fields = (errors.FieldError(text, text),)
    error.causes = (errors.Cause(text, text),)
    error.request_ids = {text: text}
    assert len(error.details().splitlines()) == lines


def test_details_says_everything() -> None:
    """Each field that is set can be read in details()."""
    details = full().details()
    assert details.splitlines()[0] == str(full())
    for part in (
        "Slow down.", "service", "throttle, 3 at most, given up", "7 s", "not_sent", "4 in 1.250 s", "abc-123",
        "secret 'billing/db' version 'v1' in 'vault-eu'", "limit 100, remaining 0, reset 9.5", "managed-identity",
        "tags.env: is too long", "ssl.SSLError; ConnectionResetError: ECONNRESET", "https://example.org/throttling",
    ):
        assert part in details, part


def test_details_of_an_explained_answer_count_no_attempts() -> None:
    """Where nothing was sent and no time passed, there is nothing to say of either."""
    assert "attempts" not in KMSError().details()
    assert "attempts: 0 in 0.500 s" in KMSError(elapsed=0.5).details()


def test_to_dict_is_json_and_complete() -> None:
    """Every field of an error is in to_dict, and json.dumps takes it as it is."""
    record = full().to_dict()
    assert record.keys() == errors.ErrorFields.__annotations__.keys() | {"category", "message"}
    assert json.loads(json.dumps(record)) == record
    assert record["retry"] == {"action": "throttle", "limit": 3, "min_delay": 2.5, "exhausted": True}
    assert record["history"][0] == {
        "code": "rate_limited", "http_status": 429, "provider_codes": ["Throttled"],
        "request_ids": {"x-ms-request-id": "abc-122"}, "outcome": "not_applied", "elapsed": 0.25,
        "then": "throttle", "delay": 0.5,
    }
    assert "rate_limited (HTTP 429), then throttle after 0.50 s" in full().details()
    assert record["resource"] == {"type": "secret", "name": "billing/db", "version": "v1", "container": "vault-eu"}
    assert record["causes"][1] == {"type": "ConnectionResetError", "text": "ECONNRESET"}
    assert all(value not in (None, (), [], {}, "") for value in record.values())
    assert json.loads(json.dumps(KMSError().to_dict()))["code"] == "unknown"


def test_every_field_of_the_design_is_there() -> None:
    """The list of section 4.2 of the design, by name."""
    wanted = """category code provider operation resource provider_codes http_status sub_status request_ids retry
        retry_after rate_limit outcome attempts elapsed history fault fields identity causes remediation doc_url
        message"""
    assert set(wanted.split()) == KMSError().to_dict().keys()
    assert all(hasattr(KMSError(), name) for name in wanted.split())


# -- in the hands of Python ----------------------------------------------------------------


def _same(one: KMSError, other: KMSError) -> bool:
    return type(one) is type(other) and one.args == other.args and one.to_dict() == other.to_dict()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", ALL_CLASSES)
def test_errors_survive_pickling(kind: type[KMSError], protocol: int) -> None:
    """Each class, with and without a message and fields, comes back the same from every pickle protocol."""
    for error in (kind(), kind("a sentence"), full(kind)):
        assert _same(pickle.loads(pickle.dumps(error, protocol)), error)  # noqa: S301 - our own bytes


@pytest.mark.parametrize("kind", ALL_CLASSES)
def test_errors_survive_copying(kind: type[KMSError]) -> None:
    """copy, deepcopy and our own copy give a twin of the same class."""
    for error in (kind(), full(kind)):
        for twin in (copy.copy(error), copy.deepcopy(error), error.copy()):
            assert twin is not error
            assert _same(twin, error)


def test_errors_cross_a_process_pool() -> None:
    """An error comes whole out of a worker, raised or returned."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        returned = pool.submit(copy.copy, full()).result()
        with pytest.raises(errors.InvalidRequestError) as caught:
            pool.submit(parse_url, "no scheme").result()
    assert _same(returned, full())
    assert caught.value.outcome is Outcome.NOT_SENT
    assert caught.value.fields[0].path == "url"


def _depth(error: BaseException) -> int:
    link, count = error.__traceback__, 0
    while link is not None:
        link, count = link.tb_next, count + 1
    return count


def test_an_error_that_many_waiters_raise_does_not_grow() -> None:
    """A copy has no traceback: a hundred waiters raise a hundred short ones, and the original stays as it was."""
    shared = full()
    for _ in range(100):
        with pytest.raises(errors.ThrottledError) as caught:
            raise shared.copy()
        assert _depth(caught.value) == 1
    assert shared.__traceback__ is None


def test_a_copy_keeps_the_cause_and_takes_no_context() -> None:
    """With debug_causes every waiter sees the original underneath."""
    shared = full()
    shared.__cause__ = OSError("underneath")
    assert shared.copy().__cause__ is shared.__cause__
    assert shared.copy().__context__ is None


def test_two_errors_are_equal_only_if_they_are_one() -> None:
    """Equality is identity: an error with the same text is another error."""
    one, other = full(), full()
    assert one != other
    assert one == one  # noqa: PLR0124 - identity is what is tested
    assert len({one, other, one}) == 2


def test_notes_survive_and_belong_to_one_error() -> None:
    """add_note survives pickle and copy, and a note on a copy is not on its original."""
    error = full()
    error.add_note("while paying")
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error), error.copy()):  # noqa: S301
        assert twin.__notes__ == ["while paying"]
        twin.add_note("once more")
    assert error.__notes__ == ["while paying"]


def test_fields_of_one_error_are_not_shared_with_another() -> None:
    """Setting a field of one error changes no other and no default."""
    one, other = KMSError(), KMSError()
    one.request_ids = {"x": "y"}
    one.outcome = Outcome.NOT_SENT
    assert other.request_ids == KMSError.request_ids == {}
    assert other.outcome is Outcome.UNKNOWN


def test_a_mistake_of_the_caller_was_not_sent() -> None:
    """What is found wrong before a call says so, and where."""
    error = errors.invalid("the name is empty", "name", remediation="Give one.")
    assert (error.outcome, error.fields, error.remediation) == (
        Outcome.NOT_SENT, (errors.FieldError("name", "the name is empty"),), "Give one.",
    )
    missing = errors.unsupported("secrets.recover", "Purge it.")
    assert (missing.outcome, missing.message, missing.remediation) == (
        Outcome.NOT_SENT, "this backend has no secrets.recover", "Purge it.",
    )
