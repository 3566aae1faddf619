"""The operations on secrets, at the region's door; reading at an instance's, where there is one."""

from __future__ import annotations

import json
from functools import partial
from typing import cast

from kmsbridge._decode import Answer, Refused
from kmsbridge._errors import Code, unsupported
from kmsbridge._model import Page, Secret, SecretInfo
from kmsbridge_alibaba_kms import _answers, _findings, _paging
from kmsbridge_alibaba_kms._errors import decoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from kmsbridge._call import Call
    from kmsbridge._model import NewSecret, SecretChange
    from kmsbridge_alibaba_kms._instance import Instance
    from kmsbridge_alibaba_kms._region import Region

_STAGES = ("ACSPrevious", "ACSCurrent")


class KmsSecrets:
    """Secrets in one account and region.

    Args:
        region: Its door, if we may use it.
        instance: The door of an instance, if there is one.
    """

    def __init__(self, region: Region | None, instance: Instance | None) -> None:
        self._door_or_none = region
        self._instance = instance

    @property
    def _region(self) -> Region:
        if self._door_or_none is None:  # what is not claimed is not asked for, but behind the back of the claims
            raise unsupported("what only the region's door can do")
        return self._door_or_none

    async def get_secret(self, call: Call, name: str, version: str | None) -> Secret:
        """One version with its value."""
        try:
            return await self._read(call, name, version)
        except Refused as error:
            refused = error
        raise await self._named(call, refused, name, version)

    async def get_secrets(self, call: Call, names: Sequence[str]) -> Mapping[str, Secret | Answer]:
        """The latest versions of up to 20; one by one for who may only do that, or where it is not offered."""
        request = {"SecretsList": [{"SecretName": name} for name in names]}
        try:
            return await self._region.exchange(call, "BatchGetSecretValue", request, partial(_batch, names=names))
        except Refused as error:
            refused = error
        if refused.answer.status == 200:  # the errors of its items are not that of a broken answer
            raise Refused(refused.answer._replace(body=b""))
        if _code(refused) not in (Code.ACCESS_DENIED, Code.UNSUPPORTED):
            raise refused
        items = await self._region.runtime.gather([partial(self._one_of, call, name) for name in names])
        return dict(zip(names, items, strict=True))

    async def _one_of(self, call: Call, name: str) -> Secret | Answer:
        try:
            return await self.get_secret(call, name, None)
        except Refused as refused:
            return refused.answer

    async def set_secret(self, call: Call, name: str, new: NewSecret) -> Secret:
        """Append a version under an id of ours, so that to do it again changes nothing; create what is missing."""
        value, kind = new.value, "text"
        if isinstance(value, bytes):
            value, kind = _answers.encoded(value), "binary"
        version = call.token()
        put = {"SecretName": name, "VersionId": version, "SecretData": value, "SecretDataType": kind}
        written = partial(_written, name=name, version=version)
        if not new.if_absent:
            try:
                await self._region.exchange(call, "PutSecretValue", put, written)
            except Refused as error:
                refused = error
            else:
                return Secret(name, version, new.value)
            if _code(refused) is not Code.NOT_FOUND:
                raise refused
        create = {
            "SecretName": name,
            "VersionId": version,
            "SecretData": value,
            "SecretDataType": kind,
            "DKMSInstanceId": self._region.instance,
        }
        try:
            await self._region.exchange(call, "CreateSecret", create, written)
        except Refused as error:
            refused = error
        else:
            return Secret(name, version, new.value)
        if _code(refused) is Code.ALREADY_EXISTS:
            if not new.if_absent:  # somebody was faster
                await self._region.exchange(call, "PutSecretValue", put, written)
                return Secret(name, version, new.value)
            if call.attempts > 1 and await self._is_ours(call, name, version, new.value):
                return Secret(name, version, new.value)
        raise refused

    async def update_secret(self, call: Call, name: str, version: str | None, change: SecretChange) -> SecretInfo:
        """Nothing of what could be changed belongs to a version here."""
        del call, name, version, change
        raise unsupported("secrets.update")

    async def list_secrets(self, call: Call, cursor: str | None) -> Page[SecretInfo]:
        """By pages, without those that are deleted."""
        return await self._page(call, cursor, deleted=False)

    async def list_secret_versions(self, call: Call, name: str, cursor: str | None) -> Page[SecretInfo]:
        """All there are, newest first: the service keeps ten, in an order of its own."""
        del cursor
        found: list[tuple[SecretInfo, int]] = []
        try:
            for page in range(1, 100):
                request = {
                    "SecretName": name,
                    "IncludeDeprecated": "true",
                    "PageNumber": page,
                    "PageSize": _paging.SIZE,
                }
                read = partial(_versions, name=name)
                items, total = await self._region.exchange(call, "ListSecretVersionIds", request, read)
                found += items
                if not items or len(found) >= total:
                    break
        except Refused as error:
            refused = error
        else:
            # Within a second by stage, then by our ids, which grow with time.
            found.sort(key=lambda item: (item[0].created_at, item[1], item[0].version), reverse=True)
            return Page([info for info, _ in found])
        raise _gone(refused)

    async def delete_secret(self, call: Call, name: str) -> SecretInfo:
        """Delete all versions; they can be recovered for 30 days."""
        try:
            return await self._delete(call, name)
        except Refused as error:
            refused = error
        raise _gone(refused)

    async def list_deleted_secrets(self, call: Call, cursor: str | None) -> Page[SecretInfo]:
        """By pages, of all secrets those that are deleted."""
        return await self._page(call, cursor, deleted=True)

    async def recover_secret(self, call: Call, name: str) -> SecretInfo:
        """Bring back all versions."""
        request = {"SecretName": name}
        read = partial(_answers.same, name="SecretName", asked=name)
        try:
            await self._region.exchange(call, "RestoreSecret", request, read)
        except Refused as error:
            refused = error
        else:
            return SecretInfo(name)
        raise _alive(refused)

    async def purge_secret(self, call: Call, name: str) -> None:
        """Remove for good: the service takes no second deletion, so the secret is brought back first."""
        await self.recover_secret(call, name)
        call.applied = True
        await self._delete(call, name, force=True)

    # -- requests -----------------------------------------------------------------------

    async def _read(self, call: Call, name: str, version: str | None) -> Secret:
        read = partial(_secret, name=name, version=version)
        if self._instance is not None:
            fields = {"SecretName": name, "VersionId": version or ""}
            return await self._instance.exchange(call, "GetSecretValue", fields, read)
        request = {"SecretName": name, "VersionId": version}
        return await self._region.exchange(call, "GetSecretValue", request, read)

    async def _named(self, call: Call, refused: Refused, name: str, version: str | None) -> Refused:
        """What is not there: the version that was named, or the secret."""
        if version is None or _code(refused) not in (Code.NOT_FOUND, Code.VERSION_NOT_FOUND):
            return _gone(refused)
        try:
            await self._read(call, name, None)
        except Refused as error:
            return _gone(error) if _code(error) in (Code.NOT_FOUND, Code.DELETED_BUT_RECOVERABLE) else refused
        return Refused(refused.answer._replace(door=_findings.VERSION))

    async def _is_ours(self, call: Call, name: str, version: str, value: str | bytes) -> bool:
        try:
            return (await self._read(call, name, version)).value == value
        except Refused:
            return False

    async def _delete(self, call: Call, name: str, *, force: bool = False) -> SecretInfo:
        request = {"SecretName": name}
        if force:
            request["ForceDeleteWithoutRecovery"] = "true"
        return await self._region.exchange(call, "DeleteSecret", request, partial(_info, asked=name))

    async def _page(self, call: Call, cursor: str | None, *, deleted: bool) -> Page[SecretInfo]:
        async def fetch(page: int) -> _paging.Numbered:
            request = {"PageNumber": page, "PageSize": _paging.SIZE}
            return await self._region.exchange(call, "ListSecrets", request, _listed)

        items, following = await _paging.next_page(cursor, _paging.SIZE, fetch)
        infos = [info for info in cast("list[SecretInfo]", items) if (info.purge_at is not None) is deleted]
        return Page(infos, following)


def _code(refused: Refused) -> Code:
    return decoder.decode(refused.answer).code


def _gone(refused: Refused) -> Refused:
    """A deleted secret is not found by who reads or deletes it."""
    if _code(refused) is Code.DELETED_BUT_RECOVERABLE:
        return Refused(refused.answer._replace(door=_findings.GONE))
    return refused


def _alive(refused: Refused) -> Refused:
    """A secret that is not deleted is not found among the deleted."""
    if _code(refused) is Code.WRONG_STATE:
        return Refused(refused.answer._replace(door=_findings.NONE_DELETED))
    return refused


# -- answers ----------------------------------------------------------------------------


def _secret(node: Mapping[str, Any], name: str, version: str | None) -> Secret:
    _answers.same(node, "SecretName", name)
    found = _answers.text(node, "VersionId") if version is None else _answers.same(node, "VersionId", version)
    value: str | bytes = _answers.plain(node, "SecretData")
    kind = _answers.text(node, "SecretDataType")
    if kind == "binary":
        value = _answers.decoded(cast("str", value))
    elif kind != "text":
        raise _answers.Malformed("neither text nor binary")
    return Secret(name, found, value, created_at=_answers.moment(node, "CreateTime"))


def _batch(node: Mapping[str, Any], names: Sequence[str]) -> dict[str, Secret | Answer]:
    """Each that was asked for, or why not."""
    found: dict[str, Secret | Answer] = {}
    for each in _answers.listed(node, "SecretValues", missing=True):
        name = _answers.text(each, "SecretName")
        found[name] = _secret(each, name, None)
    for each in _answers.listed(node, "Errors", missing=True):
        error = {"Code": _answers.text(each, "Code"), "Message": each.get("Message")}
        answer = Answer(_answers.number(each, "HttpStatus"), body=json.dumps(error).encode(), door=_findings.OPENAPI)
        found[_answers.text(each, "SecretName")] = _gone(Refused(answer)).answer
    if found.keys() != set(names):
        raise _answers.Malformed("this is about something else")
    return found


def _written(node: Mapping[str, Any], name: str, version: str) -> None:
    _answers.same(node, "SecretName", name)
    _answers.same(node, "VersionId", version)


def _info(node: Mapping[str, Any], asked: str | None = None) -> SecretInfo:
    return SecretInfo(
        _answers.text(node, "SecretName") if asked is None else _answers.same(node, "SecretName", asked),
        created_at=_answers.moment(node, "CreateTime"),
        updated_at=_answers.moment(node, "UpdateTime"),
        purge_at=_answers.moment(node, "PlannedDeleteTime"),
    )


def _listed(node: Mapping[str, Any]) -> _paging.Numbered:
    infos = [_info(each) for each in _answers.objects(node, "SecretList", "Secret")]
    return _paging.Numbered([(info.name, info) for info in infos], _answers.number(node, "TotalCount"))


def _versions(node: Mapping[str, Any], name: str) -> tuple[list[tuple[SecretInfo, int]], int]:
    _answers.same(node, "SecretName", name)
    found = []
    for each in _answers.objects(node, "VersionIds", "VersionId"):
        created_at = _answers.known_moment(each, "CreateTime")  # they are sorted by it
        info = SecretInfo(name, _answers.text(each, "VersionId"), created_at=created_at)
        found.append((info, _stage(each)))
    return found, _answers.number(node, "TotalCount")


def _stage(node: Mapping[str, Any]) -> int:
    """How late a version is by its stages."""
    stages = _answers.holder(node, "VersionStages").get("VersionStage")
    if not isinstance(stages, list):
        raise _answers.Malformed("no stages")
    return max((1 + _STAGES.index(stage) for stage in stages if stage in _STAGES), default=0)
