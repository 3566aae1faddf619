"""The one HTTP transport under every driver: urllib3 for the sync bridge, aiohttp for the async one.

Both halves have one shape. `Wire.request` and `AsyncWire.request` give the raw answer,
whatever its status, or raise `Refused` with what is known: how far the request got, the
status and headers if they came, and what broke. So a driver writes

    answer = await runtime.settle(wire.request("GET", url, headers, timeout=call.time_left()))

A request is sent once: no redirect is followed, nothing is sent again, no cookie is kept.
No Accept-Encoding is sent and nothing is decoded. A connection that the server has closed
is not used if that can be seen; where the two cross, it is an error of phase ``sent``.

The timeout is for the whole request, from waiting for a connection to the last byte of
the body. One thing it cannot end: under the sync bridge, the system's name resolution.

Plain http goes to this machine alone (loopback and link-local, where clouds keep their
metadata services), only where the caller allows it, and never through a proxy. For https
the variables HTTPS_PROXY, ALL_PROXY and NO_PROXY count, in either case.

An SDK on azure-core gets the same wire by `azure_transport`.
"""

from __future__ import annotations

from typing import overload

from kmsbridge._runtime import BlockingRuntime
from kmsbridge._wire._request import CONNECTIONS, IDLE_SECONDS, MAX_ANSWER, Broken, Unsendable, answer_of, within

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kmsbridge._runtime import Runtime
    from kmsbridge._wire._azure import AzureAsyncTransport, AzureTransport
    from kmsbridge._wire._blocking import Wire
    from kmsbridge._wire._loop import AsyncWire

__all__ = [
    "CONNECTIONS",
    "IDLE_SECONDS",
    "MAX_ANSWER",
    "Broken",
    "Unsendable",
    "answer_of",
    "azure_transport",
    "open_wire",
    "within",
]


def open_wire(runtime: Runtime, *, ca: str | None = None, plain: bool = False) -> Wire | AsyncWire:
    """A wire for the bridge that waits through this runtime; its owner closes it.

    Args:
        runtime: Says which half; an `AsyncWire` belongs to the loop of its first request.
        ca: A file of PEM certificates to trust instead of the system's.
        plain: Whether plain http to this machine is allowed.

    Raises:
        ModuleNotFoundError: urllib3 or aiohttp is not installed; they come with the providers' extras.
    """
    if isinstance(runtime, BlockingRuntime):
        from kmsbridge._wire._blocking import Wire

        return Wire(ca=ca, plain=plain)
    from kmsbridge._wire._loop import AsyncWire

    return AsyncWire(ca=ca, plain=plain)


@overload
def azure_transport(wire: Wire) -> AzureTransport: ...
@overload
def azure_transport(wire: AsyncWire) -> AzureAsyncTransport: ...
@overload
def azure_transport(wire: Wire | AsyncWire) -> AzureTransport | AzureAsyncTransport: ...
def azure_transport(wire: Wire | AsyncWire) -> AzureTransport | AzureAsyncTransport:
    """The wire as ``transport=`` of an SDK on azure-core; many may share one wire, none closes it.

    Raises:
        ModuleNotFoundError: azure-core is not installed.
    """
    from kmsbridge._wire._azure import AzureAsyncTransport, AzureTransport
    from kmsbridge._wire._request import Blocking

    return AzureTransport(wire) if isinstance(wire, Blocking) else AzureAsyncTransport(wire)
