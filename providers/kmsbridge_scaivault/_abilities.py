"""What ScaiVault can do, and how large things may be."""

from __future__ import annotations

from kmsbridge._model import Capabilities, SecretAbilities

MAX_VALUE = 65_536
"""Bytes of a value. No limit is documented; what is larger than this is for `seal`."""
MAX_BATCH = 100
"""Paths of a batch read (api-guides/batch-operations)."""

ABILITIES = Capabilities(
    secrets=SecretAbilities(
        get=True,
        set=True,
        list=True,
        versions=True,
        update=True,
        delete=True,
        get_version=True,
        content_type=True,
        tags=True,
        max_value=MAX_VALUE,
        max_binary=MAX_VALUE // 4 * 3,  # as Base64
        max_tags=15,
        max_content_type=255,
        max_batch=MAX_BATCH,
    )
)
"""Neither encrypts nor signs, neither recovers nor purges. An expiry is a duration from now on there, and locks."""
