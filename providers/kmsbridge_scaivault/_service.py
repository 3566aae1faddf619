"""One ScaiVault: the only place that speaks to it."""

from __future__ import annotations

from typing import TypeVar

from kmsbridge._decode import Answer, Refused, request_ids
from kmsbridge._errors import Code
from kmsbridge._wire import open_wire
from kmsbridge_scaivault._errors import decoder
from kmsbridge_scaivault._objects import json_text, parsed
from kmsbridge_scaivault._reading import rate_limit
from kmsbridge_scaivault._tokens import tokens_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from kmsbridge._call import Call
    from kmsbridge._runtime import Runtime
    from kmsbridge_scaivault._config import ScaiVaultSettings

T = TypeVar("T")


class Service:
    """Makes the requests to one tenant.

    Args:
        settings: Where, and who asks.
        runtime: How to wait.
    """

    def __init__(self, settings: ScaiVaultSettings, runtime: Runtime) -> None:
        self._root = f"{settings.url}/v1" + ("" if settings.tenant is None else f"/t/{settings.tenant}")
        self._runtime = runtime
        self._wire = open_wire(runtime, ca=settings.ca)
        self.tokens = tokens_of(settings.identity)

    async def exchange(
        self,
        call: Call,
        method: str,
        path: str,
        read: Callable[[Mapping[str, Any]], T],
        body: Mapping[str, object] | None = None,
        *,
        empty: T | None = None,
    ) -> T:
        """Make one request, and read its answer.

        Args:
            call: Whose time it takes.
            method: Such as ``GET``.
            path: What follows the tenant, with the query.
            read: Takes what it needs from the answer; ValueError where that is not there.
            body: To send as JSON.
            empty: What a success without a body means; None where it must have one.

        Raises:
            Refused: There is no answer, it is a refusal, or it is a success without what it must hold.
        """
        answer = await self._ask(call, method, path, body)
        if empty is not None and not answer.body:
            return empty
        try:
            return read(parsed(answer.body))
        except (ValueError, RecursionError, OverflowError):
            pass  # raised below: the parser's own exception carries the body
        raise Refused(answer)

    async def _ask(self, call: Call, method: str, path: str, body: Mapping[str, object] | None = None) -> Answer:
        """Make one request; its answer, if it is a success.

        Raises:
            Refused: It is not, or there is none.
        """
        issued = await self.tokens.get(self._runtime, self._wire, call)
        call.identity = self.tokens.who
        headers = {"authorization": f"Bearer {issued.token}", "accept": "application/json", "user-agent": "kmsbridge"}
        data = b""
        if body is not None:
            data = json_text(body, escaped=True).encode()
            headers["content-type"] = "application/json"
        request = self._wire.request(method, self._root + path, headers, data, timeout=call.time_left())
        answer = await self._runtime.settle(request)
        call.request_ids = request_ids(answer)
        call.rate_limit = rate_limit(answer)
        if answer.status is not None and 200 <= answer.status < 300:
            return answer
        refused = Refused(answer)
        if answer.status == 401:
            self.tokens.refuse(issued)
            if decoder.decode(answer).code is Code.CREDENTIAL_REJECTED:
                self.tokens.renew()  # what was revoked is not shown again, though this call ends here
        raise refused

    async def close(self) -> None:
        """Close the connections; the tokens are the process's."""
        await self._runtime.settle(self._wire.close())
