"""What becomes of keys: made, seen, switched on and off, deleted and kept. All at the region's door.

A key has an id of Alibaba's making, and its name is an alias. So a key is made in two
steps; what a failure leaves between them carries our tags, and is found and finished by who
makes a key of that name next.
"""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple, cast

from kmsbridge._decode import Answer, Refused
from kmsbridge._errors import Code, invalid, unsupported
from kmsbridge._model import Key, KeySpec, Page
from kmsbridge_alibaba_kms import _answers, _findings, _paging
from kmsbridge_alibaba_kms._abilities import DAYS, MIN_DAYS, VERSION_DAYS
from kmsbridge_alibaba_kms._config import ALIAS
from kmsbridge_alibaba_kms._errors import decoder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from kmsbridge._call import Call
    from kmsbridge_alibaba_kms._region import Region

KEPT = 60.0
"""Seconds for which what is known of a key is used without a look."""
PAGE = 20
"""Aliases on one page of a listing: each key on it is looked at."""
_ALIAS_TAG = "kmsbridge-alias"
_CALL_TAG = "kmsbridge-call"
"""Which call made the key: by it a repeated one knows its own."""
_DISABLED_TAG = "kmsbridge-disabled"
"""On a key that was disabled when its deletion was scheduled: the service enables what is kept."""
_OURS = (_ALIAS_TAG, _CALL_TAG, _DISABLED_TAG)
_CRYPT, _SIGN = "ENCRYPT/DECRYPT", "SIGN/VERIFY"
_NATIVE = {
    KeySpec.AES_256: ("Aliyun_AES_256", _CRYPT),
    KeySpec.RSA_2048: ("RSA_2048", _CRYPT),
    KeySpec.RSA_3072: ("RSA_3072", _CRYPT),
    KeySpec.EC_P256: ("EC_P256", _SIGN),
}
_SPECS = {"Aliyun_AES_256": KeySpec.AES_256, **{spec.value: spec for spec in KeySpec if spec is not KeySpec.AES_256}}


class Metadata(NamedTuple):
    """What the service says of a key."""

    id: str
    spec: KeySpec | None
    encrypts: bool | None
    """Else it signs; None where a door does not say."""
    state: str
    version: str | None
    """The one it encrypts with, where it says so."""
    created_at: datetime | None
    deletes_at: datetime | None

    @property
    def pending(self) -> bool:
        """Whether its deletion is scheduled."""
        return self.state == "PendingDeletion"


class KmsKeys:
    """Keys of one account and region.

    Args:
        region: Its door, if we may use it.
    """

    def __init__(self, region: Region | None) -> None:
        self._door_or_none = region
        self._known: dict[str, tuple[Metadata, float]] = {}

    @property
    def _region(self) -> Region:
        if self._door_or_none is None:  # what is not claimed is not asked for, but behind the back of the claims
            raise unsupported("what only the region's door can do")
        return self._door_or_none

    # -- making -------------------------------------------------------------------------

    async def create_key(self, call: Call, name: str, spec: KeySpec, tags: Mapping[str, str]) -> Key:
        """Make a key, tagged from the start, and give it its alias, which only one key can have."""
        if not name.startswith(ALIAS):
            call.attempts -= 1
            raise invalid("a new key has no id yet", "name", remediation="Name it by an alias: native:alias/<name>.")
        if spec not in _NATIVE:
            raise unsupported(f"keys of kind {spec}")
        with suppress(_Absent):
            return await self._taken(call, name, tags)
        made = await self._half_made(call, name, spec, tags)
        if made is None:
            made = await self._make(call, name, spec, tags)
        call.applied = True
        try:
            await self._region.do(call, "CreateAlias", {"AliasName": name, "KeyId": made.id})
        except Refused as error:
            refused = error
        else:
            call.applied = False
            self._keep(name, made)
            return _key(name, made, tags)
        # A half-made key that two have found is pending deletion when one of them has given it up.
        if _code(refused) in (Code.ALREADY_EXISTS, Code.PENDING_DELETION):
            there = await self._described(call, name)
            if there.id != made.id:
                await self._abandon(call, made)
            call.applied = False
            raise _exists(there)
        raise refused

    async def _taken(self, call: Call, name: str, tags: Mapping[str, str]) -> Key:
        """Who has the alias: a key that an earlier attempt of this call has made, or another."""
        try:
            there = await self._described(call, name)
        except Refused as error:
            refused = error
        else:
            if call.attempts > 1 and (await self._all_tags(call, there)).get(_CALL_TAG) == call.token():
                return await self._key(call, name, there, tags)
            raise _exists(there)
        if _code(refused) is Code.NOT_FOUND:
            raise _Absent
        raise refused

    async def _half_made(self, call: Call, name: str, spec: KeySpec, tags: Mapping[str, str]) -> Metadata | None:
        """A key that was to have this name, is like the one that is wanted, and has not got its alias."""
        request = {
            "RegionId": self._region.region,
            "ResourceType": "key",
            "Tag": [{"Key": _ALIAS_TAG,
            "Value": name}],
        }
        for id_ in sorted(await self._region.exchange(call, "ListTagResources", request, _tagged)):
            try:
                found = await self._described(call, id_)
            except Refused as refused:
                if _code(refused) is Code.NOT_FOUND:
                    continue
                raise
            if (found.spec, found.encrypts, found.state) != (spec, _NATIVE[spec][1] == _CRYPT, "Enabled"):
                continue
            if _shown(await self._all_tags(call, found)) == dict(tags):
                return found._replace(version=await self._latest(call, found))
        return None

    async def _make(self, call: Call, name: str, spec: KeySpec, tags: Mapping[str, str]) -> Metadata:
        native, usage = _NATIVE[spec]
        request = {
            "KeySpec": native,
            "KeyUsage": usage,
            "Tags": _written_tags({_ALIAS_TAG: name, _CALL_TAG: call.token(), **tags}),
            "DKMSInstanceId": self._region.instance,
        }
        made = await self._region.exchange(call, "CreateKey", request, _metadata)
        return made if made.version is not None else made._replace(version=await self._latest(call, made))

    async def _abandon(self, call: Call, made: Metadata) -> None:
        """Another has got the name: ours is deleted, in as few days as there can be."""
        with suppress(Refused):
            tags = {"KeyId": made.id, "TagKeys": json.dumps([_ALIAS_TAG])}
            await self._region.do(call, "UntagResource", tags)
            request = {"KeyId": made.id, "PendingWindowInDays": MIN_DAYS}
            await self._region.do(call, "ScheduleKeyDeletion", request)

    # -- seeing -------------------------------------------------------------------------

    async def get_key(self, call: Call, name: str) -> Key:
        """A key with its tags, also when its deletion is scheduled."""
        return await self._key(call, name, await self._described(call, name))

    async def list_keys(self, call: Call, cursor: str | None) -> Page[Key]:
        """The keys that have an alias, by pages."""

        async def fetch(page: int) -> _paging.Numbered:
            request = {"PageNumber": page, "PageSize": PAGE}
            return await self._region.exchange(call, "ListAliases", request, _aliases)

        found, following = await _paging.next_page(cursor, PAGE, fetch)
        aliases = cast("list[tuple[str, str]]", found)
        looks = [partial(self._look, call, id_) for _, id_ in aliases]
        keys = await self._region.runtime.gather(looks)
        tags = await self._tags_of(call, [id_ for _, id_ in aliases]) if aliases else {}
        there = zip(aliases, keys, strict=True)
        listed = [_key(name, it, _shown(tags.get(id_, {}))) for (name, id_), it in there if it is not None]
        return Page(listed, following)

    async def list_key_versions(self, call: Call, name: str, cursor: str | None) -> Page[Key]:
        """All of them, newest first."""
        del cursor
        found = await self._described(call, name)
        versions = await self._versions(call, found)
        key = _key(name, found, {})
        return Page([
            Key(name, version, key.spec, key.enabled, created_at=created_at, deletes_at=key.deletes_at)
            for version, created_at in versions
        ])

    async def rotate_key(self, call: Call, name: str) -> Key:
        """Make a version of an asymmetric key, which is used from now on; once in 7 days."""
        found = await self._live(call, name)
        if self._region.instance is not None or found.spec in (KeySpec.AES_256, None):
            raise Refused(Answer(door=_findings.KIND))
        try:
            version = await self._region.exchange(call, "CreateKeyVersion", {"KeyId": found.id}, _new_version)
        except Refused as error:
            refused = error
        else:
            call.applied = True
            found = found._replace(version=version)
            self._keep(name, found)
            return _key(name, found, _shown(await self._all_tags(call, found)))
        if _code(refused) is Code.UNSUPPORTED and await self._is_young(call, found):
            raise Refused(refused.answer._replace(door=_findings.YOUNG))
        raise refused

    async def _is_young(self, call: Call, found: Metadata) -> bool:
        """Whether its latest version is too young for the service to make another."""
        made_at = (await self._versions(call, found))[0][1]
        return datetime.now(UTC) - made_at < timedelta(VERSION_DAYS)

    # -- states -------------------------------------------------------------------------

    async def enable_key(self, call: Call, name: str, version: str | None, enabled: bool) -> Key:
        """Enable or disable a key; versions have no switch."""
        if version is not None:
            raise unsupported("keys.enable_version")
        found = await self._live(call, name)
        if enabled:
            await self._region.do(call, "EnableKey", {"KeyId": found.id})
        else:
            await self._region.do(call, "DisableKey", {"KeyId": found.id})
        return await self._key(call, name, found._replace(state="Enabled" if enabled else "Disabled"))

    async def schedule_key_deletion(self, call: Call, name: str, days: int | None) -> Key:
        """Delete it in so many days; a disabled key is marked, so that keeping it does not enable it."""
        found = await self._live(call, name)
        if found.state == "Disabled":
            await self._tag(call, found, {_DISABLED_TAG: "true"})
        request = {"KeyId": found.id, "PendingWindowInDays": days or DAYS}
        await self._region.do(call, "ScheduleKeyDeletion", request)
        call.applied = True
        return await self._key(call, name, await self._described(call, name))

    async def cancel_key_deletion(self, call: Call, name: str) -> Key:
        """Keep it, and disable it again if it was disabled before."""
        found = await self._described(call, name)
        if not found.pending:
            raise Refused(Answer(door=_findings.NOT_SCHEDULED))
        was_disabled = _DISABLED_TAG in await self._all_tags(call, found)
        try:
            await self._region.do(call, "CancelKeyDeletion", {"KeyId": found.id})
        except Refused as error:
            if _code(error) not in (Code.PENDING_DELETION, Code.WRONG_STATE):
                raise
            raced = error
        else:
            call.applied = True
            if was_disabled:
                await self._region.do(call, "DisableKey", {"KeyId": found.id})
                untag = {"KeyId": found.id, "TagKeys": json.dumps([_DISABLED_TAG])}
                await self._region.do(call, "UntagResource", untag)
            state = "Disabled" if was_disabled else "Enabled"
            return await self._key(call, name, found._replace(state=state, deletes_at=None))
        raise Refused(raced.answer._replace(door=_findings.NOT_SCHEDULED))  # another was faster

    # -- looking ------------------------------------------------------------------------

    async def _described(self, call: Call, name: str) -> Metadata:
        return await self._region.exchange(call, "DescribeKey", {"KeyId": name}, _metadata)

    async def _look(self, call: Call, id_: str) -> Metadata | None:
        """A key on a listing; None if it has gone since."""
        try:
            return await self._described(call, id_)
        except Refused as refused:
            if _code(refused) is Code.NOT_FOUND:
                return None
            raise

    async def _live(self, call: Call, name: str) -> Metadata:
        """A key that can be changed."""
        found = await self._described(call, name)
        if found.pending:
            raise Refused(Answer(door=_findings.PENDING))
        return found

    def _keep(self, name: str, known: Metadata) -> None:
        """For those who use the key next."""
        self._known[name] = (known, monotonic() + KEPT)

    async def _key(self, call: Call, name: str, found: Metadata, tags: Mapping[str, str] | None = None) -> Key:
        shown = _shown(await self._all_tags(call, found)) if tags is None else dict(tags)
        return _key(name, found._replace(version=await self._latest(call, found)), shown)

    async def _latest(self, call: Call, found: Metadata) -> str:
        """The version that is used: the service says so of AES keys; of others it is the newest."""
        if found.spec is KeySpec.AES_256 and found.version is not None:
            return found.version
        return (await self._versions(call, found))[0][0]

    async def _versions(self, call: Call, found: Metadata) -> list[tuple[str, datetime]]:
        """All versions with their times, newest first; of those made in one second the one that is used."""
        versions: list[tuple[str, datetime]] = []
        for page in range(1, 1_000):
            request = {"KeyId": found.id, "PageNumber": page, "PageSize": _paging.SIZE}
            items, total = await self._region.exchange(call, "ListKeyVersions", request, _key_versions)
            versions += items
            if not items or len(versions) >= total:
                break
        if not versions:
            raise Refused(Answer(200))
        versions.sort(key=lambda item: (item[1], item[0] == found.version), reverse=True)
        return versions

    async def _all_tags(self, call: Call, found: Metadata) -> dict[str, str]:
        request = {"KeyId": found.id}
        return await self._region.exchange(call, "ListResourceTags", request, _tags)

    async def _tags_of(self, call: Call, ids: list[str]) -> dict[str, dict[str, str]]:
        request = {"RegionId": self._region.region, "ResourceType": "key", "ResourceId": list(dict.fromkeys(ids))}
        tags: dict[str, dict[str, str]] = {}
        while True:
            items, token = await self._region.exchange(call, "ListTagResources", request, _resource_tags)
            for id_, key, value in items:
                tags.setdefault(id_, {})[key] = value
            if token is None:
                return tags
            request["NextToken"] = token

    async def _tag(self, call: Call, found: Metadata, tags: Mapping[str, str]) -> None:
        request = {"KeyId": found.id, "Tags": _written_tags(tags)}
        await self._region.do(call, "TagResource", request)


class _Absent(Exception):
    """No key has this alias."""


def _code(refused: Refused) -> Code:
    return decoder.decode(refused.answer).code


def _exists(there: Metadata) -> Refused:
    return Refused(Answer(door=_findings.HELD if there.pending else _findings.EXISTS))


def _shown(tags: Mapping[str, str]) -> dict[str, str]:
    """Without those that are ours."""
    return {key: value for key, value in tags.items() if key not in _OURS}


def _key(name: str, found: Metadata, tags: Mapping[str, str]) -> Key:
    enabled = found.state in ("Enabled", "PendingDeletion")
    return Key(name, found.version, found.spec, enabled, tags, found.created_at, None, found.deletes_at)


# -- answers ----------------------------------------------------------------------------


def _metadata(node: Mapping[str, Any]) -> Metadata:
    node = _answers.holder(node, "KeyMetadata")
    state = _answers.text(node, "KeyState")
    version = node.get("PrimaryKeyVersion")
    return Metadata(
        _answers.text(node, "KeyId"),
        _SPECS.get(_answers.text(node, "KeySpec")),
        _answers.text(node, "KeyUsage") == _CRYPT,
        state,
        version if isinstance(version, str) and version else None,
        _answers.moment(node, "CreationDate"),
        _answers.moment(node, "DeleteDate") if state == "PendingDeletion" else None,
    )


def _aliases(node: Mapping[str, Any]) -> _paging.Numbered:
    found = [
        (_answers.text(each, "AliasName"), _answers.text(each, "KeyId"))
        for each in _answers.objects(node, "Aliases", "Alias")
    ]
    return _paging.Numbered([(alias, (alias, id_)) for alias, id_ in found], _answers.number(node, "TotalCount"))


def _new_version(node: Mapping[str, Any]) -> str:
    return _answers.text(_answers.holder(node, "KeyVersion"), "KeyVersionId")


def _key_versions(node: Mapping[str, Any]) -> tuple[list[tuple[str, datetime]], int]:
    return [
        (_answers.text(each, "KeyVersionId"), _answers.known_moment(each, "CreationDate"))
        for each in _answers.objects(node, "KeyVersions", "KeyVersion")
    ], _answers.number(node, "TotalCount")


def _tags(node: Mapping[str, Any]) -> dict[str, str]:
    listed = _answers.objects(node, "Tags", "Tag")
    return {_answers.text(each, "TagKey"): _answers.plain(each, "TagValue") for each in listed}


def _resource_tags(node: Mapping[str, Any]) -> tuple[list[tuple[str, str, str]], str | None]:
    listed = _answers.objects(node, "TagResources", "TagResource")
    token = node.get("NextToken")
    if not isinstance(token, str | None):
        raise _answers.Malformed("no token")
    return [
        (_answers.text(each, "ResourceId"), _answers.text(each, "TagKey"), _answers.plain(each, "TagValue"))
        for each in listed
    ], token or None


def _tagged(node: Mapping[str, Any]) -> set[str]:
    return {id_ for id_, _, _ in _resource_tags(node)[0]}


def _written_tags(tags: Mapping[str, str]) -> str:
    return json.dumps([{"TagKey": key, "TagValue": value} for key, value in tags.items()], ensure_ascii=False)
