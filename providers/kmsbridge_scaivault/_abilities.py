"""What ScaiVault can do, and how large things may be."""

from __future__ import annotations

from kmsbridge._model import Capabilities

ABILITIES = Capabilities()
