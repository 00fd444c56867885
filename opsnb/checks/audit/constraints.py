"""What a CHECK makes of values that are written in the source: evaluated on its syntax tree, in SQL's three values and 'not known'."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

import sqlglot
from sqlglot import exp

_TEXTS = ("TEXT", "VARCHAR", "CHAR", "BPCHAR", "NAME", "NVARCHAR", "NCHAR")
_COMPARISONS: tuple[tuple[type[exp.Expression], Callable[[Any, Any], bool]], ...] = (
    (exp.EQ, lambda left, right: bool(left == right)),
    (exp.NEQ, lambda left, right: bool(left != right)),
    (exp.GT, lambda left, right: bool(left > right)),
    (exp.GTE, lambda left, right: bool(left >= right)),
    (exp.LT, lambda left, right: bool(left < right)),
    (exp.LTE, lambda left, right: bool(left <= right)),
)


class _NotKnown:
    """A value that the source does not tell."""


UNKNOWN: Final = _NotKnown()


@lru_cache(maxsize=4096)
def parsed(definition: str) -> exp.Expression | None:
    """The condition of ``CHECK (...)``; None for what is no CHECK or cannot be read."""
    match = re.match(r"(?is)\s*CHECK\s*(\(.*\))\s*(?:NO INHERIT|NOT VALID|\s)*$", definition)
    if match is None:
        return None
    try:
        found = sqlglot.parse_one(match[1], read="postgres")
        return found if isinstance(found, exp.Expression) else None
    except (sqlglot.errors.SqlglotError, RecursionError):
        return None


def columns(condition: exp.Expression) -> set[str]:
    """The columns that a condition looks at."""
    return {column.name for column in condition.find_all(exp.Column)}


def evaluate(node: exp.Expression | None, row: Mapping[str, Any]) -> Any:
    """What *node* is for a row of which some columns are known: a value, None (NULL) or UNKNOWN."""
    if isinstance(node, exp.Is | exp.In | exp.Between) and node.args.get("negate"):
        inside = evaluate(type(node)(**{**node.args, "negate": False}), row)
        return not inside if isinstance(inside, bool) else inside
    if isinstance(node, exp.Paren):
        return evaluate(node.this, row)
    if isinstance(node, exp.Column):
        return row.get(node.name, UNKNOWN)
    if isinstance(node, exp.Literal):
        return str(node.this) if node.is_string else float(node.this)
    if isinstance(node, exp.Boolean):
        return bool(node.this)
    if isinstance(node, exp.Null):
        return None
    if isinstance(node, exp.Cast):
        return _cast(evaluate(node.this, row), node)
    if isinstance(node, exp.And | exp.Or):
        return _joined(evaluate(node.this, row), evaluate(node.expression, row), stops=isinstance(node, exp.Or))
    if isinstance(node, exp.Not):
        inside = evaluate(node.this, row)
        return not inside if isinstance(inside, bool) else inside
    if isinstance(node, exp.Is):
        inside = evaluate(node.this, row)
        return UNKNOWN if inside is UNKNOWN else inside is None if isinstance(node.expression, exp.Null) else inside is node.expression.this
    if isinstance(node, exp.In):
        return _among(evaluate(node.this, row), [evaluate(each, row) for each in node.expressions])
    if isinstance(node, exp.Between):
        value = evaluate(node.this, row)
        low, high = evaluate(node.args["low"], row), evaluate(node.args["high"], row)
        return _joined(_compared(exp.GTE, value, low), _compared(exp.LTE, value, high), stops=False)
    if isinstance(node, exp.Length):
        inside = evaluate(node.this, row)
        return float(len(inside)) if isinstance(inside, str) else inside
    if isinstance(node, exp.Neg):
        inside = evaluate(node.this, row)
        return -inside if isinstance(inside, float) else inside
    for kind, _ in _COMPARISONS:
        if isinstance(node, kind):
            return _comparison(kind, node, row)
    return UNKNOWN


def _comparison(kind: type[exp.Expression], node: exp.Expression, row: Mapping[str, Any]) -> Any:
    left, right = evaluate(node.args["this"], row), node.args["expression"]
    quantifier = next((each for each in (exp.Any, exp.All) if isinstance(right, each)), None)
    if quantifier is None:
        return _compared(kind, left, evaluate(right, row))
    inside = right.this
    while isinstance(inside, exp.Paren | exp.Cast):
        inside = inside.this
    if not isinstance(inside, exp.Array):
        return UNKNOWN
    values = [_compared(kind, left, evaluate(each, row)) for each in inside.expressions]
    result: Any = quantifier is exp.All
    for each in values:
        result = _joined(result, each, stops=quantifier is exp.Any)
    return result


def _compared(kind: type[exp.Expression], left: Any, right: Any) -> Any:
    if left is UNKNOWN or right is UNKNOWN:
        return UNKNOWN
    if left is None or right is None:
        return None
    if type(left) is not type(right) or (isinstance(left, str) and kind not in (exp.EQ, exp.NEQ)):
        return UNKNOWN  # a collation, a cast or another type decides
    return next(compare for known, compare in _COMPARISONS if known is kind)(left, right)


def _among(value: Any, values: list[Any]) -> Any:
    result: Any = False
    for each in values:
        result = _joined(result, _compared(exp.EQ, value, each), stops=True)
    return result


def _joined(left: Any, right: Any, *, stops: bool) -> Any:
    """AND (*stops* at False) or OR (*stops* at True)."""
    sides = [side if isinstance(side, bool) or side is None else UNKNOWN for side in (left, right)]
    if stops in [side for side in sides if isinstance(side, bool)]:
        return stops
    return UNKNOWN if UNKNOWN in sides else None if None in sides else not stops


def _cast(value: Any, node: exp.Cast) -> Any:
    kind = node.to.this.name if isinstance(node.to.this, exp.DataType.Type) else ""
    if value is None or (isinstance(value, str) and kind in _TEXTS):
        return value
    if isinstance(value, float) and kind in ("INT", "BIGINT", "SMALLINT", "DECIMAL", "DOUBLE", "FLOAT"):
        return value
    try:
        return float(value) if isinstance(value, str) and kind in ("INT", "BIGINT", "SMALLINT", "DECIMAL", "DOUBLE", "FLOAT") else UNKNOWN
    except ValueError:
        return UNKNOWN
