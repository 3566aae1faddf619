"""The emulator of ScaiVault as the tests of the driver use it: one for all, emptied for each."""

from __future__ import annotations

from contract_tests.shared_emulator import SharedEmulator
from kmsbridge_scaivault.emulator import ScaiVault

UNLIMITED = {
    f"{kind}_per_minute": 10**9
    for kind in ("reads", "writes", "deletes", "lists", "batch_reads", "batch_metadata", "whoami")
}
shared = SharedEmulator(ScaiVault, **UNLIMITED)
running, authority, emptied = shared.running, shared.authority, shared.emptied


def url(tenant: str = "", **options: str) -> str:
    """Where to connect to with a token."""
    said = "".join(f"&{name}={value}" for name, value in options.items())
    return f"scaivault://localhost:{running().port}/{tenant}?ca={authority()}{said}"


TOKEN_PATHS = {"post": "/oauth/token", "basic": "/api/v1/platform/oauth/token"}
"""Of the token service, by how it is told who asks: as ScaiVault's documents have it, and as ScaiKey's."""


def client_url(auth: str = "post", **options: str) -> str:
    """Where to connect to with the credentials of a client."""
    client = {"client_id": ScaiVault.client_id, "client_secret": ScaiVault.client_secret, "client_auth": auth}
    return url(**{**client, "token_url": running().url + TOKEN_PATHS[auth], **options})
