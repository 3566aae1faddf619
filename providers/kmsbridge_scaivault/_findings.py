"""Who answered, where the answer does not say: the ``door`` of an answer that stays the service's own."""

from __future__ import annotations

TOKEN = "token"  # noqa: S105 - a door, no password
"""The token service. Nothing has reached ScaiVault."""
ITEM = "item"
"""One item of a batch: a code without a status."""
VERSION = "version"
"""The secret is there, and nothing that is named like this can be a version of it."""
