"""What a call tells about itself: one event, given to a hook."""

from __future__ import annotations

from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kmsbridge._errors import Code, RateLimit


class Event(NamedTuple):
    """One call that has ended. Holds no value and no name of an item."""

    provider: str
    operation: str
    """Such as ``secrets.get``; each page of a listing is a call of its own."""
    code: Code | None
    """None when the call succeeded."""
    attempts: int
    elapsed: float
    """Seconds."""
    request_ids: Mapping[str, str]
    rate_limit: RateLimit | None = None
    """What the last answer said of the limit on requests; None where the backend says nothing of it."""


def emit(hook: Callable[[Event], object], event: Event) -> None:
    """Give an event to a hook; a hook that fails does not fail the call."""
    try:
        hook(event)
    except Exception:
        import logging

        logging.getLogger("kmsbridge").exception("the on_event hook failed on %s", event.operation)
