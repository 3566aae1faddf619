"""The operations on secrets."""

from __future__ import annotations

import base64
import math
from functools import partial

from kmsbridge._decode import Refused, http_date
from kmsbridge._errors import invalid
from kmsbridge._model import Page, Secret, SecretInfo
from kmsbridge_azure_keyvault import _bundles, _findings
from kmsbridge_azure_keyvault._abilities import MARKER
from kmsbridge_azure_keyvault._vault import held
from kmsbridge_azure_keyvault._waiting import until_there

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from kmsbridge._call import Call
    from kmsbridge._model import NewSecret, SecretChange
    from kmsbridge_azure_keyvault._vault import Vault


class VaultSecrets:
    """Secrets in a vault. Names are native, in lower case.

    Args:
        vault: Makes the requests.
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def get_secret(self, call: Call, name: str, version: str | None) -> Secret:
        """One version with its value; a disabled one is refused by the vault."""
        read = partial(_secret, asked=name, version=version)
        try:
            return await self._vault.exchange(call, "GET", _path(name, version), read)
        except Refused as error:
            refused = error
        raise await self._named(call, refused, name, version)

    async def set_secret(self, call: Call, name: str, new: NewSecret) -> Secret:
        """Append a version."""
        content_type = new.content_type
        if content_type is not None and content_type.endswith(MARKER):
            call.attempts -= 1  # nothing is sent
            raise invalid(
                f"content_type ends in {MARKER!r}, by which values that are bytes are known",
                "content_type",
                remediation="Give the value as bytes; the ending comes by itself.",
            )
        value = new.value
        if isinstance(value, bytes):
            value, content_type = base64.b64encode(value).decode(), (content_type or "") + MARKER
        body: dict[str, Any] = {"value": value, "attributes": {"enabled": True}, "tags": dict(new.tags)}
        if content_type is not None:
            body["contentType"] = content_type
        if new.expires_at is not None:
            body["attributes"]["exp"] = _bundles.seconds(new.expires_at)
        return await self._vault.exchange(call, "PUT", f"/secrets/{name}", partial(_secret, asked=name), body)

    async def proved_set(self, call: Call, name: str, new: NewSecret) -> Secret | None:
        """The latest version, if it holds exactly what was given and was made since the call began.

        By the vault's own clock, which tells whole seconds.
        """
        answer = await self._vault.ask(call, "GET", _path(name, None))
        found = held(answer, partial(_secret, asked=name))
        now = http_date(answer.header("date") or "")
        if now is None or found.created_at is None:
            return None
        began = math.floor(now - call.elapsed())
        given = (new.value, new.content_type, dict(new.tags), new.expires_at)
        same = (found.value, found.content_type, dict(found.tags), found.expires_at) == given
        return found if same and found.created_at.timestamp() >= began else None

    async def update_secret(self, call: Call, name: str, version: str | None, change: SecretChange) -> SecretInfo:
        """Change what is said of a version, the latest if none is named."""
        attributes: dict[str, Any] = {}
        if change.enabled is not None:
            attributes["enabled"] = change.enabled
        if change.expires_at is not None:
            attributes["exp"] = _bundles.seconds(change.expires_at)
        body: dict[str, Any] = {"attributes": attributes}
        if change.tags is not None:
            body["tags"] = dict(change.tags)
        read = partial(_info, asked=name, version=version)
        try:
            return await self._vault.exchange(call, "PATCH", _path(name, version), read, body)
        except Refused as error:
            refused = error
        raise await self._named(call, refused, name, version)

    async def list_secrets(self, call: Call, cursor: str | None) -> Page[SecretInfo]:
        """By pages of the vault's own size."""
        return await self._page(call, cursor or "/secrets")

    async def list_secret_versions(self, call: Call, name: str, cursor: str | None) -> Page[SecretInfo]:
        """All of them, newest first: pages come in no order of time, so all are fetched by one call."""
        del cursor
        found: list[SecretInfo] = []
        path: str | None = f"/secrets/{name}/versions"
        while path is not None:
            page = await self._page(call, path, name)
            found += page.items
            path = page.cursor
        if not found:  # some vaults have an empty list for what is not there
            await self._vault.exchange(call, "GET", _path(name, None), partial(_secret, asked=name))
        found = _bundles.newest_first(found)
        if len(found) > 1 and found[0].created_at == found[1].created_at:
            try:  # only the vault knows; who may not read the value does without
                latest = await self._vault.exchange(call, "GET", _path(name, None), partial(_secret, asked=name))
            except Refused:
                return Page(found)
            found = _bundles.newest_first(found, latest.version)
        return Page(found)

    async def delete_secret(self, call: Call, name: str) -> SecretInfo:
        """Delete all versions, and wait until that is over."""
        deleted = await self._vault.exchange(call, "DELETE", f"/secrets/{name}", partial(_info, asked=name))
        call.applied = True
        if deleted.purge_at is None and deleted.deleted_at is None:  # a vault without soft delete
            return deleted
        await until_there(self._vault, call, f"/deletedsecrets/{name}")
        return deleted

    async def list_deleted_secrets(self, call: Call, cursor: str | None) -> Page[SecretInfo]:
        """By pages of the vault's own size."""
        return await self._page(call, cursor or "/deletedsecrets")

    async def recover_secret(self, call: Call, name: str) -> SecretInfo:
        """Bring back all versions, and wait until that is over."""
        path = f"/deletedsecrets/{name}/recover"
        recovered = await self._vault.exchange(call, "POST", path, partial(_info, asked=name))
        call.applied = True
        await until_there(self._vault, call, _path(name, None))
        return recovered

    async def purge_secret(self, call: Call, name: str) -> None:
        """Remove for good. The vault may need the name for some seconds more."""
        await self._vault.ask(call, "DELETE", f"/deletedsecrets/{name}")

    async def _page(self, call: Call, path: str, asked: str | None = None) -> Page[SecretInfo]:
        def read(node: Mapping[str, Any]) -> Page[SecretInfo]:
            infos, link = _bundles.page(node, partial(_info, asked=asked))
            return Page(infos, None if link is None else self._vault.local(link))

        return await self._vault.exchange(call, "GET", path, read)

    async def _named(self, call: Call, refused: Refused, name: str, version: str | None) -> Refused:
        """What is not there: the version that was named, or the secret."""
        if refused.answer.status != 404 or version is None:
            return refused
        try:
            await self._vault.ask(call, "GET", _path(name, None))
        except Refused as error:
            if error.answer.status == 404:
                return error
            if error.answer.status != 403:  # disabled, or no right to look: it is there for all we know
                return refused
        return Refused(refused.answer._replace(door=_findings.VERSION))


def _path(name: str, version: str | None) -> str:
    return f"/secrets/{name}/{version or ''}"


def _secret(node: Mapping[str, Any], asked: str, version: str | None = None) -> Secret:
    found = _bundles.item(node, node.get("id"), asked, version)
    value, content_type = _bundles.text(node, "value"), _content_type(node)
    if not value.isascii():
        value.encode()  # half a surrogate pair, which JSON can write, is no text: a ValueError
    given: str | bytes = value
    if content_type is not None and content_type.endswith(MARKER):
        given, content_type = base64.b64decode(value, validate=True), content_type.removesuffix(MARKER) or None
    return Secret(
        name=found.name,
        version=_bundles.of_version(found),
        value=given,
        content_type=content_type,
        tags=found.tags,
        created_at=found.created_at,
        expires_at=found.expires_at,
    )


def _info(node: Mapping[str, Any], asked: str | None = None, version: str | None = None) -> SecretInfo:
    found = _bundles.item(node, node.get("id"), asked, version)
    content_type = (_content_type(node) or "").removesuffix(MARKER) or None
    return SecretInfo(
        name=found.name,
        version=found.version,
        enabled=found.enabled,
        content_type=content_type,
        tags=found.tags,
        created_at=found.created_at,
        updated_at=found.updated_at,
        expires_at=found.expires_at,
        deleted_at=found.deleted_at,
        purge_at=found.purge_at,
    )


def _content_type(node: Mapping[str, Any]) -> str | None:
    return None if node.get("contentType") is None else _bundles.text(node, "contentType")
