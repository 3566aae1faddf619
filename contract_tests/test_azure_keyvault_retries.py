"""Retries over the wire of Key Vault: lost answers, time, cancellation. ``KMSBRIDGE_LONG=1`` has the full counts."""

from __future__ import annotations

import asyncio
import os
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from contract_tests.keyvault_emulator import emptied, url
from kmsbridge import KMSError, Outcome, RetryPolicy, connect, connect_async
from kmsbridge._retry import TOKENS
from kmsbridge.contract import BridgeView, Canary, Witness
from kmsbridge.emulation import Answer, Close, Cut, Drip, Emulator, Garbage, Hang, Reset

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from kmsbridge.emulation import Failure

LONG = os.environ.get("KMSBRIDGE_LONG") == "1"
LOST = 1_250 if LONG else 8
"""Lost answers of each operation in each mode: four operations, two modes."""
BROKEN = 200 if LONG else 2
CANARY = Canary()
QUICK = RetryPolicy(backoff=0.001, max_delay=0.001)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """The emulator, empty."""
    with emptied() as running:
        yield running


@pytest.fixture(params=["sync", "async"])
async def bridge(request: pytest.FixtureRequest, emulator: Emulator) -> AsyncIterator[BridgeView]:
    """A bridge of each mode that has made a call and does not wait long."""
    witness = Witness(CANARY)
    with witness.watching():
        view = BridgeView((connect if request.param == "sync" else connect_async)(url(), retry=QUICK), witness)
        await view.secrets.set("a", CANARY.text())
        emulator.requests.reset()
        yield view
        await view.aclose()
    assert not witness.leaks


# -- an answer that is lost ---------------------------------------------------------------------

WRITES: dict[str, Callable[[BridgeView, int], Awaitable[object]]] = {
    "SetSecret": lambda bridge, number: bridge.secrets.set("many", CANARY.text(str(number))),
    "CreateKey": lambda bridge, number: bridge.keys.create(f"key-{number}", "EC_P256"),
    "RotateKey": lambda bridge, _: bridge.keys.rotate("key"),
    "DeleteSecret": lambda bridge, number: bridge.secrets.delete(f"gone-{number}"),
}


@pytest.mark.parametrize("operation", WRITES)
async def test_a_lost_answer_makes_nothing_twice(bridge: BridgeView, emulator: Emulator, operation: str) -> None:
    """Every other one was applied: what is there afterwards is what was asked for once, and the doubt is told."""
    if operation == "RotateKey":
        await bridge.keys.create("key", "EC_P256")
    if operation == "DeleteSecret":
        for number in range(LOST):
            await bridge.secrets.set(f"gone-{number}", CANARY.text())
    emulator.requests.reset()
    succeeded = 0
    for number in range(LOST):
        emulator.fail(operation, Reset(), before_applying=bool(number % 2))
        failed = None
        try:
            await WRITES[operation](bridge, number)
        except KMSError as error:
            failed = error
        if failed is None:
            succeeded += 1
        else:
            assert failed.outcome is Outcome.UNKNOWN, failed.details()
            assert len(failed.history) == 1
    applied = (LOST + 1) // 2
    assert emulator.requests.count(operation) == LOST
    if operation == "SetSecret":
        assert len([info async for info in bridge.secrets.versions("many")]) == succeeded == applied
    elif operation == "CreateKey":
        assert len([key async for key in bridge.keys.list()]) == applied
    elif operation == "RotateKey":
        assert len([key async for key in bridge.keys.versions("key")]) == 1 + applied
    else:
        assert len([info async for info in bridge.secrets.deleted()]) == applied


async def test_who_opts_in_gets_a_second_version(emulator: Emulator) -> None:
    """`repeat_unknown` says that this is wanted."""
    async with connect_async(url(), retry=QUICK._replace(repeat_unknown=True)) as bridge:
        await bridge.secrets.set("a", "first")
        emulator.fail("SetSecret", Reset(), before_applying=False)
        await bridge.secrets.set("a", "second")
        assert len([info async for info in bridge.secrets.versions("a")]) == 3


# -- time ---------------------------------------------------------------------------------------

BELOW_HTTP: dict[str, Failure] = {
    "hang": Hang(5.0), "reset": Reset(), "close": Close(), "cut": Cut(at=10), "cut, hang": Cut(at=10, then="hang"),
    "cut, reset": Cut(at=10, then="reset"), "drip": Drip(0.5), "no HTTP": Garbage(), "503": Answer(503),
    "503, wait": Answer(503, (("Retry-After", "3600"),)), "429": Answer(429),
}


@pytest.mark.parametrize("failure", BELOW_HTTP)
async def test_whatever_lasts_ends_at_the_deadline(bridge: BridgeView, emulator: Emulator, failure: str) -> None:
    """With one of our errors, after three requests at most. The bound is wide: a busy machine is late by itself."""
    emulator.fail("GetSecret", BELOW_HTTP[failure], times=None)
    for _ in range(BROKEN):
        emulator.requests.reset()
        began = monotonic()
        with pytest.raises(KMSError) as caught:
            await bridge.secrets.get("a", timeout=0.3)
        assert monotonic() - began < 5
        assert emulator.requests.count("GetSecret") == caught.value.attempts <= 3
        assert caught.value.retry.exhausted


# -- cancellation -------------------------------------------------------------------------------


async def test_a_call_may_be_cancelled_anywhere(emulator: Emulator) -> None:
    """After each number of turns of the loop, retries and their waits included: the next call works all the same."""
    async with connect_async(url(), retry=QUICK) as bridge:
        await bridge.secrets.set("a", "value")
        cancelled = finished = turns = 0
        while finished < 3:
            assert turns < 5_000
            emulator.fail("GetSecret", "ServiceUnavailable", times=2)
            task = asyncio.ensure_future(bridge.secrets.get("a", timeout=30))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            try:
                assert (await task).text == "value"
                finished += 1
            except asyncio.CancelledError:
                cancelled += 1
            emulator.clear_failures()
            bridge._core.calls._budget.give(TOKENS)  # what was cancelled has paid for its retries
            assert (await bridge.secrets.get("a", timeout=30)).text == "value"
            turns += 1 if turns < 20 else 1 + turns // 4
        assert cancelled > 10
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
