"""What an account has in one region, and what a request is about."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from kmsbridge_alibaba_kms.emulator._known import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    Material = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | bytes

T = TypeVar("T")

DAY = 86_400
MAX_PAGE = 100
MAX_TAGS = 20


@dataclass(frozen=True)
class Settings:
    """How the service behaves."""

    region: str = "cn-hangzhou"
    account: str = "1000000000000001"
    denied: tuple[str, ...] = ()
    """Operations that the caller has no permission for."""
    instances: tuple[str, ...] = ("kst-emulator",)
    """The KMS instances that ``DKMSInstanceId`` may name."""
    requests_per_second: int = 0
    """More are throttled; 0 is no limit."""
    version_days: int = 0
    """Between two versions of a key; the service wants 7."""
    version_seconds: int = 0
    """How far each version of a key moves the clock on, so that those made in one second differ in time."""


@dataclass(slots=True)
class SecretVersion:
    """One version of a secret."""

    id: str
    data: str = field(repr=False)
    kind: str
    created: float
    stages: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Secret:
    """One secret with its versions, oldest first. Times are seconds since 1970."""

    name: str
    arn: str
    created: float
    updated: float
    description: str = ""
    instance: str = ""
    encryption_key: str = ""
    versions: list[SecretVersion] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    deletes: float | None = None
    """When it is gone; None while it is not deleted."""


@dataclass(slots=True)
class KeyVersion:
    """One version of a key."""

    id: str
    created: float
    material: Material = field(repr=False)


@dataclass(slots=True)
class Key:
    """One key with its versions, oldest first. Times are seconds since 1970."""

    id: str
    arn: str
    spec: str
    usage: str
    origin: str
    protection: str
    created: float
    state: str
    description: str = ""
    instance: str = ""
    versions: list[KeyVersion] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    deletes: float | None = None
    rotates_every: int | None = None
    """Seconds between versions that it gets by itself."""
    rotates: float | None = None
    """When it gets the next one."""


@dataclass(slots=True)
class Account:
    """Everything that is kept."""

    secrets: dict[str, Secret] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    """From the alias, with ``alias/``, to the id of its key."""

    def expire(self, now: float) -> None:
        """Forget what was scheduled to be gone by now."""
        for name in [name for name, each in self.secrets.items() if each.deletes is not None and each.deletes <= now]:
            del self.secrets[name]
        for id_ in [id_ for id_, each in self.keys.items() if each.deletes is not None and each.deletes <= now]:
            del self.keys[id_]
            self.aliases = {alias: of for alias, of in self.aliases.items() if of != id_}


@dataclass(frozen=True, slots=True)
class Call:
    """One admitted request: its parameters, and what it is done to."""

    account: Account
    settings: Settings
    now: float
    parameters: Mapping[str, str] = field(repr=False)

    def about(self, **parameters: str) -> Call:
        """The same call with other parameters."""
        return replace(self, parameters=parameters)

    def text(self, name: str, default: str = "") -> str:
        """A parameter as it is."""
        return self.parameters.get(name) or default

    def flag(self, name: str) -> bool:
        """A parameter that is true or false; SDKs write it in several ways.

        Raises:
            Refused: It is neither.
        """
        value = self.text(name, "false").lower()
        if value not in ("true", "false"):
            raise Refused("InvalidParameter")
        return value == "true"

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """A parameter that is a whole number.

        Raises:
            Refused: It is not, or not within its bounds.
        """
        value = self.text(name, str(default))
        if not value.isascii() or not value.isdigit() or len(value) > 9 or not least <= int(value) <= most:
            raise Refused("InvalidParameter")
        return int(value)

    def data(self, name: str) -> bytes:
        """A parameter that is Base64.

        Raises:
            Refused: It is not.
        """
        try:
            return base64.b64decode(self.text(name), validate=True)
        except (binascii.Error, ValueError):
            raise Refused("InvalidParameter") from None

    def json(self, name: str, kind: type[T]) -> T:
        """A parameter that is written as JSON; empty where it is missing.

        Raises:
            Refused: It is no JSON of that kind.
        """
        if not self.text(name):
            return kind()
        try:
            value = json.loads(self.text(name))
        except (ValueError, RecursionError):
            raise Refused("InvalidParameter") from None
        if not isinstance(value, kind):
            raise Refused("InvalidParameter")
        return value

    def listed(self, name: str, member: str = "") -> list[str]:
        """A parameter that is flattened to ``name.1``, ``name.2``; or a member of each, ``name.1.member``."""
        found: list[str] = []
        while (value := self.parameters.get(f"{name}.{len(found) + 1}{member and '.'}{member}")) is not None:
            found.append(value)
        return found

    def page(self, items: Sequence[T], size: int = 10) -> tuple[Sequence[T], dict[str, Any]]:
        """The page that is asked for, and what the answer says about pages."""
        number = self.number("PageNumber", 1, 1, 10**8)
        size = self.number("PageSize", size, 1, MAX_PAGE)
        told = {"PageNumber": number, "PageSize": size, "TotalCount": len(items)}
        return items[(number - 1) * size : number * size], told

    def arn(self, kind: str, name: str) -> str:
        """The name of a resource for everybody: ``acs:kms:cn-hangzhou:1000000000000001:secret/name``."""
        return f"acs:kms:{self.settings.region}:{self.settings.account}:{kind}/{name}"

    def instance(self) -> str:
        """The KMS instance that is named, or none.

        Raises:
            Refused: It is not there.
        """
        named = self.text("DKMSInstanceId")
        if named and named not in self.settings.instances:
            raise Refused("Forbidden.DKMSInstanceNotFound")
        return named


def moment(seconds: float) -> str:
    """A time as answers write it."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def tags(call: Call) -> dict[str, str]:
    """The tags of a parameter ``Tags``.

    Raises:
        Refused: They are written wrong, or named twice.
    """
    found: dict[str, str] = {}
    for each in call.json("Tags", list):
        if not isinstance(each, dict) or not isinstance(key := each.get("TagKey"), str) or not key:
            raise Refused("InvalidParameter.TagKey")
        if not isinstance(value := each.get("TagValue", ""), str):
            raise Refused("InvalidParameter.TagValue")
        if key in found:
            raise Refused("Duplicate.TagKey")
        found[key] = value
    if len(found) > MAX_TAGS:
        raise Refused("Rejected.LimitExceeded")
    return found


def shown(tags: Mapping[str, str], **more: str) -> dict[str, Any]:
    """Tags as answers list them."""
    return {"Tag": [{**more, "TagKey": key, "TagValue": value} for key, value in tags.items()]}
