"""One admitted call, as the operations see it, and what becomes of it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any

from kmsbridge_azure_cosmos.emulator._known import Refused
from kmsbridge_azure_cosmos.emulator._resources import encoded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kmsbridge.emulation import Request
    from kmsbridge_azure_cosmos.emulator._resources import Container, Store
    from kmsbridge_azure_cosmos.emulator._settings import Settings


@dataclass(slots=True)
class Done:
    """What was done. `units` is the charge."""

    status: int
    body: Any = None
    units: float = 1.0
    etag: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Call:
    """One call."""

    request: Request
    store: Store
    settings: Settings
    now: float

    @property
    def name(self) -> str:
        """The last name in the path."""
        return self.request.params.get("name", "")

    def header(self, name: str) -> str | None:
        """A header; None where it is not there."""
        return self.request.headers.get(name)

    def json(self) -> Any:
        """The body: JSON to the letter, which has no NaN, no number without end and no half character."""
        body = self.request.body
        try:
            found = json.loads(body, parse_constant=_finite, parse_float=_finite)
            if b"\\ud" in body.lower():
                json.dumps(found, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            raise Refused("400/InvalidJson") from None
        return found

    def object(self) -> dict[str, Any]:
        """The body, which must be an object."""
        body = self.json()
        if not isinstance(body, dict):
            raise Refused("400/InvalidJson")
        return body

    def container(self) -> Container:
        """The container that the path leads into."""
        params = self.request.params
        found = self.store.container(params["database"], params["collection"], self.now)
        if self.header("x-ms-cosmos-intended-collection-rid") not in (None, found.rid):
            raise Refused("400/1024")
        return found

    def key(self, container: Container) -> str | None:
        """The partition key of the header, if there is one."""
        given = self.header("x-ms-documentdb-partitionkey")
        if given is None:
            return None
        try:
            key = json.loads(given)
        except (ValueError, RecursionError):
            raise Refused("400/InvalidJson") from None
        if not isinstance(key, list):
            raise Refused("400/InvalidJson")
        if len(key) < len(container.paths):
            raise Refused("400/FewerComponents")
        return encoded(key)


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(text)
    return number
