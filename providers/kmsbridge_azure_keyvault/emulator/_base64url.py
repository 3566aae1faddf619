"""Bytes as the service writes them: base64url without padding."""

from __future__ import annotations

import base64
import binascii

from kmsbridge_azure_keyvault.emulator._items import Refused


def encode(value: bytes) -> str:
    """As base64url without padding."""
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def decode(value: str, field_name: str = "value") -> bytes:
    """The bytes behind a base64url text.

    Raises:
        Refused: It is none.
    """
    try:
        padded = value.rstrip("=").translate(str.maketrans("-_", "+/"))
        return base64.b64decode(padded + "=" * (-len(padded) % 4), validate=True)
    except (ValueError, binascii.Error):
        raise Refused("NotBase64Url", value=field_name) from None
