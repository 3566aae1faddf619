"""Token buckets: one for each identity and category of requests, as the vendor's page on rate limiting has them."""

from __future__ import annotations

import math
from typing import NamedTuple

MINUTE = 60.0
ROUNDING = 1e-6
"""Of a request: what is lacking by less is there."""


class Level(NamedTuple):
    """How full a bucket is."""

    limit: int
    remaining: int
    full_at: int
    """Seconds since 1970."""

    @property
    def headers(self) -> dict[str, str]:
        """As every answer tells it."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.full_at),
        }


class Buckets:
    """All of them. A bucket holds the requests of a minute, and fills up again evenly."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}

    def level(self, identity: str, category: str, limit: int, now: float) -> Level:
        """How full it is; the bucket of one who was never here is full."""
        there = self._there(identity, category, limit, now)
        return Level(limit, int(there + ROUNDING), math.ceil(now + (limit - there) * MINUTE / max(limit, 1)))

    def wait(self, identity: str, category: str, limit: int, now: float, count: int = 1) -> int:
        """The seconds until so many requests are let through, at least 1 unless it is now."""
        missing = min(count, limit) - self._there(identity, category, limit, now)
        return max(1, math.ceil(missing * MINUTE / limit)) if missing > ROUNDING else 0

    def take(self, identity: str, category: str, limit: int, now: float, count: int = 1) -> None:
        """Count requests that were let through."""
        self._buckets[identity, category] = (max(0.0, self._there(identity, category, limit, now) - count), now)

    def _there(self, identity: str, category: str, limit: int, now: float) -> float:
        left, then = self._buckets.get((identity, category), (float(limit), now))
        return min(float(limit), left + max(0.0, now - then) * limit / MINUTE)
