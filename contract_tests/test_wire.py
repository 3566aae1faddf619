"""The wire against servers that misbehave: every fault is one error that says how far the request got.

Each test runs in both modes, unless it says otherwise.
"""

from __future__ import annotations

import gc
import gzip
import os
import select
import socket
import tempfile
import time
import tracemalloc
import warnings
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest

from contract_tests.wire_client import Client, url
from contract_tests.wire_faults import HEAD, Authority, Faults, Proxy
from kmsbridge._decode import MAX_BODY, Answer, Decoder, Phase, Refused
from kmsbridge._errors import Code, Outcome
from kmsbridge._wire import _blocking
from kmsbridge.emulation import Emulator, Reset
from kmsbridge_azure_keyvault.emulator import KeyVault

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

TIMEOUT = 0.6
"""Seconds for a request that hangs; the server would let it hang for ten."""
CANARY = "canary-7f3a"

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority of this test run."""
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="session")
def localhost(authority: Authority) -> ssl.SSLContext:
    """A server's certificate for this machine."""
    return authority.server("localhost", "127.0.0.1")


@pytest.fixture(autouse=True)
def no_proxy_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables of who runs the tests do not count."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(params=["sync", "async"])
def client(request: pytest.FixtureRequest, authority: Authority) -> Iterator[Client]:
    """A wire in each mode."""
    with closing(Client(request.param, authority.file, True)) as opened:
        yield opened


@pytest.fixture
def server() -> Iterator[Faults]:
    """A server without TLS."""
    with Faults() as running:
        yield running


@pytest.fixture
def secure(localhost: ssl.SSLContext) -> Iterator[Faults]:
    """A server with TLS."""
    with Faults(localhost) as running:
        yield running


@pytest.fixture(params=["http", "https"])
def either(request: pytest.FixtureRequest) -> Faults:
    """A server without TLS, and one with it."""
    return cast("Faults", request.getfixturevalue("server" if request.param == "http" else "secure"))


# -- faults -----------------------------------------------------------------------------

SENT = (Phase.SENT, None, Code.NETWORK_ERROR)
FAULTS = {
    "close": SENT,
    "reset": SENT,
    "not-http": (Phase.HEADERS, None, Code.NETWORK_ERROR),
    "cut-headers": (Phase.HEADERS, 503, Code.SERVICE_UNAVAILABLE),
    "cut-body": (Phase.BODY, 503, Code.SERVICE_UNAVAILABLE),
    "cut-chunk": (Phase.BODY, 200, Code.NETWORK_ERROR),
    "reset-body": (Phase.BODY, 503, Code.SERVICE_UNAVAILABLE),
    "long-success": (Phase.BODY, 200, Code.INTERNAL_ERROR),
}
LATE = {
    "hang": (Phase.SENT, None, Code.TIMEOUT),
    "hang-body": (Phase.BODY, 503, Code.SERVICE_UNAVAILABLE),
    "drip-headers": (None, None, Code.TIMEOUT),
    "drip-body": (Phase.BODY, 200, Code.TIMEOUT),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_breaks(fault: str, client: Client, either: Faults) -> None:
    """Whatever breaks after the request was sent says how far it came, keeps the status, and may have been applied."""
    answer = client.refused("GET", url(either, fault))
    error = Decoder("test").decode(answer)
    assert (answer.phase, answer.status, error.code) == FAULTS[fault]
    assert error.outcome is Outcome.UNKNOWN
    assert answer.header("x-ms-request-id") == ("r-1" if answer.phase is Phase.BODY else None)
    assert either.requests == {("GET", f"/{fault}"): 1}


@pytest.mark.parametrize("fault", LATE)
def test_what_hangs(fault: str, client: Client, either: Faults) -> None:
    """A server that hangs, or sends a byte now and then, at any point, is given up when the time is over."""
    started = time.monotonic()
    answer = client.refused("GET", url(either, fault), TIMEOUT)
    assert TIMEOUT <= time.monotonic() - started < TIMEOUT + 2
    phase, status, code = LATE[fault]
    error = Decoder("test").decode(answer)
    if phase is not None:  # within the headers, the two clients see different things
        assert (answer.phase, answer.status) == (phase, status)
    assert (error.code, error.outcome) == (code, Outcome.UNKNOWN)
    assert isinstance(answer.exception, TimeoutError)
    client.settle()
    assert client.open_sockets() == either.open_after(0) == 0
    assert either.requests == {("GET", f"/{fault}"): 1}


def test_a_server_that_does_not_read(client: Client, either: Faults) -> None:
    """A body that the server does not take is given up when the time is over, and its connection at once."""
    started = time.monotonic()
    with pytest.raises(Refused) as caught:
        client.request("PUT", url(either, "unread"), TIMEOUT, b"x" * 12_000_000)
    assert TIMEOUT <= time.monotonic() - started < TIMEOUT + 2
    assert caught.value.answer.phase is Phase.SENT
    client.settle()
    assert client.open_sockets() == 0


def before_send(client: Client, address: str, code: Code = Code.NETWORK_ERROR, timeout: float = 5.0) -> Answer:
    """Fails before anything is sent, and says so."""
    answer = client.refused("PUT", address, timeout)
    error = Decoder("test").decode(answer)
    assert (answer.phase, answer.status, error.code) == (Phase.BEFORE_SEND, None, code)
    assert error.outcome is Outcome.NOT_SENT
    return answer


def test_refused(client: Client) -> None:
    """A port where nobody listens: not sent."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    before_send(client, f"http://127.0.0.1:{port}/")


def test_a_name_that_does_not_resolve(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that has no address: not sent."""

    def resolve(*args: object, **kwargs: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, f"{CANARY}: {args}{kwargs}")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    before_send(client, "https://nowhere.example.com/")


@contextmanager
def deaf() -> Iterator[int]:
    """A port that answers no further connection: its queue is full."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port = listening.getsockname()[1]
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        time.sleep(0.05)
        yield port


def test_a_host_that_does_not_answer(client: Client) -> None:
    """A connection that does not come about in time: not sent."""
    with deaf() as port:
        started = time.monotonic()
        answer = before_send(client, f"http://127.0.0.1:{port}/", Code.TIMEOUT, TIMEOUT)
        assert TIMEOUT <= time.monotonic() - started < TIMEOUT + 2
        assert isinstance(answer.exception, TimeoutError)


def test_the_next_address_is_tried(client: Client, server: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a host with several addresses, one that does not answer leaves time for the next."""
    with deaf() as port:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", p)) for p in (port, server.port)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        assert client.request("GET", f"http://localhost:{server.port}/ok", 2.0).body == b"/ok"


def test_a_handshake_that_hangs(client: Client, server: Faults) -> None:
    """A server that does not answer the TLS greeting is given up when the time is over: not sent."""
    before_send(client, f"https://localhost:{server.port}/", Code.TIMEOUT, TIMEOUT)


def test_a_handshake_that_breaks(client: Client) -> None:
    """A server that speaks something else than TLS: not sent."""
    with Faults() as other:
        other.greeting = b"220 mail.example.com ESMTP\r\n"
        before_send(client, f"https://localhost:{other.port}/")


def test_an_unknown_authority(secure: Faults) -> None:
    """A certificate that the system's authorities did not sign is refused: not sent, never to be tried again."""
    for mode in ("sync", "async"):
        with closing(Client(mode, None, True)) as client:
            answer = before_send(client, url(secure, "ok"))
            assert "TLS certificate" in str(Decoder("test").decode(answer))
    assert not secure.requests


def test_a_wrong_name(client: Client, authority: Authority) -> None:
    """A certificate for another host is refused, whoever signed it: not sent."""
    with Faults(authority.server("elsewhere.example.com")) as elsewhere:
        answer = before_send(client, url(elsewhere, "ok"))
        assert "TLS certificate" in str(Decoder("test").decode(answer))
        assert not elsewhere.requests


def test_an_authority_file_that_is_missing(secure: Faults) -> None:
    """A file of certificates that is not there is an error, not a reason to trust others: not sent."""
    for mode in ("sync", "async"):
        with closing(Client(mode, "/nonexistent/ca.pem", True)) as client:
            before_send(client, url(secure, "ok"), Code.UNKNOWN)


def test_no_time_left(client: Client, server: Faults) -> None:
    """With no time left nothing is sent."""
    for timeout in (0.0, -1.0):
        before_send(client, url(server, "ok"), Code.TIMEOUT, timeout)
    assert not server.requests


def test_requests_that_are_none(client: Client, server: Faults) -> None:
    """A URL or header that is none is refused before anything is sent."""
    for address in ("http://example.com/", "https://u:p@localhost/", "nonsense", f"{url(server, 'ok')}\r\nX: y"):
        assert client.refused("GET", address).phase is Phase.BEFORE_SEND
    assert client.refused("GET", url(server, "ok"), X="a\r\nY: b").phase is Phase.BEFORE_SEND
    assert not server.requests


# -- answers ----------------------------------------------------------------------------


def test_what_is_sent(client: Client, server: Faults) -> None:
    """Host, the caller's headers and the length of the body are sent, and nothing else: no cookie, no encoding."""
    server.answers["cookie"] = HEAD % b"200 OK" + b"Set-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n"
    client.request("GET", url(server, "cookie"))
    client.request("PUT", url(server, "ok/a%2Fb?x=%20+&y="), 5, b"{}", Authorization="Bearer x", Host="other")
    client.request("POST", url(server, "ok"))
    sent = [sorted(head.decode().split("\r\n")[1:]) for head in server.heads]
    host = f"Host: localhost:{server.port}"
    assert sent == [[host], ["Authorization: Bearer x", "Content-Length: 2", host], ["Content-Length: 0", host]]
    assert ("PUT", "/ok/a%2Fb?x=%20+&y=") in server.requests
    assert server.bodies == [b"", b"{}", b""]


def test_a_redirect_is_an_answer(client: Client, server: Faults) -> None:
    """A redirect is not followed."""
    server.answers["moved"] = HEAD % b"302 Found" + b"Location: /ok\r\nContent-Length: 0\r\n\r\n"
    answer = client.request("GET", url(server, "moved"))
    assert (answer.status, answer.header("location")) == (302, "/ok")
    assert server.requests == {("GET", "/moved"): 1}


@pytest.mark.parametrize("status", [b"200 OK", b"403 Forbidden"])
def test_an_encoding_is_not_undone(status: bytes, client: Client, server: Faults) -> None:
    """A body comes as it was sent: a false label does no harm, and a bomb stays packed."""
    for body in (b'{"a": 1}', gzip.compress(b"0" * 10_000_000)):
        label = b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
        server.answers["packed"] = HEAD % status + label + body
        assert client.request("GET", url(server, "packed")).body == body


@pytest.mark.parametrize("status", [204, 304, 400, 401, 404, 429, 500, 599, 999])
def test_any_status_is_an_answer(status: int, client: Client, server: Faults) -> None:
    """The wire judges no status; all header fields come, in order, with those that come twice."""
    server.answers["s"] = HEAD % f"{status} Odd".encode() + b"X-Twice: 1\r\nx-twice: 2\r\nContent-Length: 0\r\n\r\n"
    answer = client.request("GET", url(server, "s"))
    assert answer.status == status
    assert answer.all("x-twice") == ["1", "2"]
    assert answer.headers[0] == ("Content-Type", "application/json")
    assert answer.received_at is not None
    assert abs(answer.received_at - time.time()) < 60


def test_bytes_in_headers(client: Client, server: Faults) -> None:
    """Header bytes beyond ASCII come as Latin-1, alike in both modes."""
    server.answers["odd"] = HEAD % b"200 OK" + b"X-Odd: \xe9\xff\r\nContent-Length: 0\r\n\r\n"
    assert client.request("GET", url(server, "odd")).header("x-odd") == "\xe9\xff"


def test_a_body_of_many_pieces(client: Client, either: Faults) -> None:
    """A long body is sent, and a long chunked answer read, to the last byte."""
    body = os.urandom(1_000_000)
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(body[s : s + 999]), body[s : s + 999]) for s in range(0, len(body), 999))
    either.answers["big"] = HEAD % b"200 OK" + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    assert client.request("PUT", url(either, "big"), 10, body).body == body
    assert either.bodies == [body]
    assert client.request("GET", url(either, "ok")).body == b"/ok"
    assert either.connections == 1


def test_a_very_long_error(client: Client, server: Faults) -> None:
    """Of an error of 50 MB, 64 KiB are read, in little memory; the connection is given up."""
    client.request("GET", url(server, "ok"))
    tracemalloc.start()
    answer = client.request("GET", url(server, "long-error"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (answer.status, len(answer.body)) == (403, MAX_BODY)
    assert peak < 16 * 1024 * 1024
    client.settle()
    assert server.open_after(0) == 0


def test_a_thousand_headers(client: Client, server: Faults) -> None:
    """An answer with very many headers keeps its status, whether the client takes them all or gives up."""
    many = b"".join(b"X-%d: y\r\n" % number for number in range(1000))
    server.answers["many"] = HEAD % b"403 Forbidden" + many + b"Content-Length: 0\r\n\r\n"
    try:
        answer = client.request("GET", url(server, "many"))
    except Refused as refused:
        answer = refused.answer
    assert answer.status == 403


# -- one request on the wire ------------------------------------------------------------


@pytest.mark.parametrize("warm", [False, True], ids=["fresh", "kept-alive"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "POST", "PATCH"])
def test_nothing_is_sent_twice(method: str, warm: bool, client: Client, server: Faults) -> None:
    """Under a persistent fault each request is sent exactly once, on a fresh and on a kept connection."""
    for status in (b"429 Busy", b"503 Busy"):
        server.answers[status[:3].decode()] = HEAD % status + b"Retry-After: 0\r\nContent-Length: 0\r\n\r\n"
    for fault in ("reset", "close", "cut-headers", "429", "503"):
        if warm:
            client.request("GET", url(server, "ok"))
        else:
            server.drop()
            server.open_after(0)
        server.requests.clear()
        connections = server.connections
        if fault in server.answers:
            assert client.request(method, url(server, fault)).status == int(fault)
        else:
            assert client.refused(method, url(server, fault)).phase in (Phase.SENT, Phase.HEADERS)
        assert server.requests == {(method, f"/{fault}"): 1}
        assert server.connections == connections + (not warm)


def test_connections_are_kept(client: Client, either: Faults) -> None:
    """Requests one after the other share one connection, errors in between included."""
    either.answers["404"] = HEAD % b"404 No" + b"Content-Length: 2\r\n\r\n{}"
    for number in range(20):
        assert client.request("GET", url(either, f"ok/{number}")).body == f"/ok/{number}".encode()
        assert client.request("GET", url(either, "404")).status == 404
    assert either.connections == 1


def test_a_connection_that_was_closed(client: Client, either: Faults) -> None:
    """A kept connection that the server has closed in the meantime is not used."""
    client.request("GET", url(either, "ok"))
    either.drop()
    either.open_after(0)  # the event loop has had no turn to see it
    assert client.request("PUT", url(either, "ok")).status == 200
    assert either.requests == {("GET", "/ok"): 1, ("PUT", "/ok"): 1}
    assert either.connections == 2


def test_a_connection_that_is_not_to_be_kept(client: Client, server: Faults) -> None:
    """A connection that the answer says will be closed is not used again."""
    server.answers["last"] = HEAD % b"200 OK" + b"Connection: close\r\nContent-Length: 1\r\n\r\nx"
    for _ in range(3):
        assert client.request("GET", url(server, "last")).body == b"x"
    assert server.connections == 3


def test_an_old_connection_is_not_used(client: Client, server: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that nobody has used for long is closed rather than used."""
    monkeypatch.setattr("kmsbridge._wire._blocking.IDLE_SECONDS", 0.1)
    monkeypatch.setattr("kmsbridge._wire._loop.IDLE_SECONDS", 0.1)
    for _ in range(2):
        client.request("GET", url(server, "ok"))
        time.sleep(0.2)
        client.settle()
    assert server.connections == 2


# -- proxies ----------------------------------------------------------------------------


def test_through_a_proxy(client: Client, secure: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    """https goes through a tunnel; the proxy sees the login, the server does not, and the proxy not the request."""
    with Proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:{CANARY}@localhost:{proxy.port}")
        for number in range(3):
            assert client.request("GET", url(secure, f"ok/{number}"), Token="t-1").body == f"/ok/{number}".encode()
        (head,) = proxy.heads
        assert head.startswith(b"CONNECT localhost:%d HTTP/1." % secure.port)
        assert b"proxy-authorization: basic bwu6y2fuyxj5ltdmm2e=" in head.lower()
        assert b"t-1" not in head
        assert not any(b"proxy" in sent.lower() for sent in secure.heads)


def test_round_a_proxy(client: Client, secure: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_PROXY leads round it."""
    with Proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://localhost:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", "localhost")
        assert client.request("GET", url(secure, "ok")).status == 200
        assert not proxy.heads


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        (b"407 Proxy Authentication Required", 407, Code.NETWORK_FORBIDDEN),
        (b"403 Forbidden", None, Code.NETWORK_ERROR),
        (b"502 Bad Gateway", None, Code.NETWORK_ERROR),
    ],
)
def test_a_proxy_that_refuses(
    refusal: bytes,
    status: int | None,
    code: Code,
    client: Client,
    secure: Faults,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A proxy's refusal is not taken for the server's answer; one that asks for a login is told apart: not sent."""
    with Proxy(refusal) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://localhost:{proxy.port}")
        answer = client.refused("GET", url(secure, "ok"))
        assert (answer.phase, answer.status) == (Phase.BEFORE_SEND, status)
        assert Decoder("test").decode(answer).code is code
        assert not secure.requests


def test_a_connection_that_is_reset_before_tls_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the reset is there before TLS begins, as on a busy machine: `ssl` would leave that socket open."""

    def opened(connection: Any) -> socket.socket:
        sock = connect(connection)
        seen = select.poll()
        seen.register(sock, 0)  # a reset is told unasked
        assert seen.poll(10_000)
        return sock

    connect = _blocking._opened
    monkeypatch.setattr(_blocking, "_opened", opened)
    with (
        Emulator(KeyVault()) as emulator,
        tempfile.NamedTemporaryFile() as ca,
        warnings.catch_warnings(record=True) as told,
    ):
        warnings.simplefilter("always")
        emulator.write_ca(ca.name)
        emulator.fail("Connect", Reset(), times=None)
        wire = _blocking.Wire(ca=ca.name)
        with pytest.raises(Refused) as caught:
            wire.request("GET", f"{emulator.url}/a", {}, timeout=10)
        wire.close()
        assert isinstance(caught.value.answer.exception, ConnectionResetError)
        assert caught.value.answer.phase is Phase.BEFORE_SEND
        del caught
        gc.collect()
        assert [str(each.message) for each in told] == []
