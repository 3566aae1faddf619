"""The ScaiVault emulator without a network: what it counts, refuses and forgets, and where its errors come from."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64encode
from collections import Counter
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmsbridge.emulation import Request
from kmsbridge_scaivault.emulator import ScaiVault, Settings
from kmsbridge_scaivault.emulator._catalogue import CATALOGUE, TOKEN_ERRORS
from kmsbridge_scaivault.emulator._known import Refused
from kmsbridge_scaivault.emulator._limits import Buckets
from kmsbridge_scaivault.emulator._operations import OPERATIONS
from kmsbridge_scaivault.emulator._state import PATH, duration, glob


class Answered(NamedTuple):
    """What the service said."""

    status: int
    body: Any
    headers: dict[str, str]

    @property
    def code(self) -> tuple[int, str]:
        """Status and code of an error."""
        assert self.body["error"]["request_id"] == self.headers["X-Request-ID"]
        return self.status, self.body["error"]["code"]


class Vault:
    """Calls a service as the server does, with a token that is good."""

    def __init__(self, **settings: Any) -> None:
        self.service = ScaiVault(Settings(**settings))
        self.service.address = "https://localhost:8443"

    def __call__(self, call: str, body: Any = None, **headers: str) -> Answered:
        """Ask ``GET /v1/secrets``, for example."""
        method, _, target = call.partition(" ")
        told = {"authorization": f"Bearer {ScaiVault.token}", **headers}
        sent = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        request = Request(method, target, told, sent, 1, "127.0.0.1")
        self.service.identify(request)
        answer = self.service.admit(request) or self.service.apply(request)
        given = dict(answer.headers)
        is_json = given.get("Content-Type", "").startswith("application/json")
        return Answered(answer.status, json.loads(answer.body) if is_json else answer.body, given)

    def put(self, path: str, **options: Any) -> Answered:
        """One more version of a secret."""
        return self(f"PUT /v1/secrets/{path}", {"data": {"value": "v"}, "options": options})


@pytest.fixture
def vault() -> Vault:
    """A service with nothing in it."""
    return Vault()


# -- errors -----------------------------------------------------------------------------


def test_the_vocabulary_is_whole() -> None:
    """All 73 codes of the vendor's page, by status."""
    assert Counter(known.status for known in CATALOGUE.values()) == {
        400: 14, 401: 4, 403: 7, 404: 22, 409: 8, 410: 2, 422: 1, 429: 2, 500: 3, 502: 5, 503: 3, 504: 2,
    }  # fmt: skip
    assert len(CATALOGUE) == 73


@pytest.mark.parametrize("name", [*CATALOGUE, *TOKEN_ERRORS])
def test_every_error_has_a_source_and_can_be_sent(vault: Vault, name: str) -> None:
    """Each error says where it is documented, and every operation can be answered with it."""
    known = vault.service.documented[name]
    assert len(known.source) > 3
    for call in ("PUT /v1/secrets/a/b", "POST /oauth/token", "GET /nowhere", "GET /v1/health"):
        method, target = call.split()
        request = Request(method, target, {}, b"", 1, "127.0.0.1")
        vault.service.identify(request)
        answer = vault.service.answer(name, request)
        assert answer.status == known.status
        told, headers = json.loads(answer.body), dict(answer.headers)
        if name in TOKEN_ERRORS:
            assert f"oauth.{told['error']}" == name
        else:
            assert told["error"]["code"] == name
            assert told["error"]["request_id"] == headers["X-Request-ID"]
            assert {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} <= headers.keys()
        assert ("Retry-After" in headers) == (name == "rate_limited")
        assert not re.search(r"\{[a-z]+\}", answer.body.decode()), "a name in braces was not filled in"


REFUSED: dict[str, tuple[str, Any, tuple[int, str]]] = {
    "a body that is no JSON": ("PUT /v1/secrets/a", b"{", (400, "invalid_request")),
    "a body that is no object": ("PUT /v1/secrets/a", [], (400, "invalid_request")),
    "a number that JSON has not": ("PUT /v1/secrets/a", b'{"data":{"n":NaN}}', (400, "invalid_request")),
    "a number that floats have not": ("PUT /v1/secrets/a", b'{"data":{"n":1e999}}', (400, "invalid_request")),
    "half a pair of surrogates": ("PUT /v1/secrets/a", b'{"data":{"t":"\\ud800"}}', (400, "invalid_request")),
    "no data": ("PUT /v1/secrets/a", {}, (422, "validation_error")),
    "data that is text": ("PUT /v1/secrets/a", {"data": "x"}, (422, "validation_error")),
    "options that are text": ("PUT /v1/secrets/a", {"data": {}, "options": "x"}, (422, "validation_error")),
    "no versions kept": (
        "PUT /v1/secrets/a", {"data": {}, "options": {"max_versions": 0}}, (422, "validation_error"),
    ),
    "tags that are no list": (
        "PUT /v1/secrets/a", {"data": {}, "metadata": {"tags": "x"}}, (422, "validation_error"),
    ),
    "an unknown type": ("PUT /v1/secrets/a", {"data": {}, "secret_type": "x"}, (400, "invalid_secret_type")),
    "a duration in months": (
        "PUT /v1/secrets/a", {"data": {}, "options": {"expires_in": "1mo"}}, (400, "invalid_duration"),
    ),
    "a policy that is not there": (
        "PUT /v1/secrets/a", {"data": {}, "options": {"rotation_policy_id": "rot_1"}},
        (404, "rotation_policy_not_found"),
    ),
    "an upper-case path": ("GET /v1/secrets/A", None, (400, "invalid_path")),
    "a slash at the end": ("GET /v1/secrets/a/", None, (400, "invalid_path")),
    "an empty segment": ("GET /v1/secrets/a//b", None, (400, "invalid_path")),
    "eleven levels": ("GET /v1/secrets/a/a/a/a/a/a/a/a/a/a/a", None, (400, "invalid_path")),
    "513 characters": ("GET /v1/secrets/" + "a" * 513, None, (400, "invalid_path")),
    "a version that is no number": ("GET /v1/secrets/a?version=x", None, (422, "validation_error")),
    "version 0": ("GET /v1/secrets/a?version=0", None, (422, "validation_error")),
    "nothing there": ("GET /v1/secrets/a", None, (404, "secret_not_found")),
    "no versions there": ("GET /v1/secrets/a/versions", None, (404, "secret_not_found")),
    "nothing to delete": ("DELETE /v1/secrets/a", None, (404, "secret_not_found")),
    "perhaps for ever": ("DELETE /v1/secrets/a?permanent=perhaps", None, (422, "validation_error")),
    "no metadata": ("PATCH /v1/secrets/a", {}, (422, "validation_error")),
    "metadata of nothing": ("PATCH /v1/secrets/a", {"metadata": {}}, (404, "secret_not_found")),
    "a page too large": ("GET /v1/secrets?limit=101", None, (422, "validation_error")),
    "a cursor of nobody": ("GET /v1/secrets?cursor=x", None, (400, "invalid_cursor")),
    "a cursor of something else": ("GET /v1/secrets?cursor=WzEsMiwzXQ", None, (400, "invalid_cursor")),
    "a cursor of a time that is none": (
        "GET /v1/secrets?cursor=" + urlsafe_b64encode(b'["","a",1%s]' % (b"0" * 400)).decode(), None,
        (400, "invalid_cursor"),
    ),
    "a batch of nothing": ("POST /v1/secrets/batch", {"paths": []}, (422, "validation_error")),
    "a batch of numbers": ("POST /v1/secrets/batch", {"paths": [1]}, (422, "validation_error")),
    "a batch of 101": ("POST /v1/secrets/batch", {"paths": ["a"] * 101}, (422, "validation_error")),
    "a batch of version 0": (
        "POST /v1/secrets/batch", {"paths": ["a"], "options": {"version": 0}}, (422, "validation_error"),
    ),
    "a batch that may not fail": (
        "POST /v1/secrets/batch", {"paths": ["a"], "options": {"fail_fast": True}}, (404, "secret_not_found"),
    ),
    "a pattern that is none": (
        "POST /v1/secrets/batch/metadata", {"paths": ["A/*"], "options": {"expand_wildcards": True}},
        (400, "invalid_glob"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_refused(vault: Vault, case: str) -> None:
    """With the code that is documented for it."""
    call, body, answered = REFUSED[case]
    assert vault(call, body).code == answered


def test_an_address_that_is_none_has_no_envelope(vault: Vault) -> None:
    """No code stands for a wrong path or method, so a web server's own words come."""
    for call in (
        "GET /", "POST /v1/secrets/a", "GET /v1/t/tnt_emulator/health", "POST /v1/t/tnt_emulator/oauth/token",
        "GET /v1/t//secrets/a",
    ):  # fmt: skip
        answer = vault(call)
        assert (answer.status, answer.body) == (404, b"404 page not found\n")


@given(
    call=st.sampled_from([f"{each.method} {re.sub('{[^}]+}', 'a', each.path)}" for each in OPERATIONS]),
    body=st.binary(max_size=60) | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
            st.sampled_from(["data", "metadata", "options", "paths", "tags", "expires_in"]), inner, max_size=4
        ),
        max_leaves=6,
    ),
    query=st.sampled_from(["", "?version=1", "?limit=1&cursor=%5B", "?permanent=true", "?prefix=a&limit=2"]),
)  # fmt: skip
def test_any_body_gets_an_answer(call: str, body: Any, query: str) -> None:
    """Nothing that is sent breaks the service."""
    answer = Vault()(call + query, body)
    assert answer.status in (200, 204) or answer.status in range(400, 500)


# -- paths and times --------------------------------------------------------------------


@settings(max_examples=30)
@given(st.lists(st.text("abz09-_", min_size=1, max_size=12), min_size=1, max_size=10))
def test_what_is_a_path(segments: list[str]) -> None:
    """Up to ten levels of the documented letters, and nothing around them."""
    path = "/".join(segments)
    assert PATH.fullmatch(path)
    assert not any(PATH.fullmatch(wrong) for wrong in (f"/{path}", f"{path}/", f"{path}//a", f"{path}.", f"{path}A"))


@pytest.mark.parametrize(
    ("pattern", "fits", "not_fits"),
    [
        ("a/b", ["a/b"], ["a", "a/b/c", "a/bb"]),
        ("a/*", ["a/b", "a/cc"], ["a", "a/b/c"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "ab/c"]),
        ("*-key", ["x-key"], ["a/x-key", "key"]),
    ],
)
def test_patterns(pattern: str, fits: list[str], not_fits: list[str]) -> None:
    """One star stays in its segment, two do not."""
    assert [path for path in fits + not_fits if glob(pattern).fullmatch(path)] == fits


def test_durations() -> None:
    """Hours and days; everything else is refused."""
    assert (duration("2h"), duration("90d")) == (7200, 90 * 86_400)
    for wrong in ("", "h", "1", "1m", "-1h", "1.5d", " 1h", "1h ", "٣h", 1, None, "1234567h"):
        with pytest.raises(Refused, match="invalid_duration"):
            duration(wrong)


# -- limits -----------------------------------------------------------------------------


@settings(max_examples=50)
@given(
    limit=st.integers(1, 1000),
    steps=st.lists(st.tuples(st.floats(0, 90), st.integers(1, 5)), max_size=12),
)
def test_a_bucket_never_gives_more_than_it_has(limit: int, steps: list[tuple[float, int]]) -> None:
    """At most a bucket full, and what has come since; and who waits as told is let through."""
    buckets, now, taken = Buckets(), 0.0, 0
    for seconds, count in steps:
        now += seconds
        level = buckets.level("id", "reads", limit, now)
        assert 0 <= level.remaining <= limit
        assert now <= level.full_at <= now + 61
        wait = buckets.wait("id", "reads", limit, now, count)
        if wait:
            assert level.remaining < count
            assert not buckets.wait("id", "reads", limit, now + wait, count)
            continue
        buckets.take("id", "reads", limit, now, count)
        taken += min(count, limit)
        assert taken <= limit + now * limit / 60 + 1e-3


def test_limits_are_of_an_identity_and_a_category() -> None:
    """The headers tell of the bucket that was used; another's is untouched, and time fills it."""
    vault = Vault(writes_per_minute=2)
    client = vault.service._scaikey.issue(["secrets:write"], vault.service.clock.now(), 60, "https://x")
    left = [vault.put("a").headers["X-RateLimit-Remaining"] for _ in range(2)]
    refused = vault.put("a")
    assert left == ["1", "0"]
    assert refused.code == (429, "rate_limited")
    assert refused.headers["X-RateLimit-Limit"] == "2"
    assert 29 <= int(refused.headers["Retry-After"]) <= 30
    assert vault("GET /v1/secrets/a").headers["X-RateLimit-Remaining"] == "999"
    other = vault("PUT /v1/secrets/a", {"data": {}}, authorization=f"Bearer {client}")
    assert (other.status, other.headers["X-RateLimit-Remaining"]) == (200, "1")
    vault.service.clock.advance(seconds=31)
    assert vault.put("a").status == 200


def test_a_batch_counts_once_and_for_each_path() -> None:
    """One batch read, and a read for each path; the bucket that lacks something is the one in the headers."""
    vault = Vault(reads_per_minute=5)
    answer = vault("POST /v1/secrets/batch", {"paths": ["a", "b", "c"]})
    assert (answer.status, answer.headers["X-RateLimit-Limit"]) == (200, "100")
    assert answer.headers["X-RateLimit-Remaining"] == "99"
    refused = vault("POST /v1/secrets/batch", {"paths": ["a", "b", "c"]})
    assert refused.code == (429, "rate_limited")
    assert refused.headers["X-RateLimit-Limit"] == "5"
    assert vault("POST /v1/secrets/batch", {"paths": ["a"]}).headers["X-RateLimit-Remaining"] == "98"


def test_nobody_is_counted_without_a_token(vault: Vault) -> None:
    """Health, and requests that are not let in, tell of a bucket that is full."""
    for call in ("GET /v1/health", "GET /v1/secrets/a"):
        for _ in range(2):
            assert vault(call, authorization="").headers["X-RateLimit-Remaining"] == "1000"


# -- settings ---------------------------------------------------------------------------

STATES: list[tuple[dict[str, Any], str, tuple[int, str]]] = [
    ({"maintenance": True}, "GET /v1/secrets", (503, "maintenance_mode")),
    ({"disabled": ("BatchRead",)}, "POST /v1/secrets/batch", (503, "feature_disabled")),
    ({"down": ("database",)}, "GET /v1/secrets", (500, "storage_error")),
    ({"down": ("encryption",)}, "GET /v1/secrets", (500, "encryption_error")),
    ({"down": ("redis",)}, "GET /v1/secrets", (503, "service_unavailable")),
    ({"scopes": ("secrets:read",)}, "GET /v1/secrets", (403, "insufficient_scope")),
    ({"denied": ("**",)}, "GET /v1/secrets/a", (403, "access_denied")),
    ({"denied": ("read:a/*",)}, "GET /v1/secrets/a/b", (403, "access_denied")),
    ({"denied": ("write:**",)}, "GET /v1/secrets/a", (404, "secret_not_found")),
    ({"revoked": ("user:emulator",)}, "GET /v1/secrets", (401, "token_revoked")),
    ({"revoked": (ScaiVault.token,)}, "GET /v1/secrets", (401, "token_revoked")),
    ({"personal_token_days": 0.0}, "GET /v1/secrets", (401, "token_expired")),
]


@pytest.mark.parametrize(("setting", "call", "answered"), STATES)
def test_states_answer_with_their_codes(setting: dict[str, Any], call: str, answered: tuple[int, str]) -> None:
    """Each setting brings the code that is documented for what it stands for."""
    assert Vault(**setting)(call, {"paths": ["a"]}).code == answered


def test_readiness_has_no_envelope() -> None:
    """It says what is down, as a document of its own; the process is healthy all the same."""
    vault = Vault(down=("redis",))
    ready, health = vault("GET /v1/health/ready"), vault("GET /v1/health")
    assert (ready.status, ready.body["status"], ready.body["checks"]["redis"]) == (503, "not_ready", "error")
    assert "error" not in ready.body
    assert (health.status, health.body["status"]) == (200, "healthy")
    assert Vault()("GET /v1/health/ready").body["status"] == "ready"


def test_a_quota_is_of_secrets_and_not_of_versions() -> None:
    """What is full takes no new secret, and versions still."""
    vault = Vault(secrets_quota=1)
    assert vault.put("a").status == 200
    refused = vault.put("b")
    assert refused.code == (429, "quota_exceeded")
    assert "Retry-After" not in refused.headers
    assert vault.put("a").body["version"] == 2


def test_a_list_goes_on_in_its_order() -> None:
    """Pages by path, without what is deleted or may not be listed; a cursor serves one prefix, for an hour."""
    vault = Vault(denied=("list:a/c",), listed_under="data")
    for path in ("a/e", "a/b", "b", "a/c", "a/d", "a/f"):
        vault.put(path)
    vault("DELETE /v1/secrets/a/d")
    first = vault("GET /v1/secrets?prefix=a/&limit=2").body
    assert ([each["path"] for each in first["data"]], first["has_more"]) == (["a/b", "a/e"], True)
    rest = vault(f"GET /v1/secrets?prefix=a/&limit=2&cursor={first['cursor']}").body
    assert ([each["path"] for each in rest["data"]], rest["has_more"], rest["cursor"]) == (["a/f"], False, None)
    assert not any("data" in each for each in first["data"])
    assert vault(f"GET /v1/secrets?prefix=b&cursor={first['cursor']}").code == (400, "invalid_cursor")
    vault.service.clock.advance(hours=1)
    assert vault(f"GET /v1/secrets?prefix=a/&cursor={first['cursor']}").code == (400, "invalid_cursor")


def test_reset_is_as_at_the_start() -> None:
    """No secrets, full buckets, the first settings, a personal token with all its days."""
    vault = Vault()
    vault.put("a")
    vault.service.configure(maintenance=True)
    vault.service.clock.advance(days=91)
    vault.service.reset()
    answer = vault("GET /v1/secrets")
    assert (answer.status, answer.body["secrets"]) == (200, [])
    assert answer.headers["X-RateLimit-Remaining"] == "99"
