"""How documents are read and changed: point reads, one batch a change, and pages of queries."""

from __future__ import annotations

from random import random
from time import time
from typing import Any, TypeVar

from kmsbridge._decode import Answer, Phase, Refused
from kmsbridge._model import Page, SecretInfo
from kmsbridge_azure_cosmos import _documents as documents
from kmsbridge_azure_cosmos import _findings
from kmsbridge_azure_cosmos._documents import HEAD, PURGING, SECRET, VERSION, Document
from kmsbridge_azure_cosmos._transport import HEARD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kmsbridge._call import Call
    from kmsbridge_azure_cosmos._account import Account

A = TypeVar("A")
T = TypeVar("T")

ROUNDS = 20
"""How often a change is applied anew to what somebody else has changed meanwhile."""
PAUSE, MAX_PAUSE = 0.002, 0.25
"""Seconds at most before the second round, doubled for each further one, and before any: else one may lose them all."""
_BATCH = 100


class Store:
    """The documents of one container.

    Args:
        account: Makes the requests.
    """

    def __init__(self, account: Account) -> None:
        self._account = account

    # -- one change ---------------------------------------------------------------------

    async def changed(self, call: Call, name: str, change: Callable[[Document | None], Awaitable[T]]) -> T:
        """Apply a change to the head as it is, again where somebody was faster."""
        last = finding(_findings.ABSENT)
        for number in range(ROUNDS):
            if number and not await self._paused(call, number):
                break
            try:
                head = await self.head_of(call, name)
                if head is None or not documents.gone(head, int(time())):
                    return await change(head)
                await self.removed(call, head)
            except Refused as refused:
                if not lost(refused):
                    raise
                last = refused
        raise last

    async def _paused(self, call: Call, number: int) -> bool:
        pause = random() * min(MAX_PAUSE, PAUSE * 2**number)  # noqa: S311 - it spreads writers, and keeps no secret
        try:
            await self._account.runtime.sleep(min(pause, call.time_left()))
            call.time_left()
        except TimeoutError:
            return False
        return True

    async def write(self, call: Call, old: Document | None, node: dict[str, Any], *, moved: bool = False) -> None:
        """Write a document in the place of the one that was read, in one batch with what it held."""
        node = {key: value for key, value in node.items() if not key.startswith("_")}  # what the service adds
        operations: list[tuple[Any, ...]] = []
        if old is None:
            operations.append(("create", (node,)))
        else:
            operations.append(("replace", (node["id"], node), {"if_match_etag": old.etag}))
        if moved and old is not None:
            operations.append(("create", (documents.earlier(old),)))
        await self._batch(call, node["name"], operations)

    async def removed(self, call: Call, head: Document) -> None:
        name = head.node["name"]
        if head.kind != PURGING:
            await self.write(call, head, {**head.node, "kind": PURGING})
            call.applied = True
        while True:
            found, _ = await self.query(call, VERSION, None, name)
            ids = [node["id"] for node in found][:_BATCH]
            if not ids:
                break
            await self._batch(call, name, [("delete", (each,)) for each in ids])
        await self._batch(call, name, [("delete", (HEAD,))])

    async def _batch(self, call: Call, name: str, operations: list[tuple[Any, ...]]) -> None:
        told = await self._account.exchange(
            call, lambda container: container.execute_item_batch(operations, partition_key=name)
        )
        self.told(call, lambda found: documents.done(found, len(operations)), told)

    # -- one document -------------------------------------------------------------------

    async def head_of(self, call: Call, name: str) -> Document | None:
        try:
            return await self.read(call, name, HEAD)
        except Refused as refused:
            if absent(refused):
                return None
            raise

    async def alive(self, call: Call, name: str) -> Document:
        return there(await self.read(call, name, HEAD))

    async def version_of(self, call: Call, name: str, version: str | None) -> Document:
        if version is None:
            return await self.alive(call, name)
        head = await self.alive(call, name)
        if head.version == version:
            return head
        if (id_ := documents.version_id(version)) is not None:
            try:
                return await self.read(call, name, id_)
            except Refused as refused:
                if not absent(refused):
                    raise
        raise finding(_findings.VERSION)

    async def made(self, call: Call, name: str, head: Document | None, version: str) -> Document | None:
        """The version that an earlier attempt of this call has made, if it has."""
        if head is None or head.version == version:
            return head
        try:
            return await self.read(call, name, f"v-{version}")
        except Refused as refused:
            if absent(refused):
                return None
            raise

    async def read(self, call: Call, name: str, id_: str) -> Document:
        node = await self._account.exchange(call, lambda container: container.read_item(id_, partition_key=name))
        return self.told(call, lambda found: documents.document(found, name), node)

    def told(self, call: Call, read: Callable[[A], T], found: A) -> T:
        """What a document says; one that is none of ours is a success without what it must hold."""
        try:
            return read(found)
        except documents.Malformed:
            pass  # raised below: what was read is in its frames
        raise Refused(Answer(200, tuple(call.request_ids.items())))

    # -- queries ------------------------------------------------------------------------

    async def page(self, call: Call, kind: str, cursor: str | None) -> Page[SecretInfo]:
        nodes, position = await self.query(call, kind, cursor)
        return Page([self.told(call, documents.info, node) for node in nodes], position)

    async def query(
        self, call: Call, kind: str, cursor: str | None, name: str | None = None
    ) -> tuple[list[dict[str, Any]], str | None]:
        """One page of the documents of a kind, of one secret or of all; all pages of a query that was taken apart."""
        options: dict[str, Any] = {"parameters": [{"name": "@kind", "value": kind}], "max_item_count": _BATCH}
        options |= {"enable_cross_partition_query": True} if name is None else {"partition_key": name}

        async def first(container: Any) -> tuple[list[dict[str, Any]], str | None]:
            query = f"SELECT {documents.SHOWN}, c.deleted, c.purge FROM c WHERE c.kind = @kind"  # noqa: S608 - constants
            pages = container.query_items(query, **options).by_page(cursor)
            heard = HEARD.get()
            found: list[dict[str, Any]] = []
            if hasattr(pages, "__aiter__"):
                async for page in pages:
                    found += [each async for each in page]
                    if not heard.planned:
                        break
            else:
                for page in pages:
                    found += page
                    if not heard.planned:
                        break
            # The SDK would say where to go on from the last answer that any thread got, or its ETag
            after = None if heard.planned or heard.last is None else heard.last.header("x-ms-continuation")
            return found, after or None

        found, after = await self._account.page(call, first)
        return self.told(call, documents.rows, found), after


def finding(door: str) -> Refused:
    return Refused(Answer(phase=Phase.BODY, door=door))


def there(head: Document | None) -> Document:
    if head is None or head.kind != SECRET:
        raise finding(_findings.ABSENT)
    return head


def absent(refused: Refused) -> bool:
    """Whether the answer says that there is no such document: not that the container or a replica is not there."""
    answer = refused.answer
    return answer.status == 404 and answer.door is None and (answer.header("x-ms-substatus") or "0") == "0"


def lost(refused: Refused) -> bool:
    """Whether somebody else has changed the document since it was read."""
    return refused.answer.door is None and refused.answer.status in (404, 409, 412) and (
        (refused.answer.header("x-ms-substatus") or "0") == "0"
    )
