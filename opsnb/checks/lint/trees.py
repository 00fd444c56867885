"""Syntax trees of policies, views and function bodies: one text parsed once, and the questions every rule asks of it."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

PLAIN = "public"
"""The schema of a name that is written without one."""
IDENTITY_CALLS = frozenset({"uid", "jwt", "email", "role"})
_CLAIMS = "request.jwt"


@contextmanager
def quiet() -> Iterator[None]:
    """Sqlglot logs what it cannot read, with its text; nothing of a body may be shown."""
    logger = logging.getLogger("sqlglot")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


@functools.lru_cache(maxsize=4096)
def expression(text: str) -> exp.Expr | None:
    """The tree of an expression as pg_get_expr prints it; None where the parser does not read it. Nobody may change it."""
    try:
        with quiet():
            tree: exp.Expr = sqlglot.parse_one(f"select {text}", dialect="postgres").expressions[0].pop()
            return tree
    except (SqlglotError, RecursionError, IndexError, ValueError, AttributeError):
        return None


@functools.lru_cache(maxsize=4096)
def query(text: str) -> exp.Expr | None:
    """The tree of one whole statement; None where the parser does not read it, or there are several. Nobody may change it."""
    try:
        with quiet():
            found = [tree for tree in sqlglot.parse(text, dialect="postgres") if tree is not None]
    except (SqlglotError, RecursionError, IndexError, ValueError, AttributeError):
        return None
    return found[0] if len(found) == 1 and not isinstance(found[0], exp.Command) else None


def calls(tree: exp.Expr) -> Iterator[tuple[str, str, exp.Expr]]:
    """Every function call: schema ('' where none is written), name, and the node that stands for the whole call."""
    for node in tree.find_all(exp.Func):
        parent = node.parent
        if isinstance(parent, exp.Dot) and parent.expression is node:
            yield str(parent.this.name).lower() if isinstance(parent.this, exp.Identifier) else "", call_name(node), parent
        elif isinstance(parent, exp.Table) and parent.this is node:
            yield parent.db.lower(), call_name(node), node
        else:
            yield "", call_name(node), node


def call_name(call: exp.Expr) -> str:
    """The name of a call, in lower case."""
    return (call.name if isinstance(call, exp.Anonymous) else call.sql_name() if isinstance(call, exp.Func) else "").lower()


def arguments(node: exp.Expr) -> list[exp.Expr]:
    """The arguments of a call that `calls` gave."""
    call = node.expression if isinstance(node, exp.Dot) else node
    if isinstance(call, exp.Anonymous):
        return list(call.expressions)
    return [value for value in call.args.values() if isinstance(value, exp.Expr)]


def asks_identity(tree: exp.Expr) -> bool:
    """Whether anything in *tree* asks who the caller is: auth.uid(), a claim, the session's user."""
    if tree.find(exp.CurrentUser, exp.SessionUser, exp.CurrentRole) is not None:
        return True
    return any(is_identity(schema, name, node) for schema, name, node in calls(tree))


def is_identity(schema: str, name: str, node: exp.Expr) -> bool:
    """Whether a call that `calls` gave answers something about the caller."""
    if schema == "auth" and name in IDENTITY_CALLS:
        return True
    given = arguments(node)
    return name == "current_setting" and bool(given) and str(given[0].name).startswith(_CLAIMS)


def tables(tree: exp.Expr) -> Iterator[tuple[str, str, exp.Table]]:
    """Every table that *tree* reads or writes: schema, name, node; names of common table expressions are none."""
    own = {cte.alias for cte in tree.find_all(exp.CTE)}
    for node in tree.find_all(exp.Table):
        if not node.name or (not node.db and node.name in own) or isinstance(node.this, exp.Func):
            continue
        yield node.db or PLAIN, node.name, node


def sources(select: exp.Select) -> dict[str, tuple[str, str]]:
    """The tables in the FROM of *select* itself: alias → schema, name."""
    return {
        node.alias_or_name: (node.db or PLAIN, node.name)
        for node in select.find_all(exp.Table)
        if node.name and node.find_ancestor(exp.Select) is select
    }


def origin(column: exp.Column, own: tuple[str, str] | None) -> tuple[str, str] | None:
    """The table that *column* belongs to: *own*, the policy's, unless a query around it has it as a source; None where not known."""
    select = column.find_ancestor(exp.Select)
    inside = False
    while select is not None:
        here = sources(select)
        if column.table:
            if column.table in here:
                return here[column.table]
        elif len(here) == 1 and not select.args.get("joins"):
            return next(iter(here.values()))
        elif here:
            return None
        inside = inside or bool(here)
        select = select.find_ancestor(exp.Select)
    if column.table and own is not None and column.table != own[1]:
        return None
    return own


def bare(node: exp.Expr) -> exp.Expr:
    """Without parentheses, casts, names, and sub-queries around a single value without a source."""
    while True:
        if isinstance(node, exp.Paren | exp.Cast | exp.Alias):
            node = node.this
        elif isinstance(node, exp.Subquery) and isinstance(node.this, exp.Select) and single(node.this):
            node = node.this.expressions[0]
        else:
            return node


def single(select: exp.Select) -> bool:
    """Whether a query only wraps one value: no source, no condition."""
    return len(select.expressions) == 1 and not any(select.args.get(name) for name in ("from_", "from", "where"))


def conjuncts(node: exp.Expr) -> Iterator[exp.Expr]:
    """The parts that AND joins."""
    node = bare(node)
    if isinstance(node, exp.And):
        yield from conjuncts(node.left)
        yield from conjuncts(node.right)
    else:
        yield node


def where(select: exp.Expr) -> exp.Expr | None:
    """The condition of a query; None where it has none."""
    clause = select.args.get("where") if isinstance(select, exp.Select) else None
    return clause.this if isinstance(clause, exp.Where) else None


def keys(tree: exp.Expr) -> set[str]:
    """Every text constant and every key of a JSON path in *tree*; a path written as one text (``{a,b}``) also in its parts."""
    found = {str(node.this) for node in tree.find_all(exp.Literal) if node.is_string}
    found |= {str(node.this) for node in tree.find_all(exp.JSONPathKey)}
    return found | {part for text in found if text.startswith("{") for part in text.strip("{}").split(",")}


def claims(tree: exp.Expr) -> set[str]:
    """The claims of a token that *tree* reads: keys of its JSON, and what auth.email() answers."""
    found: set[str] = set()
    for node in tree.find_all(exp.JSONExtract, exp.JSONExtractScalar, exp.JSONBExtract, exp.JSONBExtractScalar):
        found |= {key for key in keys(node.expression) if not key.startswith("{")}
    return found | {name for schema, name, _ in calls(tree) if schema == "auth" and name == "email"}
