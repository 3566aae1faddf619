"""What the answers of ScaiVault mean: the whole vocabulary, what is not in it, and whatever stands in its place."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmsbridge import TAXONOMY, Code, RateLimit
from kmsbridge._decode import Answer, Phase, Reading
from kmsbridge._explain import explain
from kmsbridge_scaivault._errors import RULES, decoder
from kmsbridge_scaivault._reading import rate_limit
from tests.slowness import assert_quick

LONG = os.environ.get("KMSBRIDGE_LONG") == "1"
ROOT = Path(__file__).parent.parent
VECTORS = [json.loads(line) for line in (ROOT / "tests/vectors/scaivault.jsonl").read_text("utf-8").splitlines()]
VOCABULARY = {
    v["verdict"]["provider_codes"][0]: v["answer"]["http_status"]
    for v in VECTORS
    if v["source"].endswith("reference/error-codes") and v["answer"].get("headers") == {"X-Request-ID": "req_abc"}
}
LOGIN = {rule.on for rule in RULES if rule.door == "token"} - set(VOCABULARY)
CANARY = "c4nary value"


def said(code: str, **more: object) -> bytes:
    """An envelope."""
    return json.dumps({"error": {"code": code, "message": CANARY, **more}}).encode()


def verdict(answer: Answer) -> tuple[str, str, str]:
    """Code, retry action and outcome."""
    error = decoder.decode(answer)
    return error.code, error.retry.action, error.outcome


def test_the_whole_vocabulary_has_a_rule() -> None:
    """73 codes, each with a rule of its own; no other rule is for a code but those of the token service."""
    assert len(VOCABULARY) == 73
    assert {rule.on for rule in RULES if rule.on is not None and rule.door is None} == set(VOCABULARY)


@pytest.mark.parametrize("code", VOCABULARY)
def test_the_code_decides_and_not_the_status(code: str) -> None:
    """Under any status, with other ids, words and headers, and in any case, the verdict is the same."""
    wanted = verdict(Answer(VOCABULARY[code], body=said(code)))
    for status in (None, 200, 302, 400, 401, 403, 404, 409, 410, 429, 500, 502, 503, 504):
        assert verdict(Answer(status, (("X-Request-ID", "req_zzz"),), said(code, request_id="x"))) == wanted
    assert verdict(Answer(400, body=said(code.upper()))) == wanted


@pytest.mark.parametrize("code", VOCABULARY)
def test_a_code_survives_what_happens_on_the_way(code: str) -> None:
    """A byte order mark, another encoding, a body cut after the code, a line of a log around it."""
    status, body = VOCABULARY[code], said(code)
    wanted = verdict(Answer(status, body=body))
    cut = body[: body.index(b'"message"')]
    for form in (b"\xef\xbb\xbf" + body, body.decode().encode("utf-16"), b"  " + body + b"\n", cut, body[:-1]):
        assert verdict(Answer(status, body=form)) == wanted
    assert verdict(Answer(text=f"ERROR scaivault {body.decode()} after 3 s")) == wanted


def test_nothing_of_a_success_is_an_error_code() -> None:
    """A secret that is a document of errors, whole or cut short, is none."""
    data = json.dumps({"path": "a", "data": {"error": {"code": "secret_not_found", "message": "x"}}}).encode()
    for body in (data, data[:-2], data[:50]):
        error = decoder.decode(Answer(200, body=body))
        assert (error.code, error.provider_codes, error.outcome) == ("internal_error", (), "unknown")


def test_the_limits_on_retries() -> None:
    """What the service's table of retries does not promise is tried again once or twice, and not at once."""
    limits = {code: decoder.decode(Answer(500, body=said(code))).retry for code in VOCABULARY}
    once = {code for code, retry in limits.items() if retry.action == "backoff" and retry.limit == 1}
    twice = {code for code, retry in limits.items() if retry.action == "backoff" and retry.limit == 2}
    assert once == {"internal_error", "encryption_error", "storage_error"}
    assert twice == {"backend_error", "backend_timeout", "engine_unreachable"}
    assert limits["maintenance_mode"].min_delay == 30
    assert (limits["backend_rate_limited"].min_delay, limits["backend_rate_limited"].limit) == (5, 2)
    assert (limits["rate_limited"].action, limits["rate_limited"].limit) == ("throttle", None)


def test_a_wait_is_read_where_it_helps() -> None:
    """Seconds of a 429; not of a quota, which waiting does not mend."""
    headers = (("Retry-After", "45"),)
    waits = {code: decoder.decode(Answer(429, headers, said(code))).retry_after for code in VOCABULARY}
    assert waits["rate_limited"] == waits["maintenance_mode"] == 45
    assert waits["quota_exceeded"] is waits["feature_disabled"] is None


@pytest.mark.parametrize(("headers", "at", "expected"), [
    ({"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "7", "X-RateLimit-Reset": "1060"}, 1000.0, (100, 7, 60.0)),
    ({"x-ratelimit-limit": "100"}, None, (100, None, None)),
    ({"X-RateLimit-Reset": "1779105645", "Date": "Mon, 18 May 2026 12:00:00 GMT"}, 5.0, (None, None, 45.0)),
    ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "900"}, 1000.0, (None, 0, 0.0)),
    ({"X-RateLimit-Reset": "1060"}, None, None),
    ({"X-RateLimit-Reset": "99999999999"}, 1000.0, None),
    ({"X-RateLimit-Limit": "-1", "X-RateLimit-Remaining": "many", "X-RateLimit-Reset": ""}, 1000.0, None),
    ({"X-RateLimit-Limit": "9" * 40, "X-RateLimit-Remaining": "1e3", "X-RateLimit-Reset": "1.5"}, 1000.0, None),
    ({}, 1000.0, None),
])  # fmt: skip
def test_the_limit_on_requests(headers: dict[str, str], at: float | None, expected: tuple[Any, ...] | None) -> None:
    """As sent, the moment of the reset as seconds from the answer on; what makes no sense is left out."""
    answer = Answer(429, tuple(headers.items()), said("rate_limited"), received_at=at)
    wanted = None if expected is None else RateLimit(*expected)
    assert rate_limit(answer) == decoder.decode(answer).rate_limit == wanted


def test_request_ids_of_body_and_header() -> None:
    """Both, where they differ; of a batch's item none."""
    header = (("X-Request-ID", "req_1"),)
    assert decoder.decode(Answer(404, header, said("secret_not_found", request_id="req_2"))).request_ids == {
        "x-request-id": "req_1",
        "request_id": "req_2",
    }
    assert dict(decoder.decode(Answer(404, header, said("secret_not_found", request_id="req_1"))).request_ids) == {
        "x-request-id": "req_1"
    }
    assert decoder.decode(Answer(body=said("secret_not_found"), door="item")).request_ids == {}


@pytest.mark.parametrize("fields", [
    {"data.password": CANARY, "x y": CANARY, "": CANARY, CANARY: CANARY}, [{"field": "data.password", "code": CANARY}],
    [{"loc": ["data", "password"], "type": "x " + CANARY}], ["data.password", CANARY, 7, None, {"field": 7}, []],
    {"data.password": {"type": 7}}, {f"f{number}": CANARY for number in range(1000)}, CANARY, 7, None,
])  # fmt: skip
def test_fields_are_named_and_nothing_of_them_is_shown(fields: object) -> None:
    """Their names, if they are names; why only as a word, because a sentence may quote the value."""
    error = decoder.decode(Answer(422, body=said("validation_error", details={"fields": fields})))
    assert error.code == "invalid_argument"
    assert len(error.fields) <= 64
    assert all(field.reason == "was refused" for field in error.fields)
    if "password" in str(fields):
        assert error.fields[0].path == "data.password"
    assert "c4nary" not in json.dumps(error.to_dict())


def test_what_never_reached_the_service_was_not_sent() -> None:
    """A token service that fails, in its own words, the service's, or none."""
    for body in (b"", b"<html>", said("rate_limited"), b'{"error": "invalid_client"}', b'{"error": "lattice"}'):
        for status in (None, 200, 302, 400, 401, 403, 404, 408, 418, 429, 500, 503):
            error = decoder.decode(Answer(status, body=body, phase=Phase.BEFORE_SEND, door="token"))
            assert error.outcome == "not_sent"
    reset = Answer(phase=Phase.BEFORE_SEND, exception=ConnectionResetError(), door="token")
    assert verdict(reset) == ("network_error", "backoff", "not_sent")


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("body", [
    b"", b"<html>gone</html>", b'{"error": "Not Found"}', b'{"error": {"code": "NotFound", "message": "no"}}',
    b'{"error": {"code": 404}}', b'{"code": "not_found"}',
])  # fmt: skip
def test_what_is_not_the_service_says_nothing_of_an_item(status: int, body: bytes) -> None:
    """It is not there only where ScaiVault says so, in its own envelope and spelling."""
    assert verdict(Answer(status, body=body))[0] == "container_not_found"
    assert verdict(Answer(status, body=said("lattice_misaligned")))[0] == {404: "not_found", 410: "expired"}[status]


def test_explain_is_a_door() -> None:
    """``kmsbridge explain`` reads an answer without any of the driver's dependencies."""
    found = explain({"provider": "scaivault", "http_status": 503, "body": said("feature_disabled").decode()})
    assert (found["code"], found["retry"]["action"], found["fault"]) == ("unsupported", "never", "customer")


# -- the table --------------------------------------------------------------------------


def test_no_rule_is_hidden_behind_another() -> None:
    """One rule for each code and door."""
    keys = [(rule.on, rule.door) for rule in RULES if rule.on is not None]
    assert len(keys) == len(set(keys))


def test_every_sentence_and_advice_is_one_plain_sentence() -> None:
    """Messages begin in lower case and have no end; advice begins upper and ends with a full stop."""
    for rule in RULES:
        assert rule.sentence is None or re.fullmatch(r"(?:[a-z]|ScaiVault|TLS).*[^.]", rule.sentence), rule.sentence
        assert rule.remediation is None or re.fullmatch(r"[A-Z].*\.", rule.remediation), rule.remediation
        assert rule.doc_url is None or rule.doc_url.startswith("https://")


def test_the_page_of_codes_is_the_table() -> None:
    """``docs/errors-scaivault.md`` has a row for every code where it is at home, with what the table makes of it."""
    page = (ROOT / "docs" / "errors-scaivault.md").read_text("utf-8")
    rows = [tuple(re.findall(r"`([^`]+)`", line))[:4] for line in page.splitlines() if re.match(r"\| (\d|`)", line)]
    wanted = []
    for rule in RULES:
        if rule.on is not None and rule.code is not Code.CREDENTIAL_UNAVAILABLE:
            meaning = TAXONOMY[rule.code]
            action = (rule.action or meaning.retry.action).value
            outcome = (rule.outcome or meaning.outcome).value
            wanted.append((rule.on, str(rule.code), action, outcome))
    assert sorted(rows) == sorted(wanted)


# -- total ------------------------------------------------------------------------------

WORDS = st.sampled_from([
    '"code": "secret_not_found"', '"request_id": "req_1"', "<html>", "{", "[", "\ud800", "connection reset", CANARY,
    '{"error": {"code": "', "certificate verify failed",
])  # fmt: skip
TEXTS = st.lists(st.one_of(WORDS, st.text(max_size=20)), max_size=6).map(" ".join)
BYTES = TEXTS.map(lambda text: text.encode("utf-8", "replace"))
MEMBERS = st.sampled_from(["error", "code", "message", "details", "fields", "request_id", "failed_condition", "loc"])
TREES = st.recursive(
    st.one_of(TEXTS, st.sampled_from(sorted(VOCABULARY)), st.none(), st.booleans(), st.integers(), st.floats()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(MEMBERS, inner, max_size=5)),
    max_leaves=20,
)
ANSWERS = st.builds(
    Answer,
    status=st.one_of(st.none(), st.sampled_from([200, 204, 302, 400, 401, 403, 404, 409, 422, 429, 500, 503, 999])),
    headers=st.lists(
        st.tuples(st.sampled_from(["X-Request-ID", "X-RateLimit-Reset", "X-RateLimit-Limit", "Retry-After"]), TEXTS),
        max_size=4,
    ).map(tuple),
    body=st.one_of(
        st.binary(max_size=200), BYTES, TREES.map(json.dumps).map(str.encode),
        TREES.map(json.dumps).map(lambda text: text.encode()[: len(text) // 2]),
    ),
    text=TEXTS,
    exception=st.one_of(st.none(), TEXTS.map(OSError), TEXTS.map(ValueError)),
    door=st.sampled_from([None, "token", "item", "c4nary"]),
    received_at=st.one_of(st.none(), st.floats(0, 2e9)),
)  # fmt: skip


@settings(max_examples=20_000 if LONG else 200)
@given(ANSWERS)
def test_the_reader_takes_any_answer(answer: Answer) -> None:
    """Called without the guard of `decode`: no exception, and nothing of it in what the error shows."""
    reading = decoder._read(answer)
    assert isinstance(reading, Reading)
    assert all(isinstance(code, str) for code in reading.codes)
    assert "c4nary value" not in json.dumps(decoder.decode(answer).to_dict())


@settings(max_examples=5_000 if LONG else 100)
@given(st.sampled_from(sorted(VOCABULARY)), st.dictionaries(TEXTS, TREES, max_size=4), st.text(max_size=9))
def test_what_stands_beside_a_code_changes_nothing(code: str, details: dict[str, object], message: str) -> None:
    """Details, words and further members of any kind give the same verdict."""
    error = {"code": code, "message": message, "details": details, "request_id": message, "more": details}
    body = json.dumps({"error": error, "more": details}).encode()
    assert verdict(Answer(400, body=body)) == verdict(Answer(400, body=said(code)))


@pytest.mark.parametrize("text", [
    "code" * 15_000, '"code" ' * 9_000, '"code":"' * 8_000, '"code": "a' * 6_000, "<" * 60_000, " " * 60_000,
    '"request_id":"' * 4_000, '{"error":' * 7_000, "connection " * 5_000, "tls " * 15_000,
])  # fmt: skip
def test_long_texts_take_no_time(text: str) -> None:
    """No pattern is slow on a text that was made for it: 50 ms where time is measured, generous here."""
    body = said("x", message=text)
    assert_quick(decoder, (Answer(text=text), Answer(500, body=text.encode()), Answer(400, body=body)))


def test_every_code_is_one_of_ours() -> None:
    """And the table uses most of them."""
    assert {rule.code for rule in RULES} <= set(Code)
    assert len({rule.code for rule in RULES}) > 20
    assert "invalid_client" in LOGIN
