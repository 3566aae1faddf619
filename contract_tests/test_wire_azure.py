"""The wire under the SDKs that stand on azure-core, in both modes."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any, Self

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceRequestTimeoutError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
)
from azure.core.rest import HttpRequest
from azure.cosmos import CosmosClient
from azure.cosmos.aio import CosmosClient as AioCosmosClient
from azure.identity import ClientSecretCredential
from azure.identity.aio import ClientSecretCredential as AioClientSecretCredential
from azure.keyvault.secrets import SecretClient
from azure.keyvault.secrets.aio import SecretClient as AioSecretClient

from contract_tests.wire_faults import HEAD, Authority, Faults
from kmsbridge._decode import MAX_BODY, Phase, Refused
from kmsbridge._wire import answer_of, azure_transport, within
from kmsbridge._wire._blocking import Wire
from kmsbridge._wire._loop import AsyncWire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    Aio = Callable[[Callable[[AsyncWire], Awaitable[None]]], None]

pytestmark = pytest.mark.filterwarnings("error")
TENANT = "00000000-0000-0000-0000-000000000001"


def answer(status: str, body: object, *headers: str) -> bytes:
    """A whole answer with a JSON body."""
    content = json.dumps(body).encode()
    lines = "".join(f"{line}\r\n" for line in headers).encode()
    return HEAD % status.encode() + lines + b"Content-Length: %d\r\n\r\n" % len(content) + content


class Vault(Faults):
    """Key Vault's challenge, one secret, a token endpoint, and a Cosmos account with one item."""

    def __init__(self, authority: Authority) -> None:
        super().__init__(authority.server("localhost"))
        self.answers["secrets"] = self._secrets
        self.answers[TENANT] = self._login
        self.answers["dbs"] = self._cosmos
        self.answers[""] = lambda *_: answer("200 OK", self._account())

    @property
    def host(self) -> str:
        """The vault's address."""
        return f"https://localhost:{self.port}"

    def _secrets(self, head: bytes, body: bytes) -> bytes:
        del body
        if b"Authorization: Bearer token-1" not in head:
            challenge = f'Bearer authorization="{self.host}/{TENANT}", resource="https://vault.azure.net"'
            return answer("401 Unauthorized", {}, f"WWW-Authenticate: {challenge}")
        path = head.split(b" ")[1].decode()
        if "missing" in path:
            return answer("404 Not Found", {"error": {"code": "SecretNotFound", "message": "none"}})
        if "latin" in path:
            return HEAD % b"200 OK" + b"Content-Length: 13\r\n\r\n" + b'{"value":"\xff"}'
        return answer("200 OK", {"value": "s3cret", "id": f"{self.host}/secrets/a/1", "attributes": {"enabled": True}})

    def _login(self, head: bytes, body: bytes) -> bytes:
        base = f"{self.host}/{TENANT}"
        if b"openid-configuration" in head:
            endpoints = {"authorization_endpoint": f"{base}/authorize", "token_endpoint": f"{base}/token"}
            return answer("200 OK", {**endpoints, "issuer": f"{base}/v2.0"})
        if b"client_secret=wrong" in body:
            failure = {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided."}
            return answer("401 Unauthorized", failure)
        assert b"client_secret=s3cr%2Bt" in body
        assert b"content-type: application/x-www-form-urlencoded" in head.lower()
        return answer("200 OK", {"access_token": "token-1", "expires_in": 3600, "token_type": "Bearer"})

    def _account(self) -> dict[str, object]:
        here = [{"name": "here", "databaseAccountEndpoint": f"{self.host}/"}]
        return {
            "id": "account",
            "_dbs": "//dbs/",
            "writableLocations": here,
            "readableLocations": here,
            "enableMultipleWriteLocations": False,
            "userConsistencyPolicy": {"defaultConsistencyLevel": "Session"},
        }

    def _cosmos(self, head: bytes, body: bytes) -> bytes:
        del body
        path = head.split(b" ")[1].decode()
        if path.rstrip("/").endswith("colls/c"):
            return answer("200 OK", {"id": "c", "_rid": "x", "partitionKey": {"paths": ["/id"], "kind": "Hash"}})
        if "missing" in path:
            return answer("404 Not Found", {"code": "NotFound"}, "x-ms-substatus: 0")
        return answer("200 OK", {"id": "a", "value": "é"}, "x-ms-session-token: 0:1")


class Token:
    """A credential that has its token."""

    def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        """The token."""
        del scopes, kwargs
        return AccessToken("token-1", int(time.time()) + 3600)

    def close(self) -> None:
        """There is nothing to close."""


class AioToken:
    """A credential that has its token, for the async SDKs."""

    async def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        """The token."""
        del scopes, kwargs
        return AccessToken("token-1", int(time.time()) + 3600)

    async def close(self) -> None:
        """There is nothing to close."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        pass


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority of this test run."""
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def vault(authority: Authority) -> Iterator[Vault]:
    """A vault with TLS."""
    with Vault(authority) as running:
        yield running


@pytest.fixture
def wire(authority: Authority) -> Iterator[Wire]:
    """A sync wire."""
    with closing(Wire(ca=authority.file)) as opened:
        yield opened


@pytest.fixture
def aio(authority: Authority) -> Aio:
    """Runs a coroutine function with an async wire."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[AsyncWire]:
        wire = AsyncWire(ca=authority.file)
        try:
            yield wire
        finally:
            await wire.close()

    def run(body: Callable[[AsyncWire], Awaitable[None]]) -> None:
        async def main() -> None:
            async with opened() as wire:
                await body(wire)

        asyncio.run(main())

    return run


def secrets(vault: Vault, wire: Wire, **options: Any) -> SecretClient:
    """The SDK's client over our wire."""
    return SecretClient(
        vault.host,
        options.pop("credential", Token()),
        transport=azure_transport(wire),
        verify_challenge_resource=False,
        retry_total=0,
        **options,
    )


def aio_secrets(vault: Vault, wire: AsyncWire, **options: Any) -> AioSecretClient:
    """The SDK's async client over our wire."""
    return AioSecretClient(
        vault.host,
        options.pop("credential", AioToken()),
        transport=azure_transport(wire),
        verify_challenge_resource=False,
        retry_total=0,
        **options,
    )


# -- Key Vault --------------------------------------------------------------------------


def test_key_vault(vault: Vault, wire: Wire) -> None:
    """The SDK's own calls work over the wire, its challenge included, and closing its client leaves the wire open."""
    client = secrets(vault, wire)
    assert client.get_secret("a").value == "s3cret"
    assert client.set_secret("a", "é").value == "s3cret"
    assert json.loads(vault.bodies[-1])["value"] == "é"
    with pytest.raises(ResourceNotFoundError) as caught:
        client.get_secret("missing")
    assert caught.value.error is not None
    assert caught.value.error.code == "SecretNotFound"
    found = answer_of(caught.value)
    assert found is not None
    assert (found.status, found.header("x-ms-request-id")) == (404, "r-1")
    client.close()
    assert secrets(vault, wire).get_secret("a").value == "s3cret"
    assert vault.connections == 1


def test_key_vault_async(vault: Vault, aio: Aio) -> None:
    """The same in the async SDK."""

    async def body(wire: AsyncWire) -> None:
        client = aio_secrets(vault, wire)
        assert (await client.get_secret("a")).value == "s3cret"
        assert (await client.set_secret("a", "é")).value == "s3cret"
        assert json.loads(vault.bodies[-1])["value"] == "é"
        with pytest.raises(ResourceNotFoundError) as caught:
            await client.get_secret("missing")
        found = answer_of(caught.value)
        assert found is not None
        assert (found.status, found.header("x-ms-request-id")) == (404, "r-1")
        await client.close()
        assert (await aio_secrets(vault, wire).get_secret("a")).value == "s3cret"
        assert vault.connections == 1

    aio(body)


def test_raw_answers(vault: Vault, wire: Wire, aio: Aio) -> None:
    """`send_request` with ``stream=True`` gives the raw bytes of any answer, whatever its status, in both modes."""
    vault.answers["long"] = HEAD % b"403 Forbidden" + b"Content-Length: 100000\r\n\r\n" + b"x" * 100_000
    cases = [
        ("secrets/latin", 200, b'{"value":"\xff"}'),
        ("secrets/missing", 404, None),
        ("long", 403, b"x" * MAX_BODY),
    ]
    client = secrets(vault, wire)
    for path, status, content in cases:
        response = client.send_request(HttpRequest("GET", f"{vault.host}/{path}?api-version=7.6"), stream=True)
        assert response.status_code == status
        assert content is None or response.content == content

    async def body(wire: AsyncWire) -> None:
        client = aio_secrets(vault, wire)
        for path, status, content in cases:
            request = HttpRequest("GET", f"{vault.host}/{path}?api-version=7.6")
            response = await client.send_request(request, stream=True)
            assert response.status_code == status
            assert content is None or response.content == content

    aio(body)


FAILURES = [
    ("reset", ServiceResponseError, Phase.SENT, None),
    ("close", ServiceResponseError, Phase.SENT, None),
    ("cut-headers", ServiceResponseError, Phase.HEADERS, 503),
    ("cut-body", ServiceResponseError, Phase.BODY, 503),
    ("hang", ServiceResponseTimeoutError, Phase.SENT, None),
    ("drip-body", ServiceResponseTimeoutError, Phase.BODY, 200),
]


def check(failure: AzureError, kind: type[AzureError], phase: Phase, status: int | None) -> None:
    """A failure is of the right kind, has our answer, and tells nothing."""
    assert isinstance(failure, kind)
    found = answer_of(failure)
    assert found is not None
    assert (found.phase, found.status) == (phase, status)
    assert isinstance(failure.inner_exception, Refused)
    assert failure.__context__ is None
    assert "localhost" not in f"{failure}{failure!r}"


@pytest.mark.parametrize(("fault", "kind", "phase", "status"), FAILURES)
def test_failures(
    fault: str, kind: type[AzureError], phase: Phase, status: int | None, vault: Vault, wire: Wire, aio: Aio
) -> None:
    """What breaks is azure-core's error for that phase, with our answer on it, after one request, in both modes."""
    request = HttpRequest("PUT", f"{vault.host}/{fault}?api-version=7.6", json={"value": "s3cret"})
    options: dict[str, Any] = {"connection_timeout": 0.7, "read_timeout": 0.3}
    with pytest.raises(AzureError) as caught:
        secrets(vault, wire).send_request(request, **options)
    check(caught.value, kind, phase, status)

    async def body(wire: AsyncWire) -> None:
        with pytest.raises(AzureError) as caught:
            await aio_secrets(vault, wire).send_request(request, **options)
        check(caught.value, kind, phase, status)

    aio(body)
    assert vault.requests == {("PUT", f"/{fault}?api-version=7.6"): 2}


def test_not_sent(vault: Vault, wire: Wire, aio: Aio) -> None:
    """What fails before anything is sent is a ServiceRequestError; no time left is its timeout. In both modes."""
    away = HttpRequest("PUT", "https://localhost:1/secrets/a", json={})
    here = HttpRequest("PUT", f"{vault.host}/secrets/a", json={})
    with pytest.raises(ServiceRequestError) as caught:
        secrets(vault, wire).send_request(away)
    check(caught.value, ServiceRequestError, Phase.BEFORE_SEND, None)
    with within(-1), pytest.raises(ServiceRequestTimeoutError) as late:
        secrets(vault, wire).send_request(here)
    check(late.value, ServiceRequestTimeoutError, Phase.BEFORE_SEND, None)

    async def body(wire: AsyncWire) -> None:
        with pytest.raises(ServiceRequestError) as caught:
            await aio_secrets(vault, wire).send_request(away)
        check(caught.value, ServiceRequestError, Phase.BEFORE_SEND, None)
        with within(-1), pytest.raises(ServiceRequestTimeoutError) as late:
            await aio_secrets(vault, wire).send_request(here)
        check(late.value, ServiceRequestTimeoutError, Phase.BEFORE_SEND, None)

    aio(body)
    assert not vault.requests


def test_one_deadline_for_all(vault: Vault, wire: Wire, aio: Aio) -> None:
    """`within` bounds all requests of one SDK call together: challenge, token and the call itself. In both modes."""

    def slow(head: bytes, body: bytes) -> bytes:
        time.sleep(1.0)
        return vault._secrets(head, body)

    vault.answers["secrets"] = slow
    started = time.monotonic()
    with within(1.9), pytest.raises(ServiceResponseTimeoutError):
        secrets(vault, wire).get_secret("a")
    assert 1.9 <= time.monotonic() - started < 10

    async def body(wire: AsyncWire) -> None:
        client = aio_secrets(vault, wire)
        started = time.monotonic()
        with within(1.9):
            await client.get_secret("a")  # the challenge is known by now
            with pytest.raises(ServiceResponseTimeoutError):
                await client.get_secret("a")
        assert 1.9 <= time.monotonic() - started < 10

    aio(body)


# -- azure-identity and azure-cosmos ----------------------------------------------------


def test_credentials(vault: Vault, wire: Wire) -> None:
    """A credential gets its tokens over the wire; its failures show our answer."""
    options: dict[str, Any] = {
        "authority": vault.host,
        "disable_instance_discovery": True,
        "transport": azure_transport(wire),
        "retry_total": 0,
    }
    with ClientSecretCredential(TENANT, "app", "s3cr+t", **options) as credential:
        assert secrets(vault, wire, credential=credential).get_secret("a").value == "s3cret"
    with (
        ClientSecretCredential(TENANT, "app", "wrong", **options) as credential,
        pytest.raises(ClientAuthenticationError, match="AADSTS7000215"),
    ):
        credential.get_token("https://vault.azure.net/.default")

    def gone(*_: bytes) -> bytes:
        raise ConnectionError  # the server's thread closes the connection

    vault.answers[TENANT] = gone
    with (
        ClientSecretCredential(TENANT, "app", "s3cr+t", **options) as credential,
        pytest.raises(ClientAuthenticationError) as caught,
    ):
        credential.get_token("https://vault.azure.net/.default")
    found = answer_of(caught.value)
    assert found is not None
    assert found.phase is Phase.SENT


def test_credentials_async(vault: Vault, aio: Aio) -> None:
    """The same with the async credentials."""

    async def body(wire: AsyncWire) -> None:
        options: dict[str, Any] = {
            "authority": vault.host,
            "disable_instance_discovery": True,
            "transport": azure_transport(wire),
            "retry_total": 0,
        }
        async with AioClientSecretCredential(TENANT, "app", "s3cr+t", **options) as credential:
            assert (await aio_secrets(vault, wire, credential=credential).get_secret("a")).value == "s3cret"
        async with AioClientSecretCredential(TENANT, "app", "wrong", **options) as credential:
            with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
                await credential.get_token("https://vault.azure.net/.default")

    aio(body)


def test_cosmos(vault: Vault, wire: Wire) -> None:
    """Cosmos reads an item over the wire, and its error shows our answer."""
    client = CosmosClient(vault.host, "a2V5", transport=azure_transport(wire), retry_total=0)
    container = client.get_database_client("d").get_container_client("c")
    assert container.read_item("a", "a")["value"] == "é"
    with pytest.raises(ResourceNotFoundError) as caught:
        container.read_item("missing", "missing")
    found = answer_of(caught.value)
    assert found is not None
    assert found.status == 404


def test_cosmos_async(vault: Vault, aio: Aio) -> None:
    """The same in the async SDK."""

    async def body(wire: AsyncWire) -> None:
        async with AioCosmosClient(vault.host, "a2V5", transport=azure_transport(wire), retry_total=0) as client:
            container = client.get_database_client("d").get_container_client("c")
            assert (await container.read_item("a", "a"))["value"] == "é"
            with pytest.raises(ResourceNotFoundError) as caught:
                await container.read_item("missing", "missing")
            found = answer_of(caught.value)
            assert found is not None
            assert found.status == 404

    aio(body)
