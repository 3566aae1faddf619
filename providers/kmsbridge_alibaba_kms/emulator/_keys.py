"""What can be done with keys and their aliases; their use is in `_uses`."""

from __future__ import annotations

import re
import uuid
from typing import Any

from kmsbridge_alibaba_kms.emulator._known import Refused
from kmsbridge_alibaba_kms.emulator._material import USAGES, generate
from kmsbridge_alibaba_kms.emulator._state import DAY, Key, KeyVersion, moment, tags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kmsbridge_alibaba_kms.emulator._state import Account, Call

# The reserved word is a segment: aliases of the service itself are alias/acs/<product>.
_ALIAS = re.compile(r"alias/(?!acs(/|$))[A-Za-z0-9_/-]{1,249}")
MAX_VERSIONS = 50
MIN_INTERVAL_DAYS, MAX_INTERVAL_DAYS, MAX_FIRST_INTERVAL_DAYS = 7, 730, 365
SYMMETRIC = ("Aliyun_AES_256", "Aliyun_SM4")
_INTERVAL = re.compile(r"([0-9]{1,9})([dhms])")
_UNITS = {"d": DAY, "h": 3_600, "m": 60, "s": 1}
ENABLED, DISABLED, PENDING_DELETION, PENDING_IMPORT = "Enabled", "Disabled", "PendingDeletion", "PendingImport"


def create(call: Call) -> dict[str, Any]:
    """A new key; one whose material comes from outside has none yet."""
    spec = call.text("KeySpec", "Aliyun_AES_256")
    usages = USAGES.get(spec)
    if usages is None:
        raise Refused("UnsupportedOperation")
    usage, origin = call.text("KeyUsage", usages[0]), call.text("Origin", "Aliyun_KMS")
    protection = call.text("ProtectionLevel", "SOFTWARE")
    known = usage in usages and origin in ("Aliyun_KMS", "EXTERNAL") and protection in ("SOFTWARE", "HSM")
    if not known:
        raise Refused("InvalidParameter")
    instance = call.instance()
    id_ = f"key-hzz{uuid.uuid4().hex[:18]}" if instance else str(uuid.uuid4())
    key = Key(
        id_, call.arn("key", id_), spec, usage, origin, protection, call.now, ENABLED, call.text("Description"),
        instance, tags=tags(call),
    )  # fmt: skip
    if origin == "EXTERNAL":
        key.state = PENDING_IMPORT
    else:
        _add_version(key, call.now)
    _set_rotation(call, key, MAX_FIRST_INTERVAL_DAYS)
    call.account.keys[id_] = key
    return {"KeyMetadata": _metadata(call, key)}


def describe(call: Call) -> dict[str, Any]:
    """A key, by id, ARN or alias."""
    return {"KeyMetadata": _metadata(call, find(call))}


def list_keys(call: Call) -> dict[str, Any]:
    """All."""
    found = [each for each in call.account.keys.values() if _fits(call, each)]
    page, told = call.page(found)
    return {"Keys": {"Key": [{"KeyId": each.id, "KeyArn": each.arn} for each in page]}, **told}


def _fits(call: Call, key: Key) -> bool:
    for each in call.json("Filters", list):
        if not isinstance(each, dict) or not isinstance(values := each.get("Values"), list):
            raise Refused("InvalidParameter")
        has = {
            "KeyState": key.state, "KeySpec": key.spec, "KeyUsage": key.usage, "ProtectionLevel": key.protection,
            "DKMSInstanceId": key.instance,
        }.get(str(each.get("Key")))  # fmt: skip
        if has is None:
            raise Refused("InvalidParameter")
        if has not in values:
            return False
    return True


def create_version(call: Call) -> dict[str, Any]:
    """New material, which is used from now on: of asymmetric keys, and of those in no instance."""
    key = usable(find(call))
    if key.origin != "Aliyun_KMS":
        raise Refused("Unsupported.Origin")
    soonest = key.versions[-1].created + call.settings.version_days * DAY
    if key.spec in SYMMETRIC or key.instance or call.now < soonest:
        raise Refused("Rejected.UnsupportedOperation")
    if len(key.versions) >= MAX_VERSIONS:
        raise Refused("Rejected.LimitExceeded")
    return {"KeyVersion": _version(key, _add_version(key, call.now))}


def update_rotation(call: Call) -> dict[str, Any]:
    """Let a symmetric key get versions by itself, or no longer."""
    key = usable(find(call))
    _set_rotation(call, key, MAX_INTERVAL_DAYS)
    return {}


def _set_rotation(call: Call, key: Key, most: int) -> None:
    """By the parameters of the call; the interval is a number with its unit."""
    if not call.flag("EnableAutomaticRotation"):
        key.rotates_every = key.rotates = None
        return
    if key.spec not in SYMMETRIC or key.origin != "Aliyun_KMS":
        raise Refused("Rejected.UnsupportedOperation")
    found = _INTERVAL.fullmatch(call.text("RotationInterval", "365d"))
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if not MIN_INTERVAL_DAYS * DAY <= seconds <= most * DAY:
        raise Refused("InvalidParameter")
    key.rotates_every, key.rotates = seconds, call.now + seconds


def rotate_due(account: Account, now: float) -> None:
    """Give each key the version that it was to get by now; one, however long nobody looked."""
    for key in account.keys.values():
        if key.rotates is not None and key.rotates_every is not None and key.rotates <= now and key.state == ENABLED:
            _add_version(key, key.rotates)
            key.rotates = now + key.rotates_every


def describe_version(call: Call) -> dict[str, Any]:
    """One version."""
    key = find(call)
    return {"KeyVersion": _version(key, version_of(key, call.text("KeyVersionId")))}


def list_versions(call: Call) -> dict[str, Any]:
    """All versions of a key."""
    key = find(call)
    page, told = call.page(key.versions)
    return {"KeyVersions": {"KeyVersion": [_version(key, each) for each in page]}, **told}


def enable(call: Call) -> dict[str, Any]:
    """Let it be used; also where it can be already."""
    _changeable(find(call)).state = ENABLED
    return {}


def disable(call: Call) -> dict[str, Any]:
    """Let it not be used; also where it cannot be already."""
    _changeable(find(call)).state = DISABLED
    return {}


def _changeable(key: Key) -> Key:
    if key.state in (PENDING_DELETION, PENDING_IMPORT):
        raise Refused("Rejected.StateModifiedFailed")
    return key


def update_description(call: Call) -> dict[str, Any]:
    """Another description."""
    key = find(call)
    if key.state == PENDING_DELETION:
        raise Refused("Rejected.PendingDeletion")
    key.description = call.text("Description")
    return {}


def schedule_deletion(call: Call) -> dict[str, Any]:
    """Let it be gone after so many days."""
    key, days = find(call), call.number("PendingWindowInDays", 0, 7, 366)
    if key.state == PENDING_DELETION:
        raise Refused("Rejected.PendingDeletion")
    key.state, key.deletes = PENDING_DELETION, call.now + days * DAY
    return {}


def cancel_deletion(call: Call) -> dict[str, Any]:
    """Keep it after all: it is enabled then, whatever it was before."""
    key = find(call)
    if key.state != PENDING_DELETION:
        raise Refused("Rejected.StateModifiedFailed")
    key.state, key.deletes = ENABLED if key.versions else PENDING_IMPORT, None
    return {}


def create_alias(call: Call) -> dict[str, Any]:
    """A name for a key."""
    alias = call.text("AliasName")
    if not _ALIAS.fullmatch(alias):
        raise Refused("InvalidParameter")
    key = find(call)
    if key.state == PENDING_DELETION:
        raise Refused("Rejected.PendingDeletion")
    if alias in call.account.aliases:
        raise Refused("AliasAlreadyExists")
    call.account.aliases[alias] = key.id
    return {}


def update_alias(call: Call) -> dict[str, Any]:
    """The same name for another key."""
    alias, key = _alias(call), find(call)
    if key.state == PENDING_DELETION:
        raise Refused("Rejected.PendingDeletion")
    call.account.aliases[alias] = key.id
    return {}


def delete_alias(call: Call) -> dict[str, Any]:
    """The key stays."""
    del call.account.aliases[_alias(call)]
    return {}


def list_aliases(call: Call) -> dict[str, Any]:
    """All, or those of one key."""
    of = find(call).id if call.text("KeyId") else None
    page, told = call.page([(alias, id_) for alias, id_ in call.account.aliases.items() if of in (None, id_)])
    listed = [
        {"AliasName": alias, "AliasArn": call.arn(alias.partition("/")[0], alias.partition("/")[2]), "KeyId": id_}
        for alias, id_ in page
    ]
    return {"Aliases": {"Alias": listed}, **told}


def find(call: Call) -> Key:
    """The key that is named, by its id, its ARN or an alias.

    Raises:
        Refused: It is not there.
    """
    named = call.text("KeyId").removeprefix(call.arn("", "").removesuffix("/"))
    named = named.removeprefix("key/")
    if named.startswith("alias/"):
        if named not in call.account.aliases:
            raise Refused("Forbidden.AliasNotFound")
        named = call.account.aliases[named]
    if (key := call.account.keys.get(named)) is None:
        raise Refused("Forbidden.KeyNotFound")
    return key


def usable(key: Key) -> Key:
    """The key, if its state lets it be used.

    Raises:
        Refused: It does not.
    """
    if key.state != ENABLED:
        raise Refused(f"Rejected.{key.state}")
    return key


def version_of(key: Key, id_: str) -> KeyVersion:
    """One version of a key.

    Raises:
        Refused: It has none of that id.
    """
    for each in key.versions:
        if each.id == id_:
            return each
    raise Refused("Forbidden.KeyVersionNotFound")


def _alias(call: Call) -> str:
    if (alias := call.text("AliasName")) not in call.account.aliases:
        raise Refused("Forbidden.AliasNotFound")
    return alias


def _add_version(key: Key, now: float) -> KeyVersion:
    key.versions.append(KeyVersion(str(uuid.uuid4()), now, generate(key.spec)))
    return key.versions[-1]


def _version(key: Key, version: KeyVersion) -> dict[str, Any]:
    return {"KeyId": key.id, "KeyVersionId": version.id, "CreationDate": moment(version.created)}


def _metadata(call: Call, key: Key) -> dict[str, Any]:
    told = {
        "KeyId": key.id, "Arn": key.arn, "KeySpec": key.spec, "KeyUsage": key.usage, "KeyState": key.state,
        "Origin": key.origin, "ProtectionLevel": key.protection, "Description": key.description,
        "CreationDate": moment(key.created), "Creator": call.settings.account,
        "AutomaticRotation": "Disabled" if key.rotates is None else "Enabled",
        "DeleteDate": "" if key.deletes is None else moment(key.deletes),
    }  # fmt: skip
    if key.versions:
        told |= {"PrimaryKeyVersion": key.versions[-1].id, "LastRotationDate": moment(key.versions[-1].created)}
    if key.rotates is not None:
        told |= {"RotationInterval": f"{key.rotates_every}s", "NextRotationDate": moment(key.rotates)}
    return {**told, "DKMSInstanceId": key.instance} if key.instance else told


HANDLERS: Mapping[str, Callable[[Call], dict[str, Any]]] = {
    "CreateKey": create,
    "DescribeKey": describe,
    "ListKeys": list_keys,
    "CreateKeyVersion": create_version,
    "UpdateRotationPolicy": update_rotation,
    "DescribeKeyVersion": describe_version,
    "ListKeyVersions": list_versions,
    "EnableKey": enable,
    "DisableKey": disable,
    "UpdateKeyDescription": update_description,
    "ScheduleKeyDeletion": schedule_deletion,
    "CancelKeyDeletion": cancel_deletion,
    "CreateAlias": create_alias,
    "UpdateAlias": update_alias,
    "DeleteAlias": delete_alias,
    "ListAliases": list_aliases,
    "ListAliasesByKeyId": list_aliases,
}
