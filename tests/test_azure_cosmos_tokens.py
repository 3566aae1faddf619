"""Under Microsoft Entra: tokens that an account refuses are replaced once, and none is shown."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

import kmsbridge
from kmsbridge import Code, KMSError, Outcome, RetryPolicy
from kmsbridge_azure_cosmos._transport import expired
from tests.cosmos_account import answered, in_memory

if TYPE_CHECKING:
    from kmsbridge._decode import Answer

DATE = "Mon, 01 Jan 2024 00:00:00 GMT"
NOW = 1_704_067_200


def token(exp: Any) -> str:
    """A token that says when it ends; its signature is none."""
    body = base64.urlsafe_b64encode(json.dumps({"exp": exp}).encode()).decode().rstrip("=")
    return f"head.{body}.sign"


class Credential:
    """Gives another token each time."""

    def __init__(self, exp: float) -> None:
        self.given: list[str] = []
        self._exp = exp

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """The next."""
        assert scopes[0].endswith("/.default")
        del options
        self.given.append(token(self._exp + len(self.given)))
        return AccessToken(self.given[-1], int(time.time()) + 86_400)


def asked(credential: Credential, *refusals: Answer) -> tuple[Any, list[str]]:
    """What a read gives where the first requests for documents are answered so, and the paths that were asked for."""
    left = list(refusals)
    with in_memory() as account:
        url = account.url.partition("?")[0]
        account.before = lambda _, path: left.pop(0) if "/docs" in path and left else None
        found: Any
        try:
            with kmsbridge.connect(url, credential=credential, retry=RetryPolicy(backoff=0, max_delay=0)) as bridge:
                found = bridge.secrets.get("some/name")
        except KMSError as error:
            found = error
        return found, [path for _, path in account.requests if "/docs" in path]


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_has_run_out_is_replaced_once(status: int) -> None:
    """A bare 403 says so, too: then the token's own end is compared with the service's clock."""
    refusal = answered(status, {"code": "x"}, date=DATE, x_ms_substatus="5006" if status == 401 else "0")
    credential = Credential(NOW - 10)
    error, paths = asked(credential, refusal)
    assert error.code is Code.NOT_FOUND
    assert (len(paths), len(credential.given)) == (2, 2)
    error, paths = asked(credential, refusal, refusal, refusal)
    assert error.code is Code.TOKEN_EXPIRED
    assert len(paths) == 2
    assert not any(given in error.details() + repr(error) for given in credential.given)


class Narrow(Credential):
    """Of a tenant that does not know accounts by their own address."""

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """For the common scope alone."""
        if scopes != (self.known,):
            raise ClientAuthenticationError("AADSTS500011: The resource principal named x was not found in the tenant.")
        return super().get_token(*scopes, **options)

    known = "https://cosmos.azure.com/.default"


def test_the_common_scope_is_asked_for_where_the_accounts_own_is_not_known() -> None:
    """Once; if that is not known either, the error says so, and nothing was sent."""
    credential = Narrow(NOW)
    error, _ = asked(credential)
    assert error.code is Code.NOT_FOUND
    assert len(credential.given) == 1
    credential = Narrow(NOW)
    credential.known = ""
    error, paths = asked(credential)
    assert (error.outcome, error.provider_codes[-1:], paths) == (Outcome.NOT_SENT, ("AADSTS500011",), [])


def test_a_bare_403_under_a_good_token_is_a_refusal() -> None:
    """It is not asked again."""
    credential = Credential(NOW + 3600)
    error, paths = asked(credential, answered(403, {"code": "Forbidden"}, date=DATE))
    assert error.code is Code.ACCESS_DENIED
    assert (len(paths), len(credential.given)) == (1, 1)


@pytest.mark.parametrize(
    ("given", "date", "old"),
    [
        (token(NOW - 1), DATE, True),
        (token(NOW), DATE, True),
        (token(NOW + 1), DATE, False),
        (token(True), DATE, False),
        (token("1"), DATE, False),
        (token(None), DATE, False),
        (token(NOW - 1), None, False),
        (token(NOW - 1), "yesterday", False),
        ("a.b", DATE, False),
        ("a.!!.c", DATE, False),
        ("a.W10.c", DATE, False),
        ("a.\u00e9.c", DATE, False),
        ("", DATE, False),
    ],
)
def test_what_a_token_says_of_its_end(given: str, date: str | None, old: bool) -> None:
    """Read, not trusted; what cannot be read has not run out."""
    assert expired(given, date) is old
