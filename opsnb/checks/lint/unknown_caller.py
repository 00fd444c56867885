"""What a policy's expression says to a caller the database does not know: three-valued logic with the identity NULL.

``auth.uid() is null or owner = auth.uid()`` reads like a rule about owners and lets everybody in who has no identity. The syntax tree is
evaluated with every part of the identity NULL and every column open: what is then true whatever the row says is open to such callers.
Results are sets of outcomes, so that "cannot be told" never reads as "no".
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Container
from enum import StrEnum
from typing import Any

from sqlglot import exp

from opsnb.checks.lint.trees import bare as _bare
from opsnb.checks.lint.trees import conjuncts, where
from opsnb.checks.lint.trees import expression as parsed

T, F, N = True, False, None
Outcomes = frozenset[bool | None]
"""What a boolean expression can be: true, false, NULL."""
ANY: Outcomes = frozenset((T, F, N))
_NULL, _OPEN = object(), object()
_IDENTITY = frozenset({"uid", "jwt", "email"})
_KEEPS_NULL = (exp.Lower, exp.Upper, exp.Trim, exp.JSONExtract, exp.JSONExtractScalar, exp.JSONBExtract, exp.JSONBExtractScalar)


class Known(StrEnum):
    """How far an expression lets in a caller without an identity."""

    NO = "no"
    """Not for certain: it depends on the row, or such a caller is kept out."""
    OPEN = "open"
    """It is true for such a caller whatever the row says."""
    BY_HELPER = "open by a helper"
    """The same, where a function of the project's own answers NULL for whom it does not know."""


def lets_in(expression: str) -> Known:
    """Whether *expression*, as pg_get_expr prints it, is true of every row for a caller without identity; NO where it cannot be read."""
    tree = parsed(expression)
    return Known.NO if tree is None else known(tree)


def known(tree: exp.Expr) -> Known:
    """The same of a tree, whose helper functions may have been replaced by their bodies."""
    try:
        for helpers, found in ((False, Known.OPEN), (True, Known.BY_HELPER)):
            if outcomes(tree, helpers=helpers) == frozenset((T,)):
                return found
    except RecursionError:
        return Known.NO
    return Known.NO


def lets_strangers_in(tree: exp.Expr, lookups: Container[tuple[str, str]]) -> bool:
    """Whether *tree* is true of every row for a caller with a genuine token whom the database does not know.

    *lookups* (schema, name) are functions without arguments that look the caller up in a table: they answer NULL. The token is not NULL,
    and what other functions say of it is open.
    """

    def opened(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Dot) and isinstance(node.expression, exp.Anonymous):
            name = (str(node.this).strip('"').lower(), node.expression.name.lower())
            return node if name in lookups and not node.expression.expressions else exp.column("of_the_token")
        return exp.column("of_the_token") if isinstance(node, exp.Anonymous) and not isinstance(node.parent, exp.Dot) else node

    try:
        return outcomes(tree.copy().transform(opened), helpers=True) == frozenset((T,))
    except RecursionError:
        return False


def outcomes(node: exp.Expr, *, helpers: bool = False) -> Outcomes:
    """What *node*, a boolean expression, can be while the identity is NULL; *helpers*: functions without arguments are NULL too."""
    node = _bare(node)
    again: Callable[[exp.Expr], Outcomes] = functools.partial(outcomes, helpers=helpers)
    if isinstance(node, exp.Boolean):
        return frozenset((bool(node.this),))
    if isinstance(node, exp.Null):
        return frozenset((N,))
    if isinstance(node, exp.And):
        return frozenset(_and(one, other) for one, other in itertools.product(again(node.left), again(node.right)))
    if isinstance(node, exp.Or):
        return frozenset(_not(_and(_not(one), _not(other))) for one, other in itertools.product(again(node.left), again(node.right)))
    if isinstance(node, exp.Not):
        return frozenset(map(_not, again(node.this)))
    if isinstance(node, exp.Is):
        found = _is(node, helpers)
        return frozenset(map(_not, found)) if node.args.get("negate") else found
    if isinstance(node, exp.NullSafeEQ | exp.NullSafeNEQ):
        return _distinct(node, helpers)
    if isinstance(node, exp.Coalesce):
        return _first(list(map(again, (node.this, *node.expressions))))
    if isinstance(node, exp.Case):
        return _case(node, again)
    if isinstance(node, exp.EQ | exp.NEQ | exp.GT | exp.GTE | exp.LT | exp.LTE | exp.Like | exp.ILike):
        return _compared(node, helpers)
    if isinstance(node, exp.In):
        value = _scalar(node.this, helpers)
        query = node.args.get("query")
        if query is not None and _empty(query.this, again):
            return frozenset((F,))  # in (select …) of nothing is false
        if value is _NULL:
            return frozenset((N,)) if node.expressions else frozenset((F, N))
        return ANY
    if isinstance(node, exp.Exists):
        return frozenset((F,)) if _empty(node.this, again) else frozenset((T, F))
    return frozenset((N,)) if _scalar(node, helpers) is _NULL else ANY


def _scalar(node: exp.Expr, helpers: bool) -> Any:
    """The value of *node*: a literal (is it text, how it is written), `_NULL` for what hangs on the identity, `_OPEN` for the rest."""
    node = _bare(node)
    if isinstance(node, exp.Null):
        return _NULL
    if isinstance(node, exp.Literal):
        return (bool(node.is_string), str(node.this))
    if isinstance(node, exp.Dot) and isinstance(node.expression, exp.Anonymous):
        return _called(node.expression, str(node.this), helpers)
    if isinstance(node, exp.Anonymous):
        return _called(node, "", helpers)
    if isinstance(node, _KEEPS_NULL):
        return _NULL if _scalar(node.this, helpers) is _NULL else _OPEN
    if isinstance(node, exp.Nullif):
        return _NULL if _scalar(node.this, helpers) is _NULL else _OPEN
    if isinstance(node, exp.Subquery):
        return _NULL if _empty(node.this, functools.partial(outcomes, helpers=helpers)) else _OPEN
    if isinstance(node, exp.Coalesce):
        for part in (node.this, *node.expressions):
            if (value := _scalar(part, helpers)) is not _NULL:
                return value
        return _NULL
    return _OPEN


def _called(call: exp.Anonymous, schema: str, helpers: bool) -> Any:
    name = call.name.lower()
    schema = schema.strip('"').lower()
    if schema == "auth" and name in _IDENTITY and not call.expressions:
        return _NULL
    if name == "current_setting" and call.expressions and str(call.expressions[0].name).startswith("request.jwt"):
        return _NULL
    if helpers and schema not in ("", "auth", "pg_catalog") and not call.expressions:
        return _NULL
    return _OPEN


def _empty(query: exp.Expr, again: Callable[[exp.Expr], Outcomes]) -> bool:
    """Whether a sub-query gives no row: its condition is true of none, and it counts or joins nothing into one."""
    condition = where(query)
    if condition is None or not isinstance(query, exp.Select):
        return False
    if not query.args.get("group") and any(each.find(exp.AggFunc) for each in query.expressions):
        return False
    return any(T not in again(part) for part in conjuncts(condition))


def _and(one: bool | None, other: bool | None) -> bool | None:
    if one is F or other is F:
        return F
    return N if one is N or other is N else T


def _not(value: bool | None) -> bool | None:
    return N if value is N else not value


def _is(node: exp.Is, helpers: bool) -> Outcomes:
    right = node.expression
    if isinstance(right, exp.Null):
        value = _scalar(node.this, helpers)
        if value is _OPEN:
            inner = outcomes(node.this, helpers=helpers)
            return frozenset((T,)) if inner == {N} else frozenset((T, F)) if N in inner else frozenset((F,))
        return frozenset((value is _NULL,))
    if isinstance(right, exp.Boolean):
        return frozenset(value is bool(right.this) for value in outcomes(node.this, helpers=helpers))
    return frozenset((T, F))


def _distinct(node: exp.NullSafeEQ | exp.NullSafeNEQ, helpers: bool) -> Outcomes:
    left, right = _scalar(node.left, helpers), _scalar(node.right, helpers)
    if left is _OPEN or right is _OPEN:
        return frozenset((T, F))
    if left is _NULL or right is _NULL:
        return frozenset(((left is right) is isinstance(node, exp.NullSafeEQ),))
    if left == right or (left[0] and right[0]):
        return frozenset(((left == right) is isinstance(node, exp.NullSafeEQ),))
    return frozenset((T, F))


def _compared(node: exp.Binary, helpers: bool) -> Outcomes:
    left, right = _scalar(node.left, helpers), _scalar(node.right, helpers)
    if left is _NULL or right is _NULL:
        return frozenset((N,))
    if isinstance(node, exp.EQ | exp.NEQ) and left is not _OPEN and right is not _OPEN and left[0] == right[0]:
        # 1 and 1.0 are written differently and equal: only text is told apart by how it is written
        if left == right:
            return frozenset((isinstance(node, exp.EQ),))
        return frozenset((isinstance(node, exp.NEQ),)) if left[0] else ANY
    return ANY


def _first(parts: list[Outcomes]) -> Outcomes:
    """COALESCE: the first that is not NULL."""
    found: set[bool | None] = set()
    for part in parts:
        found |= part - {N}
        if N not in part:
            return frozenset(found)
    return frozenset(found | {N})


def _case(node: exp.Case, again: Callable[[exp.Expr], Outcomes]) -> Outcomes:
    if node.this is not None:
        return ANY
    found: set[bool | None] = set()
    for branch in node.args.get("ifs", []):
        condition = again(branch.this)
        if T in condition:
            found |= again(branch.args["true"])
        if condition == {T}:
            return frozenset(found)
    default = node.args.get("default")
    return frozenset(found | (again(default) if default is not None else {N}))
