"""From method and path to the name of an operation, by one table."""

from __future__ import annotations

import re
from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of a backend's table of operations."""

    name: str
    """As the vendor's reference calls it."""
    method: str
    path: str
    """A template: ``/secrets/{name}/{version?}``. A segment in braces may be empty, one with ``?`` may be missing,
    and one with ``*`` is as many segments as there are."""
    since: str = ""
    """The first version of the API that has it; empty for all."""
    auxiliary: bool = False
    """Whether it belongs to what surrounds the service, such as a token endpoint: a failure of ``*`` spares it."""


class Router:
    """Finds the operation of a request. Of several that fit, the first in the table wins."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._routes = [(operation, _pattern(operation.path)) for operation in operations]

    def match(self, method: str, path: str) -> tuple[Operation, Mapping[str, str]] | None:
        """The operation and what stands in its braces; None if there is none."""
        for operation, pattern in self._routes:
            if operation.method == method and (found := pattern.fullmatch(path)):
                return operation, found.groupdict(default="")
        return None


def _pattern(template: str) -> re.Pattern[str]:
    pattern = ""
    for segment in template.strip("/").split("/"):
        if segment.endswith("?}"):
            pattern += f"(?:/(?P<{segment[1:-2]}>[^/]*))?"
        elif segment.endswith("*}"):
            pattern += f"/(?P<{segment[1:-2]}>.+)"
        elif segment.startswith("{"):
            pattern += f"/(?P<{segment[1:-1]}>[^/]*)"
        else:
            pattern += "/" + re.escape(segment)
    return re.compile(pattern + "/?", re.IGNORECASE)
