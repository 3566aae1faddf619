"""The message ``Error`` of the instance door, read by hand: a log is explained without protobuf installed.

    message Error { int32 StatusCode = 1; string ErrorCode = 2; string ErrorMessage = 3; string RequestId = 4; }

Total over any bytes. What was whole before the damage of a message is kept: a body that
was cut short still says which error it was.
"""

from __future__ import annotations

from typing import NamedTuple

_FIXED = {1: 8, 5: 4}
"""Bytes of the wire types of one size."""
_LAST_FIELD = (1 << 29) - 1


class ErrorMessage(NamedTuple):
    """What an answer of the instance door says of a failure. Nothing in it is trusted."""

    status: int | None = None
    code: str = ""
    words: str = ""
    request_id: str = ""


class _Damaged(ValueError):
    """It is no Protocol Buffers message from here on."""


def read_error(body: bytes) -> ErrorMessage | None:
    """The error in a body; None where there is none."""
    status: int | None = None
    texts = {2: "", 3: "", 4: ""}
    place = 0
    try:
        while place < len(body):
            tag, place = _varint(body, place)
            field, kind = tag >> 3, tag & 7
            if not 0 < field <= _LAST_FIELD:
                break
            if kind == 0:
                value, place = _varint(body, place)
                if field == 1:
                    status = _int32(value)
                continue
            size, place = _varint(body, place) if kind == 2 else (_FIXED.get(kind, len(body) + 1), place)
            if size > len(body) - place:
                break
            if kind == 2 and field in texts:
                texts[field] = body[place : place + size].decode("utf-8", "replace")
            place += size
    except _Damaged:
        pass
    return ErrorMessage(status, texts[2], texts[3], texts[4]) if texts[2] else None


def _varint(body: bytes, place: int) -> tuple[int, int]:
    """A number of at most 64 bits, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(body):
            raise _Damaged
        byte = body[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (1 << 64) - 1, place
    raise _Damaged


def _int32(value: int) -> int:
    value &= (1 << 32) - 1
    return value - (1 << 32) if value >> 31 else value
