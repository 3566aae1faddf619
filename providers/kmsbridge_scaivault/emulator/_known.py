"""What an error of the service is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kmsbridge.emulation import Documented


class Refused(Exception):
    """The service answers this with an error of the catalogue."""

    def __init__(self, error: str, /, **facts: Any) -> None:
        super().__init__(error)
        self.error = error
        self.facts = facts


@dataclass(frozen=True, slots=True)
class Known(Documented):
    """One error. `message` is a template; the service fills in what the request was about."""

    message: str
    details: tuple[str, ...] = ()
    """The facts that ``details`` has."""
