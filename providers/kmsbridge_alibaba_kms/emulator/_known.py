"""What an error of the service is made of."""

from __future__ import annotations

from dataclasses import dataclass

from kmsbridge.emulation import Documented


class Refused(Exception):
    """The service answers this with an error of the catalogue."""

    def __init__(self, error: str, /, **facts: str) -> None:
        super().__init__(error)
        self.error = error
        self.facts = facts


@dataclass(frozen=True, slots=True)
class Known(Documented):
    """One error. `message` is a template; the service fills in what the request was about."""

    message: str
    code: str = ""
    """Where it is not the name of the error."""
    headers: tuple[tuple[str, str], ...] = ()
