"""What one expression says, worked out once for every expression of the same shape.

Policies of a large database repeat a few shapes with other columns and constants: ``owner_id = auth.uid()``. An expression that reads
no table is brought to its shape first (columns c_1, c_2 ..., constants in the order they come, equal ones alike), the shape is parsed and
judged, and what was found is told with the real columns again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from sqlglot import exp

from opsnb.checks.lint import helpers, subjects, trees, unknown_caller
from opsnb.checks.lint.database import Database, Name
from opsnb.checks.lint.reach import Reach, of_tree
from opsnb.checks.lint.tautology import is_tautology
from opsnb.checks.lint.unknown_caller import Known

_TOKEN = re.compile(
    r"(?P<text>'(?:[^']|'')*')|(?P<type>::\s*(?:\w+\.)?\"?\w+\"?(?:\[\])?)|(?P<name>\"(?:[^\"]|\"\")+\"|[a-z_][\w$]*)(?P<after>\s*[.(])?"
    r"|(?P<number>\b\d+(?:\.\d+)?\b)"
)
# texts are told apart where they are keys of a token or names of roles, not values of a row
_TEXTS_COUNT = re.compile(r"->|#>|current_setting|auth\.(?:role|jwt|email)|storage\.|bucket_id|CURRENT_|SESSION_|\?")
_READS = re.compile(r"\bFROM\b", re.IGNORECASE)


@dataclass(frozen=True)
class Said:
    """What one expression says. Columns are those of the policy's own table.

    `tree`: with helper functions put in, columns perhaps under other names; None where it could not be read. `bound`: columns compared with
    something about the caller; `named`: all that occur; `null_matches`: those compared as if NULL were a value; `subject_columns`: those
    compared with the caller's subject itself. `plain`: it reads no table and calls no function of the project's.
    """

    tree: exp.Expr | None
    reach: Reach = Reach.UNKNOWN
    known: Known = Known.NO
    tautology: bool = False
    faults: tuple[tuple[str, str], ...] = ()
    bound: frozenset[str] = frozenset()
    named: frozenset[str] = frozenset()
    null_matches: tuple[str, ...] = ()
    subject_columns: tuple[str, ...] = ()
    plain: bool = False


class Readings:
    """Reads expressions of one database, each shape once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._shapes: dict[tuple[str, str], Said] = {}
        self._texts: dict[tuple[Name, str], Said] = {}

    def __call__(self, table: Name, text: str) -> Said:
        """What *text*, an expression of a policy of *table*, says."""
        found = self._texts.get((table, text))
        if found is None:
            found = self._texts[table, text] = self._read(table, text)
        return found

    def _read(self, table: Name, text: str) -> Said:
        names = self._database.columns.get(table)
        if names is None or _READS.search(text):
            return self._judged(table, text)
        shape, columns = _shape(text, names)
        # what is said of stored files names the table; of all others nothing does
        key = (shape, table[0] if table[0] == "storage" else "")
        found = self._shapes.get(key)
        if found is None:
            found = self._shapes[key] = self._judged(table, shape)
        return _renamed(found, columns) if columns else found

    def _judged(self, table: Name, text: str) -> Said:
        written = trees.expression(text)
        if written is None:
            return Said(None)
        tree = helpers.inlined(written, self._database)
        return Said(
            tree, of_tree(tree), unknown_caller.known(tree), is_tautology(tree),
            subjects.of_tree(tree, subject_is_uuid=self._database.subject_is_uuid), frozenset(_bound(tree, table)),
            frozenset(column.name for column in tree.find_all(exp.Column) if trees.origin(column, table) == table),
            tuple(_null_matches(tree)), tuple(subjects.compared_with_subject(tree, table)),
            plain=written.find(exp.Table) is None and next(helpers.used(written, self._database), None) is None,
        )  # fmt: skip


def _shape(text: str, names: Iterable[str]) -> tuple[str, dict[str, str]]:
    """*text* with its columns (those of *names*) and constants under common names, and what stands for which column."""
    columns: dict[str, str] = {}
    constants: dict[str, str] = {}
    here = set(names)
    keep_texts = _TEXTS_COUNT.search(text) is not None

    def common(found: re.Match[str]) -> str:
        if found["name"] and not found["after"]:
            name = found["name"].strip('"').replace('""', '"') if found["name"].startswith('"') else found["name"]
            if name in here and text[max(0, found.start() - 1) : found.start()] != "." and text[: found.start()][-3:] != "AS ":
                return columns.setdefault(name, f"c_{len(columns) + 1}")
        elif found["text"] and not keep_texts:
            return constants.setdefault(found["text"], f"'l_{len(constants) + 1}'")
        elif found["number"]:
            return constants.setdefault(found["number"], str(700 + len(constants)))
        return found[0]

    shape = _TOKEN.sub(common, text)
    return shape, {common_name: name for name, common_name in columns.items()}


def _renamed(said: Said, columns: Mapping[str, str]) -> Said:
    def real(names: Iterable[str]) -> tuple[str, ...]:
        return tuple(columns.get(name, name) for name in names)

    return replace(
        said, bound=frozenset(real(said.bound)), named=frozenset(real(said.named)), null_matches=real(said.null_matches),
        subject_columns=real(said.subject_columns),
    )  # fmt: skip


def _bound(tree: exp.Expr, table: Name) -> set[str]:
    found = set()
    for node in tree.find_all(exp.EQ, exp.In):
        sides = (node.this, node.args.get("query") or node.args.get("expression") or exp.Null())
        for one, other in (sides, sides[::-1]):
            column = trees.bare(one)
            if isinstance(column, exp.Column) and trees.origin(column, table) == table and trees.asks_identity(other):
                found.add(column.name)
    return found


def _null_matches(tree: exp.Expr) -> Iterable[str]:
    for node in tree.find_all(exp.NullSafeEQ, exp.NullSafeNEQ):
        if isinstance(node, exp.NullSafeNEQ) and node.find_ancestor(exp.Not) is None:
            continue  # Postgres prints `is not distinct from` as its opposite under NOT
        sides = (trees.bare(node.left), trees.bare(node.right))
        for one, other in (sides, sides[::-1]):
            if isinstance(one, exp.Column) and trees.asks_identity(other):
                yield one.name
