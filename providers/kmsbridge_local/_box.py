"""Sealing and opening: AES-256-GCM, every message under a key of its own.

A box is a random salt of 32 bytes, then ciphertext and tag. The message key is
HKDF-SHA-256 of a sub-key and that salt, so no two messages meet under one key: not
after a fork, not after a snapshot is restored, not in a copy. Each key seals one
message, which is why the nonce can be constant.
"""

from __future__ import annotations

import os
import struct

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kmsbridge._aead import TAG, Aead
from kmsbridge._ciphertext import Broken

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Field = str | bytes | int | None

KEY_BYTES = 32
SALT_BYTES = 32
_NONCE = bytes(12)
_SHA256 = SHA256()


def subkey(key: bytes, salt: bytes, use: str) -> bytes:
    """A key of 32 bytes for one use. Keys for different uses or salts say nothing of each other."""
    return HKDF(_SHA256, KEY_BYTES, salt, b"kmsbridge local 1: " + use.encode()).derive(key)


def seal(key: bytes, message: bytes, associated: bytes) -> bytes:
    """The message in a box that opens only with the same key and associated data."""
    salt = os.urandom(SALT_BYTES)
    return salt + Aead(subkey(key, salt, "message")).seal(_NONCE, message, associated)


def unseal(key: bytes, box: bytes, associated: bytes) -> bytes:
    """The message in a box.

    Raises:
        Broken: It does not open; nothing says why.
    """
    if len(box) < SALT_BYTES + TAG:
        raise Broken
    return Aead(subkey(key, box[:SALT_BYTES], "message")).open(_NONCE, box[SALT_BYTES:], associated)


def canonical(fields: Iterable[Field]) -> bytes:
    """Fields as bytes, never the same for two different lists of fields.

    Each is a letter for its type, and what is of variable size its length as 4 bytes
    before it. Text is UTF-8, a number is 8 bytes with sign; all big-endian.

    Raises:
        Broken: A field is of another type, or too large to be ours.
    """
    parts: list[bytes] = []
    try:
        for field in fields:
            if isinstance(field, str):
                encoded = field.encode()
                parts += (b"s", struct.pack(">I", len(encoded)), encoded)
            elif field is None:
                parts.append(b"n")
            elif isinstance(field, int):
                parts.append(struct.pack(">cq", b"i", field))
            elif isinstance(field, bytes):
                parts += (b"b", struct.pack(">I", len(field)), field)
            else:
                break
        else:
            return b"".join(parts)
    except (ValueError, struct.error):
        pass  # raised below: these exceptions show the field
    raise Broken
