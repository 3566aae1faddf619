"""One container of one account, through the SDK's own client: the only place that speaks to it."""

from __future__ import annotations

from functools import partial
from typing import Any, TypeVar

from azure.core.exceptions import AzureError
from azure.cosmos import CosmosClient, PartitionKey
from azure.cosmos.aio import CosmosClient as AsyncCosmosClient

from kmsbridge._decode import Answer, Phase, Refused, request_ids
from kmsbridge._entra._credentials import SILENT
from kmsbridge._entra._tokens import tokens_of
from kmsbridge._runtime import BlockingRuntime, SingleFlight
from kmsbridge._wire import open_wire, within
from kmsbridge_azure_cosmos import _findings
from kmsbridge_azure_cosmos._config import AccountKey
from kmsbridge_azure_cosmos._reading import sub_status_of
from kmsbridge_azure_cosmos._scope import AsyncScopedAsking, ScopedAsking
from kmsbridge_azure_cosmos._transport import HEARD, AsyncTransport, Heard, Regions, Transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kmsbridge._call import Call
    from kmsbridge._entra._tokens import Tokens
    from kmsbridge._runtime import Runtime
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
        self._regions = Regions(settings.url)
        identity = settings.identity
        self.tokens = None if isinstance(identity, AccountKey) else tokens_of(identity)
        self._asking: ScopedAsking | AsyncScopedAsking | None = None
        self._client: Any = None
        self._container: Any = None
        self._reading_again = False
        self._flights: SingleFlight[str, Any] = SingleFlight()

    async def exchange(self, call: Call, ask: Callable[[Any], Awaitable[T] | T]) -> T:
        """Ask the container one thing.

        Raises:
            Refused: There is no answer, it is a refusal, or it is a success that the SDK cannot read.
        """
        if (container := self._container) is None or self._reading_again:
            container = await self.container(call)
        return await self._asked(call, ask, container)

    async def page(self, call: Call, ask: Callable[[Any], Awaitable[T]]) -> T:
        """The same with a body of ours, which uses the SDK's iterators."""
        return await self._asked(call, ask, await self.container(call), ours=True)

    async def container(self, call: Call, *, create: bool = True) -> Any:
        """The container, opened: its properties have been read, and it has been created if that was asked for.

        Args:
            call: Whose time it takes.
            create: False only looks, whatever the settings say.
        """
        if (found := self._container) is None:
            asked = create and self._settings.create
            found = await self._once(call, f"opened, {asked}", lambda: self._opened(call, create=asked))
        if self._reading_again:
            await self._once(call, "account", lambda: self._account_again(call))
        return found

    async def _once(self, call: Call, what: str, make: Callable[[], Awaitable[object]]) -> Any:
        """What many need at once, made by one of them, each within its own time.

        Raises:
            Refused: It is not to be had, or not in time.
        """
        ours: list[Refused] = []

        async def made() -> object:
            try:
                return await make()
            except Refused as refused:
                try:
                    call.time_left()
                except TimeoutError:  # our own time is over, which is nobody else's failure
                    ours.append(refused)
                    return None
                raise

        try:
            while (found := await self._flights.do(self.runtime, what, made, call.time_left)) is None:
                if ours:
                    raise ours[0]
                call.time_left()
        except TimeoutError as error:
            late = error
        else:
            return found
        raise Refused(Answer(phase=Phase.BEFORE_SEND, exception=late))

    async def _account_again(self, call: Call) -> bool:
        """Read the account, and with it the region that writes; a client does when it is made."""
        if self._reading_again:
            client = await self._connected(call)
            self._reading_again = False
            await self.runtime.settle(_close(client))
        return True

    async def _connected(self, call: Call) -> Any:
        client = await self._asked(call, self._new_client)
        if not isinstance(self.runtime, BlockingRuntime):
            await self._asked(call, client.__aenter__)
        return client

    async def _opened(self, call: Call, *, create: bool) -> Any:
        if self._container is not None:
            return self._container
        client = await self._connected(call)
        self._reading_again = False
        old, self._client = self._client, client
        if old is not None:
            await self.runtime.settle(_close(old))
        container = client.get_database_client(self._settings.database).get_container_client(self._settings.container)
        try:
            await self._asked(call, container.read)
        except Refused as caught:
            refused = caught
        else:
            self._container = container
            return container
        in_progress = sub_status_of(refused.answer.all("x-ms-substatus")) == 1013
        if not create or in_progress or refused.answer.door != _findings.CONTAINER:
            raise refused
        await self._create(call, client)
        await self._asked(call, container.read)
        self._container = container
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
        self._regions.account, self._regions.read_at = None, self.runtime.now()
        options = {**ONE_ATTEMPT, "logger": SILENT}
        wire: Any = self._wire
        if isinstance(self.runtime, BlockingRuntime):
            sync: Any = self._credential(ScopedAsking)
            return CosmosClient(settings.url, sync, transport=Transport(wire, self._regions), **options)
        given: Any = self._credential(partial(AsyncScopedAsking, runtime=self.runtime))
        return AsyncCosmosClient(settings.url, given, transport=AsyncTransport(wire, self._regions), **options)

    def _credential(self, asking: Callable[[Tokens], ScopedAsking | AsyncScopedAsking]) -> object:
        if self.tokens is None:
            assert isinstance(self._settings.identity, AccountKey)
            return self._settings.identity.key
        self._asking = self._asking or asking(self.tokens)
        return self._asking

    async def _asked(self, call: Call, ask: Callable[..., Awaitable[T] | T], *given: Any, ours: bool = False) -> T:
        heard = Heard()
        reset = HEARD.set(heard)
        answer: Answer
        try:
            with within(call.time_left()):
                asked: Any = ask(*given)
                result: T = await (asked if ours else self.runtime.settle(asked))
                return result
        except Refused as refused:
            answer = refused.answer
            if answer.status == 403 and self._looked(call) and sub_status_of(answer.all("x-ms-substatus")) == 3:
                answer = answer._replace(door=_findings.LAST_REGION)
        except AzureError as error:
            if isinstance(error.inner_exception, Refused) or heard.last is None:
                raise
            answer = heard.last._replace(exception=error)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
            if heard.last is None:
                raise
            answer = heard.last  # a success that the SDK cannot read
        finally:
            HEARD.reset(reset)
            if self._asking is not None:
                call.identity = self._asking.who
            if heard.last is not None:
                call.request_ids = request_ids(heard.last)
            if heard.refused_token and self.tokens is not None:
                self.tokens.refuse(f"Bearer {heard.refused_token}")
        raise Refused(answer)

    def _looked(self, call: Call) -> bool:
        """Whether the account was read for this call after an attempt of it had failed, and no items were got since."""
        return call.attempts > 1 and (self._regions.read_at or 0.0) > call.started

    def forget(self) -> None:
        """Forget the client, which keeps a token of its own."""
        self._container = None

    def look_again(self, *, container: bool) -> None:
        """Let the account be read again, and with it the region that writes; and the container, where it may be new."""
        self._reading_again = True
        if container:
            self._container = None

    async def close(self) -> None:
        """Close the connections; the tokens are the process's."""
        if self._client is not None:
            await self.runtime.settle(_close(self._client))
        await self.runtime.settle(self._wire.close())


def _close(client: Any) -> Any:
    return client.close() if hasattr(client, "close") else client.__exit__()
