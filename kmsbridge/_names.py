"""Names: one portable grammar, mapped to each backend's own names and back.

A portable name is 1 to 10 segments joined by ``/``, at most 100 characters, each
segment ``[a-z0-9]+(-[a-z0-9]+)*``, the first not ``acs`` (Alibaba Cloud reserves it).
The grammar is what every backend can carry: a name in it works everywhere. Two names
never meet in one native name, and what a name is encoded to decodes to that name.
"""

from __future__ import annotations

import re
from typing import Protocol

from kmsbridge._errors import InvalidRequestError, invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_LENGTH = 100
MAX_SEGMENTS = 10
MAX_SENT = 1024
"""Names that are remembered as legal, a table."""
NATIVE = "native:"
_PORTABLE = "Write segments of a-z, 0-9 and single '-', joined by '/'."
_SEGMENT = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


def is_portable(name: str) -> bool:
    """Whether a name is in the portable grammar."""
    return _fault(name) is None


def _fault(name: str) -> str | None:
    """What is wrong with a portable name; None if nothing is."""
    if not name:
        return "is empty"
    if len(name) > MAX_LENGTH:
        return f"has {len(name)} characters; at most {MAX_LENGTH} are allowed"
    segments = name.split("/")
    if len(segments) > MAX_SEGMENTS:
        return f"has {len(segments)} segments; at most {MAX_SEGMENTS} are allowed"
    if segments[0] == "acs":
        return "starts with 'acs', which Alibaba Cloud reserves"
    for segment in segments:
        if not _SEGMENT.fullmatch(segment):
            if not segment:
                return "has an empty segment: no '/' at either end, none doubled"
            if re.fullmatch(r"[a-z0-9-]+", segment):
                return "has a '-' at the end of a segment, or two in a row"
            return "has characters other than a-z, 0-9, '-' and '/'"
    return None


def _shown(name: str) -> str:
    return ascii(name) if len(name) <= MAX_LENGTH else f"{name[:MAX_LENGTH]!a}..."


class NativeNames(Protocol):
    """How one backend spells names."""

    def encode(self, portable: str) -> str:
        """The native name of a portable one. Total over the grammar, and never the same for two names."""
        ...

    def decode(self, native: str) -> str | None:
        """The portable name that is encoded to this native one, else None. `native` is canonical."""
        ...

    def canonical(self, native: str) -> str | None:
        """The one spelling of a native name (folded where the backend ignores case); None if not legal."""
        ...


class IdentityNames:
    """Native names are written as portable ones are: local, Alibaba Cloud.

    Args:
        legal: What the whole of any native name must match.
    """

    def __init__(self, legal: str) -> None:
        self._legal = re.compile(legal)

    def encode(self, portable: str) -> str:
        """Unchanged."""
        return portable

    def decode(self, native: str) -> str | None:
        """Unchanged, if it is in the portable grammar."""
        return native if is_portable(native) else None

    def canonical(self, native: str) -> str | None:
        """Unchanged, if it is legal."""
        return native if self._legal.fullmatch(native) else None


class Names:
    """The names of one profile: its table of mapped names over the backend's spelling.

    Args:
        spelling: How the backend spells names.
        mapped: Portable to native names, as in ``[profiles.X.secrets]``.
        what: What is named, for error texts: ``secret`` or ``key``.

    Raises:
        InvalidRequestError: The table is not one-to-one, or holds a name that is not legal.
    """

    def __init__(self, spelling: NativeNames, mapped: Mapping[str, str], what: str = "secret") -> None:
        self._spelling = spelling
        self._what = what
        self._native: dict[str, str] = {}
        self._portable: dict[str, str] = {}
        self._sent: dict[str, str] = {}
        """Names that were found to be legal, which programs ask for again and again."""
        for portable, native in mapped.items():
            canonical = spelling.canonical(native)
            if (fault := _fault(portable)) is not None:
                raise invalid(f"mapped {what} name {portable!r} {fault}", portable, remediation=_PORTABLE)
            if canonical is None:
                hint = "Write the name that it has there."
                message = f"{what} {portable!r} is mapped to {native!r}, which is no legal name there"
                raise invalid(message, portable, remediation=hint)
            if (other := self._portable.get(canonical)) is not None:
                hint = "Map each name of the backend once, or use one of the two everywhere."
                message = f"{what}s {other!r} and {portable!r} are both mapped to {native!r}"
                raise invalid(message, portable, remediation=hint)
            self._native[portable] = canonical
            self._portable[canonical] = portable

    def native(self, name: str) -> str:
        """The native name to send.

        Raises:
            InvalidRequestError: The name is not legal, or the item has another name here.
        """
        if not isinstance(name, str):
            message = f"a {self._what} name must be a str, not {type(name).__name__}"
            raise invalid(message, "name", remediation=_PORTABLE)
        if (native := self._native.get(name) or self._sent.get(name)) is not None:
            return native
        if name.startswith(NATIVE):
            canonical = self._spelling.canonical(name.removeprefix(NATIVE))
            if canonical is None:
                hint = "Write the name as the backend lists it."
                raise invalid(f"{_shown(name)} is no legal {self._what} name here", "name", remediation=hint)
        elif (fault := _fault(name)) is None:
            canonical = self._spelling.encode(name)
        else:
            raise self._refused(name, fault)
        if (spelled := self.portable(canonical)) != name:
            raise invalid(
                f"{self._what} {_shown(name)} is called {spelled!r} here", "name", remediation=f"Write {spelled!r}."
            )
        if len(self._sent) >= MAX_SENT:
            self._sent.clear()
        self._sent[name] = canonical
        return canonical

    def portable(self, native: str) -> str:
        """What we call a native name: mapped, portable, or ``native:...``."""
        native = self._spelling.canonical(native) or native
        if (mapped := self._portable.get(native)) is not None:
            return mapped
        portable = self._spelling.decode(native)
        return NATIVE + native if portable is None or portable in self._native else portable

    def check_prefix(self, prefix: str) -> None:
        """Check what a listing is to be limited to.

        Raises:
            InvalidRequestError: No name can start with it.
        """
        if not isinstance(prefix, str):
            message = f"a prefix must be a str, not {type(prefix).__name__}"
            raise invalid(message, "prefix", remediation="Write the start of a name, or leave it out.")
        if prefix and not prefix.startswith(NATIVE) and not re.fullmatch(r"[a-z0-9/:-]{1,100}", prefix):
            raise invalid(f"no name can start with {_shown(prefix)}", "prefix", remediation=_PORTABLE)

    def _refused(self, name: str, fault: str) -> InvalidRequestError:
        remediation = f"{_PORTABLE} {NATIVE}<name> addresses a native name as it is."
        if is_portable(lower := name.lower()):
            remediation = f"Write {lower!r}, or {NATIVE}{name} for a native name."
        return invalid(f"{self._what} name {_shown(name)} {fault}", "name", remediation=remediation)
