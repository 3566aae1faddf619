"""The server under every emulator: HTTP/1.1 on loopback, what it refuses, and emulators that stand alone."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import queue
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest

from kmsbridge import connect
from kmsbridge.emulation import Answer, Cut, Emulator, Reset, serve
from kmsbridge_azure_keyvault.emulator import KeyVault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GET = b"GET /secrets/a?api-version=7.4 HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    """One emulator for all tests of this module; without tokens it answers 401, which is all they need."""
    with Emulator(KeyVault()) as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator) -> Emulator:
    """The same without failures or requests."""
    running.reset()
    return running


def context(emulator: Emulator) -> ssl.SSLContext:
    """The client's side of TLS."""
    return ssl.create_default_context(cadata=emulator.ca_pem.decode())


@contextlib.contextmanager
def connected(emulator: Emulator) -> Iterator[ssl.SSLSocket]:
    """One connection, as a client has it."""
    with (
        socket.create_connection(("127.0.0.1", emulator.port), 5) as plain,
        context(emulator).wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        yield connection


class Answered(NamedTuple):
    """One answer, read to its end."""

    status: int
    size: int


def answers(connection: ssl.SSLSocket, count: int = 1) -> list[Answered]:
    """The next so many answers."""
    found = []
    with connection.makefile("rb") as reader:
        for _ in range(count):
            status = int(reader.readline().split()[1])
            length = int(http.client.parse_headers(reader)["Content-Length"])
            found.append(Answered(status, len(reader.read(length))))
    return found


def ask(connection: ssl.SSLSocket, sent: bytes) -> bytes:
    """Everything that comes back until the server ends the connection."""
    connection.sendall(sent)
    received = b""
    while part := connection.recv(65536):
        received += part
    return received


def test_requests_on_one_connection(emulator: Emulator) -> None:
    """Requests that were sent together are answered in order on the same connection."""
    with connected(emulator) as connection:
        connection.sendall(GET * 3)
        assert [answer.status for answer in answers(connection, 3)] == [401, 401, 401]
    assert len({seen.connection for seen in emulator.requests}) == 1


def test_a_connection_ends_when_asked(emulator: Emulator) -> None:
    """``Connection: close`` is honoured."""
    with connected(emulator) as connection:
        assert ask(connection, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")).startswith(b"HTTP/1.1 401 ")


def test_a_body_in_chunks(emulator: Emulator) -> None:
    """A body may come in chunks, and after the server has asked for it."""
    head = b"POST /x HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
    with connected(emulator) as connection:
        connection.sendall(head)
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"3\r\nabc\r\n0\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 200_000 + b"\r\n\r\n", b"431"),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4194305\r\n\r\n" + b"x" * 4_194_305, b"413"),
    ],
    ids=["no request", "no host", "no length", "large head", "large body"],
)
def test_what_is_no_request_is_refused(emulator: Emulator, sent: bytes, status: bytes) -> None:
    """The answer names the reason, the connection ends, and nothing reaches the service."""
    with connected(emulator) as connection:
        assert ask(connection, sent).split()[1] == status
    assert len(emulator.requests) == 0
    with connected(emulator) as connection:
        connection.sendall(GET)
        assert answers(connection)[0].status == 401


@pytest.mark.parametrize(
    "sent", [b"", b"GET /secrets HT", b"PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx"]
)
def test_a_client_that_leaves_does_no_harm(emulator: Emulator, sent: bytes) -> None:
    """Before, within or after a request: the next client is served."""
    for _ in range(20):
        with connected(emulator) as connection:
            connection.sendall(sent)
    with connected(emulator) as connection:
        connection.sendall(GET)
        assert answers(connection)[0].status == 401


def test_a_client_that_speaks_no_tls(emulator: Emulator) -> None:
    """Plain HTTP is not answered as HTTP."""
    with socket.create_connection(("127.0.0.1", emulator.port), 5) as plain:
        plain.sendall(GET)
        with contextlib.suppress(ConnectionResetError):
            assert not plain.recv(100).startswith(b"HTTP")
    assert len(emulator.requests) == 0


def test_a_reset_is_a_reset(emulator: Emulator) -> None:
    """What arrives is TCP's RST, and neither an end of TLS nor of TCP."""
    received, to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context(emulator).wrap_bio(received, to_send, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", emulator.port), 5) as plain:

        def until_done(work: Any) -> None:
            for _ in range(20):
                try:
                    work()
                except ssl.SSLWantReadError:
                    plain.sendall(to_send.read())
                    received.write(plain.recv(65536))
                else:
                    plain.sendall(to_send.read())
                    return

        until_done(tls.do_handshake)
        emulator.fail("Challenge", Reset())
        until_done(lambda: tls.write(GET))
        with pytest.raises(ConnectionResetError):
            until_done(lambda: tls.read(100))


def test_a_large_answer(emulator: Emulator) -> None:
    """50 MB, and ten thousand headers, are sent as they are."""
    emulator.fail("Challenge", Answer(503, (), bytes(50_000_000)))
    with connected(emulator) as connection:
        connection.sendall(GET)
        assert answers(connection) == [Answered(503, 50_000_000)]
    emulator.fail("Challenge", Answer(503, tuple((f"x-{number}", "y") for number in range(10_000))))
    with connected(emulator) as connection:
        connection.sendall(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        received = b""
        while part := connection.recv(65536):
            received += part
    assert received.count(b": y\r\n") == 10_000


def test_many_clients_at_once(emulator: Emulator) -> None:
    """200 connections, all open, are all answered."""
    with contextlib.ExitStack() as stack:
        open_ones = [stack.enter_context(connected(emulator)) for _ in range(200)]
        for connection in open_ones:
            connection.sendall(GET)
        assert {answers(connection)[0].status for connection in open_ones} == {401}
    assert len({seen.connection for seen in emulator.requests}) == 200


def test_a_hanging_client_holds_nobody_up(emulator: Emulator) -> None:
    """While one answer hangs, others are given."""
    emulator.fail("Challenge", Cut(1, "hang"))
    with connected(emulator) as waiting, connected(emulator) as other:
        waiting.sendall(GET)
        waiting.recv(10)
        other.sendall(GET)
        assert answers(other)[0].status == 401


def test_stopping_ends_what_hangs() -> None:
    """An emulator stops at once, whatever its clients are waiting for."""
    with Emulator(KeyVault()) as emulator:
        emulator.fail("Challenge", Cut(1, "hang"))
        with connected(emulator) as waiting:
            waiting.sendall(GET)
            waiting.recv(10)
            started = time.monotonic()
            emulator.stop()
            assert time.monotonic() - started < 2
        emulator.stop()


# -- stand-alone ------------------------------------------------------------------------


def call(told: dict[str, Any], method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """A call to the control path of an emulator that stands alone."""
    trust = ssl.create_default_context(cafile=told["ca_file"])
    port = int(told["url"].rpartition(":")[2])
    connection = http.client.HTTPSConnection("localhost", port, context=trust, timeout=5)
    try:
        sent = None if body is None else json.dumps(body)
        connection.request(method, f"/_emulator/{path}", sent, {"X-Emulator-Token": told["token"], **headers})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_emulators_stand_alone(tmp_path: Path) -> None:
    """`serve` says where they are, is steered over the control path, and ends when told."""
    said: queue.Queue[str] = queue.Queue()
    over = threading.Event()
    ca_file = str(tmp_path / "ca.pem")
    thread = threading.Thread(
        target=serve, args=(["azure-keyvault"],),
        kwargs={"ca_file": ca_file, "as_json": True, "say": said.put, "until": over},
    )
    thread.start()
    try:
        told = json.loads(said.get(timeout=10))
        assert (told["name"], told["ca_file"]) == ("azure-keyvault", ca_file)
        assert told["environment"]["NODE_EXTRA_CA_CERTS"] == ca_file
        assert call(told, "POST", "failures", {"operation": "Challenge", "with": "Throttled"}) == (200, {})
        assert call(told, "PATCH", "settings", {"deletion_polls": 2})[1]["deletion_polls"] == 2
        assert call(told, "GET", "requests") == (200, [])
        assert call(told, "GET", "requests", **{"X-Emulator-Token": "guess"})[0] == 401
        assert call(told, "GET", "requests", Origin="https://evil.example")[0] == 403
    finally:
        over.set()
        thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_a_signal(number: signal.Signals) -> None:
    """`kmsbridge emulate` prints how to use it, removes its temporary file, and ends without a word."""
    command = [sys.executable, "-m", "kmsbridge.cli", "emulate", "azure-keyvault", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        told = json.loads(process.stdout.readline())
        assert call(told, "GET", "operations")[0] == 200
        process.send_signal(number)
        assert (process.wait(10), process.stderr.read()) == (0, "")
    with pytest.raises(FileNotFoundError):
        open(told["ca_file"])  # noqa: SIM115 - it is not there


def test_a_person_is_told_how_to_use_it() -> None:
    """Without --json, the address, the variables and the lines of code are printed."""
    said: queue.Queue[str] = queue.Queue()
    over = threading.Event()
    over.set()
    serve(["azure-keyvault"], say=said.put, until=over)
    text = said.get_nowait()
    for words in ("azure-keyvault listens on https://localhost:", "X-Emulator-Token: ", "export AZURE_TENANT_ID=",
                  "verify_challenge_resource=False", "disableChallengeResourceVerification: true"):
        assert words in text


def test_the_printed_address_is_one_of_ours() -> None:
    """What a person is told to set makes kmsbridge talk to it, once the shell has put the file in its place."""
    with tempfile.NamedTemporaryFile(suffix=".pem") as file, Emulator(KeyVault()) as emulator:
        emulator.write_ca(file.name)
        found = re.search(r'export KMSBRIDGE_PROFILE="(.+)"', emulator.backend.usage)
        assert found is not None
        with (
            patch.dict(os.environ, emulator.backend.environment),
            connect(found[1].replace("$SSL_CERT_FILE", file.name)) as bridge,
        ):
            bridge.secrets.set("a", "value")
            assert bridge.secrets.get("a").value == "value"


@pytest.mark.parametrize(("more", "says"), [
    ((), "cannot listen on localhost:{port}: Address already in use"),
    (("--ca-file", "/nowhere/ca.pem", "--port", "0"), "/nowhere/ca.pem cannot be written: No such file or directory"),
])  # fmt: skip
def test_what_the_system_refuses_is_told(emulator: Emulator, more: tuple[str, ...], says: str) -> None:
    """A port that is taken, and a file that cannot be written."""
    command = [sys.executable, "-m", "kmsbridge.cli", "emulate", "azure-keyvault", "--port", str(emulator.port), *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(says.format(port=emulator.port))
    assert done.stdout == ""


def test_a_port_is_taken_on_either_address() -> None:
    """Some clients of ``localhost`` try one first, some the other: neither may reach somebody else."""
    try:
        other = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:  # a machine without IPv6 has only the one
        with Emulator(KeyVault()) as emulator, socket.create_connection(("127.0.0.1", emulator.port), 5):
            return
    with other, pytest.raises(OSError, match="in use"), Emulator(KeyVault(), port=other.getsockname()[1]):
        pass


def test_a_stopped_emulator_refuses(tmp_path: Path) -> None:
    """After its end nothing listens, and its port can be had again."""
    with Emulator(KeyVault()) as first:
        port = first.port
        with pytest.raises(OSError, match="in use"), Emulator(KeyVault(), port=port):
            pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1)
    with Emulator(KeyVault(), port=port) as second:
        assert second.port == port
        assert second.write_ca(str(tmp_path / "ca.pem")).endswith("ca.pem")
