"""The sync half: urllib3's connections, in pools of our own.

urllib3's own pool cannot say how far a request got, begins its read timeout anew with
every byte, and writes the query of every request to its log at DEBUG. Its connections
do none of that: they bring TLS, the check of the host's name, and tunnels.
"""

from __future__ import annotations

import errno
import http.client
import io
import re
import socket
import ssl
from functools import partial
from time import monotonic
from typing import cast
from weakref import WeakSet

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import SKIP_HEADER

from kmsbridge._decode import Answer, Phase
from kmsbridge._permits import Permits
from kmsbridge._wire._request import (
    CHUNK,
    CONNECTIONS,
    IDLE_SECONDS,
    Attempt,
    Blocking,
    Broken,
    Origin,
    broken,
    origin_of,
    proxy_for,
    sendable,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from kmsbridge._wire._request import Proxy


class Wire(Blocking):
    """One pool of connections for each server, for any number of threads.

    Args:
        ca: A file of PEM certificates to trust instead of the system's.
        plain: Whether plain http to this machine is allowed.
    """

    def __init__(self, *, ca: str | None = None, plain: bool = False) -> None:
        super().__init__(ca=ca, plain=plain)
        self._pools: dict[Origin, _Pool] = {}
        self._sockets: WeakSet[socket.socket] = WeakSet()

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        timeout: float,
        connect_timeout: float | None = None,
    ) -> Answer:
        """Send one request, once, and read its answer.

        Args:
            method: Such as ``GET``.
            url: Absolute, quoted already; it is sent as it is.
            headers: Without those for framing and encoding, which are the wire's.
            body: Its length is sent with it.
            timeout: Seconds for all of it.
            connect_timeout: Seconds of these that opening a connection may take.

        Raises:
            Refused: There is no whole answer.
        """
        self._check_open()
        attempt = Attempt(timeout)
        failure: Exception
        try:
            return self._exchange(attempt, method, url, headers, body, connect_timeout)
        except http.client.HTTPException as error:
            failure = error if isinstance(error, OSError) else broken(error)
        except Exception as error:
            failure = error
        raise attempt.refused(failure)

    def _exchange(
        self,
        attempt: Attempt,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        connect_timeout: float | None,
    ) -> Answer:
        origin, path = origin_of(url, plain=self._plain)
        fields = sendable(method, headers)
        for name in ("Accept-Encoding", "User-Agent"):
            fields.setdefault(name, SKIP_HEADER)
        pool = self._pools.get(origin) or self._pools.setdefault(origin, _Pool(proxy_for(origin)))
        if not pool.permits.acquire(attempt.left()):
            raise TimeoutError
        try:
            connection = pool.take() or self._connection(origin, pool.proxy)
            keep = False
            try:
                connection.response_class = cast("type[http.client.HTTPResponse]", partial(_Reply, attempt))
                if connection.is_closed:
                    connection.timeout = min(attempt.left(), connect_timeout or attempt.left())
                    self._connect(attempt, connection)
                connection.timeout = attempt.left()
                attempt.phase = Phase.SENT
                connection.request(method, path, _pieces(attempt, connection, fields, body), fields)
                # Not urllib3's getresponse: it writes the URL of an answer with odd headers to its log.
                reply = http.client.HTTPConnection.getresponse(connection)
                attempt.begin(reply.status, reply.getheaders())
                keep = _read(attempt, reply) and not connection.is_closed and not self._closed
            finally:
                if keep:
                    pool.idle.append((connection, monotonic()))
                else:
                    connection.close()
        finally:
            pool.permits.release()
        if self._closed:
            pool.close()
        return attempt.answer()

    def _tls(self) -> ssl.SSLContext:
        context = super()._tls()
        context.sslsocket_class = _Socket
        return context

    def _connection(self, origin: Origin, proxy: Proxy | None) -> _Plain | _Secure:
        if not origin.secure:
            return _Plain(origin.host, origin.port)
        if proxy is None:
            return _Secure(origin.host, origin.port, ssl_context=self._tls())
        connection = _Secure(proxy.host, proxy.port, ssl_context=self._tls())
        connection.set_tunnel(origin.host, origin.port, headers=proxy.headers, scheme="http")
        return connection

    def _connect(self, attempt: Attempt, connection: _Plain | _Secure) -> None:
        refused: str | None = None
        try:
            connection.connect()
        except OSError as error:
            if (found := re.match(r"Tunnel connection failed: (\d{3})\b", str(error))) is None:
                raise
            refused = found[1]
        if refused is not None:
            if refused == "407":  # the one status of a proxy that is not to be taken for the server's
                attempt.status = 407
            raise Broken("the proxy refused to open a tunnel")
        self._sockets.add(connection.sock)

    def close(self) -> None:
        """Close the connections; those in use are closed when their answer is there."""
        self._closed = True
        for pool in list(self._pools.values()):
            pool.close()

    def after_fork(self) -> None:
        """Closes the child's copies: of a TLS connection, too, that sends nothing."""
        for inherited in list(self._sockets):
            inherited.close()
        self._sockets = WeakSet()
        self._pools = {}


class _Pool:
    """The connections to one server; the one used last is used next, so that the others grow old and go."""

    __slots__ = ("idle", "permits", "proxy")

    def __init__(self, proxy: Proxy | None) -> None:
        self.proxy = proxy
        self.permits = Permits(CONNECTIONS)
        self.idle: list[tuple[_Plain | _Secure, float]] = []

    def take(self) -> _Plain | _Secure | None:
        """One that is open, young, and has nothing to read: what is there unasked is the server's good-bye."""
        while True:
            try:
                connection, since = self.idle.pop()
            except IndexError:
                return None
            if monotonic() - since < IDLE_SECONDS and connection.is_connected:
                return connection
            connection.close()

    def close(self) -> None:
        while True:
            try:
                self.idle.pop()[0].close()
            except IndexError:
                return


class _Plain(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _opened(self)


class _Secure(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _opened(self)


class _Socket(ssl.SSLSocket):
    """Closes itself where `ssl` would leave it open: when the server has reset the connection before TLS begins."""

    def getpeername(self) -> Any:
        try:
            return super().getpeername()
        except OSError as error:  # the first thing that is asked of it
            if error.errno != errno.ENOTCONN:
                raise
        self.close()
        raise ConnectionResetError(errno.ECONNRESET, "the connection was reset before TLS")


def _opened(connection: HTTPConnection) -> socket.socket:
    """A socket to one of the host's addresses. urllib3 itself gives each of them the whole timeout."""
    assert connection.timeout is not None
    until = monotonic() + connection.timeout
    failures: list[OSError] = []
    addresses = socket.getaddrinfo(connection.host, connection.port, type=socket.SOCK_STREAM)
    for number, (family, kind, protocol, _, address) in enumerate(addresses):
        try:
            opened = socket.socket(family, kind, protocol)
        except OSError as error:  # a kind of address that this machine does not speak
            failures.append(error)
            continue
        try:
            opened.settimeout(max(0.001, (until - monotonic()) / (len(addresses) - number)))
            opened.connect(address)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            opened.close()
            failures.append(error)
        except BaseException:
            opened.close()
            raise
        else:
            opened.settimeout(max(0.001, until - monotonic()))
            return opened
    raise failures.pop()


class _Reply(http.client.HTTPResponse):
    """An answer that is read to a deadline and tells how far it came."""

    def __init__(self, attempt: Attempt, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._attempt = attempt
        self.fp = io.BufferedReader(_Reader(attempt, sock, self.fp.detach()))

    def begin(self) -> None:
        try:
            super().begin()
        finally:
            if isinstance(self.status, int):  # it is text until it is known
                self._attempt.status = self.status


class _Reader(io.RawIOBase):
    """Bytes from a socket until a deadline; the socket's own timeout begins anew with each of them."""

    def __init__(self, attempt: Attempt, sock: socket.socket, raw: io.RawIOBase) -> None:
        self._attempt = attempt
        self._sock = sock
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._attempt.left())
        count = self._raw.readinto(buffer)
        if count:
            if self._attempt.phase is Phase.SENT:
                self._attempt.phase = Phase.HEADERS
        elif self._attempt.phase is Phase.HEADERS:  # http.client takes it for the end of the headers
            raise Broken("the headers were cut short")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


def _pieces(
    attempt: Attempt, connection: HTTPConnection, fields: dict[str, str], body: bytes
) -> bytes | Iterator[bytes] | None:
    """The body as urllib3 takes it; a long one in pieces, each with no more time than is left."""
    if len(body) <= CHUNK:
        return body or None
    fields["Content-Length"] = str(len(body))

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(body), CHUNK):
            connection.sock.settimeout(attempt.left())
            yield body[start : start + CHUNK]

    return pieces()


def _read(attempt: Attempt, reply: http.client.HTTPResponse) -> bool:
    """Read the body; False when not all of it was wanted."""
    with reply:
        while part := reply.read1(CHUNK):
            if not attempt.add(part):
                return False
        if reply.length:
            raise Broken("the body was cut short")
    return True
