"""Puts the bodies of helper functions where policies call them, so that what they say is judged and not their names."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlglot import exp

from opsnb.checks.bodies import lexer, plpgsql
from opsnb.checks.lint import trees
from opsnb.checks.lint.database import Database, Name, Routine
from opsnb.errors import SourceNonsense

DEEPEST = 4
"""Helpers that call helpers are followed this far."""
_HARMLESS_RAISE = ("debug", "log", "info", "notice", "warning")


@dataclass(frozen=True)
class Body:
    """What a function does: its statements as trees, those that could not be read, whether it raises, whether it makes statements up."""

    statements: tuple[exp.Expr, ...]
    unread: int
    raises: bool
    dynamic: bool

    def tables(self) -> set[Name]:
        """The tables it names."""
        return {(schema, name) for tree in self.statements for schema, name, _ in trees.tables(tree)}

    def writes(self) -> set[Name]:
        """The tables it writes to."""
        found = set()
        for tree in self.statements:
            for node in tree.find_all(exp.Insert, exp.Update, exp.Delete, exp.Merge):
                target = node.this.this if isinstance(node.this, exp.Schema) else node.this
                if isinstance(target, exp.Table):
                    found.add((target.db or trees.PLAIN, target.name))
        return found

    def asks_identity(self) -> bool:
        """Whether it asks anywhere who the caller is."""
        return any(trees.asks_identity(tree) for tree in self.statements)


@functools.lru_cache(maxsize=4096)
def body_of(routine: Routine) -> Body:
    """The body of a function in SQL or PL/pgSQL; of another language nothing is read."""
    if routine.language == "sql":
        found = [trees.query(text) for text, _ in lexer.statements(_atomic(routine.body))]
        return Body(tuple(tree for tree in found if tree is not None), found.count(None), False, False)
    if routine.language != "plpgsql":
        return Body((), 1, False, False)
    try:
        program = plpgsql.program(routine.body)
    except SourceNonsense:
        return Body((), 1, _raises(routine.body), True)
    pieces = [*program.pieces, *program.cursors.values()]
    found = [trees.query(piece.sql) for piece in pieces if piece.kind in ("query", "expression", "call") and piece.sql]
    dynamic = any(piece.kind == "dynamic" for piece in pieces)
    return Body(tuple(tree for tree in found if tree is not None), found.count(None), _raises(routine.body), dynamic)


def _atomic(body: str) -> str:
    """The statements of ``begin atomic … end`` and of ``return <expression>``, which Postgres prints for bodies it keeps resolved."""
    text = body.strip()
    if text[:12].lower() == "begin atomic":
        return text[12:].rsplit("END", 1)[0] if "END" in text else text[12:]
    return f"select {text[6:]}" if text[:7].lower() == "return " else text


def _raises(body: str) -> bool:
    """Whether a PL/pgSQL body may raise an error of its own."""
    found = lexer.tokens(body)
    return any(
        token.is_("raise") and not (number + 1 < len(found) and found[number + 1].is_(*_HARMLESS_RAISE))
        for number, token in enumerate(found)
    )


def value_of(routine: Routine) -> exp.Expr | None:
    """The one query or expression that is the function's answer; None where it does more than that."""
    body = body_of(routine)
    if body.unread or body.dynamic or body.raises or len(body.statements) != 1:
        return None
    tree = body.statements[0]
    if routine.language == "plpgsql" and "declare" in routine.body.lower():
        return None
    return tree if isinstance(tree, exp.Select) else None


def used(tree: exp.Expr, database: Database, deepest: int = DEEPEST) -> Iterator[Routine]:
    """The project's functions that *tree* calls, and those they call."""
    for schema, name, node in trees.calls(tree):
        routine = database.called(schema, name, len(trees.arguments(node)))
        if routine is None:
            continue
        yield routine
        if deepest > 1:
            for statement in body_of(routine).statements:
                yield from used(statement, database, deepest - 1)


def inlined(tree: exp.Expr, database: Database, deepest: int = DEEPEST) -> exp.Expr:
    """*tree* with every call of a simple helper replaced by its body; itself where there is none to replace."""
    if deepest == 0 or not any(_simple(schema, name, node, database) for schema, name, node in trees.calls(tree)):
        return tree
    holder = exp.Paren(this=tree.copy())
    for schema, name, node in list(trees.calls(holder)):
        simple = _simple(schema, name, node, database)
        if simple is None:
            continue
        routine, value = simple
        filled = inlined(_filled(value, routine, trees.arguments(node)), database, deepest - 1)
        node.replace(filled)
    return holder


def _simple(schema: str, name: str, node: exp.Expr, database: Database) -> tuple[Routine, exp.Expr] | None:
    if isinstance(node.parent, exp.Table):
        return None  # a function as a source of rows is followed by name
    routine = database.called(schema, name, len(trees.arguments(node))) if database.routines else None
    value = value_of(routine) if routine is not None else None
    return (routine, value) if routine is not None and value is not None else None


def _filled(value: exp.Expr, routine: Routine, given: list[exp.Expr]) -> exp.Expr:
    """The body as a sub-query, with the arguments that were given in the places of its parameters."""
    body = value.copy()
    named: Mapping[str, exp.Expr] = dict(zip(routine.argument_names, given, strict=False))
    for column in list(body.find_all(exp.Column)):
        parameter = named.get(column.name) if not column.table or column.table == routine.name[1] else None
        if parameter is not None:
            column.replace(parameter.copy())
    for place in list(body.find_all(exp.Parameter, exp.Placeholder)):
        number = str(place.this if isinstance(place, exp.Placeholder) else place.name)
        if number.isdigit() and 0 < int(number) <= len(given):
            place.replace(given[int(number) - 1].copy())
    return exp.Subquery(this=body)
