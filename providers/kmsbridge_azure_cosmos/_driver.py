"""Secrets in one container, under one identity, open."""

from __future__ import annotations

from time import time
from typing import Any, TypeVar

from kmsbridge._decode import Answer, Phase, Refused
from kmsbridge._errors import Code
from kmsbridge._model import Page, Secret, SecretInfo
from kmsbridge_azure_cosmos import _documents as documents
from kmsbridge_azure_cosmos import _findings
from kmsbridge_azure_cosmos._account import Account
from kmsbridge_azure_cosmos._documents import DELETED, HEAD, PURGING, SECRET, VERSION, Document

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kmsbridge._call import Call
    from kmsbridge._errors import Identity, KMSError
    from kmsbridge._model import NewSecret, SecretChange
    from kmsbridge._runtime import Runtime
    from kmsbridge_azure_cosmos._config import CosmosSettings

A = TypeVar("A")
T = TypeVar("T")

ROUNDS = 20
"""How often a change is applied anew to what somebody else has changed meanwhile."""
_DAY = 86_400
_BATCH = 100
_NOT_REPEATABLE = frozenset(("secrets.purge",))
_MADE_ANEW = 1024
"""The sub-status of a container that was deleted and made again."""
_PROBE = "health"
"""The name that `health` reads: whether or not it is there, the answer needs the account's key."""


class CosmosDriver:
    """A container of secrets. Names are native, which are values of the partition key.

    Args:
        settings: Which container, and who asks.
        runtime: How to wait.
    """

    def __init__(self, settings: CosmosSettings, runtime: Runtime) -> None:
        self._account = Account(settings, runtime)
        self._keep = settings.recovery_days * _DAY

    # -- reading ------------------------------------------------------------------------

    async def get_secret(self, call: Call, name: str, version: str | None) -> Secret:
        """One version with its value."""
        found = await self._version(call, name, version)
        if found.node.get("enabled") is False:
            raise _finding(_findings.DISABLED)
        return await self._as(call, documents.secret, found)

    async def list_secrets(self, call: Call, cursor: str | None) -> Page[SecretInfo]:
        """By pages of the account's own size."""
        return await self._page(call, SECRET, cursor)

    async def list_deleted_secrets(self, call: Call, cursor: str | None) -> Page[SecretInfo]:
        """Those that can still be recovered."""
        now = int(time())
        page = await self._page(call, DELETED, cursor)
        return Page([each for each in page.items if (at := each.purge_at) and at.timestamp() > now], page.cursor)

    async def list_secret_versions(self, call: Call, name: str, cursor: str | None) -> Page[SecretInfo]:
        """All of them, newest first."""
        del cursor
        head = await self._alive(call, name)
        nodes = [head.node]
        position: str | None = None
        while True:
            found, position = await self._query(call, VERSION, position, name)
            nodes += found
            if position is None:
                break
        unique = {node.get("version"): node for node in reversed(nodes)}  # the head, where one is there twice
        newest = sorted(unique.values(), key=lambda node: documents.number(node, "seq"), reverse=True)
        return Page([documents.info(node) for node in newest])

    # -- changing -----------------------------------------------------------------------

    async def set_secret(self, call: Call, name: str, new: NewSecret) -> Secret:
        """Append a version. Its name is that of this call, so that it is appended once."""
        version = call.token()

        async def change(head: Document | None) -> Secret:
            if call.attempts > 1 and (made := await self._made(call, name, head, version)) is not None:
                return documents.secret(made)
            if head is not None and head.kind == DELETED:
                raise _finding(_findings.DELETED)
            if head is not None and new.if_absent:
                raise _finding(_findings.EXISTS)
            seq = 1 if head is None else documents.number(head.node, "seq") + 1
            node = documents.first(name, new, version, seq, int(time()))
            await self._write(call, head, node, moved=head is not None)
            return documents.secret(Document(node, ""))

        return await self._changed(call, name, change)

    async def update_secret(self, call: Call, name: str, version: str | None, change: SecretChange) -> SecretInfo:
        """Change what is said of a version; of the latest again and again, of one that was named once."""

        def changed(found: Document) -> dict[str, Any]:
            node = {**found.node, "updated": int(time())}
            if change.enabled is not None:
                node["enabled"] = change.enabled
            if change.tags is not None:
                node["tags"] = dict(change.tags)
            if change.expires_at is not None:
                node["expires"] = documents.seconds(change.expires_at)
            return node

        if version is not None:
            found = await self._version(call, name, version)
            node = changed(found)
            await self._write(call, found, node)
            return documents.info(node)

        async def apply(head: Document | None) -> SecretInfo:
            node = changed(_there(head))
            await self._write(call, head, node)
            return documents.info(node)

        return await self._changed(call, name, apply)

    async def delete_secret(self, call: Call, name: str) -> SecretInfo:
        """Delete all versions; they can be recovered until their time is over."""

        async def delete(head: Document | None) -> SecretInfo:
            if head is not None and head.kind == DELETED and head.node.get("writer") == call.token():
                return documents.info(head.node)
            now = int(time())
            node = {**_there(head).node, "kind": DELETED, "writer": call.token()}
            node |= {"deleted": now, "purge": now + self._keep}
            await self._write(call, head, node)
            return documents.info(node)

        return await self._changed(call, name, delete)

    async def recover_secret(self, call: Call, name: str) -> SecretInfo:
        """Bring back all versions."""

        async def recover(head: Document | None) -> SecretInfo:
            if head is not None and head.kind == SECRET and head.node.get("writer") == call.token():
                return documents.info(head.node)
            if head is None or head.kind != DELETED:
                raise _finding(_findings.ABSENT)
            node = {key: value for key, value in head.node.items() if key not in ("deleted", "purge")}
            node |= {"kind": SECRET, "writer": call.token()}
            await self._write(call, head, node)
            return documents.info(node)

        return await self._changed(call, name, recover)

    async def purge_secret(self, call: Call, name: str) -> None:
        """Remove all documents, the head last: what is begun can be seen and ended."""

        async def purge(head: Document | None) -> None:
            if head is None or head.kind != DELETED:
                raise _finding(_findings.ABSENT)
            await self._removed(call, head)

        await self._changed(call, name, purge)

    # -- one change ---------------------------------------------------------------------

    async def _changed(self, call: Call, name: str, change: Callable[[Document | None], Awaitable[T]]) -> T:
        """Apply a change to the head as it is, again where somebody was faster."""
        last = _finding(_findings.ABSENT)
        for _ in range(ROUNDS):
            head = await self._head(call, name)
            if head is not None and documents.gone(head, int(time())):
                try:
                    await self._removed(call, head)
                except Refused as refused:
                    if not _lost(refused):
                        raise
                    last = refused
                continue
            try:
                return await change(head)
            except Refused as refused:
                if not _lost(refused):
                    raise
                last = refused
        raise last

    async def _write(self, call: Call, old: Document | None, node: dict[str, Any], *, moved: bool = False) -> None:
        """Write a document in the place of the one that was read, in one batch with what it held."""
        operations: list[tuple[Any, ...]] = []
        if old is None:
            operations.append(("create", (node,)))
        else:
            operations.append(("replace", (node["id"], node), {"if_match_etag": old.etag}))
        if moved and old is not None:
            operations.append(("create", (documents.earlier(old),)))
        await self._batch(call, node["name"], operations)

    async def _removed(self, call: Call, head: Document) -> None:
        name = head.node["name"]
        if head.kind != PURGING:
            await self._write(call, head, {**head.node, "kind": PURGING})
            call.applied = True
        while True:
            found, _ = await self._query(call, VERSION, None, name)
            ids = [node["id"] for node in found][:_BATCH]
            if not ids:
                break
            await self._batch(call, name, [("delete", (each,)) for each in ids])
        await self._batch(call, name, [("delete", (HEAD,))])

    async def _batch(self, call: Call, name: str, operations: list[tuple[Any, ...]]) -> None:
        await self._account.exchange(
            call, lambda container: container.execute_item_batch(operations, partition_key=name)
        )

    # -- one document -------------------------------------------------------------------

    async def _head(self, call: Call, name: str) -> Document | None:
        try:
            return await self._read(call, name, HEAD)
        except Refused as refused:
            if _absent(refused):
                return None
            raise

    async def _alive(self, call: Call, name: str) -> Document:
        return _there(await self._read(call, name, HEAD))

    async def _version(self, call: Call, name: str, version: str | None) -> Document:
        if version is None:
            return await self._alive(call, name)
        head = await self._alive(call, name)
        if head.version == version:
            return head
        if (id_ := documents.version_id(version)) is not None:
            try:
                return await self._read(call, name, id_)
            except Refused as refused:
                if not _absent(refused):
                    raise
        raise _finding(_findings.VERSION)

    async def _made(self, call: Call, name: str, head: Document | None, version: str) -> Document | None:
        """The version that an earlier attempt of this call has made, if it has."""
        if head is None or head.version == version:
            return head
        try:
            return await self._read(call, name, f"v-{version}")
        except Refused as refused:
            if _absent(refused):
                return None
            raise

    async def _read(self, call: Call, name: str, id_: str) -> Document:
        node = await self._account.exchange(call, lambda container: container.read_item(id_, partition_key=name))
        return await self._as(call, lambda found: documents.document(found, name), node)

    async def _as(self, call: Call, read: Callable[[A], T], found: A) -> T:
        """What a document says; one that is none of ours is a success without what it must hold."""
        try:
            return read(found)
        except (documents.Malformed, UnicodeEncodeError):
            pass  # raised below: what was read is in its frames
        raise Refused(Answer(200, tuple(call.request_ids.items())))

    # -- queries ------------------------------------------------------------------------

    async def _page(self, call: Call, kind: str, cursor: str | None) -> Page[SecretInfo]:
        nodes, position = await self._query(call, kind, cursor)
        return Page([await self._as(call, documents.info, node) for node in nodes], position)

    async def _query(
        self, call: Call, kind: str, cursor: str | None, name: str | None = None
    ) -> tuple[list[dict[str, Any]], str | None]:
        """One page of the documents of a kind, of one secret or of all."""
        options: dict[str, Any] = {"parameters": [{"name": "@kind", "value": kind}], "max_item_count": _BATCH}
        options |= {"enable_cross_partition_query": True} if name is None else {"partition_key": name}

        async def first(container: Any) -> tuple[list[dict[str, Any]], str | None]:
            query = f"SELECT {documents.SHOWN}, c.deleted, c.purge FROM c WHERE c.kind = @kind"  # noqa: S608 - constants
            pages = container.query_items(query, **options).by_page(cursor)
            found: list[dict[str, Any]] = []
            if hasattr(pages, "__aiter__"):
                async for page in pages:
                    found = [each async for each in page]
                    break
            else:
                for page in pages:
                    found = list(page)
                    break
            return found, pages.continuation_token or None

        return await self._account.page(call, first)

    # -- what the core asks -------------------------------------------------------------

    def repeatable(self, operation: str) -> bool:
        """Whether a call that may have been applied can be made again: what it has made bears its name."""
        return operation not in _NOT_REPEATABLE

    async def proved_set(self, call: Call, name: str, new: NewSecret) -> Secret | None:
        """The version that bears the name of this call."""
        del new
        head = await self._head(call, name)
        made = None if head is None else await self._made(call, name, head, call.token())
        return None if made is None else documents.secret(made)

    async def reauthenticate(self) -> bool:
        """Drop the token that the account refused; a key has no other."""
        return self._account.tokens is not None and self._account.tokens.renew()

    async def refresh(self, error: KMSError) -> bool:
        """Read the account again, and with it the region that writes; a change of somebody else's is theirs."""
        theirs = error.code is Code.VERSION_CONFLICT and error.sub_status != _MADE_ANEW
        return not theirs and await self._account.look_again()

    async def poll(self, error: KMSError, call: Call) -> bool:
        """Whether the container is there by now."""
        del error
        try:
            await self._account.container(call, create=False)
        except Refused as refused:
            if refused.answer.status == 404:
                return False
            raise
        return True

    async def health(self, call: Call) -> Identity | None:
        """One point read: a write would hang where the account has lost its key."""
        await self._account.container(call, create=False)
        await self._head(call, _PROBE)
        return call.identity

    async def close(self) -> None:
        """Close the connections; the tokens are the process's."""
        await self._account.close()


def _finding(door: str) -> Refused:
    return Refused(Answer(phase=Phase.BODY, door=door))


def _there(head: Document | None) -> Document:
    if head is None or head.kind != SECRET:
        raise _finding(_findings.ABSENT)
    return head


def _absent(refused: Refused) -> bool:
    """Whether the answer says that there is no such document: not that the container or a replica is not there."""
    answer = refused.answer
    return answer.status == 404 and answer.door is None and (answer.header("x-ms-substatus") or "0") == "0"


def _lost(refused: Refused) -> bool:
    """Whether somebody else has changed the document since it was read."""
    return refused.answer.door is None and refused.answer.status in (404, 409, 412, 449) and (
        (refused.answer.header("x-ms-substatus") or "0") == "0"
    )
