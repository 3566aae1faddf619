"""The documents of a secret, and what stands in them, read strictly.

All documents of a secret are in one logical partition, whose key is its name, so that a batch
changes them together or not at all:

- ``head``: the state of the secret, and its latest version with the value: a read is one point read.
- ``v-<version>``: each earlier version, as the head held it.

`kind` is what queries ask for: ``secret``, ``deleted`` or ``purging`` for a head, ``version`` for the others.
"""

from __future__ import annotations

import base64
import re
from binascii import a2b_base64
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from kmsbridge._decode import Answer, Refused
from kmsbridge._model import Secret, SecretInfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kmsbridge._model import NewSecret

HEAD = "head"
SECRET, DELETED, PURGING, VERSION = "secret", "deleted", "purging", "version"
OF_VERSION = ("version", "seq", "value", "text", "contentType", "tags", "enabled", "expires", "created", "updated")
"""What a head holds of its latest version."""
SHOWN = "c.id, c.name, c.kind, c.version, c.seq, c.contentType, c.tags, c.enabled, c.expires, c.created, c.updated"
"""What listings ask for: all but the value."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ID = re.compile(r"[0-9a-f]{32}")


class Malformed(Refused):
    """It is not as it must be: a success without what it must hold."""

    def __init__(self) -> None:
        super().__init__(Answer(200))


class Document(NamedTuple):
    """One document as it is stored, and its ETag."""

    node: Mapping[str, Any]
    etag: str

    @property
    def kind(self) -> str:
        return _text(self.node, "kind")

    @property
    def version(self) -> str:
        return _text(self.node, "version")

    def __repr__(self) -> str:
        return "<Document, not shown: it holds a value>"


def document(node: object, name: str) -> Document:
    """A document that was read; of another secret we know nothing."""
    if not isinstance(node, dict) or node.get("name") != name or not isinstance(etag := node.get("_etag"), str):
        raise Malformed  # another document, or no ETag
    return Document(node, etag)


def done(told: object, count: int) -> None:
    """Check that a batch says of each member that it was carried out."""
    if not isinstance(told, list) or len(told) != count:
        raise Malformed  # not all are spoken of
    for member in told:
        if not isinstance(member, dict) or not 200 <= number(member, "statusCode") < 300:
            raise Malformed  # no success


def rows(found: list[Any]) -> list[dict[str, Any]]:
    """What a query has found, which must be documents."""
    if not all(isinstance(each, dict) and isinstance(each.get("id"), str) for each in found):
        raise Malformed  # no documents
    return found


def version_id(version: str) -> str | None:
    """The id of the document of a version; None for what is no version."""
    return f"v-{version}" if _ID.fullmatch(version) else None


def first(name: str, new: NewSecret, version: str, seq: int, now: int) -> dict[str, Any]:
    """A head with a new version."""
    text = isinstance(new.value, str)
    raw = new.value.encode() if isinstance(new.value, str) else new.value
    return {
        "id": HEAD,
        "name": name,
        "kind": SECRET,
        "writer": version,
        "version": version,
        "seq": seq,
        "value": base64.b64encode(raw).decode(),
        "text": text,
        "contentType": new.content_type,
        "tags": dict(new.tags),
        "enabled": True,
        "expires": None if new.expires_at is None else seconds(new.expires_at),
        "created": now,
        "updated": now,
    }


def earlier(head: Document) -> dict[str, Any]:
    """The document of the version that a head holds."""
    node = {key: head.node[key] for key in OF_VERSION if key in head.node}
    return {"id": f"v-{head.version}", "name": head.node["name"], "kind": VERSION, **node}


def secret(found: Document) -> Secret:
    """A version with its value. Every read goes through here."""
    node = found.node
    name, version, encoded, text = node.get("name"), node.get("version"), node.get("value"), node.get("text")
    if not (isinstance(name, str) and isinstance(version, str) and isinstance(encoded, str) and isinstance(text, bool)):
        raise Malformed  # no value
    value: str | bytes | None = None
    try:
        raw = a2b_base64(encoded, strict_mode=True)
        value = raw.decode() if text else raw
    except ValueError:
        pass
    if value is None:  # raised here: the decoder's own exception carries the value
        raise Malformed  # no value
    created, expires = _moment(node.get("created")), _moment(node.get("expires"))
    return Secret(name, version, value, _content_type(node), _tags(node), created, expires)


def enabled(found: Document) -> bool:
    """Whether a version may be read."""
    return _flag(found.node, "enabled")


def info(node: Mapping[str, Any]) -> SecretInfo:
    """What is said of a secret or a version."""
    return SecretInfo(
        name=_text(node, "name"),
        version=_text(node, "version"),
        enabled=_flag(node, "enabled"),
        content_type=_content_type(node),
        tags=_tags(node),
        created_at=_moment(node.get("created")),
        updated_at=_moment(node.get("updated")),
        expires_at=_moment(node.get("expires")),
        deleted_at=_moment(node.get("deleted")),
        purge_at=_moment(node.get("purge")),
    )


def gone(head: Document, now: int) -> bool:
    """Whether a deleted secret can be recovered no more."""
    return head.kind == PURGING or (head.kind == DELETED and number(head.node, "purge") <= now)


def number(node: Mapping[str, Any], name: str) -> int:
    """A member that must be a whole number."""
    value = node.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Malformed  # no number
    return value


def seconds(when: datetime) -> int:
    """Since 1970."""
    return (when - _EPOCH) // timedelta(seconds=1)


def _text(node: Mapping[str, Any], name: str) -> str:
    value = node.get(name)
    if not isinstance(value, str):
        raise Malformed  # no text
    return value


def _tags(node: Mapping[str, Any]) -> Mapping[str, str]:
    tags = node.get("tags")
    if not isinstance(tags, dict):
        raise Malformed  # no tags
    for each in tags.values():
        if not isinstance(each, str):
            raise Malformed  # no tag
    return tags


def _content_type(node: Mapping[str, Any]) -> str | None:
    value = node.get("contentType")
    if not isinstance(value, str | None):
        raise Malformed  # no content type
    return value


def _flag(node: Mapping[str, Any], name: str) -> bool:
    value = node.get(name)
    if not isinstance(value, bool):
        raise Malformed  # neither true nor false
    return value


def _moment(value: object) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > 253_402_300_799:
        raise Malformed  # no time
    return datetime.fromtimestamp(value, UTC) if value >= 0 else _EPOCH + timedelta(seconds=value)
