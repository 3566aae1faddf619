"""Credentials for the SDK's clients, which may ask for another scope.

Where a tenant does not know an account by its own address (AADSTS500011), the SDK asks again
for the service's common scope; it knows that case by the words of an azure-core error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from azure.core.exceptions import HttpResponseError

from kmsbridge._decode import Refused
from kmsbridge._entra._asking import Asking, AsyncAsking
from kmsbridge._entra._reading import read

if TYPE_CHECKING:
    from azure.core.credentials import AccessTokenInfo, TokenRequestOptions

COMMON = "https://cosmos.azure.com/.default"
UNKNOWN_RESOURCE = "AADSTS500011"


def _elsewhere(refused: Refused, scopes: tuple[str, ...]) -> Exception:
    """What the SDK is to see: that another scope may do, or what it does not know."""
    if COMMON not in scopes and UNKNOWN_RESOURCE in read(refused.answer).says:
        return HttpResponseError(UNKNOWN_RESOURCE)
    return refused


class ScopedAsking(Asking):
    """For the sync client."""

    def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        """As azure-core has it."""
        try:
            return super().get_token_info(*scopes, options=options)
        except Refused as caught:
            refused = caught
        raise _elsewhere(refused, scopes)


class AsyncScopedAsking(AsyncAsking):
    """For the async client."""

    async def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        """As azure-core has it."""
        try:
            return await super().get_token_info(*scopes, options=options)
        except Refused as caught:
            refused = caught
        raise _elsewhere(refused, scopes)
