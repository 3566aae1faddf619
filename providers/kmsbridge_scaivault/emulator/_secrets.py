"""What can be done with secrets."""

from __future__ import annotations

import base64
import json
from typing import Any

from kmsbridge_scaivault.emulator import _assumed
from kmsbridge_scaivault.emulator._known import Refused
from kmsbridge_scaivault.emulator._state import DAY, Secret, SecretVersion, duration, glob, invalid, moment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kmsbridge_scaivault.emulator._state import Call

KINDS = ("kv", "json", "certificate", "ssh_key", "api_key")


def read(call: Call) -> dict[str, Any]:
    """A version of a secret, the newest unless one is named."""
    version = call.number("version", 0, 10**9 - 1) if "version" in call.query else None
    return _read(call, version)


def _read(call: Call, number: int | None) -> dict[str, Any]:
    call.check("read")
    secret = _find(call)
    if secret.expires is not None and secret.expires <= call.now:
        raise Refused("secret_expired", path=call.path)
    if number is None:
        version = secret.latest
    else:
        found = [each for each in secret.versions if each.number == number]
        if not found:
            raise Refused("version_not_found", path=call.path, version=number)
        version = found[0]
    secret.accessed = call.now
    return {**secret.shown(version), "data": version.data}


def write(call: Call) -> dict[str, Any]:
    """One more version; the first makes the secret."""
    call.check("write")
    given = call.json()
    data, options = given.get("data"), _object(given, "options")
    if not isinstance(data, dict):
        raise invalid("data", "is required and must be an object")
    kind, metadata = given.get("secret_type"), _metadata(given)
    if kind is not None and kind not in KINDS:
        raise Refused("invalid_secret_type")
    kept = options.get("max_versions")
    if kept is not None and (type(kept) is not int or kept < 1):
        raise invalid("options.max_versions", "must be an integer from 1")
    if options.get("rotation_policy_id") is not None:  # rotation is not emulated, so there is none
        raise Refused("rotation_policy_not_found")
    lasts = options.get("expires_in")
    expires = None if lasts is None else call.now + duration(lasts)
    secret = call.secrets.get(call.path)
    if secret is None:
        if 0 < call.settings.secrets_quota <= len(call.secrets):
            raise Refused("quota_exceeded")
        secret = call.secrets[call.path] = Secret(call.path, call.now, call.now)
    elif secret.gone is not None:
        raise Refused("secret_exists", path=call.path)
    number = secret.latest.number + 1 if secret.versions else 1
    kind = kind or (secret.latest.kind if secret.versions else "kv")
    made = SecretVersion(number, data, kind, call.now)
    secret.versions.append(made)
    secret.updated, secret.expires = call.now, expires
    secret.metadata = secret.metadata if metadata is None else metadata
    secret.max_versions = kept or secret.max_versions
    del secret.versions[: -secret.max_versions]
    return {"path": secret.path, **_version(made), "expires_at": moment(secret.expires)}


def delete(call: Call) -> None:
    """Let it be gone after the retention, or now."""
    call.check("delete")
    hard = call.query.get(_assumed.HARD, "false")
    if hard not in ("true", "false"):
        raise invalid(_assumed.HARD, "must be true or false")
    if hard == "true" and call.path in call.secrets:  # also one that is soft-deleted: else nothing could be done
        del call.secrets[call.path]
    else:
        _find(call).gone = call.now + call.settings.retention_days * DAY


def update_metadata(call: Call) -> dict[str, Any]:
    """Other metadata, and no new version."""
    call.check("write")
    changes = _metadata(call.json())
    if changes is None:
        raise invalid("metadata", "is required")
    secret = _find(call)
    merged = {**secret.metadata, **changes}
    secret.metadata = {key: value for key, value in merged.items() if value is not None}
    secret.updated = call.now
    return secret.shown()


def versions(call: Call) -> dict[str, Any]:
    """The versions that are kept, the newest first."""
    call.check("list")
    secret = _find(call)
    return {"path": secret.path, "versions": [_version(each) for each in reversed(secret.versions)]}


def _version(version: SecretVersion) -> dict[str, Any]:
    return {"version": version.number, "secret_type": version.kind, "created_at": moment(version.created)}


def list_secrets(call: Call) -> dict[str, Any]:
    """A page of those that are not deleted and may be listed, by path."""
    prefix, limit = call.query.get("prefix", ""), call.number("limit", _assumed.PAGE, _assumed.MAX_PAGE)
    after = _after(call, prefix)
    found = [
        each
        for path, each in sorted(call.secrets.items())
        if each.gone is None and path.startswith(prefix) and path > after and call.allows("list", path)
    ]
    more = len(found) > limit
    cursor = _cursor(prefix, found[limit - 1].path, call.now) if more else None
    listed = [each.shown() for each in found[:limit]]
    return {call.settings.listed_under: listed, "cursor": cursor, "has_more": more}


def batch_read(call: Call) -> dict[str, Any]:
    """Many secrets; what cannot be read is told beside the others."""
    given = call.json()
    options = _object(given, "options")
    number = options.get("version")
    if number is not None and (type(number) is not int or number < 1):
        raise invalid("options.version", "must be an integer from 1")
    wanted = ("data", "version", "secret_type", *(["metadata"] if options.get("include_metadata") is True else []))

    def one(path: str) -> dict[str, Any]:
        told = _read(call.about(path), number)
        return {name: told[name] for name in wanted}

    return _each(paths_of(given), one, fail_fast=options.get("fail_fast") is True)


def batch_metadata(call: Call) -> dict[str, Any]:
    """The same without values, and also for patterns."""
    given = call.json()
    paths = paths_of(given)
    if _object(given, "options").get("expand_wildcards") is True:
        patterns = {path: glob(path) for path in paths if "*" in path}
        live = sorted(path for path, each in call.secrets.items() if each.gone is None and call.allows("list", path))
        paths = [
            path
            for named in paths
            for path in ([each for each in live if patterns[named].fullmatch(each)] if named in patterns else [named])
        ]
    return _each(paths, lambda path: _metadata_of(call.about(path)))


def _metadata_of(call: Call) -> dict[str, Any]:
    call.check("list")
    secret = _find(call)
    return {**secret.shown(), "version_count": len(secret.versions)}


def paths_of(given: dict[str, Any]) -> list[str]:
    """The paths of a batch.

    Raises:
        Refused: They are none, or too many.
    """
    paths = given.get("paths")
    if not isinstance(paths, list) or not 1 <= len(paths) <= _assumed.MAX_PATHS:
        raise invalid("paths", f"must be a list of 1 to {_assumed.MAX_PATHS} paths")
    if not all(isinstance(path, str) for path in paths):
        raise invalid("paths", "must be strings")
    return paths


def _each(paths: list[str], one: Callable[[str], dict[str, Any]], *, fail_fast: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = {}
    failed: dict[str, Refused] = {}
    for path in paths:
        try:
            found[path] = one(path)
        except Refused as refused:
            if fail_fast:  # assumed: the whole request is answered with it
                raise
            failed[path] = refused
    return {"secrets": found, "errors": failed}


def _find(call: Call) -> Secret:
    secret = call.secrets.get(call.path)
    if secret is None or secret.gone is not None:
        raise Refused("secret_not_found", path=call.path)
    return secret


def _object(given: dict[str, Any], name: str) -> dict[str, Any]:
    value = given.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid(name, "must be an object")
    return value


def _metadata(given: dict[str, Any]) -> dict[str, Any] | None:
    if given.get("metadata") is None:
        return None
    metadata = _object(given, "metadata")
    tags = metadata.get("tags")
    if tags is not None and (not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags)):
        raise invalid("metadata.tags", "must be a list of strings")
    return metadata


def _cursor(prefix: str, path: str, now: float) -> str:
    return base64.urlsafe_b64encode(json.dumps([prefix, path, now]).encode()).decode().rstrip("=")


def _after(call: Call, prefix: str) -> str:
    """The path that the last page ended with; empty at the start."""
    cursor = call.query.get("cursor")
    if cursor is None:
        return ""
    try:
        of, path, made = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        late = float(made) + _assumed.CURSOR_SECONDS <= call.now
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise Refused("invalid_cursor") from None
    if late or of != prefix or not isinstance(path, str):
        raise Refused("invalid_cursor")
    return path


HANDLERS: Mapping[str, Callable[[Call], dict[str, Any] | None]] = {
    "ReadSecret": read,
    "WriteSecret": write,
    "DeleteSecret": delete,
    "UpdateMetadata": update_metadata,
    "ListVersions": versions,
    "ListSecrets": list_secrets,
    "BatchRead": batch_read,
    "BatchMetadata": batch_metadata,
}
