"""JSON Web Tokens of the identity services that emulators have: issued here, read here, good nowhere else."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Signer:
    """Signs with a key of its own. Clients look into no token, so the algorithm (HS256) is no part of the wire."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A token that says so."""
        parts = f"{_encode({'typ': 'JWT', 'alg': 'HS256'})}.{_encode(claims)}"
        return f"{parts}.{self._signature(parts)}"

    def read(self, token: str) -> dict[str, Any] | None:
        """What a token says; None if it was not signed here."""
        parts, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(parts).encode()):
            return None
        encoded = parts.partition(".")[2]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
        return claims

    def _signature(self, parts: str) -> str:
        return base64.urlsafe_b64encode(hmac.digest(self._key, parts.encode(), "sha256")).decode().rstrip("=")


def _encode(value: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")
