"""Secrets in one container, under one identity, open."""

from __future__ import annotations

from time import time
from typing import Any

from kmsbridge._decode import Refused
from kmsbridge._errors import Code
from kmsbridge._model import Page, Secret, SecretInfo
from kmsbridge_azure_cosmos import _documents as documents
from kmsbridge_azure_cosmos import _findings
from kmsbridge_azure_cosmos._account import Account
from kmsbridge_azure_cosmos._documents import DELETED, SECRET, VERSION, Document
from kmsbridge_azure_cosmos._store import Store, finding, there

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kmsbridge._call import Call
    from kmsbridge._errors import Identity, KMSError
    from kmsbridge._model import NewSecret, SecretChange
    from kmsbridge._runtime import Runtime
    from kmsbridge_azure_cosmos._config import CosmosSettings

_DAY = 86_400
_NOT_REPEATABLE = frozenset(("secrets.purge",))
_MADE_ANEW = 1024
"""The sub-status of a container that was deleted and made again."""
_PROBE = "health"
"""The name that `health` reads: whether or not it is there, the answer needs the account's key."""


class CosmosDriver(Store):
    """A container of secrets. Names are native, which are values of the partition key.

    Args:
        settings: Which container, and who asks.
        runtime: How to wait.
    """

    def __init__(self, settings: CosmosSettings, runtime: Runtime) -> None:
        super().__init__(Account(settings, runtime))
        self._keep = settings.recovery_days * _DAY

    # -- reading ------------------------------------------------------------------------

    async def get_secret(self, call: Call, name: str, version: str | None) -> Secret:
        """One version with its value."""
        found = await self.version_of(call, name, version)
        if not self.told(call, documents.enabled, found):
            raise finding(_findings.DISABLED)
        return self.told(call, documents.secret, found)

    async def list_secrets(self, call: Call, cursor: str | None) -> Page[SecretInfo]:
        """By pages of the account's own size."""
        return await self.page(call, SECRET, cursor)

    async def list_deleted_secrets(self, call: Call, cursor: str | None) -> Page[SecretInfo]:
        """Those that can still be recovered."""
        now = int(time())
        page = await self.page(call, DELETED, cursor)
        return Page([each for each in page.items if (at := each.purge_at) and at.timestamp() > now], page.cursor)

    async def list_secret_versions(self, call: Call, name: str, cursor: str | None) -> Page[SecretInfo]:
        """All of them, newest first."""
        del cursor
        head = await self.alive(call, name)
        nodes = [head.node]
        position: str | None = None
        while True:
            found, position = await self.query(call, VERSION, position, name)
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
            if call.attempts > 1 and (made := await self.made(call, name, head, version)) is not None:
                return documents.secret(made)
            if head is not None and head.kind == DELETED:
                raise finding(_findings.DELETED)
            if head is not None and new.if_absent:
                raise finding(_findings.EXISTS)
            seq = 1 if head is None else documents.number(head.node, "seq") + 1
            node = documents.first(name, new, version, seq, int(time()))
            await self.write(call, head, node, moved=head is not None)
            return documents.secret(Document(node, ""))

        return await self.changed(call, name, change)

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
            found = await self.version_of(call, name, version)
            node = changed(found)
            await self.write(call, found, node)
            return documents.info(node)

        async def apply(head: Document | None) -> SecretInfo:
            node = changed(there(head))
            await self.write(call, head, node)
            return documents.info(node)

        return await self.changed(call, name, apply)

    async def delete_secret(self, call: Call, name: str) -> SecretInfo:
        """Delete all versions; they can be recovered until their time is over."""

        async def delete(head: Document | None) -> SecretInfo:
            if head is not None and head.kind == DELETED and head.node.get("writer") == call.token():
                return documents.info(head.node)
            now = int(time())
            node = {**there(head).node, "kind": DELETED, "writer": call.token()}
            node |= {"deleted": now, "purge": now + self._keep}
            await self.write(call, head, node)
            return documents.info(node)

        return await self.changed(call, name, delete)

    async def recover_secret(self, call: Call, name: str) -> SecretInfo:
        """Bring back all versions."""

        async def recover(head: Document | None) -> SecretInfo:
            if head is not None and head.kind == SECRET and head.node.get("writer") == call.token():
                return documents.info(head.node)
            if head is None or head.kind != DELETED:
                raise finding(_findings.ABSENT)
            node = {key: value for key, value in head.node.items() if key not in ("deleted", "purge")}
            node |= {"kind": SECRET, "writer": call.token()}
            await self.write(call, head, node)
            return documents.info(node)

        return await self.changed(call, name, recover)

    async def purge_secret(self, call: Call, name: str) -> None:
        """Remove all documents, the head last: what is begun can be seen and ended."""

        async def purge(head: Document | None) -> None:
            if head is None or head.kind != DELETED:
                raise finding(_findings.ABSENT)
            await self.removed(call, head)

        await self.changed(call, name, purge)

    # -- what the core asks -------------------------------------------------------------

    def repeatable(self, operation: str) -> bool:
        """Whether a call that may have been applied can be made again: what it has made bears its name."""
        return operation not in _NOT_REPEATABLE

    async def proved_set(self, call: Call, name: str, new: NewSecret) -> Secret | None:
        """The version that bears the name of this call."""
        del new
        head = await self.head_of(call, name)
        made = None if head is None else await self.made(call, name, head, call.token())
        return None if made is None else documents.secret(made)

    async def reauthenticate(self) -> bool:
        """Drop the token that the account refused; a key has no other."""
        if self._account.tokens is None or not self._account.tokens.renew():
            return False
        self._account.forget()
        return True

    async def refresh(self, error: KMSError) -> bool:
        """Read the account again, and with it the region that writes; a change of somebody else's is theirs."""
        theirs = error.code is Code.VERSION_CONFLICT and error.sub_status != _MADE_ANEW
        if theirs:
            return False
        self._account.look_again(container=error.http_status != 403)
        return True

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
        await self.head_of(call, _PROBE)
        return call.identity

    async def close(self) -> None:
        """Close the connections; the tokens are the process's."""
        await self._account.close()
