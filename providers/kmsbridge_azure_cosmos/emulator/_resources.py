"""Databases, containers and items, in memory."""

from __future__ import annotations

import base64
import json
import uuid
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from kmsbridge_azure_cosmos.emulator._known import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_ID = 1023
"""Bytes of the id of an item."""
MAX_NAME = 255
"""Characters of the id of a database or a container."""
MAX_ITEM = 2 * 1024 * 1024
"""Bytes of an item as JSON, and of a batch."""
MAX_NESTING = 128
"""Levels of objects and lists in an item."""
_FORBIDDEN = set("/\\?#")
_SYSTEM = ("_rid", "_self", "_etag", "_attachments", "_ts")
RANGE = "0"
"""The id of the one range of partition keys that every container has."""
Place = tuple[str, str]
"""The partition key, as JSON, and the id."""


@dataclass(slots=True)
class Resource:
    """What all have. A change makes another ETag."""

    number: int
    rid: str
    link: str
    body: dict[str, Any]
    etag: str = ""
    changed: int = 0

    def change(self, now: float) -> None:
        """Note that it was changed."""
        self.etag, self.changed = f'"{uuid.uuid4()}"', int(now)

    def shown(self) -> dict[str, Any]:
        """With the members that the service adds."""
        system = {"_rid": self.rid, "_self": self.link, "_etag": self.etag, "_ts": self.changed}
        return {**self.body, **system}


@dataclass(slots=True)
class Item(Resource):
    """One document. It is replaced and never changed, so that a batch can be taken back."""

    expires: float | None = None

    def shown(self) -> dict[str, Any]:
        """With what only items have."""
        return {**self.body, "_rid": self.rid, "_self": self.link, "_etag": self.etag, "_attachments": "attachments/",
                "_ts": self.changed}  # fmt: skip


@dataclass(slots=True)
class Container(Resource):
    """One container; `items` is in the order in which they were made."""

    ready_at: float = 0
    items: dict[Place, Item] = field(default_factory=dict)
    lsn: int = 1
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def paths(self) -> list[str]:
        """Where the partition key stands in an item."""
        return list(self.body["partitionKey"]["paths"])

    @property
    def session_token(self) -> str:
        """Of its one range."""
        return f"0:-1#{self.lsn}"

    def key_of(self, document: dict[str, Any]) -> str:
        """The partition key of a document; what is not there is ``{}``."""
        return encoded([_member(document, path) for path in self.paths])

    def made(self, document: dict[str, Any], now: float, old: Item | None = None) -> Item:
        """An item of this document, in the place of an old one or new."""
        number = next(self._numbers) if old is None else old.number
        rid = _rid(base64.b64decode(self.rid, altchars=b"+-") + number.to_bytes(8, "little"))
        body = {name: value for name, value in document.items() if name not in _SYSTEM}
        if len(json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")) > MAX_ITEM:
            raise Refused("413")
        item = Item(number, rid, f"{self.link}docs/{rid}/", body)
        item.change(now)
        default, own = self.body.get("defaultTtl"), body.get("ttl")
        lives = default if own is None else own
        item.expires = now + lives if default is not None and lives is not None and lives >= 0 else None
        return item

    def find(self, place: Place, now: float) -> Item | None:
        """The item at a place, unless its time is over."""
        item = self.items.get(place)
        return None if item is None or (item.expires is not None and item.expires <= now) else item

    def alive(self, now: float) -> list[Item]:
        """All items whose time is not over; the others are forgotten."""
        for place in [place for place in self.items if self.find(place, now) is None]:
            del self.items[place]
        return sorted(self.items.values(), key=lambda item: item.number)


@dataclass(slots=True)
class Database(Resource):
    """One database."""

    containers: dict[str, Container] = field(default_factory=dict)


class Store:
    """The databases of the account."""

    def __init__(self) -> None:
        self.databases: dict[str, Database] = {}
        self._numbers = count(1)

    def create_database(self, body: dict[str, Any], now: float) -> Database:
        """A new one."""
        name = checked_name(body)
        if name in self.databases:
            raise Refused("409/0")
        number = next(self._numbers)
        rid = _rid(number.to_bytes(4, "little"))
        made = self.databases[name] = Database(number, rid, f"dbs/{rid}/", {"id": name})
        made.change(now)
        return made

    def database(self, name: str) -> Database:
        """The one of that name."""
        if name not in self.databases:
            raise Refused("404/0")
        return self.databases[name]

    def create_container(self, database: Database, body: dict[str, Any], now: float, ready_at: float) -> Container:
        """A new one; it cannot be used until it is ready."""
        name = checked_name(body)
        if name in database.containers:
            raise Refused("409/0")
        number = next(self._numbers)
        rid = _rid(base64.b64decode(database.rid, altchars=b"+-") + (number | 1 << 31).to_bytes(4, "big"))
        made = Container(number, rid, f"{database.link}colls/{rid}/", defined(body), ready_at=ready_at)
        database.containers[name] = made
        made.change(now)
        return made

    def deploy(self, database: str, container: str, path: str, now: float) -> None:
        """Make a container, and its database, where they are not there."""
        owner = self.databases.get(database) or self.create_database({"id": database}, now)
        if container not in owner.containers:
            key = {"paths": [path], "kind": "Hash", "version": 2}
            self.create_container(owner, {"id": container, "partitionKey": key, "defaultTtl": -1}, now, now)

    def container(self, database: str, name: str, now: float, *, feed: bool = True) -> Container:
        """The one of that name, for what is in it or for itself."""
        owner = self.databases.get(database)
        found = None if owner is None else owner.containers.get(name)
        if found is None:
            raise Refused("404/1003" if feed else "404/0")
        if found.ready_at > now:
            raise Refused("404/1013")
        return found


def defined(body: dict[str, Any]) -> dict[str, Any]:
    """The definition of a container, checked."""
    key = body.get("partitionKey")
    paths = key.get("paths") if isinstance(key, dict) else None
    if not isinstance(paths, list) or not paths or not all(isinstance(each, str) and each[:1] == "/" for each in paths):
        raise Refused("400/1013")
    ttl = body.get("defaultTtl")
    if ttl is not None and not _is_ttl(ttl):
        raise Refused("400")
    links = {"_docs": "docs/", "_sprocs": "sprocs/", "_triggers": "triggers/", "_udfs": "udfs/"}
    indexing = {"indexingMode": "consistent", "automatic": True, "includedPaths": [{"path": "/*"}],
                "excludedPaths": [{"path": '/"_etag"/?'}]}  # fmt: skip
    policy = {"mode": "LastWriterWins", "conflictResolutionPath": "/_ts", "conflictResolutionProcedure": ""}
    kept = {name: value for name, value in body.items() if name not in _SYSTEM}
    return {"indexingPolicy": indexing, "conflictResolutionPolicy": policy, **kept, **links,
            "_conflicts": "conflicts/"}  # fmt: skip


def checked_name(body: dict[str, Any]) -> str:
    """The id of what is to be made."""
    name = body.get("id")
    if name is None:
        raise Refused("400/MissingId")
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or _FORBIDDEN & set(name):
        raise Refused("400/InvalidId", id="")
    return name


def checked_item(document: object) -> dict[str, Any]:
    """A document that may be stored."""
    if not isinstance(document, dict):
        raise Refused("400/InvalidJson")
    id_ = document.get("id")
    if id_ is None:
        raise Refused("400/MissingId")
    if not isinstance(id_, str) or not 0 < len(id_.encode()) <= MAX_ID or _FORBIDDEN & set(id_):
        raise Refused("400/InvalidId", id="")
    ttl = document.get("ttl")
    if (ttl is not None and not _is_ttl(ttl)) or _too_deep(document):
        raise Refused("400")
    return document


def encoded(key: object) -> str:
    """A partition key as it is compared."""
    return json.dumps(key, sort_keys=True)


def _too_deep(document: dict[str, Any]) -> bool:
    level: list[Any] = [document]
    for _ in range(MAX_NESTING):
        members = (member for node in level for member in (node.values() if isinstance(node, dict) else node))
        level = [member for member in members if isinstance(member, dict | list)]
        if not level:
            return False
    return True


def _is_ttl(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and (value == -1 or 0 < value < 2**31)


def _member(document: dict[str, Any], path: str) -> object:
    found: object = document
    for name in path.strip("/").split("/"):
        if not isinstance(found, dict) or name.strip('"') not in found:
            return {}
        found = found[name.strip('"')]
    return found


def _rid(raw: bytes) -> str:
    return base64.b64encode(raw, altchars=b"+-").decode()
