"""What a success holds, read strictly: `Malformed` for whatever is not as it must be."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


class Malformed(ValueError):
    """It is not as it must be."""


def text(node: Mapping[str, Any], name: str) -> str:
    """A member that must be text, and not empty."""
    if not (value := plain(node, name)):
        raise Malformed("empty")
    return value


def plain(node: Mapping[str, Any], name: str) -> str:
    """A member that must be text."""
    value = node.get(name)
    if not isinstance(value, str):
        raise Malformed("no text")
    return value


def same(node: Mapping[str, Any], name: str, asked: str) -> str:
    """A member that must repeat what was asked for; of anything else we know nothing."""
    if (value := text(node, name)) != asked:
        raise Malformed("this is about something else")
    return value


def number(node: Mapping[str, Any], name: str) -> int:
    """A member that must be a count."""
    value = node.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Malformed("no number")
    return value


def verdict(node: Mapping[str, Any], name: str) -> bool:
    """A member that must be true or false."""
    value = node.get(name)
    if not isinstance(value, bool):
        raise Malformed("neither true nor false")
    return value


def data(node: Mapping[str, Any], name: str) -> bytes:
    """A member that must be Base64."""
    return decoded(plain(node, name))


def decoded(value: str) -> bytes:
    """Base64 that must be whole."""
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        pass  # its exception may hold the value
    raise Malformed("no Base64")


def encoded(value: bytes) -> str:
    """As Base64."""
    return base64.b64encode(value).decode()


def moment(node: Mapping[str, Any], name: str) -> datetime | None:
    """A member that may be a time, such as ``2026-01-31T12:00:00Z``."""
    value = node.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        raise Malformed("no time")
    return datetime.fromisoformat(value).astimezone(UTC)


def known_moment(node: Mapping[str, Any], name: str) -> datetime:
    """A member that must be a time."""
    if (found := moment(node, name)) is None:
        raise Malformed("no time")
    return found


def objects(node: Mapping[str, Any], outer: str, inner: str) -> list[Mapping[str, Any]]:
    """The list in ``{outer: {inner: [...]}}``, each of which must be an object."""
    return listed(holder(node, outer), inner)


def listed(node: Mapping[str, Any], name: str, *, missing: bool = False) -> list[Mapping[str, Any]]:
    """A member that must be a list of objects; one that may be missing is empty then."""
    value = node.get(name)
    if value is None and missing:
        return []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise Malformed("no list")
    return value


def holder(node: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A member that must be an object."""
    value = node.get(name)
    if not isinstance(value, dict):
        raise Malformed("no object")
    return value
