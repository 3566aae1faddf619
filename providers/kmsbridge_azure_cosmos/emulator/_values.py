"""The values of SQL: types do not mix, and what is not there equals nothing."""

from __future__ import annotations

from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class _Undefined:
    """What is not there; nothing equals it."""


UNDEFINED = _Undefined()


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else type(value).__name__


def equal(left: Any, right: Any) -> Any:
    """Whether two values are the same; undefined where one is."""
    if UNDEFINED in (left, right):
        return UNDEFINED
    return _kind(left) == _kind(right) and left == right


def _unequal(left: Any, right: Any) -> Any:
    same = equal(left, right)
    return same if same is UNDEFINED else not same


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], Any]:
    def ordered(left: Any, right: Any) -> Any:
        return compare(left, right) if _kind(left) == _kind(right) and _kind(left) in ("number", "str") else UNDEFINED

    return ordered


COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = {
    # An order is among numbers and among texts.
    "=": equal,
    "!=": _unequal,
    "<>": _unequal,
    "<": _ordered(lambda left, right: left < right),
    "<=": _ordered(lambda left, right: left <= right),
    ">": _ordered(lambda left, right: left > right),
    ">=": _ordered(lambda left, right: left >= right),
}
