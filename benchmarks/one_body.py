"""What it costs that sync and async share one body. Target: 2 µs a call, in both modes.

Nothing here reaches a backend: what is measured is ours alone. The whole portable call
(names, checks, deadline, event) has a target of its own, 25 µs.
"""

from __future__ import annotations

import asyncio
import sys
from time import perf_counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import kmsbridge
from kmsbridge._decode import Decoder
from kmsbridge._model import Capabilities, Secret, SecretAbilities
from kmsbridge._names import IdentityNames
from kmsbridge._runtime import BLOCKING, AsyncioRuntime, deliver, drive

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kmsbridge._call import Call
    from kmsbridge._runtime import Runtime

ROUNDS = 9
CALLS = 20_000
SECRET = Secret("a", "1", "value")


class Driver:
    """Answers at once."""

    async def get_secret(self, call: Call, name: str, version: str | None) -> Secret:
        """The one secret there is."""
        del call, name, version
        return SECRET

    async def close(self) -> None:
        """There is nothing to close."""


async def _open(settings: object, runtime: Runtime) -> Driver:
    del settings, runtime
    return Driver()


SETTINGS = SimpleNamespace(
    address="nowhere",
    identity="nobody",
    capabilities=Capabilities(secrets=SecretAbilities(get=True)),
    secret_names=IdentityNames(".+"),
    key_names=IdentityNames(".+"),
)
PROVIDER = SimpleNamespace(
    name="nothing", decoder=Decoder("nothing"), configure=lambda location: location and SETTINGS, open=_open
)


def direct(name: str) -> Secret:
    """What an SDK's call would be."""
    del name
    return SECRET


async def direct_async(name: str) -> Secret:
    """What an async SDK's call would be."""
    return direct(name)


async def body(runtime: Runtime, exchange: Callable[[str], Any]) -> Secret:
    """A portable operation at its smallest, over a driver at its smallest."""
    return await driven(runtime, exchange, "a")


async def driven(runtime: Runtime, exchange: Callable[[str], Awaitable[Secret] | Secret], name: str) -> Secret:
    """A driver method that meets its SDK in one place."""
    return await runtime.settle(exchange(name))


def timed(call: Callable[[], object]) -> float:
    """Microseconds of one sync call."""
    start = perf_counter()
    for _ in range(CALLS):
        call()
    return (perf_counter() - start) / CALLS * 1e6


def timed_async(call: Callable[[], Awaitable[object]]) -> float:
    """Microseconds of one async call; the loop is started before the clock."""

    async def loop() -> float:
        start = perf_counter()
        for _ in range(CALLS):
            await call()
        return (perf_counter() - start) / CALLS * 1e6

    return asyncio.run(loop())


def main() -> None:
    """Print the fastest of a few rounds for each kind of call, less what the direct call takes."""
    sys.modules["kmsbridge_nothing"] = cast("Any", PROVIDER)
    runtime = AsyncioRuntime()
    bridge = kmsbridge.connect("nothing:")
    async_bridge = kmsbridge.connect_async("nothing:")
    kinds: dict[str, Callable[[], float]] = {
        "direct, sync": lambda: timed(lambda: direct("a")),
        "one body, sync": lambda: timed(lambda: drive(body(BLOCKING, direct))),
        "secrets.get, sync": lambda: timed(lambda: bridge.secrets.get("a")),
        "direct, async": lambda: timed_async(lambda: direct_async("a")),
        "one body, async": lambda: timed_async(lambda: deliver(body(runtime, direct_async))),
        "secrets.get, async": lambda: timed_async(lambda: async_bridge.secrets.get("a")),
    }
    figures = {kind: min(measure() for _ in range(ROUNDS)) for kind, measure in kinds.items()}
    print(f"{'call':20} {'us':>6} {'over direct':>12} {'target':>7}")
    for kind, microseconds in figures.items():
        what, _, mode = kind.partition(", ")
        over = microseconds - figures[f"direct, {mode}"]
        target = {"direct": "", "one body": "2", "secrets.get": "25"}[what]
        print(f"{kind:20} {microseconds:6.2f} {over:12.2f} {target:>7}")
    bridge.close()


main()
