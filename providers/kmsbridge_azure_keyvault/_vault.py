"""One vault: the only place that speaks to it.

Everything goes through the public `send_request` of one SecretClient per vault and mode,
keys too: it adds the tokens, and gives the raw answer whatever its status. A KeyClient
would send the very same requests after a challenge of its own.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

from azure.core.exceptions import AzureError
from azure.core.rest import HttpRequest

from kmsbridge._decode import Answer, Phase, Refused, request_ids
from kmsbridge._entra._asking import Asking, AsyncAsking
from kmsbridge._entra._tokens import tokens_of
from kmsbridge._runtime import BlockingRuntime, SingleFlight
from kmsbridge._wire import answer_of, azure_transport, open_wire, within
from kmsbridge._wire._azure_policies import Skipped, last

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from azure.core.pipeline import PipelineResponse

    from kmsbridge._call import Call
    from kmsbridge._runtime import Runtime
    from kmsbridge_azure_keyvault._config import VaultSettings

T = TypeVar("T")

API_VERSION = "7.4"
"""The first that has all that is used here, so that every cloud and Managed HSM know it."""


class Raw(Protocol):
    """What both clients' responses have."""

    @property
    def request(self) -> HttpRequest: ...


class Client(Protocol):
    """What both of the SDK's clients have."""

    def send_request(self, request: HttpRequest, *, stream: bool = ..., **kwargs: Any) -> Raw | Awaitable[Raw]: ...
    def close(self) -> Awaitable[None] | None: ...


class Vault:
    """Makes the requests to one vault.

    Args:
        settings: Which, and who asks.
        runtime: How to wait.
    """

    def __init__(self, settings: VaultSettings, runtime: Runtime) -> None:
        self.url = settings.url
        self.runtime = runtime
        self.tokens = tokens_of(settings.identity)
        self._wire = wire = open_wire(runtime, ca=settings.ca)
        transport = azure_transport(wire)
        options: dict[str, Any] = {
            "transport": transport,
            "api_version": API_VERSION,
            "verify_challenge_resource": settings.verify_challenge,
            "headers_policy": Skipped(),
            "proxy_policy": Skipped(),
            "redirect_policy": Skipped(),
            "retry_policy": Skipped(),
            # after the SDK's authentication come only its logs, its traces and its care for redirects
            "custom_hook_policy": last(transport, _heard),
        }
        self._asking: Asking | AsyncAsking
        self._client: Client
        if isinstance(runtime, BlockingRuntime):
            from azure.keyvault.secrets import SecretClient

            self._asking = Asking(self.tokens)
            self._client = SecretClient(self.url, self._asking, **options)
        else:
            from azure.keyvault.secrets.aio import SecretClient as AsyncSecretClient

            self._asking = AsyncAsking(self.tokens, runtime)
            self._client = AsyncSecretClient(self.url, self._asking, **options)

    async def exchange(
        self,
        call: Call,
        method: str,
        path: str,
        read: Callable[[Mapping[str, Any]], T],
        body: Mapping[str, Any] | None = None,
    ) -> T:
        """Make one request, and read its answer.

        Args:
            call: Whose time it takes.
            method: Such as ``GET``.
            path: From the root, quoted; it may have a query.
            read: Takes what it needs from the answer; ValueError where that is not there.
            body: Sent as JSON.

        Raises:
            Refused: There is no answer, it is a refusal, or it is a success without what it must hold.
        """
        return held(await self.ask(call, method, path, body), read)

    async def ask(self, call: Call, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """Make one request; its answer if that is a success, else `Refused`."""
        query = "&" if "?" in path else "?"
        url = f"{self.url}{path}" if "api-version=" in path else f"{self.url}{path}{query}api-version={API_VERSION}"
        headers = {"x-ms-client-request-id": str(uuid4())}  # the SDK's own take twice as long
        if body is None:
            request = HttpRequest(method, url, headers=headers)
        else:
            headers["Content-Type"] = "application/json"
            request = HttpRequest(method, url, headers=headers, content=json.dumps(body).encode())
        try:
            raw = await self._sent(call, request)
        finally:
            call.identity = self._asking.who
        answer = getattr(raw, "internal_response", None)
        assert isinstance(answer, Answer)  # of our wire, which the client has for a transport
        call.request_ids = request_ids(answer)
        if answer.status == 401:
            self.tokens.refuse(raw.request.headers.get("Authorization"))
        if answer.status not in (200, 204):
            raise Refused(answer)
        return answer

    async def _sent(self, call: Call, request: HttpRequest) -> Raw:
        if self.url in _OPENED:
            return await self._once(call, request)
        led: list[Raw | Exception] = []

        async def lead() -> None:
            try:
                led.append(await self._once(call, request))
            except Exception as error:
                led.append(error)  # nobody's but ours
            else:
                _OPENED.add(self.url)

        late = False
        try:
            await _FIRST.do(self.runtime, self.url, lead, call.time_left)
        except TimeoutError:
            late = True
        if late:
            raise Refused(Answer(phase=Phase.BEFORE_SEND, exception=TimeoutError("waiting for the first call")))
        if not led:
            return await self._once(call, request)
        if isinstance(led[0], Exception):
            raise led[0]
        return led[0]

    async def _once(self, call: Call, request: HttpRequest) -> Raw:
        try:
            with within(call.time_left()):
                return await self.runtime.settle(self._client.send_request(request, stream=True))
        except AzureError as error:
            if (known := answer_of(error)) is None:
                raise
        raise Refused(known)

    def local(self, link: str) -> str:
        """The path and query of a link that the vault gave, if it leads back to it and to nowhere else."""
        parts = urlsplit(link)
        host = urlsplit(self.url)
        here = (host.hostname, host.port or 443)
        if parts.scheme != "https" or (parts.hostname, parts.port or 443) != here or "@" in parts.netloc:
            raise ValueError("the next page is elsewhere")
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    async def close(self) -> None:
        """Close the connections."""
        await self.runtime.settle(self._client.close())
        await self.runtime.settle(self._wire.close())


# -- the first call ---------------------------------------------------------------------

_OPENED: set[str] = set()
"""The vaults that have told which token they want; the SDK remembers what they told for the whole process."""
_FIRST: SingleFlight[str, None] = SingleFlight()


def held(answer: Answer, read: Callable[[Mapping[str, Any]], T]) -> T:
    """What a success holds, by its reader.

    Raises:
        Refused: It does not hold what it must.
    """
    try:
        found = json.loads(answer.body.decode("utf-8-sig"))
        if isinstance(found, dict):
            return read(found)
    except (ValueError, RecursionError, OverflowError):
        pass  # raised below: the parser's own exception carries the body
    raise Refused(answer)


def _after_fork() -> None:
    global _FIRST  # noqa: PLW0603 - the leader of a flight has stayed in the parent
    _FIRST = SingleFlight()


def _guard_challenges() -> None:
    """The SDK remembers challenges under a lock that it does not make anew: nobody may hold it at a fork."""
    try:
        from azure.keyvault.secrets._shared import http_challenge_cache
    except ImportError:  # it has gone elsewhere; so may the lock have
        return
    lock = getattr(http_challenge_cache, "_lock", None)
    if isinstance(lock, type(threading.Lock())):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
    _guard_challenges()


def _heard(response: PipelineResponse[Any, Any]) -> None:
    """See each answer before the SDK's authentication does.

    A 401 opens the conversation, or refuses the token: then the SDK would send the same one
    again. Without the challenge it leaves that, and asks anew the next time. A challenge with
    claims is another matter: it is answered with another token.
    """
    answer = response.http_response
    if answer.status_code != 401:
        return
    refused = "Authorization" in response.http_request.headers
    logging.getLogger("kmsbridge").debug(
        "the vault refuses the token" if refused else "the vault asks for a token"
    )
    if refused and "claims=" not in answer.headers.get("WWW-Authenticate", "claims="):
        del answer.headers["WWW-Authenticate"]
