"""The async half: one aiohttp session, bound to one event loop."""

from __future__ import annotations

import asyncio
import inspect
import io
import math
import os
import select
import socket
from contextvars import ContextVar
from weakref import WeakSet

import aiohttp
from yarl import URL

from kmsbridge._decode import Answer, Phase
from kmsbridge._wire._request import (
    CHUNK,
    CONNECTIONS,
    IDLE_SECONDS,
    MAX_FIELD,
    Attempt,
    Half,
    Origin,
    broken,
    origin_of,
    proxy_for,
    sendable,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

    from kmsbridge._wire._request import Proxy

_NOT_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_UNTIMED = aiohttp.ClientTimeout()
_INHERITED: list[object] = []
"""The parent's sessions, in a forked child: kept, because they would close themselves."""


class _Attempt(Attempt):
    """A request and the connection it holds."""

    __slots__ = ("transport",)

    def __init__(self, timeout: float) -> None:
        super().__init__(timeout)
        self.transport: asyncio.Transport | None = None


_ATTEMPT: ContextVar[_Attempt] = ContextVar("kmsbridge_attempt")


class AsyncWire(Half):
    """One pool of connections for each server, for any number of tasks of one event loop.

    Args:
        ca: A file of PEM certificates to trust instead of the system's.
        plain: Whether plain http to this machine is allowed.
    """

    def __init__(self, *, ca: str | None = None, plain: bool = False) -> None:
        super().__init__(ca=ca, plain=plain)
        self._routes: dict[Origin, _Route] = {}
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sockets: WeakSet[socket.socket] = WeakSet()

    async def request(
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
        session = self._session_here()
        attempt = _Attempt(timeout)
        token = _ATTEMPT.set(attempt)
        failure: Exception
        try:
            attempt.left()
            async with asyncio.timeout(timeout):
                return await self._exchange(session, attempt, method, url, headers, body, connect_timeout)
        except _Lost as lost:
            failure = _as_broken(attempt, lost.error)
        except Exception as error:
            failure = _as_broken(attempt, error)
        finally:
            _ATTEMPT.reset(token)
            if attempt.transport is not None:
                attempt.transport.abort()  # or TLS would wait half a minute for a good-bye
        raise attempt.refused(failure)

    async def _exchange(
        self,
        session: aiohttp.ClientSession,
        attempt: _Attempt,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        connect_timeout: float | None,
    ) -> Answer:
        origin, path = origin_of(url, plain=self._plain)
        fields = sendable(method, headers)
        if (route := self._routes.get(origin)) is None:
            route = self._routes[origin] = _Route(proxy_for(origin))
        timed = _UNTIMED
        if connect_timeout is not None:
            timed = aiohttp.ClientTimeout(connect=connect_timeout, ceil_threshold=math.inf)
        async with (
            route.permits,
            session.request(
                method,
                URL(f"{url[: url.index('://')]}://{_netloc(origin.host, origin.port)}{path}", encoded=True),
                headers=fields,
                data=io.BytesIO(body) if len(body) > CHUNK else body or None,
                allow_redirects=False,
                ssl=self._tls() if origin.secure else True,
                timeout=timed,
                proxy=route.proxy,
                proxy_headers=route.proxy_headers,
            ) as response,
        ):
            pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.raw_headers]
            attempt.begin(response.status, pairs)
            try:
                while part := await response.content.read(CHUNK):
                    if not attempt.add(part):
                        break
            finally:
                if response.connection is None:  # given back at the last byte, and maybe in use again
                    attempt.transport = None
                else:
                    response.close()
        return attempt.answer()

    def _session_here(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if self._session is None:
            options: dict[str, Any] = {}
            if "max_headers" in inspect.signature(aiohttp.ClientSession).parameters:  # as many as fit, as before it
                options["max_headers"] = MAX_FIELD
            self._session = aiohttp.ClientSession(
                connector=_Connector(self._sockets),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=_NOT_ADDED,
                auto_decompress=False,
                trust_env=False,
                timeout=_UNTIMED,
                max_line_size=MAX_FIELD,
                max_field_size=MAX_FIELD,
                middlewares=(_once,),
                **options,
            )
            self._loop = loop
        elif self._loop is not loop:
            raise RuntimeError("this wire belongs to another event loop")
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        self._closed = True
        if self._session is not None:
            await self._session.close()
        for _ in range(10):  # a transport closes its socket one turn of the loop later
            if not any(opened.fileno() >= 0 for opened in self._sockets):
                break
            await asyncio.sleep(0)

    def after_fork(self) -> None:
        """Puts the null device in the place of the parent's sockets.

        A transport of asyncio says good-bye when it is dropped, and does so on the
        parent's connection. This way it may say what it likes.
        """
        if self._session is not None:
            _INHERITED.append((self._session.connector, self._loop))
            self._session.detach()
        self._session = self._loop = None
        self._routes = {}
        inherited, self._sockets = list(self._sockets), WeakSet()
        if not inherited:
            return
        null = os.open(os.devnull, os.O_RDWR)
        for number in (sock.fileno() for sock in inherited):
            if number >= 0:
                os.dup2(null, number, inheritable=False)
        os.close(null)


class _Route:
    """The way to one server.

    aiohttp's own limit loses a place when a task is cancelled just as it gets one, and
    then lets others wait for ever.
    """

    __slots__ = ("permits", "proxy", "proxy_headers")

    def __init__(self, proxy: Proxy | None) -> None:
        self.proxy = f"http://{_netloc(proxy.host, proxy.port)}" if proxy is not None else None
        self.proxy_headers = proxy.headers if proxy is not None else None
        self.permits = asyncio.Semaphore(CONNECTIONS)


class _Lost(aiohttp.ClientError):
    """A connection that broke after it stood."""

    def __init__(self, error: Exception) -> None:
        super().__init__("the connection broke")
        self.error = error


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """aiohttp sends GET, PUT and DELETE again after these two errors, and after no other."""
    lost: Exception
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        lost = error
    raise _Lost(lost)


class _Connector(aiohttp.TCPConnector):
    """Tells an attempt when it has its connection: from then on, it may have been sent."""

    def __init__(self, sockets: WeakSet[socket.socket]) -> None:
        super().__init__(
            limit=0,
            keepalive_timeout=IDLE_SECONDS,
            resolver=aiohttp.ThreadedResolver(),  # the system's, as in the sync half
            socket_factory=self._socket,
        )
        self._sockets = sockets
        self._used: set[int] = set()

    def _socket(self, info: Any) -> socket.socket:
        family, kind, protocol, _, _ = info
        opened = socket.socket(family, kind, protocol)
        self._sockets.add(opened)
        self._used.discard(opened.fileno())
        return opened

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        while True:
            connection = await super().connect(req, traces, timeout)
            transport = connection.transport
            if transport is not None:
                number = transport.get_extra_info("socket").fileno()
                if number in self._used and _readable(number):  # the server's good-bye, not yet seen by the loop
                    connection.close()
                    continue
                self._used.add(number)
            attempt = _ATTEMPT.get()
            attempt.phase = Phase.SENT
            attempt.transport = transport
            return connection


def _readable(number: int) -> bool:
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return bool(poll.poll(0))


def _as_broken(attempt: _Attempt, error: Exception) -> Exception:
    """The failure as an OSError, with what aiohttp knows of an answer that was cut in its headers."""
    if attempt.phase is Phase.SENT:
        if isinstance(error, aiohttp.ClientResponseError):
            attempt.phase = Phase.HEADERS
        elif isinstance(error, aiohttp.ServerDisconnectedError) and not isinstance(error.message, str | None):
            attempt.phase = Phase.HEADERS
            if error.message.code >= 100:
                attempt.status = error.message.code
    elif isinstance(error, aiohttp.ClientHttpProxyError) and error.status == 407:
        attempt.status = 407  # the one status of a proxy that is not to be taken for the server's
    if not isinstance(error, aiohttp.ClientError) or isinstance(error, OSError):
        return error
    return broken(error)


def _netloc(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
