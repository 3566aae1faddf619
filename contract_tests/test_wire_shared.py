"""One wire shared by threads, tasks, loops and forked processes; cancelled, interrupted, closed; and what it tells."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import io
import logging
import os
import random
import threading
import time
import traceback
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest

from contract_tests.wire_client import Client, url
from contract_tests.wire_faults import HEAD, Authority, Faults
from kmsbridge._decode import Decoder, Phase, Refused
from kmsbridge._wire import CONNECTIONS, _loop
from kmsbridge._wire._blocking import Wire, _Reader
from kmsbridge._wire._loop import AsyncWire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.filterwarnings("error")
CANARY = "canary-7f3a"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority of this test run."""
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(params=["http", "https"])
def server(request: pytest.FixtureRequest, authority: Authority) -> Iterator[Faults]:
    """A server without TLS, and one with it."""
    with Faults(authority.server("localhost") if request.param == "https" else None) as running:
        yield running


@pytest.fixture
def wire(authority: Authority) -> Iterator[Wire]:
    """A sync wire."""
    with closing(Wire(ca=authority.file, plain=True)) as opened:
        yield opened


@pytest.fixture(params=["sync", "async"])
def client(request: pytest.FixtureRequest, authority: Authority) -> Iterator[Client]:
    """A wire in each mode."""
    with closing(Client(request.param, authority.file, True)) as opened:
        yield opened


def read(wire: Wire, server: Faults, name: str) -> bool:
    """Whether one read gives what was asked for."""
    return wire.request("GET", url(server, f"ok/{name}"), {}, timeout=10).body == f"/ok/{name}".encode()


# -- threads and loops ------------------------------------------------------------------


def test_many_threads(wire: Wire, server: Faults) -> None:
    """64 threads on one sync wire get their own answers, over no more connections than allowed."""
    with ThreadPoolExecutor(64) as pool:
        found = list(pool.map(lambda number: read(wire, server, str(number)), range(64 * 20)))
    assert found == [True] * 1280
    assert server.connections <= CONNECTIONS
    assert sum(server.requests.values()) == 1280


def test_more_requests_than_connections(client: Client, server: Faults) -> None:
    """Beyond the limit a request waits for a connection, and no longer than it has time: then it was not sent."""
    wire = client.wire
    refused: list[Refused] = []

    def until_full() -> None:
        while server.requests.total() < CONNECTIONS:
            time.sleep(0.01)

    if isinstance(wire, Wire):

        def hold() -> None:
            with pytest.raises(Refused):
                wire.request("GET", url(server, "hang"), {}, timeout=3)

        holders = [threading.Thread(target=hold) for _ in range(CONNECTIONS)]
        for holder in holders:
            holder.start()
        until_full()
        with pytest.raises(Refused) as caught:
            wire.request("GET", url(server, "ok"), {}, timeout=0.2)
        refused.append(caught.value)
        server.drop()
        for holder in holders:
            holder.join(10)
    else:

        async def crowd() -> None:
            tasks = [
                asyncio.create_task(wire.request("GET", url(server, "hang"), {}, timeout=5)) for _ in range(CONNECTIONS)
            ]
            await asyncio.to_thread(until_full)
            with pytest.raises(Refused) as caught:
                await wire.request("GET", url(server, "ok"), {}, timeout=0.2)
            refused.append(caught.value)
            server.drop()
            await asyncio.gather(*tasks, return_exceptions=True)

        client.run(crowd())
    assert refused[0].answer.phase is Phase.BEFORE_SEND
    assert isinstance(refused[0].answer.exception, TimeoutError)
    assert ("GET", "/ok") not in server.requests
    assert client.request("GET", url(server, "ok")).status == 200


def test_many_tasks(authority: Authority, server: Faults) -> None:
    """Many tasks on one async wire get their own answers, over no more connections than allowed."""

    async def main() -> None:
        wire = AsyncWire(ca=authority.file, plain=True)
        answers = await asyncio.gather(
            *(wire.request("GET", url(server, f"ok/{number}"), {}, timeout=20) for number in range(500))
        )
        assert [answer.body for answer in answers] == [f"/ok/{number}".encode() for number in range(500)]
        await wire.close()

    asyncio.run(main())
    assert server.connections <= CONNECTIONS


def test_one_wire_per_loop(authority: Authority, server: Faults) -> None:
    """Each event loop has a wire of its own; in another loop a wire says so, and sends nothing."""

    async def use(wire: AsyncWire) -> int | None:
        return (await wire.request("GET", url(server, "ok"), {}, timeout=5)).status

    for _ in range(5):
        wire = AsyncWire(ca=authority.file, plain=True)
        with asyncio.Runner() as runner, asyncio.Runner() as other:
            assert runner.run(use(wire)) == 200
            with pytest.raises(RuntimeError, match="another event loop"):
                other.run(use(wire))
            assert runner.run(use(wire)) == 200
            runner.run(wire.close())
    assert server.requests.total() == 10


def test_a_closed_wire(client: Client, server: Faults) -> None:
    """A closed wire has no connection open, and refuses requests; to close it again does no harm."""
    client.request("GET", url(server, "ok"))
    client.close_wire()
    client.close_wire()
    assert server.open_after(0) == 0
    with pytest.raises(RuntimeError, match="closed"):
        client.request("GET", url(server, "ok"))


def test_closed_while_in_use(wire: Wire, server: Faults) -> None:
    """A connection that is in use when the wire is closed is closed once its answer is there."""
    started = threading.Event()

    def slow(head: bytes, body: bytes) -> bytes:
        del head, body
        started.set()
        time.sleep(0.2)
        return HEAD % b"200 OK" + b"Content-Length: 0\r\n\r\n"

    server.answers["slow"] = slow
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(wire.request, "GET", url(server, "slow"), {}, timeout=5)
        started.wait(5)
        wire.close()
        assert future.result().status == 200
    assert server.open_after(0) == 0


# -- fork -------------------------------------------------------------------------------


@contextmanager
def children(count: int, work: Callable[[int], bool]) -> Iterator[None]:
    """Forked processes that do some work; each must say that it went well."""
    pids = []
    for number in range(count):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that there are threads is the point
            pid = os.fork()
        if pid == 0:
            good = False
            try:
                faulthandler.dump_traceback_later(30, exit=True, file=2)  # a child that hangs says where
                good = work(number)
                gc.collect()
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(0 if good else 1)
        pids.append(pid)
    yield
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0] * count


def test_fork_with_warm_connections(wire: Wire, server: Faults) -> None:
    """After a fork, parent and 4 children read 200 times each: every answer is right, the parent's connections live."""

    def work(child: int) -> bool:
        return all(read(wire, server, f"{child}/{number}") for number in range(200))

    # The threads live on: at its end a thread takes a lock of glibc's resolver, which no fork sets free.
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda number: read(wire, server, str(number)), range(64)))
        warm = server.connections
        with children(4, work):
            assert all(read(wire, server, f"parent/{number}") for number in range(200))
    assert server.connections == warm + 4
    assert server.requests.total() == 64 + 5 * 200


def test_a_child_leaves_the_parents_connections_alone(client: Client, server: Faults) -> None:
    """Whatever a child does with what it inherited, the parent goes on over the connection it had."""
    client.request("GET", url(server, "ok"))

    def work(_: int) -> bool:
        wire = client.wire
        if isinstance(wire, Wire):
            wire.close()
        else:
            with asyncio.Runner() as runner:
                runner.run(wire.close())
        _loop._INHERITED.clear()  # as at the end of an interpreter
        return gc.collect() >= 0

    for _ in range(3):
        with children(1, work):
            pass
        for number in range(5):
            assert client.request("GET", url(server, f"ok/{number}")).body == f"/ok/{number}".encode()
    assert server.connections == 1


@pytest.mark.parametrize("client", ["async"], indirect=True)
def test_an_async_wire_in_a_child(client: Client, server: Faults) -> None:
    """In a child, a wire that the parent has used serves a loop of the child, over connections of its own."""
    wire = client.wire
    assert isinstance(wire, AsyncWire)
    client.request("GET", url(server, "ok/warm"))

    def work(child: int) -> bool:
        async def reads() -> bool:
            for number in range(50):
                path = f"ok/{child}/{number}"
                if (await wire.request("GET", url(server, path), {}, timeout=5)).body != f"/{path}".encode():
                    return False
            await wire.close()
            return True

        return asyncio.run(reads())

    with children(4, work):
        assert client.request("GET", url(server, "ok")).status == 200
    assert server.connections == 5


# -- cancelled and interrupted ----------------------------------------------------------


@pytest.mark.parametrize("path", ["ok", "hang", "hang-body", "drip-body"])
def test_cancelled_at_every_point(path: str, authority: Authority, server: Faults) -> None:
    """However far a request got, to cancel it is heard, and leaves no connection and no place in the pool taken."""

    async def main() -> int:
        wire = AsyncWire(ca=authority.file, plain=True)
        cancelled = 0
        for turns in [*range(1, 80), 250]:
            task = asyncio.create_task(wire.request("GET", url(server, path), {}, timeout=5))
            for turn in range(turns):
                await asyncio.sleep(0 if turn < 60 else 0.0001)
            if task.done():
                assert (await task).status == 200
                break
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            cancelled += 1
        await asyncio.sleep(0.05)
        assert server.open_after(1) <= 1
        assert (await wire.request("GET", url(server, "ok"), {}, timeout=5)).status == 200
        await wire.close()
        return cancelled

    cancelled = asyncio.run(main())
    assert cancelled > 3 if path == "ok" else cancelled == 80, cancelled
    assert server.open_after(0) == 0


def test_cancelled_at_the_last_byte(authority: Authority, server: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that was given back before its task heard that it is cancelled stays open: another may use it."""
    tasks: list[asyncio.Task[object]] = []
    feed_eof = aiohttp.StreamReader.feed_eof

    def fed(self: aiohttp.StreamReader) -> None:
        feed_eof(self)
        for task in tasks:
            task.cancel()

    async def main() -> None:
        wire = AsyncWire(ca=authority.file, plain=True)
        assert (await wire.request("GET", url(server, "ok"), {}, timeout=5)).status == 200
        monkeypatch.setattr(aiohttp.StreamReader, "feed_eof", fed)
        tasks.append(asyncio.create_task(wire.request("GET", url(server, "late"), {}, timeout=5)))
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]
        tasks.clear()
        monkeypatch.setattr(aiohttp.StreamReader, "feed_eof", feed_eof)
        assert (await wire.request("GET", url(server, "ok"), {}, timeout=5)).status == 200
        await wire.close()

    asyncio.run(main())
    assert server.connections == 1


def test_a_cancelled_task_harms_no_other(authority: Authority, server: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where tasks share two connections and half of them are cancelled at any moment, the others get their answers."""
    monkeypatch.setattr("kmsbridge._wire._loop.CONNECTIONS", 2)

    async def main(seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 - any moment will do
        wire = AsyncWire(ca=authority.file, plain=True)
        for _ in range(30):
            tasks = [
                asyncio.create_task(wire.request("GET", url(server, f"ok/{number}"), {}, timeout=10))
                for number in range(12)
            ]
            for number in range(0, 12, 2):
                for _ in range(chance.randrange(12)):
                    await asyncio.sleep(0)
                tasks[number].cancel()
            for number in range(1, 12, 2):
                assert (await tasks[number]).body == f"/ok/{number}".encode()
            await asyncio.gather(*tasks, return_exceptions=True)
        await wire.close()

    for seed in range(4):
        asyncio.run(main(seed))


def test_interrupted(wire: Wire, server: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    """A KeyboardInterrupt comes through as it is, and leaves neither a connection nor a place in the pool taken."""
    plain = _Reader.readinto
    for _ in range(CONNECTIONS + 1):
        assert read(wire, server, "a")

        def interrupt(*_: object) -> int:
            raise KeyboardInterrupt

        monkeypatch.setattr(_Reader, "readinto", interrupt)
        with pytest.raises(KeyboardInterrupt):
            wire.request("GET", url(server, "ok"), {}, timeout=5)
        monkeypatch.setattr(_Reader, "readinto", plain)
    assert server.open_after(0) == 0


# -- what it tells ----------------------------------------------------------------------


def test_nothing_is_told(client: Client, server: Faults, caplog: pytest.LogCaptureFixture) -> None:
    """No log of any library at DEBUG, no text of an exception and no repr holds query, header or body."""
    odd = b"Bad header %s\r\n" % CANARY.encode()
    server.answers["odd"] = HEAD % b"200 OK" + odd + b"Content-Length: 0\r\n\r\n"
    server.answers["bad-length"] = HEAD % b"200 OK" + b"Content-Length: " + CANARY.encode() + b"\r\n\r\n"
    server.answers["bad-chunk"] = HEAD % b"200 OK" + b"Transfer-Encoding: chunked\r\n\r\n" + CANARY.encode() + b"\r\n"
    server.answers["cookie"] = HEAD % b"200 OK" + b"Set-Cookie: " + CANARY.encode() + b"\r\nContent-Length: 0\r\n\r\n"
    told = io.StringIO()
    handler = logging.StreamHandler(told)
    handler.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
    logging.getLogger().addHandler(handler)
    caplog.set_level(logging.DEBUG)
    for name in ("urllib3", "aiohttp", "asyncio"):
        caplog.set_level(logging.DEBUG, logger=name)
    try:
        for fault in ("ok", "odd", "bad-length", "bad-chunk", "cookie", "reset", "not-http", "cut-body", "hang"):
            address = url(server, f"{fault}?sig={CANARY}")
            try:
                client.request("PUT", address, 0.3, CANARY.encode(), Authorization=CANARY)
            except Refused as refused:
                print(*traceback.format_exception_only(refused), repr(refused), file=told)
                error = Decoder("test").decode(refused.answer)
                print(error, repr(error), error.details(), error.to_dict(), file=told)
        print(repr(client.wire), str(client.wire), file=told)
        client.close_wire()
    finally:
        logging.getLogger().removeHandler(handler)
    assert "network_error" in told.getvalue()
    assert CANARY not in told.getvalue()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
