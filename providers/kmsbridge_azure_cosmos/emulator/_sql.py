"""The part of SQL that listings need, by a grammar: what is outside it gets the service's own 400.

``SELECT`` of everything, of paths with names of their own or of one ``VALUE``; ``FROM`` the
container; ``WHERE`` with comparisons, IN, AND, OR, NOT, IS_DEFINED and STARTSWITH; parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from math import isfinite
from typing import Any, NamedTuple

from lark import Lark, Token, Transformer, UnexpectedInput, v_args
from lark.exceptions import VisitError

from kmsbridge_azure_cosmos.emulator._known import Refused
from kmsbridge_azure_cosmos.emulator._values import COMPARISONS, UNDEFINED, equal

_RESERVED = (
    "AND|ARRAY|AS|ASC|BETWEEN|BY|CASE|CROSS|DESC|DISTINCT|ELSE|END|ESCAPE|EXISTS|FALSE|FROM|GROUP|HAVING|IN|JOIN|LEFT|"
    "LIKE|LIMIT|NOT|NULL|OFFSET|ON|OR|ORDER|RIGHT|SELECT|THEN|TOP|TRUE|UDF|UNDEFINED|VALUE|WHEN|WHERE"
)
_GRAMMAR = rf"""
query: _SELECT selection [source] [where]
condition: source where
source: _FROM NAME (_AS? NAME)?
?where: _WHERE _any
?selection: "*" -> everything
    | _VALUE _any -> value
    | column ("," column)* -> columns
column: _any [_AS NAME]
_any: either
?either: both (_OR both)*
?both: negation (_AND negation)*
?negation: _NOT negation -> negated | comparison
?comparison: atom | atom OPERATOR atom -> compared | atom IN "(" atom ("," atom)* ")" -> among
?atom: STRING -> string | NUMBER -> number | PARAMETER -> parameter
    | _TRUE -> true | _FALSE -> false | _NULL -> null
    | _IS_DEFINED "(" _any ")" -> defined
    | _STARTSWITH "(" _any "," _any ")" -> starts
    | NAME step* -> path
    | "(" _any ")"
step: "." NAME | "[" STRING "]"

OPERATOR: "=" | "!=" | "<>" | "<=" | ">=" | "<" | ">"
STRING: /"([^"\\]|\\.)*"|'([^'\\]|\\.)*'/
NUMBER: /-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?/
PARAMETER: /@[A-Za-z_][A-Za-z0-9_]*/
NAME: /(?!(?:{_RESERVED})\b)[A-Za-z_][A-Za-z0-9_]*/i
_SELECT.2: /SELECT\b/i
_FROM.2: /FROM\b/i
_WHERE.2: /WHERE\b/i
_AS.2: /AS\b/i
_VALUE.2: /VALUE\b/i
_OR.2: /OR\b/i
_AND.2: /AND\b/i
_NOT.2: /NOT\b/i
IN.2: /IN\b/i
_TRUE.2: /true\b/i
_FALSE.2: /false\b/i
_NULL.2: /null\b/i
_IS_DEFINED.2: /IS_DEFINED(?=\s*\()/i
_STARTSWITH.2: /STARTSWITH(?=\s*\()/i
%ignore /\s+/
"""


_SYNTAX, _IDENTIFIER = 1001, 2001
Item = Mapping[str, Any]
Expression = Callable[[Item], Any]


class Query(NamedTuple):
    """A query that can be asked of items one by one."""

    select: Expression
    where: Expression

    def of(self, item: Item) -> list[Any]:
        """What it finds in an item: one thing, or nothing."""
        if self.where(item) is not True:
            return []
        found = self.select(item)
        return [] if found is UNDEFINED else [found]


class _Wrong(Exception):
    """What the grammar takes and the service does not. `number` is that of the service's own code."""

    def __init__(self, token: Token, number: int) -> None:
        super().__init__(str(token))
        self.token = token
        self.number = number


@v_args(inline=True)
class _Compiler(Transformer[Token, Any]):
    """From the tree to functions of an item."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        super().__init__()
        self._parameters = parameters
        self._names: list[Token] = []

    # -- statements

    def query(self, select: Expression, alias: str | None, where: Expression | None) -> Query:
        """A whole query."""
        self._resolve(alias)
        return Query(select, where or _always)

    def condition(self, alias: str, where: Expression) -> Query:
        """The condition of a patch."""
        self._resolve(alias)
        return Query(_itself, where)

    def source(self, *names: Token) -> str:
        """The name that an item has in the query."""
        return str(names[-1])

    def _resolve(self, alias: str | None) -> None:
        for token in self._names:
            if str(token) != alias:
                raise _Wrong(token, _IDENTIFIER)

    def everything(self) -> Expression:
        """The item as it is."""
        return _itself

    def value(self, expression: Expression) -> Expression:
        """One value an item."""
        return expression

    def columns(self, *found: tuple[Expression, str | None]) -> Expression:
        """An object an item."""
        return _object([(name or f"${at}", column) for at, (column, name) in enumerate(found, 1)])

    def column(self, expression: Expression, name: Token | None) -> tuple[Expression, str | None]:
        """A member of it: called as it says, or as the last part of its path."""
        return expression, str(name) if name is not None else getattr(expression, "last", None)

    # -- conditions

    def either(self, *parts: Expression) -> Expression:
        """OR."""
        return lambda item: any(part(item) is True for part in parts)

    def both(self, *parts: Expression) -> Expression:
        """AND."""
        return lambda item: all(part(item) is True for part in parts)

    def negated(self, part: Expression) -> Expression:
        """NOT, of what is true or false."""
        return lambda item: not found if isinstance(found := part(item), bool) else UNDEFINED

    def compared(self, left: Expression, operator: Token, right: Expression) -> Expression:
        """Two values of one kind."""
        compare = COMPARISONS[str(operator)]
        return lambda item: compare(left(item), right(item))

    def among(self, left: Expression, _: Token, *rest: Expression) -> Expression:
        """IN."""
        return lambda item: any(equal(left(item), each(item)) is True for each in rest)

    def defined(self, part: Expression) -> Expression:
        """IS_DEFINED."""
        return lambda item: part(item) is not UNDEFINED

    def starts(self, text: Expression, prefix: Expression) -> Expression:
        """STARTSWITH."""

        def starts(item: Item) -> Any:
            found, begins = text(item), prefix(item)
            both = isinstance(found, str) and isinstance(begins, str)
            return found.startswith(begins) if both else UNDEFINED

        return starts

    # -- values

    def string(self, token: Token) -> Expression:
        """A text, with its escapes."""
        return _constant(_text(token))

    def number(self, token: Token) -> Expression:
        """A number: beyond what a double holds there is none."""
        value = float(token)
        if not isfinite(value):
            raise _Wrong(token, _SYNTAX)
        return _constant(value if set(token) & set(".eE") or abs(value) >= 2**53 else int(token))

    def parameter(self, token: Token) -> Expression:
        """What was given under this name."""
        return _constant(self._parameters.get(str(token), UNDEFINED))

    def true(self) -> Expression:
        """True."""
        return _constant(True)

    def false(self) -> Expression:
        """False."""
        return _constant(False)

    def null(self) -> Expression:
        """Null."""
        return _constant(None)

    def step(self, token: Token) -> str:
        """One part of a path."""
        return _text(token) if token.type == "STRING" else str(token)

    def path(self, root: Token, *steps: str) -> Expression:
        """What stands there in the item."""
        self._names.append(root)

        def path(item: Item) -> Any:
            found: Any = item
            for step in steps:
                if not isinstance(found, Mapping) or step not in found:
                    return UNDEFINED
                found = found[step]
            return found

        path.__dict__["last"] = steps[-1] if steps else str(root)
        return path


def compiled(text: object, parameters: object) -> Query:
    """A query out of its text.

    Raises:
        Refused: It is wrong, or more than this grammar knows.
    """
    given: dict[str, Any] = {}
    for each in parameters if isinstance(parameters, list) else []:
        if isinstance(each, dict) and "value" in each:
            given[str(each.get("name"))] = each["value"]
    found: Query = _compiled(text, given, "query")
    return found


def holds(condition: object, item: Item) -> bool:
    """Whether the condition of a patch holds: ``from c where ...``."""
    return bool(_compiled(condition, {}, "condition").of(item))


def _compiled(text: object, parameters: Mapping[str, Any], start: str) -> Query:
    if not isinstance(text, str):
        raise Refused("400/InvalidJson")
    try:
        found: Query = _Compiler(parameters).transform(_parser().parse(text, start=start))
    except UnexpectedInput as error:
        at = error.pos_in_stream or 0
        near = text[at:].split(maxsplit=1)[0] if text[at:].split() else ""
        start_at, number = max(at, 0), _SYNTAX
    except VisitError as error:
        if not isinstance(error.orig_exc, _Wrong):
            raise
        token, number = error.orig_exc.token, error.orig_exc.number
        near, start_at = str(token), token.start_pos or 0
    except RecursionError:  # too deep: the service has a limit of its own
        near, start_at, number = "", 0, _SYNTAX
    else:
        return found
    facts = {"near": near, "start": start_at, "end": start_at + len(near), "number": number}
    raise Refused("400/Syntax" if number == _SYNTAX else "400/Identifier", **facts)


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", start=["query", "condition"], maybe_placeholders=True)


def _itself(item: Item) -> Any:
    return item


def _always(_: Item) -> Any:
    return True


def _constant(value: Any) -> Expression:
    return lambda _: value


def _object(columns: list[tuple[str, Expression]]) -> Expression:
    def build(item: Item) -> dict[str, Any]:
        found = {name: column(item) for name, column in columns}
        return {name: value for name, value in found.items() if value is not UNDEFINED}

    return build


def _text(token: Token) -> str:
    plain = str(token)[1:-1]
    return plain.replace("\\'", "'").replace('\\"', '"').replace("\\\\", "\\")
