"""The emulator of Azure Key Vault, with the vendor's own SDKs: unmodified, over TLS on loopback, sync and async."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import os
import socket
import time
from typing import Any

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    IncompleteReadError,
    ServiceRequestError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
)
from azure.core.rest import HttpRequest
from azure.identity import ClientSecretCredential
from azure.identity.aio import ClientSecretCredential as AioClientSecretCredential
from azure.keyvault.keys import (
    KeyClient,
    KeyOperation,
    KeyRotationLifetimeAction,
    KeyRotationPolicy,
    KeyType,
    KeyVaultKey,
)
from azure.keyvault.keys._shared.http_challenge_cache import clear as clear_keys_challenges
from azure.keyvault.keys.aio import KeyClient as AioKeyClient
from azure.keyvault.keys.crypto import (
    CryptographyClient,
    EncryptionAlgorithm,
    KeyWrapAlgorithm,
    SignatureAlgorithm,
)
from azure.keyvault.secrets import SecretClient
from azure.keyvault.secrets._shared.http_challenge_cache import clear as clear_secrets_challenges
from azure.keyvault.secrets.aio import SecretClient as AioSecretClient

from kmsbridge.emulation import Answer, Close, Cut, Delay, Drip, Emulator, Garbage, Hang, Reset
from kmsbridge_azure_keyvault.emulator import KeyVault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

# Where the SDK could not read an answer to its end, it leaves the socket to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")

AIOHTTP_CLOSES_IN = 0.25
"""What its documents advise to wait for TLS to end: older releases do not wait by themselves."""
DIGEST = hashlib.sha256(b"message").digest()


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    """One emulator for all tests of this module."""
    with Emulator(KeyVault()) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def ca(running: Emulator, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The file with the certificate that clients trust."""
    return running.write_ca(str(tmp_path_factory.mktemp("ca") / "ca.pem"))


@pytest.fixture
def emulator(running: Emulator) -> Iterator[Emulator]:
    """The emulator without state, and clients that remember no challenge of an earlier test."""
    running.reset()
    clear_secrets_challenges()
    clear_keys_challenges()
    yield running
    assert len(running._failures) == 0, "a failure was ordered and never came"
    running.reset()
    gc.collect()  # what the SDK has left is found here, and not in somebody else's test


@pytest.fixture
def credential(emulator: Emulator, ca: str) -> Iterator[ClientSecretCredential]:
    """The registered application."""
    with ClientSecretCredential(**application(emulator), connection_verify=ca, retry_total=0) as credential:
        yield credential


@pytest.fixture
def options(ca: str) -> dict[str, Any]:
    """What a client needs to talk to ``https://localhost:<port>``."""
    return {"connection_verify": ca, "verify_challenge_resource": False, "retry_total": 0}


@pytest.fixture
def secrets(emulator: Emulator, credential: ClientSecretCredential, options: dict[str, Any]) -> Iterator[SecretClient]:
    """The SDK's client for secrets; it tries once."""
    with SecretClient(emulator.url, credential, **options) as client:
        yield client


@pytest.fixture
def keys(emulator: Emulator, credential: ClientSecretCredential, options: dict[str, Any]) -> Iterator[KeyClient]:
    """The SDK's client for keys; it tries once."""
    with KeyClient(emulator.url, credential, **options) as client:
        yield client


@pytest.fixture
async def aio_secrets(emulator: Emulator, options: dict[str, Any]) -> AsyncIterator[AioSecretClient]:
    """The same, async, with its own credential."""
    verify = options["connection_verify"]
    async with (
        AioClientSecretCredential(**application(emulator), connection_verify=verify) as credential,
        AioSecretClient(emulator.url, credential, **options) as client,
    ):
        yield client
    await asyncio.sleep(AIOHTTP_CLOSES_IN)


def application(emulator: Emulator, **changes: str) -> dict[str, Any]:
    """The arguments of a credential."""
    backend = emulator.backend
    assert isinstance(backend, KeyVault)
    who = {"tenant_id": backend.tenant_id, "client_id": backend.client_id, "client_secret": backend.client_secret}
    return {**who, "authority": emulator.url, "disable_instance_discovery": True, **changes}


@contextlib.contextmanager
def remote(
    emulator: Emulator, credential: ClientSecretCredential, key: str | None, ca: str
) -> Iterator[CryptographyClient]:
    """A client that is not shown the public key, and so leaves all arithmetic to the service."""
    emulator.fail("GetKey", "AccessDenied", resource=str(key).split("/")[4])
    with CryptographyClient(str(key), credential, connection_verify=ca, verify_challenge_resource=False) as client:
        yield client


def headers_of(error: HttpResponseError) -> Any:
    """The headers of the answer behind an error; the SDK declares them for no error."""
    return getattr(error.response, "headers")  # noqa: B009


def inner(error: HttpResponseError) -> tuple[int | None, str | None, str | None]:
    """Status, code and innermost code, as the SDK tells them."""
    told = error.error
    assert told is not None, error
    return error.status_code, told.code, (told.innererror or {}).get("code")


# -- secrets ----------------------------------------------------------------------------


def test_a_secret_is_set_and_read(secrets: SecretClient, emulator: Emulator) -> None:
    """Value, tags, content type and times come back, whatever the case of the name."""
    made = secrets.set_secret("Billing", "one", tags={"team": "a"}, content_type="text/plain", enabled=True)
    read = secrets.get_secret("billing")
    assert (read.value, read.properties.tags, read.properties.content_type) == ("one", {"team": "a"}, "text/plain")
    assert read.id == made.id == f"{emulator.url}/secrets/Billing/{made.properties.version}"
    assert read.properties.recovery_level == "Recoverable+Purgeable"
    assert read.properties.recoverable_days == 90
    assert read.properties.created_on == read.properties.updated_on
    assert secrets.get_secret("billing", made.properties.version).value == "one"


def test_each_set_adds_a_version(secrets: SecretClient) -> None:
    """The newest is read without a version, the older ones with theirs."""
    versions = [secrets.set_secret("a", value).properties.version for value in ("one", "two", "three")]
    assert secrets.get_secret("a").value == "three"
    assert secrets.get_secret("a", versions[0]).value == "one"
    found = {each.version for each in secrets.list_properties_of_secret_versions("a")}
    assert found == set(versions)


def test_listings_come_in_pages(secrets: SecretClient, emulator: Emulator) -> None:
    """60 secrets are three pages, each by one request, and no page shows a value or a version."""
    for number in range(60):
        secrets.set_secret(f"page-{number}", "x")
    pages = [list(page) for page in secrets.list_properties_of_secrets().by_page()]
    assert [len(page) for page in pages] == [25, 25, 10]
    assert {each.name for page in pages for each in page} == {f"page-{number}" for number in range(60)}
    assert {each.version for page in pages for each in page} == {None}
    assert emulator.requests.count("GetSecrets", status=200) == 3
    assert [len(list(page)) for page in secrets.list_properties_of_secrets(max_page_size=20).by_page()] == [20, 20, 20]


def test_a_version_is_updated(secrets: SecretClient) -> None:
    """What is known about a version changes, and its value does not."""
    secrets.set_secret("a", "one", tags={"team": "a"})
    changed = secrets.update_secret_properties("a", tags={"team": "b"}, content_type="text/html")
    assert (changed.tags, changed.content_type) == ({"team": "b"}, "text/html")
    assert secrets.get_secret("a").value == "one"
    assert secrets.update_secret_properties("a", content_type="text/css").tags == {"team": "b"}


def test_the_life_after_deletion(secrets: SecretClient) -> None:
    """Deleted, a secret keeps its name, can come back with all versions, or be purged."""
    secrets.set_secret("a", "one")
    secrets.set_secret("a", "two")
    deleted = secrets.begin_delete_secret("a").result()
    assert (deleted.name, deleted.recovery_id is not None) == ("a", True)
    assert deleted.deleted_date is not None
    assert deleted.scheduled_purge_date is not None
    assert (deleted.scheduled_purge_date - deleted.deleted_date).days == 90
    assert [each.name for each in secrets.list_deleted_secrets()] == ["a"]
    with pytest.raises(HttpResponseError) as refused:
        secrets.set_secret("a", "three")
    assert inner(refused.value) == (409, "Conflict", "ObjectIsDeletedButRecoverable")
    secrets.begin_recover_deleted_secret("a").wait()
    assert secrets.get_secret("a").value == "two"
    secrets.begin_delete_secret("a").wait()
    secrets.purge_deleted_secret("a")
    with pytest.raises(HttpResponseError) as refused:
        secrets.get_deleted_secret("a")
    assert inner(refused.value) == (404, "SecretNotFound", None)
    assert secrets.set_secret("a", "four").value == "four"


def test_the_sdk_waits_until_a_deletion_is_over(secrets: SecretClient, emulator: Emulator) -> None:
    """A deletion takes as many looks as configured; the SDK's poller makes them, every two seconds."""
    emulator.configure(deletion_polls=1)
    secrets.set_secret("a", "one")
    secrets.begin_delete_secret("a").wait()
    assert emulator.requests.count("GetDeletedSecret", status=404) == 1
    assert emulator.requests.count("GetDeletedSecret", status=200) == 1


def test_a_deletion_ends_with_its_retention(secrets: SecretClient, emulator: Emulator) -> None:
    """Seven days later, by the emulator's clock, the name is free."""
    emulator.configure(retention_days=7)
    assert secrets.set_secret("a", "one").properties.recovery_level == "CustomizedRecoverable+Purgeable"
    secrets.begin_delete_secret("a").wait()
    emulator.clock.advance(days=6.9)
    assert secrets.get_deleted_secret("a").name == "a"
    emulator.clock.advance(days=0.2)
    assert secrets.set_secret("a", "two").value == "two"


def test_a_backup_is_restored(secrets: SecretClient) -> None:
    """A backup holds all versions, and brings them back where the name is free."""
    old = secrets.set_secret("a", "one").properties.version
    secrets.set_secret("a", "two")
    backup = secrets.backup_secret("a")
    with pytest.raises(HttpResponseError) as refused:
        secrets.restore_secret_backup(backup)
    assert inner(refused.value)[:2] == (409, "Conflict")
    secrets.begin_delete_secret("a").wait()
    secrets.purge_deleted_secret("a")
    secrets.restore_secret_backup(backup)
    assert (secrets.get_secret("a").value, secrets.get_secret("a", old).value) == ("two", "one")
    with pytest.raises(HttpResponseError, match="Cannot decrypt backup blob"):
        secrets.restore_secret_backup(b"something else")


async def test_secrets_async(aio_secrets: AioSecretClient, emulator: Emulator) -> None:
    """The SDK's async client does the same."""
    made = await aio_secrets.set_secret("a", "one")
    await aio_secrets.set_secret("a", "two")
    assert (await aio_secrets.get_secret("a")).value == "two"
    assert (await aio_secrets.get_secret("a", made.properties.version)).value == "one"
    assert len([each async for each in aio_secrets.list_properties_of_secret_versions("a")]) == 2
    await aio_secrets.delete_secret("a")
    assert [each.name async for each in aio_secrets.list_deleted_secrets()] == ["a"]
    with pytest.raises(HttpResponseError) as refused:
        await aio_secrets.set_secret("a", "three")
    assert inner(refused.value) == (409, "Conflict", "ObjectIsDeletedButRecoverable")
    await aio_secrets.recover_deleted_secret("a")
    await aio_secrets.delete_secret("a")
    await aio_secrets.purge_deleted_secret("a")
    assert [each async for each in aio_secrets.list_deleted_secrets()] == []
    assert emulator.requests.count(status=401) == emulator.requests.count("Token") == 1


# -- keys -------------------------------------------------------------------------------


def test_an_rsa_key_encrypts_and_wraps(
    keys: KeyClient, emulator: Emulator, credential: ClientSecretCredential, ca: str
) -> None:
    """What the service encrypts it decrypts, and what the SDK encrypts by itself too."""
    key = keys.create_rsa_key("rsa", size=2048)
    with remote(emulator, credential, key.id, ca) as service, CryptographyClient.from_jwk(key.key) as local:
        for algorithm in (EncryptionAlgorithm.rsa_oaep, EncryptionAlgorithm.rsa_oaep_256, EncryptionAlgorithm.rsa1_5):
            for client in (service, local):
                sealed = client.encrypt(algorithm, b"4111 1111")
                assert service.decrypt(algorithm, sealed.ciphertext).plaintext == b"4111 1111"
        wrapped = service.wrap_key(KeyWrapAlgorithm.rsa_oaep_256, b"k" * 32)
        assert service.unwrap_key(KeyWrapAlgorithm.rsa_oaep_256, wrapped.encrypted_key).key == b"k" * 32
    assert emulator.requests.count("Encrypt") == 3
    assert emulator.requests.count("Decrypt") == 6


@pytest.mark.parametrize(
    ("curve", "algorithm", "bits"),
    [
        ("RSA", SignatureAlgorithm.ps256, 256),
        ("RSA", SignatureAlgorithm.rs512, 512),
        ("P-256", SignatureAlgorithm.es256, 256),
        ("P-256K", SignatureAlgorithm.es256_k, 256),
        ("P-384", SignatureAlgorithm.es384, 384),
        ("P-521", SignatureAlgorithm.es512, 512),
    ],
)
def test_a_key_signs(
    keys: KeyClient, emulator: Emulator, credential: ClientSecretCredential, ca: str, curve: str,
    algorithm: SignatureAlgorithm, bits: int,
) -> None:
    """The SDK finds the service's signature right with the public key alone; a wrong one is false and no error."""
    key = keys.create_rsa_key("signer") if curve == "RSA" else keys.create_ec_key("signer", curve=curve)
    digest = hashlib.new(f"sha{bits}", b"message").digest()
    with remote(emulator, credential, key.id, ca) as service, CryptographyClient.from_jwk(key.key) as local:
        signature = service.sign(algorithm, digest).signature
        assert service.verify(algorithm, digest, signature).is_valid
        assert local.verify(algorithm, digest, signature).is_valid
        wrong = bytes([signature[0], signature[1] ^ 1]) + signature[2:]
        assert not service.verify(algorithm, digest, wrong).is_valid
        assert not service.verify(algorithm, digest, signature[:-1]).is_valid


def test_a_key_is_imported(keys: KeyClient, emulator: Emulator, credential: ClientSecretCredential, ca: str) -> None:
    """A key made elsewhere decrypts here what its public part encrypted there."""
    from azure.keyvault.keys import JsonWebKey
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    private = rsa.generate_private_key(65537, 2048)
    numbers = private.private_numbers()
    public = numbers.public_numbers
    parts = {"n": public.n, "e": public.e, "d": numbers.d, "p": numbers.p, "q": numbers.q}
    jwk = {name: value.to_bytes((value.bit_length() + 7) // 8, "big") for name, value in parts.items()}
    key = keys.import_key("imported", JsonWebKey(kty=KeyType.rsa, key_ops=["decrypt"], **jwk))
    assert key.key_operations == ["decrypt"]
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    sealed = private.public_key().encrypt(b"4111", oaep)
    with remote(emulator, credential, key.id, ca) as service:
        assert service.decrypt(EncryptionAlgorithm.rsa_oaep_256, sealed).plaintext == b"4111"


def modulus(key: KeyVaultKey) -> bytes | None:
    """The n of an RSA key; the SDK's class has it without declaring it."""
    found: bytes | None = vars(key.key).get("n")
    return found


def test_a_key_is_rotated(keys: KeyClient, emulator: Emulator) -> None:
    """By hand, and by its policy once the clock says so."""
    first = keys.create_rsa_key("rsa")
    second = keys.rotate_key("rsa")
    assert first.properties.version != second.properties.version
    assert modulus(first) not in (None, modulus(second))
    policy = KeyRotationPolicy()
    policy.expires_in = "P90D"
    policy.lifetime_actions = [KeyRotationLifetimeAction("Rotate", time_after_create="P30D")]
    updated = keys.update_key_rotation_policy("rsa", policy)
    assert (updated.expires_in, updated.lifetime_actions[0].time_after_create) == ("P90D", "P30D")
    emulator.clock.advance(days=31)
    third = keys.get_key("rsa")
    assert third.properties.version not in (first.properties.version, second.properties.version)
    assert third.properties.expires_on is not None
    assert len(list(keys.list_properties_of_key_versions("rsa"))) == 3


def test_the_life_of_a_key_after_deletion(keys: KeyClient) -> None:
    """As that of a secret."""
    version = keys.create_ec_key("ec").properties.version
    backup = keys.backup_key("ec")
    keys.begin_delete_key("ec").wait()
    assert [each.name for each in keys.list_deleted_keys()] == ["ec"]
    with pytest.raises(HttpResponseError) as refused:
        keys.create_ec_key("ec")
    assert inner(refused.value) == (409, "Conflict", "ObjectIsDeletedButRecoverable")
    keys.begin_recover_deleted_key("ec").wait()
    assert keys.get_key("ec").properties.version == version
    keys.begin_delete_key("ec").wait()
    keys.purge_deleted_key("ec")
    assert keys.restore_key_backup(backup).properties.version == version
    assert [each.name for each in keys.list_properties_of_keys()] == ["ec"]


async def test_keys_async(emulator: Emulator, options: dict[str, Any]) -> None:
    """The SDK's async clients do the same."""
    verify = options["connection_verify"]
    async with (
        AioClientSecretCredential(**application(emulator), connection_verify=verify) as credential,
        AioKeyClient(emulator.url, credential, **options) as client,
    ):
        key = await client.create_rsa_key("rsa")
        service = client.get_cryptography_client("rsa", key_version=key.properties.version)
        async with service:
            sealed = await service.encrypt(EncryptionAlgorithm.rsa_oaep_256, b"4111")
            assert (await service.decrypt(EncryptionAlgorithm.rsa_oaep_256, sealed.ciphertext)).plaintext == b"4111"
            signature = (await service.sign(SignatureAlgorithm.ps256, DIGEST)).signature
            assert (await service.verify(SignatureAlgorithm.ps256, DIGEST, signature)).is_valid
    await asyncio.sleep(AIOHTTP_CLOSES_IN)


def test_a_managed_hsm_has_aes_and_random_bytes(
    emulator: Emulator, credential: ClientSecretCredential, options: dict[str, Any], ca: str
) -> None:
    """AES-GCM is bound to the context that is given with it, and the HSM's generator can be asked."""
    emulator.configure(managed_hsm=True)
    with KeyClient(emulator.url, credential, **options) as client:
        key = client.create_oct_key("aes", size=256)
        assert (key.key_type, modulus(key)) == (KeyType.oct_hsm, None)
        assert len(client.get_random_bytes(16)) == 16
        with remote(emulator, credential, key.id, ca) as service:
            gcm = EncryptionAlgorithm.a256_gcm
            sealed = service.encrypt(gcm, b"4111", additional_authenticated_data=b"tenant=acme")
            tagged = {"iv": sealed.iv, "authentication_tag": sealed.tag}
            right = service.decrypt(gcm, sealed.ciphertext, additional_authenticated_data=b"tenant=acme", **tagged)
            assert right.plaintext == b"4111"
            with pytest.raises(HttpResponseError, match="Unable to decrypt specified value") as refused:
                service.decrypt(gcm, sealed.ciphertext, additional_authenticated_data=b"tenant=evil", **tagged)
            assert "(Activity ID: " in str(refused.value)
            wrapped = service.wrap_key(KeyWrapAlgorithm.aes_256, b"k" * 32)
            assert service.unwrap_key(KeyWrapAlgorithm.aes_256, wrapped.encrypted_key).key == b"k" * 32


# -- who is let in ----------------------------------------------------------------------


def test_a_vault_has_a_host_of_its_own(
    emulator: Emulator, credential: ClientSecretCredential, ca: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under a name of its own a vault needs no switch: the SDK finds that challenge and address belong together."""
    real = socket.getaddrinfo

    def resolve(host: Any, *arguments: Any, **options: Any) -> Any:
        return real("127.0.0.1" if str(host).endswith(".localhost") else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    addresses = [f"https://{name}.vault.localhost:{emulator.port}" for name in ("one", "two")]
    clients = [SecretClient(address, credential, connection_verify=ca) for address in addresses]
    clients[0].set_secret("a", "one")
    clients[1].set_secret("a", "two")
    assert [client.get_secret("a").value for client in clients] == ["one", "two"]
    for client in clients:
        client.close()


def test_a_claims_challenge_is_met(secrets: SecretClient, emulator: Emulator) -> None:
    """The SDK asks for a new token with the claims of the challenge, and then is let in."""
    secrets.set_secret("a", "one")
    emulator.configure(claims_challenge=1)
    assert secrets.get_secret("a").value == "one"
    assert emulator.requests.count("GetSecret", status=401) == 1
    assert emulator.requests.count("Token") == 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"client_secret": "wrong"}, "AADSTS7000215"),
        ({"client_id": "99999999-9999-4999-8999-999999999999"}, "AADSTS700016"),
        ({"tenant_id": "99999999-9999-4999-8999-999999999999"}, "not configured to acquire tokens for tenant 1111"),
    ],
)
def test_a_wrong_application_gets_no_token(
    emulator: Emulator, options: dict[str, Any], ca: str, change: dict[str, str], says: str
) -> None:
    """Secret and application are checked; the challenge names the vault's tenant, and the SDK goes to no other."""
    with (
        ClientSecretCredential(**application(emulator, **change), connection_verify=ca) as credential,
        SecretClient(emulator.url, credential, **options) as client,
        pytest.raises(ClientAuthenticationError, match=says),
    ):
        client.get_secret("a")


def test_an_unknown_tenant_has_no_discovery(emulator: Emulator, ca: str) -> None:
    """Who asks for a tenant that is not there gets no further than its configuration."""
    who = application(emulator, tenant_id="99999999-9999-4999-8999-999999999999")
    with (
        ClientSecretCredential(**who, connection_verify=ca) as credential,
        pytest.raises(ClientAuthenticationError, match="Unable to get authority configuration"),
    ):
        credential.get_token("https://vault.azure.net/.default")
    assert emulator.requests.count("OpenIdConfiguration", status=400) == 1


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("AADSTS7000222", "AADSTS7000222"),
        ("AADSTS53003", "AADSTS53003"),
        ("AADSTS90033", "HTTP Error: 503"),  # of a 5xx the identity SDK tells no more
        ("BadGatewayHtml", "Authentication failed"),
    ],
)
def test_the_token_endpoint_fails_on_demand(secrets: SecretClient, emulator: Emulator, name: str, says: str) -> None:
    """Every error of the catalogue can be ordered for the token endpoint as well."""
    emulator.fail("Token", name)
    with pytest.raises(ClientAuthenticationError, match=says):
        secrets.get_secret("a")
    assert emulator.requests.count("Token") == 1


@pytest.mark.parametrize(
    ("audience", "tenant", "message"),
    [
        ("https://vault.azure.net/", None, "AKV10022: Invalid audience. Expected https://vault.azure.net, found: "),
        ("https://management.azure.com", None, "AKV10022"),
        ("https://vault.azure.net", KeyVault.other_tenant_id, "AKV10032: Invalid issuer. Expected one of "),
    ],
)
def test_a_token_for_somebody_else_is_refused(
    emulator: Emulator, options: dict[str, Any], audience: str, tenant: str | None, message: str
) -> None:
    """Audience and tenant of a token are checked, and the slash at the end matters."""
    from azure.core.credentials import AccessToken

    class Fixed:
        def get_token(self, *_: str, **__: Any) -> AccessToken:
            backend = emulator.backend
            assert isinstance(backend, KeyVault)
            token = backend.identity.issue(audience, tenant=tenant or backend.tenant_id)
            return AccessToken(token, int(time.time()) + 3600)

    with SecretClient(emulator.url, Fixed(), **options) as client, pytest.raises(HttpResponseError) as refused:
        client.get_secret("a")
    assert message in str(refused.value)


# -- errors by state --------------------------------------------------------------------


def test_errors_of_secrets_by_state(secrets: SecretClient, emulator: Emulator) -> None:
    """What a vault refuses because of what it holds, or how it is set up."""
    version = secrets.set_secret("a", "one").properties.version
    secrets.set_secret("off", "one", enabled=False)

    def told(work: Any) -> tuple[int | None, str | None, str | None]:
        with pytest.raises(HttpResponseError) as refused:
            work()
        return inner(refused.value)

    assert told(lambda: secrets.get_secret("b")) == (404, "SecretNotFound", None)
    assert told(lambda: secrets.get_secret("a", "0" * 32)) == (404, "SecretNotFound", None)
    assert told(lambda: secrets.get_secret("a", "latest")) == (400, "BadParameter", None)
    assert told(lambda: secrets.get_secret("off")) == (403, "Forbidden", "SecretDisabled")
    assert told(lambda: secrets.set_secret("a_b", "x")) == (400, "BadParameter", None)
    assert told(lambda: secrets.set_secret("a", "x" * 25_601)) == (400, "BadParameter", None)
    many = {str(number): "" for number in range(16)}
    assert told(lambda: secrets.set_secret("a", "x", tags=many)) == (400, "BadParameter", None)
    emulator.configure(firewall=True)
    assert told(lambda: secrets.get_secret("a")) == (403, "Forbidden", "ForbiddenByFirewall")
    emulator.configure(firewall=False, private=True)
    assert told(lambda: secrets.get_secret("a")) == (403, "Forbidden", "ForbiddenByConnection")
    emulator.configure(private=False, denied=("GetSecret",))
    assert told(lambda: secrets.get_secret("a")) == (403, "Forbidden", "ForbiddenByRbac")
    emulator.configure(rbac=False)
    assert told(lambda: secrets.get_secret("a")) == (403, "Forbidden", "AccessDenied")
    emulator.configure(denied=(), read_only=True)
    assert told(lambda: secrets.set_secret("a", "two")) == (503, "ServiceUnavailable", None)
    assert secrets.get_secret("a").properties.version == version
    emulator.configure(read_only=False, requests_per_10_seconds=2)
    assert [secrets.get_secret("a").value for _ in range(2)] == ["one", "one"]
    assert told(lambda: secrets.get_secret("a")) == (429, "Throttled", None)
    emulator.clock.advance(seconds=10)
    assert secrets.get_secret("a").value == "one"
    emulator.configure(requests_per_10_seconds=0, purge_protection=True)
    secrets.begin_delete_secret("a").wait()
    assert told(lambda: secrets.purge_deleted_secret("a")) == (403, "Forbidden", None)
    emulator.configure(purge_protection=False, recovery_polls=2, deletion_polls=9, purge_polls=1)
    secrets.begin_recover_deleted_secret("a")
    assert told(lambda: secrets.set_secret("a", "x")) == (409, "Conflict", "ObjectIsBeingRecovered")
    assert [told(lambda: secrets.get_secret("a"))[0] for _ in range(2)] == [404, 404]
    assert secrets.get_secret("a").value == "one"
    secrets.begin_delete_secret("a")
    assert told(lambda: secrets.set_secret("a", "x")) == (409, "Conflict", "ObjectIsBeingDeleted")
    assert told(lambda: secrets.purge_deleted_secret("a")) == (409, "Conflict", "ObjectIsBeingDeleted")


def test_errors_of_keys_by_state(
    keys: KeyClient, emulator: Emulator, credential: ClientSecretCredential, ca: str
) -> None:
    """What a key refuses because of what it is for, whether it is enabled, and when."""
    key = keys.create_rsa_key("rsa", key_operations=[KeyOperation.encrypt, KeyOperation.decrypt, KeyOperation.sign])
    oaep = EncryptionAlgorithm.rsa_oaep_256

    with remote(emulator, credential, key.id, ca) as service:

        def told(work: Any) -> tuple[int | None, str | None, str | None]:
            with pytest.raises(HttpResponseError) as refused:
                work()
            return inner(refused.value)

        sealed = service.encrypt(oaep, b"x").ciphertext
        assert told(lambda: service.wrap_key(KeyWrapAlgorithm.rsa_oaep, b"k")) == (
            403, "Forbidden", "KeyOperationForbidden"
        )
        assert told(lambda: service.sign(SignatureAlgorithm.es256, DIGEST)) == (400, "BadParameter", None)
        assert told(lambda: service.sign(SignatureAlgorithm.rs512, DIGEST)) == (400, "BadParameter", None)
        assert told(lambda: service.decrypt(oaep, bytes(256))) == (400, "BadParameter", None)
        assert told(lambda: service.encrypt(oaep, bytes(191))) == (400, "BadParameter", None)
        assert len(service.encrypt(oaep, bytes(190)).ciphertext) == 256
        keys.update_key_properties("rsa", enabled=False)
        for work in (lambda: service.encrypt(oaep, b"x"), lambda: service.decrypt(oaep, sealed)):
            assert told(work) == (403, "Forbidden", "KeyDisabled")
        now = emulator.clock.now()
        keys.update_key_properties("rsa", enabled=True, not_before=moment(now + 60), expires_on=moment(now + 120))
        assert told(lambda: service.encrypt(oaep, b"x")) == (403, "Forbidden", "KeyNotYetValid")
        assert service.decrypt(oaep, sealed).plaintext == b"x"
        emulator.clock.advance(seconds=90)
        service.encrypt(oaep, b"x")
        emulator.clock.advance(seconds=60)
        assert told(lambda: service.sign(SignatureAlgorithm.rs256, DIGEST)) == (403, "Forbidden", "KeyExpired")
        assert service.decrypt(oaep, sealed).plaintext == b"x"
    assert told(lambda: keys.get_key("other")) == (404, "KeyNotFound", None)
    emulator.configure(premium=False)
    assert told(lambda: keys.create_rsa_key("hsm", hardware_protected=True)) == (400, "BadParameter", None)


def moment(seconds: float) -> Any:
    """A time as the SDK takes it."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC)


# -- errors on demand -------------------------------------------------------------------


def send(secrets: SecretClient, method: str, path: str, body: Any = None) -> Any:
    """An answer as it came, through the SDK's pipeline, whatever the SDK would make of its status."""
    request = HttpRequest(method, f"{secrets.vault_url}{path}?api-version=7.6", json=body)
    return secrets.send_request(request, stream=True)


def test_every_documented_error_arrives(secrets: SecretClient, emulator: Emulator) -> None:
    """Each error of the catalogue comes with its status, and leaves the operation undone."""
    secrets.set_secret("a", "one")
    seen = set()
    for name, documented in emulator.backend.documented.items():
        if name.startswith("AADSTS"):
            continue
        emulator.fail("SetSecret", name, times=None)  # the SDK answers some by a second try
        answer = send(secrets, "PUT", "/secrets/a", {"value": "two"})
        assert answer.status_code == documented.status, name
        assert "x-ms-request-id" in answer.headers or answer.headers["Content-Type"] == "text/html", name
        answer.close()
        seen.add(answer.status_code)
        emulator.clear_failures()
    assert seen == {400, 401, 403, 404, 405, 408, 409, 411, 413, 415, 429, 500, 502, 503, 504}
    assert len(list(secrets.list_properties_of_secret_versions("a"))) == 1


def test_a_gateway_answers_in_html(secrets: SecretClient, emulator: Emulator) -> None:
    """The page of a proxy is no JSON and has no ids."""
    secrets.set_secret("a", "one")
    emulator.fail("GetSecret", "BadGatewayHtml")
    answer = send(secrets, "GET", "/secrets/a")
    assert (answer.status_code, answer.headers["Content-Type"]) == (502, "text/html")
    assert answer.read().startswith(b"<html>")
    assert "x-ms-request-id" not in answer.headers


def test_an_answer_that_is_lost_was_still_applied(secrets: SecretClient, emulator: Emulator) -> None:
    """After applying, the version is there although the caller saw a failure."""
    emulator.fail("SetSecret", "ServiceUnavailable", before_applying=False)
    with pytest.raises(HttpResponseError):
        secrets.set_secret("a", "one")
    assert secrets.get_secret("a").value == "one"
    emulator.fail("SetSecret", Reset(), before_applying=False)
    with pytest.raises((ServiceResponseError, ServiceRequestError)):
        secrets.set_secret("a", "two")
    assert secrets.get_secret("a").value == "two"


# -- below HTTP -------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [Reset(), Close(), Garbage()], ids=lambda failure: type(failure).__name__)
def test_an_answer_that_never_comes(secrets: SecretClient, emulator: Emulator, failure: Any) -> None:
    """A connection that ends, or speaks something else, is one request and one error."""
    secrets.set_secret("a", "one")
    emulator.fail("GetSecret", failure, times=None)
    with pytest.raises((ServiceResponseError, ServiceRequestError)):
        secrets.get_secret("a")
    assert emulator.requests.count("GetSecret") == 1
    assert emulator.requests.count("GetSecret", status=200) == 0
    emulator.clear_failures()
    assert secrets.get_secret("a").value == "one"


@pytest.mark.parametrize("then", ["close", "reset"])
def test_a_body_that_is_cut(secrets: SecretClient, emulator: Emulator, then: Any) -> None:
    """The headers are whole, the body is not. By the Python version, a reset is told apart from an end, or not."""
    secrets.set_secret("a", "one")
    emulator.fail("GetSecret", Cut(10, then))
    with pytest.raises(IncompleteReadError if then == "close" else HttpResponseError) as broken:
        secrets.get_secret("a")
    assert isinstance(broken.value, IncompleteReadError) or "Connection broken" in str(broken.value)
    assert emulator.requests.count("GetSecret", status=200) == 1


@pytest.mark.parametrize("failure", [Hang(), Cut(10, "hang"), Drip(0.01)], ids=["headers", "body", "drip"])
async def test_an_answer_that_does_not_end(aio_secrets: AioSecretClient, emulator: Emulator, failure: Any) -> None:
    """Before the headers, in the middle of the body, or byte by byte: the client's own time limit ends it."""
    await aio_secrets.set_secret("a", "one")
    emulator.fail("GetSecret", failure)
    started = time.monotonic()
    if isinstance(failure, Drip):  # no pause is long enough for the limit, so the answer comes in the end
        assert (await aio_secrets.get_secret("a", read_timeout=0.3)).value == "one"
        assert time.monotonic() - started > 1
        return
    with pytest.raises(ServiceResponseTimeoutError):
        await aio_secrets.get_secret("a", read_timeout=0.3)
    assert time.monotonic() - started < 3


def test_a_delay(secrets: SecretClient, emulator: Emulator) -> None:
    """A late answer is the right one."""
    secrets.set_secret("a", "one")
    emulator.fail("GetSecret", Delay(0.3))
    started = time.monotonic()
    assert secrets.get_secret("a").value == "one"
    assert time.monotonic() - started >= 0.3


def test_an_answer_of_ones_own(secrets: SecretClient, emulator: Emulator) -> None:
    """Status, headers and body are sent as given, a header twice if need be."""
    headers = (("Content-Type", "application/json"), ("x-test", "a"), ("x-test", "b"))
    emulator.fail("GetSecret", Answer(999, headers, b'{"error":{"code":"Odd","message":"?"}}'))
    with pytest.raises(HttpResponseError) as refused:
        secrets.get_secret("a")
    assert refused.value.status_code == 999
    assert headers_of(refused.value)["x-test"] == "a, b"


@pytest.mark.parametrize("failure", [Reset(), Close(), Garbage(), Hang(0.2)], ids=lambda each: type(each).__name__)
def test_a_connection_that_fails_before_tls(secrets: SecretClient, emulator: Emulator, failure: Any) -> None:
    """No request is seen, because none was sent."""
    secrets.set_secret("a", "one")
    emulator.disconnect()
    emulator.requests.reset()
    emulator.fail("Connect", failure)
    with pytest.raises((ServiceRequestError, ServiceResponseError)):
        secrets.get_secret("a")
    assert len(emulator.requests) == 0
    assert secrets.get_secret("a").value == "one"


def test_a_kept_connection_is_used_again(secrets: SecretClient, emulator: Emulator) -> None:
    """Keep-alive works: many calls, one connection; and a new one after the old was dropped."""
    secrets.set_secret("a", "one")
    for _ in range(5):
        secrets.get_secret("a")
    assert len({seen.connection for seen in emulator.requests if seen.operation == "GetSecret"}) == 1
    emulator.disconnect()
    with contextlib.suppress(ServiceResponseError, ServiceRequestError):
        secrets.get_secret("a")
    assert secrets.get_secret("a").value == "one"
    assert len({seen.connection for seen in emulator.requests if seen.operation == "GetSecret"}) == 2


def test_a_client_without_the_certificate_sends_nothing(
    emulator: Emulator, credential: ClientSecretCredential
) -> None:
    """TLS is real: who does not trust the authority gets no further."""
    with (
        SecretClient(emulator.url, credential, verify_challenge_resource=False, retry_total=0) as client,
        pytest.raises(ServiceRequestError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        client.get_secret("a")
    assert len(emulator.requests) == 0


def test_a_forked_child_holds_no_connection(emulator: Emulator, ca: str) -> None:
    """What the emulator closes is closed, also if the process was forked in between."""
    import ssl

    context = ssl.create_default_context(cafile=ca)
    with socket.create_connection(("127.0.0.1", emulator.port), 5) as plain:
        connection = context.wrap_socket(plain, server_hostname="localhost")
        connection.sendall(b"GET /secrets HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 401")
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.close(writer)
            os.read(reader, 1)
            os._exit(0)
        assert emulator.disconnect() >= 1
        connection.settimeout(3)
        with contextlib.suppress(ConnectionResetError):
            while connection.recv(65536):
                pass
        connection.close()
        os.close(writer)
        os.close(reader)
        os.waitpid(child, 0)
