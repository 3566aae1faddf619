"""An account in memory, where the wire would be: enough for the SDK to work on, and no socket.

It answers what the tests of the driver need and nothing more; the wire itself is for the emulator.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from urllib.parse import unquote, urlsplit

from kmsbridge._decode import Answer, Refused
from kmsbridge._runtime import BlockingRuntime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = "a2V5LWtleS1rZXkta2V5LWtleS1rZXkta2V5LWtleS0="
_ID = "00000000-0000-0000-0000-000000000001"


_NUMBERS = count(1000)


class Account:
    """Databases, containers and documents, under one lock."""

    def __init__(self, number: int) -> None:
        self.url = f"azure-cosmos://account-{number}/db/secrets?key={KEY.replace('=', '%3D')}&create=true"
        """Another one each time: bridges share what has one address."""
        self.made = {"/dbs/db", "/dbs/db/colls/secrets"}
        self.documents: dict[tuple[str, str], dict[str, Any]] = {}
        self.requests: list[tuple[str, str]] = []
        self.hosts: list[str] = []
        self.endpoint = f"https://account-{number}.documents.azure.com"
        self.before: Callable[[str, str], Answer | Exception | None] = lambda _method, _path: None
        """May answer in the place of the account."""
        self.after: Callable[[str, str], Exception | None] = lambda _method, _path: None
        """May lose an answer."""
        self._lock = threading.RLock()
        self._etag = 0

    def answer(self, method: str, url: str, headers: Any, body: bytes) -> Answer:
        """What the account answers to one request."""
        path = unquote(urlsplit(url).path).rstrip("/")
        with self._lock:
            self.requests.append((method, path))
            self.hosts.append(urlsplit(url).netloc)
        found = self.before(method, path) or self._answer(method, path, headers, body)
        if isinstance(found, Exception):
            raise found
        if (lost := self.after(method, path)) is not None:
            raise lost
        return found

    def _answer(self, method: str, path: str, headers: Any, body: bytes) -> Answer:
        with self._lock:
            if path == "":
                region = [{"name": "here", "databaseAccountEndpoint": self.endpoint}]
                policy = {"defaultConsistencyLevel": "Strong"}
                return answered(
                    200, {"writableLocations": region, "readableLocations": region, "userConsistencyPolicy": policy}
                )
            if "/docs" not in path:
                return self._resource(method, path, json.loads(body) if body else {})
            head = {name.lower(): value for name, value in headers.items()}
            if "x-ms-documentdb-partitionkey" not in head:
                return self._query(json.loads(body), None, head)
            key = json.loads(head["x-ms-documentdb-partitionkey"])[0]
            if head.get("x-ms-documentdb-isquery"):
                return self._query(json.loads(body), key, head)
            if head.get("x-ms-cosmos-is-batch-request"):
                return self._batch(json.loads(body), key)
            found = self.documents.get((key, path.rpartition("/")[2]))
            return answered(404, {"code": "NotFound"}) if found is None else answered(200, found)

    def _resource(self, method: str, path: str, body: dict[str, Any]) -> Answer:
        if method == "POST":
            path = f"{path}/{body['id']}"
            if path in self.made:
                return answered(409, {"code": "Conflict"})
            self.made.add(path)
            return answered(201, {"id": body["id"], "_rid": "rid"})
        if path not in self.made:
            return answered(404, {"code": "NotFound"})
        kind = {"paths": ["/name"], "kind": "Hash", "version": 2}
        return answered(200, {"id": path.rpartition("/")[2], "_rid": "rid", "_self": "self", "partitionKey": kind})

    def _query(self, body: dict[str, Any], key: str | None, headers: dict[str, str]) -> Answer:
        kind = body["parameters"][0]["value"]
        start = json.loads(headers.get("x-ms-continuation") or "[]")
        found = [
            {name: value for name, value in node.items() if name != "value"}
            for at, node in sorted(self.documents.items())
            if node["kind"] == kind and key in (None, at[0]) and list(at) > start
        ]
        size = int(headers["x-ms-max-item-count"])
        page = found[:size]
        after = {"x-ms-continuation": json.dumps([page[-1]["name"], page[-1]["id"]])} if len(found) > size else {}
        return answered(200, {"_rid": "rid", "Documents": page, "_count": len(page)}, **after)

    def _batch(self, operations: list[dict[str, Any]], key: str) -> Answer:
        staged = dict(self.documents)
        results: list[dict[str, Any]] = []
        for operation in operations:
            node = operation.get("resourceBody") or {}
            at = (key, operation.get("id") or node["id"])
            found = staged.get(at)
            match = operation.get("ifMatch")
            if operation["operationType"] == "Create":
                status = 201 if found is None else 409
            elif found is None:
                status = 404
            elif match is not None and match != found["_etag"]:
                status = 412
            else:
                status = 204 if operation["operationType"] == "Delete" else 200
            results.append({"statusCode": status})
            if status == 204:
                del staged[at]
            elif status < 300:
                self._etag += 1
                staged[at] = {**node, "_etag": f'"{self._etag}"', "_rid": "rid"}
        if any(result["statusCode"] >= 400 for result in results):
            return answered(207, [r if r["statusCode"] >= 400 else {"statusCode": 424} for r in results])
        self.documents = staged
        return answered(200, results)


def answered(status: int, body: object, **headers: str) -> Answer:
    """An answer of the service."""
    pairs = {"content-type": "application/json", "x-ms-activity-id": _ID, **headers}
    named = tuple((name.replace("_", "-"), value) for name, value in pairs.items())
    return Answer(status, named, json.dumps(body).encode())


def lost(answer: Answer) -> Refused:
    """No whole answer."""
    return Refused(answer)


class _Wire:
    def __init__(self, account: Account) -> None:
        self._account = account

    def request(self, method: str, url: str, headers: Any, body: bytes = b"", **_: Any) -> Answer:
        return self._account.answer(method, url, headers, body)

    def close(self) -> None:
        pass


class _AsyncWire(_Wire):
    async def request(self, method: str, url: str, headers: Any, body: bytes = b"", **_: Any) -> Answer:  # type: ignore[override]
        return self._account.answer(method, url, headers, body)

    async def close(self) -> None:  # type: ignore[override]
        pass


@contextmanager
def in_memory() -> Iterator[Account]:
    """An empty account in the place of the wire, and of what bridges have kept open."""
    account = Account(next(_NUMBERS))

    def open_wire(runtime: object, **_: object) -> _Wire:
        return _Wire(account) if isinstance(runtime, BlockingRuntime) else _AsyncWire(account)

    with patch("kmsbridge_azure_cosmos._account.open_wire", open_wire):
        yield account
