"""One way to use a wire of either mode."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import pytest

from kmsbridge._decode import Answer, Refused
from kmsbridge._runtime import BLOCKING, AsyncioRuntime
from kmsbridge._wire import open_wire
from kmsbridge._wire._blocking import Wire

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from contract_tests.wire_faults import Faults

T = TypeVar("T")


class Client:
    """A wire of either mode, used in the same way."""

    def __init__(self, mode: str, ca: str | None, plain: bool) -> None:
        self.mode = mode
        self._runner = asyncio.Runner()
        self.wire = open_wire(BLOCKING if mode == "sync" else AsyncioRuntime(), ca=ca, plain=plain)

    def request(self, method: str, url: str, timeout: float = 5.0, body: bytes = b"", **headers: str) -> Answer:
        """The answer."""
        if isinstance(self.wire, Wire):
            return self.wire.request(method, url, headers, body, timeout=timeout)
        return self._runner.run(self.wire.request(method, url, headers, body, timeout=timeout))

    def refused(self, method: str, url: str, timeout: float = 5.0, **headers: str) -> Answer:
        """What is known of a request that fails."""
        with pytest.raises(Refused) as caught:
            self.request(method, url, timeout, b"", **headers)
        assert caught.value.__context__ is None
        return caught.value.answer

    def settle(self) -> None:
        """Give an event loop the turns it needs to close what it has dropped."""
        if self.mode == "async":
            self._runner.run(asyncio.sleep(0.05))

    def run(self, body: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop of an async wire."""
        return self._runner.run(body)

    def open_sockets(self) -> int:
        """Sockets that the wire has not closed."""
        return sum(opened.fileno() >= 0 for opened in self.wire._sockets)

    def close_wire(self) -> None:
        """Close the wire."""
        if isinstance(self.wire, Wire):
            self.wire.close()
        else:
            self.run(self.wire.close())

    def close(self) -> None:
        """Close the wire and the loop."""
        self.close_wire()
        self._runner.close()


def url(server: Faults, path: str) -> str:
    """An address on a server."""
    return f"{'https' if server.tls else 'http'}://localhost:{server.port}/{path}"
