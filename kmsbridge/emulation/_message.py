"""A request as it came, and an answer as it will go."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kmsbridge.emulation._routing import Operation


@dataclass(slots=True)
class Request:
    """One request. `operation`, `params` and `resource` are filled in by the backend's `identify`."""

    method: str
    target: str
    headers: Mapping[str, str]
    """By lower-case name; values of a repeated header are joined by a comma."""
    body: bytes = field(repr=False)
    connection: int
    client: str
    """The address of the peer, without its port."""
    operation: Operation | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    resource: str = ""

    @property
    def path(self) -> str:
        """The path, percent-decoded."""
        return unquote(self.target.partition("?")[0])

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters; of a repeated one, the last."""
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    @property
    def host(self) -> str:
        """The ``Host`` header: name and port."""
        return self.headers.get("host", "")


@dataclass(frozen=True, slots=True)
class Response:
    """One answer. ``Content-Length`` and ``Date`` are added when it is sent."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)

    @classmethod
    def json(cls, value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        """An answer whose body is `value` as JSON."""
        fixed = ("Content-Type", "application/json; charset=utf-8")
        body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
        return cls(status, (fixed, *(headers or {}).items()), body)

    def with_headers(self, headers: Mapping[str, str]) -> Response:
        """The same with more headers; one that is there already stays as it is."""
        present = {name.lower() for name, _ in self.headers}
        more = tuple((name, value) for name, value in headers.items() if name.lower() not in present)
        return Response(self.status, self.headers + more, self.body)
