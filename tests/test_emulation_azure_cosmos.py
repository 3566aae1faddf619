"""The emulator of Azure Cosmos DB as its server calls it: what each request is answered, without a socket."""

from __future__ import annotations

import ast
import base64
import hmac
import json
import re
import string
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmsbridge.emulation import Clock, Request, entra
from kmsbridge.emulation.entra import OTHER_TENANT, REFUSALS
from kmsbridge_azure_cosmos.emulator import Cosmos, Settings
from kmsbridge_azure_cosmos.emulator._authorization import signed_text
from kmsbridge_azure_cosmos.emulator._catalogue import CATALOGUE
from kmsbridge_azure_cosmos.emulator._customer_key import KEY_TROUBLE, STATES, USABLE
from kmsbridge_azure_cosmos.emulator._known import Refused
from kmsbridge_azure_cosmos.emulator._operations import OPERATIONS, CosmosOperation
from kmsbridge_azure_cosmos.emulator._service import _HANDLERS
from kmsbridge_azure_cosmos.emulator._sql import compiled

FOLDER = Path(__file__).parent.parent / "providers" / "kmsbridge_azure_cosmos" / "emulator"
HOST = "localhost:8443"
DOCS = "/dbs/d/colls/c/docs"


class Answered(NamedTuple):
    """What the service said."""

    status: int
    body: Any
    headers: dict[str, str]

    @property
    def pair(self) -> tuple[int, str]:
        """Status and sub-status."""
        return self.status, self.headers.get("x-ms-substatus", "")


class Account:
    """Calls a service as the server does, signed with its key or with a token."""

    def __init__(self, **settings: Any) -> None:
        self.service = Cosmos(Settings(**{"containers": ("d/c/pk",), **settings}))
        self.service.address = f"https://{HOST}"
        self.host = HOST
        self.token: str | None = None

    def __call__(self, call: str, body: Any = None, *, key: Any = ..., **headers: str) -> Answered:
        """Ask ``GET /dbs``, for example; `key` is the partition's."""
        method, _, target = call.partition(" ")
        given = {"host": self.host, "x-ms-date": formatdate(usegmt=True)}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not ...:
            given["x-ms-documentdb-partitionkey"] = json.dumps([key])
        sent = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        request = Request(method, target, given, sent, 1, "127.0.0.1")
        if "authorization" not in given:
            given["authorization"] = self.authorization(request)
        self.service.identify(request)
        answer = self.service.admit(request) or self.service.apply(request)
        told = dict(answer.headers)
        is_json = told.get("Content-Type", "").startswith("application/json")
        return Answered(answer.status, json.loads(answer.body) if is_json else answer.body, told)

    def authorization(self, request: Request) -> str:
        """What stands in the header."""
        if self.token is not None:
            return quote(f"type=aad&ver=1.0&sig={self.token}")
        digest = hmac.digest(base64.b64decode(Cosmos.key), signed_text(request).encode(), "sha256")
        return quote(f"type=master&ver=1.0&sig={base64.b64encode(digest).decode()}")

    def query(self, text: str, key: Any = ..., *parameters: tuple[str, Any], **headers: str) -> Answered:
        """Ask a query of one partition, or of all."""
        told = [{"name": name, "value": value} for name, value in parameters]
        everywhere = {"x_ms_documentdb_query_enablecrosspartition": "True"} if key is ... else {}
        asked = {"x_ms_documentdb_isquery": "true", **everywhere, **headers}
        return self(f"POST {DOCS}/", {"query": text, "parameters": told}, key=key, **asked)

    def batch(self, *operations: dict[str, Any], key: Any = "x") -> Answered:
        """Ask a batch."""
        return self(f"POST {DOCS}", list(operations), key=key, x_ms_cosmos_is_batch_request="True")


@pytest.fixture
def account() -> Account:
    """An account with an empty container, whose partition key is ``/pk``."""
    return Account()


def item(id_: str = "a", pk: Any = "x", **members: Any) -> dict[str, Any]:
    """A document."""
    return {"id": id_, "pk": pk, **members}


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
    others = {name for name in imported if name.startswith("kmsbridge") and "cosmos.emulator" not in name}
    assert others == {"kmsbridge.emulation"}
    assert not {name for name in imported if name.startswith(("azure", "msal"))}


# -- errors -----------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["GET /", "GET /dbs/d/colls/c/docs/a", "POST /t/oauth2/v2.0/token", "GET /nowhere"])
def test_every_error_has_a_source_and_can_be_sent(account: Account, call: str) -> None:
    """Each says where it was seen or documented, and every operation can be answered with it."""
    method, target = call.split()
    request = Request(method, target, {"host": HOST}, b"", 1, "192.0.2.7")
    account.service.identify(request)
    for name, known in account.service.documented.items():
        assert len(known.source) > 3
        answer = account.service.answer(name, request)
        assert answer.status == known.status
        assert not re.search(r"\{[A-Za-z_]+\}", answer.body.decode()), "a name in braces was not filled in"
        if name not in REFUSALS:
            status, _, number = name.partition("/")
            assert int(status) == known.status
            if number.isdigit():
                assert dict(answer.headers)["x-ms-substatus"] == number


def test_every_template_is_known(account: Account) -> None:
    """What stands in braces in a message is something that the service fills in."""
    named = {field for row in CATALOGUE.values() for _, field, _, _ in string.Formatter().parse(row.message) if field}
    request = Request("GET", "/", {"host": HOST}, b"", 1, "127.0.0.1")
    assert named <= set(account.service._facts(request))


def test_bodies_have_the_four_forms_of_the_service(account: Account) -> None:
    """Of the gateway; of the backend, quoted; of the backend alone; and of SQL."""
    absent = account(f"GET {DOCS}/a", key="x")
    assert absent.pair == (404, "0")
    assert absent.body["code"] == "NotFound"
    assert absent.body["message"].startswith('Message: {"Errors":["Resource Not Found"]}\r\nActivityId: ')
    owner = account("GET /dbs/d/colls/other/docs/a", key="x")
    assert (owner.pair, owner.body["code"]) == ((404, "1003"), "NotFound")
    assert owner.body["message"].startswith("Owner resource does not exist\r\nActivityId: ")
    wrong = account.query("SELECT * FORM c")
    assert wrong.status == 400
    assert '"code":"SC1001","message":"Syntax error, incorrect syntax near \'FORM\'."' in wrong.body["message"]
    assert '"location":{"start":9,"end":13}' in wrong.body["message"]
    account.service.configure(key="revoked")
    assert list(account(f"GET {DOCS}/a", key="x").body) == ["Errors"]


def test_answers_tell_activity_charge_and_session(account: Account) -> None:
    """What clients of every language read besides the body."""
    activity = "6F9619FF-8B86-D011-B42D-00C04FC964FF"
    made = account(f"POST {DOCS}", item(), key="x", x_ms_activity_id=activity)
    assert made.headers["x-ms-activity-id"] == activity.lower()
    assert float(made.headers["x-ms-request-charge"]) > 5
    assert re.fullmatch(r"0:-1#\d+", made.headers["x-ms-session-token"])
    assert made.headers["etag"] == made.body["_etag"]
    assert made.headers["x-ms-alt-content-path"] == "dbs/d/colls/c"
    assert account(f"GET {DOCS}/a", key="x", x_ms_activity_id="no guid").headers["x-ms-request-charge"] == "1"


# -- who is let in ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("authorization", "name"),
    [
        ("", "401/MissingAuthorization"),
        ("Bearer abc", "401/MalformedAuthorization"),
        ("type=other&ver=1.0&sig=a", "401/MalformedAuthorization"),
        ("type=master&ver=2.0&sig=a", "401/MalformedAuthorization"),
        ("type=master&ver=1.0&sig=", "401/MalformedAuthorization"),
        ("type=master&ver=1.0&sig=AAAA", "401/WrongKey"),
        ("type=aad&ver=1.0&sig=a.b.c", "401/5004"),
    ],
)
def test_who_does_not_sign_rightly_is_refused(account: Account, authorization: str, name: str) -> None:
    """Each in its own words."""
    told = account(f"GET {DOCS}/a", key="x", authorization=quote(authorization))
    words = CATALOGUE[name].message.partition("{")[0]
    assert told.status == 401
    assert words in told.body["message"]


def test_the_payload_that_was_signed_is_shown(account: Account) -> None:
    """As the service does: the client can compare."""
    date = formatdate(usegmt=True)
    told = account(f"GET {DOCS}/A%20b", key="x", authorization=quote("type=master&ver=1.0&sig=AAAA"), x_ms_date=date)
    assert f"'get\ndocs\ndbs/d/colls/c/docs/A b\n{date.lower()}\n\n'" in told.body["message"]


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_wrong_clock_is_403(account: Account, minutes: int) -> None:
    """And tells both times."""
    told = account("GET /dbs", x_ms_date=formatdate(time.time() + minutes * 60, usegmt=True))
    assert told.pair == (403, "")
    assert "not valid at the current time" in told.body["message"]


def test_a_date_that_is_none_is_refused(account: Account) -> None:
    """And not an error of the emulator."""
    assert account("GET /dbs", x_ms_date="yesterday").status == 401


@pytest.mark.parametrize(
    ("issue", "pair"),
    [
        ({"audience": f"https://{HOST}"}, (200, "")),
        ({"audience": "https://localhost"}, (200, "")),
        ({"audience": "https://cosmos.azure.com"}, (200, "")),
        ({"audience": f"https://{HOST}/"}, (401, "5008")),
        ({"audience": "https://vault.azure.net"}, (401, "5008")),
        ({"audience": "https://localhost", "tenant": OTHER_TENANT}, (401, "5007")),
        ({"audience": "https://localhost", "seconds": -1}, (401, "5006")),
        ({"audience": "https://localhost", "not_before": 60}, (401, "5005")),
    ],
)
def test_tokens_are_read(account: Account, issue: dict[str, Any], pair: tuple[int, str]) -> None:
    """Audience without a slash, tenant, and its time by the real clock."""
    account.token = account.service.identity.issue(**issue)
    assert account("GET /dbs/d/colls/c").pair == pair


def test_a_token_makes_no_databases(account: Account) -> None:
    """Nor containers, whatever its roles; and each operation needs its role."""
    account.token = account.service.identity.issue("https://localhost")
    assert account("POST /dbs", {"id": "e"}).pair == (403, "5300")
    assert account("POST /dbs/d/colls", {"id": "e"}).pair == (403, "5300")
    account.service.configure(denied=("GetDocument", "GetDatabaseAccount"))
    assert account(f"POST {DOCS}", item(), key="x").status == 201
    refused = account(f"GET {DOCS}/a", key="x")
    assert refused.pair == (403, "5302")
    assert "[Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/read]" in refused.body["message"]
    assert account("GET /").pair == (403, "5301")
    account.token = None
    assert account(f"GET {DOCS}/a", key="x").status == 200
    account.service.configure(local_auth=False)
    assert account(f"GET {DOCS}/a", key="x").pair == (401, "5202")


def test_a_firewall_refuses_everybody(account: Account) -> None:
    """Before it looks who asks."""
    account.service.configure(firewall=True)
    told = account("GET /", authorization="")
    assert told.status == 403
    assert "Request originated from IP 127.0.0.1 through public internet." in told.body["message"]


# -- the account and its regions --------------------------------------------------------


@pytest.mark.parametrize("host", ["localhost:8443", "127.0.0.1:1", "cosmos:8081"])
def test_the_account_names_itself_as_it_was_asked(account: Account, host: str) -> None:
    """Through whatever port and name the client came."""
    account.host = host
    told = account("GET /").body
    assert [each["databaseAccountEndpoint"] for each in told["writableLocations"]] == [f"https://{host}/"]
    assert told["userConsistencyPolicy"]["defaultConsistencyLevel"] == "Session"


def test_the_region_that_writes_can_be_moved() -> None:
    """Reads are answered in every region; a write elsewhere gets 403/3, until the client has looked again."""
    account = Account(regions=("West Europe", "North Europe"))
    assert account(f"POST {DOCS}", item(), key="x").status == 201
    account.service.configure(write_region="North Europe")
    assert account(f"POST {DOCS}", item("b"), key="x").pair == (403, "3")
    assert account(f"GET {DOCS}/a", key="x").status == 200
    (writes,) = account("GET /").body["writableLocations"]
    assert writes["databaseAccountEndpoint"] == "https://northeurope.documents.localhost:8443/"
    account.host = "northeurope.documents.localhost:8443"
    assert account(f"POST {DOCS}", item("b"), key="x").status == 201
    account.service.configure(removed=("North Europe",))
    assert account(f"GET {DOCS}/a", key="x").pair == (403, "1008")
    account.host = "nowhere.documents.localhost:8443"
    assert account(f"GET {DOCS}/a", key="x").pair == (403, "1008")
    assert account("GET /").status == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"write_region": "Mars"}, {"removed": ("Mars",)}, {"regions": ()}, {"key": "lost"}, {"key": "403/5300"},
        {"containers": ("d/c",)}, {"containers": "d/c/pk"}, {"firewall": 1},
    ],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(account: Account, wrong: dict[str, Any]) -> None:
    """At once, and nothing is changed."""
    before = account.service.current_settings()
    with pytest.raises(ValueError):  # noqa: PT011 - each has words of its own
        account.service.configure(**wrong)
    assert account.service.current_settings() == before


# -- the customer-managed key -----------------------------------------------------------


@pytest.mark.parametrize("state", [*STATES, *(f"403/{number}" for number in KEY_TROUBLE)])
def test_the_state_of_the_key_is_told_on_reads_and_writes(account: Account, state: str) -> None:
    """In the service's numbers; the account itself still answers, and all is well when the key is back."""
    account(f"POST {DOCS}", item(), key="x")
    account.service.configure(key=state)
    expected = STATES.get(state, state)
    answers = [
        account(f"GET {DOCS}/a", key="x"), account.query("SELECT * FROM c"), account("GET /dbs/d/colls/c"),
        account(f"PUT {DOCS}/a", item(), key="x"), account.batch({"operationType": "Read", "id": "a"}),
    ]  # fmt: skip
    for told in answers:
        if state == USABLE:
            assert told.status == 200
            continue
        assert told.status == 403
        number = expected.partition("/")[2]
        assert told.headers.get("x-ms-substatus") == (number if number.isdigit() else None)
        if number in map(str, KEY_TROUBLE):
            assert told.body["Errors"][0].startswith("Access to your account is currently revoked because ")
    assert account("GET /").status == 200
    account.service.configure(key=USABLE)
    assert account(f"GET {DOCS}/a", key="x").status == 200


def test_writes_may_end_as_408_without_a_word_of_the_key(account: Account) -> None:
    """The document's trap."""
    account.service.configure(key="revoked", writes_time_out=True)
    assert account(f"POST {DOCS}", item(), key="x").pair == (408, "")
    assert account(f"GET {DOCS}/a", key="x").pair == (403, "4002")


# -- databases and containers -----------------------------------------------------------


def test_databases_and_containers_are_made_read_and_forgotten(account: Account) -> None:
    """With what is in them."""
    assert account("POST /dbs", {"id": "e"}).status == 201
    assert account("POST /dbs", {"id": "e"}).pair == (409, "0")
    assert [each["id"] for each in account("GET /dbs").body["Databases"]] == ["d", "e"]
    made = account("POST /dbs/e/colls", {"id": "k", "partitionKey": {"paths": ["/a/b"], "kind": "Hash"}})
    assert made.status == 201
    assert account("GET /dbs/e/colls/k").body["_rid"] == made.body["_rid"]
    assert [each["id"] for each in account("GET /dbs/e/colls").body["DocumentCollections"]] == ["k"]
    assert account("POST /dbs/e/colls/k/docs", {"id": "a", "a": {"b": 1}}, key=1).status == 201
    assert account("POST /dbs/e/colls/k/docs", {"id": "a"}, key={}).status == 201
    changed = {**made.body, "defaultTtl": 5}
    assert account("PUT /dbs/e/colls/k", changed).body["defaultTtl"] == 5
    assert account("PUT /dbs/e/colls/k", changed, if_match=made.body["_etag"]).pair == (412, "0")
    moved = {"id": "k", "partitionKey": {"paths": ["/z"]}}
    assert account("PUT /dbs/e/colls/k", moved).status == 400
    assert account("DELETE /dbs/e/colls/k").status == 204
    assert account("GET /dbs/e/colls/k").pair == (404, "0")
    assert account("DELETE /dbs/e").status == 204
    assert account("GET /dbs/e").pair == (404, "0")


@pytest.mark.parametrize(
    ("body", "pair"),
    [
        (b"{", (400, "")), ([], (400, "")), ({}, (400, "")), ({"id": ""}, (400, "")), ({"id": "a/b"}, (400, "")),
        ({"id": 5}, (400, "")), ({"id": "k"}, (400, "1013")),
        ({"id": "k", "partitionKey": {"paths": []}}, (400, "1013")),
        ({"id": "k", "partitionKey": {"paths": ["/a"]}, "defaultTtl": 0}, (400, "")),
    ],
)  # fmt: skip
def test_what_is_no_container_is_refused(account: Account, body: Any, pair: tuple[int, str]) -> None:
    """Its name, and where its partition key is, must be said."""
    assert account("POST /dbs/d/colls", body).pair == pair


def test_a_container_takes_its_time() -> None:
    """404/1013 until then, for itself and for what is in it."""
    account = Account(creation_seconds=10)
    account("POST /dbs/d/colls", {"id": "k", "partitionKey": {"paths": ["/pk"]}})
    assert account("GET /dbs/d/colls/k").pair == (404, "1013")
    assert account("GET /dbs/d/colls/k/docs/a", key="x").pair == (404, "1013")
    account.service.clock.advance(seconds=11)
    assert account("GET /dbs/d/colls/k").status == 200


def test_a_container_that_was_made_anew_is_another(account: Account) -> None:
    """A client that knows the old one is told so."""
    old = account("GET /dbs/d/colls/c").body["_rid"]
    assert account(f"GET {DOCS}/a", key="x", x_ms_cosmos_intended_collection_rid=old).status == 404
    account("DELETE /dbs/d/colls/c")
    account("POST /dbs/d/colls", {"id": "c", "partitionKey": {"paths": ["/pk"]}})
    assert account(f"GET {DOCS}/a", key="x", x_ms_cosmos_intended_collection_rid=old).pair == (400, "1024")


def test_the_one_range_of_keys_is_told_once(account: Account) -> None:
    """Who knows it gets 304."""
    told = account("GET /dbs/d/colls/c/pkranges")
    assert [each["id"] for each in told.body["PartitionKeyRanges"]] == ["0"]
    assert account("GET /dbs/d/colls/c/pkranges", if_none_match=told.headers["etag"]).status == 304


# -- items ------------------------------------------------------------------------------


def test_an_item_lives(account: Account) -> None:
    """Made once, read, replaced, upserted, deleted."""
    made = account(f"POST {DOCS}", item(n=1), key="x")
    assert (made.status, made.body["n"]) == (201, 1)
    assert set(made.body) == {"id", "pk", "n", "_rid", "_self", "_etag", "_attachments", "_ts"}
    assert account(f"POST {DOCS}", item(), key="x").pair == (409, "0")
    assert account(f"GET {DOCS}/a", key="x").body == made.body
    assert account(f"GET {DOCS}/a", key="y").pair == (404, "0")
    assert account(f"GET {DOCS}/a", key="x", if_none_match=made.body["_etag"]).status == 304
    new = account(f"PUT {DOCS}/a", item(n=2), key="x")
    assert (new.status, new.body["n"], new.body["_rid"]) == (200, 2, made.body["_rid"])
    assert new.body["_etag"] != made.body["_etag"]
    upserted = [
        account(f"POST {DOCS}", item(id_, n=3), key="x", x_ms_documentdb_is_upsert="True").status for id_ in "ab"
    ]
    assert upserted == [200, 201]
    brief = account(f"PUT {DOCS}/a", item(n=4), key="x", prefer="return=minimal")
    assert (brief.status, brief.body) == (200, b"")
    assert account(f"DELETE {DOCS}/a", key="x").status == 204
    assert account(f"DELETE {DOCS}/a", key="x").pair == (404, "0")
    assert account(f"PUT {DOCS}/a", item(), key="x").pair == (404, "0")


def test_an_etag_that_is_not_the_items_stops_every_change(account: Account) -> None:
    """And an upsert only where there is an item."""
    etag = account(f"POST {DOCS}", item(), key="x").body["_etag"]
    upsert = {"x_ms_documentdb_is_upsert": "True"}
    calls: list[tuple[str, Any, dict[str, str]]] = [
        (f"PUT {DOCS}/a", item(), {}), (f"POST {DOCS}", item(), upsert), (f"DELETE {DOCS}/a", None, {}),
        (f"PATCH {DOCS}/a", {"operations": [{"op": "set", "path": "/n", "value": 1}]}, {}),
    ]  # fmt: skip
    for call, body, headers in calls:
        assert account(call, body, key="x", if_match='"other"', **headers).pair == (412, "0")
    assert account(f"GET {DOCS}/a", key="x").body["_etag"] == etag
    assert account(f"POST {DOCS}", item("b"), key="x", if_match='"other"', **upsert).status == 201
    assert account(f"PUT {DOCS}/a", item(), key="x", if_match="*").status == 200


@pytest.mark.parametrize(
    ("body", "key", "pair"),
    [
        (b"{", "x", (400, "")), ([], "x", (400, "")), ({"pk": "x"}, "x", (400, "")), (item(5), "x", (400, "")),  # type: ignore[arg-type]
        (item("a/b"), "x", (400, "")), (item("x" * 1024), "x", (400, "")), (item(), "y", (400, "1001")),
        (item(), ..., (400, "")), (item(big="x" * (2 << 20)), "x", (413, "")), (item(ttl=0), "x", (400, "")),
        (item(ttl=True), "x", (400, "")),
    ],
)  # fmt: skip
def test_what_is_no_item_is_refused(account: Account, body: Any, key: Any, pair: tuple[int, str]) -> None:
    """Without id, with one that is none, in another partition, or too large."""
    assert account(f"POST {DOCS}", body, key=key).pair == pair


def test_a_key_must_be_whole(account: Account) -> None:
    """As many parts as the container has paths."""
    told = account(f"GET {DOCS}/a", x_ms_documentdb_partitionkey="[]")
    assert "fewer components than defined" in told.body["message"]
    for wrong in ("{", "5"):
        assert account(f"GET {DOCS}/a", x_ms_documentdb_partitionkey=wrong).status == 400


def test_items_expire(account: Account) -> None:
    """By their own ttl or the container's, and only where that has one."""
    account(f"POST {DOCS}", item("a", ttl=10), key="x")
    account(f"POST {DOCS}", item("b"), key="x")
    container = account("GET /dbs/d/colls/c").body
    account("PUT /dbs/d/colls/c", {**container, "defaultTtl": 20})
    account(f"POST {DOCS}", item("c"), key="x")
    account(f"POST {DOCS}", item("d", ttl=-1), key="x")
    seen = []
    for _ in range(3):
        seen.append("".join(each["id"] for each in account.query("SELECT * FROM c", "x").body["Documents"]))
        account.service.clock.advance(seconds=11)
    assert seen == ["abcd", "bcd", "bd"]
    assert account(f"GET {DOCS}/a", key="x").status == 404
    assert account(f"POST {DOCS}", item("a"), key="x").status == 201


PATCHES: list[tuple[list[dict[str, Any]], Any]] = [
    ([{"op": "add", "path": "/n", "value": 1}], {"n": 1, "list": [1, 2], "o": {"k": "v"}}),
    ([{"op": "set", "path": "/o/k", "value": 2}], {"list": [1, 2], "o": {"k": 2}}),
    ([{"op": "add", "path": "/list/0", "value": 9}], {"list": [9, 1, 2], "o": {"k": "v"}}),
    ([{"op": "add", "path": "/list/-", "value": 9}], {"list": [1, 2, 9], "o": {"k": "v"}}),
    ([{"op": "set", "path": "/list/0", "value": 9}], {"list": [9, 2], "o": {"k": "v"}}),
    ([{"op": "replace", "path": "/o/k", "value": 2}], {"list": [1, 2], "o": {"k": 2}}),
    ([{"op": "remove", "path": "/o/k"}], {"list": [1, 2], "o": {}}),
    ([{"op": "incr", "path": "/list/1", "value": 5}], {"list": [1, 7], "o": {"k": "v"}}),
    ([{"op": "incr", "path": "/n", "value": 5}], {"n": 5, "list": [1, 2], "o": {"k": "v"}}),
    ([{"op": "move", "from": "/o/k", "path": "/m"}], {"m": "v", "list": [1, 2], "o": {}}),
    ([{"op": "replace", "path": "/no", "value": 2}], 400), ([{"op": "remove", "path": "/no"}], 400),
    ([{"op": "set", "path": "/no/deep", "value": 2}], 400), ([{"op": "incr", "path": "/o/k", "value": 2}], 400),
    ([{"op": "set", "path": "id", "value": "b"}], 400), ([{"op": "set", "path": "/id", "value": "b"}], 400),
    ([{"op": "set", "path": "/pk", "value": "y"}], 400), ([{"op": "leap", "path": "/n"}], 400),
    ([{"op": "set", "path": 5, "value": 1}], 400), ([{"op": "move", "from": None, "path": "/m"}], 400),
    ([{"op": "add", "path": "/list/3", "value": 9}], 400), ([{"op": "set", "path": "/list/-1", "value": 9}], 400),
    ([{"op": "incr", "path": "/o/k", "value": "w"}], 400), ([{"op": "incr", "path": "/n", "value": True}], 400),
    ([{"op": "incr", "path": "/list", "value": [3]}], 400),
    ([{"op": "set", "path": "/n"}], 400), ([], 400), ([{"op": "add", "path": "/n", "value": 1}] * 11, 400),
]  # fmt: skip


@pytest.mark.parametrize(("operations", "expected"), PATCHES)
def test_an_item_is_patched(account: Account, operations: list[dict[str, Any]], expected: Any) -> None:
    """Whole, or not at all."""
    before = account(f"POST {DOCS}", item(list=[1, 2], o={"k": "v"}), key="x").body
    told = account(f"PATCH {DOCS}/a", {"operations": operations}, key="x")
    if told.status == 200:
        shown = {name: value for name, value in told.body.items() if name[0] != "_"}
        assert shown == {"id": "a", "pk": "x", **expected}
    else:
        assert told.status == expected
        assert account(f"GET {DOCS}/a", key="x").body == before


def test_a_patch_may_have_a_condition(account: Account) -> None:
    """412 with its own number, where it does not hold."""
    account(f"POST {DOCS}", item(n=1), key="x")
    change = {"operations": [{"op": "incr", "path": "/n", "value": 1}], "condition": "from c where c.n = 1"}
    assert account(f"PATCH {DOCS}/a", change, key="x").status == 200
    assert account(f"PATCH {DOCS}/a", change, key="x").pair == (412, "1110")
    assert account(f"PATCH {DOCS}/a", change["operations"], key="x").body["n"] == 3
    assert account(f"PATCH {DOCS}/a", 5, key="x").status == 400
    assert account(f"PATCH {DOCS}/a", {**change, "condition": "no SQL"}, key="x").status == 400


# -- batches ----------------------------------------------------------------------------


def test_a_batch_does_everything(account: Account) -> None:
    """In its order, each seeing what the one before did."""
    change = {"operations": [{"op": "incr", "path": "/n", "value": 1}]}
    told = account.batch(
        {"operationType": "Create", "resourceBody": item(n=1)},
        {"operationType": "Read", "id": "a"},
        {"operationType": "Patch", "id": "a", "resourceBody": change},
        {"operationType": "Replace", "id": "a", "resourceBody": item(n=5)},
        {"operationType": "Upsert", "resourceBody": item("b")},
        {"operationType": "Delete", "id": "b"},
    )
    assert told.status == 200
    assert [each["statusCode"] for each in told.body] == [201, 200, 200, 200, 201, 204]
    assert account(f"GET {DOCS}/a", key="x").body["n"] == 5
    assert account(f"GET {DOCS}/b", key="x").status == 404


BROKEN_BATCHES: dict[int, dict[str, Any]] = {
    409: {"operationType": "Create", "resourceBody": item()},
    404: {"operationType": "Delete", "id": "no"},
    412: {"operationType": "Replace", "id": "a", "resourceBody": item(), "ifMatch": '"other"'},
    400: {"operationType": "Create", "resourceBody": item("z", "other")},
}


@pytest.mark.parametrize("status", BROKEN_BATCHES)
def test_a_batch_is_done_whole_or_not(account: Account, status: int) -> None:
    """The member that failed speaks, the others are 424, and nothing has changed."""
    account(f"POST {DOCS}", item(), key="x")
    before = account.query("SELECT * FROM c").body["Documents"]
    create = {"operationType": "Create", "resourceBody": item("new")}
    told = account.batch(create, {"operationType": "Delete", "id": "a"} if status == 404 else create | {
        "resourceBody": item("new2")}, BROKEN_BATCHES[status], create)  # fmt: skip
    assert told.status == 207
    assert [each["statusCode"] for each in told.body] == [424, 424, status, 424]
    assert account.query("SELECT * FROM c").body["Documents"] == before


NO_BATCHES: tuple[Any, ...] = (
    [], {}, [5], [{"operationType": "Dance"}], [{"operationType": "Read", "id": []}],
    [{"operationType": "Delete", "id": "a"}] * 101,
)


@pytest.mark.parametrize("body", NO_BATCHES)
def test_what_is_no_batch_is_refused(account: Account, body: Any) -> None:
    """As a whole."""
    told = account(f"POST {DOCS}", body, key="x", x_ms_cosmos_is_batch_request="true")
    assert told.status == 400


def test_a_batch_has_two_megabytes_at_most(account: Account) -> None:
    """However small its items are."""
    half = item("a", big="x" * (1 << 20)), item("b", big="x" * (1 << 20))
    assert account.batch(*({"operationType": "Create", "resourceBody": each} for each in half)).pair == (413, "")
    assert account.batch({"operationType": "Create", "resourceBody": half[0]}).status == 200


NO_JSON = [
    b'{"id":"\\uD800","pk":"x"}', b'{"id":"b","pk":"x","v":["\\udfff"]}', b'{"id":"b","pk":"x","v":NaN}',
    b'{"id":"b","pk":"x","v":-Infinity}', b'{"id":"b","pk":"x","v":1e999}',
    b'{"id":"b","pk":"x","v":' + b"9" * 5000 + b"}",
    b"[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("body", NO_JSON, ids=range(len(NO_JSON)))
def test_what_cannot_be_written_as_json_is_not_stored(account: Account, body: bytes) -> None:
    """Else every later listing would fail, or be no JSON for other clients."""
    assert account(f"POST {DOCS}", body, key="x").pair == (400, "")
    assert account(f"POST {DOCS}", item("\U0001f600"), key="x").status == 201
    assert account(f"GET {DOCS}").body["_count"] == 1


def test_an_item_has_128_levels_at_most(account: Account) -> None:
    """The limit of the service."""
    for levels, status in ((127, 201), (128, 400)):
        deep: list[Any] = []
        for _ in range(levels - 1):
            deep = [deep]
        assert account(f"POST {DOCS}", item(deep=deep), key="x").status == status, levels


# -- queries ----------------------------------------------------------------------------

ROWS = [
    item("a", "x", n=1, s="abc", o={"k": [1]}), item("b", "x", n=2, s="abd"), item("c", "y", n=True),
    item("d", "y", n=None, s="z"), item("e", "y", **{"two words": 1}),
]  # fmt: skip
QUERIES = {
    "select * from c": "abcde",
    "SELECT c.id FROM c WHERE c.n = 1": "a",
    "SELECT c.id FROM c WHERE c.n != 1": "bcd",
    "SELECT c.id FROM c WHERE NOT c.n = 1": "bcd",
    "SELECT c.id FROM c WHERE c.n <> 1 AND c.pk = 'x'": "b",
    "SELECT c.id FROM c WHERE c.n = true OR c.n = null": "cd",
    "SELECT c.id FROM c WHERE c.n > 1": "b",
    "SELECT c.id FROM c WHERE c.n >= 1 AND c.n <= 2.0": "ab",
    "SELECT c.id FROM c WHERE c.n < 'z'": "",
    "SELECT c.id FROM c WHERE c.s < 'abd'": "a",
    'SELECT c.id FROM c WHERE STARTSWITH(c.s, "ab")': "ab",
    "SELECT c.id FROM c WHERE startswith(c.n, 'a')": "",
    "SELECT c.id FROM c WHERE NOT IS_DEFINED(c.n)": "e",
    "SELECT c.id FROM c WHERE c.id IN ('a', 'c', @p)": "ace",
    "SELECT c.id FROM c WHERE c.id = @p": "e",
    "SELECT c.id FROM c WHERE c.id = @unknown": "",
    "SELECT c.id FROM c WHERE (c.pk = 'x' OR c.pk = 'y') AND c.n = false OR c.id = 'd'": "d",
    'SELECT c.id FROM c WHERE c["two words"] = 1': "e",
    "SELECT r.id FROM root r WHERE r.n = 2": "b",
    "SELECT r.id FROM root AS r WHERE r.n = -2": "",
    "SELECT c.id FROM c WHERE c.o.k = 1": "",
    "SELECT c.id FROM c WHERE c.n.deep = 1": "",
    "SELECT c.id FROM c WHERE 'it\\'s' = 'it\\'s'": "abcde",
}


@pytest.mark.parametrize("text", QUERIES)
def test_a_query_finds(account: Account, text: str) -> None:
    """What SQL of the service finds: types do not mix, and what is not there equals nothing."""
    for row in ROWS:
        account(f"POST {DOCS}", row, key=row["pk"])
    told = account.query(text, ..., ("@p", "e"))
    assert "".join(each["id"] for each in told.body["Documents"]) == QUERIES[text]
    assert told.body["_count"] == len(QUERIES[text])


def test_a_query_shows_what_it_asks_for(account: Account) -> None:
    """Members under their names, one value, and nothing for what is not there."""
    account(f"POST {DOCS}", ROWS[0], key="x")
    shown = "SELECT c.id, c.n AS number, c.no, 5, c.o FROM c"
    assert account.query(shown).body["Documents"] == [{"id": "a", "number": 1, "$4": 5, "o": {"k": [1]}}]
    assert account.query("SELECT VALUE c.n FROM c").body["Documents"] == [1]
    assert account.query("SELECT VALUE c.no FROM c").body["Documents"] == []


@pytest.mark.parametrize(
    "text",
    [
        "", "SELECT", "SELECT * FROM", "SELECT c.id FROM c ORDER BY c.id", "SELECT COUNT(1) FROM c", "DROP TABLE c",
        "SELECT TOP 1 * FROM c", "SELECT * FROM c JOIN d IN c.d", "SELECT c.value FROM c", "SELECT * FROM c WHERE",
        "SELECT d.id FROM c", "SELECT c.id", "SELECT * FROM c WHERE c.id = 'a", "SELECT * FROM c; SELECT 1",
        "SELECT 1e999 FROM c", "SELECT * FROM c WHERE c.n = " + "9" * 5000, "SELECT " + "NOT " * 20_000 + "1 FROM c",
    ],
)  # fmt: skip
def test_what_the_grammar_does_not_know_gets_the_services_own_400(account: Account, text: str) -> None:
    """With code and place."""
    told = account.query(text)
    assert told.status == 400
    assert re.search(r'"code":"SC[12]001"', told.body["message"])


@given(st.text(max_size=80))
def test_any_text_is_a_query_or_refused(text: str) -> None:
    """And nothing else comes out of the grammar."""
    refused = None
    try:
        compiled(text, [])
    except Refused as error:
        refused = error
    assert refused is None or CATALOGUE[refused.error].status == 400


def test_a_query_of_all_partitions_must_be_allowed(account: Account) -> None:
    """Of one it need not."""
    for row in ROWS:
        account(f"POST {DOCS}", row, key=row["pk"])
    asked = {"query": "SELECT * FROM c"}
    told = account(f"POST {DOCS}", asked, x_ms_documentdb_isquery="True")
    assert "Cross partition query is required but disabled" in told.body["message"]
    assert account(f"POST {DOCS}", asked, key="y", x_ms_documentdb_isquery="True").body["_count"] == 3
    plan = account(f"POST {DOCS}", asked, x_ms_cosmos_is_query_plan_request="True").body
    assert [(each["min"], each["max"]) for each in plan["queryRanges"]] == [("", "FF")]
    gone = account.query("SELECT * FROM c", x_ms_documentdb_partitionkeyrangeid="7")
    assert gone.pair == (410, "1002")


def test_pages_go_on_where_they_ended(account: Account) -> None:
    """Also where what was shown last is gone, or something new has come."""
    for number in range(7):
        account(f"POST {DOCS}", item(f"i{number}", n=number % 2), key="x")
    seen: list[str] = []
    more: dict[str, str] = {}
    while True:
        told = account.query("SELECT * FROM c WHERE c.n = 0", x_ms_max_item_count="1", **more)
        seen += [each["id"] for each in told.body["Documents"]]
        if "x-ms-continuation" not in told.headers:
            break
        more = {"x_ms_continuation": told.headers["x-ms-continuation"]}
        account(f"DELETE {DOCS}/{seen[-1]}", key="x")
    assert seen == ["i0", "i2", "i4", "i6"]
    feed = account(f"GET {DOCS}", x_ms_max_item_count="2")
    assert [each["id"] for each in feed.body["Documents"]] == ["i1", "i3"]
    assert account(f"GET {DOCS}", key="other").body["Documents"] == []
    account.service.configure(items_per_page=1)
    assert account(f"GET {DOCS}", x_ms_max_item_count="2").body["_count"] == 1
    assert account.query("SELECT * FROM c", x_ms_continuation="garbage").status == 400
    assert account(f"GET {DOCS}", a_im="Incremental feed").status == 400


# -- too much, and the rest -------------------------------------------------------------


def test_more_units_than_there_are_is_throttled(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the time to wait; in the next second there are new ones. What is no item costs none."""
    now = [1_800_000_000.25]
    monkeypatch.setattr(Clock, "now", lambda _: now[0])
    account = Account(request_units_per_second=5)
    assert account(f"POST {DOCS}", item(), key="x").status == 201
    told = account(f"GET {DOCS}/a", key="x")
    assert told.pair == (429, "3200")
    assert told.headers["x-ms-retry-after-ms"] == "750"
    assert account("GET /dbs/d/colls/c").status == 200
    now[0] += 0.75
    assert account(f"GET {DOCS}/a", key="x").status == 200


@pytest.mark.parametrize("call", ["GET /nowhere", "POST /dbs/d", "GET /offers", f"GET {DOCS}/a/b", "POST /"])
def test_what_is_no_operation_is_refused(account: Account, call: str) -> None:
    """As a URL that is not valid."""
    assert "Request url is invalid." in account(call).body["message"]


def test_the_token_endpoint_is_the_accounts_neighbour(account: Account) -> None:
    """Without a signature; and a reset keeps tokens good."""
    form = f"client_id={entra.CLIENT}&client_secret={entra.CLIENT_SECRET}&scope=https://localhost/.default"
    told = account(f"POST /{entra.TENANT}/oauth2/v2.0/token", form.encode(), authorization="")
    account.service.reset()
    account.token = told.body["access_token"]
    assert account("GET /dbs/d/colls/c").status == 200


def test_a_reset_leaves_what_a_deployment_has_made(account: Account) -> None:
    """Empty, and the same to clients that know it."""
    rid = account("GET /dbs/d/colls/c").body["_rid"]
    account(f"POST {DOCS}", item(), key="x")
    account.service.reset()
    assert account("GET /dbs/d/colls/c").body["_rid"] == rid
    assert account(f"GET {DOCS}/a", key="x").status == 404
    account.service.configure(containers=("d/c/pk", "e/k/deep/pk"))
    assert account("GET /dbs/e/colls/k").body["partitionKey"]["paths"] == ["/deep/pk"]


def test_every_operation_is_carried_out(account: Account) -> None:
    """No row of the table is without its work."""
    names = {each.name for each in OPERATIONS if isinstance(each, CosmosOperation)}
    assert names == set(_HANDLERS)
    assert "create=true" in account.service.usage
    assert account.service.environment["AZURE_COSMOS_KEY"] == Cosmos.key
