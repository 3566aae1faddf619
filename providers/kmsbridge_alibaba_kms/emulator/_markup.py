"""Answers as XML, for clients that ask for it."""

from __future__ import annotations

from xml.sax.saxutils import escape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

CONTENT_TYPE = "text/xml;charset=utf-8"


def written(root: str, members: Mapping[str, Any]) -> bytes:
    """A document: an object is an element for each of its members, a list one of the same name for each item."""
    return f'<?xml version="1.0" encoding="UTF-8"?><{root}>{_inside(members)}</{root}>'.encode()


def _inside(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(
            f"<{name}>{_inside(each)}</{name}>"
            for name, item in value.items()
            for each in (item if isinstance(item, list) else [item])
        )
    return escape(str(value).lower() if isinstance(value, bool) else str(value), {"\r": "&#13;"})
