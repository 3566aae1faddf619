"""Listings by page numbers, so that nothing is lost or repeated when others write in between."""

from __future__ import annotations

import json
from typing import NamedTuple, TypeVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

T = TypeVar("T")

SIZE = 100
"""Items on one page: the most that the service gives."""


class Numbered(NamedTuple):
    """One page as the service counts them: each item with its name, and how many there are in all."""

    items: Sequence[tuple[str, object]]
    total: int


class _Place(NamedTuple):
    page: int
    total: int
    """How many there were when the page before was read."""
    seen: tuple[str, ...]
    """The names on the page before: one that others have pushed on to this page is not shown again."""


async def next_page(
    cursor: str | None, size: int, fetch: Callable[[int], Awaitable[Numbered]]
) -> tuple[list[object], str | None]:
    """The items at a cursor, and the cursor of those that follow.

    Where the listing has become shorter, items have moved to the page before: it is read again.
    """
    page, total, seen = _Place(1, 0, ()) if cursor is None else _Place(*json.loads(cursor))
    found = await fetch(page)
    items = list(found.items)
    if found.total < total and page > 1:
        items = [*(await fetch(page - 1)).items, *items]
    known = set(seen)
    fresh: dict[str, object] = {name: item for name, item in items if name not in known}
    if page * size >= found.total or not found.items:
        return list(fresh.values()), None
    names = tuple(name for name, _ in found.items)
    return list(fresh.values()), json.dumps(_Place(page + 1, found.total, names))
