"""Partial updates: up to ten operations on paths of a document."""

from __future__ import annotations

import copy
from typing import Any

from kmsbridge_azure_cosmos.emulator._known import Refused

MAX_OPERATIONS = 10
VERBS = ("add", "set", "replace", "remove", "incr", "move")


def patched(document: dict[str, Any], operations: object) -> dict[str, Any]:
    """A copy of a document with the operations carried out, in their order."""
    if not isinstance(operations, list) or not 0 < len(operations) <= MAX_OPERATIONS:
        raise Refused("400/InvalidJson")
    new = copy.deepcopy(document)
    for index, operation in enumerate(operations, 1):
        if not isinstance(operation, dict) or operation.get("op") not in VERBS:
            raise Refused("400/InvalidJson")
        verb = operation["op"]
        try:
            _apply(new, verb, operation)
        except (KeyError, IndexError, TypeError, ValueError):
            raise Refused(
                "400/PatchPath", index=index, verb=verb.capitalize(), path=str(operation.get("path"))
            ) from None
    return new


def _apply(document: dict[str, Any], verb: str, operation: dict[str, Any]) -> None:
    if verb == "move":
        parent, name = _target(document, operation["from"])
        value = parent.pop(name)
        verb = "add"
    else:
        value = None if verb == "remove" else operation["value"]
    parent, name = _target(document, operation["path"])
    if verb == "remove":
        parent.pop(name)
    elif verb == "incr":
        before = parent.get(name, 0) if isinstance(parent, dict) else parent[name]
        if not (_is_number(before) and _is_number(value)):
            raise Refused("400")
        parent[name] = before + value
    elif verb == "add" and isinstance(parent, list):
        parent.insert(name, value)
    elif verb == "replace" and isinstance(parent, dict) and name not in parent:
        raise KeyError(name)
    else:
        parent[name] = value


def _target(document: dict[str, Any], path: object) -> tuple[Any, Any]:
    """What holds the last part of a path, and the name or index of it there."""
    if not isinstance(path, str):
        raise Refused("400/InvalidJson")
    start, *names = path.split("/")
    if start or not names:
        raise ValueError(path)
    parent: Any = document
    for name in names[:-1]:
        parent = parent[_index(name, len(parent)) if isinstance(parent, list) else name]
    if isinstance(parent, list):
        return parent, len(parent) if names[-1] == "-" else _index(names[-1], len(parent) + 1)
    if not isinstance(parent, dict):
        raise TypeError(path)
    return parent, names[-1]


def _index(name: str, end: int) -> int:
    if not (name.isascii() and name.isdigit()) or int(name) >= end:
        raise IndexError(name)
    return int(name)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
