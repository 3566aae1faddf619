"""The operations on secrets; ``docs/scaivault.md`` says which addresses are documented, and which inferred."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from urllib.parse import urlencode

from kmsbridge._decode import Answer, Refused
from kmsbridge._model import Page, Secret, SecretInfo
from kmsbridge_scaivault import _objects
from kmsbridge_scaivault._findings import ITEM, VERSION
from kmsbridge_scaivault._objects import Label, Malformed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from kmsbridge._call import Call
    from kmsbridge._model import NewSecret, SecretChange
    from kmsbridge_scaivault._service import Service

PAGE = 100
"""Items that a listing is asked for at once: the larger number of the documentation's samples."""
_LISTED = ("secrets", "data")
_VERSIONS = ("versions", "data")
_VERSION = re.compile(r"[1-9][0-9]{0,17}")


class ScaiVaultSecrets:
    """Secrets of a tenant. Names are paths.

    Args:
        service: Makes the requests.
        hard_delete: Whether `delete` removes for good.
    """

    def __init__(self, service: Service, *, hard_delete: bool) -> None:
        self._service = service
        self._delete = "?permanent=true" if hard_delete else ""

    async def get_secret(self, call: Call, name: str, version: str | None) -> Secret:
        """One version with its value."""
        if version is not None and not _VERSION.fullmatch(version):
            await self.get_secret(call, name, None)  # what is not there has no versions either
            raise Refused(Answer(door=VERSION))
        query = "" if version is None else f"?version={version}"
        read = partial(_objects.secret, asked=name, version=version)
        return await self._service.exchange(call, "GET", f"/secrets/{name}{query}", read)

    async def get_secrets(self, call: Call, names: Sequence[str]) -> Mapping[str, Secret | Answer]:
        """The latest versions of many, by one request; of each that there is none of, why."""

        def read(node: Mapping[str, Any]) -> dict[str, Secret | Answer]:
            secrets, errors = node.get("secrets"), node.get("errors", {})
            if not isinstance(secrets, dict) or not isinstance(errors, dict):
                raise Malformed("no results")
            return {name: _result(name, secrets.get(name), errors.get(name)) for name in names}

        body = {"paths": list(names), "options": {"include_metadata": True}}
        return await self._service.exchange(call, "POST", "/secrets/batch", read, body)

    async def set_secret(self, call: Call, name: str, new: NewSecret) -> Secret:
        """Append a version."""
        label = Label(call.token(), new.content_type, new.tags)
        body = {"data": _objects.data_of(new), "metadata": label.written()}

        def read(node: Mapping[str, Any]) -> Secret:
            made = _objects.version_info(node, name)
            assert made.version is not None
            return Secret(name, made.version, new.value, new.content_type, dict(new.tags), made.created_at)

        return await self._service.exchange(call, "PUT", f"/secrets/{name}", read, body)

    async def proved_set(self, call: Call, name: str, new: NewSecret) -> Secret | None:
        """The latest version, if it has the mark of this call and its value."""

        def read(node: Mapping[str, Any]) -> Secret | None:
            found = _objects.secret(node, name)
            ours = _objects.label(node).call == call.token() and found.value == new.value
            return found if ours else None

        return await self._service.exchange(call, "GET", f"/secrets/{name}", read)

    async def update_secret(self, call: Call, name: str, version: str | None, change: SecretChange) -> SecretInfo:
        """Replace the tags, and leave the rest of the metadata as it is read before."""
        del version  # metadata belongs to the path

        def read(node: Mapping[str, Any]) -> tuple[Mapping[str, Any], Label]:
            _objects.info(node, name)  # or what is there would be replaced by nothing
            return node.get("metadata") or {}, _objects.label(node)

        metadata, label = await self._service.exchange(call, "GET", f"/secrets/{name}", read)
        label = label._replace(tags=label.tags if change.tags is None else change.tags)

        def updated(node: Mapping[str, Any]) -> SecretInfo:
            found = _objects.info(node, name)
            if "metadata" in node and dict(found.tags) != dict(label.tags):
                raise Malformed("not what was sent")
            return replace(found, tags=dict(label.tags), content_type=label.content_type)

        body = {"metadata": {**metadata, **label.written()}}
        return await self._service.exchange(call, "PATCH", f"/secrets/{name}", updated, body)

    async def list_secrets(self, call: Call, cursor: str | None) -> Page[SecretInfo]:
        """By pages, in the service's order."""
        items, following = await self._page(call, "/secrets", cursor, _LISTED, None)
        return Page(items, following)

    async def list_secret_versions(self, call: Call, name: str, cursor: str | None) -> Page[SecretInfo]:
        """All that are kept, newest first: pages come in no order that is promised, so all are fetched by one call."""
        del cursor
        found: list[SecretInfo] = []
        following: str | None = None
        seen: set[str] = set()
        while True:
            items, following = await self._page(call, f"/secrets/{name}/versions", following, _VERSIONS, name)
            found += items
            if following is None:
                break
            if following in seen:  # it would never end
                raise Refused(Answer(200))
            seen.add(following)
        if not found:  # there is no secret without a version
            await self.get_secret(call, name, None)
            raise Refused(Answer(200))
        return Page(sorted(found, key=lambda info: int(info.version or 0), reverse=True))

    async def delete_secret(self, call: Call, name: str) -> SecretInfo:
        """Delete all versions. How long they are kept is the service's to say."""

        def read(node: Mapping[str, Any]) -> SecretInfo:
            if "error" in node or node.get("path", name) != name:
                raise Malformed("a refusal, or about something else")
            try:
                return _objects.info({"path": name, **node}, name)
            except ValueError:  # nothing more is promised of it
                return SecretInfo(name)

        return await self._service.exchange(
            call, "DELETE", f"/secrets/{name}{self._delete}", read, empty=SecretInfo(name)
        )

    # -- requests -----------------------------------------------------------------------

    async def _page(
        self, call: Call, path: str, cursor: str | None, keys: tuple[str, ...], name: str | None
    ) -> tuple[list[SecretInfo], str | None]:
        query = {"limit": str(PAGE)} if cursor is None else {"limit": str(PAGE), "cursor": cursor}
        item = _objects.info if name is None else partial(_objects.version_info, asked=name)
        read = partial(_objects.page, keys=keys, read=item)
        return await self._service.exchange(call, "GET", f"{path}?{urlencode(query)}", read)


def _result(name: str, found: object, error: object) -> Secret | Answer:
    """One item of a batch: a secret without its path, or a code and words."""
    try:
        if isinstance(error, dict) and found is None:
            return Answer(body=_objects.json_text({"error": error}, escaped=True).encode(), door=ITEM)
        if isinstance(found, dict) and error is None:
            return _objects.secret({"path": name, **found}, name)
    except (ValueError, RecursionError, OverflowError):
        pass  # one item that is not as it must be says nothing of the others
    return Answer(200)
