"""The table of operations: what can be asked, what it takes to be allowed, and what it is counted as."""

from __future__ import annotations

from dataclasses import dataclass

from kmsbridge.emulation import Operation
from kmsbridge_scaivault.emulator import _assumed


@dataclass(frozen=True, slots=True)
class VaultOperation(Operation):
    """One row. The vendor's reference has no names of operations; these are its SDK's methods, in our spelling."""

    scope: str = ""
    """What the token must have; empty for nothing."""
    counted: str = ""
    """The setting with its limit, which stands for its category; empty where nothing is counted."""
    open: bool = False
    """Whether it is answered without a token."""


READS, WRITES, DELETES, LISTS = "reads_per_minute", "writes_per_minute", "deletes_per_minute", "lists_per_minute"
BATCH_READS, BATCH_METADATA, WHOAMI = "batch_reads_per_minute", "batch_metadata_per_minute", "whoami_per_minute"

TOKEN = (
    Operation("Token", "POST", "/oauth/token", auxiliary=True),  # as ScaiVault's documents have it
    Operation("Token", "POST", "/api/v1/platform/oauth/token", auxiliary=True),  # as ScaiKey's have it
    Operation("Token", "POST", "/api/v1/auth/tenants/{slug}/oauth/token", auxiliary=True),
)
SYSTEM = (
    VaultOperation("Health", "GET", "/v1/health", open=True),
    VaultOperation("Ready", "GET", "/v1/health/ready", open=True),
    VaultOperation("Version", "GET", "/v1/version", open=True),
    VaultOperation("WhoAmI", "GET", "/v1/auth/whoami", counted=WHOAMI),
)
SECRETS = (
    VaultOperation("BatchMetadata", "POST", _assumed.BATCH_METADATA_PATH, scope="secrets:list", counted=BATCH_METADATA),
    VaultOperation("BatchRead", "POST", "/v1/secrets/batch", scope="secrets:read", counted=BATCH_READS),
    VaultOperation("ListSecrets", "GET", "/v1/secrets", scope="secrets:list", counted=LISTS),
    VaultOperation("ListVersions", "GET", _assumed.VERSIONS_PATH, scope="secrets:list", counted=LISTS),
    VaultOperation("ReadSecret", "GET", "/v1/secrets/{path*}", scope="secrets:read", counted=READS),
    VaultOperation("WriteSecret", "PUT", "/v1/secrets/{path*}", scope="secrets:write", counted=WRITES),
    VaultOperation(
        "UpdateMetadata", _assumed.UPDATE_METHOD, "/v1/secrets/{path*}", scope="secrets:write", counted=WRITES
    ),
    VaultOperation("DeleteSecret", "DELETE", "/v1/secrets/{path*}", scope="secrets:delete", counted=DELETES),
)
OPERATIONS = (*TOKEN, *SYSTEM, *SECRETS)
