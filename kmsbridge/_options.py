"""The options of a backend: a profile's table and a URL's parameters, which are one set."""

from __future__ import annotations

import os
from contextlib import suppress

from kmsbridge._config import check_names
from kmsbridge._errors import invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from kmsbridge._driver import Location
    from kmsbridge._errors import InvalidRequestError


_MOST_CERTIFICATES = 4 * 1024 * 1024
"""Bytes of a file with certificates that are looked at; those of a system have some 200 KB."""


def check_certificates(path: str | None, option: str = "ca") -> None:
    """Refuse a file that TLS could take no certificate from.

    Raises:
        InvalidRequestError: It cannot be read, or has none.
    """
    if path is None:
        return
    found: bool | None = None
    if os.path.isfile(path):
        with suppress(OSError), open(path, "rb") as file:
            found = b"CERTIFICATE-----" in file.read(_MOST_CERTIFICATES)
    if not found:
        why = "cannot be read" if found is None else "has no certificate in PEM"
        raise invalid(
            f"the file that {option} names {why}", f"options.{option}", remediation="Check its path and mode."
        )


class Options:
    """What a location says beside its address, so that a URL alone can say all.

    Args:
        location: The location.
        known: Each option there is, with what it is.

    Raises:
        InvalidRequestError: One is unknown, or said twice.
    """

    def __init__(self, location: Location, known: Mapping[str, str]) -> None:
        check_names(location.parameters, known, "URL parameter")
        check_names(location.options, known, "option")
        if twice := sorted(location.parameters.keys() & location.options.keys()):
            raise invalid(
                f"{twice[0]} is both in the URL and in the options", f"options.{twice[0]}", remediation="Say it once."
            )
        self._known = known
        self._said: Mapping[str, Any] = {**location.options, **location.parameters}

    def __contains__(self, name: str) -> bool:
        return name in self._said

    def text(self, name: str) -> str | None:
        """An option that is text; None where it is not said."""
        value = self._said.get(name)
        if value is not None and (not isinstance(value, str) or not value or not value.isprintable()):
            raise self.wrong(name, "must be text")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """An option that is true or false."""
        value = self._said.get(name, default)
        if isinstance(value, str):  # in a URL everything is text
            value = {"true": True, "false": False}.get(value)
        if not isinstance(value, bool):
            raise self.wrong(name, "must be true or false")
        return value

    def wrong(self, name: str, why: str) -> InvalidRequestError:
        """The error for an option that is not as it must be."""
        return invalid(f"{name} {why}", f"options.{name}", remediation=f"It is: {self._known[name]}.")
