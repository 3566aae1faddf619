"""The credentials that the SDK's clients are given: they ask the tokens of the process."""

from __future__ import annotations

from typing import Any

from azure.core.credentials import AccessToken

from kmsbridge._entra._tokens import request_options
from kmsbridge._runtime import BLOCKING, drive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from azure.core.credentials import AccessTokenInfo, TokenRequestOptions

    from kmsbridge._entra._tokens import Tokens
    from kmsbridge._errors import Identity
    from kmsbridge._runtime import Runtime


class Asking:
    """The credential of a sync client. Its `who` is whom the last token was for.

    The SDK asks by `get_token_info`; its types want `get_token`, which older ones asked by.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self.who: Identity | None = None

    def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        """As azure-core has it."""
        held = drive(self._tokens.get(BLOCKING, scopes, options or {}))
        self.who = held.who
        return held.token

    def get_token(
        self, *scopes: str, claims: str | None = None, tenant_id: str | None = None, enable_cae: bool = False, **_: Any
    ) -> AccessToken:
        """As azure-core has it."""
        token = self.get_token_info(*scopes, options=request_options(claims, tenant_id, enable_cae))
        return AccessToken(token.token, token.expires_on)

    def close(self) -> None:
        """Nothing: the tokens are the process's."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass


class AsyncAsking:
    """The credential of an async client."""

    def __init__(self, tokens: Tokens, runtime: Runtime) -> None:
        self._tokens = tokens
        self._runtime = runtime
        self.who: Identity | None = None

    async def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        """As azure-core has it."""
        held = await self._tokens.get(self._runtime, scopes, options or {})
        self.who = held.who
        return held.token

    async def get_token(
        self, *scopes: str, claims: str | None = None, tenant_id: str | None = None, enable_cae: bool = False, **_: Any
    ) -> AccessToken:
        """As azure-core has it."""
        token = await self.get_token_info(*scopes, options=request_options(claims, tenant_id, enable_cae))
        return AccessToken(token.token, token.expires_on)

    async def close(self) -> None:
        """Nothing: the tokens are the process's."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        pass
