"""What is wrong in an expression by itself: a subject read as what it is not, claims that users edit, identifiers that never meet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlglot import exp

from opsnb.checks.lint import trees
from opsnb.checks.lint.database import Column, Database, Name, written

_UUID = frozenset({exp.DataType.Type.UUID})
EDITABLE = frozenset({"user_metadata", "raw_user_meta_data"})
"""Claims that a user may set to anything."""
_WORDS = ("reads the caller's subject as a UUID, which the identity provider's subjects are not: it raises 22P02 for everybody",
          "trusts a claim that users can set to anything (user_metadata)")  # fmt: skip


def faults(expression: str, *, subject_is_uuid: bool) -> tuple[tuple[str, str], ...]:
    """What is wrong with *expression*, as pg_get_expr prints it, as (rule, sentence); nothing where it cannot be read."""
    tree = trees.expression(expression)
    return () if tree is None else of_tree(tree, subject_is_uuid=subject_is_uuid)


def of_tree(tree: exp.Expr, *, subject_is_uuid: bool) -> tuple[tuple[str, str], ...]:
    """The same of a tree, whose helper functions may have been replaced by their bodies."""
    found = []
    if not subject_is_uuid and (_calls_uid(tree) or _casts_subject(tree)):
        found.append(("subject-cast", _WORDS[0]))
    names = trees.keys(tree) | {node.name for node in tree.find_all(exp.Column)}
    if names & EDITABLE:
        found.append(("editable-claim", _WORDS[1]))
    return tuple(found)


def _calls_uid(tree: exp.Expr) -> bool:
    return any(schema == "auth" and name == "uid" for schema, name, _ in trees.calls(tree))


def _casts_subject(tree: exp.Expr) -> bool:
    """Whether the claim `sub` is cast to uuid anywhere."""
    return any(_to_uuid(cast) and _is_subject(cast.this) for cast in tree.find_all(exp.Cast))


def _to_uuid(cast: exp.Cast) -> bool:
    return isinstance(cast.to, exp.DataType) and cast.to.this in _UUID


def _is_subject(node: exp.Expr) -> bool:
    """Whether *node* is the caller's subject: auth.uid(), the claim `sub` however it is reached."""
    node = trees.bare(node)
    if isinstance(node, exp.Nullif | exp.Coalesce):
        return _is_subject(node.this)
    if isinstance(node, exp.Dot | exp.Anonymous):
        for schema, name, call in trees.calls(node):
            if call is node and schema == "auth" and name == "uid":
                return True
            if call is node and name == "current_setting":
                return bool(trees.arguments(call)) and str(trees.arguments(call)[0].name) == "request.jwt.claim.sub"
        return False
    if isinstance(node, exp.JSONExtract | exp.JSONExtractScalar | exp.JSONBExtract | exp.JSONBExtractScalar):
        return trees.keys(node.expression) == {"sub"} and trees.asks_identity(node.this)
    return False


def never_true(tree: exp.Expr, table: Name, own: Iterable[str], database: Database) -> Iterator[str]:
    """Comparisons of the caller's subject with a column that holds other identifiers, which no row can meet.

    *own*: columns of *table* that are compared with it; those of other tables are looked for in *tree*.
    """
    others = ((name, column) for name, column in _subject_columns(tree, table) if name != table)
    for name, column in (*((table, column) for column in own), *others):
        said = database.columns.get(name, {}).get(column)
        why = _disjoint(name, said, database) if said is not None else ""
        if why:
            yield f"compares the caller's subject with {written(name)}.{column}, {why}: nobody meets it"


def compared_with_subject(tree: exp.Expr, table: Name) -> Iterator[str]:
    """Columns of *table* that are compared with the caller's subject itself."""
    return (column for name, column in _subject_columns(tree, table) if name == table)


def _subject_columns(tree: exp.Expr, table: Name) -> Iterator[tuple[Name, str]]:
    for one, other in _compared(tree):
        column = trees.bare(other)
        if isinstance(column, exp.Column) and _is_subject(one):
            name = trees.origin(column, table)
            if name is not None:
                yield name, column.name


def _compared(tree: exp.Expr) -> Iterator[tuple[exp.Expr, exp.Expr]]:
    """Both sides of every comparison for equality, each way round."""
    for node in tree.find_all(exp.EQ, exp.In, exp.NullSafeEQ):
        if isinstance(node, exp.In):
            query = node.args.get("query")
            inside = query.this if query is not None else None
            others = list(node.expressions) or (list(inside.expressions) if isinstance(inside, exp.Select) else [])
            for other in others:
                yield node.this, other
                yield other, node.this
            continue
        left, right = node.this, node.args["expression"]
        right = right.this if isinstance(right, exp.Any) else right
        yield left, right
        yield right, left


def _disjoint(table: Name, column: Column, database: Database) -> str:
    """Why *column* cannot hold a subject; '' where it may."""
    if database.people == (table, column.name):
        return ""
    if not database.subject_is_uuid and column.type in ("uuid", "integer", "bigint", "smallint"):
        return f"which holds values of type {column.type}"
    if column.type in ("integer", "bigint", "smallint", "numeric"):
        return f"which holds values of type {column.type}"
    end = _end(table, column, database)
    if end is None or end[0] == ("auth", "users") or end == database.people:
        return ""
    last = database.columns.get(end[0], {}).get(end[1])
    if last is None or not last.made_here or end == (table, column.name):
        return ""
    return f"which refers to {written(end[0])}.{end[1]}, an identifier that the database makes itself"


def _end(table: Name, column: Column, database: Database) -> tuple[Name, str] | None:
    """Where the foreign keys of *column* lead in the end; itself where it has none, None where they part."""
    place, name, seen = table, column, {table}
    while name.refers_to:
        if len(name.refers_to) > 1:
            return None
        schema, other, target = name.refers_to[0].split(".", 2)
        place = (schema, other)
        if place in seen or place == ("auth", "users"):
            return place, target
        seen.add(place)
        following = database.columns.get(place, {}).get(target)
        if following is None:
            return place, target
        name = following
    return place, name.name
