"""What an emulator was asked, in order."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmsbridge.emulation._message import Request

KEPT = 100_000
"""How many requests are remembered; the oldest are forgotten first."""


@dataclass(slots=True)
class Seen:
    """One request that arrived. Neither headers nor query are kept, and the body only where that was asked for."""

    number: int
    """Counted from 1 since the start or the last reset."""
    connection: int
    method: str
    path: str
    template: str
    """The path as the table of operations writes it; empty for a path that is in no row."""
    operation: str
    resource: str
    status: int | None = None
    """What was answered; None while nothing was, or nothing will be."""
    failure: str = ""
    """The failure that was put in the way, by name."""
    body: bytes | None = field(default=None, repr=False)


class Recorder:
    """All requests since the start or the last reset, oldest first; iterable, and sized."""

    def __init__(self, *, keep_bodies: bool = False) -> None:
        self._keep_bodies = keep_bodies
        self._seen: deque[Seen] = deque(maxlen=KEPT)
        self._arrived = 0

    def add(self, request: Request) -> Seen:
        """Note a request that has arrived."""
        operation = request.operation
        self._arrived += 1
        seen = Seen(
            self._arrived, request.connection, request.method, request.path, operation.path if operation else "",
            operation.name if operation else "", request.resource, body=request.body if self._keep_bodies else None,
        )  # fmt: skip
        self._seen.append(seen)
        return seen

    def count(
        self, operation: str | None = None, *, method: str | None = None, path: str | None = None,
        template: str | None = None, resource: str | None = None, status: int | None = None,
    ) -> int:
        """How many requests fit everything that is named."""
        wanted = {
            "operation": operation, "method": method, "path": path,
            "template": template, "resource": resource, "status": status,
        }
        asked = [(name, value) for name, value in wanted.items() if value is not None]
        return sum(all(getattr(seen, name) == value for name, value in asked) for seen in self)

    def by_path(self) -> Counter[tuple[str, str]]:
        """How many requests came, by method and path."""
        return Counter((seen.method, seen.path) for seen in self)

    def to_list(self) -> list[dict[str, Any]]:
        """For JSON; bodies are left out."""
        return [{name: value for name, value in asdict(seen).items() if name != "body"} for seen in self]

    def reset(self) -> None:
        """Forget them all."""
        self._seen.clear()
        self._arrived = 0

    def __iter__(self) -> Iterator[Seen]:
        return iter(self._seen.copy())

    def __len__(self) -> int:
        return len(self._seen)

    def __getitem__(self, index: int) -> Seen:
        return self._seen[index]
