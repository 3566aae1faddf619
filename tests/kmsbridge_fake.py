"""A provider for the tests of the contract suite: it can lack abilities, lie about them, and leak.

``fake://<store>?lacks=a,b&boasts=c&hides=d&leaks=e``: it neither has nor claims a and b,
claims c without having it, has d without claiming it, and leaks in the way of e.
"""

from __future__ import annotations

import logging
import threading
import warnings
from base64 import b64encode
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import NamedTuple

from kmsbridge import Capabilities, Code, ConflictError, Identity, Secret, SecretAbilities, SecretInfo
from kmsbridge._decode import Answer, Decoder, Reading, Refused, Rule
from kmsbridge._model import Page
from kmsbridge._names import IdentityNames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kmsbridge import KMSError
    from kmsbridge._call import Call
    from kmsbridge._driver import Location
    from kmsbridge._model import NewSecret, SecretChange
    from kmsbridge._runtime import Runtime

name = "fake"
PAGE_SIZE = 3
ABILITIES = frozenset(field.name for field in fields(SecretAbilities) if not field.name.startswith("max_"))


def _read(answer: Answer) -> Reading:
    words = answer.body.decode(errors="replace")
    return Reading(codes=(answer.text,), sentence=words or None)


decoder = Decoder(
    name,
    [
        Rule("missing", Code.NOT_FOUND),
        Rule("version-missing", Code.VERSION_NOT_FOUND),
        Rule("deleted", Code.DELETED_BUT_RECOVERABLE),
        Rule("disabled", Code.DISABLED),
        Rule("exists", Code.ALREADY_EXISTS),
    ],
    read=_read,
)


class _Version:
    def __init__(self, info: SecretInfo, value: str | bytes) -> None:
        self.info = info
        self.value = value


class _Entry:
    def __init__(self) -> None:
        self.versions: list[_Version] = []
        self.deleted_at: datetime | None = None


_STORES: dict[str, dict[str, _Entry]] = {}
_LOCK = threading.Lock()


class Settings(NamedTuple):
    """Which store, and how it misbehaves."""

    store: str
    claims: frozenset[str]
    does: frozenset[str]
    leaks: str

    @property
    def address(self) -> tuple[object, ...]:
        """Everything: two that misbehave differently are two."""
        return tuple(self)

    @property
    def identity(self) -> None:
        """There is one."""

    @property
    def capabilities(self) -> Capabilities:
        """What is claimed, true or not."""
        claims = SecretAbilities(**dict.fromkeys(self.claims, True))
        return Capabilities(
            replace(
                claims,
                max_value=1024 if claims.set else 0,
                max_binary=512 if claims.set else 0,
                max_tags=4 if claims.tags else 0,
                max_content_type=64 if claims.content_type else 0,
            )
        )

    @property
    def secret_names(self) -> IdentityNames:
        """Any printable ASCII."""
        return IdentityNames(r"[!-~]{1,128}")

    @property
    def key_names(self) -> IdentityNames:
        """The same."""
        return self.secret_names


def configure(location: Location) -> Settings:
    """See the module."""
    lacks, boasts, hides = (
        frozenset(filter(None, location.parameters.get(how, "").split(","))) for how in ("lacks", "boasts", "hides")
    )
    assert lacks | boasts | hides <= ABILITIES
    leaks = location.parameters.get("leaks", "")
    return Settings(location.host, ABILITIES - lacks - hides, ABILITIES - lacks - boasts, leaks)


async def open(settings: Settings, runtime: Runtime) -> Driver:  # noqa: A001 - what the core asks for
    """The driver on its store."""
    del runtime
    return Driver(settings)


class Driver:
    """Keeps secrets in a dictionary."""

    def __init__(self, settings: Settings) -> None:
        self._entries = _STORES.setdefault(settings.store, {})
        self._does = settings.does
        self._leaks = settings.leaks

    def repeatable(self, operation: str) -> bool:
        """Nothing gets lost on the way."""
        return operation != "secrets.set"

    async def reauthenticate(self) -> bool:
        """There is no credential."""
        return False

    async def refresh(self, error: KMSError) -> bool:
        """Nothing is stale."""
        del error
        return False

    async def poll(self, error: KMSError, call: Call) -> bool:
        """Nothing takes long."""
        del error, call
        return True

    async def health(self, call: Call) -> Identity | None:
        """It is there."""
        call.time_left()
        return Identity(credential="nobody")

    async def close(self) -> None:
        """Nothing is open."""

    async def get_secret(self, call: Call, name: str, version: str | None) -> Secret:
        """The latest, or the named one."""
        del call
        self._need("get")
        with _LOCK:
            found = self._version(self._live(name), version if "get_version" in self._does else None)
            if not found.info.enabled:
                raise Refused(Answer(403, text="disabled"))
            return self._secret(found)

    async def set_secret(self, call: Call, name: str, new: NewSecret) -> Secret:
        """Append."""
        self._need("set")
        does = self._does
        self._leak(call, new.value)
        with _LOCK:
            entry = self._entries.setdefault(name, _Entry())
            if entry.deleted_at is not None:
                raise self._leaking("deleted", new.value)
            if entry.versions and new.if_absent and "if_absent" in does:
                raise self._leaking("exists", new.value)
            info = SecretInfo(
                name,
                str(len(entry.versions) + 1),
                content_type=new.content_type if "content_type" in does else None,
                tags=new.tags if "tags" in does else {},
                created_at=datetime.now(UTC),
                expires_at=new.expires_at if "expires_at" in does else None,
            )
            entry.versions.append(_Version(info, new.value))
            return self._secret(entry.versions[-1])

    async def list_secrets(self, call: Call, cursor: str | None) -> Page[SecretInfo]:
        """By name."""
        del call
        self._need("list")
        with _LOCK:
            latest = {name: entry.versions[-1].info for name, entry in self._entries.items() if not entry.deleted_at}
        return _page(latest, cursor)

    async def list_secret_versions(self, call: Call, name: str, cursor: str | None) -> Page[SecretInfo]:
        """Newest first."""
        del call
        self._need("versions")
        with _LOCK:
            versions = {f"{9999 - number}": found.info for number, found in enumerate(self._live(name).versions)}
        return _page(versions, cursor)

    async def update_secret(self, call: Call, name: str, version: str | None, change: SecretChange) -> SecretInfo:
        """What is not None."""
        del call
        self._need("update")
        with _LOCK:
            found = self._version(self._live(name), version if "update_version" in self._does else None)
            info = found.info
            found.info = replace(
                info,
                enabled=info.enabled if change.enabled is None or "enabled" not in self._does else change.enabled,
                tags=info.tags if change.tags is None or "tags" not in self._does else change.tags,
                expires_at=info.expires_at if change.expires_at is None else change.expires_at,
            )
            return found.info

    async def delete_secret(self, call: Call, name: str) -> SecretInfo:
        """For good where nothing can be recovered."""
        del call
        self._need("delete")
        with _LOCK:
            entry = self._live(name)
            if {"recover", "purge", "deleted"} & self._does:
                entry.deleted_at = datetime.now(UTC)
            else:
                del self._entries[name]
            return SecretInfo(name, deleted_at=entry.deleted_at)

    async def list_deleted_secrets(self, call: Call, cursor: str | None) -> Page[SecretInfo]:
        """By name."""
        del call
        self._need("deleted")
        with _LOCK:
            deleted = {
                name: SecretInfo(name, deleted_at=entry.deleted_at)
                for name, entry in self._entries.items()
                if entry.deleted_at
            }
        return _page(deleted, cursor)

    async def recover_secret(self, call: Call, name: str) -> SecretInfo:
        """With all versions."""
        del call
        self._need("recover")
        with _LOCK:
            entry = self._deleted(name)
            entry.deleted_at = None
            return entry.versions[-1].info

    async def purge_secret(self, call: Call, name: str) -> None:
        """For good."""
        del call
        self._need("purge")
        with _LOCK:
            self._deleted(name)
            del self._entries[name]

    def _need(self, operation: str) -> None:
        if operation not in self._does:
            raise NotImplementedError(operation)

    def _live(self, name: str) -> _Entry:
        entry = self._entries.get(name)
        if entry is None or entry.deleted_at is not None:
            raise Refused(Answer(404, text="missing"))
        return entry

    def _deleted(self, name: str) -> _Entry:
        entry = self._entries.get(name)
        if entry is None or entry.deleted_at is None:
            raise Refused(Answer(404, text="missing"))
        return entry

    def _version(self, entry: _Entry, version: str | None) -> _Version:
        for found in entry.versions[::-1]:
            if version in (found.info.version, None):
                return found
        raise Refused(Answer(404, text="version-missing"))

    def _secret(self, found: _Version) -> Secret:
        info = found.info
        assert info.version is not None
        tags = {**info.tags, "leak": str(found.value)} if self._leaks == "tags" else info.tags
        return Secret(info.name, info.version, found.value, info.content_type, tags, info.created_at, info.expires_at)

    def _leak(self, call: Call, value: str | bytes) -> None:
        """What a careless driver does on its way."""
        raw = value.encode() if isinstance(value, str) else value
        logger = logging.getLogger("kmsbridge_fake.wire")
        match self._leaks:
            case "log":
                logger.debug("PUT %s", raw)
            case "log-extra":
                logger.debug("PUT", extra={"body": raw})
            case "log-base64":
                logger.debug("PUT {'value': '%s'}", b64encode(b"x" + raw).decode())
            case "log-hex":
                logger.debug("PUT %s", raw.hex(" ").upper().replace(" ", ""))
            case "log-traceback":
                logger.debug("trying again", exc_info=OSError(f"cannot send {raw!r}"))
            case "log-apart":
                apart = logging.getLogger("kmsbridge_fake.apart")
                apart.propagate = False
                apart.setLevel(logging.INFO)
                apart.info("PUT %s", raw)
            case "warning":
                warnings.warn(f"cannot store {raw!r} for long", UserWarning, stacklevel=2)
            case "event":
                call.request_ids["x-request-id"] = str(value)

    def _leaking(self, code: str, value: str | bytes) -> Exception:
        """What a careless driver raises."""
        match self._leaks:
            case "message":
                return Refused(Answer(409, text=code, body=f"cannot store {value!r}".encode()))
            case "chained" | "context" | "attribute" | "foreign":
                error = ConflictError(code=Code.ALREADY_EXISTS if code == "exists" else Code.DELETED_BUT_RECOVERABLE)
                if self._leaks == "chained":
                    error.__cause__ = ValueError(f"cannot store {value!r}")
                elif self._leaks == "foreign":
                    error.__cause__ = ValueError("nothing of the caller's")
                elif self._leaks == "context":
                    error.__context__ = ValueError(f"cannot store {value!r}")
                    error.__suppress_context__ = True
                else:
                    error.__dict__["body"] = value
                return error
        return Refused(Answer(409, text=code))


def _page(items: dict[str, SecretInfo], cursor: str | None) -> Page[SecretInfo]:
    keys = sorted(key for key in items if cursor is None or key > cursor)
    page = keys[:PAGE_SIZE]
    return Page([items[key] for key in page], page[-1] if len(keys) > PAGE_SIZE else None)
