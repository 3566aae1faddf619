"""The driver of Azure Cosmos DB where the wire would be in the way: attempts, regions, writers, queries."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

import kmsbridge
from kmsbridge import Code, KMSError, Outcome, RetryPolicy
from kmsbridge._decode import Answer, Phase
from tests.cosmos_account import Account, answered, in_memory, lost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ONCE = RetryPolicy(attempts=1)
FAST = RetryPolicy(attempts=3, backoff=0, max_delay=0)


@pytest.fixture
def account() -> Iterator[Account]:
    """An empty container in memory."""
    with in_memory() as found:
        yield found


@pytest.fixture(params=["sync", "async"])
def mode(request: pytest.FixtureRequest) -> str:
    """Which bridge."""
    return str(request.param)


def run(mode: str, url: str, *acts: Callable[[Any], Any], retry: RetryPolicy = FAST) -> list[Any]:
    """What each act on one bridge gives: a value, a list, or an error."""

    async def all_of() -> list[Any]:
        results: list[Any] = []
        async with kmsbridge.connect_async(url, retry=retry) as bridge:
            for act in acts:
                try:
                    found = act(bridge)
                    if hasattr(found, "__aiter__"):
                        results.append([each async for each in found])
                    else:
                        results.append(await found if hasattr(found, "__await__") else found)
                except KMSError as error:
                    results.append(error)
        return results

    if mode == "async":
        return asyncio.run(all_of())
    results: list[Any] = []
    with kmsbridge.connect(url, retry=retry) as bridge:
        for act in acts:
            try:
                found = act(bridge)
                results.append(list(found) if hasattr(found, "__next__") else found)
            except KMSError as error:
                results.append(error)
    return results


def get(bridge: Any) -> Any:
    """The secret of most tests."""
    return bridge.secrets.get("some/name")


def put(bridge: Any) -> Any:
    """A version of it."""
    return bridge.secrets.set("some/name", "a value")


def docs(account: Account) -> int:
    """How many requests for documents have come."""
    return sum("/docs" in path for _, path in account.requests)


def refusing(status: int, sub_status: int = 0, *, path: str = "/docs") -> Callable[[str, str], Answer | None]:
    """Answer so, and do nothing."""
    answer = answered(status, {"code": "x"}, x_ms_substatus=str(sub_status))
    return lambda _, asked: answer if path in asked else None


def losing(phase: Phase, exception: Exception) -> Callable[[str, str], Exception | None]:
    """No whole answer."""
    return lambda _, asked: lost(Answer(phase=phase, exception=exception)) if "/docs" in asked else None


# -- one attempt -----------------------------------------------------------------------------

FAULTS: dict[str, Callable[[str, str], Any]] = {
    "429": refusing(429, 3200),
    "503": refusing(503),
    "408": refusing(408),
    "500": refusing(500),
    "449": refusing(449),
    "403/3": refusing(403, 3),
    "403/1008": refusing(403, 1008),
    "404/1002": refusing(404, 1002),
    "400/1024": refusing(400, 1024),
    "410/1002": refusing(410, 1002),
    "reset": losing(Phase.SENT, ConnectionResetError()),
    "timeout": losing(Phase.SENT, TimeoutError()),
    "refused": losing(Phase.BEFORE_SEND, ConnectionRefusedError()),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_one_request_an_attempt(account: Account, mode: str, fault: str) -> None:
    """Of the SDK's dozen retry policies none has a say, for reads, queries and writes."""
    run(mode, account.url, put)
    account.before = FAULTS[fault]
    for act in (get, lambda bridge: bridge.secrets.list()):
        before = docs(account)
        (error,) = run(mode, account.url, act, retry=ONCE)
        assert isinstance(error, KMSError)
        assert docs(account) - before == 1
    account.before = lambda method, path: None if method == "GET" else FAULTS[fault](method, path)
    before = docs(account)
    (error,) = run(mode, account.url, lambda bridge: bridge.secrets.set("other", "x"), retry=ONCE)
    assert isinstance(error, KMSError)
    assert docs(account) - before == 2  # the head is read before


# -- regions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("sub_status", [3, 1008])
def test_the_next_try_goes_where_the_account_points_to(account: Account, mode: str, sub_status: int) -> None:
    """A failover is over for the caller with the second request."""
    home = account.endpoint.removeprefix("https://")
    region = home.replace(".documents", "-westeurope.documents")

    def fail_over(bridge: Any) -> Any:
        account.endpoint = f"https://{region}:443/"
        account.before = lambda method, path: (
            refusing(403, sub_status)(method, path) if account.hosts[-1] == home else None
        )
        return get(bridge)

    found = run(mode, account.url, put, fail_over)[1]
    assert found.value == "a value"
    assert account.hosts[-1] == f"{region}:443"


def test_every_call_looks_at_the_account_anew_until_it_names_another_region(account: Account, mode: str) -> None:
    """It may go on naming the old one for minutes: what one call has concluded does not bind the next."""
    home = account.endpoint.removeprefix("https://")

    def fail_over(bridge: Any) -> Any:
        account.before = lambda method, path: refusing(403, 3)(method, path) if account.hosts[-1] == home else None
        account.requests.clear()
        return get(bridge)

    def named_at_last(bridge: Any) -> Any:
        account.endpoint = f"https://{home.replace('.documents', '-westeurope.documents')}:443/"
        return get(bridge)

    *_, early, again, found = run(mode, account.url, put, fail_over, get, named_at_last)
    assert early.code is again.code is Code.KEY_ACCESS_REVOKED
    assert early.attempts == again.attempts == 2
    assert found.value == "a value"
    head = ("GET", "/dbs/db/colls/secrets/docs/head")
    assert account.requests == [head, ("GET", ""), head] * 3


def test_a_failover_that_many_meet_at_once_is_a_revoked_key_for_none(account: Account) -> None:
    """Who asked before another had looked at the account has yet to ask where that points to."""
    home = account.endpoint.removeprefix("https://")
    together = threading.Barrier(8, timeout=30)
    first = threading.local()
    wrong: list[KMSError] = []

    def refuse(method: str, path: str) -> Answer | None:
        if "/docs" not in path or hasattr(first, "asked"):
            return None
        first.asked = True
        together.wait()
        return refusing(403, 3)(method, path)

    with kmsbridge.connect(account.url, retry=FAST) as bridge:
        put(bridge)
        account.endpoint = f"https://{home.replace('.documents', '-westeurope.documents')}:443/"
        account.before = refuse

        def read() -> None:
            try:
                get(bridge)
            except KMSError as error:
                wrong.append(error)

        threads = [threading.Thread(target=read) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


@pytest.mark.parametrize(
    "named",
    [
        "https://attacker.example",
        "http://account.documents.azure.com",
        "https://other.documents.azure.com",
        "https://x@account.documents.azure.com",
        "https://account.documents.azure.com:8443",
        7,
        None,
    ],
)
def test_an_account_that_points_elsewhere_is_not_followed(account: Account, named: Any) -> None:
    """Its requests carry a signature or a token."""
    home = account.endpoint.removeprefix("https://")
    account.endpoint = named
    run("sync", account.url, put, get)
    assert set(account.hosts) == {home}


# -- creation --------------------------------------------------------------------------------


def test_nothing_is_created_unasked(account: Account, mode: str) -> None:
    """Neither by a call without the option nor by a look at the health."""
    account.made.clear()
    (error,) = run(mode, account.url.replace("&create=true", ""), put)
    assert error.code is Code.CONTAINER_NOT_FOUND
    (health,) = run(mode, account.url, lambda bridge: bridge.health())
    assert health.code is Code.CONTAINER_NOT_FOUND
    assert all(method == "GET" for method, _ in account.requests)


def test_a_container_that_is_gone_is_no_absent_secret(account: Account, mode: str) -> None:
    """Also where only the words tell, and the sub-status is 0."""
    run(mode, account.url, put)
    gone = answered(404, {"code": "NotFound", "message": "Owner resource does not exist"}, x_ms_substatus="0")
    account.before = lambda _, path: gone if "/docs" in path else None
    for error in run(mode, account.url, get, put, lambda bridge: bridge.secrets.delete("some/name")):
        assert error.code is Code.CONTAINER_NOT_FOUND


def test_database_and_container_are_created_when_asked(account: Account, mode: str) -> None:
    """Once; also where somebody else is faster with one of them."""
    account.made.clear()
    account.made.add("/dbs/db")
    assert run(mode, account.url, put, get)[1].value == "a value"
    created = [path for method, path in account.requests if method == "POST" and "/docs" not in path]
    assert created == ["/dbs", "/dbs/db/colls"]


# -- writers ---------------------------------------------------------------------------------


def _meddled(account: Account, times: int) -> None:
    """Somebody else changes the tags of the head before each write, so many times."""
    left = [times]

    def before(method: str, path: str) -> None:
        if method == "POST" and "/docs" in path and left[0]:
            left[0] -= 1
            for node in account.documents.values():
                node["_etag"] = f'"meddled-{left[0]}"'

    account.before = before


def test_a_change_of_the_latest_is_applied_anew_and_of_a_named_version_is_not(account: Account, mode: str) -> None:
    """Who named a version has read it."""
    first = run(mode, account.url, put)[0]
    _meddled(account, 3)
    (info,) = run(mode, account.url, lambda bridge: bridge.secrets.update("some/name", tags={"a": "b"}))
    assert info.tags == {"a": "b"}
    _meddled(account, 1)
    act = lambda bridge: bridge.secrets.update("some/name", version=first.version, enabled=False)  # noqa: E731
    (error,) = run(mode, account.url, act)
    assert (error.code, error.outcome) == (Code.VERSION_CONFLICT, Outcome.NOT_APPLIED)


def test_changes_that_are_never_first_end(account: Account, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After 20 rounds."""
    monkeypatch.setattr("kmsbridge_azure_cosmos._store.PAUSE", 0)
    run(mode, account.url, put)
    _meddled(account, 10_000)
    before = docs(account)
    (error,) = run(mode, account.url, put, retry=ONCE)
    assert error.code is Code.VERSION_CONFLICT
    assert docs(account) - before == 40


def test_changes_that_are_never_first_end_with_their_time(
    account: Account, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what stood in the way, which is no doubt about what was done."""
    for name in ("PAUSE", "MAX_PAUSE"):
        monkeypatch.setattr(f"kmsbridge_azure_cosmos._store.{name}", 10_000)
    run(mode, account.url, put)
    _meddled(account, 10_000)
    (error,) = run(mode, account.url, lambda bridge: bridge.secrets.set("some/name", "x", timeout=0.5), retry=ONCE)
    assert (error.code, error.outcome) == (Code.VERSION_CONFLICT, Outcome.NOT_APPLIED)


def test_a_listing_goes_on_where_its_own_answer_says(account: Account, mode: str) -> None:
    """Not where the SDK's client remembers, which is shared by threads, nor at an ETag."""
    for number in range(101):
        node = {"id": "head", "name": f"n{number:03}", "kind": "secret", "version": "0" * 32, "seq": 1, "tags": {}}
        account.documents[f"n{number:03}", "head"] = {**node, "enabled": True, "_etag": "1"}
    plain = account.answer

    def with_etag(*request: Any) -> Answer:
        answer = plain(*request)
        return answer._replace(headers=(*answer.headers, ("etag", '"etag"')))

    with patch.object(account, "answer", with_etag):
        (listed,) = run(mode, account.url, lambda bridge: bridge.secrets.list())
    assert [info.name for info in listed] == [f"n{number:03}" for number in range(101)]
    assert docs(account) == 2


def test_listings_and_reads_of_many_threads_do_not_meet(account: Account) -> None:
    """On one client: each listing is whole."""
    for number in range(250):
        node = {"id": "head", "name": f"n{number:03}", "kind": "secret", "version": "0" * 32, "seq": 1, "tags": {}}
        account.documents[f"n{number:03}", "head"] = {**node, "enabled": True, "value": "", "text": True, "_etag": "1"}
    wrong: list[int] = []
    with kmsbridge.connect(account.url) as bridge:

        def read() -> None:
            for number in range(100):
                bridge.secrets.get(f"n{number:03}")

        def listing() -> None:
            wrong.extend(found for _ in range(5) if (found := len(list(bridge.secrets.list()))) != 250)

        threads = [threading.Thread(target=each) for each in (read, listing) * 4]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


# -- deletion --------------------------------------------------------------------------------


def test_what_cannot_be_recovered_any_more_is_gone_and_its_name_is_free(account: Account, mode: str) -> None:
    """With all its versions."""
    run(mode, account.url, put, put, lambda bridge: bridge.secrets.delete("some/name"))
    account.documents["some:name", "head"]["purge"] = 1
    error, listed, recovered, new = run(
        mode,
        account.url,
        get,
        lambda bridge: bridge.secrets.deleted(),
        lambda bridge: bridge.secrets.recover("some/name"),
        put,
    )
    assert error.code is recovered.code is Code.NOT_FOUND
    assert listed == []
    assert [node["version"] for node in account.documents.values()] == [new.version]


def test_a_purge_that_broke_off_is_ended_by_the_next_change(account: Account, mode: str) -> None:
    """And can be seen by nobody in between."""
    run(mode, account.url, put, put, lambda bridge: bridge.secrets.delete("some/name"))
    account.documents["some:name", "head"]["kind"] = "purging"
    error, new, versions = run(mode, account.url, get, put, lambda bridge: bridge.secrets.versions("some/name"))
    assert error.code is Code.NOT_FOUND
    assert [info.version for info in versions] == [new.version]
