"""What a point read from Azure Cosmos DB costs through a bridge, beside the SDK. Target: 25 µs are our own.

The wire is answered in this process, so that what is measured is Python alone. "seam" is the
SDK's `read_item` as the driver calls it, over our transport, without anything of ours above it;
what the bridge takes beyond that is our own share. Of each the fastest of many rounds counts:
what else the machine does only adds.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from azure.cosmos import CosmosClient
from azure.cosmos.aio import CosmosClient as AioCosmosClient

import kmsbridge
from kmsbridge._decode import Answer
from kmsbridge._model import NewSecret
from kmsbridge._runtime import BlockingRuntime
from kmsbridge_azure_cosmos import _account
from kmsbridge_azure_cosmos._account import ONE_ATTEMPT
from kmsbridge_azure_cosmos._documents import HEAD, first
from kmsbridge_azure_cosmos._transport import AsyncTransport, Regions, Transport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ROUNDS = 200
CALLS = 10
HOST = "https://some-account.documents.azure.com"
KEY = base64.b64encode(bytes(64)).decode()
HEADERS = (
    ("content-type", "application/json"),
    ("x-ms-activity-id", "00000000-0000-0000-0000-000000000001"),
    ("x-ms-request-charge", "1"),
    ("x-ms-session-token", "0:1#2"),
    ("etag", '"1"'),
)
REGION = [{"name": "here", "databaseAccountEndpoint": HOST}]
ACCOUNT = {
    "writableLocations": REGION,
    "readableLocations": REGION,
    "userConsistencyPolicy": {"defaultConsistencyLevel": "Session"},
}
CONTAINER = {"id": "c", "_rid": "r", "_self": "s", "partitionKey": {"paths": ["/name"], "kind": "Hash", "version": 2}}
NEW = NewSecret("s3cret", None, {"team": "billing"}, None, if_absent=False)
DOCUMENT = {**first("a", NEW, "0" * 32, 1, 1_700_000_000), "_etag": '"1"', "_rid": "r"}


def answered(url: str) -> Answer:
    """What the account answers."""
    path = url.removeprefix(HOST)
    node = DOCUMENT if "/docs/" in path else CONTAINER if "/colls/" in path else ACCOUNT
    return Answer(200, HEADERS, json.dumps(node).encode())


class Wire:
    """Answers at once."""

    def request(self, method: str, url: str, headers: object, body: bytes = b"", **limits: object) -> Answer:
        """The answer."""
        del method, headers, body, limits
        return answered(url)

    def close(self) -> None:
        """There is nothing to close."""


class AioWire:
    """The same for the async bridge."""

    async def request(self, method: str, url: str, headers: object, body: bytes = b"", **limits: object) -> Answer:
        """The answer."""
        del method, headers, body, limits
        return answered(url)

    async def close(self) -> None:
        """There is nothing to close."""


def wire(runtime: object, **options: object) -> Any:
    """In the place of `open_wire`."""
    del options
    return Wire() if isinstance(runtime, BlockingRuntime) else AioWire()


def timed(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Microseconds of each, in turns, so that all meet the same machine."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            started = time.perf_counter()
            for _ in range(CALLS):
                call()
            taken[name].append((time.perf_counter() - started) / CALLS * 1e6)
    return {name: min(each) for name, each in taken.items()}


async def timed_async(calls: dict[str, Callable[[], Awaitable[object]]]) -> dict[str, float]:
    """The same on a loop."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            started = time.perf_counter()
            for _ in range(CALLS):
                await call()
            taken[name].append((time.perf_counter() - started) / CALLS * 1e6)
    return {name: min(each) for name, each in taken.items()}


def shown(mode: str, found: dict[str, float]) -> None:
    """One line a mode."""
    share = found["bridge"] - found["seam"]
    ratio = found["bridge"] / found["seam"]
    print(f"{mode}: SDK {found['seam']:.0f} µs, bridge {found['bridge']:.0f} µs ({ratio:.2f}), our own {share:.1f} µs")


def main() -> None:
    """Both modes."""
    url = f"azure-cosmos://some-account/d/c?key={KEY.replace('=', '%3D')}"
    client = CosmosClient(HOST, KEY, transport=Transport(Wire(), Regions(HOST)), **ONE_ATTEMPT)  # type: ignore[arg-type]
    container = client.get_database_client("d").get_container_client("c")
    with patch.object(_account, "open_wire", wire), kmsbridge.connect(url) as bridge:
        calls = {"seam": lambda: container.read_item(HEAD, "a"), "bridge": lambda: bridge.secrets.get("a")}
        timed(calls)
        shown("sync", timed(calls))

    async def run() -> None:
        transport = AsyncTransport(AioWire(), Regions(HOST))  # type: ignore[arg-type]
        aio = AioCosmosClient(HOST, KEY, transport=transport, **ONE_ATTEMPT)
        async with aio, kmsbridge.connect_async(url) as bridge:
            found = aio.get_database_client("d").get_container_client("c")
            calls: dict[str, Callable[[], Awaitable[object]]] = {
                "seam": lambda: found.read_item(HEAD, "a"),
                "bridge": lambda: bridge.secrets.get("a"),
            }
            await timed_async(calls)
            shown("async", await timed_async(calls))

    with patch.object(_account, "open_wire", wire):
        asyncio.run(run())


if __name__ == "__main__":
    main()
