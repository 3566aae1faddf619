"""What the portable operations on secrets and on keys have in common: how a call begins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Generic, TypeVar

from kmsbridge._decode import Answer, Refused
from kmsbridge._errors import Resource, invalid, unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import Any

    from kmsbridge._call import Call, Calls
    from kmsbridge._model import Page
    from kmsbridge._names import Names

T = TypeVar("T")
A = TypeVar("A")

VERSION = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._:-]{1,128}")
_MAX_TAG = 256
"""Characters of a tag, and of its value."""


class Operations(Generic[A]):
    """The operations on one kind of item.

    Args:
        calls: Makes the calls.
        names: The names of these items.
        abilities: What the backend can do with them.
        what: ``secret`` or ``key``.
    """

    def __init__(self, calls: Calls, names: Names, abilities: A, what: str) -> None:
        self._calls = calls
        self._names = names
        self._abilities = abilities
        self._what = what

    def _need(self, ability: str) -> None:
        if not getattr(self._abilities, ability):
            raise unsupported(f"{self._what}s.{ability}")

    def _about(self, call: Call, name: str, version: str | None = None) -> str:
        """The native name; from here on the call's errors say what it is about."""
        native = self._names.native(name)
        if version is not None and (not isinstance(version, str) or not VERSION.fullmatch(version)):
            raise invalid(
                f"this cannot be the version of a {self._what}",
                "version",
                remediation="Pass on a version as the library gave it.",
            )
        call.resource = Resource(self._what, name, version)
        call.native = native
        return native

    def _pages(
        self,
        operation: str,
        body: Callable[[Call, str | None], Awaitable[Page[T]]],
        timeout: float | None,
    ) -> Callable[[str | None], Coroutine[Any, Any, Page[T]]]:
        """Fetches the page that starts at a cursor; each is a call of its own, with the whole timeout.

        A listing whose cursors go round in a circle would never end. One of them is remembered,
        another after twice as many pages each time, so that any circle is met (R. P. Brent, 1980).
        """
        remembered: str | None = None
        pages, next_look = 0, 1

        def fetch(cursor: str | None) -> Coroutine[Any, Any, Page[T]]:
            nonlocal remembered, pages, next_look
            pages += 1
            if pages == next_look:
                remembered, next_look = cursor, 2 * pages

            async def one(call: Call) -> Page[T]:
                page = await body(call, cursor)
                if page.cursor is not None and page.cursor == remembered:
                    raise Refused(Answer(200))
                return page

            return self._calls.run(operation, one, timeout)

        return fetch


def checked_tags(tags: Mapping[str, str], limit: int) -> dict[str, str]:
    """A copy of the tags.

    Raises:
        InvalidRequestError: They are no text, too long or too many.
    """
    hint = 'Write tags={"team": "payments"}, for instance.'
    if not isinstance(tags, Mapping):
        raise invalid(f"tags must be a mapping, not {type(tags).__name__}", "tags", remediation=hint)
    for key, value in tags.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise invalid("tags must map str to str", "tags", remediation=hint)
        if not 0 < len(key) <= _MAX_TAG or len(value) > _MAX_TAG or not (key + value).isprintable():
            raise invalid(
                f"a tag must have 1 to {_MAX_TAG} printable characters, its value at most as many",
                "tags",
                remediation="Shorten it, and take out what does not print.",
            )
    if len(tags) > limit:
        hint = "Give fewer, or put several into one."
        raise invalid(f"{len(tags)} tags were given; this backend takes {limit}", "tags", remediation=hint)
    return dict(tags)
