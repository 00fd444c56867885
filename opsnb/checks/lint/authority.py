"""Columns by which policies decide what a caller may do, where the caller may set them."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from opsnb.checks.lint import helpers, trees
from opsnb.checks.lint.database import Database, Name, Policy
from opsnb.checks.lint.findings import ERROR, WARNING, Finding
from opsnb.checks.lint.openings import Judge

_TELLING = frozenset({
    "role", "roles", "is_admin", "admin", "isadmin", "is_staff", "is_superuser", "is_superadmin", "superuser", "permissions", "permission",
    "access_level", "is_verified", "verified", "is_approved", "approved", "license_verified", "is_provider", "is_doctor", "user_type",
    "account_type", "tenant_id", "organization_id", "organisation_id", "org_id", "clinic_id",
})  # fmt: skip
"""Columns that say by their names what somebody may do."""


def findings(judge: Judge) -> Iterator[Finding]:
    """Tables and columns that confer authority and that their own subject may write."""
    database = judge.database
    deciding: dict[Name, set[str]] = {}
    for table, name in _deciding(judge):
        deciding.setdefault(table, set()).add(name)
    for table, policies in database.of_table.items():
        columns = database.columns.get(table, {})
        decided = deciding.get(table, set())
        named = {name for name in columns if name.lower() in _TELLING} - decided
        if not decided and not named:
            continue
        for policy in policies:
            if not policy.permissive or not policy.roles:
                continue
            for command in ("insert", "update"):
                if not policy.covers(command):
                    continue
                free = _free(judge, table, policy, command)
                yield from _found(database, table, policy, command, sorted(decided & free), sure=True)
                if command == "update":
                    yield from _found(database, table, policy, command, sorted(named & free), sure=False)


def _found(database: Database, table: Name, policy: Policy, command: str, names: list[str], *, sure: bool) -> Iterator[Finding]:
    if not names:
        return
    relation = database.relations.get(table)
    guarded = relation is not None and relation.guarded_by_trigger and command == "update"
    what = "by which policies decide what a caller may do" if sure else "which by its name says what somebody may do"
    sentence = f"the policy for {policy.command} lets a caller {'set' if command == 'insert' else 'change'} {', '.join(names)}, {what}"
    sentence += "; a trigger may refuse it" if guarded else ""
    rule = "authority-writable" if sure else "telling-column"
    yield Finding(ERROR if sure and not guarded else WARNING, rule, policy.object, policy.roles, sentence)


def _free(judge: Judge, table: Name, policy: Policy, command: str) -> set[str]:
    """Columns that the policy's roles may set on *command* and that nothing in its check, or a restrictive one, speaks of."""
    columns = judge.database.columns.get(table, {})
    held = {
        name for name, column in columns.items()
        if set(column.insertable_by if command == "insert" else column.updatable_by) & set(policy.roles)
    }  # fmt: skip
    texts = [policy.checked or policy.using]
    texts += [
        other.checked or other.using
        for other in judge.database.applying(table, command)
        if not other.permissive and set(policy.roles) <= set(other.roles)
    ]
    for text in texts:
        said = judge.read(table, text)
        if said.tree is None or (text == texts[0] and not said.bound):
            return set()  # told as unread; or not about the caller's own rows: wide ones are told as that
        held -= said.named
    return held


def _deciding(judge: Judge) -> set[tuple[Name, str]]:
    """(table, column) whose value, in a row that is the caller's, opens something else."""
    found: set[tuple[Name, str]] = set()
    for policy in judge.database.policies:
        for text in policy.expressions if policy.roles else ():
            said = judge.read(policy.table, text)
            if said.tree is not None and not said.plain:
                found |= set(_of_tree(said.tree, policy.table, judge.database))
    for overloads in judge.database.routines.values():
        for routine in overloads:
            if routine.definer and routine.executable_by:
                for statement in helpers.body_of(routine).statements:
                    found |= set(_of_tree(helpers.inlined(statement, judge.database), ("", ""), judge.database))
    return found


def _of_tree(tree: exp.Expr, own: Name, database: Database) -> Iterator[tuple[Name, str]]:
    for select in tree.find_all(exp.Select):
        condition = trees.where(select)
        if condition is None:
            continue
        here = trees.sources(select)
        parts = list(trees.conjuncts(condition))
        mine = {table for part in parts for table in _of_caller(part, here, own)}
        for table in mine - _parents(select, parts, here, own, database):
            yield from ((table, name) for name in _used(select, parts, table, here, own, database))


def _of_caller(part: exp.Expr, here: dict[str, Name], own: Name) -> Iterator[Name]:
    """Tables of which *part* picks the rows of the caller."""
    if not isinstance(part, exp.EQ):
        return
    sides = (trees.bare(part.left), trees.bare(part.right))
    for one, other in (sides, sides[::-1]):
        plain = other.find(exp.Column) is None or isinstance(other, exp.Subquery)
        if isinstance(one, exp.Column) and plain and trees.asks_identity(other):
            table = trees.origin(one, own)
            if table in here.values() and table is not None:
                yield table


def _parents(select: exp.Select, parts: list[exp.Expr], here: dict[str, Name], own: Name, database: Database) -> set[Name]:
    """Tables whose row is the parent of the policy's row: it is reached by its key, so its other columns open only what is its own."""
    found = set()
    for part in parts:
        if not isinstance(part, exp.EQ):
            continue
        sides = (trees.bare(part.left), trees.bare(part.right))
        for one, other in (sides, sides[::-1]):
            if isinstance(one, exp.Column) and isinstance(other, exp.Column):
                table, outer = trees.origin(one, own), trees.origin(other, own)
                if table in here.values() and outer not in here.values() and table is not None and _is_key(table, one.name, database):
                    found.add(table)
    for each in select.expressions:
        column = trees.bare(each)
        if isinstance(column, exp.Column):
            table = trees.origin(column, own)
            if table is not None and _is_key(table, column.name, database):
                found.add(table)
    return found


def _used(
    select: exp.Select, parts: list[exp.Expr], table: Name, here: dict[str, Name], own: Name, database: Database
) -> Iterator[str]:  # fmt: skip
    """Columns of *table* that the query gives, or compares with anything but the caller."""
    for each in select.expressions:
        column = trees.bare(each)
        if isinstance(column, exp.Column) and trees.origin(column, own) == table and not _is_key(table, column.name, database):
            yield column.name
    for part in parts:
        if table in set(_of_caller(part, here, own)):
            continue
        for column in part.find_all(exp.Column):
            if trees.origin(column, own) == table and not _is_key(table, column.name, database):
                yield column.name


def _is_key(table: Name, column: str, database: Database) -> bool:
    said = database.columns.get(table, {}).get(column)
    keys = [each for each in database.columns.get(table, {}).values() if each.is_key]
    return said is not None and said.is_key and len(keys) == 1
