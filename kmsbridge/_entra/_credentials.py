"""Where tokens come from: azure-identity's credentials over our wire, and what became of each that was tried.

A credential of azure-identity is made once per identity and process, and always the sync
one: under asyncio it works in a thread, so that one object, with all that it remembers,
serves every loop. It tries once; who called decides about another time.
"""

from __future__ import annotations

import atexit
import logging
from contextvars import ContextVar
from inspect import iscoroutinefunction
from typing import NamedTuple, cast

from azure.core.credentials import AccessTokenInfo

from kmsbridge._decode import Answer, Phase, Refused
from kmsbridge._entra import _azure_core
from kmsbridge._entra._azure_core import IDENTITY
from kmsbridge._entra._errors import decoder
from kmsbridge._entra._login import Given
from kmsbridge._errors import RetryAction, invalid
from kmsbridge._runtime import BLOCKING, BlockingRuntime
from kmsbridge._wire import answer_of, azure_transport, open_wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any, Self

    from azure.core.credentials import SupportsTokenInfo, TokenProvider, TokenRequestOptions
    from azure.core.pipeline import PipelineResponse

    from kmsbridge._entra._login import Login
    from kmsbridge._runtime import Runtime
    from kmsbridge._wire._blocking import Wire

SILENT = logging.Logger("kmsbridge.silent", logging.CRITICAL + 1)  # noqa: LOG001 - nobody shall find and raise it
"""For the SDKs' log of every request at INFO, the 401 that opens a conversation included."""


class Try(NamedTuple):
    """One credential that was asked for a token."""

    name: str
    failure: Exception | None = None
    answer: Answer | None = None
    """The last that came over the wire meanwhile."""

    def as_answer(self) -> Answer:
        """The failure as the decoder wants it: whatever it was, the backend was not asked."""
        assert self.failure is not None
        known = answer_of(self.failure)
        if known is None and self.answer is not None and (self.answer.status or 0) >= 400:
            known = self.answer
        known = known or _azure_core.answer_of(self.failure)
        return known._replace(phase=Phase.BEFORE_SEND, door=IDENTITY, exception=self.failure)


_TRIES: ContextVar[list[Try]] = ContextVar("kmsbridge_tries")
_ANSWERS: ContextVar[list[Answer]] = ContextVar("kmsbridge_answers")


def _listen(response: PipelineResponse[Any, Any]) -> None:
    """Keep what a token source answers: azure-identity tells its text alone, and that not always."""
    answer = getattr(response.http_response, "internal_response", None)
    if isinstance(answer, Answer):
        _ANSWERS.get().append(answer)


class _Watched:
    """One credential of a chain, under its own name in the tries."""

    def __init__(self, credential: SupportsTokenInfo) -> None:
        self._credential = credential
        self._credential_name = getattr(credential, "_credential_name", type(credential).__name__)
        """As azure-identity calls the attribute by which a stand-in tells its name."""

    def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        tries, answers = _TRIES.get(), _ANSWERS.get()
        answers.clear()
        try:
            token = self._credential.get_token_info(*scopes, options=options)
        except Exception as error:
            tries.append(Try(self._credential_name, error, answers[-1] if answers else None))
            raise
        tries.append(Try(self._credential_name))
        return token

    def close(self) -> None:
        self._credential.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class Fetched(NamedTuple):
    """A token, which credential gave it, and which did not."""

    token: AccessTokenInfo
    credential: str
    earlier: tuple[Try, ...] = ()

    def __repr__(self) -> str:
        return f"<Fetched by {self.credential}, token not shown>"


class Source:
    """One credential, made by us or given.

    Args:
        identity: Which.
    """

    def __init__(self, identity: Login | Given) -> None:
        self.renewable = not isinstance(identity, Given)
        """Whether another can be made that remembers nothing of this one's tokens."""
        credential = identity.credential if isinstance(identity, Given) else _made(identity)
        self._name = type(credential).__name__
        self._credential = cast("TokenProvider", credential)
        self.suspends = suspends(credential)

    async def fetch(self, runtime: Runtime, scopes: tuple[str, ...], options: TokenRequestOptions) -> Fetched:
        """A token.

        Raises:
            Refused: There is none to be had; the backend was not asked.
        """
        tries: list[Try] = []
        failure: Exception
        try:
            if self.suspends:
                return Fetched(await runtime.settle(self._ask(scopes, options)), self._name)
            return await runtime.in_thread(lambda: self._fetch(tries, scopes, options))
        except Exception as error:
            failure = error
        raise Refused(_telling(tries, failure).as_answer())

    def _fetch(self, tries: list[Try], scopes: tuple[str, ...], options: TokenRequestOptions) -> Fetched:
        answers: list[Answer] = []
        asked, heard = _TRIES.set(tries), _ANSWERS.set(answers)
        try:
            token = cast("AccessTokenInfo", self._ask(scopes, options))
        except Exception as error:
            if not tries:
                tries.append(Try(self._name, error, answers[-1] if answers else None))
            raise
        finally:
            _TRIES.reset(asked)
            _ANSWERS.reset(heard)
        name = tries[-1].name if tries else self._name
        return Fetched(token, name, tuple(tries[:-1]))

    def _ask(
        self, scopes: tuple[str, ...], options: TokenRequestOptions
    ) -> AccessTokenInfo | Awaitable[AccessTokenInfo]:
        ask = getattr(self._credential, "get_token_info", None)
        if ask is not None:
            answered: AccessTokenInfo | Awaitable[AccessTokenInfo] = ask(*scopes, options=options)
            return answered
        older: Any = cast("Any", self._credential).get_token(*scopes, **options)
        if not hasattr(older, "__await__"):
            return AccessTokenInfo(older.token, older.expires_on)

        async def awaited() -> AccessTokenInfo:
            token = await older
            return AccessTokenInfo(token.token, token.expires_on)

        return awaited()


def suspends(credential: object) -> bool:
    """Whether it is one of azure.identity.aio, or like them."""
    return iscoroutinefunction(getattr(credential, "get_token_info", getattr(credential, "get_token", None)))


def check_mode(identity: Login | Given, runtime: Runtime) -> None:
    """Refuse an async credential where nothing can await it.

    Raises:
        InvalidRequestError: It is one, and the bridge is sync.
    """
    if isinstance(identity, Given) and isinstance(runtime, BlockingRuntime) and suspends(identity.credential):
        raise invalid(
            "an async credential cannot be used by the sync bridge",
            "credential",
            remediation="Give the credential of the same name from azure.identity, or use connect_async.",
        )


def _telling(tries: list[Try], failure: Exception) -> Try:
    """The failure that says most: of what was configured and refused, else of what may pass, else of all together."""
    for each in tries:
        if each.failure is not None and type(each.failure).__name__ != "CredentialUnavailableError":
            return each
    for each in tries:
        if each.failure is not None and each.answer is not None:
            advice = decoder.decode(each.as_answer()).retry.action
            if advice in (RetryAction.BACKOFF, RetryAction.THROTTLE):
                return each
    return Try("", failure)


_WIRES: dict[str | None, Wire] = {}


def _wire(ca: str | None) -> Wire:
    """One for all credentials that trust the same. Tokens are fetched by the hour: it is closed at exit."""
    if ca not in _WIRES:
        wire = cast("Wire", open_wire(BLOCKING, ca=ca, plain=True))  # metadata services speak plain http
        if _WIRES.setdefault(ca, wire) is wire:
            atexit.register(wire.close)
    return _WIRES[ca]


def _made(login: Login) -> SupportsTokenInfo:
    from azure import identity

    authority: dict[str, Any] = {} if login.authority is None else {"authority": login.authority}
    client: dict[str, Any] = {} if login.client_id is None else {"client_id": login.client_id}
    tenant: dict[str, Any] = {} if login.tenant_id is None else {"tenant_id": login.tenant_id}
    if login.authority is not None and login.authority not in _KNOWN:
        authority["disable_instance_discovery"] = True  # the public cloud is not asked about a private one
    common: dict[str, Any] = {
        "transport": azure_transport(_wire(login.ca)),
        "raw_response_hook": _listen,
        "logger": SILENT,
        "retry_total": 0,
    }
    makers: dict[str, Callable[[], SupportsTokenInfo]] = {
        "environment": lambda: identity.EnvironmentCredential(**authority, **common),
        "workload-identity": lambda: identity.WorkloadIdentityCredential(**authority, **client, **tenant, **common),
        "managed-identity": lambda: identity.ManagedIdentityCredential(**client, **common),
        "cli": lambda: identity.AzureCliCredential(**tenant),
        "developer-cli": lambda: identity.AzureDeveloperCliCredential(**tenant),
        "powershell": lambda: identity.AzurePowerShellCredential(**tenant),
    }
    if login.kind in makers:
        return makers[login.kind]()
    if login.client_id is not None:
        client = {"managed_identity_client_id": login.client_id, "workload_identity_client_id": login.client_id}
    chain = identity.DefaultAzureCredential(**authority, **client, **common)
    chain.credentials = tuple(_Watched(cast("SupportsTokenInfo", each)) for each in chain.credentials)
    return chain


_KNOWN = ("https://login.microsoftonline.com", "https://login.chinacloudapi.cn", "https://login.microsoftonline.us")
