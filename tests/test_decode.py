"""From an answer to one error: the order of the search, the advice, and that nothing leaks or breaks on the way."""

from __future__ import annotations

import json
import os
import pickle
import re
import socket
import ssl
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kmsbridge import Category, Code, Fault, FieldError, Identity, KMSError, Outcome, RateLimit, RetryAction
from kmsbridge import _decode as decode
from kmsbridge._decode import Answer, Decoder, Phase, Reading, Refused, Rule
from kmsbridge._registry import provider_for, schemes
from tests.slowness import assert_quick

if TYPE_CHECKING:
    from collections.abc import Callable

LONG = os.environ.get("KMSBRIDGE_LONG") == "1"
CANARY = "c4nary value"
INNER = {"code": "Middle", "innererror": {"code": "Inner"}}
JSON = {"error": {"code": "Outer", "message": "words", "innererror": INNER}}


def answer(
    status: int | None = 403, body: object = JSON, headers: tuple[tuple[str, str], ...] = (), door: str | None = None
) -> Answer:
    """An answer with a JSON body."""
    return Answer(status, headers, json.dumps(body).encode(), door=door)


def decoder(*rules: Rule) -> Decoder:
    """A decoder of plain JSON answers that knows a sub-status header."""

    def read(given: Answer) -> Reading:
        sub_status = given.header("x-sub-status")
        return decode.read_json(given)._replace(sub_status=None if sub_status is None else int(sub_status))

    return Decoder("test", rules, read=read)


def code_of(given: Answer, *rules: Rule, operation: str | None = "secrets.get") -> Code:
    """The code that an answer decodes to under some rules."""
    return decoder(*rules).decode(given, operation=operation).code


# -- the order of the search ---------------------------------------------------------------


SUB = Rule(None, Code.KEY_ACCESS_REVOKED, sub_status=7)
STATUS = Rule(None, Code.DISABLED, status=403)
ANY = Rule(None, Code.WRONG_STATE)
IN_ORDER = [
    Rule("Inner", Code.EXPIRED),
    Rule("Middle", Code.CLOCK_SKEW),
    Rule("Outer", Code.QUOTA_EXCEEDED),
    SUB,
    STATUS,
    ANY,
]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("first", range(len(IN_ORDER) + 1))
def test_the_search_goes_from_the_innermost_code_to_the_ladder(first: int, reverse: bool) -> None:
    """Innermost code, outer codes, sub-status, status, any status, ladder: in whatever order the rules stand."""
    rules = IN_ORDER[first:]
    wanted = rules[0].code if rules else Code.ACCESS_DENIED
    given = answer(headers=(("X-Sub-Status", "7"),))
    assert code_of(given, *(reversed(rules) if reverse else rules)) is wanted


def test_a_rule_for_one_status_is_tried_before_one_for_any() -> None:
    """The order does not depend on how numbers and None hash."""
    for status in range(200, 600):
        assert code_of(answer(status, {}), ANY, Rule(None, Code.DISABLED, status=status)) is Code.DISABLED


def test_a_rule_for_any_status_also_fits_where_there_is_none() -> None:
    """A failure without an answer may have a rule too."""
    assert code_of(Answer(exception=ValueError()), ANY) is Code.WRONG_STATE
    assert code_of(Answer(exception=ValueError()), STATUS) is Code.UNKNOWN


def test_within_a_group_the_first_rule_that_fits_counts() -> None:
    """Of two rules on one code the one that stands first is used, and one that does not fit is passed over."""
    first, second = Rule("Inner", Code.EXPIRED), Rule("Inner", Code.DISABLED)
    assert code_of(answer(), first, second) is Code.EXPIRED
    assert code_of(answer(), first._replace(status=404), second) is Code.DISABLED


def test_a_rule_fits_only_if_all_it_says_fits() -> None:
    """Code, status, sub-status, door and words have to fit together."""
    rule = Rule("Inner", Code.EXPIRED, status=403, sub_status=7, door="gateway", says="^words$", under="outer")
    given = answer(headers=(("x-sub-status", "7"),), door="gateway")
    assert code_of(given, rule) is Code.EXPIRED
    for other in (
        given._replace(status=404),
        given._replace(headers=()),
        given._replace(headers=(("x-sub-status", "8"),)),
        given._replace(door=None),
        given._replace(body=given.body.replace(b"words", b"other")),
        given._replace(body=given.body.replace(b"Outer", b"Other")),
        given._replace(body=given.body.replace(b"Inner", b"Other")),
    ):
        assert code_of(other, rule) is not Code.EXPIRED


def test_under_wants_the_other_code_further_out() -> None:
    """`under` looks outward only, at any distance, and not at the code itself."""
    for on, under, fits in (
        ("Inner", "Outer", True), ("Inner", "Middle", True), ("Middle", "Outer", True),
        ("Middle", "Inner", False), ("Outer", "Outer", False), ("Inner", "Inner", False),
    ):
        assert (code_of(answer(), Rule(on, Code.EXPIRED, under=under)) is Code.EXPIRED) is fits, (on, under)
    assert code_of(answer(), Rule(None, Code.EXPIRED, status=403, under="Inner")) is Code.EXPIRED


def test_operation_is_a_whole_name_or_the_part_before_the_dot() -> None:
    """`secrets` covers secrets.get, `secrets.get` covers itself, and neither covers what merely begins alike."""
    for wanted, operation, fits in (
        ("secrets.get", "secrets.get", True), ("secrets", "secrets.get", True), ("secrets", "secrets", True),
        ("secrets.get", "secrets.get_many", False), ("secret", "secrets.get", False), ("secrets.get", "secrets", False),
        ("secrets", None, False), ("keys", "secrets.get", False),
    ):
        found = code_of(answer(), Rule("Inner", Code.EXPIRED, operation=wanted), operation=operation)
        assert (found is Code.EXPIRED) is fits, (wanted, operation)


def test_codes_are_compared_in_any_case_unless_told_otherwise() -> None:
    """Vendors change the case of their codes; a decoder whose codes differ by case folds nothing."""
    assert code_of(answer(), Rule("INNER", Code.EXPIRED)) is Code.EXPIRED
    assert code_of(answer(), Rule("inner", Code.EXPIRED, under="MIDDLE")) is Code.EXPIRED
    exact = Decoder("test", [Rule("INNER", Code.EXPIRED), Rule("Middle", Code.DISABLED)], fold=str)
    assert exact.decode(answer()).code is Code.DISABLED


def test_words_are_matched_in_any_case_over_lines_in_the_body_and_in_what_an_sdk_printed() -> None:
    """`says` sees every message of the answer and the text of the SDK."""
    inner = {"code": "B", "message": "The TWO\nends"}
    nested = answer(body={"error": {"code": "A", "message": "one", "innererror": inner}})
    rule = Rule(None, Code.EXPIRED, status=403, says="two.ends")
    assert code_of(nested, rule) is Code.EXPIRED
    assert code_of(Answer(403, text="(B) the two ends"), rule) is Code.EXPIRED
    assert code_of(answer(), rule) is Code.ACCESS_DENIED


@given(st.text(st.characters(codec="ascii", exclude_characters='\\"'), max_size=30), st.uuids(), st.integers(0, 10**9))
def test_structure_decides_and_not_words(words: str, ident: object, number: int) -> None:
    """Other names, ids, dates and numbers in the same answer give the same verdict."""
    body = {"error": {"code": "Outer", "message": f"{words} {ident} {number}", "innererror": {"code": "Inner"}}}
    error = decoder(*IN_ORDER).decode(answer(body=body))
    assert (error.code, error.provider_codes) == (Code.EXPIRED, ("Outer", "Inner"))


# -- the ladder ----------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "code", "action", "outcome"), [
    (400, "invalid_argument", "never", "not_applied"),
    (401, "unauthenticated", "reauthenticate", "not_applied"),
    (403, "access_denied", "never", "not_applied"),
    (404, "not_found", "never", "not_applied"),
    (405, "unsupported", "never", "not_applied"),
    (407, "network_forbidden", "never", "not_applied"),
    (408, "timeout", "backoff", "unknown"),
    (409, "operation_in_progress", "never", "not_applied"),
    (412, "version_conflict", "refresh", "not_applied"),
    (413, "payload_too_large", "never", "not_applied"),
    (418, "invalid_argument", "never", "not_applied"),
    (421, "network_error", "backoff", "not_applied"),
    (423, "operation_in_progress", "backoff", "not_applied"),
    (425, "service_unavailable", "backoff", "not_applied"),
    (429, "rate_limited", "throttle", "not_applied"),
    (449, "version_conflict", "backoff", "not_applied"),
    (500, "internal_error", "backoff", "unknown"),
    (501, "unsupported", "never", "not_applied"),
    (502, "service_unavailable", "backoff", "unknown"),
    (503, "service_unavailable", "backoff", "unknown"),
    (504, "timeout", "backoff", "unknown"),
    (599, "service_unavailable", "backoff", "unknown"),
    (302, "network_error", "never", "unknown"),
    (200, "internal_error", "backoff", "unknown"),
    (101, "unknown", "never", "unknown"),
    (None, "unknown", "never", "unknown"),
    (0, "unknown", "never", "unknown"),
    (-404, "unknown", "never", "unknown"),
    (4040, "unknown", "never", "unknown"),
])
def test_the_ladder_reads_a_bare_status(status: int | None, code: str, action: str, outcome: str) -> None:
    """Without a rule the status decides, and what it does not say is not claimed."""
    error = Decoder("test").decode(Answer(status))
    assert (error.code, error.retry.action, error.outcome, error.http_status) == (code, action, outcome, status)


def test_a_2xx_that_is_no_success_may_have_been_applied() -> None:
    """A success without what it must hold is an error of the backend, its outcome unknown."""
    error = Decoder("test").decode(Answer(200, body=b"{}"))
    assert (error.code, error.outcome, error.fault) == (Code.INTERNAL_ERROR, Outcome.UNKNOWN, Fault.SERVICE)
    assert "success" in error.message


@pytest.mark.parametrize(("exception", "code", "outcome"), [
    (socket.gaierror(-2, "Name or service not known"), "network_error", "not_sent"),
    (ConnectionRefusedError(111, "refused"), "network_error", "not_sent"),
    (ssl.SSLCertVerificationError(1, "self-signed"), "network_error", "not_sent"),
    (ConnectionResetError(104, "reset"), "network_error", "unknown"),
    (BrokenPipeError(32, "pipe"), "network_error", "unknown"),
    (ssl.SSLError(1, "record"), "network_error", "unknown"),
    (TimeoutError("slow"), "timeout", "unknown"),
    (ValueError("what"), "unknown", "unknown"),
])
def test_without_a_status_the_exception_decides(exception: Exception, code: str, outcome: str) -> None:
    """A connection that never stood sent nothing; one that broke may have done its work."""
    wrapped = RuntimeError("an SDK's own")
    wrapped.__cause__ = exception
    for failure in (exception, wrapped):
        error = Decoder("test").decode(Answer(phase=Phase.SENT, exception=failure))
        assert (error.code, error.outcome) == (code, outcome)


def test_a_body_cut_short_is_judged_by_what_cut_it() -> None:
    """A 200 whose body broke off is a network error, a 503 whose body broke off is still a 503."""
    cut = ConnectionResetError(104, "reset")
    assert Decoder("test").decode(Answer(200, body=b'{"val', exception=cut)).code is Code.NETWORK_ERROR
    assert Decoder("test").decode(Answer(503, body=b'{"err', exception=cut)).code is Code.SERVICE_UNAVAILABLE


def test_a_certificate_is_not_tried_again() -> None:
    """An untrusted certificate stays untrusted."""
    error = Decoder("test").decode(Answer(exception=ssl.SSLCertVerificationError()))
    assert error.retry.action is RetryAction.NEVER
    assert "certificate" in error.message


def test_a_refused_connection_before_a_reset_one_does_not_hide_that_something_was_sent() -> None:
    """Where one attempt was refused and the next broke, the outcome is the worst of both."""
    reset, refused = ConnectionResetError(104, "reset"), ConnectionRefusedError(111, "refused")
    reset.__context__ = refused
    assert Decoder("test").decode(Answer(phase=Phase.SENT, exception=reset)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("status", [None, 200, 403, 500, 503])
def test_nothing_was_sent_before_it_was_sent(phase: Phase, status: int | None) -> None:
    """Only the phase before_send makes an outcome not_sent; the others leave it to rule and code."""
    error = Decoder("test").decode(Answer(status, phase=phase, exception=ValueError()))
    usual = Outcome.NOT_APPLIED if status == 403 else Outcome.UNKNOWN
    assert error.outcome is (Outcome.NOT_SENT if phase is Phase.BEFORE_SEND else usual)


# -- what a rule says beyond the code --------------------------------------------------------


def test_advice_not_given_is_as_the_code_has_it() -> None:
    """A rule without advice of its own takes the code's, with limit and delay."""
    assert decoder(Rule("Inner", Code.RATE_LIMITED)).decode(answer()).retry == (RetryAction.THROTTLE, None, 1.0, False)
    assert decoder(Rule("Inner", Code.INTERNAL_ERROR)).decode(answer()).retry == (RetryAction.BACKOFF, 1, 0.0, False)


def test_advice_given_in_part_keeps_the_rest_unless_the_action_changes() -> None:
    """Limit and delay of a code belong to its action: another action starts from none."""
    advice = decoder(Rule("Inner", Code.RATE_LIMITED, limit=2)).decode(answer()).retry
    assert advice == (RetryAction.THROTTLE, 2, 1.0, False)
    advice = decoder(Rule("Inner", Code.RATE_LIMITED, action=RetryAction.BACKOFF)).decode(answer()).retry
    assert advice == (RetryAction.BACKOFF, None, 0.0, False)
    advice = decoder(Rule("Inner", Code.INTERNAL_ERROR, min_delay=30.0)).decode(answer()).retry
    assert advice == (RetryAction.BACKOFF, 1, 30.0, False)
    advice = decoder(Rule("Inner", Code.INTERNAL_ERROR, action=RetryAction.BACKOFF, limit=0)).decode(answer()).retry
    assert advice == (RetryAction.BACKOFF, 0, 0.0, False)


def test_a_rule_may_say_outcome_fault_sentence_remediation_and_source() -> None:
    """What the vendor documents about one code overrides what the code means in general."""
    rule = Rule("Inner", Code.DISABLED, outcome=Outcome.UNKNOWN, fault=Fault.SERVICE, sentence="the key store sleeps",
                remediation="Wake it.", doc_url="https://example.org/sleep")
    error = decoder(rule).decode(answer())
    assert (error.outcome, error.fault, error.message, error.remediation, error.doc_url) == (
        Outcome.UNKNOWN, Fault.SERVICE, "the key store sleeps", "Wake it.", "https://example.org/sleep",
    )


def test_an_error_says_what_the_answer_said() -> None:
    """Status, codes, ids and what the provider read are on the error."""
    reading = Reading(
        ("Outer", "Inner"), 7, "words", "our sentence", {"x-own-id": "id-1"}, (FieldError("tags.env", "is too long"),),
        Identity("cli", "tenant-1"), 3.0, RateLimit(10, 0, 1.5),
    )
    error = Decoder("test", [Rule("Inner", Code.RATE_LIMITED)], read=lambda _: reading).decode(Answer(429))
    assert (error.provider, error.http_status, error.sub_status) == ("test", 429, 7)
    assert error.provider_codes == ("Outer", "Inner")
    assert (error.message, error.request_ids, error.retry_after) == ("our sentence", {"x-own-id": "id-1"}, 3.0)
    assert (error.fields, error.identity, error.rate_limit) == (reading.fields, reading.identity, reading.rate_limit)


def test_a_failing_reader_counts_as_having_read_nothing() -> None:
    """A bug in a provider's reader costs detail, never the error."""

    def read(_: Answer) -> Reading:
        raise KeyError(CANARY)

    error = Decoder("test", IN_ORDER, read=read).decode(answer(404))
    assert error.code is Code.WRONG_STATE
    assert Decoder("test", [], read=read).decode(answer(404)).code is Code.NOT_FOUND
    assert CANARY not in _everything(error)


def test_an_answer_is_found_in_a_failure() -> None:
    """Refused carries it, an SDK's exception may hide it, and else there is only the exception."""
    raw = answer(404)

    class SdkError(Exception):
        pass

    known = Decoder("test", answer=lambda failure: raw if isinstance(failure, SdkError) else None)
    assert known.answer(Refused(raw)) is raw
    assert known.answer(SdkError()) is raw
    other = ValueError()
    assert known.answer(other) == Answer(phase=Phase.SENT, exception=other)


# -- Retry-After -----------------------------------------------------------------------------


NOON = "Sun, 06 Nov 1994 12:00:00 GMT"
NOON_UNIX = 784123200.0


@pytest.mark.parametrize(("headers", "seconds"), [
    ({"Retry-After": "7"}, 7.0),
    ({"retry-after": " 1.5 "}, 1.5),
    ({"RETRY-AFTER": "0"}, 0.0),
    ({"Retry-After": "86400"}, 86400.0),
    ({"Retry-After": "86401"}, None),
    ({"Retry-After": "1000000000"}, None),
    ({"Retry-After": "9" * 5000}, None),
    ({"Retry-After": "-1"}, None),
    ({"Retry-After": "+1"}, None),
    ({"Retry-After": "1e3"}, None),
    ({"Retry-After": "٣"}, None),
    ({"Retry-After": "nan"}, None),
    ({"Retry-After": "inf"}, None),
    ({"Retry-After": ""}, None),
    ({"Retry-After": "soon"}, None),
    ({"Retry-After": "Mon"}, None),
    ({"Retry-After": NOON, "Date": "Sun, 06 Nov 1994 11:59:30 GMT"}, 30.0),
    ({"Retry-After": NOON, "Date": "Sun, 06 Nov 1994 12:00:30 GMT"}, 0.0),
    ({"Retry-After": "Sun Nov  6 12:00:00 1994", "Date": "Sunday, 06-Nov-94 11:59:30 GMT"}, 30.0),
    ({"Retry-After": "Sun, 06 Nov 1994 12:00:00 -0000", "Date": "Sun, 06 Nov 1994 11:59:30 GMT"}, 30.0),
    ({"Retry-After": NOON}, None),
    ({"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT", "Date": NOON}, None),
    ({"Retry-After": "Wed, 01 Jan 1800 00:00:00 GMT", "Date": NOON}, 0.0),
    ({"Retry-After": "Mon, 32 Foo 1994 99:99:99 GMT", "Date": NOON}, None),
    ({"Retry-After": "Sun, 06 Nov 1994 12:00:00 +99999999", "Date": NOON}, None),
    ({"Retry-After-Ms": "250"}, 0.25),
    ({"x-ms-retry-after-ms": "1500", "Retry-After": "60"}, 1.5),
    ({"x-ms-retry-after-ms": "soon", "Retry-After": "60"}, 60.0),
    ({"retry-after-ms": "-5", "x-ms-retry-after-ms": "20"}, 0.02),
    ({"retry-after-ms": "900000000000"}, None),
    ({}, None),
])
def test_retry_after_is_read_in_every_form_in_use(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, fractions, dates and milliseconds are understood; negative, absurd and garbage are ignored."""
    given = Answer(429, headers=tuple(headers.items()))
    assert decode.retry_after(given) == seconds
    assert Decoder("test").decode(given).retry_after == seconds


def test_a_date_is_measured_from_when_the_answer_came() -> None:
    """Without a Date header, or with a broken one, the moment of receipt stands in."""
    for headers in ((("Retry-After", NOON),), (("Retry-After", NOON), ("Date", "yesterday"))):
        assert decode.retry_after(Answer(429, headers=headers, received_at=NOON_UNIX - 12.5)) == 12.5
        assert decode.retry_after(Answer(429, headers=headers)) is None


def test_a_date_does_not_depend_on_the_time_zone_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP dates are UTC, also in the forms that do not say so."""
    given = Answer(429, headers=(("Retry-After", "Sun Nov  6 12:00:00 1994"),), received_at=NOON_UNIX - 5)
    try:
        for zone in ("UTC", "Asia/Shanghai", "America/Lima"):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            assert decode.retry_after(given) == 5.0
    finally:
        monkeypatch.undo()
        time.tzset()


def test_of_two_retry_afters_the_longer_one_counts() -> None:
    """A header given twice is obeyed in its longer form; garbage beside it does not matter."""
    assert decode.retry_after(Answer(429, headers=(("Retry-After", "2"), ("retry-after", "5")))) == 5.0
    assert decode.retry_after(Answer(429, headers=(("Retry-After", "2"), ("Retry-After", "x")))) == 2.0
    assert decode.retry_after(Answer(429, headers=(("retry-after-ms", "2"), ("Retry-After-Ms", "5")))) == 0.005


@pytest.mark.parametrize("status", [400, 403, 404, 409, 413, 501])
def test_retry_after_is_read_only_where_another_try_makes_sense(status: int) -> None:
    """A header does not turn a refusal into something to wait for."""
    error = Decoder("test").decode(Answer(status, headers=(("Retry-After", "5"),)))
    assert error.retry.action is RetryAction.NEVER
    assert error.retry_after is None


@pytest.mark.parametrize("wait", [-1.0, 1e9, float("nan"), float("inf")])
def test_an_absurd_wait_that_a_provider_read_is_ignored(wait: float) -> None:
    """What stands in a body is judged as what stands in a header."""
    read = Decoder("test", read=lambda _: Reading(retry_after=wait))
    assert read.decode(Answer(429, headers=(("Retry-After", "5"),))).retry_after == 5.0


# -- what is copied ------------------------------------------------------------------------


def test_request_ids_come_from_known_headers_only() -> None:
    """The ids that vendors' support asks for, by lower-case header name."""
    given = Answer(500, headers=(
        ("X-Ms-Request-Id", "a-1"), ("x-ms-client-request-id", "b:2"), ("x-acs-request-id", "C_3"),
        ("x-ms-activity-id", "d.4"), ("X-Request-ID", "e 5"), ("set-cookie", "f"), ("authorization", "g"),
    ))
    assert Decoder("test").decode(given).request_ids == {
        "x-ms-request-id": "a-1", "x-ms-client-request-id": "b:2", "x-acs-request-id": "C_3", "x-ms-activity-id": "d.4",
    }


@given(st.one_of(st.text(), st.from_regex(decode.CODE), st.text("aZ9._:/-", max_size=300), st.integers(), st.none()))
def test_nothing_is_copied_that_is_not_short_printable_ascii_of_its_alphabet(value: object) -> None:
    """The filter lets a value through whole or not at all."""
    for alphabet in (decode.CODE, decode.PATH):
        found = decode.copied(value, alphabet)
        assert found is None or found is value
        if found is not None:
            assert len(found) <= 128
            assert found.isascii()
            assert found.isprintable()
            assert not re.search(r"[^A-Za-z0-9._:/$\[\]-]", found)
    fits = isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}", value) is not None
    assert (decode.copied(value, decode.CODE) is not None) is fits


def test_a_code_at_the_limit_is_copied_and_one_beyond_is_not() -> None:
    """128 characters are copied, 129 are dropped, and a line break at the end drops it too."""
    for code, kept in (("a" * 128, True), ("a" * 129, False), ("abc\n", False), ("", False)):
        assert (decode.copied(code, decode.CODE) == code) is kept


@given(st.text(), st.text(), st.text(), st.integers())
def test_what_a_provider_read_passes_the_filter_too(text: str, key: str, path: str, number: int) -> None:
    """Codes, ids, identity, paths and numbers of a Reading are not trusted."""
    reading = Reading(
        (text,), number, text, None, {key: text}, (FieldError(path, "is wrong"),), Identity(text, text, text, text),
        rate_limit=RateLimit(number, number, float(number)),
    )
    error = Decoder("test", read=lambda _: reading).decode(Answer(400))
    copied = [
        *error.provider_codes, *error.request_ids, *error.request_ids.values(),
        *(field.path for field in error.fields), *(error.identity or ()),
    ]
    for value in copied:
        assert value is None or re.fullmatch(r"[A-Za-z0-9_$][A-Za-z0-9._:/$\[\]-]{0,127}", value)
    assert error.sub_status is None or 0 < error.sub_status < 10**6


# -- what went wrong underneath ---------------------------------------------------------------


def test_causes_are_types_and_only_safe_texts() -> None:
    """An errno has a name of the system's; every other text may hold a value and is left out."""
    outer = RuntimeError(CANARY)
    outer.__cause__ = ConnectionResetError(104, CANARY)
    outer.__cause__.__context__ = json.JSONDecodeError("bad", CANARY, 0)
    assert decode.causes_of(outer) == (
        ("RuntimeError", None), ("ConnectionResetError", "ECONNRESET"), ("json.decoder.JSONDecodeError", None),
    )


def test_an_errno_of_another_numbering_is_not_given_a_name() -> None:
    """TLS and name resolution number their errors themselves: 1 is not EPERM there."""
    assert decode.causes_of(ssl.SSLError(1, CANARY)) == (("ssl.SSLError", "errno 1"),)
    assert decode.causes_of(socket.gaierror(-2, CANARY)) == (("socket.gaierror", "errno -2"),)
    assert decode.causes_of(OSError(99_999, CANARY)) == (("OSError", "errno 99999"),)
    assert decode.causes_of(OSError(CANARY)) == (("OSError", None),)


def test_a_database_names_its_error() -> None:
    """sqlite3's own name of an error is safe; an attribute of that name elsewhere is not."""
    import sqlite3

    with pytest.raises(sqlite3.OperationalError) as caught:
        sqlite3.connect("/nowhere/at/all.db")
    assert decode.causes_of(caught.value) == (("sqlite3.OperationalError", "SQLITE_CANTOPEN"),)

    class OtherError(Exception):
        sqlite_errorname = "c4nary"

    assert decode.causes_of(OtherError())[0].text is None


def test_a_chain_that_bites_its_tail_ends() -> None:
    """A cycle of causes is walked once."""
    one, two = ValueError(), KeyError()
    one.__cause__, two.__context__ = two, one
    assert [cause.type for cause in decode.causes_of(one)] == ["ValueError", "KeyError"]


def test_a_long_chain_is_cut() -> None:
    """Of a hundred causes the outermost eight are named."""
    link: BaseException = OSError("innermost")
    for number in range(99):
        outer = ValueError(number)
        outer.__context__ = link
        link = outer
    assert [cause.type for cause in decode.causes_of(link)] == ["ValueError"] * 8


def test_hostile_exceptions_are_described_too() -> None:
    """An exception with odd attributes, truth value, name or errno costs no more than its text."""

    class FalseError(Exception):
        def __bool__(self) -> bool:
            raise RuntimeError(CANARY)

    class LoudError(OSError):
        def __getattribute__(self, name: str) -> object:
            if name.startswith("__"):
                return super().__getattribute__(name)
            raise RuntimeError(CANARY)

    forged = type(f"x\n{CANARY}", (Exception,), {"__module__": "m\nn"})
    for kind in (FalseError, LoudError, forged):
        outer = ValueError()
        outer.__cause__ = kind()
        error = Decoder("test").decode(Answer(exception=outer))
        assert len(error.causes) == 2
        assert CANARY not in _everything(error)
    outer = ValueError()
    outer.__cause__ = OSError(10**5000, "huge")
    assert len(Decoder("test").decode(Answer(exception=outer)).causes) == 2


# -- total, pure, silent ----------------------------------------------------------------------


def _everything(error: KMSError) -> str:
    return "\n".join((
        str(error), repr(error), error.details(), json.dumps(error.to_dict(), ensure_ascii=False),
        pickle.dumps(error, 0).decode("latin-1"), repr(error.args), repr(vars(error)),
        repr(error.__cause__), repr(error.__context__),
    ))


def _decoders() -> list[Decoder]:
    providers = {provider.name: provider for provider in map(provider_for, schemes())}
    return [Decoder(None), decoder(*IN_ORDER), *(provider.decoder for provider in providers.values())]


DECODERS = _decoders()
NAMES = [
    "Retry-After", "retry-after-ms", "x-ms-retry-after-ms", "Date", "x-ms-request-id", "X-Request-Id",
    "WWW-Authenticate", "x-ms-substatus", "x-acs-request-id", "content-type", "x-sub-status",
]
PLANTED = st.builds("{}{}{}".format, st.text(max_size=20), st.just(CANARY), st.text(max_size=20))
VALUES = st.one_of(
    PLANTED, st.text(), st.integers().map(str), st.floats().map(str), st.datetimes().map(str),
    st.datetimes().map("{:%a, %d %b %Y %H:%M:%S GMT}".format), st.sampled_from([NOON, f"{CANARY} {NOON}", "9" * 5000]),
)
LEAVES = st.one_of(
    PLANTED, st.text(), st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(["Inner", "Outer"])
)
MEMBERS = st.sampled_from([
    "error", "Error", "code", "Code", "message", "Message", "innererror", "InnerError", "details", "target",
    "RequestId",
])
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.one_of(MEMBERS, PLANTED), inner, max_size=5),
    max_leaves=25,
)
BODIES = st.one_of(
    st.binary(), PLANTED.map(str.encode), TREES.map(json.dumps).map(str.encode),
    TREES.map(json.dumps).map(lambda text: text.encode()[: len(text) // 2]),
    TREES.map(json.dumps).map(lambda text: text.encode("utf-16")),
    st.tuples(TREES.map(json.dumps), st.binary(max_size=3)).map(lambda pair: pair[0].encode() + pair[1]),
)


@st.composite
def exceptions(draw: st.DrawFn) -> BaseException:
    """A chain of one to four exceptions that all hold the canary."""
    kinds: list[Callable[[str], BaseException]] = [
        ValueError, KeyError, RuntimeError, TimeoutError, ConnectionError, Exception,
        lambda text: OSError(104, text), lambda text: socket.gaierror(-2, text),
        lambda text: ConnectionResetError(104, text),
        lambda text: ssl.SSLError(1, text), lambda text: json.JSONDecodeError("bad", text, 0),
        lambda text: UnicodeDecodeError("utf-8", text.encode("utf-8", "replace"), 0, 1, text),
        lambda text: Refused(Answer(500, body=text.encode("utf-8", "replace"))),
        lambda text: ExceptionGroup("several", [ValueError(text)]),
    ]
    link: BaseException | None = None
    for kind in draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=4)):
        outer = kind(draw(PLANTED))
        if draw(st.booleans()):
            outer.__cause__ = link
        else:
            outer.__context__ = link
        outer.add_note(CANARY)
        link = outer
    assert link is not None
    return link


ANSWERS = st.builds(
    Answer,
    status=st.one_of(st.none(), st.integers(100, 599), st.integers()),
    headers=st.lists(st.tuples(st.one_of(st.sampled_from(NAMES), st.text()), VALUES), max_size=6).map(tuple),
    body=BODIES,
    phase=st.sampled_from(Phase),
    exception=st.one_of(st.none(), exceptions()),
    text=st.one_of(st.just(""), PLANTED),
    door=st.one_of(st.none(), st.text()),
    received_at=st.one_of(st.none(), st.floats()),
)
OPERATIONS = st.one_of(st.none(), st.sampled_from(["secrets.get", "secrets.set", "keys.decrypt", "health"]), st.text())


@settings(max_examples=20_000 if LONG else 200)
@given(st.sampled_from(DECODERS), ANSWERS, OPERATIONS)
def test_any_answer_gives_exactly_one_error_that_holds_nothing_of_it(
    used: Decoder, given: Answer, operation: str | None
) -> None:
    """Any status, headers, bytes, phase and exception: one error, no exception, no canary, twice the same."""
    error = used.decode(given, operation=operation)
    assert isinstance(error, KMSError)
    assert error.code in Code
    assert error.category in Category
    assert error.retry_after is None or 0 <= error.retry_after <= decode.MAX_WAIT
    assert "c4nary" not in _everything(error)
    again = used.decode(given, operation=operation)
    assert type(again) is type(error)
    assert json.dumps(again.to_dict()) == json.dumps(error.to_dict())
    assert len(str(error).splitlines()) == 1


@settings(max_examples=20_000 if LONG else 200)
@given(st.sampled_from(DECODERS), ANSWERS)
def test_readers_never_need_the_guard(used: Decoder, given: Answer) -> None:
    """Each provider's own reader takes any answer, so that the guard in decode hides no mistake."""
    assume(not any(key.lower() == "x-sub-status" for key, _ in given.headers))
    reading = used._read(given)
    assert isinstance(reading, Reading)
    assert all(isinstance(code, str) for code in reading.codes)
    assert isinstance(reading.says, str)
    decode.retry_after(given)
    decode.request_ids(given)
    if isinstance(given.exception, Exception):
        assert isinstance(used.answer(given.exception), Answer)


def _nested(depth: int) -> bytes:
    return b'{"error":' + b'{"code":"Deep","innererror":' * depth + b"{}" + b"}" * depth + b"}"


MONSTERS = {
    "100 kB of brackets": Answer(500, body=b"[" * 100_000),
    "100 kB of opened objects": Answer(500, body=b'{"error":' * 11_000),
    "2,000 nested innererrors": Answer(500, body=_nested(2_000)),
    "900 nested innererrors": Answer(500, body=_nested(900)),
    "8 MB of nothing": Answer(500, body=b" " * 8_000_000),
    "8 MB of JSON": Answer(500, body=json.dumps({"error": {"code": "Big", "message": "x" * 8_000_000}}).encode()),
    "8 MB that are not UTF-8": Answer(500, body=b"\xff" * 8_000_000),
    "10,000 headers": Answer(429, headers=(("x-ms-request-id", "abc"),) * 5_000 + (("Retry-After", NOON),) * 5_000),
    "a header of 8 MB": Answer(429, headers=(("Retry-After", "1" * 8_000_000), ("x-ms-request-id", "a" * 8_000_000))),
    "8 MB printed by an SDK": Answer(429, text="a: " * 2_700_000),
    "a number of 60,000 digits": Answer(500, body=b'{"error": {"code": "Big", "n": ' + b"9" * 60_000 + b"}}"),
    "a date of many parts": Answer(429, headers=(("Retry-After", "Sun, 06 Nov 1994 " + "12:" * 50_000),)),
}


@pytest.mark.parametrize("monster", MONSTERS)
def test_huge_and_deep_answers_are_decoded_in_no_time(monster: str) -> None:
    """What nobody should send is answered in bounded time: 50 ms where time is measured, generous here."""
    for used in DECODERS:
        assert_quick(used, [MONSTERS[monster]])


def test_only_the_beginning_of_a_body_is_looked_at() -> None:
    """64 KiB of an error's body are enough; a code beyond them is not found."""
    body = {"error": {"code": "Inner", "message": "x" * 64 * 1024}}
    assert code_of(answer(500, body), *IN_ORDER[:3]) is Code.INTERNAL_ERROR
    body = {"error": {"code": "Inner", "message": "x" * 60 * 1024}}
    assert code_of(answer(500, body), *IN_ORDER[:3]) is Code.EXPIRED


@pytest.mark.parametrize(("body", "codes"), [
    (b'{"error": {"code": "A", "innererror": {"code": "B"}}}', ("A", "B")),
    (b'{"Code": "A", "Message": "words"}', ("A",)),
    (b'{"code": "A", "error": "text"}', ("A",)),
    (b'{"error": {"innererror": {"code": "B"}}}', ("B",)),
    (b'{"error": {"code": 17, "innererror": [{"code": "B"}]}}', ()),
    (b'\xef\xbb\xbf{"code": "A"}', ("A",)),
    (b'{"code": "A", "message": "\xff"}', ("A",)),
    ('{"code": "A"}'.encode("utf-16"), ("A",)),
    (b'{"code": "\\ud800"}', ("\ud800",)),
    (b"[]", ()),
    (b'"A"', ()),
    (b"null", ()),
    (b"<html>503</html>", ()),
    (b"", ()),
])
def test_json_answers_are_read_as_vendors_write_them(body: bytes, codes: tuple[str, ...]) -> None:
    """The usual shapes give their codes from the outermost to the innermost; others give none."""
    assert decode.read_json(Answer(400, body=body)).codes == codes


def test_headers_are_found_in_any_case() -> None:
    """`header` gives the first of a name, `all` gives every one, in order."""
    given = Answer(headers=(("X-One", "a"), ("x-one", "b"), ("x-two", "c")))
    assert (given.header("x-one"), given.header("x-two"), given.header("x-three")) == ("a", "c", None)
    assert (given.all("x-one"), given.all("x-three")) == (["a", "b"], [])
