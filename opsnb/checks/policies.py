"""What a policy's expression depends on, read from its syntax tree: the row, the caller, or nothing."""

from __future__ import annotations

import functools
from enum import IntEnum

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.simplify import simplify


class Reach(IntEnum):
    """How far a policy's expression reaches, narrowest first: AND takes the narrower part, OR the wider."""

    OWN = 0
    """It compares the row with the caller: some rows to some callers."""
    CALLER = 1
    """It asks who the caller is (another table, a function) but not which row: all rows to some callers."""
    SOME_ROWS = 2
    """It looks at the row but not at the caller: some rows to everyone the policy applies to."""
    LOGIN = 3
    """It asks only whether there is a login: all rows to every signed-in caller."""
    EVERYONE = 4
    """It is always true."""
    UNKNOWN = 5
    """It could not be read."""


# what says no more than that somebody is signed in: functions of schema auth, and settings
_LOGIN_CALLS = frozenset({"uid", "jwt", "role", "email", "current_setting", "current_role", "session_user", "user"})
_CALLER_NODES = (exp.CurrentUser, exp.SessionUser, exp.CurrentRole)
# sqlglot's own classes for operators and plain functions: they change a value but ask nothing
_PLAIN_NODES = (
    exp.Cast, exp.Coalesce, exp.Nullif, exp.And, exp.Or, exp.Xor, exp.Array, exp.Any, exp.Exists, exp.Case, exp.If,
    exp.Length, exp.Lower, exp.Upper, exp.Trim, exp.JSONExtract, exp.JSONExtractScalar, exp.JSONBExtract, exp.JSONBExtractScalar,
    exp.JSONBContains, *_CALLER_NODES,
)  # fmt: skip


@functools.cache
def reach(expression: str) -> Reach:
    """How far *expression*, as pg_get_expr prints it, reaches; UNKNOWN where it cannot be parsed."""
    try:
        tree = sqlglot.parse_one(f"select {expression}", dialect="postgres").expressions[0].pop()
        return _reach(simplify(tree, dialect="postgres"))
    except (SqlglotError, RecursionError, IndexError):
        return Reach.UNKNOWN


def _reach(node: exp.Expr) -> Reach:
    node = _unwrapped(node)
    if isinstance(node, exp.Boolean):
        return Reach.EVERYONE if node.this else Reach.OWN  # false lets nothing through
    if isinstance(node, exp.Or):
        return max(_reach(node.left), _reach(node.right))
    if isinstance(node, exp.And):
        return min(_reach(node.left), _reach(node.right))
    if isinstance(node, exp.Coalesce) and node.expressions:
        return max(_reach(part) for part in (node.this, *node.expressions))  # coalesce(x, true) is as wide as true
    if isinstance(node, exp.EQ) and node.left == node.right:
        return Reach.EVERYONE
    calls = [call for call in node.find_all(exp.Func) if not isinstance(call, _PLAIN_NODES)]
    asks_login = any(_name(call) in _LOGIN_CALLS for call in calls) or node.find(*_CALLER_NODES) is not None
    asks_more = any(_name(call) not in _LOGIN_CALLS for call in calls)
    if _sees_row(node):
        # another table is read under its own policies: who sees a note may see its parts
        return Reach.OWN if asks_login or asks_more or node.find(exp.Table) is not None else Reach.SOME_ROWS
    if asks_more or node.find(exp.Column) is not None:
        return Reach.CALLER
    return Reach.LOGIN if asks_login else Reach.EVERYONE


def _unwrapped(node: exp.Expr) -> exp.Expr:
    """Without the parentheses, casts, names and single-value sub-queries that Postgres prints around an expression."""
    while True:
        if isinstance(node, exp.Paren | exp.Cast | exp.Alias):
            node = node.this
        elif isinstance(node, exp.Subquery) and isinstance(node.this, exp.Select) and _is_scalar(node.this):
            node = node.this.expressions[0]
        else:
            return node


def _is_scalar(select: exp.Select) -> bool:
    return len(select.expressions) == 1 and select.find(exp.Table, exp.Where, exp.Lateral) is None


def _sees_row(node: exp.Expr) -> bool:
    """Whether a column of the policy's own table occurs in *node*.

    pg_get_expr prints it bare at the top and qualified inside a sub-query, where its qualifier is no source of any
    query around it. A bare name inside a sub-query with sources belongs to those.
    """
    for column in node.find_all(exp.Column):
        sources: set[str] = set()
        select = column.find_ancestor(exp.Select)
        while select is not None:
            mine = (source for source in select.find_all(exp.Table, exp.Subquery) if source.find_ancestor(exp.Select) is select)
            sources |= {source.alias_or_name for source in mine}
            select = select.find_ancestor(exp.Select)
        if not sources or (column.table and column.table not in sources):
            return True
    return False


def _name(call: exp.Func) -> str:
    return (call.name if isinstance(call, exp.Anonymous) else call.sql_name()).lower()
