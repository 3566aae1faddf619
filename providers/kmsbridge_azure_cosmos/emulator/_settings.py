"""How the account behaves, and where its regions are."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from kmsbridge_azure_cosmos.emulator._customer_key import USABLE, error_of

REGIONAL = "documents.localhost"
"""Under this name are the addresses of regions."""
_QUERY_ENGINE = {"maxSqlQueryInputLength": 262144, "maxJoinsPerSqlQuery": 10, "maxLogicalAndPerSqlQuery": 2000}


@dataclass(frozen=True, slots=True)
class Settings:
    """Of the account. All data: nothing here sleeps."""

    containers: tuple[str, ...] = ()
    """What a deployment has made: ``database/container/path``, the last being that of the partition key."""
    regions: tuple[str, ...] = ("West Europe",)
    """``https://localhost:<port>`` leads to the first, whatever the account says: names are slow to follow."""
    write_region: str = ""
    """The one that writes; empty for the first."""
    removed: tuple[str, ...] = ()
    """Regions that the account is just being added to or removed from: they answer 403/1008."""
    key: str = USABLE
    """What has become of the customer-managed key: see `emulator._customer_key.STATES`."""
    writes_time_out: bool = False
    """Whether writes end as 408, as they are documented to, while the key is not usable."""
    creation_seconds: int = 0
    """How long a new container answers 404/1013, by the emulator's clock."""
    items_per_page: int = 0
    """The most that a page holds, however many are asked for; 0 is no limit."""
    request_units_per_second: int = 0
    """More are throttled (429/3200); 0 is no limit."""
    firewall: bool = False
    """Whether the caller's network is refused."""
    local_auth: bool = True
    """Whether the account takes its key."""
    denied: tuple[str, ...] = ()
    """Operations for which the identity of a token has no role."""

    def __post_init__(self) -> None:
        error_of(self.key)
        if wrong := [each for each in self.containers if not re.fullmatch(r"[^/]+/[^/]+(?:/[^/]+)+", each)]:
            raise ValueError(f"{wrong[0]!r} is not database/container/path")
        if not self.regions:
            raise ValueError("an account has a region")
        if unknown := {self.write_region or self.regions[0], *self.removed} - set(self.regions):
            raise ValueError(f"no region {', '.join(sorted(unknown))} in regions")

    @property
    def writes(self) -> str:
        """The region that writes."""
        return self.write_region or self.regions[0]

    def region_of(self, host: str) -> str | None:
        """The region at an address; None where there is none."""
        name = host.rpartition(":")[0] or host
        if not name.endswith(f".{REGIONAL}"):
            return self.regions[0]
        return next((region for region in self.regions if name == f"{_label(region)}.{REGIONAL}"), None)

    def account(self, host: str) -> dict[str, Any]:
        """What the account says of itself to who asks at this address."""
        readable = [{"name": each, "databaseAccountEndpoint": self._endpoint(each, host)} for each in self.regions]
        return {
            "_self": "", "id": "localhost", "_rid": "localhost", "media": "//media/", "addresses": "//addresses/",
            "_dbs": "//dbs/",
            "writableLocations": [each for each in readable if each["name"] == self.writes],
            "readableLocations": readable,
            "enableMultipleWriteLocations": False,
            "enablePerPartitionFailoverBehavior": False,
            "continuousBackupEnabled": False,
            "userReplicationPolicy": {"asyncReplication": False, "minReplicaSetSize": 3, "maxReplicasetSize": 4},
            "userConsistencyPolicy": {"defaultConsistencyLevel": "Session"},
            "systemReplicationPolicy": {"minReplicaSetSize": 3, "maxReplicasetSize": 4},
            "readPolicy": {"primaryReadCoefficient": 1, "secondaryReadCoefficient": 1},
            "queryEngineConfiguration": json.dumps(_QUERY_ENGINE, separators=(",", ":")),
        }  # fmt: skip

    def _endpoint(self, region: str, host: str) -> str:
        if len(self.regions) == 1:  # as the client sees it, also through a mapped port
            return f"https://{host}/"
        port = host.rpartition(":")[2]
        return f"https://{_label(region)}.{REGIONAL}:{port}/"


def _label(region: str) -> str:
    return re.sub(r"[^a-z0-9]", "", region.lower())
