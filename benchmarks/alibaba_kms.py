"""What a read from Alibaba Cloud KMS costs through a bridge, beside the SDK. Targets: 450 µs sync, 600 async.

The server is another process on loopback, with TLS, and always ready: what is measured is
the client. It counts connections: the SDK's async client opens one for each call. "seam" is
the SDK's client over our wire as the driver uses it, without anything of ours above it; what
the bridge takes beyond that is our own share. The door of an instance is signed by RSA.
"""

from __future__ import annotations

import asyncio
import base64
import json
import multiprocessing
import os
import re
import tempfile
import time
from statistics import median
from typing import TYPE_CHECKING

from alibabacloud_kms20160120 import models
from alibabacloud_kms20160120.client import Client
from alibabacloud_tea_openapi.utils_models import Config
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from darabonba.runtime import RuntimeOptions

import kmsbridge
from kmsbridge._call import Call
from kmsbridge._config import parse_url
from kmsbridge._runtime import BLOCKING, AsyncioRuntime, drive
from kmsbridge.emulation._tls import Authority
from kmsbridge_alibaba_kms import _messages
from kmsbridge_alibaba_kms._client_key import KEY_VARIABLE
from kmsbridge_alibaba_kms._config import Login, configure
from kmsbridge_alibaba_kms._region import Region

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from multiprocessing.connection import Connection

ROUNDS = 30
CALLS = 50
SDK_CALLS = 5
"""Of the SDK's async client, which takes longer."""
SECRET = {"SecretName": "a", "VersionId": "v", "SecretData": "s3cret", "SecretDataType": "text", "RequestId": "0A1B"}
HEADERS = (
    b"Date: Mon, 01 Jan 2024 00:00:00 GMT\r\nAccess-Control-Allow-Origin: *\r\nx-acs-request-id: 0A1B\r\n"
    b"x-acs-trace-id: 0A1B\r\nConnection: keep-alive\r\n"
)


def answer(body: bytes, kind: bytes) -> bytes:
    """A success."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\n%sContent-Length: %d\r\n\r\n%s" % (kind, HEADERS, len(body), body)


OPENAPI = answer(json.dumps({**SECRET, "CreateTime": "2024-01-01T00:00:00Z"}).encode(), b"application/json")
INSTANCE = answer(_messages.written("GetSecretValueResponse", SECRET), b"application/x-protobuf")


class Server(asyncio.Protocol):
    """Answers a read at either door, and counts its connections."""

    connections = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """One more."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = b""
        Server.connections += 1

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole."""
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        if end and len(body) >= int(length[1] if length else 0):
            self._received = b""
            self._transport.write(INSTANCE if b"x-kms-apiname" in head.lower() else OPENAPI)


def serve(told: Connection) -> None:
    """The server's process: tells its port and its authority, and when asked its connections."""
    authority = Authority(["localhost"])

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0, ssl=authority.context())
        told.send((server.sockets[0].getsockname()[1], authority.pem))
        while True:
            if told.poll():
                told.recv()
                told.send(Server.connections)
            await asyncio.sleep(0.01)

    asyncio.run(main())


class Times(dict[str, list[float]]):
    """Microseconds a call, by what was called; one number for each round."""

    def add(self, name: str, start: float, calls: int) -> None:
        """A round has ended."""
        self.setdefault(name, []).append((time.perf_counter() - start) / calls * 1e6)

    def report(self, mode: str) -> None:
        """Print the medians of all rounds but the first, which warms up."""
        found = {name: median(each[1:]) for name, each in self.items()}
        for name, each in {**found, "our own share": found["bridge"] - found["seam"]}.items():
            print(f"{mode:6} {name:22} {each:7.0f} µs")
        print(f"{mode:6} {'bridge, of the SDK':22} {found['bridge'] / found['SDK']:7.1%}")


def sdk(port: int, ca: str) -> Client:
    """The SDK's client, as its users make it."""
    return Client(
        Config(
            endpoint=f"localhost:{port}", region_id="cn-hangzhou", ca=ca, access_key_id="id", access_key_secret="secret"
        )
    )


REQUEST = models.GetSecretValueRequest(secret_name="a")
OPTIONS = RuntimeOptions()
FIELDS = {"SecretName": "a"}


def run_sync(port: int, ca: str, target: str, instance: str) -> None:
    """The sync half."""
    times = Times()
    settings = configure(parse_url(target))
    region = Region(settings, Login("environment"), BLOCKING)
    client = sdk(port, ca)
    with kmsbridge.connect(target) as bridge, kmsbridge.connect(instance) as door:
        subjects: dict[str, Callable[[], object]] = {
            "bridge": lambda: bridge.secrets.get("a"),
            "seam": lambda: drive(region.exchange(Call("secrets.get", None, 30.0), "GetSecretValue", FIELDS, dict)),
            "bridge, instance": lambda: door.secrets.get("a"),
            "SDK": lambda: client.get_secret_value_with_options(REQUEST, OPTIONS),
        }
        for _ in range(ROUNDS):
            for name, call in subjects.items():
                start = time.perf_counter()
                for _ in range(CALLS):
                    call()
                times.add(name, start, CALLS)
    drive(region.close())
    times.report("sync")


async def run_async(port: int, ca: str, target: str, instance: str) -> None:
    """The async half."""
    times, runtime = Times(), AsyncioRuntime()
    region = Region(configure(parse_url(target)), Login("environment"), runtime)
    client = sdk(port, ca)
    async with kmsbridge.connect_async(target) as bridge, kmsbridge.connect_async(instance) as door:
        subjects: dict[str, Callable[[], Awaitable[object]]] = {
            "bridge": lambda: bridge.secrets.get("a"),
            "seam": lambda: region.exchange(Call("secrets.get", None, 30.0), "GetSecretValue", FIELDS, dict),
            "bridge, instance": lambda: door.secrets.get("a"),
            "SDK": lambda: client.get_secret_value_with_options_async(REQUEST, OPTIONS),
        }
        for _ in range(ROUNDS):
            for name, call in subjects.items():
                calls = SDK_CALLS if name == "SDK" else CALLS
                start = time.perf_counter()
                for _ in range(calls):
                    await call()
                times.add(name, start, calls)
    await region.close()
    times.report("async")


def count(here: Connection, target: str) -> None:
    """How many connections 1,000 calls take."""
    here.send(None)
    before = here.recv()
    with kmsbridge.connect(target) as bridge:
        for _ in range(1_000):
            bridge.secrets.get("a")
    here.send(None)
    print(f"connections for 1,000 reads: {here.recv() - before} sync", end=", ")

    async def main() -> None:
        async with kmsbridge.connect_async(target) as bridge:
            for _ in range(1_000):
                await bridge.secrets.get("a")

    here.send(None)
    before = here.recv()
    asyncio.run(main())
    here.send(None)
    print(f"{here.recv() - before} async")


def main() -> None:
    """Start the server, and measure both modes against it."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(there,), daemon=True)
    process.start()
    port, pem = here.recv()
    key = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    os.environ |= {
        "ALIBABA_CLOUD_ACCESS_KEY_ID": "id",
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "secret",
        KEY_VARIABLE: json.dumps({"KeyId": "KAAP", "PrivateKeyData": base64.b64encode(key).decode()}),
    }
    with tempfile.TemporaryDirectory() as folder:
        ca = os.path.join(folder, "ca.pem")
        with open(ca, "wb") as file:
            file.write(pem)
        target = f"alibaba-kms://cn-hangzhou?credential=environment&endpoint=localhost:{port}&ca={ca}"
        instance = f"alibaba-kms://cn-hangzhou?instance=kst-abcd&instance_endpoint=localhost:{port}&instance_ca={ca}"
        count(here, target)
        run_sync(port, ca, target, instance)
        asyncio.run(run_async(port, ca, target, instance))
    process.terminate()
    process.join()


if __name__ == "__main__":
    main()
