"""What a vault says of an item, read strictly: `Malformed` for whatever is not as it must be."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, TypeVar

    from kmsbridge._model import Key, SecretInfo

    T = TypeVar("T")
    V = TypeVar("V", Key, SecretInfo)

VERSION = re.compile(r"[0-9a-f]{32}")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ID = re.compile(r"https://[^/?#]+/(?:deleted)?(?:secrets|keys)/([0-9A-Za-z-]{1,127})(?:/([0-9a-f]{32}))?")


class Malformed(ValueError):
    """It is not as it must be."""


class Item(NamedTuple):
    """What secrets and keys have in common. Its times are read when they are asked for."""

    name: str
    version: str | None
    enabled: bool
    tags: Mapping[str, str]
    attributes: Mapping[str, Any]
    node: Mapping[str, Any]

    @property
    def created_at(self) -> datetime | None:
        return _moment(self.attributes.get("created"))

    @property
    def updated_at(self) -> datetime | None:
        return _moment(self.attributes.get("updated"))

    @property
    def expires_at(self) -> datetime | None:
        return _moment(self.attributes.get("exp"))

    @property
    def deleted_at(self) -> datetime | None:
        return _moment(self.node.get("deletedDate"))

    @property
    def purge_at(self) -> datetime | None:
        return _moment(self.node.get("scheduledPurgeDate"))

    def __repr__(self) -> str:
        return f"<Item {self.name!r}, not shown: it may hold a value>"


def item(node: Mapping[str, Any], id_: object, asked: str | None = None, version: str | None = None) -> Item:
    """What is said of an item.

    Args:
        node: The bundle.
        id_: Its id, which has another place in each kind.
        asked: The name that was asked for; of another item we know nothing.
        version: The version that was asked for.
    """
    found = _ID.fullmatch(id_) if isinstance(id_, str) else None
    attributes = node.get("attributes")
    if found is None or not isinstance(attributes, dict):
        raise Malformed("no id, or no attributes")
    name = found[1].lower()
    if asked is not None and (name != asked or (version is not None and found[2] != version)):
        raise Malformed("this is another item")
    enabled = attributes.get("enabled")
    if not isinstance(enabled, bool):
        raise Malformed("enabled or not")
    return Item(name, found[2], enabled, _tags(node.get("tags")), attributes, node)


def of_version(found: Item | Key) -> str:
    """Its version, where there must be one."""
    if found.version is None:
        raise Malformed("no version")
    return found.version


def used(node: Mapping[str, Any], asked: str) -> str:
    """The version of the key that an operation was done with."""
    kid = node.get("kid")
    found = _ID.fullmatch(kid) if isinstance(kid, str) else None
    if found is None or found[1].lower() != asked or found[2] is None:
        raise Malformed("no key, or another")
    return found[2]


def page(node: Mapping[str, Any], read: Callable[[Mapping[str, Any]], T]) -> tuple[list[T], str | None]:
    """The items of a page, and the link to the next one."""
    listed, link = node.get("value"), node.get("nextLink")
    if not isinstance(listed, list) or not isinstance(link, str | None):
        raise Malformed("no list")
    if not all(isinstance(each, dict) for each in listed):
        raise Malformed("an item is none")
    return [read(each) for each in listed], link or None


def newest_first(found: Iterable[V], latest: str | None = None) -> list[V]:
    """Versions by the second they were made in; of those made in one, the latest comes first if it is known."""
    return sorted(found, key=lambda each: (each.created_at or EPOCH, each.version == latest), reverse=True)


def text(node: Mapping[str, Any], name: str) -> str:
    """A member that must be text."""
    value = node.get(name)
    if not isinstance(value, str):
        raise Malformed("no text")
    return value


def data(node: Mapping[str, Any], name: str) -> bytes:
    """A member that must be base64url."""
    value = text(node, name)
    if not re.fullmatch(r"[A-Za-z0-9_-]*={0,2}", value):
        raise Malformed("no base64url")
    value = value.rstrip("=")
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))


def encoded(value: bytes) -> str:
    """As base64url without padding."""
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def seconds(when: datetime) -> int:
    """As a vault writes moments."""
    return (when - EPOCH) // timedelta(seconds=1)


def _moment(value: object) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise Malformed("no time")
    return EPOCH + timedelta(seconds=value)


def _tags(value: object) -> Mapping[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise Malformed("no tags")
    return value
