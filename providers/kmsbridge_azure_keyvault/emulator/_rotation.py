"""When a key is rotated: its policy, and the durations it is written in."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any

from kmsbridge_azure_keyvault.emulator._items import DAY, Refused

MIN_EXPIRY_DAYS = 28
MIN_TRIGGER_DAYS = 7
DEFAULT: dict[str, Any] = {
    "lifetimeActions": [{"trigger": {"timeBeforeExpiry": "P30D"}, "action": {"type": "Notify"}}],
    "attributes": {},
}
"""What a key has that was given no policy."""

_DURATION = re.compile(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_SECONDS = (365 * DAY, 30 * DAY, 7 * DAY, DAY, 3600, 60, 1)


def seconds(duration: Any) -> int:
    """How long an ISO 8601 duration is; a month has 30 days, a year 365."""
    found = _DURATION.fullmatch(duration) if isinstance(duration, str) and len(duration) < 32 else None
    total = sum(int(count or 0) * size for count, size in zip(found.groups(), _SECONDS, strict=True)) if found else 0
    if not total:
        raise Refused("InvalidProperty")
    return total


def checked(policy: dict[str, Any]) -> dict[str, Any]:
    """A policy as it may be set: an expiry of 28 days or more, triggers of 7 or more."""
    actions, attributes = policy.get("lifetimeActions") or [], policy.get("attributes") or {}
    if not isinstance(actions, list) or not isinstance(attributes, dict):
        raise Refused("InvalidProperty")
    expiry = attributes.get("expiryTime")
    if expiry is not None and seconds(expiry) < MIN_EXPIRY_DAYS * DAY:
        raise Refused("InvalidProperty")
    kept = []
    for each in actions:
        trigger, action = _parts(each)
        [(when, duration)] = trigger.items()
        before_expiry = when == "timeBeforeExpiry"
        if seconds(duration) < MIN_TRIGGER_DAYS * DAY or (before_expiry and action == "Rotate" and expiry is None):
            raise Refused("InvalidProperty")
        kept.append({"trigger": dict(trigger), "action": {"type": action}})
    return {"lifetimeActions": kept, "attributes": {"expiryTime": expiry} if expiry else {}}


def _parts(action: Any) -> tuple[dict[str, Any], str]:
    """Trigger and kind of one action."""
    if not isinstance(action, dict) or not isinstance(action.get("trigger"), dict):
        raise Refused("InvalidProperty")
    trigger = {name: value for name, value in action["trigger"].items() if value is not None}
    kinds = {"rotate": "Rotate", "notify": "Notify"}
    kind = kinds.get(str((action.get("action") or {}).get("type")).lower())
    if kind is None or len(trigger) != 1 or not set(trigger) <= {"timeAfterCreate", "timeBeforeExpiry"}:
        raise Refused("InvalidProperty")
    return trigger, kind


def due(policy: dict[str, Any], created: int, expires: int | None) -> int | None:
    """When the policy rotates a version made then; None if it never does."""
    for each in policy["lifetimeActions"]:
        trigger, kind = _parts(each)
        if kind != "Rotate":
            continue
        if (after := trigger.get("timeAfterCreate")) is not None:
            return created + seconds(after)
        if expires is not None:
            return expires - seconds(trigger["timeBeforeExpiry"])
    return None


def expiry(policy: dict[str, Any], now: float) -> int | None:
    """When a version expires that is made by rotation now; None if never."""
    duration = policy["attributes"].get("expiryTime")
    return int(now) + seconds(duration) if duration else None


def default() -> dict[str, Any]:
    """A policy of its own that is the default."""
    return deepcopy(DEFAULT)
