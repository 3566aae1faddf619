"""The tags of secrets and keys, by the older operations and by those that all of Alibaba Cloud has."""

from __future__ import annotations

from typing import Any

from kmsbridge_alibaba_kms.emulator import _keys, _secrets
from kmsbridge_alibaba_kms.emulator._known import Refused
from kmsbridge_alibaba_kms.emulator._state import MAX_TAGS, shown, tags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kmsbridge_alibaba_kms.emulator._state import Call, Key, Secret

PAGE = 50


def tag(call: Call) -> dict[str, Any]:
    """Tags for one key or secret; of one that is there, the value changes."""
    _set(_named(call), tags(call))
    return {}


def untag(call: Call) -> dict[str, Any]:
    """Remove tags from one key or secret, those that it has."""
    item, keys = _named(call), call.json("TagKeys", list)
    if not all(isinstance(each, str) for each in keys):
        raise Refused("InvalidParameter.TagKey")
    for each in keys:
        item.tags.pop(each, None)
    return {}


def list_of_key(call: Call) -> dict[str, Any]:
    """The tags of a key."""
    key = _keys.find(call)
    return {"Tags": shown(key.tags, KeyId=key.id)}


def tag_many(call: Call) -> dict[str, Any]:
    """The same tags for several."""
    keys, values = call.listed("Tag", "Key"), call.listed("Tag", "Value")
    if not all(keys):
        raise Refused("InvalidParameter.TagKey")
    if len(values) != len(keys):
        raise Refused("InvalidParameter.TagValue")
    if len(set(keys)) != len(keys):
        raise Refused("Duplicate.TagKey")
    for item in _resources(call):
        _set(item, dict(zip(keys, values, strict=True)))
    return {}


def untag_many(call: Call) -> dict[str, Any]:
    """Remove tags, or all of them, from several."""
    keys = call.listed("TagKey")
    for item in _resources(call):
        for each in [*item.tags] if call.flag("All") and not keys else keys:
            item.tags.pop(each, None)
    return {}


def list_many(call: Call) -> dict[str, Any]:
    """The tags of the resources that are named, or that have all the tags that are named."""
    kind = call.text("ResourceType")
    wanted = call.listed("Tag", "Key")
    values = {key: call.text(f"Tag.{at}.Value") for at, key in enumerate(wanted, 1)}
    items = _resources(call) if call.listed("ResourceId") else [*_all(call).values()]
    found = [
        {"ResourceType": kind, "ResourceId": item.id if kind == "key" else item.name, "TagKey": key, "TagValue": value}
        for item in items
        if all(key in item.tags and value in ("", item.tags[key]) for key, value in values.items())
        for key, value in item.tags.items()
    ]
    start = call.number("NextToken", 0, 0, 10**8)
    told: dict[str, Any] = {"TagResources": {"TagResource": found[start : start + PAGE]}}
    return {**told, "NextToken": str(start + PAGE)} if found[start + PAGE :] else told


def _named(call: Call) -> Key | Secret:
    if call.text("KeyId"):
        return _keys.find(call)
    if call.text("SecretName"):
        return _secrets.find(call)
    raise Refused("MissingParameter", parameter="KeyId")


def _all(call: Call) -> Mapping[str, Any]:
    kinds: Mapping[str, Mapping[str, Any]] = {"key": call.account.keys, "secret": call.account.secrets}
    if (found := kinds.get(call.text("ResourceType"))) is None:
        raise Refused("InvalidParameter")
    return found


def _resources(call: Call) -> list[Any]:
    items, named = _all(call), call.listed("ResourceId")
    if len(named) > PAGE:
        raise Refused("InvalidParameter")
    if not set(named) <= items.keys():
        raise Refused("InvalidResourceId.NotFound")
    return [items[each] for each in named]


def _set(item: Key | Secret, changes: Mapping[str, str]) -> None:
    after = {**item.tags, **changes}
    if len(after) > MAX_TAGS:
        raise Refused("Rejected.LimitExceeded")
    item.tags = after


HANDLERS: Mapping[str, Callable[[Call], dict[str, Any]]] = {
    "TagResource": tag,
    "UntagResource": untag,
    "ListResourceTags": list_of_key,
    "TagResources": tag_many,
    "UntagResources": untag_many,
    "ListTagResources": list_many,
}
