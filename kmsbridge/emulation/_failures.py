"""Failures on demand: what they look like on the wire, and which request meets them."""

from __future__ import annotations

import base64
import random
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from kmsbridge.emulation._message import Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

CONNECT = "Connect"
"""The name under which a connection can fail before TLS: with `Hang`, `Reset`, `Close`, `Delay` or `Garbage`."""
CHALLENGE = "Challenge"
"""The name under which a request can fail that the backend does not admit: one without a token, for example."""
ANY = "*"
"""Every request that the backend admits, whatever its operation, unless that is auxiliary."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of one's own in place of the backend's."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)

    def response(self) -> Response:
        """As it is sent."""
        return Response(self.status, self.headers, self.body)


@dataclass(frozen=True, slots=True)
class Hang:
    """No answer at all, not even headers, until the client leaves or `seconds` are over."""

    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Reset:
    """No answer: the connection is reset (TCP RST)."""


@dataclass(frozen=True, slots=True)
class Close:
    """No answer: the connection is closed (TCP FIN)."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The headers of the answer and the first `at` bytes of its body; then the connection ends, or nothing happens."""

    at: int = 0
    then: Literal["close", "reset", "hang"] = "close"


@dataclass(frozen=True, slots=True)
class Drip:
    """The body of the answer one byte at a time, a byte every `seconds`."""

    seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class Delay:
    """The answer, but `seconds` later."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Garbage:
    """These bytes in place of an HTTP answer; then the connection is closed."""

    data: bytes = field(default=b"\x00\xff not HTTP\r\n", repr=False)


Failure = Answer | Hang | Reset | Close | Cut | Drip | Delay | Garbage
_KINDS: dict[str, type[Failure]] = {
    kind.__name__.lower(): kind for kind in (Answer, Hang, Reset, Close, Cut, Drip, Delay, Garbage)
}
_BEFORE_TLS = (Hang, Reset, Close, Delay, Garbage)
ANSWERED = (Cut, Drip, Delay)
"""These happen to the answer of an operation that was applied."""


@dataclass(slots=True)
class Rule:
    """Which requests fail, how, and how often still."""

    operation: str
    failure: Failure | str
    resource: str | None = None
    times: int | None = 1
    probability: float = 1.0
    before_applying: bool = True

    @property
    def name(self) -> str:
        """Of the failure, for the recorder."""
        return self.failure if isinstance(self.failure, str) else type(self.failure).__name__


class Failures:
    """The rules in force, oldest first. Of several that fit a request, the oldest is used."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._random = random.Random(seed)  # noqa: S311 - a failing run must be repeatable
        self._rules: list[Rule] = []

    def add(self, rule: Rule) -> None:
        """Put a rule in force.

        Raises:
            ValueError: It could never fire, or could not be carried out.
        """
        if rule.times is not None and rule.times < 1:
            raise ValueError("times is a count from 1, or None for ever")
        if not 0 < rule.probability <= 1:
            raise ValueError("probability lies above 0 and is at most 1")
        if rule.operation == CONNECT and not isinstance(rule.failure, _BEFORE_TLS):
            raise ValueError("a connection can only hang, close, be reset or delayed, or answer garbage")
        self._rules.append(rule)

    def take(self, operation: str, resource: str, *, auxiliary: bool = False) -> Rule | None:
        """The rule that this request meets, counted as used; None if it meets none."""
        special = auxiliary or operation in (CONNECT, CHALLENGE)
        for rule in self._rules:
            fits = not special if rule.operation == ANY else rule.operation == operation
            if not fits or rule.resource not in (None, resource):
                continue
            if rule.probability < 1 and self._random.random() >= rule.probability:
                continue
            if rule.times is not None:
                rule.times -= 1
                if not rule.times:
                    self._rules.remove(rule)
            return rule
        return None

    def reset(self) -> None:
        """No rule is in force, and the dice begin anew."""
        self._rules.clear()
        self._random.seed(self._seed)

    def __len__(self) -> int:
        return len(self._rules)


def failure_from_json(value: str | Mapping[str, Any]) -> Failure | str:
    """A failure as the control path writes it: a name, or ``{"kind": "cut", "at": 10}``.

    Bytes are given as text, or in Base64 under ``body_base64`` and ``data_base64``.

    Raises:
        ValueError: There is no such kind, or it has no such field.
    """
    if isinstance(value, str):
        return value
    given = dict(value)
    kind = _KINDS.get(str(given.pop("kind", "")))
    if kind is None:
        raise ValueError(f"the kind of a failure is one of {', '.join(_KINDS)}")
    for name in ("body", "data"):
        if isinstance(given.get(name), str):
            given[name] = given[name].encode()
        if isinstance(encoded := given.pop(f"{name}_base64", None), str):
            given[name] = base64.b64decode(encoded, validate=True)
    if "headers" in given:
        pairs = given["headers"].items() if isinstance(given["headers"], dict) else given["headers"]
        given["headers"] = tuple((str(name), str(text)) for name, text in pairs)
    known = {each.name for each in fields(kind)}
    if unknown := set(given) - known:
        allowed = ", ".join(sorted(known)) or "nothing"
        raise ValueError(f"{kind.__name__} takes {allowed}, not {', '.join(sorted(unknown))}")
    return kind(**given)
