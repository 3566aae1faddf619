"""What the answers of Azure Key Vault mean: by structure, in every printed form, and out of the SDK's exceptions."""

from __future__ import annotations

import json
import os
import random
import re
import socket
import ssl
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmsbridge import TAXONOMY, KMSError, Outcome, RetryAction
from kmsbridge._decode import Answer, Phase, Reading, chain
from kmsbridge._entra._errors import NUMBERED
from kmsbridge._explain import explain
from kmsbridge_azure_keyvault._errors import RULES, decoder
from tests.slowness import assert_quick

LONG = os.environ.get("KMSBRIDGE_LONG") == "1"
ROOT = Path(__file__).parent.parent
VECTORS = [json.loads(line) for line in (ROOT / "tests/vectors/azure-keyvault.jsonl").read_text("utf-8").splitlines()]
BODIES = [vector["answer"] for vector in VECTORS if vector["answer"].get("body")]
CANARY = "c4nary value"
GUID = "00000000-0000-0000-0000-000000000001"
DISABLED = {"code": "Forbidden", "message": "no", "innererror": {"code": "SecretDisabled"}}


def verdict(answer: dict[str, Any]) -> tuple[str, str, str]:
    """Code, retry action and outcome of an answer as ``kmsbridge explain`` takes it."""
    result = explain({"provider": "azure-keyvault", **answer})
    return result["code"], result["retry"]["action"], result["outcome"]


def body_of(code: str = "Forbidden", message: str = "no", status: int = 403, **more: object) -> KMSError:
    """The error of a vault's answer."""
    body = json.dumps({"error": {"code": code, "message": message, **more}}).encode()
    return decoder.decode(Answer(status, body=body))


# -- structure decides ---------------------------------------------------------------------


NUMBER = re.compile(
    r"(?P<kept>\b(?:AADSTS|AKV(?:\.SKR\.)?|IDX|S2S)\d+|\bX\.509\b|PKCS#12)"
    r"|(?P<guid>\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b)|(?P<version>\b[0-9a-f]{32}\b)"
    r"|(?P<name>\b(?:vault|secret|key|certificate|group|name|sas)[-_]one\b)|(?P<number>\d+)"
)
"""What belongs to somebody in an answer, and the codes of the vendor, which do not."""


def replaced(text: str, seed: int) -> str:
    """The same answer of somebody else, at another time."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, and nothing is secret

    def other(found: re.Match[str]) -> str:
        if found["kept"]:
            return found[0]
        if found["name"]:
            return f"n{chance.randrange(10**6)}-{chance.choice(['disabled', 'expired', 'x'])}"
        digits = "0123456789" if found["number"] else "0123456789abcdef"
        return "".join(c if c == "-" else chance.choice(digits) for c in found[0])

    return NUMBER.sub(other, text)


def shuffled(node: object, seed: int) -> object:
    """The same JSON with the members of its objects in another order, and codes in another case."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, and nothing is secret
    if isinstance(node, list):
        return [shuffled(item, seed) for item in node]
    if not isinstance(node, dict):
        return node
    members = [
        (name, value.swapcase() if name == "code" and isinstance(value, str) else shuffled(value, seed))
        for name, value in node.items()
    ]
    chance.shuffle(members)
    return dict(members)


@pytest.mark.parametrize("seed", range(5))
def test_names_ids_dates_and_numbers_change_no_verdict(seed: int) -> None:
    """Whoever's vault it is, and whenever it was: the same answer has the same verdict."""
    for answer in BODIES:
        words = json.dumps(answer["body"])
        other = {**answer, "body": json.loads(replaced(words, seed))}
        assert verdict(other) == verdict(answer), other["body"]


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_members_blanks_and_the_case_of_codes_change_no_verdict(seed: int) -> None:
    """JSON that says the same in another way means the same."""
    changed = 0
    for answer in BODIES:
        try:
            tree = json.loads(answer["body"])
        except ValueError:
            continue
        if isinstance(tree.get("error"), str):  # OAuth's codes are lower case by their standard
            continue
        body = json.dumps(shuffled(tree, seed), indent=seed)
        changed += body != answer["body"]
        assert verdict({**answer, "body": body}) == verdict(answer), body
    assert changed > 100


def test_blanks_inside_the_words_change_no_verdict() -> None:
    """Relays fold lines and double blanks."""
    for answer in BODIES:
        body = re.sub(r"(?<=\w) (?=\w)", r"  ", answer["body"])
        assert verdict({**answer, "body": body}) == verdict(answer), body


# -- printed by an SDK -----------------------------------------------------------------------


def azure_core(error: dict[str, Any]) -> str:
    """An error as azure-core for Python prints it."""
    lines = f"({error['code']}) {error.get('message')}\nCode: {error['code']}\nMessage: {error.get('message')}"
    if error.get("details"):
        lines += "\nException Details:" + "".join(
            "\n".join(f"\t{line}" for line in azure_core(detail).splitlines()) for detail in error["details"]
        )
    if error.get("innererror"):
        lines += f"\nInner error: {json.dumps(error['innererror'], indent=4)}"
    return lines


def printed(error: dict[str, Any], status: int) -> dict[str, str]:
    """One answer as the SDKs of five languages print it."""
    code, message, body = error["code"], error.get("message", ""), json.dumps({"error": error})
    inner = f" InnerError={json.dumps(error['innererror'])}" if "innererror" in error else ""
    inner += f" Details={json.dumps(error['details'])}" if "details" in error else ""
    return {
        "Python": azure_core(error),
        "traceback": f"azure.core.exceptions.HttpResponseError: {azure_core(error)}",
        "CLI": f"ERROR: {azure_core(error)}",
        ".NET": f"{message}\nStatus: {status} (reason)\nErrorCode: {code}\n\nContent:\n{body}\n\nHeaders:\nDate: x",
        "Go": f"GET https://v\n---\nRESPONSE {status}: {status} reason\nERROR CODE: {code}\n---\n{body}\n---",
        "autorest": f'Failure: StatusCode={status} -- Original Error: Status={status} Code="{code}" '
        f"Message={json.dumps(message)}{inner}",
        "Java": f'com.azure.core.exception.HttpResponseException: Status code {status}, "{body}"',
    }


def test_the_printed_text_alone_gives_the_same_verdict() -> None:
    """Of every answer with an envelope, in seven printed forms, with the status beside it and without."""
    compared = 0
    for answer in BODIES:
        try:
            tree = json.loads(answer["body"])
        except ValueError:
            continue
        error = tree.get("error", tree)
        status = answer.get("http_status") or 400
        if not isinstance(error, dict) or "code" not in error or not 400 <= status < 600 or answer.get("headers"):
            continue
        if any(str(detail.get("message")).startswith("{") for detail in error.get("details", ())):
            continue  # escaped twice: the codes inside are found in the body, not in every print of it
        wanted = verdict({**answer, "http_status": status})
        for form, text in printed(error, status).items():
            for known in (status, None):
                compared += 1
                if form in ("Python", "traceback", "CLI") and known is None and not error.get("innererror"):
                    # no status is printed there: only what the status alone would decide may differ
                    assert verdict({"text": text})[0] in (wanted[0], "unknown", "already_exists"), text
                else:
                    assert verdict({"http_status": known, "text": text}) == wanted, (form, text)
    assert compared > 1000


def test_a_text_gives_status_ids_and_the_wait() -> None:
    """What .NET prints of headers is read as headers are."""
    text = (
        "Service request failed.\nStatus: 429 ()\n\nHeaders:\nRetry-After: 12\n"
        f"x-ms-request-id: {GUID}\nx-ms-client-request-id: {GUID}\n"
    )
    error = decoder.decode(Answer(text=text))
    assert (error.code, error.http_status, error.retry_after) == ("rate_limited", 429, 12.0)
    assert error.request_ids == {"x-ms-request-id": GUID, "x-ms-client-request-id": GUID}


# -- the envelope ------------------------------------------------------------------------------


def test_the_innermost_code_decides_at_any_depth() -> None:
    """Inner errors nest; those without a code are passed through."""
    node: dict[str, Any] = {"code": "SecretDisabled"}
    for _ in range(100):
        node = {"innererror": node}
    assert body_of(innererror=node).code == "disabled"
    node = {"code": "SecretDisabled"}
    for depth in range(30):
        node = {"code": f"Level{depth}", "innererror": node}
    error = body_of(innererror=node)
    assert error.code == "disabled"
    assert error.provider_codes[0] == "Forbidden"
    assert error.provider_codes[-1] == "SecretDisabled"
    assert len(error.provider_codes) <= 16


def test_a_body_too_deep_for_a_parser_still_gives_its_innermost_code() -> None:
    """2,000 levels, and a body that was cut off."""
    deep = '{"error":' + '{"code":"Forbidden","innererror":' * 1500 + '{"code":"SecretDisabled"}' + "}" * 1501
    assert decoder.decode(Answer(403, body=deep.encode())).code == "disabled"
    cut = b'{"error":{"code":"Forbidden","innererror":{"code":"SecretDisabled"'
    assert decoder.decode(Answer(403, body=cut)).code == "disabled"


@pytest.mark.parametrize("inner", [None, "", {}, [], 7, True, {"code": None}, {"code": 7}, [[]], [7], "not a code!"])
def test_an_inner_error_of_the_wrong_type_is_passed_over(inner: object) -> None:
    """What stands in its place does not hide the words of the outer one."""
    assert body_of(message="Operation get is not allowed on a disabled secret.", innererror=inner).code == "disabled"


@pytest.mark.parametrize("inner", ["SecretDisabled", ["SecretDisabled"], [{"code": "SecretDisabled"}]])
def test_an_inner_code_is_found_in_a_string_and_in_a_list_too(inner: object) -> None:
    """Relays flatten the inner error."""
    assert body_of(innererror=inner).code == "disabled"


def test_a_success_is_read_for_an_error_only_where_it_has_one() -> None:
    """A secret whose bundle has members named like an error's says nothing of a failure."""
    bundle = json.dumps({"code": "Forbidden", "message": "Throttled", "value": "x"}).encode()
    error = decoder.decode(Answer(200, body=bundle))
    assert (error.code, error.provider_codes) == ("internal_error", ())


def test_a_challenge_with_claims_is_told_from_a_missing_token() -> None:
    """Continuous access evaluation answers 401 with the same body; a challenge on another status says nothing."""
    header = (("WWW-Authenticate", 'Bearer authorization="https://l/t", error="insufficient_claims", claims="e30="'),)
    body = json.dumps({"error": {"code": "Unauthorized", "message": "no"}}).encode()
    error = decoder.decode(Answer(401, header, body))
    assert (error.code, error.retry.action, error.retry.limit) == ("credential_rejected", "reauthenticate", 1)
    conflict = json.dumps({"error": {"code": "Conflict"}}).encode()
    assert decoder.decode(Answer(409, header, conflict)).code == "already_exists"


def test_words_of_a_page_are_not_the_vendors() -> None:
    """A gateway's page that talks of secrets is a page."""
    page = b"<html><body>Operation get is not allowed on a disabled secret. SecretNotFound</body></html>"
    assert decoder.decode(Answer(503, body=page)).code == "service_unavailable"
    assert decoder.decode(Answer(404, body=page)).code == "container_not_found"


def test_a_404_without_a_word_never_says_that_the_item_is_absent() -> None:
    """A vault names what it does not find; silence may be anybody's."""
    for body in (b"", b"{}", b"null", b"<!doctype html>"):
        assert decoder.decode(Answer(404, body=body)).code == "container_not_found"
    assert body_of("SomethingNotFound", "", 404).code == "not_found"


# -- what is told beside the code -----------------------------------------------------------------


@pytest.mark.parametrize(("message", "field"), [
    ("Operation decrypt is not permitted on this key.", ("operation", "keys/decrypt")),
    ("Operation get is not allowed on a disabled secret.", ("operation", "secrets/get")),
    ("The user 'x' does not have secrets get permission on key vault 'v'.", ("operation", "secrets/get")),
    ("The user 'x' does not have keys unwrapKey permission on key vault 'v'.", ("operation", "keys/unwrapkey")),
    ('Operation "purge" is not allowed because purge protection is enabled', ("operation", "purge")),
    ("Action: 'Microsoft.KeyVault/vaults/keys/sign/action'", ("action", "Microsoft.KeyVault/vaults/keys/sign/action")),
])  # fmt: skip
def test_the_refused_operation_is_named(message: str, field: tuple[str, str]) -> None:
    """As the grant that is missing is called."""
    assert body_of(message=message).fields == (field,)


@pytest.mark.parametrize("message", [
    "Operation c4nary is not permitted on this key.",
    "The user 'x' does not have c4nary get permission on key vault",
    "The user 'x' does not have secrets c4nary permission on key vault",
    "Action: 'Microsoft.KeyVault/vaults/c4nary/read'",
    "Caller: appid=c4nary;oid=c4nary;iss=https://sts.windows.net/c4nary/ (Activity ID: c4nary) Trace ID: c4nary",
])  # fmt: skip
def test_what_is_no_operation_or_id_of_the_vendors_is_not_copied(message: str) -> None:
    """Operations come from a closed list and identities are GUIDs; a name in their place stays there."""
    error = body_of(message=message)
    assert "c4nary" not in json.dumps(error.to_dict())


def test_the_identity_that_was_refused_is_told() -> None:
    """Ids of application, object and tenant stand in a refusal."""
    caller = f"Caller: appid={GUID};oid={GUID[:-1]}2;iss=https://sts.windows.net/{GUID[:-1]}3/"
    assert body_of(message=caller).identity == (None, GUID[:-1] + "3", GUID, GUID[:-1] + "2")
    text = f"AADSTS700016: Application with identifier '{GUID}' was not found in the directory '{GUID[:-1]}2'."
    assert decoder.decode(Answer(text=text)).identity == (None, GUID[:-1] + "2", GUID, None)


def test_the_activity_of_managed_hsm_is_a_request_id() -> None:
    """It stands in the message, beside the ids of the headers."""
    body = json.dumps({"error": {"code": "BadParameter", "message": f"no (Activity ID: {GUID})"}}).encode()
    error = decoder.decode(Answer(400, (("x-ms-request-id", "abc"),), body))
    assert error.request_ids == {"x-ms-request-id": "abc", "activity-id": GUID}


@pytest.mark.parametrize(("code", "inner", "word"), [
    ("VaultAlreadyExists", None, "deleted"), ("Throttled", None, "cache"),
    ("Forbidden", "ForbiddenByFirewall", "firewall"), ("Forbidden", "ForbiddenByRbac", "role"),
    ("Forbidden", "AccessDenied", "which identity"),
])  # fmt: skip
def test_advice_is_that_of_the_vendors_documents(code: str, inner: str | None, word: str) -> None:
    """A name that is taken may be held by a deleted vault; throttling is answered by caching; and so on."""
    error = body_of(code, innererror={"code": inner} if inner else None)
    assert word in error.remediation
    assert error.remediation != TAXONOMY[error.code].remediation
    assert (error.doc_url or "").startswith("https://learn.microsoft.com/azure/key-vault/")


def test_a_wait_is_read_only_where_it_helps() -> None:
    """Retry-After on a refusal is ignored, on throttling it is taken, and without it there is a least wait."""
    headers = (("Retry-After", "9"),)
    body = json.dumps({"error": DISABLED}).encode()
    assert decoder.decode(Answer(403, headers, body)).retry_after is None
    throttled = json.dumps({"error": {"code": "Throttled"}}).encode()
    assert decoder.decode(Answer(429, headers, throttled)).retry_after == 9.0
    assert decoder.decode(Answer(429, (), throttled)).retry.min_delay == 1.0


# -- exceptions of the SDK --------------------------------------------------------------------------


class AzureError(Exception):
    """Stands for azure-core's, which is known by name."""

    __module__ = "azure.core.exceptions"

    def __init__(self, message: str = "", response: object = None, error: BaseException | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.response = response
        self.inner_exception = error


def azure(name: str, *bases: str) -> type[AzureError]:
    """A class of azure-core or azure-identity with its ancestors."""
    kind: type[AzureError] = AzureError
    for each in (*bases, name):
        kind = cast("type[AzureError]", type(each, (kind,), {"__module__": "azure.core.exceptions"}))
    return kind


def foreign(module: str, name: str, base: type[Exception] = Exception) -> type[Exception]:
    """A class of a transport."""
    return cast("type[Exception]", type(name, (base,), {"__module__": module}))


RequestError = azure("ServiceRequestError")
ResponseError = azure("ServiceResponseError")
AuthError = azure("ClientAuthenticationError", "HttpResponseError")
Unavailable = azure("CredentialUnavailableError", "HttpResponseError", "ClientAuthenticationError")
NewConnection = foreign("urllib3.exceptions", "NewConnectionError")
LOST = "ServerDisconnectedError"


class Response:
    """What azure-core's exceptions hold."""

    def __init__(self, status: int, body: object, url: str = "https://v.vault.azure.net/secrets/s") -> None:
        self.status_code = status
        self.headers = {"x-ms-request-id": "abc", "Retry-After": "3"}
        self.request = type("Request", (), {"url": url})()
        self._body = body

    @property
    def content(self) -> bytes:
        """As azure.core.rest has it: it raises where the body was not read."""
        if isinstance(self._body, Exception):
            raise self._body
        return cast("bytes", self._body)


def test_an_answer_is_taken_out_of_the_exception_that_hides_it() -> None:
    """Status, headers and body: as if they had come raw."""
    raised = azure("HttpResponseError")("(Forbidden) no", Response(403, json.dumps({"error": DISABLED}).encode()))
    answer = decoder.answer(raised)
    assert (answer.status, answer.phase, answer.door) == (403, Phase.BODY, None)
    error = decoder.decode(answer)
    assert (error.code, error.http_status, error.request_ids) == ("disabled", 403, {"x-ms-request-id": "abc"})
    assert error.provider_codes == ("Forbidden", "SecretDisabled")


def test_the_body_may_be_a_method_or_not_to_be_had() -> None:
    """Old responses of azure-core have body(); a body that was not read leaves the status."""
    old = Response(404, RuntimeError())
    old.body = lambda: b'{"error":{"code":"KeyNotFound","message":"Key not found: k"}}'  # type: ignore[attr-defined]
    assert decoder.decode(decoder.answer(azure("ResourceNotFoundError")("", old))).code == "not_found"
    broken = azure("DecodeError", "HttpResponseError")("", Response(403, RuntimeError(CANARY)))
    assert decoder.decode(decoder.answer(broken)).http_status == 403


@pytest.mark.parametrize(("failure", "code", "action", "outcome"), [
    (RequestError("x", error=NewConnection("Failed to establish a new connection: refused")),
     "network_error", "backoff", "not_sent"),
    (RequestError("x", error=foreign("urllib3.exceptions", "NameResolutionError")("Failed to resolve 'v'")),
     "network_error", "backoff", "not_sent"),
    (RequestError("x", error=foreign("aiohttp.client_exceptions", "ClientConnectorDNSError", OSError)("no")),
     "network_error", "backoff", "not_sent"),
    (RequestError("Server disconnected", error=foreign("aiohttp.client_exceptions", LOST)("Server disconnected")),
     "network_error", "backoff", "unknown"),
    (RequestError("x", error=foreign("aiohttp.client_exceptions", "ClientOSError", OSError)(104, "reset")),
     "network_error", "backoff", "unknown"),
    (ResponseError("x", error=ConnectionResetError(104, "reset")), "network_error", "backoff", "unknown"),
    (RequestError("x", error=ssl.SSLCertVerificationError(1, "certificate verify failed")),
     "network_error", "never", "not_sent"),
    (azure("ServiceRequestTimeoutError", "ServiceRequestError")("x"), "timeout", "backoff", "not_sent"),
    (azure("ServiceResponseTimeoutError", "ServiceResponseError")("x"), "timeout", "backoff", "unknown"),
    (azure("IncompleteReadError", "HttpResponseError", "DecodeError")("3 bytes"),
     "network_error", "backoff", "unknown"),
    (RequestError("Bearer token authentication is not permitted for non-TLS protected (non-https) URLs."),
     "invalid_argument", "never", "not_sent"),
    (ValueError("The challenge resource 'x' does not match the requested domain."),
     "invalid_argument", "never", "not_applied"),
    (TimeoutError(), "timeout", "backoff", "unknown"),
    (ConnectionRefusedError(111, "x"), "network_error", "backoff", "not_sent"),
    (socket.gaierror(-2, "Name or service not known"), "network_error", "backoff", "not_sent"),
    (FileNotFoundError(2, "x", "/var/run/secrets/token"), "credential_unavailable", "never", "not_sent"),
    (AuthError("Authentication failed: AADSTS7000215: Invalid client secret provided."),
     "credential_rejected", "never", "not_sent"),
    (AuthError("Authentication failed: Failed to resolve 'login.microsoftonline.com'", error=RequestError("x")),
     "network_error", "backoff", "not_sent"),
    (AuthError("Authentication failed: JSON is invalid: x"), "dependency_unavailable", "backoff", "not_sent"),
    (AuthError("Authentication failed: HTTP Error: 503"), "dependency_unavailable", "backoff", "not_sent"),
    (AuthError("Authentication failed: HTTP Error: 429"), "rate_limited", "throttle", "not_sent"),
    (AuthError("Authentication failed: anything"), "credential_rejected", "never", "not_sent"),
    (AuthError("JSON is invalid", Response(503, b"<html>", "http://169.254.169.254/metadata/identity/oauth2/token")),
     "dependency_unavailable", "backoff", "not_sent"),
    (Unavailable("ManagedIdentityCredential authentication unavailable, no response from the IMDS endpoint."),
     "credential_unavailable", "never", "not_sent"),
    (KeyError("Failed to resolve"), "unknown", "never", "unknown"),
])  # fmt: skip
def test_failures_below_http_are_told_apart_by_class_and_cause(
    failure: Exception, code: str, action: str, outcome: str
) -> None:
    """What was certainly not sent, what may have been applied, and what never reached the vault."""
    error = decoder.decode(decoder.answer(failure))
    assert (error.code, error.retry.action, error.outcome) == (code, action, outcome)
    assert error.causes[0].type.endswith(type(failure).__name__)


def test_the_cause_that_azure_core_keeps_beside_itself_is_in_the_chain() -> None:
    """It raises outside its except block, so that Python does not link the two."""
    kept = ConnectionResetError(104, "reset")
    outer = RequestError("x", error=kept)
    assert list(chain(outer)) == [outer, kept]
    outer.__cause__ = OSError(5, "linked")
    assert list(chain(outer)) == [outer, outer.__cause__]
    outer.__cause__, outer.inner_exception = None, cast("BaseException", "no exception")
    assert list(chain(outer)) == [outer]



def test_hostile_exceptions_are_answered_too() -> None:
    """Whatever its attributes do when they are looked at."""

    class Hostile(AzureError):
        @property
        def status_code(self) -> int:
            raise RuntimeError(CANARY)

        def __str__(self) -> str:
            raise RuntimeError(CANARY)

    raised = Hostile("x", response=Hostile())
    raised.message = cast("str", 7)
    assert decoder.decode(decoder.answer(raised)).code == "unknown"


# -- the table -----------------------------------------------------------------------------------------


def test_no_rule_is_hidden_behind_another() -> None:
    """A rule without words ends the search for its code, and no code stands twice without them."""
    ended: dict[tuple[str, int | None], object] = {}
    for rule in RULES:
        if rule.on is None or rule.under or rule.door or rule.operation:
            continue
        key = (rule.on.lower(), None)
        assert key not in ended, rule
        if rule.says is None and rule.status is None:
            ended[key] = rule
    assert len(ended) > 200


def test_every_sentence_and_advice_is_one_plain_sentence() -> None:
    """Messages begin in lower case and have no end; advice begins upper and ends with a full stop."""
    for rule in RULES:
        if rule.sentence is not None:
            assert re.fullmatch(r"[a-z].*[^.]", rule.sentence)
        if rule.remediation is not None:
            assert re.fullmatch(r"[A-Z].*\.", rule.remediation), rule.remediation
        assert rule.doc_url is None or rule.doc_url.startswith("https://")


def test_a_numbered_failure_of_the_token_source_was_never_sent() -> None:
    """Whatever Microsoft Entra refuses has not reached the vault."""
    for rule in NUMBERED:
        assert rule.outcome is Outcome.NOT_SENT
    assert len({rule.on for rule in NUMBERED}) == len(NUMBERED)


def test_the_page_of_codes_is_the_table() -> None:
    """``docs/errors-azure-keyvault.md`` has a row for every code, with what the table makes of it."""
    page = (ROOT / "docs" / "errors-azure-keyvault.md").read_text("utf-8")
    rows = {tuple(re.findall(r"`([^`]+)`", line)) for line in page.splitlines() if line.startswith("| `")}
    wanted = set()
    for rule in RULES:
        if rule.on is not None:
            action = (rule.action or TAXONOMY[rule.code].retry.action).value
            wanted.add((rule.on, str(rule.code), action))
    assert {row[:3] for row in rows} == wanted


# -- total ----------------------------------------------------------------------------------------------


WORDS = st.sampled_from([
    "Operation get is not allowed on a disabled secret.", "AADSTS700016: x", "(Forbidden) x", "Code: Conflict",
    '"innererror":{"code":"SecretDisabled"}', "Status: 429", "Retry-After: 5", "(Activity ID: ", "Action: '", CANARY,
    "does not have secrets get permission", "appid=x;oid=y;iss=z", "{", "[", "<html>", "\ud800", "Trace ID: ",
])  # fmt: skip
TEXTS = st.lists(st.one_of(WORDS, st.text(max_size=20)), max_size=6).map(" ".join)
MEMBERS = st.sampled_from(
    ["error", "code", "message", "innererror", "details", "error_description", "error_codes", "Code", "target"]
)
TREES = st.recursive(
    st.one_of(TEXTS, st.none(), st.booleans(), st.integers(), st.floats()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(MEMBERS, inner, max_size=5)),
    max_leaves=20,
)
ANSWERS = st.builds(
    Answer,
    status=st.one_of(st.none(), st.sampled_from([200, 204, 302, 400, 401, 403, 404, 409, 429, 500, 503, 999])),
    headers=st.lists(
        st.tuples(st.sampled_from(["WWW-Authenticate", "Retry-After", "x-ms-request-id"]), TEXTS), max_size=4
    ).map(tuple),
    body=st.one_of(
        st.binary(max_size=200), TEXTS.map(lambda text: text.encode("utf-8", "replace")),
        TREES.map(json.dumps).map(str.encode), TREES.map(json.dumps).map(lambda text: text.encode()[: len(text) // 2]),
    ),
    text=TEXTS,
    exception=st.one_of(
        st.none(), TEXTS.map(RequestError), TEXTS.map(AuthError), TEXTS.map(OSError), TEXTS.map(ValueError)
    ),
)  # fmt: skip


@settings(max_examples=20_000 if LONG else 200)
@given(ANSWERS)
def test_the_reader_takes_any_answer(answer: Answer) -> None:
    """Called without the guard of `decode`: no exception, and only texts where texts belong."""
    reading = decoder._read(answer)
    assert isinstance(reading, Reading)
    assert all(isinstance(code, str) for code in reading.codes)
    assert len(reading.codes) <= 20
    assert reading.status is None or 400 <= reading.status < 600
    error = decoder.decode(answer)
    assert error.retry.action in RetryAction
    assert "c4nary" not in json.dumps(error.to_dict())


@settings(max_examples=20_000 if LONG else 200)
@given(st.integers(100, 999), st.binary(max_size=300))
def test_any_bytes_give_one_error_with_their_status(status: int, body: bytes) -> None:
    """Status and bytes alone."""
    decoder._read(Answer(status, body=body))
    assert decoder.decode(Answer(status, body=body)).http_status == status


def planted(node: object) -> object:
    """The canary in the place of every word that is no code."""
    if isinstance(node, dict):
        return {name: value if name == "code" else planted(value) for name, value in node.items()}
    return [planted(item) for item in node] if isinstance(node, list) else CANARY


def test_no_word_of_an_answer_reaches_the_error() -> None:
    """A canary in every string of every known answer is nowhere in what the error shows."""
    for answer in BODIES:
        try:
            body = json.dumps(planted(json.loads(answer["body"])))
        except ValueError:
            continue
        error = decoder.decode(Answer(answer.get("http_status"), body=body.encode()))
        assert "c4nary" not in f"{error} {error!r} {error.details()} {json.dumps(error.to_dict())}"


@pytest.mark.parametrize("text", [
    "code" * 20_000, "status" + " " * 80_000, "(" * 80_000, '"code":"' * 10_000, "Authentication failed: " * 4_000,
    "operation " * 8_000, "(name/id) " * 8_000, "Action: 'Microsoft.KeyVault/vaults" + "/keys" * 16_000,
    "Aa" * 40_000, "client address " * 5_000, "vault name " * 5_000,
])  # fmt: skip
def test_long_texts_take_no_time(text: str) -> None:
    """No pattern is slow on a text that was made for it: 50 ms where time is measured, generous here."""
    body = json.dumps({"error": {"code": "Forbidden", "message": text[:60_000]}}).encode()
    assert_quick(decoder, (Answer(text=text), Answer(500, body=text.encode()), Answer(403, body=body)))
