"""Policies for azure-core's pipelines, in the places of those that the wire does without.

azure-core runs a policy that only looks at requests and answers by way of four calls, of
which the async half makes coroutines, also where the policy does nothing. Six of them cost
more than the wire itself.
"""

from __future__ import annotations

from typing import Any

from azure.core.pipeline import PipelineResponse

from kmsbridge._wire._azure import AzureTransport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.core.pipeline import PipelineRequest

    from kmsbridge._wire._azure import AzureAsyncTransport

    Heard = Callable[[PipelineResponse[Any, Any]], None]


class Skipped:
    """Stands where a policy is not wanted, in pipelines of both kinds."""

    next: Any
    """The policy after it; azure-core puts it here."""

    def send(self, request: PipelineRequest[Any]) -> Any:
        """What the next one makes of it: the answer, or an awaitable of it."""
        return self.next.send(request)


class Last(Skipped):
    """Gives requests to the transport; the policies after it are left out.

    Args:
        transport: Of the same pipeline.
        heard: Sees each answer before the policies before this one do.
    """

    def __init__(self, transport: AzureTransport, heard: Heard) -> None:
        self._transport = transport
        self._heard = heard

    def send(self, request: PipelineRequest[Any]) -> PipelineResponse[Any, Any]:
        """The answer of the transport."""
        sent = request.http_request
        response = PipelineResponse(sent, self._transport.send(sent, **request.context.options), request.context)
        self._heard(response)
        return response


class AsyncLast(Skipped):
    """The same for an async pipeline."""

    def __init__(self, transport: AzureAsyncTransport, heard: Heard) -> None:
        self._transport = transport
        self._heard = heard

    async def send(self, request: PipelineRequest[Any]) -> PipelineResponse[Any, Any]:
        """The answer of the transport."""
        sent = request.http_request
        response = PipelineResponse(sent, await self._transport.send(sent, **request.context.options), request.context)
        self._heard(response)
        return response


def last(transport: AzureTransport | AzureAsyncTransport, heard: Heard) -> Last | AsyncLast:
    """The last policy for a pipeline over this transport."""
    return Last(transport, heard) if isinstance(transport, AzureTransport) else AsyncLast(transport, heard)
