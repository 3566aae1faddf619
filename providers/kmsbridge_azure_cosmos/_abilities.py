"""What a container of secrets can do, and how large things may be."""

from __future__ import annotations

from kmsbridge._model import Capabilities, SecretAbilities

MAX_VALUE = 500_000
"""Bytes of a value: a batch may have 2 MB, and holds the new value and the one before, as Base64 and with tags."""

SECRETS = Capabilities(
    secrets=SecretAbilities(
        get=True,
        set=True,
        list=True,
        versions=True,
        update=True,
        delete=True,
        deleted=True,
        recover=True,
        purge=True,
        get_version=True,
        if_absent=True,
        content_type=True,
        tags=True,
        expires_at=True,
        enabled=True,
        update_version=True,
        max_value=MAX_VALUE,
        max_tags=50,
        max_content_type=255,
    )
)
