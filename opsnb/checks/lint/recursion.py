"""Policies that ask themselves: Postgres refuses every query of such a table (42P17), or runs out of stack where functions are between."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from opsnb.checks.lint import helpers, trees
from opsnb.checks.lint.database import Database, Name, Policy, written
from opsnb.checks.lint.findings import ERROR, Finding
from opsnb.checks.lint.said import Readings


def findings(database: Database, read: Readings) -> Iterator[Finding]:
    """Each policy from whose table the policies lead back to it, once."""
    reads = {id(policy): _reads(policy, database, read) for policy in database.policies}
    asks = {name: _asks(name, database, reads) for name in database.of_table}
    for policy in database.policies:
        if not policy.roles or not reads[id(policy)]:
            continue
        if policy.table in reads[id(policy)]:
            # a policy for writing that reads its own table asks the policies for reading
            if policy.covers("select") or any(_has_query(each) for each in database.applying(policy.table, "select")):
                yield Finding(
                    ERROR, "recursion", policy.object, policy.roles,
                    f"the policy for {policy.command} reads its own table, which asks the policy again, without end (42P17)",
                )  # fmt: skip
        elif policy.covers("select") and (way := _way_back(policy, reads[id(policy)], asks)):
            path = " → ".join(written(name) for name in (policy.table, *way))
            yield Finding(
                ERROR, "recursion", policy.object, policy.roles,
                f"the policy for {policy.command} leads back to its own table ({path}), without end (42P17)",
            )  # fmt: skip


def _asks(name: Name, database: Database, reads: dict[int, set[Name]]) -> set[Name]:
    """The tables that reading *name* reads because of its policies."""
    relation = database.relations.get(name)
    if relation is not None and not relation.rls:
        return set()
    return {table for policy in database.applying(name, "select") if policy.roles for table in reads[id(policy)]}


def _way_back(policy: Policy, start: set[Name], asks: dict[Name, set[Name]]) -> tuple[Name, ...]:
    todo: list[tuple[Name, ...]] = [(name,) for name in sorted(start)]
    seen: set[Name] = set()
    while todo:
        way = todo.pop()
        if way[-1] == policy.table:
            return way
        if way[-1] not in seen:
            seen.add(way[-1])
            todo += [(*way, following) for following in sorted(asks.get(way[-1], ()))]
    return ()


def _reads(policy: Policy, database: Database, read: Readings) -> set[Name]:
    """The tables that a policy reads as its caller, also by way of helper functions and views."""
    found: set[Name] = set()
    for text in policy.expressions:
        tree = None if read(policy.table, text).plain else trees.expression(text)
        if tree is not None:
            found |= _read_by(tree, database, helpers.DEEPEST)
    return found


def _read_by(tree: exp.Expr, database: Database, deepest: int) -> set[Name]:
    found: set[Name] = set()
    for schema, name, _ in trees.tables(tree):
        found |= _behind((schema, name), database)
    if deepest == 0:
        return found
    for schema, name, node in trees.calls(tree):
        routine = database.called(schema, name, len(trees.arguments(node)))
        if routine is None:
            continue
        inside = {table for part in helpers.body_of(routine).statements for table in _read_by(part, database, deepest - 1)}
        # with its owner's rights the policies are asked only where the owner is under them too
        found |= {
            table for table in inside
            if not (routine.definer and database.passes_by(routine.owner, routine.owner_ignores_rls, table))
        }  # fmt: skip
    return found


def _behind(name: Name, database: Database) -> set[Name]:
    """The tables behind a view that reads as its caller; a table itself."""
    relation = database.relations.get(name)
    if relation is None or relation.kind not in ("view", "materialised view"):
        return {name}
    if relation.owners_rights:
        return set()
    tree = trees.query(relation.definition)
    return set() if tree is None else {table for schema, other, _ in trees.tables(tree) for table in _behind((schema, other), database)}


def _has_query(policy: Policy) -> bool:
    found = (trees.expression(text) for text in policy.expressions)
    return any(tree is not None and tree.find(exp.Select) is not None for tree in found)
