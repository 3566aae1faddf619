"""How ScaiVault is asked, what is made of its answers, and where the tokens come from."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from kmsbridge import Code, KMSError, Outcome, Secret, connect, connect_async
from kmsbridge._call import Call
from kmsbridge._decode import Answer, Phase, Refused
from kmsbridge._held import Kept, Stores
from kmsbridge._runtime import BLOCKING, AsyncioRuntime, drive
from kmsbridge._wire._blocking import Wire
from kmsbridge._wire._loop import AsyncWire
from kmsbridge_scaivault import _tokens
from kmsbridge_scaivault._config import Client, Token
from kmsbridge_scaivault._tokens import Tokens, tokens_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from kmsbridge import Bridge

    Reply = Answer | Exception | dict[str, Any]

URL = "scaivault://vault.example"
TOKEN_URL = "https://keys.example/oauth/token"
CLIENT = Client("sa-1", "c4nary-secret", TOKEN_URL, "post", "secrets:read", None)
OBJECT = {"path": "a/b", "version": 3, "data": {"value": "text"}, "created_at": "2026-04-23T10:00:00Z"}


class Sent:
    """One request, as the wire was given it."""

    def __init__(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> None:
        self.method, self.url, self.headers, self.body = method, url, headers, body
        parts = urlsplit(url)
        self.path, self.query = parts.path, {name: values[0] for name, values in parse_qs(parts.query).items()}

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


class Service:
    """Answers in the place of the wire, and remembers what it was asked."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.replies: list[Reply | Callable[[Sent], Reply]] = []
        self.tokens = 0
        self.life: object = 3600

    def __call__(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"", **_: Any) -> Answer:
        """One answer: a fresh token, or the next reply; the last one is given again."""
        request = Sent(method, url, headers, body)
        self.sent.append(request)
        if url == TOKEN_URL and not self.replies:
            self.tokens += 1
            issued = {"access_token": f"eyJ.{self.tokens}", "token_type": "Bearer", "expires_in": self.life}
            return Answer(200, (), json.dumps(issued).encode())
        given = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        found = given(request) if callable(given) else given
        if isinstance(found, Exception):
            raise found
        if isinstance(found, Answer):
            return found
        limits = (("X-RateLimit-Limit", "1000"), ("X-RateLimit-Remaining", "999"))
        return Answer(200, (("X-Request-ID", "req_1"), *limits), json.dumps(found).encode())

    @property
    def last(self) -> Sent:
        """The last request."""
        return self.sent[-1]


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    """Both halves of the wire lead to it."""
    service = Service()

    async def later(*arguments: Any, **options: Any) -> Answer:
        await asyncio.sleep(0)
        return service(*arguments, **options)

    monkeypatch.setattr(Wire, "request", lambda _, *arguments, **options: service(*arguments, **options))
    monkeypatch.setattr(AsyncWire, "request", lambda _, *arguments, **options: later(*arguments, **options))
    monkeypatch.setattr(_tokens, "_STORES", Stores[Token | Client, Tokens](Tokens))
    return service


@pytest.fixture
def bridge(service: Service) -> Iterator[Bridge]:
    """One with a personal token."""
    del service
    with connect(URL, credential="skt_1") as bridge:
        yield bridge


def refusal(code: str, status: int, **more: object) -> Answer:
    """An envelope."""
    error = {"code": code, "message": "c4nary", "request_id": "req_2", **more}
    return Answer(status, (("X-Request-ID", "req_2"),), json.dumps({"error": error}).encode())


def lost() -> Refused:
    """A request that was sent, and no answer."""
    return Refused(Answer(phase=Phase.SENT, exception=ConnectionResetError()))


def label(request: Sent) -> dict[str, Any]:
    """What we keep in the metadata."""
    found: dict[str, Any] = json.loads(request.json["metadata"]["kmsbridge"])
    return found


def client(name: str) -> str:
    """A URL with a client of its own: drivers are shared by identity, for a while also after the last bridge."""
    return f"{URL}?client_id={name}&client_secret=x&token_url={TOKEN_URL}"


# -- requests ---------------------------------------------------------------------------


def test_a_read_and_a_read_of_a_version(service: Service, bridge: Bridge) -> None:
    """Slashes stay in the address; the token is in one header and nothing asks for an encoding."""
    service.replies = [OBJECT]
    secret = bridge.secrets.get("a/b")
    assert (secret.name, secret.version, secret.value, secret.content_type) == ("a/b", "3", "text", None)
    assert (service.last.method, service.last.url) == ("GET", "https://vault.example/v1/secrets/a/b")
    assert service.last.headers["authorization"] == "Bearer skt_1"
    bridge.secrets.get("a/b", "3")
    assert service.last.query == {"version": "3"}


@pytest.mark.parametrize("version", ["0", "03", "x", "9" * 30])
def test_what_can_be_no_version_is_not_there(service: Service, bridge: Bridge, version: str) -> None:
    """It may be one of another backend; the service would have another error for it, or take it for something else."""
    service.replies = [OBJECT, refusal("secret_not_found", 404)]
    for code in (Code.VERSION_NOT_FOUND, Code.NOT_FOUND):
        with pytest.raises(KMSError) as caught:
            bridge.secrets.get("a/b", version)
        assert (caught.value.code, caught.value.outcome) == (code, Outcome.NOT_APPLIED)
        assert service.last.query == {}


def test_a_tenant_is_part_of_every_address(service: Service) -> None:
    """A header could get lost on the way, and the call would act in another tenant."""
    service.replies = [{"identity_id": "sa:x", "tenant_id": "tnt_1"}]
    with connect(f"{URL}/tnt_1", credential="skt_1") as bridge:
        health = bridge.health()
    assert health.identity is not None
    assert (health.identity.object_id, health.identity.tenant) == ("sa:x", "tnt_1")
    assert service.last.path == "/v1/t/tnt_1/auth/whoami"


@pytest.mark.parametrize("value", ["text", "", "half \N{FIRE} \0", b"", b"\xff\0"])
def test_a_value_is_kept_in_an_object(service: Service, bridge: Bridge, value: str | bytes) -> None:
    """Text as ``value``, bytes as ``value_base64``; what is said of it in one member of the metadata."""
    service.replies = [{"path": "a/b", "version": 4}]
    made = bridge.secrets.set("a/b", value, content_type="x/y", tags={"team": "billing"})
    assert (made.version, made.value, made.content_type, made.tags) == ("4", value, "x/y", {"team": "billing"})
    sent = service.last.json
    kept = {"value_base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else {"value": value}
    assert sent["data"] == kept
    assert label(service.last).items() >= {"content_type": "x/y", "tags": {"team": "billing"}}.items()
    service.replies = [{**OBJECT, **sent}]
    found = bridge.secrets.get("a/b")
    assert (found.value, found.content_type, found.tags) == (value, "x/y", {"team": "billing"})


@pytest.mark.parametrize(("data", "text"), [
    ('{"user": "é", "n": 1.10, "m": 12345678901234567890, "l": [true, null, -0.0, 1e400], "o": {}}',
     '{"user":"é","n":1.10,"m":12345678901234567890,"l":[true,null,-0.0,1e400],"o":{}}'),
    ('{"value": 5}', '{"value":5}'), ('{"value": "a", "user": "b"}', '{"value":"a","user":"b"}'),
    ('{"value_base64": "c4nary!"}', '{"value_base64":"c4nary!"}'), ("{}", "{}"), ('{"value": 1.50}', '{"value":1.50}'),
])  # fmt: skip
def test_what_others_wrote_is_its_json(service: Service, bridge: Bridge, data: str, text: str) -> None:
    """Digit by digit, whatever a float would make of it."""
    body = f'{{"path": "a/b", "version": 1, "data": {data}}}'.encode()
    service.replies = [Answer(200, body=body)]
    secret = bridge.secrets.get("a/b")
    assert (secret.value, secret.content_type) == (text, "application/json")


@pytest.mark.parametrize("metadata", [
    None, {}, {"owner": "me"}, {"kmsbridge": "c4nary"}, {"kmsbridge": "[1]"}, {"kmsbridge": 5},
    {"kmsbridge": '{"tags": 5, "call": [], "content_type": {}}'}, {"kmsbridge": '{"tags": {"a": 5}}'},
])  # fmt: skip
def test_metadata_of_others_says_nothing_of_ours(service: Service, bridge: Bridge, metadata: object) -> None:
    """It is theirs, whatever it is."""
    service.replies = [{**OBJECT, "metadata": metadata}]
    secret = bridge.secrets.get("a/b")
    assert (secret.tags, secret.content_type) == ({}, None)


WRONG: list[dict[str, Any]] = [
    {"path": "a/c"}, {"path": None}, {"version": "3"}, {"version": 0}, {"version": True}, {"version": None},
    {"data": "text"}, {"data": []}, {"data": None}, {"created_at": "yesterday"}, {"created_at": 5}, {"metadata": "x"},
    {"data": {"value": "c4nary\ud800"}}, {"created_at": "2026-13-01T00:00:00Z"},
    {"created_at": "0001-01-01T00:00:00+14:00"},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_a_success_without_what_it_must_hold_is_an_error(
    service: Service, bridge: Bridge, wrong: dict[str, Any]
) -> None:
    """Never None, never something else's value."""
    service.replies = [{**OBJECT, "data": {"value": "c4nary"}, **wrong}]
    with pytest.raises(KMSError) as caught:
        bridge.secrets.get("a/b", timeout=0.05)
    assert (caught.value.code, caught.value.http_status) == (Code.INTERNAL_ERROR, 200)
    assert "c4nary" not in caught.value.details() + json.dumps(caught.value.to_dict())


@pytest.mark.parametrize("body", [
    b"", b"c4nary", b"[]", b'{"path": "a/b"', b"\xff", b'{"path": "a/b", "version": 3, "data": {"value": NaN}}',
    b'{"path": "a/b", "version": 3, "data": ' + b'{"a":' * 5000, b"\xef\xbb\xbf", b"null",
])  # fmt: skip
def test_bytes_that_are_no_object_are_an_error(service: Service, bridge: Bridge, body: bytes) -> None:
    """For every operation that needs one."""
    service.replies = [Answer(200, body=body)]
    calls: list[Callable[[], object]] = [
        lambda: bridge.secrets.get("a/b", timeout=0.05), lambda: bridge.secrets.set("a/b", "v", timeout=0.05),
        lambda: list(bridge.secrets.list(timeout=0.05)), lambda: list(bridge.secrets.versions("a/b", timeout=0.05)),
        lambda: bridge.secrets.update("a/b", tags={"a": "b"}, timeout=0.05),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(KMSError) as caught:
            call()
        assert caught.value.code in (Code.INTERNAL_ERROR, Code.TIMEOUT)


def test_what_is_said_of_the_limit_is_in_every_event(service: Service) -> None:
    """Of a success, and of a refusal."""
    events: list[Any] = []
    limits = (("X-RateLimit-Limit", "100"), ("X-RateLimit-Remaining", "0"))
    service.replies = [OBJECT, Answer(403, limits, refusal("access_denied", 403).body)]
    with connect(URL, credential="skt_1", on_event=events.append) as bridge:
        bridge.secrets.get("a/b")
        with pytest.raises(KMSError) as caught:
            bridge.secrets.get("a/b")
        assert bridge.stats().rate_limits["secrets.get"].remaining == 0
    assert caught.value.rate_limit == events[-1].rate_limit
    assert {(event.rate_limit.limit, event.rate_limit.remaining) for event in events} == {(1000, 999), (100, 0)}


# -- many, and listings -----------------------------------------------------------------


def test_many_are_read_by_one_request(service: Service, bridge: Bridge) -> None:
    """A hundred paths each; what failed is its own error, and knows the request."""

    def reply(request: Sent) -> Reply:
        paths = request.json["paths"]
        errors = {path: {"code": "access_denied", "message": "c4nary"} for path in paths if path == "n7"}
        errors |= {path: {"code": "lattice", "message": "c4nary"} for path in paths if path == "n8"}
        found = {path: {"data": {"value": path}, "version": 1, "secret_type": "kv"} for path in paths}
        for path in (*errors, "n9"):
            found.pop(path, None)
        return {"secrets": found | ({"n10": {"version": 1}} if "n10" in paths else {}), "errors": errors}

    service.replies = [reply]
    names = [f"n{number}" for number in range(250)]
    found = bridge.secrets.get_many(["Wrong", *names])
    assert list(found) == ["Wrong", *names]
    assert [len(request.json["paths"]) for request in service.sent] == [100, 100, 50]
    assert {request.path for request in service.sent} == {"/v1/secrets/batch"}
    values = {name: item.value for name, item in found.items() if isinstance(item, Secret)}
    assert values == {name: name for name in names if name not in ("n7", "n8", "n9", "n10")}
    errors = {name: item for name, item in found.items() if isinstance(item, KMSError)}
    told = {name: (str(error.code), error.outcome) for name, error in errors.items()}
    assert told == {
        "Wrong": ("invalid_argument", "not_sent"), "n7": ("access_denied", "not_applied"),
        "n8": ("unknown", "not_applied"), "n9": ("internal_error", "unknown"), "n10": ("internal_error", "unknown"),
    }  # fmt: skip
    denied = errors["n7"]
    assert (denied.provider, denied.operation, denied.provider_codes) == (
        "scaivault", "secrets.get", ("access_denied",),
    )  # fmt: skip
    assert (str(denied.resource), denied.request_ids) == ("secret 'n7'", {"x-request-id": "req_1"})
    assert denied.http_status is None
    assert "c4nary" not in "".join(error.details() for error in errors.values())


def test_many_fail_together_and_are_asked_again_together(service: Service, bridge: Bridge) -> None:
    """A batch is a call: it is tried again, and what ends it is the error of each name."""
    service.replies = [refusal("service_unavailable", 503), {"secrets": {n: {"data": {}, "version": 1} for n in "ab"}}]
    assert all(isinstance(item, Secret) for item in bridge.secrets.get_many(["a", "b"]).values())
    service.replies = [refusal("access_denied", 403)]
    found = bridge.secrets.get_many(["a", "b"])
    assert {name: str(item.resource) for name, item in found.items() if isinstance(item, KMSError)} == {
        "a": "secret 'a'", "b": "secret 'b'",
    }  # fmt: skip
    assert len({id(item) for item in found.values()}) == 2


def test_one_name_alone_is_read_alone(service: Service, bridge: Bridge) -> None:
    """A batch counts twice against the limits."""
    service.replies = [OBJECT]
    assert list(bridge.secrets.get_many(["a/b"])) == ["a/b"]
    assert service.last.method == "GET"


@pytest.mark.parametrize("key", ["secrets", "data"])
def test_a_listing_goes_over_pages(service: Service, bridge: Bridge, key: str) -> None:
    """Both names of the list; the cursor goes back as it came."""
    service.replies = [
        {key: [{"path": "a", "version": 1}, {"path": "batch"}], "cursor": "c+/=&1", "has_more": True},
        {key: [{"path": "a/_versions", "version": 2, "metadata": {"kmsbridge": '{"tags":{"t":"v"}}'}}], "cursor": None},
    ]
    infos = list(bridge.secrets.list())
    assert [info.name for info in infos] == ["a", "native:batch", "a/versions"]
    assert (infos[1].version, infos[2].tags) == (None, {"t": "v"})
    assert service.last.query == {"limit": "100", "cursor": "c+/=&1"}


@pytest.mark.parametrize("page", [
    {"secrets": [], "has_more": True}, {"secrets": [], "has_more": True, "cursor": ""}, {"secrets": {}}, {"items": []},
    {"secrets": ["a"]}, {"secrets": [{"version": 1}]}, {"secrets": [], "cursor": 5}, {"secrets": [], "cursor": 1.5},
    {"secrets": [{"path": 1.5}]}, {"secrets": [{"path": "\ud800"}]}, {"secrets": [{"path": "a\x00"}]},
])  # fmt: skip
def test_a_page_that_cannot_be_read_ends_the_listing_with_an_error(
    service: Service, bridge: Bridge, page: dict[str, Any]
) -> None:
    """Not with what has come so far."""
    service.replies = [page]
    with pytest.raises(KMSError) as caught:
        list(bridge.secrets.list(timeout=0.05))
    assert caught.value.code is Code.INTERNAL_ERROR


def test_a_listing_that_comes_back_to_its_page_ends(service: Service, bridge: Bridge) -> None:
    """With an error: it would never."""
    service.replies = [{"secrets": [{"path": "a"}], "has_more": True, "cursor": "same"}]
    with pytest.raises(KMSError) as caught:
        list(bridge.secrets.list(timeout=0.05))
    assert caught.value.code is Code.INTERNAL_ERROR


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("listed", ["secrets", "versions"])
def test_a_listing_that_goes_round_in_a_circle_ends(service: Service, bridge: Bridge, listed: str, size: int) -> None:
    """However many pages it has; the reader is not led round more than a few times."""

    def page(request: Sent) -> Reply:
        number = int(request.query.get("cursor", "0"))
        item = {"path": "a", "version": number + 1}
        return {listed: [item], "has_more": True, "cursor": str(number + 1 if number < 4 + size else 5)}

    service.replies = [page]
    with pytest.raises(KMSError) as caught:
        list(bridge.secrets.list() if listed == "secrets" else bridge.secrets.versions("a"))
    assert caught.value.code is Code.INTERNAL_ERROR
    assert len(service.sent) < 50


@pytest.mark.parametrize("key", ["versions", "data"])
def test_versions_are_newest_first_whatever_their_order(service: Service, bridge: Bridge, key: str) -> None:
    """They are whole numbers; all pages are read before the first is given."""
    service.replies = [
        {key: [{"version": 2}, {"version": 10, "path": "a"}], "cursor": "c", "has_more": True},
        {key: [{"version": 9}], "has_more": False, "cursor": "unused"},
    ]
    assert [info.version for info in bridge.secrets.versions("a")] == ["10", "9", "2"]
    assert service.last.path == "/v1/secrets/a/versions"


def test_no_versions_are_no_secret(service: Service, bridge: Bridge) -> None:
    """An empty list is not believed: the secret itself is asked for."""
    service.replies = [{"versions": []}, refusal("secret_not_found", 404)]
    with pytest.raises(LookupError):
        list(bridge.secrets.versions("a"))


# -- writes -----------------------------------------------------------------------------


def test_update_keeps_the_metadata_of_others(service: Service, bridge: Bridge) -> None:
    """It is read before, and sent again with ours, so that it does not matter whether it is merged or replaced."""
    ours = '{"call":"x","content_type":"x/y","tags":{"old":"1"}}'
    theirs = {"owner": "me", "tags": ["a"], "kmsbridge": ours}
    service.replies = [{**OBJECT, "metadata": theirs}, {"path": "a/b", "version": 3}]
    info = bridge.secrets.update("a/b", tags={"team": "billing"})
    assert (info.tags, info.content_type, info.version) == ({"team": "billing"}, "x/y", "3")
    assert (service.last.method, service.last.path) == ("PATCH", "/v1/secrets/a/b")
    sent = service.last.json["metadata"]
    assert (sent["owner"], sent["tags"]) == ("me", ["a"])
    assert label(service.last) == {"call": "x", "content_type": "x/y", "tags": {"team": "billing"}}


def test_update_sends_the_metadata_of_others_as_it_was(service: Service, bridge: Bridge) -> None:
    """Digit by digit, and what is no text elsewhere too."""
    theirs = b'{"weight":1.10,"big":12345678901234567890,"odd":"\\ud800","none":null,"list":[0.1,{}]}'
    read = b'{"path":"a/b","version":3,"data":{"value":"c4nary"},"metadata":' + theirs + b"}"
    service.replies = [Answer(200, body=read), {"path": "a/b", "version": 3}]
    bridge.secrets.update("a/b", tags={})
    assert service.last.body.startswith(b'{"metadata":' + theirs[:-1] + b',"kmsbridge":')
    assert b"c4nary" not in service.last.body


def test_an_update_that_was_not_made_is_an_error(service: Service, bridge: Bridge) -> None:
    """The answer shows other tags."""
    service.replies = [OBJECT, {"path": "a/b", "version": 3, "metadata": {}}]
    with pytest.raises(KMSError) as caught:
        bridge.secrets.update("a/b", tags={"team": "billing"}, timeout=0.05)
    assert (caught.value.code, caught.value.outcome) == (Code.INTERNAL_ERROR, Outcome.UNKNOWN)


@pytest.mark.parametrize("there", [
    {}, {"path": "another"}, {"path": "a/b", "metadata": 5}, {"path": "a/b", "metadata": [5]},
    {"path": "a/b", "metadata": [["kmsbridge", "{}"]]}, {"path": "a/b", "metadata": "x"},
])  # fmt: skip
def test_an_update_replaces_nothing_that_it_could_not_read(
    service: Service, bridge: Bridge, there: dict[str, Any]
) -> None:
    """Content type and metadata of others would be lost."""
    service.replies = [there]
    with pytest.raises(KMSError) as caught:
        bridge.secrets.update("a/b", tags={"team": "billing"}, timeout=0.05)
    assert (caught.value.code, caught.value.http_status) == (Code.INTERNAL_ERROR, 200)
    assert {request.method for request in service.sent} == {"GET"}


@pytest.mark.parametrize(("hard", "query"), [("", {}), ("?hard_delete=true", {"permanent": "true"})])
@pytest.mark.parametrize("body", [
    b"", b"{}", b'{"recoverable_until": "2026-05-23T10:00:00Z"}', b'{"path": "a/b", "created_at": 5}',
])  # fmt: skip
def test_a_deletion_is_soft_unless_said_otherwise(
    service: Service, hard: str, query: dict[str, str], body: bytes
) -> None:
    """What a success holds is not documented: nothing, or an object that does not speak of something else."""
    service.replies = [Answer(204 if not body else 200, body=body)]
    with connect(URL + hard, credential="skt_1") as bridge:
        info = bridge.secrets.delete("a/b")
    assert (info.name, info.purge_at is not None) == ("a/b", b"until" in body)
    assert (service.last.method, service.last.query) == ("DELETE", query)


@pytest.mark.parametrize(("body", "code"), [
    (b"<html>c4nary, please log in", Code.INTERNAL_ERROR), (b"null", Code.INTERNAL_ERROR),
    (b'{"path": "another"}', Code.INTERNAL_ERROR), (b'{"path": 5}', Code.INTERNAL_ERROR),
    (b'{"error": {"code": "access_denied", "message": "no"}}', Code.ACCESS_DENIED),
])  # fmt: skip
def test_what_does_not_speak_of_the_deletion_is_none(service: Service, bridge: Bridge, body: bytes, code: Code) -> None:
    """A page of a login that stands in between would leave behind what is believed to be gone."""
    service.replies = [Answer(200, body=body)]
    with pytest.raises(KMSError) as caught:
        bridge.secrets.delete("a/b", timeout=0.05)
    assert caught.value.code is code
    assert len(service.sent) == 1


def test_a_lost_set_is_proved_by_its_mark(service: Service, bridge: Bridge) -> None:
    """The latest version has the mark of the call: it was made, and is not made again."""

    def read(_: Sent) -> Reply:
        return {**OBJECT, "data": service.sent[0].json["data"], "metadata": service.sent[0].json["metadata"]}

    service.replies = [lost(), read]
    made = bridge.secrets.set("a/b", "new", tags={"t": "v"})
    assert (made.version, made.value, made.tags) == ("3", "new", {"t": "v"})
    assert [request.method for request in service.sent] == ["PUT", "GET"]


@pytest.mark.parametrize("there", [
    {}, {"metadata": {"kmsbridge": '{"call": "another"}'}}, {"data": {"value": "another"}}, {"data": {"value": "old"}},
])  # fmt: skip
def test_a_lost_set_that_cannot_be_proved_is_unknown(service: Service, bridge: Bridge, there: dict[str, Any]) -> None:
    """The same value may have been there before; the same mark with another value is no proof either."""

    def read(_: Sent) -> Reply:
        ours = {} if "data" not in there else {"metadata": service.sent[0].json["metadata"]}
        return {**OBJECT, "data": {"value": "new"}, **ours, **there}

    service.replies = [lost(), read]
    with pytest.raises(KMSError) as caught:
        bridge.secrets.set("a/b", "new")
    assert caught.value.outcome is Outcome.UNKNOWN
    assert [request.method for request in service.sent] == ["PUT", "GET"]


# -- tokens -----------------------------------------------------------------------------


def exchange(service: Service, auth: str) -> Sent:
    """The request for a token."""
    store = tokens_of(Client("sa 1", "c4nary:%", TOKEN_URL, auth, "a b", None))
    drive(store.get(BLOCKING, Wire(), Call("secrets.get", None, 5.0)))
    return service.last


def test_a_client_is_exchanged_for_a_token(service: Service) -> None:
    """In the form or in a header; never in the address."""
    form = exchange(service, "post")
    assert form.method == "POST"
    assert parse_qs(form.body.decode()) == {
        "grant_type": ["client_credentials"], "client_id": ["sa 1"], "client_secret": ["c4nary:%"], "scope": ["a b"],
    }  # fmt: skip
    assert "authorization" not in form.headers
    header = exchange(service, "basic")
    assert parse_qs(header.body.decode()) == {"grant_type": ["client_credentials"], "scope": ["a b"]}
    login = base64.b64decode(header.headers["authorization"].removeprefix("Basic "))
    assert login == b"sa%201:c4nary%3A%25"


@pytest.mark.parametrize("known", [False, True])
def test_a_thousand_callers_with_an_expired_token_make_one_token_request(service: Service, known: bool) -> None:
    """On threads and an event loop at once, whether we know that it has expired or the service refuses it to each."""
    store = tokens_of(CLIENT)
    first = drive(store.get(BLOCKING, Wire(), Call("secrets.get", None, 5.0)))
    assert service.tokens == 1
    if known:
        store._held.kept["token"] = Kept(first._replace(ends=0.0), 0.0)
    begin = threading.Barrier(41)
    shown: list[str] = []

    async def one(runtime: Any, wire: Any) -> None:
        call = Call("secrets.get", None, 60.0)
        issued = await store.get(runtime, wire, call)
        if issued.token == "eyJ.1":  # every caller gets it, and is refused
            store.refuse(issued)
            assert store.renew()
            issued = await store.get(runtime, wire, call)
        shown.append(issued.token)

    async def many() -> None:
        runtime, wire = AsyncioRuntime(), AsyncWire()
        await asyncio.gather(*(one(runtime, wire) for _ in range(600)))

    def thread() -> None:
        begin.wait(30)
        for _ in range(10):
            drive(one(BLOCKING, Wire()))

    threads = [threading.Thread(target=thread) for _ in range(40)]
    for each in threads:
        each.start()
    begin.wait(30)
    asyncio.run(many())
    for each in threads:
        each.join(60)
    assert len(shown) == 1000
    assert set(shown) == {"eyJ.2"}
    assert service.tokens == 2


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_token_that_is_refused_is_replaced_within_the_call(service: Service, mode: str) -> None:
    """One more request for a token and one more for the secret; the caller does not hear of it."""
    def reply(request: Sent) -> Reply:
        if request.url == TOKEN_URL:
            service.tokens += 1
            return {"access_token": f"eyJ.{service.tokens}", "expires_in": 3600}
        old = request.headers["authorization"] == "Bearer eyJ.1"
        return refusal("token_expired", 401) if old else OBJECT

    service.replies = [reply]

    async def main() -> str | bytes:
        async with connect_async(client("replaced")) as bridge:
            return (await bridge.secrets.get("a/b")).value

    if mode == "sync":
        with connect(client("replaced")) as bridge:
            assert bridge.secrets.get("a/b").value == "text"
    else:
        assert asyncio.run(main()) == "text"
    assert service.tokens == 2
    assert len(service.sent) == 4


def test_a_given_token_is_not_renewed(service: Service, bridge: Bridge) -> None:
    """It is asked with once, and the advice says what to do."""
    service.replies = [refusal("token_expired", 401)]
    with pytest.raises(KMSError) as caught:
        bridge.secrets.get("a/b")
    assert (caught.value.code, caught.value.attempts) == (Code.TOKEN_EXPIRED, 1)
    assert caught.value.identity is not None
    assert caught.value.identity.credential == "token"


def test_a_revoked_token_is_not_shown_again(service: Service) -> None:
    """The call ends, since somebody meant it; the next one has another token."""
    service.replies = [{"access_token": "eyJ.1"}, refusal("token_revoked", 401), {"access_token": "eyJ.2"}, OBJECT]
    with connect(client("revoked")) as bridge:
        with pytest.raises(KMSError) as caught:
            bridge.secrets.get("a/b")
        assert (caught.value.code, caught.value.attempts) == (Code.CREDENTIAL_REJECTED, 1)
        assert bridge.secrets.get("a/b").value == "text"
    assert service.last.headers["authorization"] == "Bearer eyJ.2"


@pytest.mark.parametrize("answer", [
    {"access_token": ""}, {"access_token": "a b"}, {"access_token": 5}, {"token": "x"}, {},
    {"access_token": "c4nary", "token_type": "mac"}, {"access_token": "c4nary", "token_type": 5},
    Answer(200, body=b"<html>c4nary"), Answer(200, body=b'{"access_token": "c4nary'),
])  # fmt: skip
def test_what_is_no_token_is_not_shown_to_the_service(service: Service, answer: Reply) -> None:
    """The token service is to blame, nothing was sent, and nothing of its answer is told."""
    service.replies = [answer]
    with connect(client("no-token")) as bridge, pytest.raises(KMSError) as caught:
        bridge.secrets.get("a/b", timeout=0.05)
    assert (caught.value.code, caught.value.outcome) == (Code.DEPENDENCY_UNAVAILABLE, Outcome.NOT_SENT)
    assert "c4nary" not in caught.value.details() + json.dumps(caught.value.to_dict())
    assert {request.url for request in service.sent} == {TOKEN_URL}


@pytest.mark.parametrize(("code", "status"), [
    ("secret_not_found", 404), ("version_not_found", 404), ("tenant_not_found", 404), ("secret_exists", 409),
    ("secret_expired", 410), ("lattice_misaligned", 404), ("lattice_misaligned", 410), ("lattice_misaligned", 405),
    ("invalid_path", 400),
])  # fmt: skip
def test_what_a_token_service_says_of_items_is_no_verdict_on_one(service: Service, code: str, status: int) -> None:
    """Its address may be one of ScaiVault: nobody has asked for the secret, and who would make one is not told to."""
    service.replies = [refusal(code, status)]
    with connect(client("no-service")) as bridge, pytest.raises(KMSError) as caught:
        bridge.secrets.get("a/b")
    assert (caught.value.code, caught.value.outcome) == (Code.CREDENTIAL_UNAVAILABLE, Outcome.NOT_SENT)
    assert caught.value.provider_codes == (code,)
    assert {request.url for request in service.sent} == {TOKEN_URL}


def held(store: Tokens) -> Kept[Any]:
    """What a store holds."""
    return store._held.kept["token"]


@pytest.mark.parametrize(("life", "ends", "again"), [
    (3600, 3600, 3300), (100, 100, 90), (None, 300, 270), ("3600", 300, 270), (-5, 300, 270), (True, 300, 270),
    (float("inf"), 300, 270), (30.5, 30.5, 27.45), (10**400, 300, 270), (1e300, 300, 270),
])  # fmt: skip
def test_a_token_is_replaced_before_it_ends(service: Service, life: object, ends: float, again: float) -> None:
    """Five minutes before, or a tenth of a short life; where nothing is said of it, it counts on little."""
    service.life = life
    store = tokens_of(CLIENT)
    now = time.time()
    drive(store.get(BLOCKING, Wire(), Call("secrets.get", None, 5.0)))
    kept = held(store)
    assert kept.value.ends - now == pytest.approx(ends, abs=5)
    assert kept.again - now == pytest.approx(again, abs=5)
    assert "eyJ" not in f"{kept!r} {kept.value!r}"


def test_a_token_that_is_still_good_serves_while_no_other_is_to_be_had(service: Service) -> None:
    """The token service is asked again half a minute later, and nobody fails."""
    store = tokens_of(CLIENT)
    call = Call("secrets.get", None, 5.0)
    first = drive(store.get(BLOCKING, Wire(), call))
    store._held.kept["token"] = held(store)._replace(again=0.0)
    service.replies = [refusal("service_unavailable", 503)]
    assert drive(store.get(BLOCKING, Wire(), call)) == first
    assert drive(store.get(BLOCKING, Wire(), call)) == first
    assert len(service.sent) == 2
    store._held.kept["token"] = Kept(first._replace(ends=time.time() + 5), 0.0)
    with pytest.raises(Refused) as caught:
        drive(store.get(BLOCKING, Wire(), call))
    assert (caught.value.answer.phase, caught.value.answer.door) == (Phase.BEFORE_SEND, "token")


@pytest.mark.usefixtures("service")
def test_a_forked_child_keeps_the_token_and_none_of_the_locks() -> None:
    """A flight that was on its way in the parent is not waited for."""
    store = tokens_of(CLIENT)
    drive(store.get(BLOCKING, Wire(), Call("secrets.get", None, 5.0)))
    flights = store._held._flights
    with flights._lock, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other tests may have left threads
        child = os.fork()
        if child == 0:
            try:
                mine = tokens_of(CLIENT)
                same = mine is store and held(mine).value.token == "eyJ.1" and mine._held._flights is not flights
                store._held.kept.clear()
                fresh = drive(mine.get(BLOCKING, Wire(), Call("secrets.get", None, 5.0)))
                os._exit(0 if same and fresh.token == "eyJ.2" else 1)
            finally:
                os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
