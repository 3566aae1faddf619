"""What one read of a secret costs over loopback TLS, and how late a request with a deadline ends.

The server is another process and always ready, so what is measured is the client. The
rows of the SDK include its own pipeline and the challenge's authentication.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import ssl
import tempfile
import time
from importlib import import_module
from statistics import median
from typing import TYPE_CHECKING, Any, Self

import aiohttp
import urllib3
from azure.core.credentials import AccessToken
from azure.core.pipeline.policies import AsyncRetryPolicy, RetryPolicy, SansIOHTTPPolicy
from azure.core.pipeline.transport import AioHttpTransport
from azure.core.rest import HttpRequest
from azure.keyvault.secrets import SecretClient
from azure.keyvault.secrets.aio import SecretClient as AioSecretClient

from kmsbridge._decode import Refused
from kmsbridge._runtime import BLOCKING, AsyncioRuntime
from kmsbridge._wire import azure_transport, open_wire
from kmsbridge.emulation._tls import Authority

try:  # by name, so that type checkers need not have it
    httpx: Any = import_module("httpx")
except ModuleNotFoundError:
    httpx = None

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from multiprocessing.connection import Connection

ROUNDS = 20
CALLS = 100
LATE_RUNS = 20
TIMEOUT = 0.2
HEADERS = {"Authorization": "Bearer " + "t" * 1200, "Accept": "application/json", "User-Agent": "benchmark"}
BODY = b'{"value":"s3cret","id":"https://localhost/secrets/a/1","attributes":{"enabled":true,"created":1700000000}}'
HEAD = (
    b"HTTP/1.1 200 OK\r\nCache-Control: no-cache\r\nContent-Type: application/json; charset=utf-8\r\n"
    b"x-ms-client-request-id: 0\r\nx-ms-request-id: 1\r\nx-ms-keyvault-region: westeurope\r\n"
    b"x-ms-keyvault-service-version: 1.9\r\nX-Content-Type-Options: nosniff\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
)
WHOLE = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
CHALLENGE = (
    b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nWWW-Authenticate: Bearer "
    b'authorization="https://login.example.com/t", resource="https://vault.azure.net"\r\n\r\n'
)


class Server(asyncio.Protocol):
    """Answers a read, challenges who has no token, hangs on ``/hang``, drips on ``/drip``."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """A whole request: the client is on this machine, and reads have no body."""
        if b" /hang" in data:
            return
        if b" /drip" in data:
            self._transport.write(HEAD + b"Content-Length: 100000\r\n\r\n")
            self._drip()
        else:
            self._transport.write(WHOLE if b"\r\nAuthorization: " in data else CHALLENGE)

    def _drip(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(b"x")
            asyncio.get_running_loop().call_later(0.01, self._drip)


def serve(told: Connection) -> None:
    """The server's process: tells its port and its authority."""
    authority = Authority(["localhost"])

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0, ssl=authority.context())
        told.send((server.sockets[0].getsockname()[1], authority.pem))
        await server.serve_forever()

    asyncio.run(main())


class Token:
    """A credential that has its token."""

    def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        """The token."""
        del scopes, kwargs
        return AccessToken("t" * 1200, int(time.time()) + 86_400)


class AioToken:
    """The same for the async SDK."""

    async def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        """The token."""
        return Token().get_token(*scopes, **kwargs)

    async def close(self) -> None:
        """There is nothing to close."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        pass


def lean(transport: Any, retry: type[RetryPolicy[Any, Any] | AsyncRetryPolicy[Any, Any]]) -> dict[str, Any]:
    """Public options that leave of the SDK's pipeline its authentication."""
    off: Any = SansIOHTTPPolicy()
    names = ("redirect", "logging", "custom_hook", "proxy", "headers")
    return {"transport": transport, "retry_policy": retry.no_retries()} | {f"{name}_policy": off for name in names}


def timed(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """The median over rounds of the microseconds of one call; the rows take turns, so that noise hits all."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(ROUNDS):
        for name, call in calls.items():
            start = time.perf_counter()
            for _ in range(CALLS):
                call()
            found[name].append((time.perf_counter() - start) / CALLS * 1e6)
    return {name: median(rounds) for name, rounds in found.items()}


async def timed_async(calls: dict[str, Callable[[], Awaitable[object]]]) -> dict[str, float]:
    """The same for calls that are awaited."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        await call()
    for _ in range(ROUNDS):
        for name, call in calls.items():
            start = time.perf_counter()
            for _ in range(CALLS):
                await call()
            found[name].append((time.perf_counter() - start) / CALLS * 1e6)
    return {name: median(rounds) for name, rounds in found.items()}


def sync_figures(host: str, ca: str) -> dict[str, float]:
    """Every way to read, sync."""
    url = f"{host}/secrets/a?api-version=7.6"
    wire = open_wire(BLOCKING, ca=ca)
    pool = urllib3.PoolManager(ca_certs=ca)
    options: dict[str, Any] = {"verify_challenge_resource": False}
    sdk = SecretClient(host, Token(), connection_verify=ca, **options)
    over: Any = SecretClient(host, Token(), **lean(azure_transport(wire), RetryPolicy), **options)
    request = HttpRequest("GET", url)
    calls: dict[str, Callable[[], object]] = {
        "urllib3": lambda: pool.request("GET", url, headers=HEADERS, retries=False, timeout=5).data,
        "our wire": lambda: wire.request("GET", url, HEADERS, timeout=5),
        "SDK, as it is": lambda: sdk.get_secret("a"),
        "SDK's send_request, our wire": lambda: over.send_request(request, stream=True).content,
    }
    if httpx is not None:
        client = httpx.Client(verify=ssl.create_default_context(cafile=ca))
        calls["httpx"] = lambda: client.get(url, headers=HEADERS).content
    figures = timed(calls)
    wire.close()
    return figures


async def async_figures(host: str, ca: str) -> dict[str, float]:
    """Every way to read, async."""
    url = f"{host}/secrets/a?api-version=7.6"
    wire: Any = open_wire(AsyncioRuntime(), ca=ca)
    options: dict[str, Any] = {"verify_challenge_resource": False}
    token: Any = AioToken()
    context = ssl.create_default_context(cafile=ca)
    request = HttpRequest("GET", url)
    async with (
        aiohttp.ClientSession() as session,
        # As the SDK makes its own; given `connection_verify=`, it would read the file for every request.
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context), trust_env=True, auto_decompress=False
        ) as own,
        AioSecretClient(host, token, transport=AioHttpTransport(session=own, session_owner=False), **options) as sdk,
        AioSecretClient(host, token, **lean(azure_transport(wire), AsyncRetryPolicy), **options) as over,
    ):

        async def raw() -> bytes:
            async with session.get(url, headers=HEADERS, ssl=context) as response:
                return await response.read()

        async def sent() -> bytes:
            response: Any = await over.send_request(request, stream=True)
            return bytes(response.content)

        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "aiohttp": raw,
            "our wire": lambda: wire.request("GET", url, HEADERS, timeout=5),
            "SDK, as it is": lambda: sdk.get_secret("a"),
            "SDK's send_request, our wire": sent,
        }
        if httpx is None:
            figures = await timed_async(calls)
        else:
            async with httpx.AsyncClient(verify=context) as client:
                calls["httpx"] = lambda: client.get(url, headers=HEADERS)
                figures = await timed_async(calls)
    await wire.close()
    return figures


async def lateness(host: str, ca: str) -> dict[str, float]:
    """By how many milliseconds the worst request overran its timeout, by mode and fault."""
    found: dict[str, float] = {}
    wire: Any = open_wire(BLOCKING, ca=ca)
    aio: Any = open_wire(AsyncioRuntime(), ca=ca)
    for mode in ("sync", "async"):
        for fault in ("hang", "drip"):
            worst = 0.0
            for _ in range(LATE_RUNS):
                start = time.perf_counter()
                try:
                    if mode == "sync":
                        wire.request("GET", f"{host}/{fault}", {}, timeout=TIMEOUT)
                    else:
                        await aio.request("GET", f"{host}/{fault}", {}, timeout=TIMEOUT)
                except Refused:
                    worst = max(worst, time.perf_counter() - start - TIMEOUT)
            found[f"{mode}, {fault}"] = worst * 1000
    wire.close()
    await aio.close()
    return found


def main() -> None:
    """Print medians, their ratio to the SDK as it is, and the worst lateness."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    port, certificate = ours.recv()
    with tempfile.TemporaryDirectory() as folder:
        ca = os.path.join(folder, "ca.pem")
        with open(ca, "wb") as stream:
            stream.write(certificate)
        host = f"https://localhost:{port}"
        for mode, figures in (("sync", sync_figures(host, ca)), ("async", asyncio.run(async_figures(host, ca)))):
            print(f"{'one read, ' + mode:30} {'us':>6} {'of the SDK':>11}")
            for name, microseconds in sorted(figures.items(), key=lambda item: item[1]):
                print(f"{name:30} {microseconds:6.0f} {microseconds / figures['SDK, as it is']:11.2f}")
            print()
        print(f"{'latest end after a timeout':30} {'ms':>6}   target 100")
        for name, milliseconds in asyncio.run(lateness(host, ca)).items():
            print(f"{name:30} {milliseconds:6.1f}")
    server.terminate()
    server.join()


if __name__ == "__main__":
    main()
