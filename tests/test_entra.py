"""Microsoft Entra: credentials of azure-identity, and the tokens of a process, without a network."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from azure.core.credentials import AccessTokenInfo
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CredentialUnavailableError
from hypothesis import given as drawn
from hypothesis import strategies as st

from kmsbridge import Code, Identity, KMSError, Outcome
from kmsbridge._decode import Answer, Phase, Refused
from kmsbridge._entra import _credentials, _tokens
from kmsbridge._entra._asking import Asking, AsyncAsking
from kmsbridge._entra._azure_core import IDENTITY
from kmsbridge._entra._credentials import Source
from kmsbridge._entra._errors import decoder
from kmsbridge._entra._login import Given, Login
from kmsbridge._entra._reading import read
from kmsbridge._entra._tokens import Tokens, tokens_of
from kmsbridge._runtime import BLOCKING, AsyncioRuntime, drive
from kmsbridge._wire import within

SCOPE = ("https://vault.azure.net/.default",)


def jwt(**claims: Any) -> str:
    """A token that says this, signed by nobody."""
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{payload}.c2ln"


class Fake:
    """A sync credential that counts, and gives tokens of so many seconds."""

    def __init__(self, seconds: float = 3600, text: str = "opaque", refresh_in: float | None = None) -> None:
        self.seconds = seconds
        self.text = text
        self.refresh_in = refresh_in
        self.asked: list[dict[str, Any]] = []
        self.failure: Exception | None = None
        self.pause = 0.0

    def get_token_info(self, *scopes: str, options: dict[str, Any]) -> AccessTokenInfo:
        """As azure-core has it."""
        del scopes
        self.asked.append(options)
        time.sleep(self.pause)
        if self.failure is not None:
            raise self.failure
        refresh_on = None if self.refresh_in is None else int(time.time() + self.refresh_in)
        expires_on = int(time.time() + self.seconds)
        return AccessTokenInfo(f"{self.text}-{len(self.asked)}", expires_on, refresh_on=refresh_on)


def get(tokens: Tokens, **options: Any) -> str:
    """A token."""
    return drive(tokens.get(BLOCKING, SCOPE, options)).token.token  # type: ignore[arg-type] # as the SDK passes them on


# -- the tokens of an identity ----------------------------------------------------------


def test_a_token_is_fetched_once() -> None:
    """By threads and event loops that ask at the same time."""
    fake = Fake()
    fake.pause = 0.1
    tokens = Tokens(Given(fake))
    start = threading.Barrier(12)

    def ask(number: int) -> str:
        start.wait()
        if number % 2:
            return get(tokens)
        return asyncio.run(tokens.get(AsyncioRuntime(), SCOPE, {})).token.token

    with ThreadPoolExecutor(12) as pool:
        assert set(pool.map(ask, range(12))) == {"opaque-1"}
    assert len(fake.asked) == 1


def test_a_token_is_kept_by_what_it_was_asked_for() -> None:
    """Scope, tenant, claims and revocability; none and empty are the same."""
    fake = Fake()
    tokens = Tokens(Given(fake))
    asked: list[dict[str, Any]] = [
        {}, {"tenant_id": "a"}, {"tenant_id": "b"}, {"tenant_id": "a", "enable_cae": True},
        {"tenant_id": "a", "claims": "{}"},
    ]  # fmt: skip
    first = [get(tokens, **options) for options in asked]
    assert len(set(first)) == 5
    assert get(tokens, claims="", tenant_id="", enable_cae=False) == get(tokens, claims=None) == first[0]
    assert get(tokens, tenant_id="a") == first[4], "what was fetched for claims replaces what lacked them"
    assert fake.asked[0] == {"enable_cae": False}
    assert fake.asked[4] == {"enable_cae": False, "tenant_id": "a", "claims": "{}"}


@pytest.mark.parametrize(("seconds", "refresh_in", "fetched"), [
    (3600, None, 1), (299, None, 3), (301, None, 1), (3600, -1, 3), (3600, 60, 1), (200, 60, 3),
])  # fmt: skip
def test_a_token_is_renewed_in_time(seconds: float, refresh_in: float | None, fetched: int) -> None:
    """300 s before it expires, or when its maker says."""
    fake = Fake(seconds, refresh_in=refresh_in)
    tokens = Tokens(Given(fake))
    for _ in range(3):
        get(tokens)
    assert len(fake.asked) == fetched


def test_a_token_that_cannot_be_renewed_is_used_on() -> None:
    """As long as it is good; and another is not asked for with every call."""
    fake = Fake(200)
    tokens = Tokens(Given(fake))
    assert get(tokens) == "opaque-1"
    fake.failure = ClientAuthenticationError("no")
    assert [get(tokens) for _ in range(3)] == ["opaque-1"] * 3
    assert len(fake.asked) == 2


def test_a_token_that_has_expired_is_not_used() -> None:
    """Then the failure counts."""
    fake = Fake(20)
    tokens = Tokens(Given(fake))
    get(tokens)
    fake.failure = ClientAuthenticationError("no")
    with pytest.raises(Refused):
        get(tokens)


def test_tokens_that_have_expired_are_forgotten() -> None:
    """Claims come and go; what was fetched for them is not kept for ever."""
    fake = Fake(-1)
    tokens = Tokens(Given(fake))
    for number in range(5):
        get(tokens, claims=str(number))
    assert {kept.value.token.token for kept in tokens._held.kept.values()} == {"opaque-5"}


def test_a_refused_token_is_dropped() -> None:
    """That one, and no other: who comes late does not drop what another has fetched."""
    fake = Fake()
    tokens = Tokens(Given(fake))
    assert not tokens.renew(), "there was none"
    assert get(tokens) == "opaque-1"
    tokens.refuse("Bearer opaque-1")
    assert tokens.renew()
    assert get(tokens) == "opaque-2"
    assert tokens.renew()
    assert get(tokens) == "opaque-2"
    tokens.refuse(None)
    assert tokens.renew()
    assert get(tokens) == "opaque-2"


def test_of_tokens_refused_at_once_each_is_dropped() -> None:
    """Two backends of one identity may refuse each its own: neither refusal hides the other."""
    fake = Fake()
    tokens = Tokens(Given(fake))
    first, second = get(tokens, tenant_id="a"), get(tokens, tenant_id="b")
    tokens.refuse(f"Bearer {first}")
    tokens.refuse(f"Bearer {second}")
    assert tokens.renew()
    assert len({first, second, get(tokens, tenant_id="a"), get(tokens, tenant_id="b")}) == 4


def test_waiting_for_a_token_ends_with_the_call() -> None:
    """Nothing was sent to the vault, and the one that fetches it goes on."""
    fake = Fake()
    fake.pause = 0.4
    tokens = Tokens(Given(fake))
    with ThreadPoolExecutor(1) as pool:
        leader = pool.submit(get, tokens)
        while not fake.asked:
            time.sleep(0.001)
        with within(0.05), pytest.raises(Refused) as caught:
            get(tokens)
        error = decoder.decode(caught.value.answer)
        assert (error.code, error.outcome) == (Code.TIMEOUT, Outcome.NOT_SENT)
        assert leader.result() == "opaque-1"


def test_tokens_are_shared_by_identity() -> None:
    """One set per login of the process; one per credential object that was given, while it is used."""
    login = Login("cli", None, "a-tenant", None, None)
    assert tokens_of(login) is tokens_of(Login("cli", None, "a-tenant", None, None))
    assert tokens_of(login) is not tokens_of(login._replace(tenant_id="other"))
    fake = Fake()
    given = tokens_of(Given(fake))
    assert tokens_of(Given(fake)) is given
    assert tokens_of(Given(Fake())) is not given
    del given
    assert Given(fake) not in _tokens.STORES.passing


def test_after_a_fork_all_but_the_tokens_is_new() -> None:
    """Locks and flights may be held by threads that the child does not have."""
    fake = Fake()
    tokens = Tokens(Given(fake))
    get(tokens)
    tokens._lock.acquire()
    flights = tokens._held._flights
    tokens.after_fork()
    assert tokens._held._flights is not flights
    assert get(tokens) == "opaque-1"
    tokens.refuse("Bearer opaque-1")
    tokens.renew()
    assert get(tokens) == "opaque-2"


def test_nothing_of_a_token_is_shown() -> None:
    """Not by what holds it."""
    tokens = Tokens(Given(Fake(text="s3cret-t0ken")))
    held = drive(tokens.get(BLOCKING, SCOPE, {}))
    fetched = drive(Source(Given(Fake(text="s3cret-t0ken"))).fetch(BLOCKING, SCOPE, {}))
    assert "s3cret" not in f"{held!r} {tokens!r} {fetched!r} {tokens._held.kept!r}"


def test_the_sdk_may_ask_in_two_ways() -> None:
    """By options or by keywords, in both modes."""
    fake = Fake()
    tokens = Tokens(Given(fake))
    with Asking(tokens) as asking:
        assert asking.get_token_info(*SCOPE, options={"tenant_id": "t", "enable_cae": True}).token == "opaque-1"
        assert asking.get_token(*SCOPE, tenant_id="t", enable_cae=True).token == "opaque-1"
        asking.close()

    async def main() -> None:
        async with AsyncAsking(tokens, AsyncioRuntime()) as asking:
            found = await asking.get_token_info(*SCOPE, options={"tenant_id": "t", "enable_cae": True})
            assert found.token == "opaque-1"
            assert (await asking.get_token(*SCOPE, tenant_id="t", enable_cae=True)).token == "opaque-1"
            await asking.close()

    asyncio.run(main())
    assert len(fake.asked) == 1


# -- who we are -------------------------------------------------------------------------


@pytest.mark.parametrize(("token", "who"), [
    (jwt(tid="t-1", appid="a-1", oid="o-1"), ("t-1", "a-1", "o-1")),
    (jwt(tid="t-1", azp="a-2"), ("t-1", "a-2", None)),
    (jwt(tid="t\n1", appid=5, oid="x" * 200), (None, None, None)),
    ("opaque", (None, None, None)),
    ("a.!.c", (None, None, None)),
    ("a.W10.c", (None, None, None)),
    (f"a.{base64.urlsafe_b64encode(b'[' * 100_000).decode()}.c", (None, None, None)),
    ("", (None, None, None)),
])  # fmt: skip
def test_the_identity_is_read_from_the_token(token: str, who: tuple[str | None, ...]) -> None:
    """If it can be read, and only what looks like an id."""
    fake = Fake()
    fake.get_token_info = lambda *_, **__: AccessTokenInfo(token, int(time.time()) + 3600)  # type: ignore[method-assign]
    tokens = Tokens(Given(fake))
    assert drive(tokens.get(BLOCKING, SCOPE, {})).who == Identity("Fake", *who)


# -- failures ---------------------------------------------------------------------------


def failure(source: Source) -> Refused:
    """Why there is no token."""
    with pytest.raises(Refused) as caught:
        drive(source.fetch(BLOCKING, SCOPE, {}))
    return caught.value


@pytest.mark.parametrize(("raised", "code"), [
    (CredentialUnavailableError("Azure CLI not found on path"), Code.CREDENTIAL_UNAVAILABLE),
    (ClientAuthenticationError("Authentication failed: AADSTS7000215: x"), Code.CREDENTIAL_REJECTED),
    (FileNotFoundError(2, "no such file", "/token"), Code.CREDENTIAL_UNAVAILABLE),
    (ValueError("Invalid tenant ID provided."), Code.INVALID_ARGUMENT),
    (TimeoutError(), Code.TIMEOUT),
    (RuntimeError("anything"), Code.UNKNOWN),
])  # fmt: skip
def test_a_failure_of_a_credential_was_not_sent(raised: Exception, code: Code) -> None:
    """To the vault: whatever it was."""
    fake = Fake()
    fake.failure = raised
    refused = failure(Source(Given(fake)))
    assert (refused.answer.phase, refused.answer.door) == (Phase.BEFORE_SEND, "identity")
    assert refused.__context__ is None
    error = decoder.decode(refused.answer)
    assert (error.code, error.outcome) == (code, Outcome.NOT_SENT)


def test_of_a_chain_the_failure_that_says_most_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was configured and refused, not that others are not configured; azure-identity tells the text alone."""
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TOKEN_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    asked: list[str] = []

    def unavailable(self: object, *scopes: str, options: Any = None) -> AccessTokenInfo:
        del scopes, options
        asked.append(type(self).__name__)
        raise CredentialUnavailableError("not here")

    def refused(self: object, *scopes: str, options: Any = None) -> AccessTokenInfo:
        del self, scopes, options
        raise ClientAuthenticationError("Authentication failed: AADSTS7000222: expired")

    monkeypatch.setattr("azure.identity.ManagedIdentityCredential.get_token_info", unavailable)
    monkeypatch.setattr("azure.identity.AzureCliCredential.get_token_info", refused)
    answer = failure(Source(Login("default", None, None, None, None))).answer
    assert decoder.decode(answer).provider_codes == ("AADSTS7000222",)
    assert asked == ["ManagedIdentityCredential"]


@pytest.mark.parametrize("kind", [
    "default", "environment", "managed-identity", "cli", "developer-cli", "powershell",
])  # fmt: skip
def test_each_credential_can_be_made(kind: str) -> None:
    """From its name, without a word to the network."""
    client = "an-id" if kind in ("default", "managed-identity") else None
    tenant = "a-tenant" if kind in ("cli", "developer-cli", "powershell") else None
    source = Source(Login(kind, client, tenant, None, None))
    assert source.renewable
    assert not source.suspends
    assert type(source._credential).__name__.endswith("Credential")


def test_a_workload_identity_is_made_of_what_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """And of its environment."""
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", "/nowhere/token")
    source = Source(Login("workload-identity", "an-id", "a-tenant", "https://login.microsoftonline.us", None))
    assert type(source._credential).__name__ == "WorkloadIdentityCredential"
    refused = failure(source)
    assert decoder.decode(refused.answer).code is Code.CREDENTIAL_UNAVAILABLE


def test_azure_identity_makes_one_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own retries, which last longer than any call, are off; it speaks over our wire."""
    made: dict[str, Any] = {}
    monkeypatch.setattr("azure.identity.EnvironmentCredential", lambda **options: made.update(options))
    _credentials._made(Login("environment", None, None, "https://login.example.com", None))
    assert made["retry_total"] == 0
    assert type(made["transport"]).__name__ == "AzureTransport"
    assert made["authority"] == "https://login.example.com"
    assert made["disable_instance_discovery"]


# -- what token sources answer ----------------------------------------------------------

GUID = "11111111-1111-4111-8111-11111111111"


def answered(status: int, body: Any) -> KMSError:
    """The error for an answer of a token source."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return decoder.decode(Answer(status, (), raw, Phase.BEFORE_SEND, door=IDENTITY))


def test_a_refusal_is_read() -> None:
    """Number, ids and who was refused; the words stay where they are."""
    words = (
        f"AADSTS700016: Application with identifier '{GUID}2' was not found in the directory '{GUID}1'. s3cret "
        f"Trace ID: {GUID}3 Correlation ID: {GUID}4"
    )
    error = answered(400, {"error": "unauthorized_client", "error_description": words, "error_codes": [700016]})
    assert (error.code, error.outcome) == (Code.CREDENTIAL_REJECTED, Outcome.NOT_SENT)
    assert error.provider_codes == ("unauthorized_client", "AADSTS700016")
    assert error.request_ids == {"trace-id": f"{GUID}3", "correlation-id": f"{GUID}4"}
    assert error.identity == Identity(None, f"{GUID}1", f"{GUID}2", None)
    assert "s3cret" not in error.details()


@pytest.mark.parametrize(("status", "body", "code"), [
    (400, {"error": "invalid_client", "error_codes": [7000222]}, Code.TOKEN_EXPIRED),
    (400, {"error": "invalid_request", "error_description": "Identity not found"}, Code.CREDENTIAL_UNAVAILABLE),
    (400, {"error": "invalid_request"}, Code.INVALID_ARGUMENT),
    (400, b"AADSTS50196: a loop", Code.RATE_LIMITED),
    (410, b"", Code.DEPENDENCY_UNAVAILABLE),
    (429, {"error": {"code": "x"}}, Code.RATE_LIMITED),
    (503, b"<html>", Code.DEPENDENCY_UNAVAILABLE),
    (404, b"\xff", Code.DEPENDENCY_UNAVAILABLE),
])  # fmt: skip
def test_a_token_source_says_what_is_wrong(status: int, body: Any, code: Code) -> None:
    """By number, then by the words of RFC 6749, then by status; the backend was not asked."""
    error = answered(status, body)
    assert (error.code, error.outcome) == (code, Outcome.NOT_SENT)


@drawn(st.none() | st.integers(-1, 999), st.binary(max_size=300), st.text(max_size=300))
def test_any_answer_is_one_error(status: int | None, body: bytes, text: str) -> None:
    """Whatever stands in the place of a token source; `read` itself takes it."""
    answer = Answer(status, (), body, Phase.BEFORE_SEND, text=text, door=IDENTITY)
    read(answer)
    assert decoder.decode(answer).outcome is Outcome.NOT_SENT
