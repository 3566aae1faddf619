"""The container of what a backend's key has encrypted: bytes that say which key that was.

    "KMBC" | format 1 | provider | key | key version | algorithm | payload

Provider, version and algorithm are each a length of one byte and that much ASCII; the
key is the backend's own name, a length of two bytes (big-endian) and that much UTF-8.
The payload goes to the end. `docs/envelope.md` writes it down for other languages.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from kmsbridge._errors import InvalidRequestError, invalid

MAGIC = b"KMBC\x01"


@dataclass(frozen=True, slots=True)
class Ciphertext:
    """What `encrypt`, `wrap` and `generate_data_key` give; ``bytes(ciphertext)`` is what to store."""

    provider: str
    key: str
    """The backend's own name of the key."""
    version: str
    """The version of the key."""
    algorithm: str
    payload: bytes

    def __bytes__(self) -> bytes:
        return MAGIC + labels(self.provider, self.key, self.version, self.algorithm) + self.payload

    @classmethod
    def parse(cls, data: bytes) -> Ciphertext:
        """The container in these bytes.

        Raises:
            InvalidRequestError: There is none.
        """
        try:
            return read(data)
        except Foreign:
            pass
        raise not_ours()


Ciphertext.__module__ = "kmsbridge"  # tracebacks and reprs show the public path


class Broken(Exception):
    """Data, key and context do not fit. Says no more, wherever it is noticed: `decryption_failed`."""


class Foreign(Exception):
    """Not encrypted under the key that was named, as far as can be told: `invalid_argument`."""


def read(data: bytes, *, damaged: bool = False) -> Ciphertext:
    """The container in these bytes, or `Foreign`.

    Args:
        data: The bytes.
        damaged: Also give one that is damaged behind the version, without algorithm and payload.
            What it is refused with hangs on that version, which only a driver can look up.
    """
    reader = Reader(data)
    named: tuple[str, str, str] | None = None
    try:
        if reader.take(len(MAGIC)) == MAGIC:
            named = reader.key()
            return Ciphertext(*named, reader.short(), reader.rest())
    except ValueError:
        pass
    if named is None or not damaged:
        raise Foreign
    return Ciphertext(*named, "", b"")


def not_ours() -> InvalidRequestError:
    """The one text for every ciphertext and envelope that is not of the key it is given with."""
    return invalid(
        "this was not encrypted under that key, or is damaged beyond telling",
        "ciphertext",
        remediation="Name the key it was encrypted under, and pass the bytes on unaltered.",
    )


@lru_cache(maxsize=256)
def labels(provider: str, key: str, version: str, algorithm: str) -> bytes:
    """Which key it was and how, as container and envelope write it."""
    name = key.encode()
    parts = [_short(provider), len(name).to_bytes(2, "big") + name, _short(version), _short(algorithm)]
    return b"".join(parts)


def _short(text: str) -> bytes:
    data = text.encode("ascii")
    return bytes((len(data),)) + data


class Reader:
    """Takes bytes off the front; ValueError where there are not enough, or they are no text."""

    def __init__(self, data: bytes | memoryview, position: int = 0) -> None:
        self._data = memoryview(data)
        self.position = position

    def take(self, size: int) -> bytes:
        """The next so many bytes."""
        end = self.position + size
        if end > len(self._data):
            raise ValueError("too short")
        taken = bytes(self._data[self.position : end])
        self.position = end
        return taken

    def number(self, size: int) -> int:
        """The next so many bytes as a big-endian number."""
        return int.from_bytes(self.take(size), "big")

    def short(self) -> str:
        """ASCII text with a length of one byte."""
        return self.take(self.number(1)).decode("ascii")

    def key(self) -> tuple[str, str, str]:
        """Provider, key and version, as `labels` writes them."""
        return self.short(), self.take(self.number(2)).decode(), self.short()

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._data) - self.position)
