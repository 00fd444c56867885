"""What a PL/pgSQL body is made of, once it is cut."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from opsnb.checks.bodies.lexer import unquoted

Path = tuple[str, ...]

EXISTENCE = re.compile(
    r"\b(to_reg\w+|information_schema|pg_extension|pg_available_extensions|pg_proc|pg_class|pg_tables|pg_views|pg_matviews"
    r"|pg_attribute|pg_namespace|pg_type|server_version\w*|version\s*\(\s*\))",
    re.IGNORECASE,
)
MISSING = {"undefined_table", "undefined_column", "undefined_function", "undefined_object", "invalid_schema_name",
            "syntax_error_or_access_rule_violation", "42p01", "42703", "42883", "42704", "3f000", "42000"}  # fmt: skip
_CREATES = re.compile(
    r"\bcreate\s+(?:(?:global|local)\s+)?(?P<temporary>temp(?:orary)?\s+)?(?:unlogged\s+)?"
    r"(?:table|(?:recursive\s+)?view|sequence|materialized\s+view)\s+"
    r"(?:if\s+not\s+exists\s+)?(?P<name>(?:\"[^\"]+\"|[\w$]+)(?:\s*\.\s*(?:\"[^\"]+\"|[\w$]+))?)",
    re.IGNORECASE,
)
_SETS_PATH = re.compile(r"\bsearch_path\b", re.IGNORECASE)


@dataclass
class Piece:
    """One text for the SQL parser.

    `kind`: query (a whole statement), expression (after ``select``), call (a procedure), target (of an assignment, no text),
    dynamic (text known only when it runs), other (a command that is not looked into). `into` are the variables it fills, `existence`
    whether it asks the catalogue what there is, `shield` what would catch a missing name: ``""`` nothing, ``others`` a handler of every
    error, ``named`` a handler or condition made for it.
    """

    kind: str
    sql: str
    line: int
    into: tuple[Path, ...] = ()
    shield: str = ""
    existence: bool = False


@dataclass(frozen=True)
class Declared:
    """One variable and its type as written."""

    name: str
    type: str
    line: int


@dataclass
class Program:
    """A body: `cursors` are bound cursors with their query, `loops` record variables a cursor loop declares (variable, cursor)."""

    pieces: list[Piece] = field(default_factory=list)
    variables: list[Declared] = field(default_factory=list)
    labels: set[str] = field(default_factory=set)
    cursors: dict[str, Piece] = field(default_factory=dict)
    loops: list[tuple[str, str]] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)


def created(text: str, *, temporary: bool = False) -> set[str]:
    """Names (last part, as PostgreSQL folds them) of the relations that *text* itself creates, also inside its strings."""
    names = set()
    for matched in _CREATES.finditer(text):
        if temporary and not matched["temporary"]:
            continue
        name = re.split(r"\s*\.\s*", matched["name"])[-1]
        names.add(unquoted(name))
    return names


def sets_search_path(text: str) -> bool:
    """Whether a body changes the search_path while it runs."""
    return _SETS_PATH.search(text) is not None
