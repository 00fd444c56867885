"""What a policy's expression depends on, read from its syntax tree: the row, the caller, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import IntEnum

from sqlglot import exp

from opsnb.checks.lint import trees
from opsnb.checks.lint.tautology import is_tautology


class Reach(IntEnum):
    """How far a policy's expression reaches, narrowest first: AND takes the narrower part, OR the wider."""

    OWN = 0
    """It compares the row with the caller: some rows to some callers."""
    CALLER = 1
    """It asks who the caller is (another table, a function) but not which row: all rows to some callers."""
    SOME_ROWS = 2
    """It looks at the row but not at the caller: some rows to everyone the policy applies to."""
    REGISTERED = 3
    """It asks only whether the database knows the caller: all rows to every user."""
    LOGIN = 4
    """It asks only whether there is a login: all rows to every signed-in caller."""
    EVERYONE = 5
    """It is always true."""
    UNKNOWN = 6
    """It could not be read."""


# what says no more than that somebody is signed in: functions of schema auth, and settings
_LOGIN_CALLS = frozenset({"uid", "jwt", "role", "email", "current_setting", "current_role", "session_user", "user"})
_OF_EVERY_LOGIN = frozenset({"aud", "iss", "role", "sub", "exp", "iat", "session_id", "is_anonymous", "aal", "amr"})
"""Claims that every token has: to compare them asks for no more than a login of this project."""
_CALLER_NODES = (exp.CurrentUser, exp.SessionUser, exp.CurrentRole)
_SERVICE = frozenset({"service_role", "supabase_admin", "supabase_auth_admin", "supabase_storage_admin", "postgres", "dashboard_user"})
# sqlglot's own classes for operators and plain functions: they change a value but ask nothing
_PLAIN_NODES = (
    exp.Cast, exp.Coalesce, exp.Nullif, exp.And, exp.Or, exp.Xor, exp.Array, exp.Any, exp.All, exp.Exists, exp.Case, exp.If,
    exp.Length, exp.Lower, exp.Upper, exp.Trim, exp.JSONExtract, exp.JSONExtractScalar, exp.JSONBExtract, exp.JSONBExtractScalar,
    exp.JSONBContains, exp.JSONBContainsAnyTopKeys, exp.JSONBContainsAllTopKeys, *_CALLER_NODES,
)  # fmt: skip


def reach(expression: str) -> Reach:
    """How far *expression*, as pg_get_expr prints it, reaches; UNKNOWN where it cannot be parsed."""
    tree = trees.expression(expression)
    return Reach.UNKNOWN if tree is None else of_tree(tree)


def of_tree(tree: exp.Expr) -> Reach:
    """The same of a tree, whose helper functions may have been replaced by their bodies."""
    try:
        return _reach(tree)
    except RecursionError:
        return Reach.UNKNOWN


def _reach(node: exp.Expr) -> Reach:
    node = _unwrapped(node)
    if isinstance(node, exp.Boolean):
        return Reach.EVERYONE if node.this else Reach.OWN  # false lets nothing through
    if isinstance(node, exp.Or):
        return Reach.EVERYONE if is_tautology(node) else max(_reach(node.left), _reach(node.right))
    if isinstance(node, exp.And):
        return min(_reach(node.left), _reach(node.right))
    if isinstance(node, exp.Not):
        turned = _turned(trees.bare(node.this))
        if turned is not None:
            return _reach(turned)
    if isinstance(node, exp.Coalesce) and node.expressions:
        return max(_reach(part) for part in (node.this, *node.expressions))  # coalesce(x, true) is as wide as true
    if isinstance(node, exp.Case) and node.this is None:
        return _case(node)
    if is_tautology(node):
        return Reach.EVERYONE
    if _service_only(node):
        return Reach.OWN
    return _leaf(node)


def _turned(node: exp.Expr) -> exp.Expr | None:
    """What NOT of *node* is without it (De Morgan); None for a part that has no inside."""
    if isinstance(node, exp.Boolean):
        return exp.Boolean(this=not node.this)
    if isinstance(node, exp.Not):
        return trees.bare(node.this)
    if isinstance(node, exp.And | exp.Or):
        opposite = exp.Or if isinstance(node, exp.And) else exp.And
        return opposite(this=exp.Not(this=node.left.copy()), expression=exp.Not(this=node.right.copy()))
    return None


def _leaf(node: exp.Expr) -> Reach:
    # the parser takes `<> all (…)` for a function
    calls = [call for call in node.find_all(exp.Func) if not isinstance(call, _PLAIN_NODES) and _name(call) != "all"]
    asks_login = any(_name(call) in _LOGIN_CALLS for call in calls) or node.find(*_CALLER_NODES) is not None
    asks_more = any(_name(call) not in _LOGIN_CALLS for call in calls)
    if _sees_row(node):
        # another table is read under its own policies: who sees a note may see its parts
        return Reach.OWN if asks_login or asks_more or node.find(exp.Table) is not None else Reach.SOME_ROWS
    if asks_more or node.find(exp.Column) is not None:
        return Reach.REGISTERED if _only_known(node) else Reach.CALLER
    if asks_login and trees.claims(node) - _OF_EVERY_LOGIN:
        return Reach.CALLER
    return Reach.LOGIN if asks_login else Reach.EVERYONE


def _case(node: exp.Case) -> Reach:
    """CASE is as wide as its widest branch, narrowed by what leads there."""
    found = [min(_reach(branch.this), _reach(branch.args["true"])) for branch in node.args.get("ifs", [])]
    default = node.args.get("default")
    return max([*found, _reach(default)] if default is not None and not isinstance(default, exp.Null) else found, default=Reach.OWN)


def _service_only(node: exp.Expr) -> bool:
    """``auth.role() = 'service_role'``: true for no caller of the API."""
    if not isinstance(node, exp.EQ):
        return False
    sides = [trees.bare(node.left), trees.bare(node.right)]
    role = any(trees.asks_identity(side) for side in sides)
    return role and any(isinstance(side, exp.Literal) and str(side.this) in _SERVICE for side in sides)


def _only_known(node: exp.Expr) -> bool:
    """Whether *node* asks only if a table has a row of the caller: ``exists(… where subject = caller)``, ``(select id …) is not null``."""
    if isinstance(node, exp.Exists):
        return _caller_row(node.this)
    for inner in _not_null(node):
        query = trees.bare(inner)
        if isinstance(query, exp.Subquery):
            inside = _deepest(query.this)
            return _caller_row(inside)
    return False


def _not_null(node: exp.Expr) -> Iterable[exp.Expr]:
    """What is asked not to be NULL."""
    if isinstance(node, exp.Not) and isinstance(node.this, exp.Is) and isinstance(node.this.expression, exp.Null):
        yield node.this.this
    if isinstance(node, exp.Is) and node.args.get("negate") and isinstance(node.expression, exp.Null):
        yield node.this


def _deepest(query: exp.Expr) -> exp.Expr:
    """A query without those that only wrap it."""
    while isinstance(query, exp.Select) and trees.single(query):
        inner = trees.bare(query.expressions[0])
        if not isinstance(inner, exp.Subquery):
            return query
        query = inner.this
    return query


def _caller_row(query: exp.Expr) -> bool:
    condition = trees.where(query)
    if condition is None:
        return False
    parts = [_unwrapped(part) for part in trees.conjuncts(condition)]
    names_caller = [part for part in parts if isinstance(part, exp.EQ) and _is_column_of_caller(part)]
    rest = [part for part in parts if part not in names_caller]
    return bool(names_caller) and all(part.find(exp.Column) is None for part in rest)


def _is_column_of_caller(part: exp.EQ) -> bool:
    sides = [trees.bare(part.left), trees.bare(part.right)]
    for one, other in (sides, sides[::-1]):
        if isinstance(one, exp.Column) and trees.asks_identity(other) and other.find(exp.Column) is None:
            return True
        if isinstance(one, exp.Column) and isinstance(other, exp.Subquery) and _caller_row(_deepest(other.this)):
            return True
    return False


_unwrapped: Callable[[exp.Expr], exp.Expr] = trees.bare


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
        if not sources - {""} or (column.table and column.table not in sources):
            return True
    return False


def _name(call: exp.Func) -> str:
    return trees.call_name(call)
