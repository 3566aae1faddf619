"""Retries over the wire of each emulator: lost answers, waits, deadlines, cancellation.

``KMSBRIDGE_LONG=1`` has the full counts.
"""

from __future__ import annotations

import asyncio
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from contract_tests import alibaba_emulator, cosmos_emulator, keyvault_emulator, scaivault_emulator
from contract_tests.test_wire_shared import children
from kmsbridge import Bridge, Code, KMSError, NotFoundError, Outcome, RetryAction, RetryPolicy, connect, connect_async
from kmsbridge._registry import DRIVERS
from kmsbridge._retry import TOKENS, budget_of
from kmsbridge._runtime import AsyncioRuntime, BlockingRuntime
from kmsbridge.contract import BridgeView, Canary, Witness
from kmsbridge.emulation import Answer, Close, Cut, Drip, Emulator, Garbage, Hang, Reset
from kmsbridge_alibaba_kms.emulator import AlibabaKms
from kmsbridge_scaivault.emulator import ScaiVault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from kmsbridge.emulation import Failure

LONG = os.environ.get("KMSBRIDGE_LONG") == "1"
LOST = 10_000 if LONG else 60
"""Lost answers of a service, in both modes and all its writes together."""
BROKEN = 200 if LONG else 1
CALLS = 1_000 if LONG else 128
CANARY = Canary()
QUICK = RetryPolicy(backoff=0.001, max_delay=0.001)


class Write(NamedTuple):
    """An operation that makes something, and how to see how often it was made."""

    act: Callable[[BridgeView, int], Awaitable[object]]
    made: Callable[[BridgeView, int], Awaitable[int]]
    prepare: Callable[[BridgeView, int], Awaitable[object]] | None = None


async def _versions(bridge: BridgeView, number: int) -> int:
    try:
        return len([info async for info in bridge.secrets.versions(f"secret-{number}")])
    except NotFoundError:
        return 0


async def _key_versions(bridge: BridgeView, number: int) -> int:
    try:
        return len([key async for key in bridge.keys.versions(f"key-{number}")])
    except NotFoundError:
        return 0


async def _one_less(count: Awaitable[int]) -> int:
    return await count - 1


async def _deleted(bridge: BridgeView, number: int) -> int:
    return await _versions(bridge, number) == 0


def _set(bridge: BridgeView, number: int) -> Awaitable[object]:
    return bridge.secrets.set(f"secret-{number}", CANARY.text(str(number)))


def _create(bridge: BridgeView, number: int) -> Awaitable[object]:
    return bridge.keys.create(f"key-{number}", "EC_P256")


WRITES: Mapping[str, Write] = {
    "first set": Write(_set, _versions),
    "set": Write(
        _set,
        lambda bridge, number: _one_less(_versions(bridge, number)),
        lambda bridge, number: bridge.secrets.set(f"secret-{number}", CANARY.text("before")),
    ),
    "delete": Write(lambda bridge, number: bridge.secrets.delete(f"secret-{number}"), _deleted, _set),
    "create": Write(_create, _key_versions),
    "rotate": Write(
        lambda bridge, number: bridge.keys.rotate(f"key-{number}"),
        lambda bridge, number: _one_less(_key_versions(bridge, number)),
        _create,
    ),
}

ALWAYS = "always"
"""It is repeated: that leaves the same state."""
PROVED = "proved"
"""It is not repeated; where it was applied, that can be shown."""
NEVER = "never"
"""Neither: whoever called must look."""


class Service(NamedTuple):
    """A backend with an emulator."""

    emptied: Callable[[], AbstractContextManager[Emulator]]
    url: Callable[[], str]
    credential: Callable[[], object | None]
    read: str
    """The request by which a secret is read."""
    writes: Mapping[str, tuple[str, str]]
    """For each write the request that does it, and when its call succeeds though the answer is lost."""


SERVICES: Mapping[str, Service] = {
    "azure-keyvault": Service(
        keyvault_emulator.emptied, keyvault_emulator.url, lambda: None, "GetSecret",
        {
            "first set": ("SetSecret", PROVED), "set": ("SetSecret", PROVED), "delete": ("DeleteSecret", NEVER),
            "create": ("CreateKey", NEVER), "rotate": ("RotateKey", NEVER),
        },
    ),
    "alibaba-kms": Service(
        alibaba_emulator.emptied, alibaba_emulator.url, alibaba_emulator.credential, "GetSecretValue",
        {
            "first set": ("CreateSecret", ALWAYS), "set": ("PutSecretValue", ALWAYS), "delete": ("DeleteSecret", NEVER),
            "create": ("CreateKey", ALWAYS), "rotate": ("CreateKeyVersion", NEVER),
        },
    ),
    "azure-cosmos": Service(
        cosmos_emulator.emptied, cosmos_emulator.url, lambda: None, "GetDocument",
        dict.fromkeys(("first set", "set", "delete"), ("ExecuteBatch", ALWAYS)),
    ),
    "scaivault": Service(
        scaivault_emulator.emptied, scaivault_emulator.url, lambda: ScaiVault.token, "ReadSecret",
        {"first set": ("WriteSecret", PROVED), "set": ("WriteSecret", PROVED), "delete": ("DeleteSecret", NEVER)},
    ),
}  # fmt: skip


class Wire(NamedTuple):
    """One service, for one test."""

    service: Service
    emulator: Emulator

    def connect(self, mode: str, **options: Any) -> BridgeView:
        """A bridge of this mode, watched."""
        make = connect if mode == "sync" else connect_async
        return BridgeView(make(self.service.url(), credential=self.service.credential(), **options), Witness(CANARY))


@pytest.fixture(params=SERVICES)
def wire(request: pytest.FixtureRequest) -> Iterator[Wire]:
    """Each service, empty; no test pays for another's retries."""
    service = SERVICES[request.param]
    budget_of.cache_clear()
    with service.emptied() as emulator:
        yield Wire(service, emulator)


@pytest.fixture(params=["sync", "async"])
async def bridge(request: pytest.FixtureRequest, wire: Wire) -> AsyncIterator[BridgeView]:
    """A bridge of each mode that has made a call and does not wait long."""
    view = wire.connect(request.param, retry=QUICK)
    with view.witness.watching():
        await view.secrets.set("a", CANARY.text())
        wire.emulator.requests.reset()
        yield view
        await view.aclose()
    assert not view.witness.leaks


# -- an answer that is lost ---------------------------------------------------------------------


@pytest.mark.parametrize("what", WRITES)
async def test_a_lost_answer_makes_nothing_twice(bridge: BridgeView, wire: Wire, what: str) -> None:
    """Every other one was applied. What was asked for is there once at most, and where that is in doubt it is told."""
    if what not in wire.service.writes:
        assert not getattr(bridge.capabilities.keys, what)
        return
    write, (request, succeeds) = WRITES[what], wire.service.writes[what]
    count = LOST // (2 * len(wire.service.writes))
    for number in range(count):
        if write.prepare is not None:
            await write.prepare(bridge, number)
    for number in range(count):
        applied = number % 2 == 0
        wire.emulator.requests.reset()
        wire.emulator.fail(request, Reset(), before_applying=not applied)
        failed = None
        try:
            await write.act(bridge, number)
        except KMSError as error:
            failed = error
        assert 1 <= wire.emulator.requests.count(request) <= 1 + (succeeds is ALWAYS), [
            seen.operation for seen in wire.emulator.requests
        ]
        assert (failed is None) == (succeeds is ALWAYS or (succeeds is PROVED and applied))
        if failed is not None:
            assert (failed.code, failed.outcome) == (Code.NETWORK_ERROR, Outcome.UNKNOWN), failed.details()
            assert (len(failed.history), failed.retry.exhausted) == (1, True)
        assert await write.made(bridge, number) == (failed is None or applied)
    if isinstance(wire.emulator.backend, AlibabaKms):  # a key without an alias is one too many
        account = wire.emulator.backend._account
        assert len(account.keys) == len(account.aliases) == (count if what in ("create", "rotate") else 0)


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_who_opts_in_gets_a_second_version(mode: str) -> None:
    """`repeat_unknown` says that this is wanted."""
    service = SERVICES["azure-keyvault"]
    with service.emptied() as emulator:
        view = Wire(service, emulator).connect(mode, retry=QUICK._replace(repeat_unknown=True))
        await view.secrets.set("a", "first")
        emulator.fail("SetSecret", Reset(), before_applying=False)
        await view.secrets.set("a", "second")
        assert len([info async for info in view.secrets.versions("a")]) == 3
        await view.aclose()


# -- waits --------------------------------------------------------------------------------------

NOW = 1_790_000_000
"""Seconds since 1970, by the server's clock, which is not this machine's."""
DATED = ("Date", formatdate(NOW, usegmt=True))
WAITS: Mapping[str, tuple[tuple[tuple[str, str], ...], float | None]] = {
    "seconds": ((("Retry-After", "7"),), 7),
    "milliseconds": ((("x-ms-retry-after-ms", "2500"),), 2.5),
    "both": ((("Retry-After", "7"), ("x-ms-retry-after-ms", "2500")), 2.5),
    "twice": ((("Retry-After", "3"), ("Retry-After", "5")), 5),
    "a date": ((DATED, ("Retry-After", formatdate(NOW + 4, usegmt=True))), 4),
    "a past date": ((DATED, ("Retry-After", formatdate(NOW - 60, usegmt=True))), 0),
    "negative": ((("Retry-After", "-5"),), 0),
    "garbage": ((("Retry-After", "soon"),), 0),
    "30 years": ((("Retry-After", "1000000000"),), 0),
    "a minute": ((("Retry-After", "60"),), None),
    "a date in a minute": ((DATED, ("Retry-After", formatdate(NOW + 60, usegmt=True))), None),
}
"""Headers, and for how long they ask; None for longer than the call has."""


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between attempts, which are over soon."""
    waits: list[float] = []

    async def blocking(_: object, seconds: float) -> None:
        waits.append(seconds)

    async def suspending(_: object, seconds: float) -> None:
        waits.append(seconds)
        await asyncio.sleep(0)

    monkeypatch.setattr(BlockingRuntime, "sleep", blocking)
    monkeypatch.setattr(AsyncioRuntime, "sleep", suspending)
    return waits


@pytest.mark.parametrize("asked", WAITS)
async def test_a_server_may_say_how_long_to_wait(
    bridge: BridgeView, wire: Wire, waits: list[float], asked: str
) -> None:
    """What it wishes is kept, what makes no sense is not, and what is too long for the call is not begun."""
    headers, wish = WAITS[asked]
    wire.emulator.fail(wire.service.read, Answer(503, headers))
    if wish is not None:
        assert (await bridge.secrets.get("a", timeout=30)).value == CANARY.text()
        assert [wish <= wait <= wish + QUICK.max_delay for wait in waits] == [True]
        return
    with pytest.raises(KMSError) as caught:
        await bridge.secrets.get("a", timeout=30)
    assert waits == []
    assert (caught.value.code, caught.value.retry_after, caught.value.attempts, caught.value.retry.exhausted) == (
        Code.SERVICE_UNAVAILABLE, 60, 1, True,
    )


# -- time ---------------------------------------------------------------------------------------

LASTING: Mapping[str, tuple[Failure, Code]] = {
    "hang": (Hang(5.0), Code.TIMEOUT),
    "reset": (Reset(), Code.NETWORK_ERROR),
    "close": (Close(), Code.NETWORK_ERROR),
    "cut": (Cut(at=10), Code.NETWORK_ERROR),
    "cut, hang": (Cut(at=10, then="hang"), Code.TIMEOUT),
    "cut, reset": (Cut(at=10, then="reset"), Code.NETWORK_ERROR),
    "drip": (Drip(0.5), Code.TIMEOUT),
    "no HTTP": (Garbage(), Code.NETWORK_ERROR),
    "503": (Answer(503), Code.SERVICE_UNAVAILABLE),
    "503, wait": (Answer(503, (("Retry-After", "3600"),)), Code.SERVICE_UNAVAILABLE),
    "429": (Answer(429), Code.RATE_LIMITED),
}
"""After the request was sent: it may have been carried out, except where the answer says that it was not."""


@pytest.mark.parametrize("failure", LASTING)
async def test_whatever_lasts_ends_at_the_deadline(bridge: BridgeView, wire: Wire, failure: str) -> None:
    """With one of our errors, after three requests at most. The bound is wide: a busy machine is late by itself."""
    what, code = LASTING[failure]
    wire.emulator.fail(wire.service.read, what, times=None)
    for _ in range(BROKEN):
        wire.emulator.requests.reset()
        began = monotonic()
        with pytest.raises(KMSError) as caught:
            await bridge.secrets.get("a", timeout=0.3)
        assert monotonic() - began < 5
        error, sent = caught.value, wire.emulator.requests.count(wire.service.read)
        assert sent <= error.attempts <= 3
        assert error.retry.exhausted
        assert error.code in (code, Code.TIMEOUT), error.details()  # where the machine is slow, nothing may get far
        if sent and error.code is code:
            assert error.outcome is (Outcome.NOT_APPLIED if failure == "429" else Outcome.UNKNOWN), error.details()


UNREACHABLE: Mapping[str, Failure | None] = {
    "refused": None, "no such name": None, "TLS fails": Garbage(), "TLS hangs": Hang(5.0), "TLS is reset": Reset(),
}


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("why", UNREACHABLE)
async def test_what_was_never_sent_was_not_applied(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, mode: str, why: str
) -> None:
    """There is no connection: one of our errors, at the deadline at the latest, and no doubt."""
    DRIVERS.close_process()  # nor one that another test has left
    nowhere = wire.service.url()
    failure = UNREACHABLE[why]
    if failure is not None:
        wire.emulator.fail("Connect", failure, times=None)
    with socket.socket() as taken:
        taken.bind(("localhost", 0))  # and does not listen
        if why == "refused":
            nowhere = nowhere.replace(f":{wire.emulator.port}", f":{taken.getsockname()[1]}")
        if why == "no such name":
            monkeypatch.setattr(socket, "getaddrinfo", _no_such_name)
        bridge = wire._replace(service=wire.service._replace(url=lambda: nowhere)).connect(mode, retry=QUICK)
        for _ in range(BROKEN):
            with pytest.raises(KMSError) as caught:
                await bridge.secrets.set("a", CANARY.text(), timeout=0.3)
            error = caught.value
            assert error.code in (Code.NETWORK_ERROR, Code.TIMEOUT), error.details()
            assert error.outcome is Outcome.NOT_SENT, error.details()
            assert error.retry.exhausted == (error.retry.action is not RetryAction.NEVER)
            assert error.attempts <= 3
            assert error.elapsed < 5
        await bridge.aclose()
    assert not bridge.witness.leaks


def _no_such_name(*_: object, **__: object) -> Any:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


# -- cancellation -------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["get", "set"])
@pytest.mark.usefixtures("waits")
async def test_a_call_may_be_cancelled_anywhere(wire: Wire, what: str) -> None:
    """After each number of turns of the loop, retries and their waits included: the next call works all the same."""
    view = wire.connect("async", retry=QUICK)
    bridge = view.bridge
    assert isinstance(bridge, type(connect_async("memory:")))
    await bridge.secrets.set("a", "value")
    request = wire.service.read if what == "get" else wire.service.writes["set"][0]
    cancelled = finished = turns = 0
    while finished < 3:
        assert turns < 5_000
        wire.emulator.fail(request, Answer(429), times=1)
        call = bridge.secrets.get("a", timeout=30) if what == "get" else bridge.secrets.set("a", "value", timeout=30)
        task = asyncio.ensure_future(call)
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        try:
            assert (await task).text == "value"
            finished += 1
        except asyncio.CancelledError:
            cancelled += 1
        wire.emulator.clear_failures()
        bridge._core.calls._budget.give(TOKENS)  # what was cancelled has paid for its retries
        assert (await bridge.secrets.get("a", timeout=30)).text == "value"
        turns += 1 if turns < 20 else 1 + turns // 4
    assert cancelled > 3
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
    await view.aclose()


# -- threads and processes ----------------------------------------------------------------------


def test_64_threads_share_a_bridge(wire: Wire) -> None:
    """A third of the requests fail, and each thread reads what it asked for, or one of our errors."""
    bridge = wire.connect("sync", retry=QUICK).bridge
    assert isinstance(bridge, Bridge)
    for number in range(8):
        bridge.secrets.set(f"a-{number}", f"value {number}")
    wire.emulator.fail(wire.service.read, Answer(503), times=None, probability=0.3)
    counted = bridge.stats().calls

    def read(number: int) -> bool:
        try:
            return bridge.secrets.get(f"a-{number % 8}", timeout=60).text == f"value {number % 8}"
        except KMSError as error:
            return error.code is Code.SERVICE_UNAVAILABLE

    with bridge, ThreadPoolExecutor(64) as pool:
        assert all(pool.map(read, range(CALLS)))
        assert bridge.stats().calls - counted == CALLS


def test_a_bridge_that_is_warm_is_used_after_a_fork(wire: Wire) -> None:
    """Parent and children read over it at the same time, retries included, and each reads what it asked for."""
    bridge = wire.connect("sync", retry=QUICK).bridge
    assert isinstance(bridge, Bridge)
    for number in range(8):
        bridge.secrets.set(f"a-{number}", f"value {number}")
    wire.emulator.fail(wire.service.read, Answer(503), times=2)

    def work(child: int) -> bool:
        numbers = [(child + number) % 8 for number in range(CALLS // 8)]
        return all(bridge.secrets.get(f"a-{number}", timeout=60).text == f"value {number}" for number in numbers)

    with bridge, children(2, work):
        assert work(2)
