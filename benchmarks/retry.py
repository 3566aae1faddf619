"""What a policy costs a call that succeeds, beside the peers, in one run. Targets: 1.0 us sync, 1.5 us async."""

from __future__ import annotations

import asyncio
from importlib import import_module
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from kmsbridge._call import Call, Calls
from kmsbridge._decode import Decoder
from kmsbridge._retry import RetryPolicy
from kmsbridge._runtime import BLOCKING, AsyncioRuntime, deliver, drive

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kmsbridge._registry import Hold
    from kmsbridge._runtime import Runtime

stamina: Any = import_module("stamina")
tenacity: Any = import_module("tenacity")

ROUNDS = 9
CALLS = 20_000


class Held:
    """What a bridge holds, without a backend."""

    class provider:  # noqa: N801 - stands for a module
        """A provider's name."""

        name = "benchmark"

    class settings:  # noqa: N801 - stands for a record
        """A backend's address."""

        address = "benchmark"

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime


def calls(runtime: Runtime) -> Calls:
    """The way every call goes, with deadline, budget and tally."""
    hold = cast("Hold", Held(runtime))
    return Calls(
        hold, Decoder("benchmark"), timeout=30, policy=RetryPolicy(), on_event=None, debug_causes=False
    )


def work() -> int:
    """The call."""
    return 1


async def work_async() -> int:
    """The same."""
    return 1


async def body(call: Call) -> int:
    """The same, as the core has it."""
    call.attempts += 1
    return 1


def timed(call: Callable[[], object]) -> float:
    """Microseconds a call."""
    start = perf_counter()
    for _ in range(CALLS):
        call()
    return (perf_counter() - start) / CALLS * 1e6


async def timed_async(call: Callable[[], Awaitable[object]]) -> float:
    """The same for coroutines."""
    start = perf_counter()
    for _ in range(CALLS):
        await call()
    return (perf_counter() - start) / CALLS * 1e6


def main() -> None:
    """Print the cost over a bare call, the medians of interleaved rounds."""
    ours = calls(BLOCKING)
    blocking: dict[str, Callable[[], object]] = {
        "bare call": work,
        "kmsbridge": lambda: drive(ours.run("x", body)),
        "stamina": stamina.retry(on=OSError)(work),
        "tenacity": tenacity.retry(stop=tenacity.stop_after_attempt(3))(work),
    }
    found: dict[str, list[float]] = {name: [] for name in blocking}
    for _ in range(ROUNDS):
        for name, call in blocking.items():
            found[name].append(timed(call))
    show("sync", found)

    async def run() -> None:
        mine = calls(AsyncioRuntime())
        suspending: dict[str, Callable[[], Awaitable[object]]] = {
            "bare call": work_async,
            "kmsbridge": lambda: deliver(mine.run("x", body)),
            "stamina": stamina.retry(on=OSError)(work_async),
            "tenacity": tenacity.retry(stop=tenacity.stop_after_attempt(3))(work_async),
        }
        found: dict[str, list[float]] = {name: [] for name in suspending}
        for _ in range(ROUNDS):
            for name, call in suspending.items():
                found[name].append(await timed_async(call))
        show("async", found)

    asyncio.run(run())


def show(mode: str, found: dict[str, list[float]]) -> None:
    """One line a subject; beside its cost, how many times that is ours."""
    cost = {name: median(times) - median(found["bare call"]) for name, times in found.items()}
    for name, times in found.items():
        ratio = cost[name] / cost["kmsbridge"]
        print(f"{mode:6} {name:10} {median(times):8.2f} us, over the bare call {cost[name]:7.2f} us, {ratio:5.1f} x")


main()
