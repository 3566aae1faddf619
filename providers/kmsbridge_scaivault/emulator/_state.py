"""What a tenant has, and what a request is about."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from kmsbridge_scaivault.emulator import _assumed
from kmsbridge_scaivault.emulator._known import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kmsbridge_scaivault.emulator._tokens import Identity

DAY = 86_400
PATH = re.compile(r"[a-z0-9_-]+(/[a-z0-9_-]+){0,9}")
MAX_PATH = 512
GLOB = re.compile(r"[a-z0-9_*-]+(/[a-z0-9_*-]+)*")


@dataclass(frozen=True)
class Settings:
    """How the service behaves. Limits are the documented defaults of the managed service."""

    retention_days: float = 30.0
    """How long a soft-deleted secret is kept. The documents give one sample, of about this length."""
    scopes: tuple[str, ...] = (
        "secrets:read", "secrets:write", "secrets:delete", "secrets:list", "secrets:rotate", "admin",
    )
    """What tokens may have."""
    denied: tuple[str, ...] = ()
    """Paths that no policy rule allows, as globs (``billing/**``), or for one permission (``write:billing/*``)."""
    revoked: tuple[str, ...] = ()
    """Tokens, or ids of identities, that were revoked."""
    partner_admin: bool = False
    """Whether callers may work in other tenants of their partner."""
    personal_token_days: float = 90.0
    token_seconds: int = 3600
    """Of a token that a client's credentials are exchanged for."""
    listed_under: str = "secrets"
    """Where a list has its items: the CLI's pages say ``secrets``, those of the JavaScript SDK ``data``."""
    secrets_quota: int = 0
    """The most secrets that a tenant may have; 0 is no limit."""
    maintenance: bool = False
    disabled: tuple[str, ...] = ()
    """Operations that this deployment has not."""
    down: tuple[str, ...] = ()
    """Which of ``database``, ``redis``, ``encryption`` fail: requests get errors, and ``/v1/health/ready`` says so."""
    reads_per_minute: int = 1000
    writes_per_minute: int = 100
    deletes_per_minute: int = 100
    lists_per_minute: int = 100
    batch_reads_per_minute: int = 100
    batch_metadata_per_minute: int = 100
    whoami_per_minute: int = 300


@dataclass(slots=True)
class SecretVersion:
    """One version of a secret."""

    number: int
    data: dict[str, Any] = field(repr=False)
    kind: str
    created: float


@dataclass(slots=True)
class Secret:
    """One secret with its versions, oldest first. Times are seconds since 1970."""

    path: str
    created: float
    updated: float
    versions: list[SecretVersion] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    max_versions: int = _assumed.MAX_VERSIONS
    expires: float | None = None
    accessed: float | None = None
    gone: float | None = None
    """When the retention after its soft delete ends; None while it is not deleted."""

    @property
    def latest(self) -> SecretVersion:
        """The newest version."""
        return self.versions[-1]

    def shown(self, version: SecretVersion | None = None) -> dict[str, Any]:
        """The secret without its data, at a version, or as it is now."""
        at = version or self.latest
        return {
            "path": self.path, "secret_type": at.kind, "version": at.number, "metadata": self.metadata,
            "created_at": moment(self.created), "updated_at": moment(at.created if version else self.updated),
            "expires_at": moment(self.expires), "last_accessed_at": moment(self.accessed),
            "rotation_policy_id": None, "secret_policy_id": None,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Call:
    """One admitted request: what it says, who asks, and what it is done to."""

    secrets: dict[str, Secret]
    settings: Settings
    now: float
    identity: Identity
    query: Mapping[str, str]
    body: bytes = field(repr=False)
    path: str = ""

    def about(self, path: str) -> Call:
        """The same call about another secret."""
        return replace(self, path=path)

    def json(self) -> dict[str, Any]:
        """The body.

        Raises:
            Refused: It is no JSON object.
        """
        try:
            value = json.loads(self.body, parse_constant=_no_json)
            # half a pair of surrogates is no text, and 1e999 no number that could be sent again
            json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        except (ValueError, RecursionError):
            raise Refused("invalid_request") from None
        if not isinstance(value, dict):
            raise Refused("invalid_request")
        return value

    def number(self, name: str, default: int, most: int) -> int:
        """A parameter of the query that is a whole number from 1.

        Raises:
            Refused: It is not, or above `most`.
        """
        text = self.query.get(name, str(default))
        if not text.isascii() or not text.isdigit() or len(text) > 9 or not 1 <= int(text) <= most:
            raise invalid(name, f"must be an integer from 1 to {most}")
        return int(text)

    def check(self, permission: str) -> None:
        """Whether the path is one, and policies allow it.

        Raises:
            Refused: One of the two is not so.
        """
        if len(self.path) > MAX_PATH or not PATH.fullmatch(self.path):
            raise Refused("invalid_path", path=self.path)
        if not self.allows(permission, self.path):
            raise Refused("access_denied", path=self.path, permission=permission)

    def allows(self, permission: str, path: str) -> bool:
        """Whether a policy rule allows something on a path."""
        for rule in self.settings.denied:
            only, _, pattern = rule.rpartition(":")
            if only in ("", permission) and glob(pattern).fullmatch(path):
                return False
        return True


def glob(pattern: str) -> re.Pattern[str]:
    """A pattern of paths: ``*`` is part of a segment, ``**`` any number of them.

    Raises:
        Refused: It has what no path has.
    """
    if not GLOB.fullmatch(pattern):
        raise Refused("invalid_glob")
    return re.compile("".join({"**": ".*", "*": "[^/]*"}.get(part, part) for part in re.split(r"(\*\*|\*)", pattern)))


def _no_json(constant: str) -> float:
    raise ValueError(constant)


def invalid(name: str, why: str) -> Refused:
    """A field does not say what it should. How ``details.fields`` looks is nowhere shown."""
    return Refused("validation_error", fields=[{"field": name, "message": why}])


def duration(text: object) -> float:
    """A duration in seconds.

    Raises:
        Refused: It is none.
    """
    if not isinstance(text, str) or (found := re.fullmatch(_assumed.DURATION, text)) is None:
        raise Refused("invalid_duration")
    return int(found[1]) * {"h": 3600, "d": DAY}[found[2]]


def moment(seconds: float | None) -> str | None:
    """A time as answers write it."""
    return None if seconds is None else datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
