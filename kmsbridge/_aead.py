"""AES-256-GCM: the one place where a box is sealed or opened. Loads `cryptography`."""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kmsbridge._ciphertext import Broken

TAG = 16
"""Bytes by which a box is longer than what is in it."""


class Aead:
    """AES-256-GCM under one key of 32 bytes, with nonces of 12 and tags of 16 bytes.

    A nonce must never be used twice under one key: every caller here has a fresh key for
    each message.
    """

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, nonce: bytes, plaintext: bytes, associated: bytes) -> bytes:
        """A box: the ciphertext with its tag."""
        return self._cipher.encrypt(nonce, plaintext, associated)

    def seal_into(self, nonce: bytes, plaintext: memoryview, associated: bytes, target: memoryview) -> None:
        """The same, written to where there is room for it."""
        self._cipher.encrypt_into(nonce, plaintext, associated, target)

    def open(self, nonce: bytes, box: bytes | memoryview, associated: bytes) -> bytes:
        """What is in a box.

        Raises:
            Broken: Box, key, nonce and associated data do not fit.
        """
        try:
            return self._cipher.decrypt(nonce, box, associated)
        except InvalidTag:
            pass
        raise Broken

    def open_into(self, nonce: bytes, box: memoryview, associated: bytes, target: memoryview) -> None:
        """The same, written to where there is room for it.

        Raises:
            Broken: As `open`; what stands in `target` then is worth nothing.
        """
        try:
            self._cipher.decrypt_into(nonce, box, associated, target)
        except InvalidTag:
            pass
        else:
            return
        raise Broken
