"""What can be done with secrets."""

from __future__ import annotations

import re
from typing import Any

from kmsbridge_alibaba_kms.emulator._catalogue import CATALOGUE
from kmsbridge_alibaba_kms.emulator._known import Refused
from kmsbridge_alibaba_kms.emulator._state import DAY, Secret, SecretVersion, moment, shown, tags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kmsbridge_alibaba_kms.emulator._state import Call

CURRENT, PREVIOUS = "ACSCurrent", "ACSPrevious"
MAX_VERSIONS = 10
MAX_BYTES = 30_720
MAX_BATCH = 20
_NAME = re.compile(r"(?!acs/)[A-Za-z0-9_/+=.@-]{1,192}")
_GENERIC = {"SecretType": "Generic", "AutomaticRotation": "Disabled"}


def create(call: Call) -> dict[str, Any]:
    """A new secret with one version."""
    name = call.text("SecretName")
    if not _NAME.fullmatch(name) or call.text("SecretType", "Generic") != "Generic":
        raise Refused("InvalidParameter")
    if (taken := call.account.secrets.get(name)) is not None:
        raise Refused("Rejected.ResourceExist" if taken.deletes is None else "Rejected.ResourceInDeleteWindow")
    secret = Secret(
        name, call.arn("secret", name), call.now, call.now, call.text("Description"), call.instance(),
        call.text("EncryptionKeyId"), tags=tags(call),
    )  # fmt: skip
    _move(secret, _added(call, secret), CURRENT)
    call.account.secrets[name] = secret
    told = {"Arn": secret.arn, "SecretName": name, "VersionId": call.text("VersionId"), **_GENERIC}
    return {**told, "DKMSInstanceId": secret.instance} if secret.instance else told


def put(call: Call) -> dict[str, Any]:
    """A new version, which is the current one unless stages are named; the same one again changes nothing."""
    secret = alive(call)
    stages = call.json("VersionStages", list) or [CURRENT]
    if not all(isinstance(each, str) and each for each in stages):
        raise Refused("InvalidParameter")
    same = next((each for each in secret.versions if each.id == call.text("VersionId")), None)
    if same is None:
        same = _added(call, secret)
        for stage in stages:
            _move(secret, same, stage)
        secret.updated = call.now
    elif same.data != call.text("SecretData"):
        raise Refused("Rejected.ResourceExist")
    return {"SecretName": secret.name, "VersionId": same.id, "VersionStages": _stages(same)}


def get(call: Call) -> dict[str, Any]:
    """A version with its value."""
    secret = alive(call)
    version, stage = call.text("VersionId"), call.text("VersionStage")
    if not version:
        stage = stage or CURRENT
    for each in secret.versions:
        if each.id == (version or each.id) and (not stage or stage in each.stages):
            return {
                "SecretName": secret.name, "VersionId": each.id, "SecretData": each.data, "SecretDataType": each.kind,
                "CreateTime": moment(each.created), "VersionStages": _stages(each), **_GENERIC,
            }  # fmt: skip
    raise Refused("Forbidden.ResourceNotFound")


def get_many(call: Call) -> dict[str, Any]:
    """Several versions with their values; what is wrong with one of them is told beside the others."""
    asked = call.json("SecretsList", list)
    names = [each.get("SecretName") for each in asked if isinstance(each, dict)]
    if not 1 <= len(asked) <= MAX_BATCH or len(set(map(str, names))) != len(asked) or not all(names):
        raise Refused("InvalidParameter")
    values, errors = [], []
    for each in asked:
        wanted = {name: value for name, value in each.items() if isinstance(value, str)}
        try:
            values.append(get(call.about(**wanted)))
        except Refused as refused:
            known = CATALOGUE[refused.error]
            told = {"Code": known.code or refused.error, "Message": known.message, "HttpStatus": known.status}
            errors.append({"SecretName": call.about(**wanted).text("SecretName"), **told})
    return {"SecretValues": values, "Errors": errors}


def describe(call: Call) -> dict[str, Any]:
    """A secret without its value, also while it waits to be deleted."""
    secret = find(call)
    told = {
        **_summary(secret), "Arn": secret.arn, "Description": secret.description,
        "EncryptionKeyId": secret.encryption_key, "DKMSInstanceId": secret.instance, "AutomaticRotation": "Disabled",
    }  # fmt: skip
    return {**told, "Tags": shown(secret.tags)} if call.flag("FetchTags") else told


def list_secrets(call: Call) -> dict[str, Any]:
    """All, also those that wait to be deleted."""
    found = [each for each in call.account.secrets.values() if _fits(call, each)]
    page, told = call.page(found)
    listed = [
        {**_summary(each), "Tags": shown(each.tags)} if call.flag("FetchTags") else _summary(each) for each in page
    ]
    return {"SecretList": {"Secret": listed}, **told}


def _fits(call: Call, secret: Secret) -> bool:
    for each in call.json("Filters", list):
        if not isinstance(each, dict) or not isinstance(values := each.get("Values"), list):
            raise Refused("InvalidParameter")
        has = {
            "SecretName": [secret.name], "Description": [secret.description], "TagKey": [*secret.tags],
            "TagValue": [*secret.tags.values()], "SecretType": ["Generic"], "DKMSInstanceId": [secret.instance],
        }.get(str(each.get("Key")))  # fmt: skip
        if has is None:
            raise Refused("InvalidParameter")
        if not any(value in has for value in values):
            return False
    return True


def list_versions(call: Call) -> dict[str, Any]:
    """The versions of a secret that bear a stage, or all."""
    secret, everything = alive(call), call.flag("IncludeDeprecated")
    page, told = call.page([each for each in reversed(secret.versions) if everything or each.stages], 20)
    listed = [
        {"VersionId": each.id, "CreateTime": moment(each.created), "VersionStages": _stages(each)} for each in page
    ]
    return {"SecretName": secret.name, "VersionIds": {"VersionId": listed}, **told}


def update(call: Call) -> dict[str, Any]:
    """Another description."""
    secret = alive(call)
    secret.description = call.text("Description", secret.description)
    secret.updated = call.now
    return {"SecretName": secret.name}


def update_stage(call: Call) -> dict[str, Any]:
    """Take a stage from one version, give it to another, or both. Reserved ones are only moved."""
    secret, stage = alive(call), call.text("VersionStage")
    to, away = call.text("MoveToVersion"), call.text("RemoveFromVersion")
    if not to and (not away or stage in (CURRENT, PREVIOUS)):
        raise Refused("Rejected.InvalidRequest")
    versions = {each.id: each for each in secret.versions}
    if not {to, away} - {""} <= versions.keys():
        raise Refused("Forbidden.ResourceNotFound")
    if away and stage not in versions[away].stages:
        raise Refused("Rejected.InvalidRequest")
    if to:
        _move(secret, versions[to], stage)
    else:
        versions[away].stages.discard(stage)
    secret.updated = call.now
    return {"SecretName": secret.name}


def delete(call: Call) -> dict[str, Any]:
    """Let it be gone after a window, or at once."""
    secret = alive(call)
    if call.flag("ForceDeleteWithoutRecovery"):
        if call.text("RecoveryWindowInDays"):
            raise Refused("InvalidParameter")
        del call.account.secrets[secret.name]
        return {"SecretName": secret.name, "PlannedDeleteTime": moment(call.now)}
    secret.deletes = call.now + call.number("RecoveryWindowInDays", 30, 7, 30) * DAY
    return {"SecretName": secret.name, "PlannedDeleteTime": moment(secret.deletes)}


def restore(call: Call) -> dict[str, Any]:
    """Take back a deletion."""
    secret = find(call)
    if secret.deletes is None:
        raise Refused("Rejected.ResourceInUse")
    secret.deletes = None
    return {"SecretName": secret.name}


def find(call: Call) -> Secret:
    """The secret that is named, by its name or its ARN.

    Raises:
        Refused: It is not there.
    """
    name = call.text("SecretName").removeprefix(call.arn("secret", ""))
    if (secret := call.account.secrets.get(name)) is None:
        raise Refused("Forbidden.ResourceNotFound")
    return secret


def alive(call: Call) -> Secret:
    """The same, unless it waits to be deleted.

    Raises:
        Refused: It does, or is not there.
    """
    secret = find(call)
    if secret.deletes is not None:
        raise Refused("Rejected.ResourceInDeleteWindow")
    return secret


def _added(call: Call, secret: Secret) -> SecretVersion:
    data, kind, version = call.text("SecretData"), call.text("SecretDataType", "text"), call.text("VersionId")
    if kind not in ("text", "binary") or len(version) > 64 or len(data.encode()) > MAX_BYTES:
        raise Refused("InvalidParameter")
    if kind == "binary":
        call.data("SecretData")
    if len(secret.versions) >= MAX_VERSIONS:
        secret.versions.remove(next(each for each in secret.versions if CURRENT not in each.stages))
    added = SecretVersion(version, data, kind, call.now)
    secret.versions.append(added)
    return added


def _move(secret: Secret, version: SecretVersion, stage: str) -> None:
    """A stage is borne by one version; whichever was current before is the previous one."""
    for each in secret.versions:
        if stage in each.stages:
            each.stages.discard(stage)
            if stage == CURRENT and each is not version:
                _move(secret, each, PREVIOUS)
    version.stages.add(stage)


def _stages(version: SecretVersion) -> dict[str, list[str]]:
    return {"VersionStage": sorted(version.stages)}


def _summary(secret: Secret) -> dict[str, Any]:
    told = {
        "SecretName": secret.name, "SecretType": "Generic", "CreateTime": moment(secret.created),
        "UpdateTime": moment(secret.updated),
    }  # fmt: skip
    return told if secret.deletes is None else {**told, "PlannedDeleteTime": moment(secret.deletes)}


HANDLERS: Mapping[str, Callable[[Call], dict[str, Any]]] = {
    "CreateSecret": create,
    "PutSecretValue": put,
    "GetSecretValue": get,
    "BatchGetSecretValue": get_many,
    "DescribeSecret": describe,
    "ListSecrets": list_secrets,
    "ListSecretVersionIds": list_versions,
    "UpdateSecret": update,
    "UpdateSecretVersionStage": update_stage,
    "DeleteSecret": delete,
    "RestoreSecret": restore,
}
