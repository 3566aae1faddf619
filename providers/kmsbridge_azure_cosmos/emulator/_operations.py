"""The table of operations: what an account can be asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kmsbridge.emulation import Operation, entra

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kmsbridge.emulation import Request


@dataclass(frozen=True, slots=True)
class CosmosOperation(Operation):
    """One row."""

    kind: Literal["account", "metadata", "items"] = "items"
    writes: bool = False
    action: str = ""
    """In role definitions, after ``Microsoft.DocumentDB/databaseAccounts/``; empty for what no token may do."""


def _metadata(name: str, method: str, path: str, *, writes: bool = False) -> CosmosOperation:
    action = "" if writes else "readMetadata"
    return CosmosOperation(name, method, path, kind="metadata", writes=writes, action=action)


def _items(name: str, method: str, path: str, action: str, *, writes: bool = False) -> CosmosOperation:
    action = f"sqlDatabases/containers/{action}"
    return CosmosOperation(name, method, path, writes=writes, action=action)


_COLLECTION = "/dbs/{database}/colls/{collection}"
_CREATE = _items("CreateDocument", "POST", f"{_COLLECTION}/docs", "items/create", writes=True)
_BY_HEADER = {
    # A POST to /docs is what its header says.
    "x-ms-cosmos-is-query-plan-request": _items("GetQueryPlan", "POST", _CREATE.path, "executeQuery"),
    "x-ms-documentdb-isquery": _items("QueryDocuments", "POST", _CREATE.path, "executeQuery"),
    "x-ms-cosmos-is-batch-request": _items("ExecuteBatch", "POST", _CREATE.path, "items/*", writes=True),
    "x-ms-documentdb-is-upsert": _items("UpsertDocument", "POST", _CREATE.path, "items/upsert", writes=True),
}
OPERATIONS: tuple[Operation, ...] = (
    CosmosOperation("GetDatabaseAccount", "GET", "/", kind="account", action="readMetadata"),
    _metadata("CreateDatabase", "POST", "/dbs", writes=True),
    _metadata("ListDatabases", "GET", "/dbs"),
    _metadata("GetDatabase", "GET", "/dbs/{name}"),
    _metadata("DeleteDatabase", "DELETE", "/dbs/{name}", writes=True),
    _metadata("CreateCollection", "POST", "/dbs/{database}/colls", writes=True),
    _metadata("ListCollections", "GET", "/dbs/{database}/colls"),
    _metadata("GetCollection", "GET", "/dbs/{database}/colls/{name}"),
    _metadata("ReplaceCollection", "PUT", "/dbs/{database}/colls/{name}", writes=True),
    _metadata("DeleteCollection", "DELETE", "/dbs/{database}/colls/{name}", writes=True),
    _metadata("GetPartitionKeyRanges", "GET", f"{_COLLECTION}/pkranges"),
    _CREATE,
    _items("ListDocuments", "GET", f"{_COLLECTION}/docs", "readChangeFeed"),
    _items("GetDocument", "GET", f"{_COLLECTION}/docs/{{name}}", "items/read"),
    _items("ReplaceDocument", "PUT", f"{_COLLECTION}/docs/{{name}}", "items/replace", writes=True),
    _items("PatchDocument", "PATCH", f"{_COLLECTION}/docs/{{name}}", "items/replace", writes=True),
    _items("DeleteDocument", "DELETE", f"{_COLLECTION}/docs/{{name}}", "items/delete", writes=True),
    *_BY_HEADER.values(),
    *entra.OPERATIONS,
)


def meant(request: Request) -> Operation | None:
    """The operation of a request whose method and path have been looked up."""
    if request.operation is not _CREATE:
        return request.operation
    for header, operation in _BY_HEADER.items():
        if request.headers.get(header, "").lower() == "true":
            return operation
    return _CREATE
