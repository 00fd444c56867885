"""What is wrong in a policy's expression by itself: a subject read as what it is not, claims that users edit, a policy about itself."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

_UUID = frozenset({exp.DataType.Type.UUID})
EDITABLE = frozenset({"user_metadata", "raw_user_meta_data"})
"""Claims that a user may set to anything."""


@functools.cache
def faults(expression: str, schema: str, table: str, *, subject_is_uuid: bool) -> tuple[str, ...]:
    """What is wrong with *expression*, as pg_get_expr prints it, in a policy of *schema*.*table*; nothing where it cannot be read."""
    try:
        tree = sqlglot.parse_one(f"select {expression}", dialect="postgres")
    except (SqlglotError, RecursionError):
        return ()
    return tuple(dict.fromkeys(_faults(tree, schema, table, subject_is_uuid)))


def _faults(tree: exp.Expr, schema: str, table: str, subject_is_uuid: bool) -> Iterator[str]:
    if not subject_is_uuid and (_calls_uid(tree) or _casts_subject(tree)):
        yield "reads the caller's subject as a UUID, which the identity provider's subjects are not: it raises 22P02 for everybody"
    names = {_text(node) for node in tree.find_all(exp.Literal)} | {node.name for node in tree.find_all(exp.Column)}
    # a path of keys is one text: {user_metadata,role}
    if EDITABLE.intersection(part for name in names for part in (name, *name.strip("{}").split(","))):
        yield "trusts a claim that users can set to anything (user_metadata)"
    for read in tree.find_all(exp.Table):
        if read.name == table and read.db in ("", schema):
            yield "reads its own table, which asks the policy again, without end (42P17)"


def _calls_uid(tree: exp.Expr) -> bool:
    for dot in tree.find_all(exp.Dot):
        call = dot.expression
        if isinstance(call, exp.Anonymous) and call.name.lower() == "uid" and str(dot.this).strip('"').lower() == "auth":
            return True
    return False


def _casts_subject(tree: exp.Expr) -> bool:
    """Whether the claim `sub` is cast to uuid anywhere."""
    for cast in tree.find_all(exp.Cast):
        if (
            isinstance(cast.to, exp.DataType)
            and cast.to.this in _UUID
            and any(_text(node) == "sub" for node in cast.this.find_all(exp.Literal))
        ):
            return True
    return False


def _text(node: exp.Literal) -> str:
    return str(node.this) if node.is_string else ""
