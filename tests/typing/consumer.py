"""A program outside the tree that uses the installed package; ``tests/test_wheel.py`` has it checked there."""

from __future__ import annotations

import kmsbridge


def password(target: str) -> str:
    """Read a secret, or make it."""
    with kmsbridge.connect(target) as bridge:
        try:
            return bridge.secrets.get("billing/db-password").text
        except kmsbridge.NotFoundError as error:
            if error.code is kmsbridge.Code.CONTAINER_NOT_FOUND:
                raise
            return bridge.secrets.set("billing/db-password", b"s3cret", tags={"team": "billing"}).text


async def names(target: str) -> list[str]:
    """The names of all secrets."""
    async with kmsbridge.connect_async(target) as bridge:
        return [info.name async for info in bridge.secrets.list()]
