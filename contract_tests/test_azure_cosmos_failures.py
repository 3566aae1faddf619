"""What Azure Cosmos DB can answer, and what may come in its place: each is one error, of one request."""

from __future__ import annotations

import asyncio
import json
import threading
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from contract_tests.bad_answers import JSON, bad_answers, raw, refusal
from contract_tests.cosmos_emulator import CONTAINER, by_token, emptied, running, url
from kmsbridge import Code, Fault, KMSError, NetworkError, Outcome, RetryAction, RetryPolicy, connect, connect_async
from kmsbridge._entra._tokens import STORES
from kmsbridge._registry import DRIVERS
from kmsbridge.contract import BridgeView, Canary, Witness
from kmsbridge.emulation import Answer, Close, Cut, Drip, Emulator, Garbage, Hang, Reset
from kmsbridge_azure_cosmos.emulator import Cosmos
from kmsbridge_azure_cosmos.emulator._catalogue import CATALOGUE
from kmsbridge_azure_cosmos.emulator._customer_key import KEY_TROUBLE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

    from kmsbridge.emulation import Failure

CANARY = Canary()
ONCE = RetryPolicy(attempts=1)
QUICK = RetryPolicy(backoff=0.001, max_delay=0.001)
HEAD = f"{CONTAINER}/docs/head/"
DOCS = f"{CONTAINER}/docs/"
NUMBERS = count(1)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """The emulator with an empty container."""
    with emptied() as running:
        yield running


@pytest.fixture(params=["sync", "async"])
def make(request: pytest.FixtureRequest) -> Any:
    """How to connect, in each mode."""
    return connect if request.param == "sync" else connect_async


async def watched(make: Any, target: str, retry: RetryPolicy) -> AsyncIterator[BridgeView]:
    """A bridge that has made a call, with secret ``a``, and what it says is looked through for the value."""
    witness = Witness(CANARY)
    with witness.watching():
        view = BridgeView(make(target, retry=retry), witness)
        await view.secrets.set("a", CANARY.text())
        await view.secrets.get_many(["a", "a"])  # after the first, the SDK looks once which ranges of keys there are
        await view.secrets.get("a")
        running().requests.reset()
        yield view
        await view.aclose()
    assert not witness.leaks


@pytest.fixture
async def bridge(make: Any, emulator: Emulator) -> AsyncIterator[BridgeView]:
    """It tries once."""
    del emulator
    async for view in watched(make, url(), ONCE):
        yield view


@pytest.fixture
async def usual(make: Any, emulator: Emulator) -> AsyncIterator[BridgeView]:
    """It tries again as usual, and does not wait long."""
    del emulator
    async for view in watched(make, url(), QUICK):
        yield view


async def failure(bridge: BridgeView, timeout: float = 10.0) -> KMSError:
    """The error of a read; nothing else may come out of it, and no value."""
    with pytest.raises(KMSError) as caught:
        await bridge.secrets.get("a", timeout=timeout)
    return caught.value


# -- every documented error -------------------------------------------------------------

VECTORS = Path(__file__).parent.parent / "tests" / "vectors" / "azure-cosmos.jsonl"
WORDED: Mapping[Code, str] = {
    Code.UNAUTHENTICATED: "401/MissingAuthorization",
    Code.CREDENTIAL_REJECTED: "401 401/MalformedAuthorization 401/WrongKey 401/WrongSignature 401/TokenRevoked "
    "401/LocalAuthDisabled",
    Code.CLOCK_SKEW: "403/ClockSkew",
    Code.ACCESS_DENIED: "403 403/TokenOrFirewall 403/MetadataWrites",
    Code.NETWORK_FORBIDDEN: "403/PublicNetwork 403/VirtualNetwork 403/PrivateEndpoint 403/InsecureConnection",
    Code.KEY_ACCESS_REVOKED: "403/KeyNotAccessible",
    Code.INVALID_ARGUMENT: "400 400/InvalidUrl 400/InvalidJson 400/MissingId 400/InvalidId 400/MissingPartitionKey "
    "400/FewerComponents 400/CrossPartitionDisabled 400/Syntax 400/Identifier 400/PatchPath 400/Batch",
    Code.NOT_FOUND: "404",
    Code.UNSUPPORTED: "405",
    Code.TIMEOUT: "408 504",
    Code.ALREADY_EXISTS: "409",
    Code.SERVICE_UNAVAILABLE: "410 503 503/Proxy",
    Code.VERSION_CONFLICT: "412",
    Code.PAYLOAD_TOO_LARGE: "413",
    Code.OPERATION_IN_PROGRESS: "423 449",
    Code.WRONG_STATE: "424",
    Code.RATE_LIMITED: "429",
    Code.INTERNAL_ERROR: "500",
    Code.NETWORK_ERROR: "502",
}
"""What those without a sub-status mean, by their sources and not by the rule table."""


def verdicts() -> dict[str, tuple[str, str | None, str | None]]:
    """Code, advice and outcome of each error of the catalogue: of pairs as the vectors have them."""
    found: dict[str, tuple[str, str | None, str | None]] = {}
    for line in VECTORS.read_text("utf-8").splitlines():
        given = json.loads(line)
        answer, verdict = given["answer"], given["verdict"]
        sub_status = answer.get("headers", {}).get("x-ms-substatus")
        if isinstance(sub_status, str) and answer.get("body", "").endswith('"no"}'):
            pair = f"{answer['http_status']}/{sub_status}"
            found[pair] = verdict["code"], verdict["retry"], verdict["outcome"]
    worded = {name: (code.value, None, None) for code, names in WORDED.items() for name in names.split()}
    return {name: verdict for name, verdict in {**found, **worded}.items() if name in CATALOGUE}


def test_no_error_of_the_catalogue_is_left_out() -> None:
    """Each has a verdict, and no word is about what cannot be sent."""
    known = verdicts()
    assert set(known) == set(CATALOGUE)
    assert sum(name.partition("/")[2].isdigit() for name in known) > 200


async def test_every_documented_error_is_decoded(bridge: BridgeView, emulator: Emulator) -> None:
    """Code, advice, outcome, status, sub-status and the service's own ids, from the wire, and by one request each."""
    for name, (code, action, outcome) in verdicts().items():
        if name == "400/1004":  # for queries the SDK asks again, as it should
            continue
        emulator.fail("GetDocument", name)
        emulator.requests.reset()
        error, known = await failure(bridge), CATALOGUE[name]
        assert (error.code.value, error.http_status) == (code, known.status), (name, error.details())
        assert error.sub_status == (known.sub_status or None), name
        assert action in (None, error.retry.action.value), name
        assert outcome in (None, error.outcome.value), name
        assert known.form == "page" or "x-ms-activity-id" in error.request_ids
        assert emulator.requests.by_path() == {("GET", HEAD): 1}, name


STATES: Mapping[str, tuple[Code, Fault]] = {
    "revoked": (Code.KEY_ACCESS_REVOKED, Fault.CUSTOMER),
    "deleted": (Code.KEY_ACCESS_REVOKED, Fault.CUSTOMER),
    "no-identity": (Code.KEY_ACCESS_REVOKED, Fault.CUSTOMER),
    "unsaid": (Code.KEY_ACCESS_REVOKED, Fault.CUSTOMER),
    "region": (Code.KEY_ACCESS_REVOKED, Fault.CUSTOMER),
    "disabled": (Code.DISABLED, Fault.CUSTOMER),
    "old-version-disabled": (Code.KEY_VERSION_UNUSABLE, Fault.CUSTOMER),
    "rotated": (Code.KEY_VERSION_UNUSABLE, Fault.CUSTOMER),
    "wrong-url": (Code.INVALID_ARGUMENT, Fault.CUSTOMER),
    "wrong-dns-name": (Code.CONTAINER_NOT_FOUND, Fault.CUSTOMER),
    "vault-deleted": (Code.CONTAINER_NOT_FOUND, Fault.CUSTOMER),
    "perimeter": (Code.NETWORK_FORBIDDEN, Fault.CUSTOMER),
    "vault-down": (Code.DEPENDENCY_UNAVAILABLE, Fault.SERVICE),
    "vault-failing": (Code.DEPENDENCY_UNAVAILABLE, Fault.SERVICE),
    "directory-down": (Code.DEPENDENCY_UNAVAILABLE, Fault.SERVICE),
    "identity-deleted": (Code.DEPENDENCY_UNAVAILABLE, Fault.SERVICE),
}


async def test_what_has_become_of_the_key_is_told_by_reads_writes_and_health(
    usual: BridgeView, emulator: Emulator
) -> None:
    """With who has to act and what to do; and all is well when the key is back."""
    for state, (code, fault) in STATES.items():
        emulator.configure(key=state)
        for call in (usual.secrets.get("a"), usual.secrets.set("a", CANARY.text()), anext(usual.secrets.list())):
            with pytest.raises(KMSError) as caught:
                await call
            assert (caught.value.code, caught.value.fault) == (code, fault), (state, caught.value.details())
            assert caught.value.remediation
        health = await usual.health()
        assert (health.code, health.fault) == (code, fault), state
        assert (health.reachable, health.authenticated, health.key_usable) == (True, True, False), state
        emulator.configure(key="usable")
        assert (await usual.health()).key_usable
    assert (await usual.secrets.get("a")).text == CANARY.text()


NOT_THE_KEY = {
    "400/4013": (True, None), "401/5006": (True, False), "401/5010": (True, None), "403/5302": (True, True),
    "403/PublicNetwork": (True, None), "403/5309": (True, None), "404/1002": (True, None), "429/3200": (True, None),
    "449/5350": (True, None), "503": (True, None),
}  # fmt: skip


async def test_health_says_nothing_of_the_key_that_an_error_does_not_tell(
    bridge: BridgeView, emulator: Emulator
) -> None:
    """All numbers of its family are about it; of the rest only what the service itself says of us is known."""
    for number in KEY_TROUBLE:
        emulator.fail("GetDocument", f"403/{number}")
        assert (await bridge.health()).key_usable is False
    for name, known in NOT_THE_KEY.items():
        emulator.fail("GetDocument", name)
        health = await bridge.health()
        assert (health.reachable, health.authenticated) == known, name
        assert health.key_usable is None, name
    emulator.fail("GetDocument", Reset())
    health = await bridge.health()
    assert (health.reachable, health.authenticated, health.key_usable) == (False, None, None)


@pytest.fixture
def no_tokens() -> Iterator[None]:
    """The process holds none, before and after; nor a credential, in which MSAL remembers a failure for a minute."""
    DRIVERS.close_process()
    STORES.lasting.clear()
    yield
    DRIVERS.close_process()
    STORES.lasting.clear()


@pytest.mark.usefixtures("no_tokens")
async def test_a_directory_that_is_down_says_nothing_of_the_account(make: Any, emulator: Emulator) -> None:
    """Nothing was sent to it."""
    emulator.fail("Token", "AADSTS90033", times=None)
    view = BridgeView(make(by_token()), Witness(CANARY))
    health = await view.health()
    assert health.code is Code.DEPENDENCY_UNAVAILABLE
    assert (health.reachable, health.authenticated, health.key_usable) == (None, None, None)
    await view.aclose()


async def test_a_write_that_ends_as_408_says_that_it_may_be_the_key(bridge: BridgeView, emulator: Emulator) -> None:
    """Its answer does not."""
    emulator.configure(writes_time_out=True)
    emulator.fail("ExecuteBatch", "408")
    with pytest.raises(KMSError) as caught:
        await bridge.secrets.set("a", CANARY.text())
    assert (caught.value.code, caught.value.outcome) == (Code.TIMEOUT, Outcome.UNKNOWN)
    assert "health" in caught.value.remediation


# -- one request ------------------------------------------------------------------------

PERSISTENT: Mapping[str, tuple[Failure | str, Code, Outcome]] = {
    "503": ("503", Code.SERVICE_UNAVAILABLE, Outcome.NOT_APPLIED),
    "429": ("429/3200", Code.RATE_LIMITED, Outcome.NOT_APPLIED),
    "reset": (Reset(), Code.NETWORK_ERROR, Outcome.UNKNOWN),
    "close": (Close(), Code.NETWORK_ERROR, Outcome.UNKNOWN),
    "cut": (Cut(at=10), Code.NETWORK_ERROR, Outcome.UNKNOWN),
    "no HTTP": (Garbage(), Code.NETWORK_ERROR, Outcome.UNKNOWN),
    "no answer": (Hang(5.0), Code.TIMEOUT, Outcome.UNKNOWN),
}
ACTS: Mapping[str, tuple[str, Callable[[BridgeView, float], Awaitable[object]]]] = {
    "get": ("GetDocument", lambda bridge, timeout: bridge.secrets.get("a", timeout=timeout)),
    "set": ("ExecuteBatch", lambda bridge, timeout: bridge.secrets.set("a", CANARY.text(), timeout=timeout)),
    "list": ("QueryDocuments", lambda bridge, timeout: anext(bridge.secrets.list(timeout=timeout))),
    "update": ("ExecuteBatch", lambda bridge, timeout: bridge.secrets.update("a", tags={"b": "c"}, timeout=timeout)),
    "delete": ("ExecuteBatch", lambda bridge, timeout: bridge.secrets.delete("a", timeout=timeout)),
}
ASKED = [(act, how) for act in ACTS for how in PERSISTENT if how != "no answer" or act in ("get", "set")]
"""To wait for no answer takes its time."""


@pytest.mark.parametrize(("act", "how"), ASKED)
async def test_a_persistent_failure_costs_one_request(
    bridge: BridgeView, emulator: Emulator, act: str, how: str
) -> None:
    """Neither the SDK nor a transport under it asks a second time, whatever the method; and the outcome is told."""
    what, code, outcome = PERSISTENT[how]
    operation, make = ACTS[act]
    emulator.fail(operation, what, times=None)
    with pytest.raises(KMSError) as caught:
        await make(bridge, 1.0 if how == "no answer" else 10.0)
    assert (caught.value.code, caught.value.outcome) == (code, outcome), caught.value.details()
    looked = {("GET", HEAD): 1} if operation != "QueryDocuments" else {}
    written = {("POST", DOCS): 1} if operation != "GetDocument" else {}
    assert emulator.requests.by_path() == {**looked, **written}
    assert caught.value.attempts == 1


async def test_a_region_that_refuses_is_tried_once_more_where_the_account_points_to(
    usual: BridgeView, emulator: Emulator
) -> None:
    """One try, one read of the account, one try at the endpoint it names; there it works, or that was all."""
    emulator.configure(regions=("West Europe", "North Europe"), write_region="North Europe")
    await usual.secrets.set("a", CANARY.text("moved"))
    paths = [(seen.operation, seen.status) for seen in emulator.requests if seen.operation != "GetDocument"]
    assert paths == [("ExecuteBatch", 403), ("GetDatabaseAccount", 200), ("ExecuteBatch", 200)]
    emulator.requests.reset()
    emulator.fail("GetDocument", "403/3", times=None)
    error = await failure(usual)
    assert (error.code, error.outcome, error.attempts) == (Code.KEY_ACCESS_REVOKED, Outcome.NOT_APPLIED, 2)
    assert emulator.requests.by_path() == {("GET", HEAD): 2, ("GET", "/"): 1}


async def test_a_region_that_is_removed_is_left(usual: BridgeView, emulator: Emulator) -> None:
    """403/1008, for reads as well."""
    emulator.configure(regions=("West Europe", "North Europe"), write_region="North Europe", removed=("West Europe",))
    assert (await usual.secrets.get("a")).text == CANARY.text()
    assert emulator.requests.by_path() == {("GET", HEAD): 2, ("GET", "/"): 1}


async def test_the_account_itself_is_asked_once(make: Any, emulator: Emulator) -> None:
    """The SDK alone asks four times, whatever the answer."""
    for name in ("401/WrongKey", "403/PublicNetwork", "429", "503"):
        view = BridgeView(make(url(f"other-{name[:3]}"), retry=ONCE), Witness(CANARY))
        emulator.requests.reset()
        emulator.fail("GetDatabaseAccount", name, times=None)
        error = await failure(view)
        assert error.http_status == int(name[:3])
        assert emulator.requests.by_path() == {("GET", "/"): 1}
        emulator.clear_failures()
        await view.aclose()


# -- creation ---------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [None, Reset(), "408"])
async def test_a_container_is_created_once_and_waited_for(
    make: Any, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, lost: Any
) -> None:
    """Whether or not its creation was answered: 404/1013 means that it is on its way."""
    monkeypatch.setattr("kmsbridge_azure_cosmos._account.CREATE_POLL", 0.001)
    monkeypatch.setattr("kmsbridge._call.POLL_EVERY", 0.001)
    name = f"new-{next(NUMBERS)}"  # open drivers are shared, for a while after the last bridge too
    view = BridgeView(make(url(name, create="true"), retry=QUICK), Witness(CANARY))
    emulator.fail("GetCollection", "404/0")
    emulator.fail("GetCollection", "404/1013", times=3)
    if lost is not None:
        emulator.fail("CreateCollection", lost, before_applying=False)
    await view.secrets.set("a", CANARY.text())
    assert (await view.secrets.get("a")).text == CANARY.text()
    await view.aclose()
    assert emulator.requests.count("CreateCollection") == 1
    assert emulator.requests.count("GetCollection") == (5 if lost is None else 6)


async def test_who_has_little_time_does_not_wait_for_another_to_open_it(make: Any, emulator: Emulator) -> None:
    """It is over in its own time, though somebody else waits longer for the same answer."""
    emulator.fail("GetCollection", Hang(5.0))
    asked = threading.Event()
    view = BridgeView(make(url(f"slow-{next(NUMBERS)}", create="true"), retry=ONCE), Witness(CANARY))

    async def with_time(timeout: float) -> KMSError:
        return await failure(view, timeout)

    def watch() -> None:
        while not emulator.requests.count("GetCollection") and not asked.wait(0.005):
            pass
        asked.set()

    threading.Thread(target=watch, daemon=True).start()
    found: list[KMSError] = []
    if make is connect:
        thread = threading.Thread(target=lambda: found.append(asyncio.run(with_time(1.0))))
        thread.start()
        assert asked.wait(10)
        error = await with_time(0.1)
        thread.join()
    else:
        first = asyncio.create_task(with_time(1.0))
        assert await asyncio.to_thread(asked.wait, 10)
        error = await with_time(0.1)
        found.append(await first)
    assert (error.code, error.outcome) == (Code.TIMEOUT, Outcome.NOT_SENT)
    assert error.elapsed < found[0].elapsed
    await view.aclose()


async def test_a_container_that_was_made_anew_is_read_anew(usual: BridgeView, emulator: Emulator) -> None:
    """400/1024: what the SDK knew of the old one is forgotten, once."""
    backend = emulator.backend
    assert isinstance(backend, Cosmos)
    del backend._store.databases["db"].containers["secrets"]
    assert (await failure(usual)).code is Code.CONTAINER_NOT_FOUND
    emulator.configure(containers=("db/secrets/name",))
    await usual.secrets.set("a", CANARY.text("new"))
    assert (await usual.secrets.get("a")).text == CANARY.text("new")
    assert emulator.requests.count("GetCollection") == 1


async def test_many_who_come_at_once_open_it_once(make: Any, emulator: Emulator) -> None:
    """One read of the account, and one of the container."""
    name = f"crowd-{next(NUMBERS)}"
    emulator.configure(containers=(f"db/{name}/name",))
    view = BridgeView(make(url(name), retry=QUICK), Witness(CANARY))
    if make is connect:
        threads = [threading.Thread(target=lambda: asyncio.run(failure(view))) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    else:
        assert {error.code for error in await asyncio.gather(*(failure(view) for _ in range(12)))} == {Code.NOT_FOUND}
    assert [emulator.requests.count(each) for each in ("GetDatabaseAccount", "GetCollection")] == [1, 1]
    assert emulator.requests.count("GetDocument") == 12
    await view.aclose()


# -- writers ----------------------------------------------------------------------------


@pytest.mark.usefixtures("emulator")
async def test_eight_writers_of_one_name_lose_nothing(make: Any) -> None:
    """All versions are there, in one order."""
    made: list[str] = []

    async def write(number: int) -> None:
        view = BridgeView(make(url()), Witness(CANARY))
        values = [CANARY.text(f"{number}-{turn}") for turn in range(3)]
        made.extend([(await view.secrets.set("some/name", value)).version for value in values])
        await view.aclose()

    if make is connect:
        threads = [threading.Thread(target=lambda number=number: asyncio.run(write(number))) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    else:
        await asyncio.gather(*(write(number) for number in range(8)))
    view = BridgeView(make(url()), Witness(CANARY))
    listed = [info.version async for info in view.secrets.versions("some/name")]
    assert len(listed) == len(made) == 24
    assert set(listed) == set(made)
    assert (await view.secrets.get("some/name")).version == listed[0]
    await view.aclose()


# -- tokens -----------------------------------------------------------------------------


async def test_a_token_that_is_refused_is_replaced_once(make: Any, emulator: Emulator) -> None:
    """By status and sub-status, on the wire."""
    async for view in watched(make, by_token(), QUICK):
        emulator.fail("GetDocument", "401/5006")
        assert (await view.secrets.get("a")).text == CANARY.text()
        assert emulator.requests.count("GetDocument") == 2
        assert emulator.requests.count("Token") == 1
        emulator.fail("GetDocument", "401/5006", times=None)
        error = await failure(view)
        assert (error.code, error.attempts) == (Code.TOKEN_EXPIRED, 2)


async def test_who_has_no_role_is_told_which(make: Any, emulator: Emulator) -> None:
    """For items; for the account; and for the creation of containers, which no token may do."""
    async for view in watched(make, by_token(), QUICK):
        emulator.configure(denied=("GetDocument",))
        error = await failure(view)
        assert (error.code, error.sub_status, error.attempts) == (Code.ACCESS_DENIED, 5302, 1)
        assert error.identity is not None
        assert error.identity.credential == "EnvironmentCredential"
    view = BridgeView(make(by_token().replace("/secrets?", "/more?create=true&"), retry=QUICK), Witness(CANARY))
    error = await failure(view)
    assert (error.code, error.sub_status) == (Code.ACCESS_DENIED, 5300)
    await view.aclose()


# -- bad answers ------------------------------------------------------------------------

_ERROR = b'{"code":"Forbidden","message":"m"}'
_JSON = (*JSON, ("x-ms-activity-id", "6f9619ff-8b86-d011-b42d-00c04fc964ff"))
BROKEN: Mapping[str, Answer] = {
    **bad_answers(_ERROR, _JSON),
    "Errors is a string": refusal(b'{"Errors":"nope"}', *_JSON),
    "Errors is an object": refusal(b'{"Errors":{"a":1}}', *_JSON),
    "Errors is null": refusal(b'{"Errors":null}', *_JSON),
    "code is a number": refusal(b'{"code":403,"message":5}', *_JSON),
    "code is an object": refusal(b'{"code":{},"message":[]}', *_JSON),
    "a message of broken JSON": refusal(b'{"code":"Forbidden","message":"Message: {\\"Errors\\":["}', *_JSON),
    "an empty sub-status": refusal(_ERROR, *_JSON, ("x-ms-substatus", "")),
    "a sub-status of garbage": refusal(_ERROR, *_JSON, ("x-ms-substatus", "4oo2")),
    "a negative sub-status": refusal(_ERROR, *_JSON, ("x-ms-substatus", "-4002")),
    "a sub-status of 5,000 digits": refusal(_ERROR, *_JSON, ("x-ms-substatus", "4" * 5_000)),
    "two sub-statuses": refusal(_ERROR, *_JSON, ("x-ms-substatus", "0"), ("x-ms-substatus", "5302")),
    "retry-after-ms garbage": refusal(_ERROR, *_JSON, ("x-ms-retry-after-ms", "soon"), status=429),
    "retry-after-ms negative": refusal(_ERROR, *_JSON, ("x-ms-retry-after-ms", "-5"), status=429),
    "retry-after-ms of 30 years": refusal(_ERROR, *_JSON, ("x-ms-retry-after-ms", "1000000000000"), status=429),
}
GOOD: dict[str, Any] = {
    "id": "head", "name": "a", "kind": "secret", "writer": "0" * 32, "version": "0" * 32, "seq": 1,
    "value": "cmlnaHQ=", "text": True, "contentType": None, "tags": {"a": "b"}, "enabled": True, "expires": None,
    "created": 1, "updated": 1, "_etag": '"1"',
}  # fmt: skip
SPOILT: Mapping[str, dict[str, Any]] = {
    "value is an object": {"value": {}},
    "value is null": {"value": None},
    "value is no Base64": {"value": "wrong!"},
    "value is no UTF-8": {"value": "/w=="},
    "text is a number": {"text": 1},
    "version is missing": {"version": None},
    "version is a number": {"version": 5},
    "tags is a list": {"tags": []},
    "a tag is a number": {"tags": {"a": 5}},
    "enabled is text": {"enabled": "true"},
    "created is text": {"created": "now"},
    "created is endless": {"created": 1e999},
    "created is beyond the calendar": {"created": 10**30},
    "content type is a number": {"contentType": 5},
    "kind is missing": {"kind": None},
    "another's name": {"name": "b"},
    "no name": {"name": None},
    "no ETag": {"_etag": None},
}
WIRE: Mapping[str, Failure] = {
    "not HTTP": Garbage(b"SSH-2.0-OpenSSH_9.0\r\n"),
    "headers, then closed": Garbage(b"HTTP/1.1 200 OK\r\nContent-Type: app"),
    "a success that is cut": raw(b"200 OK\r\nContent-Type: application/json", b'{"value":"abc', 500),
    "a success that drips": Drip(0.5),
    "a success that hangs": Cut(at=10, then="hang"),
}


async def test_a_broken_answer_is_an_error_with_its_status(bridge: BridgeView, emulator: Emulator) -> None:
    """Whatever the body, the status is not lost, a success without a secret is none, and the next read is good."""
    for name, answer in BROKEN.items():
        emulator.fail("GetDocument", answer)
        error = await failure(bridge)
        assert error.http_status == answer.status, (name, error.details())
        if 200 <= answer.status < 300:
            assert error.code is Code.INTERNAL_ERROR, name
        if name == "two sub-statuses":
            assert (error.code, error.sub_status) == (Code.ACCESS_DENIED, 5302)
        assert error.retry_after is None, name
        assert (await bridge.secrets.get("a")).text == CANARY.text()


async def test_a_success_with_wrong_members_is_an_error(bridge: BridgeView, emulator: Emulator) -> None:
    """Never None, never a wrong value, never somebody else's."""
    emulator.fail("GetDocument", Answer(200, _JSON, json.dumps(GOOD).encode()))
    assert (await bridge.secrets.get("a")).text == "right"
    for name, members in SPOILT.items():
        emulator.fail("GetDocument", Answer(200, _JSON, json.dumps({**GOOD, **members}).encode()))
        error = await failure(bridge)
        assert (error.code, error.http_status) == (Code.INTERNAL_ERROR, 200), name


@pytest.mark.parametrize("name", WIRE)
async def test_what_is_no_answer_is_an_error(bridge: BridgeView, emulator: Emulator, name: str) -> None:
    """It may have been sent, and the call ends in time."""
    emulator.fail("GetDocument", WIRE[name])
    late = name in ("a success that drips", "a success that hangs")
    error = await failure(bridge, 0.7 if late else 10.0)
    assert error.code is (Code.TIMEOUT if late else Code.NETWORK_ERROR)
    assert error.outcome is Outcome.UNKNOWN


MEMBERS = [
    b"", b"null", b"{}", b"[]", b"7", b"[null,null]", b'[{"statusCode":201}]', b'[{"statusCode":"201"},{}]',
    b'[{"statusCode":true},{"statusCode":201}]', b'[{"statusCode":200},{"statusCode":302}]', b"[" * 100_000,
]  # fmt: skip


async def test_a_batch_that_does_not_say_what_became_of_each_member_is_no_success(
    bridge: BridgeView, emulator: Emulator
) -> None:
    """A set has two; what was done is not known."""
    for body in MEMBERS:
        emulator.fail("ExecuteBatch", Answer(200, _JSON, body))
        with pytest.raises(KMSError) as caught:
            await bridge.secrets.set("a", CANARY.text("other"))
        assert (caught.value.code, caught.value.outcome) == (Code.INTERNAL_ERROR, Outcome.UNKNOWN), body
    failed = b'[{"statusCode":424},{"statusCode":403,"subStatusCode":4002}]'
    emulator.fail("ExecuteBatch", Answer(207, _JSON, failed))
    with pytest.raises(KMSError) as caught:
        await bridge.secrets.set("a", CANARY.text("other"))
    assert (caught.value.code, caught.value.sub_status) == (Code.KEY_ACCESS_REVOKED, 4002)
    assert (await bridge.secrets.get("a")).text == CANARY.text()


LISTS = [
    b"", b"{}", b"[]", b'{"Documents":null}', b'{"Documents":5}', b'{"Documents":[5]}', b'{"Documents":[{}]}',
    b'{"Documents":[{"name":"a"}],"_count":1}', b"<html></html>",
]  # fmt: skip


async def test_a_listing_that_is_none_is_an_error(bridge: BridgeView, emulator: Emulator) -> None:
    """An empty listing is one that says so."""
    emulator.fail("QueryDocuments", Answer(200, _JSON, b'{"Documents":[],"_count":0}'))
    assert [info async for info in bridge.secrets.list()] == []
    for body in LISTS:
        emulator.fail("QueryDocuments", Answer(200, _JSON, body))
        with pytest.raises(KMSError) as caught:
            await anext(bridge.secrets.list())
        assert (caught.value.code, caught.value.http_status) == (Code.INTERNAL_ERROR, 200), body


async def test_a_query_that_has_to_be_taken_apart_is_read_to_its_end(bridge: BridgeView, emulator: Emulator) -> None:
    """400/1004: the SDK asks for a plan and for the ranges of keys, and then each of them."""
    for number in range(3):
        await bridge.secrets.set(f"more-{number}", CANARY.text())
    emulator.configure(items_per_page=2)
    emulator.fail("QueryDocuments", "400/1004")
    assert {info.name async for info in bridge.secrets.list()} == {"a", "more-0", "more-1", "more-2"}
    assert emulator.requests.count("GetQueryPlan") == 1
    assert emulator.requests.count("QueryDocuments", status=200) == 2


ACCOUNTS = [b"", b"{}", b"[]", b"null", b'{"writableLocations":5}', b"<html></html>"]


async def test_an_account_that_is_none_is_an_error(make: Any, emulator: Emulator) -> None:
    """Or it is followed nowhere."""
    for number, body in enumerate(ACCOUNTS):
        view = BridgeView(make(url(f"none-{number}"), retry=ONCE), Witness(CANARY))
        emulator.fail("GetDatabaseAccount", Answer(200, _JSON, body))
        error = await failure(view)
        assert error.code in (Code.INTERNAL_ERROR, Code.CONTAINER_NOT_FOUND), (body, error.details())
        await view.aclose()


async def test_an_account_that_is_not_there_was_not_asked(make: Any) -> None:
    """Refused connections: nothing was sent."""
    with emptied() as emulator:
        nowhere = url().replace(f":{emulator.port}", ":1", 1)
        view = BridgeView(make(nowhere, retry=ONCE), Witness(CANARY))
        error = await failure(view)
        await view.aclose()
    assert isinstance(error, NetworkError)
    assert error.outcome is Outcome.NOT_SENT
    assert error.retry.action is RetryAction.BACKOFF
