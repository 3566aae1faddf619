"""The Key Vault emulator without a network: what it keeps, refuses and computes, and where its errors come from."""

from __future__ import annotations

import ast
import base64
import json
import re
import string
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from kmsbridge.emulation import Request, entra
from kmsbridge.emulation.entra import REFUSALS
from kmsbridge_azure_keyvault.emulator import KeyVault, Settings
from kmsbridge_azure_keyvault.emulator._address import address_of
from kmsbridge_azure_keyvault.emulator._arithmetic import Sealed, decrypt, encrypt, sign, verify
from kmsbridge_azure_keyvault.emulator._catalogue import CATALOGUE
from kmsbridge_azure_keyvault.emulator._items import Refused
from kmsbridge_azure_keyvault.emulator._material import KeyVersion, generate
from kmsbridge_azure_keyvault.emulator._operations import OPERATIONS, VaultOperation
from kmsbridge_azure_keyvault.emulator._rotation import checked, due, seconds

FOLDER = Path(__file__).parent.parent / "providers" / "kmsbridge_azure_keyvault" / "emulator"
LATEST = "2026-04-01"


class Answered(NamedTuple):
    """What the service said."""

    status: int
    body: Any
    headers: dict[str, str]

    @property
    def codes(self) -> tuple[int, str, str | None]:
        """Status, code, and innermost code."""
        error = self.body["error"]
        return self.status, error["code"], error.get("innererror", {}).get("code")


class Vault:
    """Calls a service as the server does, with a token that is good."""

    def __init__(self, settings: Settings | None = None, host: str = "v.vault.localhost:8443") -> None:
        self.service = KeyVault(settings)
        self.service.address = "https://localhost:8443"
        self.host = host
        self.audience = f"https://{host.partition('.')[2]}"

    def __call__(self, call: str, body: Any = None, *, version: str = LATEST, **headers: str) -> Answered:
        """Ask ``GET /secrets``, for example."""
        method, _, target = call.partition(" ")
        target += f"{'&' if '?' in target else '?'}api-version={version}" if version else ""
        token = self.service.identity.issue(self.audience)
        given = {"host": self.host, "authorization": f"Bearer {token}", **headers}
        sent = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        request = Request(method, target, given, sent, 1, "127.0.0.1")
        self.service.identify(request)
        answer = self.service.admit(request) or self.service.apply(request)
        told = dict(answer.headers)
        is_json = told.get("Content-Type", "").startswith("application/json")
        return Answered(answer.status, json.loads(answer.body) if is_json else answer.body, told)


@pytest.fixture
def vault() -> Vault:
    """A vault with nothing in it."""
    return Vault()


@pytest.fixture
def hsm() -> Vault:
    """A Managed HSM with nothing in it."""
    return Vault(host="h.managedhsm.localhost:8443")


def b64(value: bytes) -> str:
    """As base64url without padding."""
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


# -- independence -----------------------------------------------------------------------


def test_it_shares_nothing_with_the_adapter() -> None:
    """No module of the emulator imports the adapter, its rules or the decoder: else a test of both proved nothing."""
    imported = set()
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(str(node.module))
    ours = {name for name in imported if name.startswith("kmsbridge")}
    assert ours
    others = {name for name in ours if not name.startswith("kmsbridge_azure_keyvault.emulator")}
    assert others == {"kmsbridge.emulation"}
    assert not {name for name in imported if name.startswith(("azure", "msal"))}


# -- errors -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*CATALOGUE, *REFUSALS])
def test_every_error_has_a_source_and_can_be_sent(vault: Vault, name: str) -> None:
    """Each error says where it was seen or documented, and every operation can be answered with it."""
    assert len(vault.service.documented[name].source) > 3
    for call in ("PUT /secrets/a", "POST /keys/k/1/sign", "POST /t/oauth2/v2.0/token", "GET /nowhere"):
        method, target = call.split()
        request = Request(method, target, {"host": "localhost:8443"}, b"", 1, "192.0.2.7")
        vault.service.identify(request)
        answer = vault.service.answer(name, request)
        assert answer.status == vault.service.documented[name].status
        assert not re.search(r"\{[A-Za-z]+\}", answer.body.decode()), "a name in braces was not filled in"


def test_every_template_is_known() -> None:
    """What stands in braces in a message is something that the service fills in."""
    named = {field for row in CATALOGUE.values() for _, field, _, _ in string.Formatter().parse(row.message) if field}
    request = Request("GET", "/secrets/a", {"host": "localhost:1"}, b"", 1, "127.0.0.1")
    service = KeyVault()
    service.identify(request)
    assert named - {"activity"} <= set(service._facts(request))


@pytest.mark.parametrize(
    ("name", "body"),
    [
        (
            "ObjectIsDeletedButRecoverable",
            {"error": {
                "code": "Conflict",
                "message": "Secret a is currently in a deleted but recoverable state, and its name cannot be reused; "
                           "in this state, the secret can only be recovered or purged.",
                "innererror": {"code": "ObjectIsDeletedButRecoverable"},
            }},
        ),
        (
            "Throttled",
            {"error": {
                "code": "Throttled",
                "message": "Request was not processed because too many requests were received. Reason: "
                           "VaultRequestTypeLimitReached",
            }},
        ),
        ("EkmKeyDisabled", {"code": "KeyDisabled", "message": "Operation Set is not allowed on a disabled key"}),
        (
            "ReadOnly",
            {"error": {
                "code": "ServiceUnavailable",
                "message": 'Operation "SecretSet" is unavailable: the service is currently in a read-only state.',
            }},
        ),
    ],
)
def test_bodies_are_those_that_were_published(vault: Vault, name: str, body: Any) -> None:
    """The envelope, the sentence and the innermost code are those of real answers."""
    request = Request("PUT", "/secrets/a", {"host": vault.host}, b"", 1, "127.0.0.1")
    vault.service.identify(request)
    assert json.loads(vault.service.answer(name, request).body) == body


def test_only_one_throttling_asks_for_a_pause(vault: Vault) -> None:
    """The SDK honours Retry-After on any status, so no error has it by habit."""
    request = Request("GET", "/secrets/a", {"host": vault.host}, b"", 1, "127.0.0.1")
    vault.service.identify(request)
    having = [name for name in CATALOGUE if "Retry-After" in dict(vault.service.answer(name, request).headers)]
    assert having == ["ThrottledRetryAfter"]


def test_every_401_has_a_challenge(vault: Vault) -> None:
    """It names the authority with the tenant, and the resource that is the parent of the vault's host."""
    for name, row in CATALOGUE.items():
        if row.status == 401 and row.shape != "bare":
            request = Request("GET", "/secrets/a", {"host": vault.host}, b"", 1, "127.0.0.1")
            vault.service.identify(request)
            challenge = dict(vault.service.answer(name, request).headers)["WWW-Authenticate"]
            authority = f'Bearer authorization="https://localhost:8443/{vault.service.tenant_id}"'
            assert challenge.startswith(f'{authority}, resource="https://vault.localhost:8443"')
            assert ("insufficient_claims" in challenge) == (name == "InsufficientClaims")


# -- the shape of calls -----------------------------------------------------------------


def test_headers_of_an_answer(vault: Vault) -> None:
    """Request ids, region and version are in every answer; the caller's own id comes back."""
    for call in ("GET /secrets", "GET /secrets/none"):
        headers = vault(call, **{"x-ms-client-request-id": "mine"}).headers
        assert re.fullmatch(r"[0-9a-f-]{36}", headers["x-ms-request-id"])
        assert headers["x-ms-client-request-id"] == "mine"
        assert headers["x-ms-keyvault-region"] == "westeurope"
        assert headers["Content-Type"] == "application/json; charset=utf-8"
        assert {"x-ms-keyvault-service-version", "x-ms-keyvault-network-info"} <= set(headers)


@pytest.mark.parametrize("version", ["", "6.0", "2015-06-01", "latest"])
def test_an_unknown_version_of_the_api_is_refused(vault: Vault, version: str) -> None:
    """There is no default, and the answer names the newest."""
    answer = vault("GET /secrets", version=version)
    assert answer.codes == (400, "BadParameter", None)
    assert f"({version}) is not recognized. Consider using the latest supported version ({LATEST})" in str(answer.body)


@pytest.mark.parametrize("version", ["2016-10-01", "7.0", "7.6-preview.1", "2025-07-01", LATEST])
def test_known_versions_of_the_api(vault: Vault, hsm: Vault, version: str) -> None:
    """Previews are known as well; a Managed HSM has none of the first two."""
    assert vault("GET /secrets", version=version).status == 200
    assert hsm("GET /keys", version=version).status == (400 if version in ("2016-10-01", "7.0") else 200)


def test_rotation_came_with_a_version(vault: Vault) -> None:
    """An operation is not there for who asks with a version from before it."""
    vault("POST /keys/k/create", {"kty": "EC"})
    assert vault("POST /keys/k/rotate", version="7.2").codes == (400, "BadParameter", None)
    assert vault("POST /keys/k/rotate", version="7.3").status == 200


@pytest.mark.parametrize(
    ("call", "word"),
    [("GET /secrets/a/latest", "latest"), ("DELETE /secrets", "secrets"), ("GET /keys/k/1/sign", "sign"),
     ("POST /rng", "rng"), ("GET /certificates/c", "c")],
)
def test_what_is_no_operation_is_told_so(vault: Vault, call: str, word: str) -> None:
    """A version that is none is read as an operation."""
    vault("PUT /secrets/a", {"value": "x"})
    answer = vault(call, {} if call.startswith("POST") else None)
    assert answer.body["error"]["message"] == f"Method {call.partition(' ')[0]} does not allow operation '{word}'"


def test_a_post_can_stand_for_another_method(vault: Vault) -> None:
    """With X-HTTP-METHOD, as clients behind old proxies send it."""
    vault("PUT /secrets/a", {"value": "x"})
    assert vault("POST /secrets/a", **{"x-http-method": "DELETE"}).body["recoveryId"].endswith("/deletedsecrets/a")


def test_vaults_are_apart(vault: Vault, hsm: Vault) -> None:
    """Each host is a vault of its own; a Managed HSM has no secrets."""
    vault("PUT /secrets/a", {"value": "x"})
    vault.host = "w.vault.localhost:8443"
    assert vault("GET /secrets/a").status == 404
    vault.host = "V.VAULT.localhost:8443"
    assert vault("GET /secrets/a").status == 200
    assert hsm("PUT /secrets/a", {"value": "x"}).status == 400


@pytest.mark.parametrize(
    ("host", "vault", "hsm", "resource"),
    [
        ("one.vault.localhost:8443", "one", False, "https://vault.localhost:8443"),
        ("One.ManagedHSM.localhost:8443", "one", True, "https://managedhsm.localhost:8443"),
        ("one.vault.example", "one", False, "https://vault.example"),
        ("localhost:8443", "vault", None, None),
        ("localhost", "vault", None, None),
        ("127.0.0.1:8443", "vault", None, None),
        ("[::1]:8443", "vault", None, None),
        ("", "vault", None, None),
    ],
)
def test_a_host_stands_for_a_vault(host: str, vault: str, hsm: bool | None, resource: str | None) -> None:
    """A name says what it is; a bare localhost, under any of its addresses, is what the settings say."""
    for by_default in (False, True):
        public = "https://managedhsm.azure.net" if by_default else "https://vault.azure.net"
        wanted = (vault, by_default if hsm is None else hsm, resource or public)
        assert address_of(host, hsm=by_default) == wanted


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'"a"', b"[" * 100_000])
def test_a_body_that_is_no_object_is_refused(vault: Vault, body: bytes) -> None:
    """Whatever is sent, the answer is an error of the service."""
    assert vault("PUT /secrets/a", body).codes == (400, "BadParameter", None)


@pytest.mark.parametrize(
    "body",
    [
        {}, {"value": None}, {"value": 1}, {"value": "x" * 25_601}, {"value": "\u00e9" * 12_801},
        {"value": "x", "contentType": "x" * 256}, {"value": "x", "tags": {"a": 1}}, {"value": "x", "tags": []},
        {"value": "x", "tags": {"a": "x" * 513}}, {"value": "x", "attributes": {"exp": "soon"}},
        {"value": "x", "attributes": {"enabled": "yes"}}, {"value": "x", "attributes": {"nbf": 2, "exp": 1}},
        {"value": "x", "attributes": 1}, {"value": "x", "attributes": {"exp": -1}},
    ],
)
def test_a_secret_that_cannot_be_is_refused(vault: Vault, body: Any) -> None:
    """Sizes, types and times are checked, and nothing is kept of what is refused."""
    assert vault("PUT /secrets/a", body).codes == (400, "BadParameter", None)
    assert vault("GET /secrets/a").status == 404


def test_the_largest_secret(vault: Vault) -> None:
    """25,600 bytes are just small enough, and an empty value is one."""
    assert vault("PUT /secrets/a", {"value": "x" * 25_600}).status == 200
    assert vault("PUT /secrets/b", {"value": ""}).body["value"] == ""


@pytest.mark.parametrize("name", ["a_b", "a.b", "a%20b", "x" * 128, "", "%F0%9F%98%80"])
def test_a_name_that_cannot_be_is_refused(vault: Vault, name: str) -> None:
    """Letters, digits and hyphens, 127 at most."""
    answer = vault(f"PUT /secrets/{name}", {"value": "x"})
    assert answer.codes == (400, "BadParameter", None)
    assert "The request URI contains an invalid name: " in answer.body["error"]["message"]
    assert vault(f"PUT /secrets/{'x' * 127}", {"value": "x"}).status == 200


# -- pages ------------------------------------------------------------------------------


def test_pages_are_followed_by_their_link(vault: Vault) -> None:
    """A link is absolute, of the same vault; nothing is seen twice although something is deleted in between."""
    for number in range(30):
        vault(f"PUT /secrets/s{number:02}", {"value": "x"})
    first = vault("GET /secrets?maxresults=10").body
    assert len(first["value"]) == 10
    assert first["nextLink"].startswith(f"https://{vault.host}/secrets?api-version={LATEST}&$skiptoken=")
    vault("DELETE /secrets/s05")
    target = first["nextLink"].removeprefix(f"https://{vault.host}")
    second = vault(f"GET {target}", version="").body
    names = [item["id"].rpartition("/")[2] for item in second["value"]]
    assert names == [f"s{number}" for number in range(10, 20)]
    third = vault(f"GET {second['nextLink'].removeprefix(f'https://{vault.host}')}", version="").body
    assert (len(third["value"]), third["nextLink"]) == (10, None)


@pytest.mark.parametrize(
    "query", ["maxresults=0", "maxresults=26", "maxresults=x", "$skiptoken=%ff", "$skiptoken=gICA"]
)
def test_a_page_that_cannot_be_is_refused(vault: Vault, query: str) -> None:
    """1 to 25 items, and links as they were given out."""
    assert vault(f"GET /secrets?{query}").codes == (400, "BadParameter", None)


# -- times ------------------------------------------------------------------------------


def test_a_write_can_move_the_clock(vault: Vault) -> None:
    """So that versions made in one real second have times of their own."""
    vault.service.configure(write_seconds=1)
    for value in "abc":
        vault("PUT /secrets/a", {"value": value})
    created = [item["attributes"]["created"] for item in vault("GET /secrets/a/versions").body["value"]]
    assert len(set(created)) == 3


def test_an_expired_secret_is_read(vault: Vault) -> None:
    """Times of a secret are told and not enforced."""
    vault("PUT /secrets/a", {"value": "x", "attributes": {"exp": 1, "nbf": 1}})
    assert vault("GET /secrets/a").body["attributes"]["exp"] == 1


def test_without_soft_delete_a_deletion_is_for_good() -> None:
    """As old vaults did it; there is then nothing to purge."""
    vault = Vault(Settings(retention_days=0))
    assert vault("PUT /secrets/a", {"value": "x"}).body["attributes"]["recoveryLevel"] == "Purgeable"
    assert "recoveryId" not in vault("DELETE /secrets/a").body
    assert vault("GET /secrets/a").status == 404
    assert vault("DELETE /deletedsecrets/a").codes == (400, "NotSupported", None)
    assert vault("PUT /secrets/a", {"value": "x"}).status == 200


def test_a_purged_name_stays_taken_for_a_while() -> None:
    """As many tries as configured find it taken, although the purge was answered."""
    vault = Vault(Settings(purge_polls=2))
    vault("PUT /secrets/a", {"value": "x"})
    vault("DELETE /secrets/a")
    assert vault("DELETE /deletedsecrets/a").status == 204
    tries = [vault("PUT /secrets/a", {"value": "y"}) for _ in range(3)]
    assert [answer.status for answer in tries] == [409, 409, 200]
    assert tries[0].codes == (409, "Conflict", "ObjectIsBeingDeleted")


@pytest.mark.parametrize(
    ("text", "days"), [("P30D", 30), ("P1M", 30), ("P1Y", 365), ("P2W", 14), ("P1DT12H", 1.5), ("PT86400S", 1)]
)
def test_durations(text: str, days: float) -> None:
    """As ISO 8601 writes them."""
    assert seconds(text) == days * 86_400


@pytest.mark.parametrize("text", ["", "P", "PT", "30D", "P-1D", "P1.5D", 30, None, "P" + "9" * 40 + "D"])
def test_what_is_no_duration(text: Any) -> None:
    """Anything else is refused."""
    with pytest.raises(Refused):
        seconds(text)


@pytest.mark.parametrize(
    "policy",
    [
        {"attributes": {"expiryTime": "P27D"}},
        {"lifetimeActions": [{"trigger": {"timeAfterCreate": "P6D"}, "action": {"type": "Rotate"}}]},
        {"lifetimeActions": [{"trigger": {"timeBeforeExpiry": "P30D"}, "action": {"type": "Rotate"}}]},
        {"lifetimeActions": [{"trigger": {}, "action": {"type": "Rotate"}}]},
        {"lifetimeActions": [{"trigger": {"timeAfterCreate": "P30D"}, "action": {"type": "Explode"}}]},
        {"lifetimeActions": [{"trigger": {"timeAfterCreate": "P30D"}}]},
        {"lifetimeActions": ["Rotate"]},
        {"lifetimeActions": "Rotate"},
        {"attributes": "P90D"},
    ],
)
def test_a_policy_that_cannot_be_is_refused(policy: Any) -> None:
    """28 days of expiry, 7 of a trigger, and no rotation before an expiry that there is not."""
    with pytest.raises(Refused):
        checked(policy)


def test_when_a_policy_rotates() -> None:
    """After creation, before expiry, or never."""
    after = {"lifetimeActions": [{"trigger": {"timeAfterCreate": "P30D"}, "action": {"type": "rotate"}}]}
    assert due(checked(after), 0, None) == 30 * 86_400
    before = {
        "lifetimeActions": [{"trigger": {"timeBeforeExpiry": "P10D"}, "action": {"type": "Rotate"}}],
        "attributes": {"expiryTime": "P90D"},
    }
    assert due(checked(before), 0, 90 * 86_400) == 80 * 86_400
    notify = {"lifetimeActions": [{"trigger": {"timeAfterCreate": "P30D"}, "action": {"type": "Notify"}}]}
    assert due(checked(notify), 0, None) is None


# -- keys -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        ({}, (400, "BadParameter", None)),
        ({"kty": "DSA"}, (400, "BadParameter", None)),
        ({"kty": "RSA", "key_size": 1024}, (400, "BadParameter", None)),
        ({"kty": "EC", "crv": "P-257"}, (400, "BadParameter", None)),
        ({"kty": "oct"}, (400, "BadParameter", None)),
        ({"kty": "EC", "key_ops": ["fly"]}, (400, "BadParameter", None)),
        ({"kty": "EC", "attributes": {"exportable": True}}, (400, "BadParameter", None)),
        ({"kty": "EC", "release_policy": {}}, (400, "BadParameter", None)),
        ({"kty": "EC", "tags": {"a": "x" * 257}}, (400, "BadParameter", None)),
    ],
)
def test_a_key_that_cannot_be_is_refused(vault: Vault, body: Any, codes: Any) -> None:
    """Kinds, sizes, uses and rules of release are checked, and nothing is kept of what is refused."""
    assert vault("POST /keys/k/create", body).codes == codes
    assert vault("GET /keys").body["value"] == []


@pytest.mark.parametrize(
    ("premium", "body", "start"),
    [
        (False, {"kty": "RSA", "attributes": {"exportable": True}}, "AKV.SKR.1001: "),
        (True, {"kty": "RSA", "attributes": {"exportable": True}}, "AKV.SKR.1006: "),
        (True, {"kty": "EC-HSM", "attributes": {"exportable": True}}, "AKV.SKR.1004: "),
        (True, {"kty": "EC-HSM", "release_policy": {"data": "e30"}}, "AKV.SKR.1005: "),
    ],
)
def test_the_rules_of_release(vault: Vault, body: Any, start: str, *, premium: bool) -> None:
    """Each has its number."""
    vault.service.configure(premium=premium)
    assert vault("POST /keys/k/create", body).body["error"]["message"].startswith(start)


def test_an_hsm_says_the_rules_in_its_own_words(hsm: Vault) -> None:
    """Without a number, and with an activity id."""
    message = hsm("POST /keys/k/create", {"kty": "EC-HSM", "attributes": {"exportable": True}}).body["error"]["message"]
    assert re.fullmatch(r"Exportable keys must have release policy \(Activity ID: [0-9a-f-]{36}\)", message)


def test_an_imported_key_is_checked(hsm: Vault) -> None:
    """Its numbers must belong together, and an AES key must have a size that there is."""
    key = {"kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ", "d": "AQ"}
    assert hsm("PUT /keys/k", {"key": key}).codes == (400, "BadParameter", None)
    assert hsm("PUT /keys/k", {"key": {"kty": "oct", "k": b64(bytes(65))}}).body["error"]["message"].startswith(
        "JSON Web Key: k property of oct key is too large, maximum size is 64 (Activity ID: "
    )
    assert hsm("PUT /keys/k", {"key": {"kty": "oct", "k": b64(bytes(32))}}).body["key"]["kty"] == "oct-HSM"
    assert hsm("PUT /keys/k", {"key": {"kty": "RSA", "n": "AQ", "e": "AQ", "d": "AQ"}}).status == 400


def test_a_key_shows_its_public_part_only(hsm: Vault) -> None:
    """Neither an answer nor the representation of a key holds what is private."""
    secret = b64(b"0123456789abcdef" * 2)
    bundles = [hsm("PUT /keys/k", {"key": {"kty": "oct", "k": secret}}), hsm("GET /keys/k"), hsm("GET /keys")]
    assert all(secret not in json.dumps(bundle.body) for bundle in bundles)
    assert set(hsm("POST /keys/r/create", {"kty": "RSA-HSM"}).body["key"]) == {"kid", "kty", "key_ops", "n", "e"}
    assert "material" not in repr(KeyVersion("1", 0, 0, material=b"0123456789abcdef"))


@pytest.mark.parametrize(
    "algorithm", ["A128GCM", "A192GCM", "A256GCM", "A128CBC", "A256CBC", "A128CBCPAD", "A256CBCPAD"]
)
def test_aes_encrypts(algorithm: str) -> None:
    """Each key size has its names; what is sealed is opened, and what was changed is not."""
    key = KeyVersion("1", 0, 0, kty="oct-HSM", material=generate("oct-HSM", int(algorithm[1:4]), None, None))
    plain = Sealed(b"0123456789abcdef", aad=b"context" if "GCM" in algorithm else None)
    sealed = encrypt(key, algorithm, plain, wrapping=False)
    assert decrypt(key, algorithm, sealed, wrapping=False) == plain.value
    if sealed.tag is not None:
        changed = Sealed(sealed.value, sealed.iv, b"another", sealed.tag)
        with pytest.raises(Refused, match="UndecryptableValue"):
            decrypt(key, algorithm, changed, wrapping=False)


@pytest.mark.parametrize("algorithm", ["A256KW", "CKM_AES_KEY_WRAP", "CKM_AES_KEY_WRAP_PAD"])
def test_aes_wraps(algorithm: str) -> None:
    """A key is wrapped and unwrapped; a changed one is refused."""
    key = KeyVersion("1", 0, 0, kty="oct-HSM", material=generate("oct-HSM", 256, None, None))
    wrapped = encrypt(key, algorithm, Sealed(b"k" * 32), wrapping=True)
    assert decrypt(key, algorithm, wrapped, wrapping=True) == b"k" * 32
    with pytest.raises(Refused, match="UndecryptableValue"):
        decrypt(key, algorithm, Sealed(bytes(40)), wrapping=True)


@pytest.mark.parametrize(
    ("kty", "algorithm", "wrapping"),
    [
        ("oct-HSM", "A128GCM", False), ("oct-HSM", "A256KW", False), ("oct-HSM", "A256GCM", True),
        ("oct-HSM", "RSA-OAEP", False), ("RSA", "A256GCM", False), ("RSA", "RSA-OAEP-512", True),
        ("EC", "RSA-OAEP", False), ("RSA", "", False),
    ],
)
def test_an_algorithm_must_fit_the_key(kty: str, algorithm: str, *, wrapping: bool) -> None:
    """Kind, size and purpose are in its name."""
    key = KeyVersion("1", 0, 0, kty=kty, material=generate(kty, None, None, None))
    with pytest.raises(Refused, match="InvalidProperty"):
        encrypt(key, algorithm, Sealed(b"0123456789abcdef"), wrapping=wrapping)
    with pytest.raises(Refused, match="InvalidProperty"):
        decrypt(key, algorithm, Sealed(b"0123456789abcdef"), wrapping=wrapping)


def test_hmac_and_bare_rsa_sign() -> None:
    """HS256 of an AES key, and RSNULL, which signs what it is given without naming a hash."""
    aes = KeyVersion("1", 0, 0, kty="oct-HSM", material=generate("oct-HSM", 256, None, None))
    rsa = KeyVersion("1", 0, 0, kty="RSA", material=generate("RSA", 2048, None, None))
    for key, algorithm in ((aes, "HS256"), (rsa, "RSNULL")):
        signature = sign(key, algorithm, b"d" * 32)
        assert verify(key, algorithm, b"d" * 32, signature)
        assert not verify(key, algorithm, b"e" * 32, signature)
    with pytest.raises(Refused):
        sign(rsa, "RSNULL", bytes(246))
    with pytest.raises(Refused):
        sign(aes, "HS1", b"x")


@pytest.mark.parametrize("operation", ["encrypt", "wrapKey", "verify", "decrypt"])
def test_what_a_disabled_key_does_is_a_setting(vault: Vault, operation: str) -> None:
    """Nothing, as the documents have it; or what some have seen it do."""
    made = vault("POST /keys/k/create", {"kty": "RSA", "attributes": {"enabled": False}}).body["key"]["kid"]
    version = made.rpartition("/")[2]
    body = {"alg": "PS256" if operation == "verify" else "RSA-OAEP", "value": b64(b"x"), "digest": b64(bytes(32))}
    call = f"POST /keys/k/{version}/{operation.lower()}"
    assert vault(call, body).codes == (403, "Forbidden", "KeyDisabled")
    vault.service.configure(disabled_key_allows=("encrypt", "wrapKey", "verify"))
    assert vault(call, body).status == (403 if operation == "decrypt" else 200)


def test_random_bytes_of_an_hsm(hsm: Vault) -> None:
    """1 to 128 of them."""
    assert len(base64.urlsafe_b64decode(hsm("POST /rng", {"count": 128}).body["value"] + "=")) == 128
    for count in (0, 129, "1", True, None):
        assert hsm("POST /rng", {"count": count}).codes == (400, "BadParameter", None)


def test_a_value_must_be_base64url(vault: Vault) -> None:
    """The member that is none is named."""
    vault("POST /keys/k/create", {"kty": "RSA"})
    message = vault("POST /keys/k//encrypt", {"alg": "RSA-OAEP", "value": "a?"}).body["error"]["message"]
    assert message == "Content of 'value' is not base64url.\r\nProperty 'value' is required.\r\n"


# -- tokens -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"audience": "https://vault.localhost:8443/"}, "AKV10022"),
        ({"tenant": KeyVault.other_tenant_id}, "AKV10032"),
        ({"seconds": -1}, "IDX10223"),
        ({"not_before": 60}, "IDX10223"),
    ],
)
def test_a_token_is_read(vault: Vault, change: dict[str, Any], says: str) -> None:
    """Audience, tenant and times must be right; every refusal has its own text."""
    arguments = {"audience": vault.audience, **change}
    token = vault.service.identity.issue(**arguments)
    answer = vault("GET /secrets", authorization=f"Bearer {token}")
    assert (answer.codes[:2], says in answer.body["error"]["message"]) == ((401, "Unauthorized"), True)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "\u00e9.\u00e9.\u00e9"])
def test_a_token_of_somebody_else_is_not_read(vault: Vault, token: str) -> None:
    """A signature that was not made here cannot be resolved; no token at all is a missing one."""
    answer = vault("GET /secrets", authorization=f"Bearer {token}")
    assert ("AKV10046" if token else "AKV10000") in answer.body["error"]["message"]


def test_a_token_of_a_hsm_can_be_too_early(hsm: Vault) -> None:
    """In the words of a Managed HSM."""
    token = hsm.service.identity.issue(hsm.audience, not_before=60)
    assert "Token not yet valid (Activity ID: " in str(hsm("GET /keys", authorization=f"Bearer {token}").body)


def test_the_public_audience_is_good_for_every_vault(vault: Vault) -> None:
    """A bare localhost is challenged for the public cloud's resource, and one token may do for all."""
    token = vault.service.identity.issue("https://vault.azure.net")
    assert vault("GET /secrets", authorization=f"Bearer {token}").status == 200


def test_the_table_of_operations() -> None:
    """Names are unique, every operation of a vault has its permission and action, and none of tokens has."""
    assert len({operation.name for operation in OPERATIONS}) == len(OPERATIONS)
    for operation in OPERATIONS:
        if isinstance(operation, VaultOperation):
            assert operation.permission
            assert operation.action
        else:
            assert operation in entra.OPERATIONS
            assert operation.auxiliary
