"""Queries and feeds of items, page by page."""

from __future__ import annotations

import re
from typing import Any

from kmsbridge_azure_cosmos.emulator._call import Call, Done
from kmsbridge_azure_cosmos.emulator._known import Refused
from kmsbridge_azure_cosmos.emulator._resources import RANGE
from kmsbridge_azure_cosmos.emulator._sql import compiled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kmsbridge_azure_cosmos.emulator._resources import Container

PAGE = 100
"""Items a page where the caller says nothing."""
_AFTER = re.compile(r"\+RID:~[A-Za-z0-9+=-]+#RT:([0-9]{1,15})#TRC:([0-9]{1,15})#LAST:([0-9]{1,15})")
_NO_PLAN: dict[str, Any] = {
    "distinctType": "None", "top": None, "offset": None, "limit": None, "orderBy": [], "orderByExpressions": [],
    "groupByExpressions": [], "groupByAliases": [], "aggregates": [], "groupByAliasToAggregateType": {},
    "rewrittenQuery": "", "hasSelectValue": False,
}  # fmt: skip
"""That a client has nothing to do itself: no query that is understood here needs it."""


def query_documents(call: Call) -> Done:
    """What a query finds in one partition, or in all where that is allowed."""
    body, container = call.object(), call.container()
    query = compiled(body.get("query"), body.get("parameters"))
    allowed = (call.header("x-ms-documentdb-query-enablecrosspartition") or "").lower() == "true"
    _check_range(call)
    if call.key(container) is None and not allowed:
        raise Refused("400/CrossPartitionDisabled")
    return _page(call, container, query.of)


def get_plan(call: Call) -> Done:
    """How a client has to take a query apart: not at all."""
    body = call.object()
    call.container()
    compiled(body.get("query"), body.get("parameters"))
    everything = {"min": "", "max": "FF", "isMinInclusive": True, "isMaxInclusive": False}
    return Done(200, {"partitionedQueryExecutionInfoVersion": 2, "queryInfo": _NO_PLAN, "queryRanges": [everything]})


def list_documents(call: Call) -> Done:
    """All items, of one partition where it is named."""
    if call.header("a-im") is not None:  # the change feed
        raise Refused("400")
    _check_range(call)
    return _page(call, call.container(), lambda item: [item])


def _check_range(call: Call) -> None:
    if call.header("x-ms-documentdb-partitionkeyrangeid") not in (None, RANGE):
        raise Refused("410/1002")


def _page(call: Call, container: Container, of: Callable[[dict[str, Any]], list[Any]]) -> Done:
    key = call.key(container)
    after = call.header("x-ms-continuation")
    turn, total, last = 1, 0, 0
    if after:
        if (told := _AFTER.fullmatch(after)) is None:
            raise Refused("400")
        turn, total, last = (int(part) for part in told.groups())
        turn += 1
    asked = call.header("x-ms-max-item-count") or "-1"
    size = int(asked) if re.fullmatch(r"[1-9][0-9]{0,8}", asked) else PAGE
    size = min(size, call.settings.items_per_page or size)
    alive = [item for item in container.alive(call.now) if item.number > last]
    matching = (item for item in alive if key is None or container.key_of(item.body) == key)
    found: list[Any] = []
    more = None
    for item in matching:
        if len(found) == size:
            more = f"+RID:~{container.rid}#RT:{turn}#TRC:{total + size}#LAST:{last}"
            break
        found += of(item.shown())
        last = item.number
    headers = {"x-ms-item-count": str(len(found)), **({"x-ms-continuation": more} if more else {})}
    body = {"_rid": container.rid, "Documents": found, "_count": len(found)}
    return Done(200, body, round(2.8 + 0.05 * len(found), 2), headers=headers)
