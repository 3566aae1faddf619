"""The operations on the account, its databases and its containers."""

from __future__ import annotations

from typing import Any

from kmsbridge_azure_cosmos.emulator._call import Call, Done
from kmsbridge_azure_cosmos.emulator._known import Refused
from kmsbridge_azure_cosmos.emulator._resources import RANGE, defined

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kmsbridge_azure_cosmos.emulator._resources import Container, Resource

CREATION_UNITS = 4.95


def get_account(call: Call) -> Done:
    """What the account says of itself; it has no ETag."""
    return Done(200, call.settings.account(call.request.host), units=0)


def create_database(call: Call) -> Done:
    """A new database."""
    return _one(call.store.create_database(call.object(), call.now), 201)


def list_databases(call: Call) -> Done:
    """All of them."""
    return Done(200, _feed("Databases", "", list(call.store.databases.values())))


def get_database(call: Call) -> Done:
    """One database."""
    return _one(call.store.database(call.name))


def delete_database(call: Call) -> Done:
    """Forget it with all that is in it."""
    del call.store.databases[call.store.database(call.name).body["id"]]
    return Done(204, units=CREATION_UNITS)


def create_collection(call: Call) -> Done:
    """A new container, which cannot be used until its time has come."""
    database = call.store.database(call.request.params["database"])
    ready_at = call.now + call.settings.creation_seconds
    return _one(call.store.create_container(database, call.object(), call.now, ready_at), 201)


def list_collections(call: Call) -> Done:
    """Those of a database."""
    database = call.store.database(call.request.params["database"])
    return Done(200, _feed("DocumentCollections", database.rid, list(database.containers.values())))


def get_collection(call: Call) -> Done:
    """One container."""
    return _one(_container(call))


def replace_collection(call: Call) -> Done:
    """Define it anew; what its partition key is stays."""
    found, body = _container(call), call.object()
    new = defined(body)
    if new["partitionKey"].get("paths") != found.paths or body.get("id") != found.body["id"]:
        raise Refused("400")
    if call.header("if-match") not in (None, "*", found.etag):
        raise Refused("412/0")
    found.body = new
    found.change(call.now)
    return _one(found)


def delete_collection(call: Call) -> Done:
    """Forget it with all that is in it."""
    found = _container(call)
    del call.store.databases[call.request.params["database"]].containers[found.body["id"]]
    return Done(204, units=CREATION_UNITS)


def get_ranges(call: Call) -> Done:
    """The one range of partition keys; to who knows it, nothing."""
    container = call.container()
    etag = f'"{container.number}"'
    if call.header("if-none-match") == etag:
        return Done(304, etag=etag)
    shown = {
        "id": RANGE, "minInclusive": "", "maxExclusive": "FF", "ridPrefix": 0, "throughputFraction": 1, "parents": [],
        "status": "online", "_rid": container.rid, "_self": f"{container.link}pkranges/{container.rid}/",
        "_etag": etag, "_ts": container.changed,
    }  # fmt: skip
    return Done(200, {"_rid": container.rid, "PartitionKeyRanges": [shown], "_count": 1}, etag=etag)


def _container(call: Call) -> Container:
    return call.store.container(call.request.params["database"], call.name, call.now, feed=False)


def _one(found: Resource, status: int = 200) -> Done:
    return Done(status, found.shown(), CREATION_UNITS if status == 201 else 1.0, found.etag)


def _feed(name: str, rid: str, found: list[Any]) -> dict[str, Any]:
    return {"_rid": rid, name: [each.shown() for each in found], "_count": len(found)}


HANDLERS: dict[str, Callable[[Call], Done]] = {
    "GetDatabaseAccount": get_account,
    "CreateDatabase": create_database,
    "ListDatabases": list_databases,
    "GetDatabase": get_database,
    "DeleteDatabase": delete_database,
    "CreateCollection": create_collection,
    "ListCollections": list_collections,
    "GetCollection": get_collection,
    "ReplaceCollection": replace_collection,
    "DeleteCollection": delete_collection,
    "GetPartitionKeyRanges": get_ranges,
}
