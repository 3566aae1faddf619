"""The region's door: the only place that speaks to it."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any, TypeVar

from alibabacloud_kms20160120 import models

from kmsbridge._decode import Answer, Refused, request_ids
from kmsbridge._runtime import BlockingRuntime
from kmsbridge._wire import open_wire
from kmsbridge_alibaba_kms import _findings
from kmsbridge_alibaba_kms._access_keys import access_keys_of
from kmsbridge_alibaba_kms._client import Exchange, RawKms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kmsbridge._call import Call
    from kmsbridge._runtime import Runtime
    from kmsbridge_alibaba_kms._config import Given, KmsSettings, Login

T = TypeVar("T")


@cache
def _method(operation: str) -> str:
    """As the SDK's client calls it."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()


class Region:
    """Makes the requests to one region.

    Args:
        settings: Which.
        login: Who asks.
        runtime: How to wait.
    """

    def __init__(self, settings: KmsSettings, login: Login | Given, runtime: Runtime) -> None:
        self.region = settings.region
        self.instance = None if settings.instance is None else settings.instance.id
        self.runtime = runtime
        self.keys = access_keys_of(login)
        self._wire = open_wire(runtime, ca=settings.ca)
        self._client = RawKms(self._wire, settings.endpoint, settings.region)
        self._half = "_with_options" if isinstance(runtime, BlockingRuntime) else "_with_options_async"

    async def exchange(
        self, call: Call, operation: str, fields: Mapping[str, object], read: Callable[[Mapping[str, Any]], T]
    ) -> T:
        """Make one request, and read its answer.

        Args:
            call: Whose time it takes.
            operation: Such as ``GetSecretValue``.
            fields: Of the request; None for one that is left out.
            read: Takes what it needs from the answer; ValueError where that is not there.

        Raises:
            Refused: There is no answer, it is a refusal, or it is a success without what it must hold.
        """
        answer = await self._ask(call, operation, fields)
        try:
            found = json.loads(answer.body.decode("utf-8-sig"))
            if isinstance(found, dict) and "Code" not in found and isinstance(found.get("RequestId"), str):
                return read(found)
        except (ValueError, RecursionError, OverflowError):
            pass  # raised below: the parser's own exception carries the body
        raise Refused(answer)

    async def do(self, call: Call, operation: str, fields: Mapping[str, object]) -> None:
        """Make one request whose success says no more."""
        await self.exchange(call, operation, fields, lambda _: None)

    async def _ask(self, call: Call, operation: str, fields: Mapping[str, object]) -> Answer:
        key = await self.keys.get(self.runtime, call)
        call.identity = key.who
        door = _findings.OPENAPI if key.token is None else _findings.STS
        exchange = Exchange(key, call.time_left())
        request = getattr(models, f"{operation}Request")().from_map(dict(fields))
        send = getattr(self._client, _method(operation) + self._half)
        try:
            await self.runtime.settle(send(request, exchange))
        except Refused as refused:
            answer = refused.answer
        else:
            assert exchange.answer is not None
            answer = exchange.answer
            call.request_ids = request_ids(answer)
            if answer.status == 200:
                return answer
            self.keys.refuse(key)
        raise Refused(answer._replace(door=door))

    async def close(self) -> None:
        """Close the connections; the AccessKeys are the process's."""
        await self.runtime.settle(self._wire.close())
