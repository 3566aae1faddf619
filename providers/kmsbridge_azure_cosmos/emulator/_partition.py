"""What can be done with the items of one logical partition, alone or in a batch."""

from __future__ import annotations

import json
from typing import Any

from kmsbridge_azure_cosmos.emulator._call import Done
from kmsbridge_azure_cosmos.emulator._known import Refused
from kmsbridge_azure_cosmos.emulator._patch import patched
from kmsbridge_azure_cosmos.emulator._resources import Container, Item, checked_item
from kmsbridge_azure_cosmos.emulator._sql import holds

ANY = "*"
"""The ETag that every item has."""


class Partition:
    """The items of one partition key.

    Args:
        container: What they are in.
        key: The partition key, as JSON.
        now: The time.
    """

    def __init__(self, container: Container, key: str, now: float) -> None:
        self.container = container
        self._key = key
        self._now = now

    def read(self, id_: str, known: str | None = None) -> Done:
        """One item; to who knows it, nothing."""
        item = self._found(id_)
        if known is not None and known in (ANY, item.etag):
            return Done(304, etag=item.etag)
        return _shown(item, 200, _kilobytes(item))

    def create(self, document: object) -> Done:
        """A new item."""
        new = self._own(document)
        if self.container.find((self._key, new["id"]), self._now) is not None:
            raise Refused("409/0")
        return self._put(new, None)

    def upsert(self, document: object, match: str | None = None) -> Done:
        """A new item, or another in its place; the ETag counts only there."""
        new = self._own(document)
        old = self.container.find((self._key, new["id"]), self._now)
        if old is not None:
            _check(old, match)
        return self._put(new, old)

    def replace(self, id_: str, document: object, match: str | None = None) -> Done:
        """Another document in the place of an item."""
        old = self._found(id_)
        _check(old, match)
        new = self._own(document)
        if new["id"] != id_:
            raise Refused("400")
        return self._put(new, old)

    def patch(self, id_: str, change: object, match: str | None = None) -> Done:
        """Change parts of an item, if a condition holds."""
        old = self._found(id_)
        _check(old, match)
        if isinstance(change, list):  # as the JavaScript SDK writes it
            change = {"operations": change}
        if not isinstance(change, dict):
            raise Refused("400/InvalidJson")
        if (condition := change.get("condition")) is not None and not holds(condition, old.shown()):
            raise Refused("412/1110")
        new = self._own(patched(old.body, change.get("operations")))
        if new["id"] != id_:
            raise Refused("400")
        return self._put(new, old)

    def delete(self, id_: str, match: str | None = None) -> Done:
        """Forget an item."""
        old = self._found(id_)
        _check(old, match)
        del self.container.items[self._key, id_]
        self.container.lsn += 1
        return Done(204, units=_written(_kilobytes(old)))

    def _found(self, id_: str) -> Item:
        item = self.container.find((self._key, id_), self._now)
        if item is None:
            raise Refused("404/0")
        return item

    def _own(self, document: object) -> dict[str, Any]:
        new = checked_item(document)
        if self.container.key_of(new) != self._key:
            raise Refused("400/1001")
        return new

    def _put(self, document: dict[str, Any], old: Item | None) -> Done:
        item = self.container.made(document, self._now, old)
        self.container.items[self._key, document["id"]] = item
        self.container.lsn += 1
        return _shown(item, 201 if old is None else 200, _written(_kilobytes(item)))


def _check(item: Item, match: str | None) -> None:
    if match is not None and match not in (ANY, item.etag):
        raise Refused("412/0")


def _shown(item: Item, status: int, units: float) -> Done:
    return Done(status, item.shown(), units, item.etag)


def _kilobytes(item: Item) -> float:
    return -(-len(json.dumps(item.body)) // 1024)


def _written(kilobytes: float) -> float:
    """The charge of a write; about that of the service for a container with few properties."""
    return round(4.95 + 1.24 * kilobytes, 2)
