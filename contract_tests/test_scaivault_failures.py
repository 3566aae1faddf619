"""What ScaiVault can answer, and what may come in its place: each is one error, of one request."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from contract_tests.bad_answers import JSON, bad_answers, refusal
from contract_tests.scaivault_emulator import UNLIMITED, client_url, emptied, url
from kmsbridge import Code, KMSError, NotFoundError, Outcome, RetryPolicy, Secret, connect, connect_async
from kmsbridge._errors import CLASS_OF
from kmsbridge._registry import DRIVERS
from kmsbridge.contract import BridgeView, Canary, Witness
from kmsbridge.emulation import Answer, Close, Cut, Emulator, Garbage, Hang, Reset
from kmsbridge_scaivault import _tokens
from kmsbridge_scaivault.emulator import ScaiVault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

    from kmsbridge.emulation import Failure

CANARY = Canary()
ONCE = RetryPolicy(attempts=1)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """The emulator, empty, before a process that knows no token."""
    DRIVERS.close_process()
    _tokens._STORES.lasting.clear()
    with emptied() as running:
        yield running


@pytest.fixture(params=["sync", "async"])
def mode(request: pytest.FixtureRequest) -> str:
    """Each of the two."""
    return str(request.param)


def opened(mode: str, target: str, **options: Any) -> BridgeView:
    """A bridge of that mode."""
    return BridgeView((connect if mode == "sync" else connect_async)(target, **options), Witness(CANARY))


@pytest.fixture
async def bridge(mode: str, emulator: Emulator) -> AsyncIterator[BridgeView]:
    """A bridge of each mode that has made a call, with secret ``a``; it tries once, and is watched."""
    view = opened(mode, url(), retry=ONCE, credential=ScaiVault.token)
    with view.witness.watching():
        await view.secrets.set("a", CANARY.text())
        emulator.requests.reset()
        yield view
        await view.aclose()
    assert not view.witness.leaks


# -- every documented error -------------------------------------------------------------

_VECTORS = Path(__file__).parent.parent / "tests/vectors/scaivault.jsonl"
VERDICTS: Mapping[str, dict[str, Any]] = {
    vector["verdict"]["provider_codes"][0]: vector["verdict"] | {"http_status": vector["answer"]["http_status"]}
    for vector in map(json.loads, _VECTORS.read_text("utf-8").splitlines())
    if vector["source"].endswith("reference/error-codes") and "provider_codes" in vector["verdict"]
}
"""What each code of the vendor's page means."""


def test_the_table_is_the_catalogue(emulator: Emulator) -> None:
    """No error that the service can send is left out."""
    codes = {name for name in emulator.backend.documented if not name.startswith("oauth.")}
    assert codes == set(VERDICTS)
    assert len(codes) == 73


@pytest.mark.parametrize("name", VERDICTS)
async def test_a_documented_error_is_decoded(bridge: BridgeView, emulator: Emulator, name: str) -> None:
    """Code, class, advice, outcome, status, the service's own code, its request id and its limits, from the wire."""
    emulator.fail("ReadSecret", name, times=None)
    with pytest.raises(KMSError) as caught:
        await bridge.secrets.get("a")
    error, wanted = caught.value, VERDICTS[name]
    found = {**error.to_dict(), "retry": error.retry.action.value}
    assert {each: found[each] for each in wanted if each != "request_ids"} == {
        each: value for each, value in wanted.items() if each != "request_ids"
    }
    assert type(error) is CLASS_OF[error.code]
    assert error.request_ids["x-request-id"].startswith("req_")
    assert error.rate_limit is not None
    assert error.rate_limit.limit == 10**9
    assert (error.retry_after is not None) is (name == "rate_limited")
    assert error.identity is not None
    assert error.identity.credential == "token"


LOGINS: Mapping[str, tuple[Code, str]] = {
    "oauth.invalid_client": (Code.CREDENTIAL_REJECTED, "never"),
    "oauth.unauthorized_client": (Code.CREDENTIAL_REJECTED, "never"),
    "oauth.invalid_grant": (Code.CREDENTIAL_REJECTED, "never"),
    "oauth.invalid_scope": (Code.ACCESS_DENIED, "never"),
    "oauth.invalid_request": (Code.INVALID_ARGUMENT, "never"),
    "oauth.unsupported_grant_type": (Code.INVALID_ARGUMENT, "never"),
}


@pytest.mark.parametrize("name", LOGINS)
async def test_an_error_of_the_token_service_is_decoded(emulator: Emulator, mode: str, name: str) -> None:
    """Nothing has been sent to ScaiVault then, and the health says that it is about the credential."""
    emulator.fail("Token", name, times=None)
    async with opened(mode, client_url()) as view:
        with pytest.raises(KMSError) as caught:
            await view.secrets.get("a")
        health = await view.health()
    code, action = LOGINS[name]
    assert (caught.value.code, caught.value.retry.action) == (code, action), caught.value.details()
    assert (caught.value.outcome, caught.value.provider_codes) == (Outcome.NOT_SENT, (name.partition(".")[2],))
    assert health.code is code
    assert emulator.requests.count("ReadSecret") == 0
    assert set(LOGINS) == {each for each in emulator.backend.documented if each.startswith("oauth.")}


STATES: Mapping[str, tuple[dict[str, Any], Code]] = {
    "token_revoked": ({"revoked": (ScaiVault.token,)}, Code.CREDENTIAL_REJECTED),
    "token_expired": ({"personal_token_days": 0.0}, Code.TOKEN_EXPIRED),
    "access_denied": ({"denied": ("a",)}, Code.ACCESS_DENIED),
    "insufficient_scope": ({"scopes": ("secrets:write",)}, Code.ACCESS_DENIED),
    "maintenance_mode": ({"maintenance": True}, Code.SERVICE_UNAVAILABLE),
    "feature_disabled": ({"disabled": ("ReadSecret",)}, Code.UNSUPPORTED),
    "storage_error": ({"down": ("database",)}, Code.INTERNAL_ERROR),
    "encryption_error": ({"down": ("encryption",)}, Code.DEPENDENCY_UNAVAILABLE),
    "rate_limited": ({"reads_per_minute": 1}, Code.RATE_LIMITED),
}


@pytest.mark.parametrize("name", STATES)
async def test_a_state_of_the_service_is_decoded(bridge: BridgeView, emulator: Emulator, name: str) -> None:
    """Brought about as its owner or operator would."""
    settings, code = STATES[name]
    emulator.configure(**{**UNLIMITED, **settings})
    if name == "rate_limited":
        await bridge.secrets.get("a")
    with pytest.raises(KMSError) as caught:
        await bridge.secrets.get("a")
    assert (caught.value.code, caught.value.provider_codes) == (code, (name,))
    if name == "rate_limited":
        assert caught.value.retry_after is not None
        assert caught.value.rate_limit is not None
        assert (caught.value.rate_limit.limit, caught.value.rate_limit.remaining) == (1, 0)


async def test_health_tells_what_is_wrong(bridge: BridgeView, emulator: Emulator) -> None:
    """And who we are, when nothing is."""
    health = await bridge.health()
    assert health
    assert health.identity is not None
    assert (health.identity.credential, health.identity.tenant) == ("token", ScaiVault.tenant_id)
    assert health.identity.object_id is not None
    emulator.configure(revoked=(ScaiVault.token,))
    health = await bridge.health()
    assert (health.code, health.authenticated, health.reachable) == (Code.CREDENTIAL_REJECTED, False, True)


async def test_a_tenant_is_entered_by_whom_it_may_be(emulator: Emulator, mode: str) -> None:
    """What another tenant has is its own; a tenant that is not there is no missing secret."""
    emulator.configure(partner_admin=True)
    async with opened(mode, url(ScaiVault.other_tenant_id), credential=ScaiVault.token) as other:
        await other.secrets.set("a", "other")
        async with opened(mode, url(), credential=ScaiVault.token) as own:
            with pytest.raises(NotFoundError):
                await own.secrets.get("a")
        assert (await other.secrets.get("a")).value == "other"
        emulator.configure(partner_admin=False)
        with pytest.raises(KMSError) as caught:
            await other.secrets.get("a")
        assert (caught.value.code, caught.value.provider_codes) == (Code.ACCESS_DENIED, ("tenant_access_denied",))
    async with opened(mode, url("tnt_nowhere"), credential=ScaiVault.token) as nowhere:
        with pytest.raises(KMSError) as caught:
            await nowhere.secrets.get("a")
    assert caught.value.code is Code.CONTAINER_NOT_FOUND


async def test_a_hard_deletion_leaves_nothing(emulator: Emulator, mode: str) -> None:
    """The name is free at once, and starts anew."""
    del emulator
    async with opened(mode, url(hard_delete="true"), credential=ScaiVault.token) as view:
        for _ in range(2):
            assert (await view.secrets.set("a", "value")).version == "1"
            await view.secrets.delete("a")


async def test_many_are_one_request(bridge: BridgeView, emulator: Emulator) -> None:
    """With errors beside the secrets, each of which is what a get would have had."""
    for name in ("b", "c"):
        await bridge.secrets.set(name, CANARY.bytes(), tags={"team": name})
    emulator.configure(denied=("c",))
    emulator.requests.reset()
    found = await bridge.secrets.get_many(["a", "b", "c", "d"])
    assert [getattr(item, "code", None) for item in found.values()] == [None, None, "access_denied", "not_found"]
    assert isinstance(found["b"], Secret)
    assert (found["b"].value, found["b"].tags) == (CANARY.bytes(), {"team": "b"})
    assert isinstance(found["d"], KMSError)
    assert found["d"].request_ids["x-request-id"].startswith("req_")
    assert emulator.requests.by_path() == {("POST", "/v1/secrets/batch"): 1}


# -- tokens -----------------------------------------------------------------------------


@pytest.mark.parametrize("auth", ["post", "basic"])
async def test_a_client_gets_a_token_in_both_forms(emulator: Emulator, mode: str, auth: str) -> None:
    """One for all its bridges; in the wrong form none."""
    for _ in range(3):
        async with opened(mode, client_url(auth)) as view:
            await view.secrets.set("a", CANARY.text())
    assert emulator.requests.count("Token") == 1
    async with opened(mode, client_url(auth, client_auth={"post": "basic", "basic": "post"}[auth])) as view:
        with pytest.raises(KMSError) as caught:
            await view.secrets.get("a")
    assert caught.value.code is Code.CREDENTIAL_REJECTED


def test_a_thousand_callers_with_an_expired_token_make_one_token_request(emulator: Emulator) -> None:
    """20 threads and an event loop at once: each is refused with the old token, and succeeds with the new one."""
    with connect(client_url()) as bridge:
        bridge.secrets.set("a", "value")
        emulator.requests.reset()
        emulator.clock.advance(hours=2)  # the tokens that were issued have expired for the service alone
        start = threading.Barrier(21)
        found: list[str] = []

        def thread() -> None:
            start.wait(60)
            found.extend(bridge.secrets.get("a", timeout=120).text for _ in range(20))

        async def many() -> None:
            async with connect_async(client_url(), timeout=120) as other:
                found.extend(each.text for each in await asyncio.gather(*(other.secrets.get("a") for _ in range(600))))

        threads = [threading.Thread(target=thread) for _ in range(20)]
        for each in threads:
            each.start()
        start.wait(60)
        asyncio.run(many())
        for each in threads:
            each.join(120)
    emulator.clock.reset()
    assert found == ["value"] * 1000
    assert emulator.requests.count("Token") == 1
    assert emulator.requests.count(status=401) > 0


async def test_a_revoked_token_ends_the_call_and_is_not_shown_again(emulator: Emulator, mode: str) -> None:
    """Somebody meant it; the next call has another token."""
    async with opened(mode, client_url()) as view:
        await view.secrets.set("a", "value")
        emulator.fail("ReadSecret", "token_revoked")
        with pytest.raises(KMSError) as caught:
            await view.secrets.get("a")
        assert (caught.value.code, caught.value.attempts) == (Code.CREDENTIAL_REJECTED, 1)
        assert (await view.secrets.get("a")).value == "value"
    assert emulator.requests.count("Token") == 2


TOKEN_FAILURES: Mapping[str, tuple[Failure, Code]] = {
    "reset": (Reset(), Code.NETWORK_ERROR),
    "cut": (Cut(at=10), Code.NETWORK_ERROR),
    "no HTTP": (Garbage(), Code.NETWORK_ERROR),
    "hang": (Hang(5.0), Code.TIMEOUT),
    "503": (Answer(503), Code.DEPENDENCY_UNAVAILABLE),
    "a page": (Answer(200, (), b"<html>"), Code.DEPENDENCY_UNAVAILABLE),
    "no token": (Answer(200, (), b'{"token_type": "Bearer"}'), Code.DEPENDENCY_UNAVAILABLE),
    "429": (Answer(429), Code.RATE_LIMITED),
    "404": (Answer(404), Code.CREDENTIAL_UNAVAILABLE),
}


@pytest.mark.parametrize("name", TOKEN_FAILURES)
async def test_without_a_token_nothing_is_sent(emulator: Emulator, mode: str, name: str) -> None:
    """However the token service fails; and what passes there is asked for again."""
    failure, code = TOKEN_FAILURES[name]
    async with opened(mode, client_url(), retry=ONCE) as view:
        emulator.fail("Token", failure, times=None)
        with pytest.raises(KMSError) as caught:
            await view.secrets.set("a", CANARY.text(), timeout=0.3 if name == "hang" else 10)
        assert (caught.value.code, caught.value.outcome) == (code, Outcome.NOT_SENT), caught.value.details()
        emulator.clear_failures()
        await view.secrets.set("a", CANARY.text())
    assert emulator.requests.count("WriteSecret") == 1


# -- one request ------------------------------------------------------------------------

PERSISTENT: Mapping[str, tuple[Failure | str, Code, Outcome]] = {
    "503": ("service_unavailable", Code.SERVICE_UNAVAILABLE, Outcome.NOT_APPLIED),
    "500": ("internal_error", Code.INTERNAL_ERROR, Outcome.UNKNOWN),
    "429": ("rate_limited", Code.RATE_LIMITED, Outcome.NOT_APPLIED),
    "reset": (Reset(), Code.NETWORK_ERROR, Outcome.UNKNOWN),
    "close": (Close(), Code.NETWORK_ERROR, Outcome.UNKNOWN),
    "no HTTP": (Garbage(), Code.NETWORK_ERROR, Outcome.UNKNOWN),
}
OPERATIONS: Mapping[tuple[str, str], Callable[[BridgeView], Awaitable[object]]] = {
    ("GET", "/v1/secrets/a"): lambda bridge: bridge.secrets.get("a"),
    ("PUT", "/v1/secrets/a"): lambda bridge: bridge.secrets.set("a", CANARY.text()),
    ("DELETE", "/v1/secrets/a"): lambda bridge: bridge.secrets.delete("a"),
    ("GET", "/v1/secrets"): lambda bridge: anext(bridge.secrets.list()),
    ("GET", "/v1/secrets/a/versions"): lambda bridge: anext(bridge.secrets.versions("a")),
}


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
@pytest.mark.parametrize("failure", PERSISTENT)
async def test_a_persistent_failure_costs_one_request(
    bridge: BridgeView, emulator: Emulator, method: str, path: str, failure: str
) -> None:
    """No transport asks a second time, whatever the method; and the outcome is told."""
    what, code, outcome = PERSISTENT[failure]
    emulator.fail("*", what, times=None)
    with pytest.raises(KMSError) as caught:
        await OPERATIONS[method, path](bridge)
    assert (caught.value.code, caught.value.outcome) == (code, outcome), caught.value.details()
    assert emulator.requests.by_path() == {(method, path): 1}
    assert caught.value.attempts == 1


@pytest.mark.parametrize("value", ["text", b"\xff\x00"])
async def test_a_set_whose_answer_was_lost_is_shown_to_be_there(
    emulator: Emulator, mode: str, value: str | bytes
) -> None:
    """The latest version has the mark of the call. What was not applied has not, though the value is the same."""
    async with opened(mode, url(), credential=ScaiVault.token) as view:
        emulator.fail("WriteSecret", Reset(), before_applying=False)
        made = await view.secrets.set("x", value, content_type="a/b", tags={"team": "a"})
        assert [made.version] == [info.version async for info in view.secrets.versions("x")]
        assert (made.value, made.content_type, made.tags) == (value, "a/b", {"team": "a"})
        emulator.fail("WriteSecret", Reset())
        with pytest.raises(KMSError) as caught:
            await view.secrets.set("x", value, content_type="a/b", tags={"team": "a"})
        assert caught.value.outcome is Outcome.UNKNOWN
        assert emulator.requests.count("WriteSecret") == 2


async def test_a_call_ends_at_its_deadline(bridge: BridgeView, emulator: Emulator) -> None:
    """A service that does not answer holds nobody for longer, and may have done it."""
    emulator.fail("WriteSecret", Hang(5.0))
    with pytest.raises(KMSError) as caught:
        await bridge.secrets.set("a", CANARY.text(), timeout=0.3)
    assert (caught.value.code, caught.value.outcome) == (Code.TIMEOUT, Outcome.UNKNOWN)


# -- bad answers ------------------------------------------------------------------------

_ERROR = b'{"error":{"code":"access_denied","message":"m","details":{"path":"a"},"request_id":"req_1"}}'
BROKEN: Mapping[str, Answer] = {
    **bad_answers(_ERROR),
    "error is a string": refusal(b'{"error":"nope"}'),
    "error is a list": refusal(b'{"error":["nope"]}'),
    "error is null": refusal(b'{"error":null}'),
    "code is a number": refusal(b'{"error":{"code":403,"message":5}}'),
    "code is an object": refusal(b'{"error":{"code":{},"message":[]}}'),
    "details are a list": refusal(_ERROR.replace(b'{"path":"a"}', b"[]")),
    "fields are a number": refusal(_ERROR.replace(b'"path":"a"', b'"fields":5')),
    "the id is an object": refusal(_ERROR.replace(b'"req_1"', b"{}")),
    "limits of garbage": refusal(_ERROR, ("X-RateLimit-Limit", "many"), ("X-RateLimit-Reset", "-1")),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_answer_is_an_error_with_its_status(bridge: BridgeView, emulator: Emulator, name: str) -> None:
    """Whatever the body, the status is not lost, and a success without a secret is none; what can be read is read."""
    emulator.fail("ReadSecret", BROKEN[name], times=None)
    with pytest.raises(KMSError) as caught:
        await bridge.secrets.get("a", timeout=5.0)
    assert caught.value.http_status == BROKEN[name].status
    if 200 <= BROKEN[name].status < 300:
        assert caught.value.code is Code.INTERNAL_ERROR
    if b"access_denied" in BROKEN[name].body and name != "truncated JSON":
        assert caught.value.code is Code.ACCESS_DENIED
    assert caught.value.retry_after is None


_GOOD: dict[str, Any] = {"path": "a", "version": 1, "data": {"value": "wrong"}, "metadata": {}}
WRONG: Mapping[str, dict[str, Any]] = {
    "no data": {"data": None}, "data is text": {"data": "wrong"}, "data is a list": {"data": ["wrong"]},
    "half a surrogate pair": {"data": {"value": "\ud800"}}, "no version": {"version": None},
    "the version is text": {"version": "1"}, "a version of 0": {"version": 0}, "another's path": {"path": "b"},
    "no path": {"path": None}, "metadata is a list": {"metadata": []}, "a time that is text": {"created_at": "now"},
    "a time that is a number": {"created_at": 5}, "beyond the calendar": {"created_at": "2026-13-31T12:00:00Z"},
}  # fmt: skip
BODIES: Mapping[str, bytes] = {
    **{name: json.dumps({**_GOOD, **wrong}).encode() for name, wrong in WRONG.items()},
    "no UTF-8": b'{"path":"a","version":1,"data":{"value":"\xff"}}',
    "NaN": b'{"path":"a","version":1,"data":{"x":NaN}}',
    "a number of 5,000 digits": b'{"path":"a","version":' + b"9" * 5_000 + b',"data":{}}',
    "100,000 brackets": b"[" * 100_000,
    "2,000 levels": b'{"path":"a","version":1,"data":' + b'{"a":' * 2_000 + b"1" + b"}" * 2_001,
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_success_with_wrong_members_is_an_error(bridge: BridgeView, emulator: Emulator, name: str) -> None:
    """Never None, never a wrong value, never somebody else's."""
    emulator.fail("ReadSecret", Answer(200, JSON, BODIES[name]))
    with pytest.raises(KMSError) as caught:
        await bridge.secrets.get("a")
    assert (caught.value.code, caught.value.http_status) == (Code.INTERNAL_ERROR, 200)
    assert (await bridge.secrets.get("a")).value == CANARY.text()


async def test_the_body_that_the_others_spoil_is_a_secret(bridge: BridgeView, emulator: Emulator) -> None:
    """So that they are refused for what is wrong with them."""
    emulator.fail("ReadSecret", Answer(200, JSON, json.dumps(_GOOD).encode()))
    assert (await bridge.secrets.get("a")).value == "wrong"


WIRE: Mapping[str, Failure] = {
    "not HTTP": Garbage(b"SSH-2.0-OpenSSH_9.0\r\n"),
    "closed": Close(),
    "reset": Reset(),
    "headers, then closed": Garbage(b"HTTP/1.1 200 OK\r\nContent-Type: app"),
    "a success that is cut": Garbage(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"path":"a","version":1,"data":{'),
    "a hang": Hang(5.0),
}


@pytest.mark.parametrize("name", WIRE)
async def test_what_is_no_answer_is_an_error(bridge: BridgeView, emulator: Emulator, name: str) -> None:
    """It may have been sent, and the call ends in time."""
    emulator.fail("ReadSecret", WIRE[name])
    with pytest.raises(KMSError) as caught:
        await bridge.secrets.get("a", timeout=0.5)
    assert caught.value.code is (Code.TIMEOUT if name == "a hang" else Code.NETWORK_ERROR)
    assert caught.value.outcome is Outcome.UNKNOWN
