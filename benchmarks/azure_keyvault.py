"""What a read from Key Vault costs through a bridge, beside the SDK. Targets: 550 µs, of which 25 µs are our own.

The server is another process on loopback, with TLS, and always ready: what is measured is
the client. "seam" is the SDK's `send_request` as the driver uses it, on our wire, without
anything of ours above it; what the bridge takes beyond that is our own share.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import ssl
import tempfile
import time
from statistics import median
from typing import TYPE_CHECKING, Any

import aiohttp
from azure.core.credentials import AccessToken
from azure.core.pipeline.transport import AioHttpTransport
from azure.core.rest import HttpRequest
from azure.keyvault.secrets import SecretClient
from azure.keyvault.secrets.aio import SecretClient as AioSecretClient

import kmsbridge
from kmsbridge._config import parse_url
from kmsbridge._runtime import BLOCKING, AsyncioRuntime, drive
from kmsbridge.emulation._tls import Authority
from kmsbridge_azure_keyvault._config import configure
from kmsbridge_azure_keyvault._vault import API_VERSION, Vault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from multiprocessing.connection import Connection
    from types import TracebackType
    from typing import Self

    from kmsbridge_azure_keyvault._config import VaultSettings

ROUNDS = 40
CALLS = 50
VERSION = "0123456789abcdef0123456789abcdef"
HEADERS = (
    b"Cache-Control: no-cache\r\nContent-Type: application/json; charset=utf-8\r\nx-ms-client-request-id: 0\r\n"
    b"x-ms-request-id: 1\r\nx-ms-keyvault-region: westeurope\r\nx-ms-keyvault-service-version: 1.9\r\n"
    b"X-Content-Type-Options: nosniff\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
)
BODY = (
    b'{"value":"s3cret","id":"https://localhost/secrets/a/' + VERSION.encode() + b'","tags":{"team":"billing"},'
    b'"attributes":{"enabled":true,"created":1700000000,"updated":1700000000,"recoverableDays":90}}'
)
SECRET = b"HTTP/1.1 200 OK\r\n" + HEADERS + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
CHALLENGE = (
    b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nWWW-Authenticate: Bearer "
    b'authorization="https://login.example.com/t", resource="https://vault.azure.net"\r\n\r\n'
)


class Server(asyncio.Protocol):
    """Answers a read, and challenges who has no token."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """A whole request: the client is on this machine, and reads have no body."""
        self._transport.write(SECRET if b"\r\nAuthorization: " in data else CHALLENGE)


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

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """The token."""
        del scopes, options
        return AccessToken("t" * 1200, int(time.time()) + 86_400)


TOKEN = Token()


class AioToken:
    """The same for the SDK's async client."""

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """The token."""
        return Token().get_token(*scopes, **options)

    async def close(self) -> None:
        """There is nothing to close."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        pass


class Times(dict[str, list[float]]):
    """Microseconds a call, by what was called; one number for each round."""

    def add(self, name: str, start: float) -> None:
        """A round has ended."""
        self.setdefault(name, []).append((time.perf_counter() - start) / CALLS * 1e6)

    def report(self, mode: str) -> None:
        """Print the medians of all rounds but the first, which warms up."""
        found = {name: median(each[1:]) for name, each in self.items()}
        for name, each in {**found, "our own share": found["bridge"] - found["seam"]}.items():
            print(f"{mode:6} {name:18} {each:6.0f} µs")


def settings(target: str) -> VaultSettings:
    """What a bridge makes of the target."""
    return configure(parse_url(target)._replace(credential=TOKEN))


def run_sync(url: str, ca: str, target: str) -> None:
    """The sync half."""
    times, vault = Times(), Vault(settings(target), BLOCKING)
    request = f"{url}/secrets/a/?api-version={API_VERSION}"
    with (
        kmsbridge.connect(target, credential=TOKEN) as bridge,
        SecretClient(url, TOKEN, connection_verify=ca, verify_challenge_resource=False) as client,
    ):
        subjects: dict[str, Callable[[], object]] = {
            "bridge": lambda: bridge.secrets.get("a"),
            "seam": lambda: vault._client.send_request(HttpRequest("GET", request), stream=True),
            "SDK's get_secret": lambda: client.get_secret("a"),
        }
        for _ in range(ROUNDS):
            for name, call in subjects.items():
                start = time.perf_counter()
                for _ in range(CALLS):
                    call()
                times.add(name, start)
    drive(vault.close())
    times.report("sync")


async def run_async(url: str, ca: str, target: str) -> None:
    """The async half."""
    times, runtime = Times(), AsyncioRuntime()
    vault = Vault(settings(target), runtime)
    request = f"{url}/secrets/a/?api-version={API_VERSION}"
    async with (
        kmsbridge.connect_async(target, credential=TOKEN) as bridge,
        # given ca=, the SDK reads that file again for each request; with a session of one's own it does not
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=ca))) as session,
        AioSecretClient(
            url,
            AioToken(),
            transport=AioHttpTransport(session=session, session_owner=False),
            verify_challenge_resource=False,
        ) as client,
    ):
        subjects: dict[str, Callable[[], Awaitable[object]]] = {
            "bridge": lambda: bridge.secrets.get("a"),
            "seam": lambda: runtime.settle(vault._client.send_request(HttpRequest("GET", request), stream=True)),
            "SDK's get_secret": lambda: client.get_secret("a"),
        }
        for _ in range(ROUNDS):
            for name, call in subjects.items():
                start = time.perf_counter()
                for _ in range(CALLS):
                    await call()
                times.add(name, start)
    await vault.close()
    times.report("async")


def main() -> None:
    """Start the server, and measure both modes against it."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(there,), daemon=True)
    process.start()
    port, pem = here.recv()
    with tempfile.TemporaryDirectory() as folder:
        ca = os.path.join(folder, "ca.pem")
        with open(ca, "wb") as file:
            file.write(pem)
        url, target = f"https://localhost:{port}", f"azure-keyvault://localhost:{port}?ca={ca}&verify_challenge=false"
        run_sync(url, ca, target)
        asyncio.run(run_async(url, ca, target))
    process.terminate()
    process.join()


if __name__ == "__main__":
    main()
