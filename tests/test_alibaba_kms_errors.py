"""What the answers of Alibaba Cloud KMS mean: on both doors, in every form, whatever stands in them."""

from __future__ import annotations

import base64
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alibabacloud_credentials.exceptions import CredentialException
from hypothesis import given, settings
from hypothesis import strategies as st

from kmsbridge import TAXONOMY, Code
from kmsbridge._decode import Answer, Phase, Reading
from kmsbridge._explain import explain
from kmsbridge_alibaba_kms import _findings, _spelling
from kmsbridge_alibaba_kms._error_message import ErrorMessage, read_error
from kmsbridge_alibaba_kms._errors import RULES, _fold, decoder
from tests.slowness import assert_quick

LONG = os.environ.get("KMSBRIDGE_LONG") == "1"
ROOT = Path(__file__).parent.parent
VECTORS = [json.loads(line) for line in (ROOT / "tests/vectors/alibaba-kms.jsonl").read_text("utf-8").splitlines()]
JSONS = [v["answer"] for v in VECTORS if str(v["answer"].get("body", "")).startswith("{")]
PROTOBUFS = [v["answer"] for v in VECTORS if "body_base64" in v["answer"] and v["answer"].get("http_status") != 200]
CANARY = "c4nary value"


def verdict(answer: dict[str, Any]) -> tuple[str, str, str]:
    """Code, retry action and outcome of an answer as ``kmsbridge explain`` takes it."""
    result = explain({"provider": "alibaba-kms", **answer})
    return result["code"], result["retry"]["action"], result["outcome"]


def said(code: str, message: str = "no", status: int = 400, **more: object) -> bytes:
    """An error of the region's door."""
    return json.dumps({"Code": code, "Message": message, "HttpStatus": status, **more}).encode()


# -- Protocol Buffers, written for the tests by the letter of its encoding ------------------


def varint(number: int) -> bytes:
    """A number as seven bits a byte, the least first; a negative one has ten."""
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number: int, value: int | str | bytes) -> bytes:
    """One field of a message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def error(code: str = "Rejected.Disabled", message: str = "m", status: int = 409, request: str = "r") -> bytes:
    """An ``Error``."""
    return field(1, status) + field(2, code) + field(3, message) + field(4, request)


def test_an_error_message_is_read() -> None:
    """All four fields, in any order; the last of a repeated one counts."""
    assert read_error(error()) == ErrorMessage(409, "Rejected.Disabled", "m", "r")
    backwards = field(4, "r") + field(3, "m") + field(2, "x") + field(2, "Rejected.Disabled") + field(1, 409)
    assert read_error(backwards) == ErrorMessage(409, "Rejected.Disabled", "m", "r")
    assert read_error(field(2, "Rejected.Disabled")) == ErrorMessage(None, "Rejected.Disabled")


DAMAGED: dict[str, bytes] = {
    "a truncated varint": b"\x08\xff",
    "a varint of eleven bytes": b"\x08" + b"\xff" * 10 + b"\x01",
    "a length of 2 GB": error() + b"\x1a\xff\xff\xff\xff\x07abc",
    "a length that is negative": error() + b"\x1a" + varint(-5),
    "a string that is cut short": error()[:-1] + b"",
    "field 0": error() + b"\x00\x01",
    "an open group": error() + b"\x2b",
    "wire type 7": error() + b"\x2f",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_message_keeps_what_was_whole(name: str) -> None:
    """The status always; the code, where it came before the damage."""
    result = decoder.decode(Answer(409, body=DAMAGED[name]))
    assert result.http_status == 409
    if b"Rejected.Disabled" in DAMAGED[name]:
        assert (result.code, result.provider_codes) == ("disabled", ("Rejected.Disabled",))
    else:
        assert result.provider_codes == ()


def test_every_truncation_of_a_message_is_read() -> None:
    """Once its code is whole it decides; before that the status does."""
    whole = error()
    end = len(field(1, 409) + field(2, "Rejected.Disabled"))
    for size in range(len(whole)):
        result = decoder.decode(Answer(409, body=whole[:size]))
        assert result.code == ("disabled" if size >= end else "operation_in_progress"), size


def test_unknown_fields_and_wrong_wire_types_are_passed_over() -> None:
    """As Protocol Buffers has it, so that later versions of the message are read."""
    more = field(5, "x") + field(99, 7) + varint(6 << 3 | 1) + bytes(8) + varint(7 << 3 | 5) + bytes(4)
    wrong = field(1, "409") + field(2, 5) + varint(3 << 3 | 5) + bytes(4)
    whole, code = error(), field(2, "Rejected.Disabled")
    for body in (code + more, more + code, whole + wrong, wrong + whole, code + more + wrong, wrong + more + code):
        assert decoder.decode(Answer(409, body=body)).code == "disabled"


@pytest.mark.parametrize("status", [-1, -(2**31), 0, 2**31, 2**63, 99, 600, 200])
def test_a_status_in_a_message_that_is_none_is_no_status(status: int) -> None:
    """It is believed only where it can be one, and never against HTTP's own."""
    body = field(1, status) + field(2, "Rejected.Disabled")
    assert decoder.decode(Answer(None, body=body)).http_status is None
    assert decoder.decode(Answer(409, body=body)).http_status == 409
    assert decoder.decode(Answer(None, body=error())).http_status == 409


@pytest.mark.parametrize("body", [
    b"", b"HE", b"\x0a", b"\x08\x01", b"\x12\x00", b"Bad Gateway", b"<html>", b"null", b"[]", b'"x"', b"\xff\xfe",
])  # fmt: skip
def test_a_body_that_is_no_error_leaves_the_status(body: bytes) -> None:
    """An empty 413 is documented; a page or text may come from anybody."""
    assert decoder.decode(Answer(413, body=body, door="instance")).code == "payload_too_large"
    assert decoder.decode(Answer(502, body=body)).code == "service_unavailable"


def test_a_success_is_an_error_only_where_it_says_so() -> None:
    """Field 2 of a secret is its type and field 3 its value: an Error has a status in field 1."""
    secret = field(1, "name") + field(2, "Forbidden") + field(3, CANARY)
    result = decoder.decode(Answer(200, body=secret))
    assert (result.code, result.provider_codes) == ("internal_error", ())
    assert decoder.decode(Answer(200, body=error("Forbidden.KeyNotFound", status=404))).code == "not_found"
    unknown = error("c4nary", status=404)
    assert decoder.decode(Answer(200, body=unknown)).provider_codes == ()


def test_the_parser_needs_no_protobuf_and_explain_no_sdk() -> None:
    """Both are in the provider's extra; whoever reads a log has none of them."""
    program = (
        "import sys; sys.modules.update(dict.fromkeys(['google', 'google.protobuf', 'Tea', 'darabonba',"
        " 'alibabacloud_tea_openapi', 'alibabacloud_credentials', 'alibabacloud_kms20160120']))\n"
        "from kmsbridge._explain import explain\n"
        "record = {'provider': 'alibaba-kms', 'http_status': 409, 'door': 'instance', 'body_base64': sys.argv[1]}\n"
        "print(explain(record)['code'])"
    )
    encoded = base64.b64encode(error()).decode()
    path = os.pathsep.join(map(str, (ROOT, ROOT / "providers")))
    done = subprocess.run(
        [sys.executable, "-c", program, encoded],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert done.stdout.strip() == "disabled"


# -- structure decides ----------------------------------------------------------------------

NUMBER = re.compile(
    r"(?P<kept>x-kms-\w+)|(?P<uuid>\b[0-9A-Fa-f*]{8}(?:-[0-9A-Fa-f*]{4}){3}-[0-9a-zA-Z*]{12}\b)"
    r"|(?P<arn>acs:kms:[^\s\"]+)|(?P<number>\d+)"
)
"""What belongs to somebody in an answer."""


def replaced(text: str, seed: int) -> str:
    """The same answer of somebody else, at another time."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, and nothing is secret

    def other(found: re.Match[str]) -> str:
        if found["kept"]:
            return found[0]
        if found["arn"]:
            return f"acs:kms:eu-central-1:{chance.randrange(10**9)}:key/{chance.choice(['disabled', 'throttling'])}"
        digits = "0123456789" if found["number"] else "0123456789abcdef"
        return "".join(c if c in "-*" else chance.choice(digits) for c in found[0])

    return NUMBER.sub(other, text)


def shuffled(node: object, seed: int) -> object:
    """The same JSON with its members in another order, and codes in another case."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, and nothing is secret
    if isinstance(node, list):
        return [shuffled(item, seed) for item in node]
    if not isinstance(node, dict):
        return node
    members = [
        (name, value.swapcase() if name == "Code" and isinstance(value, str) else shuffled(value, seed))
        for name, value in node.items()
    ]
    chance.shuffle(members)
    return dict(members)


@pytest.mark.parametrize("seed", range(5))
def test_names_ids_dates_and_numbers_change_no_verdict(seed: int) -> None:
    """Whoever's key it is, and whenever it was: the same answer has the same verdict."""
    for answer in JSONS:
        tree = json.loads(answer["body"])
        for holder in [tree, *tree.get("Errors", [])]:
            holder.update({name: replaced(holder[name], seed) for name in ("Message", "RequestId") if name in holder})
            if "SecretName" in holder:
                holder["SecretName"] = "Forbidden.NoPermission"
        assert verdict({**answer, "body": json.dumps(tree)}) == verdict(answer), tree
    for answer in PROTOBUFS:
        body = base64.b64decode(answer["body_base64"])
        message = read_error(body)
        if message is None:
            continue
        other = error(message.code, replaced(message.words, seed), message.status or 0, f"{seed}")
        assert verdict({**answer, "body_base64": base64.b64encode(other).decode()}) == verdict(answer), message


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_members_and_the_case_of_codes_change_no_verdict(seed: int) -> None:
    """JSON or a message that says the same in another way means the same."""
    for answer in JSONS:
        body = json.dumps(shuffled(json.loads(answer["body"]), seed), indent=seed)
        assert verdict({**answer, "body": body}) == verdict(answer), body
    for answer in PROTOBUFS:
        message = read_error(base64.b64decode(answer["body_base64"]))
        if message is None:
            continue
        fields = [field(number, value) for number, value in enumerate(message, 1) if value is not None]
        fields[1] = field(2, message.code.swapcase())
        random.Random(seed).shuffle(fields)  # noqa: S311 - as above
        encoded = base64.b64encode(b"".join(fields)).decode()
        assert verdict({**answer, "body_base64": encoded}) == verdict(answer), message


def test_an_error_is_the_same_on_both_doors_and_in_every_form() -> None:
    """JSON, XML and Protocol Buffers that say one thing, and each SDK's print of it."""
    compared = 0
    for answer in JSONS:
        tree = json.loads(answer["body"])
        code, words, status = tree.get("Code"), str(tree.get("Message", "")), answer.get("http_status")
        if code is None or status is None or status == 200 or not words.isprintable() or "<" in words:
            continue
        wanted = verdict(answer)
        forms: list[dict[str, Any]] = [
            {"body_base64": base64.b64encode(error(code, words, status)).decode()},
            {"body": f"<Error><Message>{words.replace('&', ' ')}</Message><Code>{code}</Code></Error>"},
            {"body": json.dumps({"code": code, "message": words})},
            {"text": f"Error: {code} code: {status}, {words} request id: 0A1B2C3D"},
            {"text": f"SDK.ServerError\nErrorCode: {code}\nRecommend: \nRequestId: \nMessage: {words}"},
            {"text": f"com.aliyuncs.exceptions.ClientException: {code} : {words}"},
            {"text": f"ServerException:HTTP Status: {status} Error:{code} {words} RequestID: 0A1B"},
            {"text": f'SDKError:\n StatusCode: {status}\n Code: {code}\n Data: {{"Code":"{code}"}} {words}'},
        ]
        for form in forms:
            compared += 1
            assert verdict({"http_status": status, "door": answer.get("door"), **form}) == wanted, (answer, form)
    assert compared > 1000


# -- spelling -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("wrong", "code"), [
    ("SerivceUnavailableTemporary", "service_unavailable"), ("SerivceUnvailableTemporary", "service_unavailable"),
    ("Rejetced.PendingDeletion", "pending_deletion"), ("Rejetced.Disabled", "disabled"),
    ("Forbidden.NoPermisson", "access_denied"), ("NoPermisson", "access_denied"),
    ("MissingParamter", "invalid_argument"), ("InvalidParamter", "invalid_argument"),
    ("REJECTED.UNSUPPORTEDOPERATION", "unsupported"), ("unsupportedoperation", "unsupported"),
])  # fmt: skip
def test_codes_are_known_however_alibaba_spells_them(wrong: str, code: str) -> None:
    """Its own misspellings, and any case; what is shown is what came."""
    for body in (said(wrong), error(wrong)):
        result = decoder.decode(Answer(400, body=body))
        assert (result.code, result.provider_codes) == (code, (wrong,))


def test_no_code_of_the_table_stands_for_its_family() -> None:
    """Each is found by its own name, however it is written."""
    for rule in RULES:
        if rule.on is not None and not rule.on.startswith("*"):
            assert not _fold(rule.on).startswith("*")
            assert _fold(rule.on.swapcase()) == _fold(rule.on)


def test_every_family_has_a_rule() -> None:
    """And none of them is a code."""
    families = {family for _, family in _spelling._FAMILIES} | {_spelling.NO_CREDENTIAL}
    assert families == {rule.on for rule in RULES if rule.on is not None and rule.on.startswith("*")}


@pytest.mark.parametrize(("unlisted", "code"), [
    ("InvalidAction.NotFound", "unsupported"), ("InvalidRegionId.NotFound", "unsupported"),
    ("EntityNotExist.Role", "credential_rejected"), ("InvalidUser.NotFound", "credential_rejected"),
    ("Forbidden.InstanceNotFound", "container_not_found"), ("Forbidden.SecretVersionNotFound", "version_not_found"),
    ("Forbidden.SecretNotFound", "not_found"), ("RequestTimeout", "timeout"), ("RequestTimeExpired", "clock_skew"),
    ("InvalidSourceIp.NotInSecurityWhitelist", "network_forbidden"), ("StsTokenExpired", "token_expired"),
    ("Rejected.ImportTokenExpired", "wrong_state"), ("Rejected.RateLimit", "rate_limited"),
    ("OperationConflict", "operation_in_progress"), ("RequestEntityTooLarge", "payload_too_large"),
    ("IncorrectInstanceStatus", "wrong_state"), ("InvalidReadTimeout", "invalid_argument"),
])  # fmt: skip
def test_a_code_that_is_not_listed_is_read_by_its_name(unlisted: str, code: str) -> None:
    """Above all, "not found" is said of an item only where nothing else is missing."""
    for body in (said(unlisted), error(unlisted)):
        result = decoder.decode(Answer(400, body=body))
        assert (result.code, result.provider_codes) == (code, (unlisted,))


# -- what is told beside the code -----------------------------------------------------------------


def test_a_temporary_access_key_that_is_not_known_may_have_expired() -> None:
    """The driver says that the request carried a token; without one the key is wrong for good."""
    body = said("InvalidAccessKeyId.NotFound", status=404)
    plain, sts = (decoder.decode(Answer(404, body=body, door=door)) for door in ("openapi", "sts"))
    assert (plain.code, plain.retry.action) == ("credential_rejected", "never")
    assert (sts.code, sts.retry.action, sts.retry.limit) == ("credential_rejected", "reauthenticate", 1)


def test_a_refused_read_of_a_secret_may_be_about_its_key() -> None:
    """The refusal then names a key, although a secret was asked for (FAQ)."""
    body = said("Forbidden.NoPermission", "This operation for acs:kms:cn-hangzhou:1:key/key-1 is forbidden.", 403)
    assert "kms:Decrypt" in decoder.decode(Answer(403, body=body), operation="secrets.get").remediation
    assert "kms:Decrypt" not in decoder.decode(Answer(403, body=body), operation="keys.get").remediation


@pytest.mark.parametrize("code", [
    "UnsupportedOperation", "InvalidApiName", "InvalidContentType", "InvalidProduct.NotFound",
    "Forbidden.DKMSInstanceNotFound",
])  # fmt: skip
def test_a_code_of_the_wrong_door_says_so(code: str) -> None:
    """Advice of its own, that names the door, the instance or the address."""
    result = decoder.decode(Answer(400, body=said(code)))
    assert result.remediation != TAXONOMY[result.code].remediation
    assert re.search(r"instance|door|endpoint", result.remediation)


@pytest.mark.parametrize("detail", [
    None, [], "kms:Decrypt", {"AuthAction": CANARY}, {"AuthAction": "c4nary:x y"}, {"NoPermissionType": "c4nary"},
    {"PolicyType": "c4naryPolicy"}, {"AuthAction": 7}, {"AuthPrincipalOwnerId": "c4nary"},
    {"AuthPrincipalDisplayName": "c4nary"}, {"EncodedDiagnosticMessage": "c4nary"},
])  # fmt: skip
def test_what_is_private_in_a_denial_is_not_copied(detail: object) -> None:
    """Who it was and the encoded message stay there; so does what is no action or type of Alibaba's."""
    result = decoder.decode(Answer(403, body=said("Forbidden.NoPermission", CANARY, 403, AccessDeniedDetail=detail)))
    assert (result.code, result.fields) == ("access_denied", ())
    assert "c4nary" not in json.dumps(result.to_dict())


def test_a_signature_that_does_not_match_shows_nothing_that_was_signed() -> None:
    """Its message repeats the parameters of the request, the plaintext among them."""
    words = f"server string to sign is:POST&%2F&Plaintext%3D{CANARY}"
    result = decoder.decode(Answer(400, body=said("SignatureDoesNotMatch", words)))
    assert "c4nary" not in f"{result} {result.details()} {json.dumps(result.to_dict())}"


@pytest.mark.parametrize(("value", "seconds"), [
    ("2500", 2.5), ("0", 0.0), (" 10 ", 0.01), ("-5", None), ("soon", None), ("1e9", None), ("", None),
    ("9" * 9, None), ("9" * 40, None),
])  # fmt: skip
def test_a_wait_counts_milliseconds(value: str, seconds: float | None) -> None:
    """``x-acs-retry-after``, where waiting helps; what makes no sense is no wait."""
    headers = (("x-acs-retry-after", value),)
    assert decoder.decode(Answer(429, headers, said("Rejected.Throttling"))).retry_after == seconds
    assert decoder.decode(Answer(404, headers, said("Forbidden.KeyNotFound"))).retry_after is None


def test_what_never_left_was_not_sent() -> None:
    """A token source that fails before the request."""
    result = decoder.decode(Answer(503, phase=Phase.BEFORE_SEND, body=b"<html>"))
    assert result.outcome == "not_sent"


@pytest.mark.parametrize(("refusal", "code"), [
    ("EntityNotExist.Role", "credential_rejected"), ("NoPermission", "credential_unavailable"),
    ("Forbidden.ResourceNotFound", "credential_unavailable"), ("InvalidParameter.RoleArn", "credential_unavailable"),
    ("InvalidAction.NotFound", "credential_unavailable"), ("SignatureDoesNotMatch", "credential_rejected"),
    ("Throttling.User", "rate_limited"), ("ServiceUnavailable", "service_unavailable"),
    ("InvalidSecurityToken.Expired", "token_expired"),
])  # fmt: skip
def test_a_refusal_of_the_token_service_is_none_of_kms(refusal: str, code: str) -> None:
    """A role that may not be taken on is no secret that is not there, and no missing right on it."""
    told = f'error refreshing credentials from RAM role ARN, httpCode: 404, result: {{"Code":"{refusal}"}}'
    answer = Answer(phase=Phase.BEFORE_SEND, exception=CredentialException(told), door=_findings.CREDENTIAL)
    result = decoder.decode(answer, operation="secrets.get")
    assert (result.code, result.provider_codes, result.outcome) == (code, (refusal,), "not_sent")


# -- the table --------------------------------------------------------------------------------------


def test_no_rule_is_hidden_behind_another() -> None:
    """A rule without words ends the search for its code."""
    ended: set[tuple[str, str | None, int | None]] = set()
    for rule in RULES:
        if rule.on is None:
            continue
        assert (_fold(rule.on), None, None) not in ended, rule
        if rule.says is None and rule.operation is None:
            key = (_fold(rule.on), rule.door, rule.status)
            assert key not in ended, rule
            ended.add(key)
    assert len(ended) > 100


def test_every_sentence_and_advice_is_one_plain_sentence() -> None:
    """Messages begin in lower case and have no end; advice begins upper and ends with a full stop."""
    for rule in RULES:
        assert rule.sentence is None or re.fullmatch(r"(?:[a-z]|KMS).*[^.]", rule.sentence), rule.sentence
        assert rule.remediation is None or re.fullmatch(r"[A-Z].*\.", rule.remediation), rule.remediation
        assert rule.doc_url is None or rule.doc_url.startswith("https://")


def test_the_page_of_codes_is_the_table() -> None:
    """``docs/errors-alibaba-kms.md`` has a row for every code, with what the table makes of it."""
    page = (ROOT / "docs" / "errors-alibaba-kms.md").read_text("utf-8")
    rows = {tuple(re.findall(r"`([^`]+)`", line))[:3] for line in page.splitlines() if line.startswith("| `")}
    wanted = set()
    for rule in RULES:
        if rule.on is not None and not rule.on.startswith("*"):
            action = (rule.action or TAXONOMY[rule.code].retry.action).value
            wanted.add((rule.on, str(rule.code), action))
    assert rows == wanted


# -- total --------------------------------------------------------------------------------------------

WORDS = st.sampled_from([
    "Code: Rejected.Disabled", '"Code":"Forbidden.NoPermission"', "<Error>", "<Code>", "{", "[", "code: 404, ",
    "\ud800", "ErrorCode: ", "HTTP Status: 503", "RequestId: ", "Keyword=", "mac verify failure",
    "SDK.ServerUnreachable", CANARY,
])  # fmt: skip
TEXTS = st.lists(st.one_of(WORDS, st.text(max_size=20)), max_size=6).map(" ".join)
BYTES = TEXTS.map(lambda text: text.encode("utf-8", "replace"))
MEMBERS = st.sampled_from(
    ["Code", "code", "Message", "RequestId", "HttpStatus", "Errors", "AccessDeniedDetail", "AuthAction"]
)
TREES = st.recursive(
    st.one_of(TEXTS, st.none(), st.booleans(), st.integers(), st.floats()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(MEMBERS, inner, max_size=5)),
    max_leaves=20,
)
MESSAGES = st.lists(
    st.builds(
        field,
        st.integers(0, 9),
        st.one_of(st.integers(-(2**63), 2**64), st.binary(max_size=20), BYTES),
    ),
    max_size=6,
).map(b"".join)  # fmt: skip
ANSWERS = st.builds(
    Answer,
    status=st.one_of(st.none(), st.sampled_from([200, 204, 302, 400, 401, 403, 404, 409, 413, 429, 500, 503, 999])),
    headers=st.lists(
        st.tuples(st.sampled_from(["x-acs-retry-after", "x-acs-request-id", "x-acs-trace-id", "Retry-After"]), TEXTS),
        max_size=4,
    ).map(tuple),
    body=st.one_of(st.binary(max_size=200), BYTES,
                   TREES.map(json.dumps).map(str.encode), MESSAGES,
                   TREES.map(json.dumps).map(lambda text: text.encode()[: len(text) // 2])),
    text=TEXTS,
    exception=st.one_of(st.none(), TEXTS.map(OSError), TEXTS.map(ValueError)),
    door=st.sampled_from([None, "openapi", "instance", "sts", "version", "c4nary"]),
)  # fmt: skip


@settings(max_examples=20_000 if LONG else 200)
@given(ANSWERS)
def test_the_reader_takes_any_answer(answer: Answer) -> None:
    """Called without the guard of `decode`: no exception, and nothing of it in what the error shows."""
    reading = decoder._read(answer)
    assert isinstance(reading, Reading)
    assert all(isinstance(code, str) for code in reading.codes)
    assert reading.status is None or 400 <= reading.status < 600
    assert "c4nary value" not in json.dumps(decoder.decode(answer).to_dict())


@settings(max_examples=20_000 if LONG else 200)
@given(st.one_of(st.binary(max_size=300), MESSAGES, st.binary(max_size=40).map(lambda tail: error() + tail)))
def test_the_parser_takes_any_bytes(body: bytes) -> None:
    """No exception, and texts where texts belong; with any status each gives one error."""
    found = read_error(body)
    assert found is None or (found.code and isinstance(found.code, str) and isinstance(found.words, str))
    assert found is None or found.status is None or -(2**31) <= found.status < 2**31
    for status in (200, 409, 500):
        assert decoder.decode(Answer(status, body=body, door="instance")).http_status == status


@settings(max_examples=2_000 if LONG else 100)
@given(st.integers(-(2**31), 2**31 - 1), st.text(), st.text(), st.text())
def test_the_parser_reads_what_protobuf_reads(status: int, code: str, words: str, request: str) -> None:
    """Whatever stands in the fields of a whole message."""
    code, words, request = (text.encode("utf-8", "ignore").decode() for text in (code, words, request))
    expected = ErrorMessage(status, code, words, request) if code else None
    assert read_error(error(code, words, status, request)) == expected


def planted(node: object) -> object:
    """The canary in the place of every word that is no code."""
    if isinstance(node, dict):
        return {name: value if name == "Code" else planted(value) for name, value in node.items()}
    return [planted(item) for item in node] if isinstance(node, list) else CANARY


def test_no_word_of_an_answer_reaches_the_error() -> None:
    """A canary in every string of every known answer is nowhere in what the error shows."""
    for answer in JSONS:
        body = json.dumps(planted(json.loads(answer["body"]))).encode()
        result = decoder.decode(Answer(answer.get("http_status"), body=body))
        assert "c4nary" not in f"{result} {result!r} {result.details()} {json.dumps(result.to_dict())}"
    for answer in PROTOBUFS:
        message = read_error(base64.b64decode(answer["body_base64"]))
        if message is not None:
            result = decoder.decode(Answer(answer["http_status"], body=error(message.code, CANARY, 400, CANARY)))
            assert "c4nary" not in f"{result} {result!r} {result.details()} {json.dumps(result.to_dict())}"


@pytest.mark.parametrize("text", [
    "code" * 20_000, "Code: " * 15_000, "Error:" + " " * 80_000, "<Error>" + "<Code>" * 10_000, "Aa" * 40_000,
    "Aa.Bb." * 15_000, '"code":"' * 10_000, "acs:kms:" * 10_000, "parameter " * 8_000, "security token " * 5_000,
    "access key " * 8_000, "refresh ecs " * 8_000,
])  # fmt: skip
def test_long_texts_take_no_time(text: str) -> None:
    """No pattern is slow on a text that was made for it: 50 ms where time is measured, generous here."""
    body = said("InvalidParameter", text[:60_000])
    assert_quick(decoder, (Answer(text=text), Answer(500, body=text.encode()), Answer(403, body=body)))


def test_every_code_is_one_of_ours() -> None:
    """And the table uses most of them."""
    assert {rule.code for rule in RULES} <= set(Code)
    assert len({rule.code for rule in RULES}) > 20
