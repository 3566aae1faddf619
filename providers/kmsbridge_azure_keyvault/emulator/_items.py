"""What secrets and keys have in common: names, versions, attributes, pages, and being deleted."""

from __future__ import annotations

import base64
import re
import secrets
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kmsbridge.emulation import Request

DAY = 86_400
TAGS = 15
PAGE = 25
"""The most items of one page, and their number where ``maxresults`` is not given."""


class Refused(Exception):
    """The service answers this with an error of the catalogue."""

    def __init__(self, error: str, /, **facts: str) -> None:
        super().__init__(error)
        self.error = error
        self.facts = facts


@dataclass(slots=True)
class Version:
    """What every version of an item has. Times are seconds since 1970."""

    id: str
    created: int
    updated: int
    enabled: bool = True
    nbf: int | None = None
    exp: int | None = None
    tags: dict[str, str] | None = None


V = TypeVar("V", bound=Version)


@dataclass(slots=True)
class Item(Generic[V]):
    """One name with its versions, oldest first, and whether it is deleted."""

    name: str
    versions: list[V] = field(default_factory=list)
    deleted: int | None = None
    """When; None while it is not."""
    purges: int | None = None
    """When it vanishes by itself."""
    hidden: int = 0
    """How many more looks find a deletion, recovery or purge still going on."""
    recovering: bool = False
    purged: bool = False
    extra: dict[str, Any] = field(default_factory=dict)
    """What belongs to the name and not to a version: a key's rotation policy."""

    @property
    def latest(self) -> V:
        """The newest version."""
        return self.versions[-1]

    def copy(self) -> Item[V]:
        """The same, apart from this one. Tags, policies and key material are replaced and never changed: shared."""
        return replace(self, versions=[replace(version) for version in self.versions], extra=dict(self.extra))


class Collection(Generic[V]):
    """The secrets, or the keys, of one vault. Names are found whatever their case."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        """``Secret`` or ``Key``, as messages name it."""
        self._items: dict[str, Item[V]] = {}

    def find(self, name: str, now: float, *, looking: bool = False) -> Item[V]:
        """The item of that name, if it is there and not deleted; `looking` helps a recovery to be over."""
        item = self._current(name, now)
        if item is None or item.deleted is not None:
            raise Refused(f"{self.kind}NotFound", id=name)
        if item.recovering:
            if not looking or item.hidden > 0:
                item.hidden -= looking
                raise Refused(f"{self.kind}NotFound", id=name)
            item.recovering = False
        return item

    def find_deleted(self, name: str, now: float, *, looking: bool = False) -> Item[V]:
        """The deleted item of that name, once its deletion is over."""
        item = self._current(name, now)
        if item is None or item.deleted is None or item.purged:
            raise Refused(f"Deleted{self.kind}NotFound")
        if item.hidden > 0:
            item.hidden -= looking
            raise Refused(f"Deleted{self.kind}NotFound" if looking else "ObjectIsBeingDeleted")
        return item

    def find_version(self, name: str, version: str, now: float, method: str) -> tuple[Item[V], V]:
        """An item and one of its versions; the newest where none is named."""
        if version and not re.fullmatch(r"[0-9a-f]{32}", version.lower()):
            raise Refused("UnknownSubOperation", value=version, method=method)
        item = self.find(name, now, looking=True)
        if not version:
            return item, item.latest
        for each in item.versions:
            if each.id == version.lower():
                return item, each
        raise Refused(f"{self.kind}NotFound", id=f"{name}/{version}")

    def room_for(self, name: str, now: float) -> Item[V]:
        """The item that a new version is added to: an empty one where there is none.

        Raises:
            Refused: The name belongs to something deleted, or about to be deleted or recovered.
        """
        item = self._current(name, now)
        if item is None:
            item = Item(name)
        elif item.recovering:
            raise Refused("ObjectIsBeingRecovered")
        elif item.purged or item.hidden > 0:
            item.hidden -= item.purged  # nobody can look at what is purged: to try is to look
            raise Refused("ObjectIsBeingDeleted")
        elif item.deleted is not None:
            raise Refused("ObjectIsDeletedButRecoverable")
        return item

    def put(self, item: Item[V]) -> None:
        """Keep an item under its name."""
        self._items[item.name.lower()] = item

    def delete(self, name: str, now: float, retention_days: int, polls: int) -> Item[V]:
        """Delete it; without retention, for good."""
        item = self.find(name, now)
        if not retention_days:
            del self._items[name.lower()]
            return item
        item.deleted, item.purges, item.hidden = int(now), int(now) + retention_days * DAY, polls
        return item

    def recover(self, name: str, now: float, polls: int) -> Item[V]:
        """Let a deleted item be there again, after so many looks."""
        item = self.find_deleted(name, now)
        item.deleted = item.purges = None
        item.hidden, item.recovering = polls, polls > 0
        return item

    def purge(self, name: str, now: float, polls: int) -> None:
        """Forget a deleted item; its name stays taken for so many tries to use it."""
        item = self.find_deleted(name, now)
        item.purged, item.hidden = True, polls
        if not polls:
            del self._items[name.lower()]

    def alive(self, now: float) -> list[Item[V]]:
        """Everything that is neither deleted nor being recovered, by name."""
        return [item for item in self._all(now) if item.deleted is None and not item.recovering]

    def deleted(self, now: float) -> list[Item[V]]:
        """Everything that is deleted, and visibly so, by name."""
        return [item for item in self._all(now) if item.deleted is not None and not item.purged and not item.hidden]

    def _all(self, now: float) -> Iterator[Item[V]]:
        for key in sorted(self._items):
            if (item := self._current(key, now)) is not None:
                yield item

    def _current(self, name: str, now: float) -> Item[V] | None:
        item = self._items.get(name.lower())
        if item is None:
            return None
        if (item.purged and item.hidden <= 0) or (item.purges is not None and now >= item.purges):
            del self._items[name.lower()]
            return None
        return item


def new_version() -> str:
    """The name of a version: 32 lower-case hex characters."""
    return secrets.token_hex(16)


def checked_name(name: str) -> str:
    """A name that secrets and keys may have."""
    if not re.fullmatch(r"[0-9a-zA-Z-]{1,127}", name):
        raise Refused("InvalidName", name=name)
    return name


def change(version: Version, body: Mapping[str, Any], now: float, *, tag_size: int) -> None:
    """Set enabled, nbf, exp and tags of a version from a request; what it does not name stays."""
    attributes = body.get("attributes") or {}
    tags = body.get("tags")
    if not isinstance(attributes, dict) or not isinstance(tags, dict | None):
        raise Refused("InvalidProperty")
    enabled = attributes.get("enabled")
    times = {name: attributes[name] for name in ("nbf", "exp") if attributes.get(name) is not None}
    if not isinstance(enabled, bool | None) or not all(type(value) is int and value >= 0 for value in times.values()):
        raise Refused("InvalidProperty")
    nbf, exp = times.get("nbf", version.nbf), times.get("exp", version.exp)
    if nbf is not None and exp is not None and nbf > exp:
        raise Refused("InvalidProperty")
    texts = (*tags, *tags.values()) if tags else ()
    if len(texts) > 2 * TAGS or not all(isinstance(text, str) and len(text) <= tag_size for text in texts):
        raise Refused("InvalidProperty")
    version.nbf, version.exp = nbf, exp
    version.enabled = version.enabled if enabled is None else enabled
    version.tags = version.tags if tags is None else dict(tags)
    version.updated = int(now)


def page(rows: list[tuple[str, dict[str, Any]]], request: Request, base: str) -> dict[str, Any]:
    """One page of a listing, sorted by the keys that `rows` come with.

    The next page begins behind the last key of this one, so that nothing is seen twice when
    something is deleted in between.
    """
    query = request.query
    wanted = query.get("maxresults", str(PAGE))
    if not re.fullmatch(r"[0-9]{1,4}", wanted) or not 1 <= int(wanted) <= PAGE:
        raise Refused("InvalidProperty")
    after = ""
    if token := query.get("$skiptoken"):
        try:
            after = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
        except ValueError:
            raise Refused("InvalidProperty") from None
    rows = sorted((row for row in rows if row[0] > after), key=lambda row: row[0])
    shown, more = rows[: int(wanted)], rows[int(wanted) :]
    link = None
    if more:
        token = base64.urlsafe_b64encode(shown[-1][0].encode()).decode().rstrip("=")
        path = request.path.rstrip("/")
        link = f"{base}{path}?api-version={query.get('api-version', '')}&$skiptoken={token}&maxresults={wanted}"
    return {"value": [row for _, row in shown], "nextLink": link}
