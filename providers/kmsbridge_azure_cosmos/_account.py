"""One container of one account: the only place that speaks to it.

The SDK's own client makes the requests: it signs them, keeps the session and asks for pages.
Its many retries are for a naive caller: here its transport lets nothing back into it but
successes. Every refusal and every failure leaves it at once, as the raw answer, so that one
call of ours is one attempt, and nothing that an exception of the SDK would hide is lost.
"""

from __future__ import annotations

import json
import re
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from azure.core.exceptions import AzureError
from azure.cosmos import CosmosClient, PartitionKey
from azure.cosmos.aio import CosmosClient as AsyncCosmosClient

from kmsbridge._decode import Answer, Phase, Refused, request_ids
from kmsbridge._entra._asking import Asking, AsyncAsking
from kmsbridge._entra._credentials import SILENT
from kmsbridge._entra._tokens import tokens_of
from kmsbridge._runtime import BlockingRuntime
from kmsbridge._wire import answer_of, open_wire, within
from kmsbridge._wire._azure import AzureAsyncResponse, AzureAsyncTransport, AzureResponse, AzureTransport
from kmsbridge_azure_cosmos import _findings
from kmsbridge_azure_cosmos._config import AccountKey
from kmsbridge_azure_cosmos._reading import speaking, sub_status_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kmsbridge._call import Call
    from kmsbridge._entra._tokens import Tokens
    from kmsbridge._runtime import Runtime
    from kmsbridge._wire._blocking import Wire
    from kmsbridge._wire._loop import AsyncWire
    from kmsbridge_azure_cosmos._config import CosmosSettings

T = TypeVar("T")

ONE_ATTEMPT: dict[str, Any] = {
    "retry_total": 0,
    "retry_connect": 0,
    "retry_read": 0,
    "retry_throttle_total": -1,  # zero counts as not said
    "enable_endpoint_discovery": False,
}
"""The SDK's own retries, switched off by the one setting that works."""
PARTITION = "/name"
CREATE_POLL = 0.5
"""Seconds between two looks at a container that is being created."""


class _Heard:
    """What the transport has heard during one thing that was asked."""

    def __init__(self) -> None:
        self.last: Answer | None = None
        self.refused_token: str | None = None


_HEARD: ContextVar[_Heard] = ContextVar("kmsbridge_cosmos_heard")


class _Regions:
    """Where requests go, and what leaves the SDK."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._endpoint = url
        self.account: Answer | None = None
        """The account's answer: the SDK's own looks in the background are given this one, and send nothing."""
        self.again = False
        """Whether the account has been read anew since an item was last got."""

    def held(self, request: Any) -> Answer | None:
        """Direct a request to the region that the account named; an answer, where that is known already."""
        if urlsplit(request.url).path in ("", "/"):
            return self.account
        if self._endpoint != self._url:
            request.url = self._endpoint + request.url.removeprefix(self._url)
        return None

    def passed(self, request: Any, answer: Answer) -> None:
        """Let a success through to the SDK.

        Raises:
            Refused: It is none. Of a batch, a member is none.
        """
        heard = _HEARD.get(None) or _Heard()
        heard.last = answer
        path, status = urlsplit(request.url).path, answer.status or 0
        if 200 <= status < 300:
            if path in ("", "/"):
                self._read(answer)
            elif "/docs" in path:
                self.again = False
            if (spoken := speaking(answer)) is not answer:
                raise Refused(spoken)
            return
        sub_status = sub_status_of(answer.all("x-ms-substatus"))
        if status == 400 and sub_status == 1004:  # the SDK makes a query plan of its own, and asks again
            return
        if status == 401:
            heard.refused_token = unquote(request.headers.get("Authorization") or "").partition("sig=")[2]
        if status == 404 and "/docs" not in path:
            answer = answer._replace(door=_findings.CONTAINER)
        if status == 403 and sub_status == 3 and self.again:
            answer = answer._replace(door=_findings.LAST_REGION)
        raise Refused(answer)

    def _read(self, answer: Answer) -> None:
        """Note the region that the account names for writing, if it is one of the account."""
        try:
            named = json.loads(answer.body)["writableLocations"][0]["databaseAccountEndpoint"]
            self._endpoint = self._own(named)
        except (ValueError, KeyError, IndexError, TypeError, RecursionError):
            self._endpoint = self._url
        self.account = answer

    def _own(self, named: str) -> str:
        here, there = urlsplit(self._url), urlsplit(named)
        account, _, suffix = (here.hostname or "").partition(".")
        host = there.hostname or ""
        local = here.hostname in ("localhost", "127.0.0.1") and host in ("localhost", "127.0.0.1")
        regional = re.fullmatch(rf"{re.escape(account)}(?:-[a-z0-9]+)?\.{re.escape(suffix)}", host) is not None
        if there.scheme != "https" or "@" in there.netloc or not (local or regional):
            raise ValueError("the account names an address that is not its own")
        if not local and there.port not in (None, 443):
            raise ValueError("another port")
        return f"https://{there.netloc}"


class Transport(AzureTransport):
    """The wire, for the SDK's sync client."""

    def __init__(self, wire: Wire, regions: _Regions) -> None:
        super().__init__(wire)
        self._regions = regions

    def send(self, request: Any, **kwargs: Any) -> AzureResponse:
        """Send once."""
        if (held := self._regions.held(request)) is not None:
            return AzureResponse(request, held)
        try:
            response = super().send(request, **kwargs)
        except AzureError as error:
            if (known := answer_of(error)) is None:
                raise
        else:
            self._regions.passed(request, response.internal_response)
            return response
        raise Refused(known)


class AsyncTransport(AzureAsyncTransport):
    """The wire, for the SDK's async client."""

    def __init__(self, wire: AsyncWire, regions: _Regions) -> None:
        super().__init__(wire)
        self._regions = regions

    async def send(self, request: Any, **kwargs: Any) -> AzureAsyncResponse:
        """Send once."""
        if (held := self._regions.held(request)) is not None:
            return AzureAsyncResponse(request, held)
        try:
            response = await super().send(request, **kwargs)
        except AzureError as error:
            if (known := answer_of(error)) is None:
                raise
        else:
            self._regions.passed(request, response.internal_response)
            return response
        raise Refused(known)


class Account:
    """Makes the requests to one container.

    Args:
        settings: Which, and who asks.
        runtime: How to wait.
    """

    def __init__(self, settings: CosmosSettings, runtime: Runtime) -> None:
        self._settings = settings
        self.runtime = runtime
        self._wire = open_wire(runtime, ca=settings.ca)
        self._regions = _Regions(settings.url)
        identity = settings.identity
        self.tokens = None if isinstance(identity, AccountKey) else tokens_of(identity)
        self._asking: Asking | AsyncAsking | None = None
        self._client: Any = None
        self._container: Any = None
        self._opening = runtime.lock()

    async def exchange(self, call: Call, ask: Callable[[Any], Awaitable[T] | T]) -> T:
        """Ask the container one thing.

        Raises:
            Refused: There is no answer, it is a refusal, or it is a success that the SDK cannot read.
        """
        container = await self.container(call)
        result: T = await self._asked(call, lambda: ask(container))
        return result

    async def page(self, call: Call, ask: Callable[[Any], Awaitable[T]]) -> T:
        """The same with a body of ours, which uses the SDK's iterators."""
        container = await self.container(call)
        return await self._guarded(call, lambda: ask(container))

    async def container(self, call: Call, *, create: bool = True) -> Any:
        """The container, opened: its properties have been read, and it has been created if that was asked for.

        Args:
            call: Whose time it takes.
            create: False only looks, whatever the settings say.
        """
        if self._container is None:
            async with self._opening:
                if self._container is None:
                    self._container = await self._opened(call, create=create and self._settings.create)
        return self._container

    async def _opened(self, call: Call, *, create: bool) -> Any:
        client = await self._asked(call, self._new_client)
        if not isinstance(self.runtime, BlockingRuntime):
            await self._asked(call, client.__aenter__)
        old, self._client = self._client, client
        if old is not None:
            await self.runtime.settle(_close(old))
        container = client.get_database_client(self._settings.database).get_container_client(self._settings.container)
        try:
            await self._asked(call, container.read)
        except Refused as caught:
            refused = caught
        else:
            return container
        in_progress = sub_status_of(refused.answer.all("x-ms-substatus")) == 1013
        if not create or in_progress or refused.answer.door != _findings.CONTAINER:
            raise refused
        await self._create(call, client)
        await self._asked(call, container.read)
        return container

    async def _create(self, call: Call, client: Any) -> None:
        """Create the database and the container, once: what gets no answer is looked for, not created again."""
        settings = self._settings
        database = client.get_database_client(settings.database)
        made = (
            (lambda: client.create_database(settings.database), database.read),
            (
                lambda: database.create_container(settings.container, PartitionKey(PARTITION), default_ttl=-1),
                database.get_container_client(settings.container).read,
            ),
        )
        for create, look in made:
            try:
                await self._asked(call, create)
            except Refused as caught:
                refused = caught
            else:
                continue
            if refused.answer.status == 409:  # somebody else has
                continue
            if refused.answer.phase is Phase.BEFORE_SEND or refused.answer.status not in (None, 408):
                raise refused
            await self._until_there(call, look, refused)

    async def _until_there(self, call: Call, look: Callable[[], Any], refused: Refused) -> None:
        while True:
            try:
                await self._asked(call, look)
            except Refused as error:
                if error.answer.status != 404:
                    raise
            else:
                return
            try:
                await self.runtime.sleep(min(CREATE_POLL, call.time_left()))
                call.time_left()
            except TimeoutError:
                raise refused from None

    def _new_client(self) -> Any:
        settings = self._settings
        self._regions.account = None
        options = {**ONE_ATTEMPT, "logger": SILENT}
        wire: Any = self._wire
        if isinstance(self.runtime, BlockingRuntime):
            sync: Any = self._credential(Asking)
            return CosmosClient(settings.url, sync, transport=Transport(wire, self._regions), **options)
        given: Any = self._credential(partial(AsyncAsking, runtime=self.runtime))
        return AsyncCosmosClient(settings.url, given, transport=AsyncTransport(wire, self._regions), **options)

    def _credential(self, asking: Callable[[Tokens], Asking | AsyncAsking]) -> str | Asking | AsyncAsking:
        if self.tokens is None:
            assert isinstance(self._settings.identity, AccountKey)
            return self._settings.identity.key
        self._asking = asking(self.tokens)
        return self._asking

    async def _asked(self, call: Call, ask: Callable[[], Any]) -> Any:
        return await self._guarded(call, lambda: self.runtime.settle(ask()))

    async def _guarded(self, call: Call, ask: Callable[[], Awaitable[T]]) -> T:
        heard = _Heard()
        reset = _HEARD.set(heard)
        answer: Answer
        try:
            with within(call.time_left()):
                return await ask()
        except Refused as refused:
            answer = refused.answer
        except AzureError as error:
            if isinstance(error.inner_exception, Refused) or heard.last is None:
                raise
            answer = heard.last._replace(exception=error)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
            if heard.last is None:
                raise
            answer = heard.last  # a success that the SDK cannot read
        finally:
            _HEARD.reset(reset)
            if self._asking is not None:
                call.identity = self._asking.who
            if heard.last is not None:
                call.request_ids = request_ids(heard.last)
            if heard.refused_token and self.tokens is not None:
                self.tokens.refuse(f"Bearer {heard.refused_token}")
        raise Refused(answer)

    async def look_again(self) -> bool:
        """Forget the client, so that account and container are read again; True, as that may help."""
        self._regions.again = True
        self._container = None
        return True

    async def close(self) -> None:
        """Close the connections; the tokens are the process's."""
        if self._client is not None:
            await self.runtime.settle(_close(self._client))
        await self.runtime.settle(self._wire.close())


def _close(client: Any) -> Any:
    return client.close() if hasattr(client, "close") else client.__exit__()
