"""Envelope format 1: data under a fresh key of its own, that key under the backend's.

`docs/envelope.md` writes the format down so that another language can implement it.
A fresh 32-byte data key and salt give, by HKDF-SHA-256, the content key and a 32-byte
key commitment. The content is AES-256-GCM in segments of 1 MiB; each nonce holds the
segment's number and whether it is the last; header and context are associated data. Loads
`cryptography`, so it is itself loaded when something is first sealed or opened.
"""

from __future__ import annotations

import os
from hmac import compare_digest
from io import BytesIO
from typing import NamedTuple

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kmsbridge._aead import TAG, Aead
from kmsbridge._ciphertext import Broken, Foreign, Reader, labels

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kmsbridge._ciphertext import Ciphertext

MAGIC = b"KMBE\x01"
SUITE = 1
SEGMENT = 1 << 20
"""Bytes of plaintext in each segment but the last."""
_KEY = 32
_SHA256 = SHA256()
_INFO = b"kmsbridge envelope 1"
_SMALL = 1 << 16
"""Bytes up to which one copy of the ciphertext is cheaper than a buffer for it."""


class Opening(NamedTuple):
    """What it takes to open an envelope, read from its header."""

    version: str
    """The version of the key that wrapped the data key."""
    algorithm: str
    wrapped: bytes
    salt: bytes
    commitment: bytes
    size: int
    """Bytes of the header."""


def new_data_key() -> bytes:
    """A fresh data key of 32 bytes."""
    return os.urandom(_KEY)


def seal(data: bytes, context: bytes, data_key: bytes, wrapped: Sequence[Ciphertext]) -> bytes:
    """An envelope round the data.

    Args:
        data: What is sealed; any size that fits memory.
        context: Canonical bytes that must be the same to open it.
        data_key: From `new_data_key`, used for nothing else.
        wrapped: The data key, wrapped for each recipient.
    """
    salt = os.urandom(_KEY)
    cipher, commitment = _derived(data_key, salt)
    parts = [MAGIC, bytes((SUITE, len(wrapped)))]
    for key in wrapped:
        size = len(key.payload).to_bytes(2, "big")
        parts += labels(key.provider, key.key, key.version, key.algorithm), size, key.payload
    header = b"".join([*parts, salt, commitment])
    associated = header + context
    if len(data) <= _SMALL:
        return header + cipher.seal(_nonce(0, last=True), data, associated)
    last = (len(data) - 1) // SEGMENT
    # A BytesIO gives its buffer away without copying it, which a bytearray does not.
    sealed = BytesIO(header)
    sealed.seek(len(header) + len(data) + (last + 1) * TAG - 1)
    sealed.write(b"\0")
    with sealed.getbuffer() as target, memoryview(data) as plain:
        end = len(header)
        for number in range(last + 1):
            segment = plain[number * SEGMENT : (number + 1) * SEGMENT]
            start, end = end, end + len(segment) + TAG
            cipher.seal_into(_nonce(number, last=number == last), segment, associated, target[start:end])
    return sealed.getvalue()


def read_header(envelope: bytes, provider: str, key: str) -> Opening:
    """The header of an envelope, as far as this key can open it.

    Where it is damaged behind the key's version, there is no commitment, and so nothing that
    opens it. The driver is asked all the same: only it knows whether the key has that version.

    Raises:
        Foreign: It names no such key, or is no envelope.
    """
    reader = Reader(envelope)
    mine: tuple[str, str, bytes] | None = None
    salt = commitment = b""
    try:
        if reader.take(len(MAGIC)) != MAGIC:
            raise Foreign
        suite, recipients = reader.take(2)
        for _ in range(recipients):
            its_provider, its_key, version = reader.key()
            ours = mine is None and (its_provider, its_key) == (provider, key)
            if ours:
                mine = version, "", b""
            algorithm, wrapped = reader.short(), reader.take(reader.number(2))
            if ours:
                mine = version, algorithm, wrapped
        if suite == SUITE:
            salt, commitment = reader.take(_KEY), reader.take(_KEY)
    except ValueError:
        pass
    if mine is None:
        raise Foreign
    return Opening(*mine, salt, commitment, reader.position)


def unseal(envelope: bytes, context: bytes, data_key: bytes, opening: Opening) -> bytes:
    """The data. Nothing of it is given out before all of it has been checked.

    Raises:
        Broken: Envelope, data key and context do not fit.
    """
    if len(data_key) != _KEY:
        raise Broken
    cipher, commitment = _derived(data_key, opening.salt)
    if not compare_digest(commitment, opening.commitment):
        raise Broken
    boxes = len(envelope) - opening.size
    count = -(-boxes // (SEGMENT + TAG))
    last = boxes - (count - 1) * (SEGMENT + TAG)
    if not count or last < TAG or (last == TAG and count > 1):  # an empty segment stands alone
        raise Broken
    with memoryview(envelope) as view:
        associated = view[: opening.size].tobytes() + context
        if count == 1:
            return cipher.open(_nonce(0, last=True), view[opening.size :], associated)
        return _segments(cipher, view[opening.size :], associated, count)


def _segments(cipher: Aead, boxes: memoryview, associated: bytes, count: int) -> bytes:
    opened = BytesIO()
    opened.seek(len(boxes) - count * TAG - 1)
    opened.write(b"\0")
    with opened.getbuffer() as target:
        for number in range(count):
            box = boxes[number * (SEGMENT + TAG) : (number + 1) * (SEGMENT + TAG)]
            start = number * SEGMENT
            nonce = _nonce(number, last=number == count - 1)
            cipher.open_into(nonce, box, associated, target[start : start + len(box) - TAG])
    return opened.getvalue()


def _derived(data_key: bytes, salt: bytes) -> tuple[Aead, bytes]:
    """The cipher under the content key, and the key commitment."""
    keys = HKDF(_SHA256, 2 * _KEY, salt, _INFO).derive(data_key)
    return Aead(keys[:_KEY]), keys[_KEY:]


def _nonce(number: int, *, last: bool) -> bytes:
    """12 bytes: seven of zero, the segment's number, and 1 for the last."""
    return number.to_bytes(11, "big") + (b"\1" if last else b"\0")
