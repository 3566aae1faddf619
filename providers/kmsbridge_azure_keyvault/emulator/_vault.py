"""One vault, how it is set up, and one call to it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

from kmsbridge_azure_keyvault.emulator._base64url import decode, encode
from kmsbridge_azure_keyvault.emulator._items import Collection, Refused, Version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kmsbridge.emulation import Request
    from kmsbridge_azure_keyvault.emulator._items import Item
    from kmsbridge_azure_keyvault.emulator._material import KeyVersion


@dataclass(frozen=True, slots=True)
class Settings:
    """How the vaults of an emulator behave."""

    deletion_polls: int = 0
    """How many looks at a deleted item find nothing yet."""
    recovery_polls: int = 0
    """How many looks at a recovered item find nothing yet."""
    purge_polls: int = 0
    """How many tries to use the name of a purged item find it taken still."""
    retention_days: int = 90
    """How long a deleted item can be recovered; 7 to 90, or 0 for a vault without soft delete."""
    purge_protection: bool = False
    premium: bool = True
    """Whether keys may be HSM keys."""
    managed_hsm: bool = False
    """Whether ``https://localhost:<port>`` is a Managed HSM. Names under ``managedhsm.localhost`` always are."""
    region: str = "westeurope"
    firewall: bool = False
    """Whether the caller's address is refused."""
    private: bool = False
    """Whether public access is disabled."""
    denied: tuple[str, ...] = ()
    """Operations that the caller has no permission for."""
    rbac: bool = True
    """Whether permissions are roles; else access policies."""
    read_only: bool = False
    """Whether the region has failed over: reads work, writes do not."""
    requests_per_10_seconds: int = 0
    """More are throttled; 0 for no limit."""
    claims_challenge: int = 0
    """Tokens must have been asked for with a claim of this number; 0 for none. A new number refuses older tokens."""
    disabled_key_allows: tuple[str, ...] = ()
    """Which of encrypt, wrapKey and verify a disabled key does. The documents say none; some have seen all three."""
    write_seconds: int = 0
    """How far each write moves the clock on, so that versions made in one second can be told apart."""


@dataclass(slots=True)
class SecretVersion(Version):
    """One version of a secret."""

    value: str = field(default="", repr=False)
    content_type: str | None = None


class Vault:
    """What one vault, or one Managed HSM, holds."""

    def __init__(self) -> None:
        self.secrets: Collection[SecretVersion] = Collection("Secret")
        self.keys: Collection[KeyVersion] = Collection("Key")


class Backups:
    """What was backed up. The blob that the caller gets names it, and says nothing else."""

    def __init__(self) -> None:
        self._items: dict[str, tuple[str, Item[Any]]] = {}

    def take(self, kind: str, item: Item[Any]) -> str:
        """Keep a copy; its blob."""
        blob = encode(secrets.token_bytes(96))
        self._items[blob] = kind, item.copy()
        return blob

    def open(self, kind: str, blob: str) -> Item[Any]:
        """A copy of what a blob stands for."""
        found = self._items.get(blob)
        if found is None or found[0] != kind:
            raise Refused("UndecryptableBackup")
        return found[1].copy()


@dataclass(slots=True)
class Call:
    """One admitted call, as the operations see it."""

    request: Request
    vault: Vault
    settings: Settings
    backups: Backups
    now: float
    base: str
    """``https://`` and the host that the caller used: the beginning of every id."""
    hsm: bool
    body: dict[str, Any]

    @property
    def name(self) -> str:
        """The name in the path."""
        return self.request.params.get("name", "")

    @property
    def version(self) -> str:
        """The version in the path; empty for the newest."""
        return self.request.params.get("version", "")

    def text(self, field_name: str, *, required: bool = False) -> str | None:
        """A member of the body that must be a string if it is there."""
        value = self.body.get(field_name)
        if value is None and required:
            raise Refused("PropertyRequired", value=field_name)
        if not isinstance(value, str | None):
            raise Refused("InvalidProperty")
        return value

    def bytes(self, field_name: str, *, required: bool = True) -> bytes | None:
        """A member of the body that is base64url."""
        value = self.text(field_name, required=required)
        return None if value is None else decode(value, field_name)

    def attributes(self, version: Version) -> dict[str, Any]:
        """The attributes of a version, as bundles and listings show them."""
        days = self.settings.retention_days
        level = "Recoverable" if days == 90 else "CustomizedRecoverable"
        if not self.settings.purge_protection:
            level += "+Purgeable"
        shown = {
            "enabled": version.enabled, "nbf": version.nbf, "exp": version.exp, "created": version.created,
            "updated": version.updated, "recoveryLevel": level if days else "Purgeable", "recoverableDays": days,
        }
        return {name: value for name, value in shown.items() if value is not None}

    def deletion(self, collection: str, item: Item[Any]) -> dict[str, Any]:
        """What a deleted item has besides its bundle."""
        if item.deleted is None:
            return {}
        return {
            "recoveryId": f"{self.base}/{collection}/{item.name}",
            "deletedDate": item.deleted, "scheduledPurgeDate": item.purges,
        }
