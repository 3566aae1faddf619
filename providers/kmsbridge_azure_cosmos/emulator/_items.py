"""The operations on items."""

from __future__ import annotations

from typing import Any

from kmsbridge_azure_cosmos.emulator import _queries
from kmsbridge_azure_cosmos.emulator._call import Call, Done
from kmsbridge_azure_cosmos.emulator._catalogue import CATALOGUE
from kmsbridge_azure_cosmos.emulator._known import Refused
from kmsbridge_azure_cosmos.emulator._partition import Partition
from kmsbridge_azure_cosmos.emulator._resources import MAX_ITEM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BATCH = 100
_UNDONE = {"statusCode": 424, "requestCharge": 0.0}
"""What becomes of the others where one has failed."""


def create_document(call: Call) -> Done:
    """A new item."""
    return _brief(call, _partition(call).create(call.json()))


def upsert_document(call: Call) -> Done:
    """A new item, or another in its place."""
    return _brief(call, _partition(call).upsert(call.json(), call.header("if-match")))


def get_document(call: Call) -> Done:
    """One item."""
    return _partition(call).read(call.name, call.header("if-none-match"))


def replace_document(call: Call) -> Done:
    """Another in its place."""
    return _brief(call, _partition(call).replace(call.name, call.json(), call.header("if-match")))


def patch_document(call: Call) -> Done:
    """Parts of it."""
    return _brief(call, _partition(call).patch(call.name, call.json(), call.header("if-match")))


def delete_document(call: Call) -> Done:
    """Forget it."""
    return _partition(call).delete(call.name, call.header("if-match"))


def execute_batch(call: Call) -> Done:
    """All operations, or none: then one has its own status, and the others are 424."""
    operations = call.json()
    if not isinstance(operations, list) or not 0 < len(operations) <= MAX_BATCH:
        raise Refused("400/Batch")
    if len(call.request.body) > MAX_ITEM:
        raise Refused("413")
    partition = _partition(call)
    container = partition.container
    before, lsn = dict(container.items), container.lsn
    results: list[dict[str, Any]] = []
    units = 0.0
    for at, operation in enumerate(operations):
        try:
            done = _member(partition, operation)
        except Refused as refused:
            container.items, container.lsn = before, lsn
            if refused.error == "400/Batch":
                raise
            told = [_UNDONE] * len(operations)
            told[at] = _failed(refused)
            return Done(207, told)
        units += done.units
        results.append({
            "statusCode": done.status, "requestCharge": done.units,
            **({"eTag": done.etag} if done.etag else {}),
            **({} if done.body is None else {"resourceBody": done.body}),
        })
    return Done(200, results, units)


def _member(partition: Partition, operation: object) -> Done:
    if not isinstance(operation, dict):
        raise Refused("400/Batch")
    id_, body = operation.get("id", ""), operation.get("resourceBody")
    if not isinstance(id_, str):
        raise Refused("400/Batch")
    match = operation.get("ifMatch")
    match operation.get("operationType"):
        case "Create":
            return partition.create(body)
        case "Upsert":
            return partition.upsert(body, match)
        case "Read":
            return partition.read(id_, operation.get("ifNoneMatch"))
        case "Replace":
            return partition.replace(id_, body, match)
        case "Patch":
            return partition.patch(id_, body, match)
        case "Delete":
            return partition.delete(id_, match)
    raise Refused("400/Batch")


def _failed(refused: Refused) -> dict[str, Any]:
    known = CATALOGUE[refused.error]
    sub_status = {"subStatusCode": known.sub_status} if known.sub_status else {}
    return {"statusCode": known.status, **sub_status, "requestCharge": 1.24}


def _partition(call: Call) -> Partition:
    container = call.container()
    key = call.key(container)
    if key is None:
        raise Refused("400/MissingPartitionKey")
    return Partition(container, key, call.now)


def _brief(call: Call, done: Done) -> Done:
    """Without the item, for who does not want it back."""
    if (call.header("prefer") or "").replace(" ", "") == "return=minimal":
        done.body = None
    return done


HANDLERS: dict[str, Callable[[Call], Done]] = {
    "CreateDocument": create_document,
    "UpsertDocument": upsert_document,
    "GetDocument": get_document,
    "ReplaceDocument": replace_document,
    "PatchDocument": patch_document,
    "DeleteDocument": delete_document,
    "ExecuteBatch": execute_batch,
    "ListDocuments": _queries.list_documents,
    "QueryDocuments": _queries.query_documents,
    "GetQueryPlan": _queries.get_plan,
}
