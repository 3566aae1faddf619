"""The table of operations: what Key Vault and Managed HSM can be asked."""

from __future__ import annotations

from dataclasses import dataclass

from kmsbridge.emulation import Operation, entra

API_VERSIONS = ("2016-10-01", "7.0", "7.1", "7.2", "7.3", "7.4", "7.5", "7.6", "2025-07-01", "2026-04-01")
"""Oldest first."""
HSM_API_VERSIONS = API_VERSIONS[2:]
"""Those of Managed HSM. Previews of any of them (``7.6-preview.1``) are known as well."""


@dataclass(frozen=True, slots=True)
class VaultOperation(Operation):
    """One row. `permission` and `action` are the two names that a refusal can give it."""

    permission: str = ""
    """In access policies: ``secrets get``."""
    action: str = ""
    """In role definitions, after ``Microsoft.KeyVault/vaults/``."""
    internal: str = ""
    """As the service calls it when it cannot write; empty for what changes nothing."""
    on: str = "both"
    """``vault``, ``hsm`` or both."""

    @property
    def verb(self) -> str:
        """As messages name it: ``get``, ``wrapKey``."""
        return self.permission.partition(" ")[2]


def _secret(
    name: str, method: str, path: str, verb: str, action: str, internal: str = "", since: str = ""
) -> VaultOperation:
    return VaultOperation(name, method, path, since, False, f"secrets {verb}", f"secrets/{action}", internal, "vault")


def _key(
    name: str, method: str, path: str, verb: str, action: str, internal: str = "", on: str = "both", since: str = ""
) -> VaultOperation:
    return VaultOperation(name, method, path, since, False, f"keys {verb}", action, internal, on)


SECRETS = (
    # name, method, path, permission, action, internal name of a write
    _secret("SetSecret", "PUT", "/secrets/{name}", "set", "setSecret/action", "SecretSet"),
    _secret("GetSecrets", "GET", "/secrets", "list", "readMetadata/action"),
    _secret("GetSecretVersions", "GET", "/secrets/{name}/versions", "list", "readMetadata/action"),
    _secret("GetSecret", "GET", "/secrets/{name}/{version?}", "get", "getSecret/action"),
    _secret("UpdateSecret", "PATCH", "/secrets/{name}/{version?}", "set", "update/action", "SecretUpdate"),
    _secret("DeleteSecret", "DELETE", "/secrets/{name}", "delete", "delete", "SecretDelete"),
    _secret("GetDeletedSecrets", "GET", "/deletedsecrets", "list", "readMetadata/action"),
    _secret("GetDeletedSecret", "GET", "/deletedsecrets/{name}", "get", "readMetadata/action"),
    _secret(
        "RecoverDeletedSecret", "POST", "/deletedsecrets/{name}/recover", "recover", "recover/action", "SecretRecover"
    ),
    _secret("PurgeDeletedSecret", "DELETE", "/deletedsecrets/{name}", "purge", "purge/action", "SecretPurge"),
    _secret("BackupSecret", "POST", "/secrets/{name}/backup", "backup", "backup/action"),
    _secret("RestoreSecret", "POST", "/secrets/restore", "restore", "restore/action", "SecretRestore"),
)

KEYS = (
    _key("CreateKey", "POST", "/keys/{name}/create", "create", "keys/create/action", "KeyCreate"),
    _key("ImportKey", "PUT", "/keys/{name}", "import", "keys/import/action", "KeyImport"),
    _key("GetKeys", "GET", "/keys", "list", "keys/read"),
    _key("GetKeyVersions", "GET", "/keys/{name}/versions", "list", "keys/read"),
    _key(
        "GetKeyRotationPolicy", "GET", "/keys/{name}/rotationpolicy", "getrotationpolicy", "keyrotationpolicies/read",
        since="7.3",
    ),
    _key(
        "UpdateKeyRotationPolicy", "PUT", "/keys/{name}/rotationpolicy", "setrotationpolicy",
        "keyrotationpolicies/write", "KeyRotationPolicySet", since="7.3",
    ),
    _key(
        "RotateKey", "POST", "/keys/{name}/rotate", "rotate", "keys/rotate/action", "KeyRotate", "vault", since="7.3"
    ),
    _key("BackupKey", "POST", "/keys/{name}/backup", "backup", "keys/backup/action"),
    _key("RestoreKey", "POST", "/keys/restore", "restore", "keys/restore/action", "KeyRestore"),
    _key("GetKey", "GET", "/keys/{name}/{version?}", "get", "keys/read"),
    _key("UpdateKey", "PATCH", "/keys/{name}/{version?}", "update", "keys/update/action", "KeyUpdate"),
    _key("DeleteKey", "DELETE", "/keys/{name}", "delete", "keys/delete", "KeyDelete"),
    _key("Encrypt", "POST", "/keys/{name}/{version}/encrypt", "encrypt", "keys/encrypt/action"),
    _key("Decrypt", "POST", "/keys/{name}/{version}/decrypt", "decrypt", "keys/decrypt/action"),
    _key("WrapKey", "POST", "/keys/{name}/{version}/wrapkey", "wrapKey", "keys/wrap/action"),
    _key("UnwrapKey", "POST", "/keys/{name}/{version}/unwrapkey", "unwrapKey", "keys/unwrap/action"),
    _key("Sign", "POST", "/keys/{name}/{version}/sign", "sign", "keys/sign/action"),
    _key("Verify", "POST", "/keys/{name}/{version}/verify", "verify", "keys/verify/action"),
    _key("GetDeletedKeys", "GET", "/deletedkeys", "list", "keys/read"),
    _key("GetDeletedKey", "GET", "/deletedkeys/{name}", "get", "keys/read"),
    _key("RecoverDeletedKey", "POST", "/deletedkeys/{name}/recover", "recover", "keys/recover/action", "KeyRecover"),
    _key("PurgeDeletedKey", "DELETE", "/deletedkeys/{name}", "purge", "keys/purge/action", "KeyPurge"),
    _key("GetRandomBytes", "POST", "/rng", "rng", "rng/action", on="hsm", since="7.3"),
)

OPERATIONS = (*SECRETS, *KEYS, *entra.OPERATIONS)
