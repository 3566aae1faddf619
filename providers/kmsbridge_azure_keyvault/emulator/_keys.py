"""The operations on keys."""

from __future__ import annotations

from typing import Any

from kmsbridge_azure_keyvault.emulator import _rotation as rotation
from kmsbridge_azure_keyvault.emulator._items import Item, Refused, change, checked_name, new_version, page
from kmsbridge_azure_keyvault.emulator._material import (
    ALL_OPERATIONS,
    OPERATIONS,
    KeyVersion,
    from_jwk,
    generate,
    public_jwk,
    renew,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kmsbridge_azure_keyvault.emulator._material import Material
    from kmsbridge_azure_keyvault.emulator._vault import Call

TAG_CHARACTERS = 256


# -- life of a key ----------------------------------------------------------------------


def create_key(call: Call) -> dict[str, Any]:
    """Make a key, or a new version of one."""
    kty = _kty(call, call.text("kty", required=True) or "")
    size, exponent = call.body.get("key_size"), call.body.get("public_exponent")
    if not isinstance(size, int | None) or not isinstance(exponent, int | None):
        raise Refused("InvalidProperty")
    return _add(call, kty, lambda: generate(kty, size, call.text("crv"), exponent), call.body.get("key_ops"))


def import_key(call: Call) -> dict[str, Any]:
    """Take in a key that was made elsewhere."""
    jwk = call.body.get("key")
    if not isinstance(jwk, dict):
        raise Refused("PropertyRequired", value="key")
    given = str(jwk.get("kty", ""))
    hardware = call.body.get("Hsm") is True and not given.endswith("-HSM")
    kty = _kty(call, f"{given}-HSM" if hardware else given)
    return _add(call, kty, lambda: from_jwk(jwk), jwk.get("key_ops"))


def get_key(call: Call) -> dict[str, Any]:
    """The public part of one version, disabled or not."""
    return _bundle(call, *find_key(call))


def update_key(call: Call) -> dict[str, Any]:
    """Change what a version may be used for, its times, tags and release policy."""
    item, version = find_key(call)
    asked = (call.body.get("attributes") or {}).get("exportable")
    if asked is not None and asked != bool(version.exportable):
        raise Refused("ExportableUnchangeable")
    policy = call.body.get("release_policy")
    if policy is not None and (version.release_policy or {}).get("immutable"):
        raise Refused("PolicyImmutable")
    key_ops = _key_ops(call.body.get("key_ops"), version.key_ops)
    change(version, call.body, call.now, tag_size=TAG_CHARACTERS)
    version.key_ops = key_ops
    version.release_policy = version.release_policy if policy is None else policy
    return _bundle(call, item, version)


def get_keys(call: Call) -> dict[str, Any]:
    """The newest version of each key, without its public part."""
    rows = [
        (item.name.lower(), _listed(call, _rotated(call, item), item.latest, with_version=False))
        for item in call.vault.keys.alive(call.now)
    ]
    return page(rows, call.request, call.base)


def get_key_versions(call: Call) -> dict[str, Any]:
    """All versions of a key, in no useful order: by their names, which are random."""
    item = _rotated(call, call.vault.keys.find(checked_name(call.name), call.now, looking=True))
    return page([(version.id, _listed(call, item, version)) for version in item.versions], call.request, call.base)


def delete_key(call: Call) -> dict[str, Any]:
    """Delete all versions."""
    settings = call.settings
    item = call.vault.keys.delete(checked_name(call.name), call.now, settings.retention_days, settings.deletion_polls)
    return {**_bundle(call, item, item.latest), **call.deletion("deletedkeys", item)}


def get_deleted_keys(call: Call) -> dict[str, Any]:
    """Everything that is soft-deleted."""
    deleted = call.vault.keys.deleted(call.now)
    listed = [{**_listed(call, item, item.latest, with_version=False), **call.deletion("deletedkeys", item)}
              for item in deleted]
    return page([(item.name.lower(), row) for item, row in zip(deleted, listed, strict=True)], call.request, call.base)


def get_deleted_key(call: Call) -> dict[str, Any]:
    """One soft-deleted key, once its deletion is over."""
    item = call.vault.keys.find_deleted(checked_name(call.name), call.now, looking=True)
    return {**_bundle(call, item, item.latest), **call.deletion("deletedkeys", item)}


def recover_deleted_key(call: Call) -> dict[str, Any]:
    """Let a soft-deleted key be there again."""
    item = call.vault.keys.recover(checked_name(call.name), call.now, call.settings.recovery_polls)
    return _bundle(call, item, item.latest)


def purge_deleted_key(call: Call) -> None:
    """Forget a soft-deleted key."""
    if call.settings.purge_protection:
        raise Refused("PurgeProtected")
    if not call.settings.retention_days:
        raise Refused("PurgeNotEnabled")
    call.vault.keys.purge(checked_name(call.name), call.now, call.settings.purge_polls)


def backup_key(call: Call) -> dict[str, Any]:
    """All versions in one opaque blob."""
    return {"value": call.backups.take("Key", call.vault.keys.find(checked_name(call.name), call.now))}


def restore_key(call: Call) -> dict[str, Any]:
    """All versions out of such a blob, under their old name."""
    item: Item[KeyVersion] = call.backups.open("Key", call.text("value", required=True) or "")
    if call.vault.keys.room_for(item.name, call.now).versions:
        raise Refused("AlreadyExists", name=item.name)
    call.vault.keys.put(item)
    return _bundle(call, item, item.latest)


# -- rotation ---------------------------------------------------------------------------


def rotate_key(call: Call) -> dict[str, Any]:
    """A new version with new material of the same kind."""
    item = call.vault.keys.find(checked_name(call.name), call.now)
    _rotate(item, call.now)
    return _bundle(call, item, item.latest)


def get_key_rotation_policy(call: Call) -> dict[str, Any]:
    """The policy of a key, or the default."""
    return _policy(call, call.vault.keys.find(checked_name(call.name), call.now))


def update_key_rotation_policy(call: Call) -> dict[str, Any]:
    """Set the policy of a key."""
    item = call.vault.keys.find(checked_name(call.name), call.now)
    old = item.extra.get("policy", {"attributes": {}})["attributes"]
    attributes = {"created": old.get("created", int(call.now)), "updated": int(call.now)}
    policy = rotation.checked(call.body)
    item.extra["policy"] = {**policy, "attributes": {**policy["attributes"], **attributes}}
    return _policy(call, item)


def _policy(call: Call, item: Item[KeyVersion]) -> dict[str, Any]:
    policy: dict[str, Any] = item.extra.get("policy") or rotation.default()
    return {"id": f"{call.base}/keys/{item.name}/rotationpolicy", **policy}


def _rotate(item: Item[KeyVersion], now: float) -> None:
    old, made = item.latest, int(now)
    new = KeyVersion(
        new_version(), made, made, tags=old.tags, kty=old.kty, material=renew(old.material), key_ops=old.key_ops,
        exportable=old.exportable, release_policy=old.release_policy,
    )
    new.exp = rotation.expiry(item.extra.get("policy") or rotation.default(), now)
    item.versions.append(new)


def _rotated(call: Call, item: Item[KeyVersion]) -> Item[KeyVersion]:
    """The item, after its policy has been carried out as far as the clock asks for."""
    policy = item.extra.get("policy")
    for _ in range(100):  # a policy is a week at least, so this is two years of a moved clock
        when = rotation.due(policy, item.latest.created, item.latest.exp) if policy else None
        if when is None or when > call.now:
            break
        _rotate(item, when)
    return item


# -- parts ------------------------------------------------------------------------------


def find_key(call: Call) -> tuple[Item[KeyVersion], KeyVersion]:
    """The key and version of a call; of the newest, after its policy has been carried out."""
    item, version = call.vault.keys.find_version(checked_name(call.name), call.version, call.now, call.request.method)
    return (item, version) if call.version else (item, _rotated(call, item).latest)


def _kty(call: Call, asked: str) -> str:
    """The kind of a key to be: everything in a Managed HSM is in hardware, and in a vault only premium has any."""
    family = asked.removesuffix("-HSM")
    if family not in OPERATIONS:
        raise Refused("InvalidProperty")
    if call.hsm:
        return f"{family}-HSM"
    if asked == "oct" or (asked.endswith("-HSM") and not call.settings.premium):
        raise Refused("InvalidProperty")
    return asked


def _add(call: Call, kty: str, material: Callable[[], Material], key_ops: Any) -> dict[str, Any]:
    """Add a version to the key of that name. Its material is made last, as that takes long."""
    name = checked_name(call.name)
    item = call.vault.keys.room_for(name, call.now)
    family, now = kty.removesuffix("-HSM"), int(call.now)
    version = KeyVersion(new_version(), now, now, kty=kty, key_ops=_key_ops(key_ops, OPERATIONS[family]))
    change(version, call.body, call.now, tag_size=TAG_CHARACTERS)
    version.exportable = (call.body.get("attributes") or {}).get("exportable")
    version.release_policy = call.body.get("release_policy")
    if version.exportable and not (call.hsm or call.settings.premium):
        raise Refused("ExportableNeedsPremium")
    if version.exportable and not kty.endswith("-HSM"):
        raise Refused("ExportableNeedsHsm")
    if version.exportable and version.release_policy is None:
        raise Refused("HsmExportableNeedsPolicy" if call.hsm else "ExportableNeedsPolicy")
    if version.release_policy is not None and not version.exportable:
        raise Refused("PolicyNeedsExportable")
    version.material = material()
    item.versions.append(version)
    call.vault.keys.put(item)
    return _bundle(call, item, version)


def _key_ops(given: Any, otherwise: tuple[str, ...]) -> tuple[str, ...]:
    if given is None:
        return otherwise
    if not isinstance(given, list) or not all(isinstance(each, str) and each in ALL_OPERATIONS for each in given):
        raise Refused("InvalidProperty")
    return tuple(dict.fromkeys(given))


def kid_of(call: Call, item: Item[KeyVersion], version: KeyVersion) -> str:
    """The id of a version."""
    return f"{call.base}/keys/{item.name}/{version.id}"


def _attributes(call: Call, version: KeyVersion) -> dict[str, Any]:
    exportable = {} if version.exportable is None else {"exportable": version.exportable}
    return {**call.attributes(version), **exportable}


def _bundle(call: Call, item: Item[KeyVersion], version: KeyVersion) -> dict[str, Any]:
    shown = {
        "key": public_jwk(version, kid_of(call, item, version)), "attributes": _attributes(call, version),
        "tags": version.tags, "release_policy": version.release_policy,
    }
    return {name: each for name, each in shown.items() if each is not None}


def _listed(call: Call, item: Item[KeyVersion], version: KeyVersion, *, with_version: bool = True) -> dict[str, Any]:
    kid = kid_of(call, item, version) if with_version else f"{call.base}/keys/{item.name}"
    shown = {"kid": kid, "attributes": _attributes(call, version), "tags": version.tags}
    return {name: each for name, each in shown.items() if each is not None}


HANDLERS: dict[str, Callable[[Call], dict[str, Any] | None]] = {
    "CreateKey": create_key,
    "ImportKey": import_key,
    "GetKey": get_key,
    "UpdateKey": update_key,
    "GetKeys": get_keys,
    "GetKeyVersions": get_key_versions,
    "DeleteKey": delete_key,
    "GetDeletedKeys": get_deleted_keys,
    "GetDeletedKey": get_deleted_key,
    "RecoverDeletedKey": recover_deleted_key,
    "PurgeDeletedKey": purge_deleted_key,
    "BackupKey": backup_key,
    "RestoreKey": restore_key,
    "RotateKey": rotate_key,
    "GetKeyRotationPolicy": get_key_rotation_policy,
    "UpdateKeyRotationPolicy": update_key_rotation_policy,
}
