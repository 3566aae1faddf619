"""The emulator of ScaiVault, by requests written by hand: the vendor has no client that could be had."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest

from kmsbridge.emulation import Answer, Cut, Emulator, Reset
from kmsbridge_scaivault.emulator import ScaiVault
from kmsbridge_scaivault.emulator._catalogue import CATALOGUE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Answered(NamedTuple):
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)

    @property
    def code(self) -> tuple[int, str]:
        """Status and code of an error."""
        return self.status, self.json["error"]["code"]


class Client:
    """Sends requests on one connection, as whom it was told."""

    def __init__(self, emulator: Emulator) -> None:
        context = ssl.create_default_context(cadata=emulator.ca_pem.decode())
        self._connection = http.client.HTTPSConnection("localhost", emulator.port, context=context, timeout=30)
        self.token = ScaiVault.token

    def __call__(self, call: str, body: Any = None, **headers: str) -> Answered:
        """Ask ``GET /v1/secrets``, for example; the body is JSON unless it is bytes."""
        method, _, target = call.partition(" ")
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **headers}
        try:
            self._connection.request(method, target, sent, {name: text for name, text in given.items() if text})
            answer = self._connection.getresponse()
            return Answered(answer.status, answer.headers, answer.read())
        except (OSError, http.client.HTTPException):
            self._connection.close()  # to start anew with the next request
            raise

    def put(self, path: str, value: str = "s3cret", **more: Any) -> Answered:
        """One more version of a secret."""
        return self(f"PUT /v1/secrets/{path}", {"data": {"value": value}, **more})

    def exchange(self, target: str, form: dict[str, str], **headers: str) -> Answered:
        """Ask a token endpoint."""
        return self(f"POST {target}", urlencode(form).encode(), **{"Authorization": "", **FORM, **headers})

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    """One emulator for all tests of this module."""
    with Emulator(ScaiVault()) as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator) -> Iterator[Emulator]:
    """The emulator without state."""
    running.reset()
    yield running
    assert len(running._failures) == 0, "a failure was ordered and never came"


@pytest.fixture
def client(emulator: Emulator) -> Iterator[Client]:
    """A client with the personal token."""
    client = Client(emulator)
    yield client
    client.close()


# -- who is let in ----------------------------------------------------------------------

CREDENTIALS = {"client_id": ScaiVault.client_id, "client_secret": ScaiVault.client_secret}
GRANT = {"grant_type": "client_credentials", "scope": "secrets:read secrets:list"}
BASIC = "Basic " + base64.b64encode(f"{ScaiVault.client_id}:{ScaiVault.client_secret}".encode()).decode()
ENDPOINTS: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {
    "as ScaiVault's documents have it": ("/oauth/token", {**GRANT, **CREDENTIALS}, {}),
    "as ScaiKey's have it": ("/api/v1/platform/oauth/token", GRANT, {"Authorization": BASIC}),
    "of a tenant": (f"/api/v1/auth/tenants/{ScaiVault.tenant_slug}/oauth/token", GRANT, {"Authorization": BASIC}),
}


@pytest.mark.parametrize("which", ENDPOINTS)
def test_a_client_gets_a_token(emulator: Emulator, client: Client, which: str) -> None:
    """Its credentials are exchanged in each documented form; the token has what was asked for, and an hour."""
    target, form, headers = ENDPOINTS[which]
    answer = client.exchange(target, form, **headers)
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    told = answer.json
    client.token = told.pop("access_token")
    assert told == {"token_type": "Bearer", "expires_in": 3600, "scope": GRANT["scope"]}
    assert client.token.startswith("eyJ")
    who = client("GET /v1/auth/whoami").json
    assert (who["identity_type"], who["identity_id"]) == ("service_account", f"sa:{ScaiVault.client_id}")
    assert who["scopes"] == ["secrets:list", "secrets:read"]
    assert client("GET /v1/secrets").status == 200
    assert client.put("a").code == (403, "insufficient_scope")
    emulator.clock.advance(minutes=61)
    assert client("GET /v1/secrets").code == (401, "token_expired")
    client.token = client.exchange(target, form, **headers).json["access_token"]
    assert client("GET /v1/secrets").status == 200
    assert emulator.requests.count("Token") == 2


TOKENLESS: dict[str, tuple[str, dict[str, str], dict[str, str], tuple[int, str]]] = {
    "a wrong secret": ("/oauth/token", {**GRANT, **CREDENTIALS, "client_secret": "x"}, {}, (401, "invalid_client")),
    "no client": ("/oauth/token", GRANT, {}, (401, "invalid_client")),
    "Basic where the form is documented": ("/oauth/token", GRANT, {"Authorization": BASIC}, (401, "invalid_client")),
    "the form where Basic is documented": (
        "/api/v1/platform/oauth/token", {**GRANT, **CREDENTIALS}, {}, (401, "invalid_client"),
    ),
    "Basic that is no Base64": (
        "/api/v1/platform/oauth/token", GRANT, {"Authorization": "Basic !"}, (401, "invalid_client"),
    ),
    "another tenant": (
        "/api/v1/auth/tenants/other/oauth/token", GRANT, {"Authorization": BASIC}, (401, "invalid_client"),
    ),
    "no grant": ("/oauth/token", CREDENTIALS, {}, (400, "invalid_request")),
    "a password": ("/oauth/token", {**CREDENTIALS, "grant_type": "password"}, {}, (400, "unsupported_grant_type")),
    "too much": ("/oauth/token", {**GRANT, **CREDENTIALS, "scope": "pki:admin"}, {}, (400, "invalid_scope")),
}  # fmt: skip


@pytest.mark.parametrize("case", TOKENLESS)
def test_no_token_without_the_right_words(client: Client, case: str) -> None:
    """The token endpoint answers with OAuth's errors, and not with ScaiVault's envelope."""
    target, form, headers, (status, error) = TOKENLESS[case]
    answer = client.exchange(target, form, **headers)
    assert (answer.status, answer.json["error"]) == (status, error)


def test_what_is_no_good_token(emulator: Emulator, client: Client) -> None:
    """None, a malformed header, one of nobody, one with another signature, one that was revoked, one that is over."""
    assert client("GET /v1/secrets", Authorization="").code == (401, "authentication_required")
    assert client("GET /v1/secrets", Authorization="Basic eDp5").code == (401, "authentication_required")
    assert client("GET /v1/secrets", Authorization="Bearer skt_of_nobody").code == (401, "token_invalid")
    target, form, headers = ENDPOINTS["of a tenant"]
    token = client.exchange(target, form, **headers).json["access_token"]
    assert client("GET /v1/secrets", Authorization=f"Bearer {token}x").code == (401, "token_invalid")
    emulator.configure(revoked=(token,))
    assert client("GET /v1/secrets", Authorization=f"Bearer {token}").code == (401, "token_revoked")
    assert client("GET /v1/secrets").status == 200
    emulator.clock.advance(days=90)
    assert client("GET /v1/secrets").code == (401, "token_expired")


def test_tenants_are_apart(emulator: Emulator, client: Client) -> None:
    """By the path, then the header, then the token; another one only for a partner's admin, and within the partner."""
    other, foreign = ScaiVault.other_tenant_id, ScaiVault.foreign_tenant_id
    client.put("a")
    assert client(f"GET /v1/t/{ScaiVault.tenant_id}/secrets/a").status == 200
    assert client(f"GET /v1/t/{other}/secrets/a").code == (403, "tenant_access_denied")
    assert client("GET /v1/secrets/a", **{"X-Tenant-ID": "tnt_nobody"}).code == (404, "tenant_not_found")
    emulator.configure(partner_admin=True)
    assert client("GET /v1/secrets/a", **{"X-Tenant-ID": other}).code == (404, "secret_not_found")
    assert client(f"GET /v1/t/{other}/secrets/a").code == (404, "secret_not_found")
    assert client(f"GET /v1/t/{ScaiVault.tenant_id}/secrets/a", **{"X-Tenant-ID": other}).status == 200
    assert client(f"GET /v1/t/{foreign}/secrets").code == (403, "tenant_access_denied")


def test_whoami_and_health(client: Client) -> None:
    """Who calls; and that the service lives, which needs no token."""
    who = client("GET /v1/auth/whoami").json
    assert set(who) == {
        "identity_id", "identity_type", "display_name", "tenant_id", "partner_id", "scopes", "groups", "roles",
        "mfa_verified_at", "token_expires_at",
    }  # fmt: skip
    assert (who["identity_id"], who["tenant_id"]) == ("user:emulator", ScaiVault.tenant_id)
    assert client("GET /v1/health", Authorization="").json["status"] == "healthy"
    assert client("GET /v1/health/ready", Authorization="").json["status"] == "ready"
    assert client("GET /v1/version", Authorization="").json == {"version": "1.0.0"}


# -- secrets ----------------------------------------------------------------------------


def test_a_write_appends_a_version(client: Client) -> None:
    """Each is readable until there are more than are kept; the newest is what a read without a version gives."""
    made = client.put("billing/db-password", "v1", secret_type="kv", metadata={"owner": "billing", "tags": ["x"]})
    assert (made.status, made.json["path"], made.json["version"]) == (200, "billing/db-password", 1)
    assert client.put("billing/db-password", "v2", options={"max_versions": 2}).json["version"] == 2
    secret = client("GET /v1/secrets/billing/db-password").json
    assert (secret["version"], secret["data"], secret["secret_type"]) == (2, {"value": "v2"}, "kv")
    assert secret["metadata"] == {"owner": "billing", "tags": ["x"]}
    assert client("GET /v1/secrets/billing/db-password?version=1").json["data"] == {"value": "v1"}
    client.put("billing/db-password", "v3")
    gone = client("GET /v1/secrets/billing/db-password?version=1")
    assert gone.code == (404, "version_not_found")
    assert gone.json["error"]["details"] == {"path": "billing/db-password"}
    listed = client("GET /v1/secrets/billing/db-password/versions").json["versions"]
    assert [each["version"] for each in listed] == [3, 2]


def test_metadata_without_a_version(client: Client) -> None:
    """It is merged, null takes away, and the version stays."""
    client.put("a", metadata={"owner": "x", "description": "y"})
    changed = client("PATCH /v1/secrets/a", {"metadata": {"owner": None, "tags": ["z"]}})
    assert changed.status == 200
    assert "data" not in changed.json
    secret = client("GET /v1/secrets/a").json
    assert (secret["metadata"], secret["version"]) == ({"description": "y", "tags": ["z"]}, 1)


def test_a_deleted_secret_is_kept_for_a_while(emulator: Emulator, client: Client) -> None:
    """It reads as not there, its path takes no write, and then it is gone."""
    client.put("a")
    assert client("DELETE /v1/secrets/a").status == 204
    assert client("GET /v1/secrets/a").code == (404, "secret_not_found")
    assert client("DELETE /v1/secrets/a").code == (404, "secret_not_found")
    assert client("GET /v1/secrets").json == {"secrets": [], "cursor": None, "has_more": False}
    assert client.put("a").code == (409, "secret_exists")
    emulator.clock.advance(days=30)
    assert client.put("a").json["version"] == 1


def test_a_hard_delete_is_at_once(client: Client) -> None:
    """Of a secret, and of one that is deleted already."""
    client.put("a")
    assert client("DELETE /v1/secrets/a?permanent=true").status == 204
    assert client.put("a").json["version"] == 1
    client("DELETE /v1/secrets/a")
    assert client("DELETE /v1/secrets/a?permanent=true").status == 204
    assert client.put("a").json["version"] == 1


def test_a_secret_expires(emulator: Emulator, client: Client) -> None:
    """By the emulator's clock; a new version revives it."""
    assert client.put("a", options={"expires_in": "2h"}).json["expires_at"].endswith("Z")
    assert client("GET /v1/secrets/a").status == 200
    emulator.clock.advance(hours=2)
    assert client("GET /v1/secrets/a").code == (410, "secret_expired")
    assert client("GET /v1/secrets/a?version=1").code == (410, "secret_expired")
    client.put("a")
    assert client("GET /v1/secrets/a").json["expires_at"] is None


def test_a_list_has_pages(client: Client) -> None:
    """By prefix, limit and cursor."""
    for name in ("x/a", "x/b", "x/c", "y"):
        client.put(name)
    found: list[str] = []
    cursor: Any = ""
    for _ in range(2):
        page = client(f"GET /v1/secrets?{urlencode({'prefix': 'x/', 'limit': 2} | cursor_of(cursor))}").json
        found += [each["path"] for each in page["secrets"]]
        cursor = page["cursor"]
    assert (found, cursor) == (["x/a", "x/b", "x/c"], None)


def cursor_of(text: str) -> dict[str, str]:
    """The parameter, unless it is the first page."""
    return {"cursor": text} if text else {}


def test_a_batch_tells_what_it_could_not_read(emulator: Emulator, client: Client) -> None:
    """Each path has its value or its error, without a request id."""
    client.put("a", "v1", metadata={"owner": "x"})
    client.put("a", "v2")
    client.put("b")
    client.put("old", options={"expires_in": "1h"})
    emulator.configure(denied=("read:b",))
    emulator.clock.advance(hours=1)
    answer = client("POST /v1/secrets/batch", {"paths": ["a", "b", "c", "old", "A"]})
    assert answer.status == 200
    assert answer.json["secrets"] == {"a": {"data": {"value": "v2"}, "version": 2, "secret_type": "kv"}}
    errors = answer.json["errors"]
    assert {path: each["code"] for path, each in errors.items()} == {
        "b": "access_denied", "c": "secret_not_found", "old": "secret_expired", "A": "invalid_path",
    }  # fmt: skip
    assert all(set(each) == {"code", "message"} for each in errors.values())
    first = client("POST /v1/secrets/batch", {"paths": ["a"], "options": {"version": 1, "include_metadata": True}})
    assert first.json["secrets"]["a"] == {
        "data": {"value": "v1"}, "version": 1, "secret_type": "kv", "metadata": {"owner": "x"},
    }  # fmt: skip


def test_metadata_of_many(client: Client) -> None:
    """Without values; patterns are expanded where that is asked for."""
    for name in ("x/a", "x/b", "y"):
        client.put(name)
    body = {"paths": ["x/*", "z"], "options": {"expand_wildcards": True}}
    told = client("POST /v1/secrets/batch/metadata", body).json
    assert list(told["secrets"]) == ["x/a", "x/b"]
    assert told["secrets"]["x/a"]["version_count"] == 1
    assert "data" not in told["secrets"]["x/a"]
    assert told["errors"]["z"]["code"] == "secret_not_found"


# -- errors and limits ------------------------------------------------------------------


@pytest.mark.parametrize("code", CATALOGUE)
def test_every_code_on_the_wire(emulator: Emulator, client: Client, code: str) -> None:
    """All that the vendor documents can be ordered, in the documented envelope and with the documented headers."""
    emulator.fail("*", with_=code)
    answer = client("GET /v1/secrets/a")
    assert answer.code == (CATALOGUE[code].status, code)
    assert answer.json["error"]["request_id"] == answer.headers["X-Request-ID"]
    assert answer.headers["X-RateLimit-Limit"] == "1000"
    assert (answer.headers["Retry-After"] is not None) == (code == "rate_limited")


def test_every_answer_has_its_headers(client: Client) -> None:
    """A good one, an empty one, a refusal, one without a token."""
    answers = [
        client.put("a"), client("DELETE /v1/secrets/a"), client("GET /v1/secrets/a"),
        client("GET /v1/secrets", Authorization=""), client("GET /v1/health"), client("GET /nowhere"),
    ]  # fmt: skip
    assert [each.status for each in answers] == [200, 204, 404, 401, 200, 404]
    for answer in answers:
        for header in ("X-Request-ID", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"):
            assert answer.headers[header], header


def test_buckets_follow_the_clock(emulator: Emulator, client: Client) -> None:
    """After the hundredth write of a minute the next one waits, other identities and categories do not."""
    emulator.configure(writes_per_minute=3)
    assert [client.put("a").headers["X-RateLimit-Remaining"] for _ in range(3)] == ["2", "1", "0"]
    refused = client.put("a")
    assert refused.code == (429, "rate_limited")
    assert 1 <= int(refused.headers["Retry-After"]) <= 20
    assert client("GET /v1/secrets/a").json["version"] == 3
    emulator.clock.advance(seconds=int(refused.headers["Retry-After"]))
    assert client.put("a").json["version"] == 4


def test_an_effect_without_an_answer(emulator: Emulator, client: Client) -> None:
    """An error after the write was done, a gateway's page, a connection that ends."""
    emulator.fail("WriteSecret", with_="storage_error", before_applying=False)
    assert client.put("a").code == (500, "storage_error")
    assert client("GET /v1/secrets/a").json["version"] == 1
    page = Answer(502, (("Content-Type", "text/html"),), b"<html><h1>502 Bad Gateway</h1></html>")
    emulator.fail("WriteSecret", with_=page)
    assert client.put("a").body == page.body
    emulator.fail("WriteSecret", with_=Reset(), before_applying=False)
    with pytest.raises((OSError, http.client.HTTPException)):
        client.put("a")
    emulator.fail("ReadSecret", with_=Cut(at=5))
    with pytest.raises(http.client.IncompleteRead):
        client("GET /v1/secrets/a")
    assert client("GET /v1/secrets/a").json["version"] == 2
    assert emulator.requests.count("WriteSecret", resource="a") == 3


def test_failures_of_the_token_endpoint(emulator: Emulator, client: Client) -> None:
    """Ordered by name; a failure of everything spares it."""
    target, form, headers = ENDPOINTS["as ScaiVault's documents have it"]
    emulator.fail("Token", with_="oauth.unauthorized_client")
    refused = client.exchange(target, form, **headers)
    assert (refused.status, refused.json["error"]) == (400, "unauthorized_client")
    emulator.fail("*", with_="maintenance_mode")
    assert client.exchange(target, form, **headers).status == 200
    assert client("GET /v1/secrets").code == (503, "maintenance_mode")


def test_it_says_how_to_use_it(emulator: Emulator) -> None:
    """Address, token and the two token endpoints; the environment is what the vendor documents."""
    assert set(emulator.backend.environment) == {
        "SCAIVAULT_URL", "SCAIVAULT_TOKEN", "SCAIKEY_CLIENT_ID", "SCAIKEY_CLIENT_SECRET",
    }  # fmt: skip
    assert f"{emulator.url}/oauth/token" in emulator.backend.usage
