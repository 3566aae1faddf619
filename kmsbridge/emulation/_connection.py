"""HTTP/1.1 on one connection, and everything that can go wrong with it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from email.utils import formatdate
from http import HTTPStatus
from typing import NamedTuple

import h11

from kmsbridge.emulation._failures import Answer, Close, Cut, Delay, Drip, Garbage, Hang, Reset
from kmsbridge.emulation._message import Request, Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kmsbridge.emulation._failures import Failure

MAX_HEAD = 64 * 1024
"""Bytes of request line and headers together."""
MAX_BODY = 4 * 1024 * 1024
"""Bytes of a request's body."""
IDLE_SECONDS = 120.0
"""How long a connection may be silent between two requests, or in the middle of one."""
CLOSE_SECONDS = 1.0
"""How long the client may take to agree to an end."""


class Reply(NamedTuple):
    """What is to happen to a request: an answer, with a failure in its way or none."""

    response: Response
    failure: Failure | None = None


class Connection:
    """One accepted connection, after TLS."""

    def __init__(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
        answer: Callable[[Request], Awaitable[Reply]],
    ) -> None:
        self._number = number
        self._reader = reader
        self._writer = writer
        self._answer = answer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        peer = writer.get_extra_info("peername")
        self._client = str(peer[0]) if peer else ""

    async def run(self) -> None:
        """Answer request after request, until either side ends the connection."""
        try:
            while (request := await self._receive()) is not None:
                if not await self._send(await self._answer(request)):
                    return
                if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                    return
                self._http.start_next_cycle()
        except h11.RemoteProtocolError as error:
            await self._refuse(error.error_status_hint)
        except (OSError, TimeoutError):  # the client has left, which is its right
            pass
        finally:
            await self._close()

    async def _receive(self) -> Request | None:
        """The next request with its whole body; None when the client has ended the connection."""
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                if self._http.they_are_waiting_for_100_continue:
                    await self._write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
                async with asyncio.timeout(IDLE_SECONDS):
                    self._http.receive_data(await self._reader.read(65536))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > MAX_BODY:
                    raise h11.RemoteProtocolError("the body is too large", error_status_hint=413)
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                headers: dict[str, str] = {}
                for name, value in head.headers:
                    key, text = name.decode("ascii"), value.decode("latin-1")
                    headers[key] = f"{headers[key]}, {text}" if key in headers else text
                method, target = head.method.decode("ascii"), head.target.decode("ascii")
                return Request(method, target, headers, bytes(body), self._number, self._client)
            else:
                return None

    async def _send(self, reply: Reply) -> bool:
        """Send an answer, or what stands in its way; whether the connection is still good."""
        response = reply.response
        match reply.failure:
            case None | Answer():
                await self._head(response)
                await self._body(response.body)
                await self._write(self._http.send(h11.EndOfMessage()))
                return True
            case Delay(seconds):
                await asyncio.sleep(seconds)
                return await self._send(Reply(response))
            case Drip(seconds):
                await self._head(response)
                for at in range(len(response.body)):
                    await asyncio.sleep(seconds)
                    await self._body(response.body[at : at + 1])
                await self._write(self._http.send(h11.EndOfMessage()))
                return True
            case Cut(at, then):
                await self._head(response)
                await self._body(response.body[:at])
                if then == "hang":
                    await self._silence(None)
                elif then == "reset":
                    self._reset()
            case Hang(seconds):
                await self._silence(seconds)
            case Garbage(data):
                await self._write(data)
            case Reset():
                self._reset()
            case Close():
                pass
        return False

    async def _head(self, response: Response) -> None:
        given = {name.lower() for name, _ in response.headers}
        headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in response.headers]
        if "content-length" not in given and "transfer-encoding" not in given and response.status != 204:
            headers.append((b"Content-Length", str(len(response.body)).encode()))
        if "date" not in given:
            headers.append((b"Date", formatdate(usegmt=True).encode()))
        try:
            reason = HTTPStatus(response.status).phrase
        except ValueError:
            reason = ""
        await self._write(self._http.send(h11.Response(status_code=response.status, headers=headers, reason=reason)))

    async def _body(self, part: bytes) -> None:
        if part:
            await self._write(self._http.send(h11.Data(data=part)))

    async def _write(self, data: bytes | None) -> None:
        if data:
            self._writer.write(data)
            await self._writer.drain()

    async def _silence(self, seconds: float | None) -> None:
        """Say nothing until the client leaves, or for so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while await self._reader.read(65536):
                    pass

    async def _refuse(self, status: int) -> None:
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            with contextlib.suppress(OSError, h11.LocalProtocolError):
                await self._send(Reply(Response(status, (("Connection", "close"),))))
                await self._silence(CLOSE_SECONDS)  # to close with something unread would reset the answer away

    def _reset(self) -> None:
        reset(self._writer.get_extra_info("socket"))
        self._writer.transport.abort()

    async def _close(self) -> None:
        self._writer.close()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):  # a client that does not answer to the end of TLS is not waited for
            self._writer.transport.abort()


def reset(connection: socket.socket | None) -> None:
    """Make the coming close of a socket a reset: with no time to linger, TCP sends RST in place of FIN.

    A transport that is closed already has no socket any more.
    """
    with contextlib.suppress(OSError):
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
