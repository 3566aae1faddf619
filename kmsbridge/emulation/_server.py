"""The listening side: sockets, TLS, and the connections that are open."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from weakref import WeakSet

from kmsbridge.emulation._connection import Connection, reset
from kmsbridge.emulation._failures import Close, Delay, Garbage, Hang, Reset

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

    from kmsbridge.emulation._connection import Reply
    from kmsbridge.emulation._failures import Failure
    from kmsbridge.emulation._message import Request

HANDSHAKE_SECONDS = 10.0
BACKLOG = 1024
MAX_CONNECTIONS = 4096
"""Connections open at once; a further one is closed as it comes."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")


_SERVERS: WeakSet[Server] = WeakSet()


class Server:
    """Accepts connections and lets `answer` say what becomes of each request.

    Sockets are accepted by hand, so that a connection can also fail before TLS.

    Args:
        connecting: The failure that the next connection meets, if any.
    """

    def __init__(
        self, answer: Callable[[Request], Awaitable[Reply]], connecting: Callable[[], Failure | None],
        tls: ssl.SSLContext | None,
    ) -> None:
        self._answer = answer
        self._connecting = connecting
        self._tls = tls
        self._listeners: list[socket.socket] = []
        self._sockets: set[socket.socket] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._accepted = 0
        _SERVERS.add(self)

    def listen(self, host: str, port: int) -> int:
        """Bind and listen; port 0 stands for a free one. The port.

        Raises:
            OSError: It is taken, if only on one of the addresses of ``localhost``.
        """
        asked = port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server(
            ("127.0.0.1" if host == "localhost" else host, port), family=family, backlog=BACKLOG
        )
        port = int(listener.getsockname()[1])
        if host == "localhost":  # some clients try ::1 first; a machine without IPv6 has only the other
            try:
                self._listeners.append(socket.create_server(("::1", port), family=socket.AF_INET6, backlog=BACKLOG))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:  # they would reach somebody else there
                    listener.close()
                    if asked:
                        raise
                    return self.listen(host, 0)
        self._listeners.append(listener)
        for each in self._listeners:
            each.setblocking(False)
            self._spawn(self._accept(each))
        return port

    def disconnect(self) -> int:
        """Reset every open connection; how many there were."""
        for writer in self._writers:
            reset(writer.get_extra_info("socket"))
            writer.transport.abort()
        return len(self._writers)

    async def close(self) -> None:
        """Stop listening and drop what is open."""
        self.disconnect()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for listener in self._listeners:
            listener.close()

    def forget(self) -> None:
        """Let go of every socket in a forked child, which would keep open what the parent closes."""
        for each in (*self._listeners, *self._sockets):
            each.close()

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError:  # the client left again, or no descriptor is free: neither may end the server
                await asyncio.sleep(0.01)
                continue
            if len(self._tasks) > MAX_CONNECTIONS:
                connection.close()
                continue
            self._accepted += 1
            self._spawn(self._serve(connection, self._accepted))

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: socket.socket, number: int) -> None:
        self._sockets.add(connection)
        try:
            await self._converse(connection, number)
        finally:
            self._sockets.discard(connection)

    async def _converse(self, connection: socket.socket, number: int) -> None:
        let_in = False
        try:
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            let_in = await self._let_in(connection)
        except OSError:  # the client is gone already
            pass
        finally:
            if not let_in:  # also where the server is stopped meanwhile
                connection.close()
        if not let_in:
            return
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol, connection, ssl=self._tls,
                ssl_handshake_timeout=HANDSHAKE_SECONDS if self._tls else None,
            )
        except OSError:  # a client that does not trust the certificate, for one
            connection.close()
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        self._writers.add(writer)
        try:
            await Connection(number, reader, writer, self._answer).run()
        finally:
            self._writers.discard(writer)

    async def _let_in(self, connection: socket.socket) -> bool:
        loop = asyncio.get_running_loop()
        match self._connecting():
            case None:
                return True
            case Delay(seconds):
                await asyncio.sleep(seconds)
                return True
            case Hang(seconds):
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(seconds):
                        while await loop.sock_recv(connection, 65536):
                            pass
            case Garbage(data):
                with contextlib.suppress(OSError):
                    await loop.sock_recv(connection, 65536)  # what is unread at the close would make it a reset
                    await loop.sock_sendall(connection, data)
            case Reset():
                reset(connection)
            case Close():
                with contextlib.suppress(OSError):
                    await loop.sock_recv(connection, 65536)
            case _:
                pass
        return False


def _forget_all() -> None:
    for server in _SERVERS:
        server.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
