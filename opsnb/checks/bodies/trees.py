"""Syntax trees: one statement parsed, and what its nodes say: names as PostgreSQL folds them, aliases, results, widths."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from opsnb.checks.bodies.catalogue import Shape
from opsnb.checks.bodies.lexer import folded, tokens, top_level, unquoted
from opsnb.errors import SourceNonsense


@contextmanager
def _quiet() -> Iterator[None]:
    """Sqlglot logs what it cannot read, with its text; nothing of a body may be shown."""
    logger = logging.getLogger("sqlglot")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


@lru_cache(maxsize=1024)  # a trigger function is read once for each of its tables; nobody changes a tree
def parsed(text: str) -> exp.Expr:
    """The one statement in *text*; SourceNonsense where the parser does not understand it."""
    try:
        with _quiet():
            found = [tree for tree in sqlglot.parse(text, dialect="postgres") if tree is not None]
    except (SqlglotError, RecursionError, ValueError, IndexError, AttributeError, TypeError, KeyError):
        raise SourceNonsense("a statement that the parser does not read") from None
    if len(found) != 1 or isinstance(found[0], exp.Command):
        raise SourceNonsense("a statement that the parser does not read")
    return found[0]


def inner_query(text: str) -> str:
    """The query of ``create table ... as <query>``, which is what can break; of another statement the whole."""
    if text[:6].lower() != "create":
        return text
    found = tokens(text)
    for place in top_level(found, "as"):
        if place + 1 < len(found) and found[place + 1].is_("select", "with", "values", "table", "("):
            return text[found[place + 1].start :]
    return text


def table_name(table: exp.Table) -> str:
    """A table as it is written, without quotes."""
    schema = name_of(table.args.get("db"))
    return f"{schema}.{name_of(table.this)}" if schema else name_of(table.this)


def name_of(node: Any) -> str:
    """An identifier as PostgreSQL folds it."""
    if isinstance(node, exp.Identifier):
        return str(node.this) if node.args.get("quoted") else folded(str(node.this))
    if isinstance(node, (exp.Column, exp.Var)) and isinstance(node.this, (exp.Identifier, str)):
        return name_of(node.this) if isinstance(node.this, exp.Identifier) else folded(str(node.this))
    return ""


def alias_of(node: exp.Expr) -> tuple[str | None, list[str] | None]:
    """The alias of a source and the names it gives its columns."""
    alias = node.args.get("alias")
    if not isinstance(alias, exp.TableAlias):
        return (name_of(alias) or None) if isinstance(alias, exp.Identifier) else None, None
    columns = [name_of(each.this if isinstance(each, exp.ColumnDef) else each) for each in alias.args.get("columns") or ()]
    return (name_of(alias.this) or None), columns or None


def renamed(shape: Shape, columns: list[str] | None, *, whole: bool = False) -> Shape:
    """The columns of a source whose alias names the first ones; the old names may stay, their order is not known here."""
    if columns is None:
        return shape
    if whole:
        return frozenset(columns)
    return None if shape is None else shape | frozenset(columns)


def result_width(node: exp.Expr) -> int | None:
    """How many columns a query gives; None where a star says it."""
    while isinstance(node, (exp.Subquery, exp.SetOperation, exp.Paren)):
        node = node.this
    if not isinstance(node, exp.Select) or not node.expressions:
        return None
    for each in node.expressions:
        if isinstance(each, exp.Star) or (isinstance(each, (exp.Column, exp.Dot)) and each.find(exp.Star)):
            return None
    return len(node.expressions)


def target_column(node: exp.Expr) -> str | None:
    """The column of the target that ``a``, ``a[1]`` or ``a.field`` writes to."""
    while isinstance(node, (exp.Bracket, exp.Dot, exp.Paren)):
        node = node.this
    if isinstance(node, exp.Column):
        return name_of(node.args.get("db")) or name_of(node.args.get("table")) or name_of(node.this)
    return name_of(node) or None


def output_name(node: exp.Expr, text: str) -> str | None:
    """The name of a result column as PostgreSQL gives it; None where that is not known here."""
    if isinstance(node, exp.Alias):
        return name_of(node.args.get("alias"))
    if isinstance(node, exp.Column):
        return name_of(node.this)
    if isinstance(node, (exp.Paren, exp.Bracket)):
        return output_name(node.this, text)
    if isinstance(node, exp.Dot):
        return output_name(node.expression, text)
    if isinstance(node, exp.Identifier):
        return name_of(node)
    if isinstance(node, (exp.Literal, exp.Binary, exp.Null)):
        return "?column?"
    if isinstance(node, exp.Cast) and isinstance(node.this, (exp.Column, exp.Anonymous)):
        return output_name(node.this, text)
    if isinstance(node, exp.Anonymous):
        return name_of(node.this) if isinstance(node.this, exp.Identifier) else folded(str(node.this))
    start, end = node.meta.get("start"), node.meta.get("end")
    if isinstance(node, exp.Func) and isinstance(start, int) and isinstance(end, int):
        return unquoted(text[start : end + 1])
    return None


def type_name(node: exp.DataType) -> tuple[str, str]:
    """Schema and name of a type that is not one of the language's own; empty where it is, or has no plain name."""
    kind = node.args.get("kind")
    if node.this != exp.DataType.Type.USERDEFINED:
        return "", ""
    if isinstance(kind, exp.Dot) and isinstance(kind.this, exp.Identifier) and isinstance(kind.expression, exp.Identifier):
        return name_of(kind.this), name_of(kind.expression)
    return "", name_of(kind) if isinstance(kind, exp.Identifier) else ""
