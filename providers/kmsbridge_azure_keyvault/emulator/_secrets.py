"""The operations on secrets."""

from __future__ import annotations

from typing import Any

from kmsbridge_azure_keyvault.emulator._items import Item, Refused, change, checked_name, new_version, page
from kmsbridge_azure_keyvault.emulator._vault import SecretVersion

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kmsbridge_azure_keyvault.emulator._vault import Call

VALUE_BYTES = 25_600
CONTENT_TYPE_CHARACTERS = 255
TAG_CHARACTERS = 512


def set_secret(call: Call) -> dict[str, Any]:
    """Add a version; the name is made if it is not there."""
    name = checked_name(call.name)
    value = call.text("value", required=True) or ""
    if len(value.encode()) > VALUE_BYTES:
        raise Refused("InvalidProperty")
    item = call.vault.secrets.room_for(name, call.now)
    now = int(call.now)
    version = SecretVersion(new_version(), now, now, value=value, content_type=_content_type(call))
    change(version, call.body, call.now, tag_size=TAG_CHARACTERS)
    item.versions.append(version)
    call.vault.secrets.put(item)
    return _bundle(call, item, version)


def get_secret(call: Call) -> dict[str, Any]:
    """One version with its value. Its times are told and not enforced."""
    item, version = _find(call)
    if not version.enabled:
        raise Refused("SecretDisabled")
    return _bundle(call, item, version)


def update_secret(call: Call) -> dict[str, Any]:
    """Change what is known about a version; never its value, which is not shown either."""
    item, version = _find(call)
    content_type = _content_type(call)
    change(version, call.body, call.now, tag_size=TAG_CHARACTERS)
    version.content_type = version.content_type if content_type is None else content_type
    return _bundle(call, item, version, value=False)


def get_secrets(call: Call) -> dict[str, Any]:
    """The newest version of each secret, without value and without the version in its id."""
    rows = [
        (item.name.lower(), _bundle(call, item, item.latest, value=False, with_version=False))
        for item in call.vault.secrets.alive(call.now)
    ]
    return page(rows, call.request, call.base)


def get_secret_versions(call: Call) -> dict[str, Any]:
    """All versions of a secret, in no useful order: by their names, which are random."""
    item = call.vault.secrets.find(checked_name(call.name), call.now, looking=True)
    rows = [(version.id, _bundle(call, item, version, value=False)) for version in item.versions]
    return page(rows, call.request, call.base)


def delete_secret(call: Call) -> dict[str, Any]:
    """Delete all versions."""
    settings = call.settings
    name = checked_name(call.name)
    item = call.vault.secrets.delete(name, call.now, settings.retention_days, settings.deletion_polls)
    return _deleted(call, item)


def get_deleted_secrets(call: Call) -> dict[str, Any]:
    """Everything that is soft-deleted."""
    deleted = call.vault.secrets.deleted(call.now)
    rows = [(item.name.lower(), _deleted(call, item, with_version=False)) for item in deleted]
    return page(rows, call.request, call.base)


def get_deleted_secret(call: Call) -> dict[str, Any]:
    """One soft-deleted secret, once its deletion is over."""
    return _deleted(call, call.vault.secrets.find_deleted(checked_name(call.name), call.now, looking=True))


def recover_deleted_secret(call: Call) -> dict[str, Any]:
    """Let a soft-deleted secret be there again."""
    item = call.vault.secrets.recover(checked_name(call.name), call.now, call.settings.recovery_polls)
    return _bundle(call, item, item.latest, value=False)


def purge_deleted_secret(call: Call) -> None:
    """Forget a soft-deleted secret."""
    if call.settings.purge_protection:
        raise Refused("PurgeProtected")
    if not call.settings.retention_days:
        raise Refused("PurgeNotEnabled")
    call.vault.secrets.purge(checked_name(call.name), call.now, call.settings.purge_polls)


def backup_secret(call: Call) -> dict[str, Any]:
    """All versions in one opaque blob."""
    return {"value": call.backups.take("Secret", call.vault.secrets.find(checked_name(call.name), call.now))}


def restore_secret(call: Call) -> dict[str, Any]:
    """All versions out of such a blob, under their old name."""
    item: Item[SecretVersion] = call.backups.open("Secret", call.text("value", required=True) or "")
    if call.vault.secrets.room_for(item.name, call.now).versions:
        raise Refused("AlreadyExists", name=item.name)
    call.vault.secrets.put(item)
    return _bundle(call, item, item.latest, value=False)


def _find(call: Call) -> tuple[Item[SecretVersion], SecretVersion]:
    return call.vault.secrets.find_version(checked_name(call.name), call.version, call.now, call.request.method)


def _content_type(call: Call) -> str | None:
    content_type = call.text("contentType")
    if content_type is not None and len(content_type) > CONTENT_TYPE_CHARACTERS:
        raise Refused("InvalidProperty")
    return content_type


def _bundle(
    call: Call, item: Item[SecretVersion], version: SecretVersion, *, value: bool = True, with_version: bool = True,
    collection: str = "secrets",
) -> dict[str, Any]:
    shown = {
        "value": version.value if value else None,
        "id": f"{call.base}/{collection}/{item.name}" + (f"/{version.id}" if with_version else ""),
        "contentType": version.content_type,
        "attributes": call.attributes(version),
        "tags": version.tags,
    }
    return {name: each for name, each in shown.items() if each is not None}


def _deleted(call: Call, item: Item[SecretVersion], *, with_version: bool = True) -> dict[str, Any]:
    return {
        **_bundle(call, item, item.latest, value=False, with_version=with_version),
        **call.deletion("deletedsecrets", item),
    }


HANDLERS: dict[str, Callable[[Call], dict[str, Any] | None]] = {
    "SetSecret": set_secret,
    "GetSecret": get_secret,
    "UpdateSecret": update_secret,
    "GetSecrets": get_secrets,
    "GetSecretVersions": get_secret_versions,
    "DeleteSecret": delete_secret,
    "GetDeletedSecrets": get_deleted_secrets,
    "GetDeletedSecret": get_deleted_secret,
    "RecoverDeletedSecret": recover_deleted_secret,
    "PurgeDeletedSecret": purge_deleted_secret,
    "BackupSecret": backup_secret,
    "RestoreSecret": restore_secret,
}
