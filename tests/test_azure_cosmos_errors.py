"""What the answers of Azure Cosmos DB mean: by structure, in printed forms, and out of the SDK's exceptions."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from azure.cosmos import exceptions
from hypothesis import given
from hypothesis import strategies as st

from kmsbridge import TAXONOMY, Fault, KMSError, Outcome, RetryAction
from kmsbridge._decode import Answer
from kmsbridge._explain import explain
from kmsbridge_azure_cosmos._errors import RULES, decoder
from kmsbridge_azure_cosmos._reading import speaking, sub_status_of
from tests.slowness import assert_quick

ROOT = Path(__file__).parent.parent
VECTORS = [json.loads(line) for line in (ROOT / "tests/vectors/azure-cosmos.jsonl").read_text("utf-8").splitlines()]
BODIES = [vector["answer"] for vector in VECTORS if vector["answer"].get("body")]
CANARY = "c4nary value"
GUID = "00000000-0000-0000-0000-000000000001"
MARK = (("x-ms-activity-id", GUID),)


def verdict(answer: dict[str, Any]) -> tuple[str, str, str]:
    """Code, retry action and outcome of an answer as ``kmsbridge explain`` takes it."""
    result = explain({"provider": "azure-cosmos", **answer})
    return result["code"], result["retry"]["action"], result["outcome"]


def refused(sub_status: object, status: int = 403) -> KMSError:
    """The error of an account's answer with this sub-status."""
    return decoder.decode(Answer(status, (*MARK, ("x-ms-substatus", str(sub_status))), b'{"code":"Forbidden"}'))


# -- structure decides ---------------------------------------------------------------------


_OTHERS = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\bSC\d{4}\b|\bIP [0-9.]+|\[[0-9A-Z]+\]|\bACCOUNT\b")


@pytest.mark.parametrize("seed", range(5))
def test_names_ids_dates_and_numbers_change_no_verdict(seed: int) -> None:
    """Whoever's account it is, and whenever it was: the same answer has the same verdict."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, and nothing is secret

    def other(found: re.Match[str]) -> str:
        if found[0].startswith("SC"):
            return f"SC{chance.randrange(1000, 3000)}"
        if found[0].isalpha():
            return chance.choice(["prod-4002", "a403", "revoked-1013"])
        return "".join(chance.choice("0123456789") if character.isdigit() else character for character in found[0])

    changed = 0
    for answer in BODIES:
        body = _OTHERS.sub(other, answer["body"])
        changed += body != answer["body"]
        assert verdict({**answer, "body": body}) == verdict(answer), body
    assert changed >= 5


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_members_blanks_and_the_case_of_names_change_no_verdict(seed: int) -> None:
    """JSON that says the same in another way means the same."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, and nothing is secret
    changed = 0
    for answer in BODIES:
        try:
            tree = json.loads(answer["body"])
        except ValueError:
            continue
        if not isinstance(tree, dict):
            continue
        members = [(name.swapcase() if seed else name, value) for name, value in tree.items()]
        chance.shuffle(members)
        body = json.dumps(dict(members), indent=seed)
        changed += body != answer["body"]
        assert verdict({**answer, "body": body}) == verdict(answer), body
    assert changed > 100


# -- printed by an SDK -----------------------------------------------------------------------


def printed(status: int, sub_status: str, name: str, message: str) -> list[str]:
    """One answer as the SDKs print it."""
    return [
        f"(Code) x\nStatus code: {status} Sub-status: {sub_status}\n{message}",
        f"Response: {name} ({status}); Substatus: {sub_status}; ActivityId: {GUID}; Reason: ({message})",
        f'{{"ClassName":"CosmosException","statusCode":{status},"subStatusCode":{sub_status},"error":"{message}"}}',
        f"Message: {message}\nActivityId: {GUID}, StatusCode: {status}, SubStatusCode: {sub_status}, RequestCharge: 1",
    ]


def test_the_printed_text_alone_gives_the_same_verdict() -> None:
    """Of every pair, in four printed forms."""
    compared = 0
    for vector in VECTORS:
        answer = vector["answer"]
        sub_status = answer.get("headers", {}).get("x-ms-substatus")
        if not isinstance(sub_status, str) or not re.fullmatch(r"\d{1,6}", sub_status):
            continue
        if not answer.get("body", "").startswith("{") or "code" not in answer["body"]:
            continue
        tree = json.loads(answer["body"])
        for text in printed(answer["http_status"], sub_status, tree["code"], "no"):
            error = decoder.decode(Answer(text=text))
            assert (error.code, error.retry.action, error.outcome) == verdict(answer), text
            assert error.http_status == answer["http_status"]
            compared += 1
    assert compared > 800


def test_a_text_gives_the_activity_and_the_wait() -> None:
    """What SDKs print beside the message is read as headers are."""
    error = decoder.decode(Answer(text=f'"StatusCode":429, "RetryAfterInMs": "2238", ActivityId: {GUID}'))
    assert (error.code, error.retry_after) == ("rate_limited", 2.238)
    assert error.request_ids == {"x-ms-activity-id": GUID}


# -- sub-statuses ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([], None),
        ([""], None),
        (["x", "4002"], 4002),
        (["0"], 0),
        (["0", "4002"], 4002),
        (["4002, 4005"], 4002),
        (["-4002", "+3", "4002.0", "0x10", "\u0664\u0660\u0660\u0662", "1234567"], None),
        (["9" * 100_000], None),
    ],
)
def test_sub_status_headers(values: list[str], found: int | None) -> None:
    """Repeated, joined, empty, signed, too long: the first that says something, or none."""
    assert sub_status_of(values) == found


def test_one_number_has_another_meaning_under_another_status() -> None:
    """The status belongs to the key where a number is used twice."""
    assert refused(1008).retry.action is RetryAction.REFRESH
    assert refused(1013, 404).retry.action is RetryAction.POLL
    assert refused(1013, 400).code == "invalid_argument"
    assert refused(1002, 404).code == refused(1002, 410).code == "service_unavailable"
    assert refused(1012, 403).code == "already_exists"
    assert refused(1012, 503).code == "service_unavailable"


def test_a_number_with_one_meaning_keeps_it_under_any_status() -> None:
    """Services and SDKs file it differently."""
    for status in (400, 403, 408, 429, 500, 503):
        assert refused(4002, status).code == "key_access_revoked"
        assert refused(1028, status).code == "quota_exceeded"


@pytest.mark.parametrize(
    ("numbers", "fault"),
    [((4000, 4001, 4004, 4007, 4008), Fault.SERVICE), ((4002, 4003, 4005, 4006, 4009), Fault.CUSTOMER)],
)
def test_the_key_has_the_faults_of_the_documents_two_tables(numbers: tuple[int, ...], fault: Fault) -> None:
    """Server-side issues and end-user issues; each says what to do."""
    for number in numbers:
        error = refused(number)
        assert error.fault is fault
        assert error.sub_status == number
        assert error.remediation != TAXONOMY[error.code].remediation
        assert error.doc_url is not None


def test_a_failed_region_may_be_tried_once_more() -> None:
    """Else 403/3 would go on for ever."""
    for number in (3, 1008):
        error = refused(number)
        assert (error.retry.action, error.retry.limit) == (RetryAction.REFRESH, 1)


# -- batches ---------------------------------------------------------------------------------


def test_of_a_batch_the_member_speaks_that_is_not_424() -> None:
    """Its status, its sub-status and its wait; other answers stay as they are."""
    members = [{"statusCode": 424}, {"statusCode": 429, "subStatusCode": 3200, "retryAfterMilliseconds": 1500}]
    answer = Answer(200, (*MARK, ("x-ms-substatus", "0")), json.dumps(members).encode())
    error = decoder.decode(answer)
    assert (error.code, error.http_status, error.sub_status, error.retry_after) == ("rate_limited", 429, 3200, 1.5)
    plain = Answer(200, MARK, b'[{"statusCode":201}]')
    assert speaking(plain) is plain


# -- out of the SDK's exceptions ---------------------------------------------------------------


def test_what_the_sdk_raises_is_read_as_the_answer_it_hides() -> None:
    """HTTP errors, batches and time-outs, of which the last two are no HTTP errors to the SDK."""
    sdk: Any = exceptions
    hidden = sdk._InternalCosmosException(status_code=403, headers={"x-ms-substatus": "4002"})
    members = [{"statusCode": 424}, {"statusCode": 403, "subStatusCode": 4005, "resourceBody": {"value": CANARY}}]
    late = sdk.CosmosClientTimeoutError
    failures: list[tuple[Exception, str]] = [
        (sdk.CosmosHttpResponseError(status_code=403, message="no", response=hidden), "key_access_revoked"),
        (sdk.CosmosResourceNotFoundError(status_code=404, message="no"), "not_found"),
        (
            sdk.CosmosBatchOperationError(
                error_index=1, headers={}, status_code=403, message="no", operation_responses=members
            ),
            "key_version_unusable",
        ),
        (late(), "timeout"),
        (late(error=sdk.CosmosHttpResponseError(status_code=429, message="no")), "rate_limited"),
        (ValueError("Id contains illegal chars."), "invalid_argument"),
        (ValueError(CANARY), "unknown"),
    ]
    for failure, code in failures:
        error = decoder.decode(decoder.answer(failure))
        assert error.code == code, failure
        assert CANARY not in error.details() + json.dumps(error.to_dict())


# -- total, and silent -------------------------------------------------------------------------


@given(
    st.one_of(st.none(), st.integers(0, 999)),
    st.lists(
        st.tuples(
            st.sampled_from(["x-ms-substatus", "x-ms-retry-after-ms", "x-ms-activity-id", "date"]),
            st.text(max_size=30),
        ),
        max_size=4,
    ),
    st.one_of(
        st.binary(max_size=300),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20)),
            lambda inner: st.one_of(
                st.lists(inner, max_size=4),
                st.dictionaries(
                    st.sampled_from(["code", "message", "Errors", "error", "statusCode", "subStatusCode", "x"]),
                    inner,
                    max_size=4,
                ),
            ),
            max_leaves=12,
        ).map(lambda node: json.dumps(node).encode()),
    ),
)
def test_any_answer_gives_one_error(status: int | None, headers: list[tuple[str, str]], body: bytes) -> None:
    """And never more of it than codes and ids."""
    error = decoder.decode(Answer(status, headers, body))
    assert isinstance(error, KMSError)
    assert Outcome(error.outcome)


@pytest.mark.parametrize(
    "body",
    [
        b'{"message":"' + b"currently revoked " * 3_000 + b'"}',
        b"[" * 60_000,
        b'{"Errors":' * 6_000,
        b'{"message":"' + b"\\\\" * 30_000 + b'"}',
        b'{"message":"' + b"substatus " * 6_000 + b'"}',
        b'{"message":"' + b"Partition key " * 4_000 + b'"}',
    ],
)
def test_long_and_deep_bodies_are_read_in_time(body: bytes) -> None:
    """No pattern runs away: 50 ms where time is measured, generous here."""
    assert_quick(decoder, (Answer(403, MARK, body), Answer(text=body.decode())))


def test_nothing_of_an_answer_is_shown() -> None:
    """Words, names and values of an answer stay there."""
    body = json.dumps({"code": CANARY, "message": CANARY, "Errors": [CANARY]}).encode()
    for status in (200, 400, 403, 409, 503):
        error = decoder.decode(Answer(status, (*MARK, ("x-ms-substatus", CANARY)), body, text=CANARY))
        assert CANARY not in error.details() + repr(error) + json.dumps(error.to_dict())


# -- the table ---------------------------------------------------------------------------------


def test_every_rule_can_be_reached() -> None:
    """A pair that stands twice would hide its second meaning."""
    pairs = [(rule.status, rule.sub_status) for rule in RULES if rule.sub_status is not None]
    named = [pair for pair in pairs if pair[0] is not None and not 4000 <= (pair[1] or 0) < 4100]
    assert len(named) == len(set(named))


def test_the_document_of_errors_is_as_the_table_has_it() -> None:
    """Each pair with its meaning stands in the page."""
    page = (ROOT / "docs/errors-azure-cosmos.md").read_text("utf-8")
    told: set[tuple[int, int]] = set()
    for rule in RULES:
        if rule.sub_status is None or rule.status is None or rule.sub_status in range(4020, 4100):
            continue
        if (pair := (rule.status, rule.sub_status)) not in told:
            told.add(pair)
            action = (rule.action or TAXONOMY[rule.code].retry.action).value
            assert f"| {rule.status} | {rule.sub_status} | `{rule.code}` | `{action}` |" in page
