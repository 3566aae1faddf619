"""Containers and envelopes that were altered, by the formats as ``docs/envelope.md`` writes them down.

Written for the suite alone, so that a mistake in the library's own reader is not repeated here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kmsbridge import Code

if TYPE_CHECKING:
    from collections.abc import Iterator

SEGMENT = 1_048_576
TAG = 16


class Label(NamedTuple):
    """Where a blob names its key."""

    start: int
    end: int
    """Behind the version."""


def label(blob: bytes) -> Label:
    """Where this container, or the first recipient of this envelope, names its key."""
    start = 7 if blob.startswith(b"KMBE") else 5
    key = start + 1 + blob[start]
    version = key + 2 + int.from_bytes(blob[key : key + 2], "big")
    return Label(start, version + 1 + blob[version])


def relabelled(blob: bytes, provider: str, key: str) -> bytes:
    """The same, said to be of another key."""
    start, end = label(blob)
    place = start + 1 + blob[start]
    version = blob[place + 2 + int.from_bytes(blob[place : place + 2], "big") : end]
    name = key.encode()
    named = bytes([len(provider)]) + provider.encode() + len(name).to_bytes(2, "big") + name
    return blob[:start] + named + version + blob[end:]


class Parts(NamedTuple):
    """An envelope of one recipient, taken apart."""

    head: bytes
    """Up to the length of the wrapped data key."""
    wrapped: bytes
    salt: bytes
    commitment: bytes
    segments: tuple[bytes, ...]

    def joined(self) -> bytes:
        """Put together again."""
        return b"".join((self.head, self.wrapped, self.salt, self.commitment, *self.segments))


def taken_apart(envelope: bytes) -> Parts:
    """The parts of an envelope."""
    algorithm = label(envelope).end
    start = algorithm + 1 + envelope[algorithm] + 2
    salt = start + int.from_bytes(envelope[start - 2 : start], "big")
    commitment, body = salt + 32, salt + 64
    step = SEGMENT + TAG
    segments = tuple(envelope[place : place + step] for place in range(body, len(envelope), step))
    return Parts(envelope[:start], envelope[start:salt], envelope[salt:commitment], envelope[commitment:body], segments)


def damaged(blob: bytes, *, every_bit: bool) -> Iterator[bytes]:
    """The blob with one bit flipped, cut off at some length, or with a byte more.

    Args:
        blob: A container or an envelope.
        every_bit: All there are; else one bit of each byte of the label and of every eleventh
            byte behind it, and as many lengths.
    """
    end = label(blob).end + 16
    places = [place for place in range(len(blob)) if every_bit or place < end or place % 11 == 0]
    for place in places:
        for bit in range(8) if every_bit else (place % 8,):
            yield blob[:place] + bytes([blob[place] ^ 1 << bit]) + blob[place + 1 :]
        yield blob[:place]
    yield blob + b"\0"


def code_for(altered: bytes, blob: bytes) -> Code:
    """What an altered blob is refused with: whether it still names this provider, this key and this version."""
    start, end = label(blob)
    magic = altered[:5] == blob[:5]
    recipients = magic and (start == 5 or altered[6:7] not in (b"", b"\0"))
    return Code.DECRYPTION_FAILED if recipients and altered[start:end] == blob[start:end] else Code.INVALID_ARGUMENT
