"""What ScaiVault says of a secret, read strictly: `Malformed` for whatever is not as it must be.

A text is kept as ``{"value": ...}``, bytes as ``{"value_base64": ...}``. What others have
written is any JSON object, and comes back as its text. What kmsbridge knows beside a value
stands in one member of the metadata, which others may read and search too.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

from kmsbridge._model import Secret, SecretInfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeGuard, TypeVar

    from kmsbridge._model import NewSecret

    T = TypeVar("T")

LABEL = "kmsbridge"
"""The member of the metadata that is ours: a text, because nothing is said of other kinds."""
JSON_TYPE = "application/json"
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)


class Malformed(ValueError):
    """It is not as it must be."""


class Number(str):
    """A number that is no whole one, as it was written: a float would lose digits."""

    __slots__ = ()


def parsed(body: bytes) -> Mapping[str, Any]:
    """The object in a body."""
    found = _JSON.decode(body.decode("utf-8-sig"))
    if not isinstance(found, dict):
        raise Malformed("no object")
    return found


def _no_constant(constant: str) -> object:
    raise Malformed(f"{constant} is no JSON")


_JSON = json.JSONDecoder(parse_float=Number, parse_constant=_no_constant)


def json_text(node: object, *, escaped: bool = False) -> str:
    """JSON again, with every number as it was.

    Args:
        node: What was parsed, or is to be sent.
        escaped: In ASCII: others may have written what is no text elsewhere.
    """
    if isinstance(node, Number):
        return str(node)
    if isinstance(node, dict):
        members = (f"{_scalar(name, escaped)}:{json_text(value, escaped=escaped)}" for name, value in node.items())
        return "{" + ",".join(members) + "}"
    if isinstance(node, list):
        return "[" + ",".join(json_text(item, escaped=escaped) for item in node) + "]"
    return _scalar(node, escaped)


def _scalar(node: object, escaped: bool) -> str:
    return json.dumps(node, ensure_ascii=escaped)


# -- what we write ----------------------------------------------------------------------


class Label(NamedTuple):
    """What is known beside a value, and which call has written it."""

    call: str | None = None
    content_type: str | None = None
    tags: Mapping[str, str] = {}

    def written(self) -> dict[str, str]:
        """As metadata. It is there even if it is empty: what it replaces may not be."""
        said: dict[str, object] = {}
        if self.call is not None:
            said["call"] = self.call
        if self.content_type is not None:
            said["content_type"] = self.content_type
        if self.tags:
            said["tags"] = dict(self.tags)
        return {LABEL: json.dumps(said, ensure_ascii=False, separators=(",", ":"), sort_keys=True)}


def data_of(new: NewSecret) -> dict[str, str]:
    """A value as it is stored."""
    if isinstance(new.value, bytes):
        return {"value_base64": base64.b64encode(new.value).decode()}
    return {"value": new.value}


# -- what we read -----------------------------------------------------------------------


def label(node: Mapping[str, Any]) -> Label:
    """What an object's metadata says of ours; nothing where it was not written by us."""
    metadata = node.get("metadata")
    if metadata is None:
        return Label()
    if not isinstance(metadata, dict):
        raise Malformed("no metadata")
    said: object = None
    if isinstance(text := metadata.get(LABEL), str):
        with suppress(ValueError, RecursionError):
            said = json.loads(text)
    if not isinstance(said, dict):
        return Label()
    call, content_type, tags = said.get("call"), said.get("content_type"), said.get("tags")
    return Label(
        call if _printable(call) else None,
        content_type if _printable(content_type) else None,
        {name: value for name, value in tags.items() if _printable(name) and _printable(value)}
        if isinstance(tags, dict)
        else {},
    )


def _printable(value: object) -> TypeGuard[str]:
    """Whether it is text that can be shown; of what kmsbridge writes, all is."""
    return type(value) is str and value.isprintable()


def secret(node: Mapping[str, Any], asked: str, version: str | None = None) -> Secret:
    """A whole object, which must be the one that was asked for."""
    found = info(node, asked)
    if found.version is None or (version is not None and found.version != version):
        raise Malformed("this is another version")
    data = node.get("data")
    if not isinstance(data, dict):
        raise Malformed("no data")
    value, kind = _value(data)
    return Secret(
        name=asked,
        version=found.version,
        value=value,
        content_type=found.content_type or kind,
        tags=found.tags,
        created_at=found.created_at,
        expires_at=found.expires_at,
    )


def info(node: Mapping[str, Any], asked: str | None = None) -> SecretInfo:
    """An object without its value."""
    path = node.get("path")
    if not _printable(path) or not path or (asked is not None and path != asked):
        raise Malformed("this is about something else")
    known = label(node)
    return SecretInfo(
        name=path,
        version=_version(node),
        content_type=known.content_type,
        tags=known.tags,
        created_at=moment(node, "created_at"),
        updated_at=moment(node, "updated_at"),
        expires_at=moment(node, "expires_at"),
        purge_at=moment(node, "recoverable_until"),
    )


def version_info(node: Mapping[str, Any], asked: str) -> SecretInfo:
    """One of the versions of a secret, whose path may be left out."""
    found = info({"path": asked, **node}, asked)
    if found.version is None:
        raise Malformed("no version")
    return found


def page(
    node: Mapping[str, Any], keys: tuple[str, ...], read: Callable[[Mapping[str, Any]], T]
) -> tuple[list[T], str | None]:
    """One page of a listing, and the cursor of the next.

    Args:
        node: The answer.
        keys: What its list may be called: the pages of the documentation differ.
        read: Reads an item.
    """
    items = next((node[key] for key in keys if key in node), None)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise Malformed("no list")
    more, following = node.get("has_more"), node.get("cursor")
    if more is False or (more is None and following is None):
        following = None
    elif not _printable(following) or not following:
        raise Malformed("the listing does not say how it goes on")
    return [read(item) for item in items], following


def moment(node: Mapping[str, Any], name: str) -> datetime | None:
    """A member that may be a time in UTC (RFC 3339)."""
    value = node.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        raise Malformed("no time")
    return datetime.fromisoformat(value).astimezone(UTC)


def _version(node: Mapping[str, Any]) -> str | None:
    version = node.get("version")
    if version is None:
        return None
    if not isinstance(version, int) or isinstance(version, bool) or not 0 < version < 10**18:
        raise Malformed("no version")
    return str(version)


def _value(data: Mapping[str, Any]) -> tuple[str | bytes, str | None]:
    """The value in an object, and what kind it is where others wrote it."""
    if data.keys() == {"value"} and type(value := data["value"]) is str:
        value.encode()  # half a surrogate pair, which JSON can write, is no text: a ValueError
        return value, None
    if data.keys() == {"value_base64"} and type(value := data["value_base64"]) is str:
        with suppress(binascii.Error, ValueError):
            return base64.b64decode(value, validate=True), None
    text = json_text(data)
    text.encode()
    return text, JSON_TYPE
