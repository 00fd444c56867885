"""Reads one body: its statements, each resolved against the catalogue, and what could not be read of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opsnb.checks.bodies.catalogue import Catalogue, Shape
from opsnb.checks.bodies.lexer import statements, tokens, unquoted
from opsnb.checks.bodies.names import Missing, Variable
from opsnb.checks.bodies.plpgsql import program
from opsnb.checks.bodies.program import Declared, Piece, Program, created, sets_search_path
from opsnb.checks.bodies.resolver import Resolver
from opsnb.errors import SourceNonsense

TRIGGER_VARIABLES = ("tg_name", "tg_when", "tg_level", "tg_op", "tg_relid", "tg_relname", "tg_table_name", "tg_table_schema", "tg_nargs",
                     "tg_argv", "tg_event", "tg_tag")  # fmt: skip
_BRANCHES = re.compile(r"\btg_(table_name|relname|relid|table_schema|argv|name)\b", re.IGNORECASE)
_DYNAMIC_CREATE = re.compile(r"\bexecute\b.*\bcreate\b", re.IGNORECASE | re.DOTALL)
_TYPE = re.compile(
    r"(?:setof\s+)?(?P<name>(?:\"[^\"]+\"|[\w$]+)(?:\s*\.\s*(?:\"[^\"]+\"|[\w$]+))*)\s*(?P<percent>%\s*(?:rowtype|type))?\s*(?P<array>(?:\[\d*\]|array\b)*)",
    re.IGNORECASE,
)
MOST_TABLES = 50
"""Trigger tables a trigger function is read for; the same body over and over."""


@dataclass(frozen=True)
class Finding:
    """One name missing at one line. `severity`: error (runs into it), warning (only some callers, or swallowed by a handler)."""

    severity: str
    line: int
    kind: str
    name: str
    sentence: str


@dataclass
class Reading:
    """What reading one body gave: findings, how many statements were read, why others were not (line, reason)."""

    findings: list[Finding] = field(default_factory=list)
    read: int = 0
    unread: list[tuple[int, str]] = field(default_factory=list)
    shields: dict[int, str] = field(default_factory=dict)
    """Line → what would catch a missing name there; for findings of the server's own checker."""
    probed: frozenset[str] = frozenset()
    """Words inside conditions that ask whether something exists."""
    own: frozenset[str] = frozenset()
    """Relations the body makes itself."""


@dataclass(frozen=True)
class Body:
    """One row of `bodies_routines`, by name."""

    row: Mapping[Any, Any]

    @property
    def name(self) -> str:
        """Schema, name and argument types, as a person calls the function."""
        return f"{self.row['schema']}.{self.row['name']}({self.row['arguments']})"

    @property
    def text(self) -> str:
        """Its source."""
        return str(self.row["body"])

    @property
    def search_path(self) -> str | None:
        """Its own search_path; None where it has none."""
        value = self.row["search_path"]
        return value if isinstance(value, str) else None

    @property
    def variables(self) -> dict[str, tuple[str, int]]:
        """Argument name → type and the oid of its relation where it is a row."""
        names, types, relations = self.row["argument_names"], self.row["argument_types"], self.row["argument_relations"]
        return {name: (type_, int(relation)) for name, type_, relation in zip(names, types, relations, strict=False) if name}


def reading(body: Body, catalogue: Catalogue, *, made_elsewhere: Iterable[str] = ()) -> Reading:
    """Resolves *body*. *made_elsewhere* are temporary tables that other bodies make. Never raises: what is not understood is unread."""
    language = str(body.row["language"])
    if language == "sql":
        return _sql(body, catalogue, frozenset(made_elsewhere))
    if language == "plpgsql":
        try:
            parts = program(body.text)
        except SourceNonsense as error:
            return Reading(unread=[(1, f"the body is not understood ({error})")])
        return _plpgsql(body, parts, catalogue, frozenset(made_elsewhere))
    return Reading(unread=[(1, f"the language {language} is not read")])


def _resolver(body: Body, catalogue: Catalogue, variables: dict[str, Variable], labels: set[str], elsewhere: frozenset[str]) -> Resolver:
    own: dict[str, Shape] = dict.fromkeys(created(body.text))
    path = catalogue.anywhere if sets_search_path(body.text) else catalogue.path(body.search_path)
    any_relation = _DYNAMIC_CREATE.search(body.text) is not None
    if body.row["trigger_kind"] == "trigger" and not len(body.row["trigger_tables"]):
        any_relation = True  # an unqualified name may be a transition table of the trigger to come
    return Resolver(
        catalogue,
        path,
        variables=variables,
        labels=frozenset(labels | {str(body.row["name"])}),
        own_relations=own,
        temporary=elsewhere,
        any_relation=any_relation,
        language=str(body.row["language"]),
    )


def _arguments(body: Body, catalogue: Catalogue) -> dict[str, Variable]:
    return {name: Variable(catalogue.shape(relation) if relation else None) for name, (_, relation) in body.variables.items()}


def _sql(body: Body, catalogue: Catalogue, elsewhere: frozenset[str]) -> Reading:
    made = Reading(own=frozenset(created(body.text)))
    resolver = _resolver(body, catalogue, _arguments(body, catalogue), set(), elsewhere)
    try:
        parts = list(statements(body.text))
    except SourceNonsense as error:
        return Reading(unread=[(1, f"the body is not understood ({error})")])
    for text, line in parts:
        _read(made, resolver, Piece("query", text, line))
    return made


def _plpgsql(body: Body, parts: Program, catalogue: Catalogue, elsewhere: frozenset[str]) -> Reading:
    tables: list[int | None] = [int(oid) for oid in body.row["trigger_tables"][:MOST_TABLES]]
    if body.row["trigger_kind"] != "trigger" or not tables:
        tables = [None]
    readings = [_plpgsql_once(body, parts, catalogue, elsewhere, table) for table in tables]
    return joined(readings, branches=_BRANCHES.search(body.text) is not None)


def joined(readings: Sequence[Reading], *, branches: bool) -> Reading:
    """A trigger function's readings for each of its tables as one.

    What is missing for some tables only is left out where the body asks which table it is at: that branch may never run there.
    """
    made = readings[0]
    if len(readings) == 1:
        return made
    counts: dict[Finding, int] = {}
    for each in readings:
        for finding in each.findings:
            counts[finding] = counts.get(finding, 0) + 1
    made.findings = [finding for finding, number in counts.items() if number == len(readings) or not branches]
    return made


def _plpgsql_once(body: Body, parts: Program, catalogue: Catalogue, elsewhere: frozenset[str], table: int | None) -> Reading:
    made = Reading(own=frozenset(created(body.text)))
    made.shields = {piece.line: piece.shield for piece in parts.pieces if piece.shield}
    made.probed = _probed(parts.pieces)
    variables = _arguments(body, catalogue)
    variables |= {name: Variable() for name in ("found", "sqlstate", "sqlerrm")}
    if body.row["trigger_kind"]:
        variables |= {name: Variable() for name in TRIGGER_VARIABLES}
    if body.row["trigger_kind"] == "trigger":
        row = catalogue.shape(table) if table is not None else None
        variables |= {"new": Variable(row), "old": Variable(row)}
    resolver = _resolver(body, catalogue, variables, parts.labels, elsewhere)
    for name in body.row["transition_tables"]:
        resolver.own_relations[name] = catalogue.shape(table) if table is not None else None
    records = _declare(parts.variables, resolver, made)
    _fill_records(parts, records, resolver)
    for piece in parts.pieces:
        if piece.kind == "target":
            before = len(resolver.missing)
            for path in piece.into:
                resolver.target(path)
            _keep(made, resolver.missing[before:], piece)
        elif piece.kind == "dynamic":
            made.unread.append((piece.line, "dynamic SQL: its text is known only when it runs"))
        elif piece.kind == "other":
            continue
        else:
            _read(made, resolver, piece)
    made.findings = [finding for finding in made.findings if finding.name.rpartition(".")[2] not in made.probed]
    return made


def _read(made: Reading, resolver: Resolver, piece: Piece) -> None:
    resolver.missing = []
    try:
        resolver.statement(piece.sql)
    except SourceNonsense as error:
        made.unread.append((piece.line, str(error)))
        return
    except (RecursionError, AttributeError, TypeError, KeyError, IndexError, ValueError):
        # a tree of a shape nobody thought of says nothing about the body
        made.unread.append((piece.line, "a statement that is not understood"))
        return
    made.read += 1
    _keep(made, resolver.missing, piece)


def _keep(made: Reading, missing: Sequence[Missing], piece: Piece) -> None:
    for each in missing:
        if piece.shield == "named":
            continue  # the body itself expects that it may be missing
        severity = "error" if each.certain and not piece.shield else "warning"
        sentence = f"{each.sentence}; a handler of all errors hides it" if piece.shield == "others" else each.sentence
        finding = Finding(severity, piece.line, each.kind, each.name, sentence)
        if finding not in made.findings:
            made.findings.append(finding)


def _probed(pieces: Sequence[Piece]) -> frozenset[str]:
    """Names in the strings of statements that ask the catalogue whether something is there."""
    names: set[str] = set()
    for piece in pieces:
        if piece.existence:
            try:
                strings = [token.text for token in tokens(piece.sql) if token.kind == "string"]
            except SourceNonsense:
                continue
            for string in strings:
                names.update(re.findall(r"[^\W\d][\w$]*", string.lower()))
    return frozenset(names)


def _declare(declared: Sequence[Declared], resolver: Resolver, made: Reading) -> set[str]:
    """Adds declared variables; the names of those that are records, whose fields depend on what is put into them."""
    records: set[str] = set()
    for each in declared:
        shape, is_record = _declared_shape(each, resolver, made)
        if is_record:
            records.add(each.name)
        before = resolver.variables.get(each.name)
        if before is not None and each.name not in records and (before.shape is None or shape is None):
            shape = None  # two variables of one name in different blocks: either may be meant
        elif before is not None and before.shape is not None and shape is not None:
            shape |= before.shape
        resolver.variables[each.name] = Variable(shape)
    return records


def _declared_shape(declared: Declared, resolver: Resolver, made: Reading) -> tuple[Shape, bool]:
    text = declared.type.strip()
    if text.lower() == "record":
        return None, True
    matched = _TYPE.match(text)
    if matched is None or text.lower() in ("alias", "refcursor", "cursor"):
        return None, False
    parts = [part.strip() for part in re.findall(r"\"[^\"]+\"|[\w$]+", matched["name"])]
    names = [unquoted(part) for part in parts]
    kind = re.sub(r"\s", "", (matched["percent"] or "").lower())
    resolver.missing = []
    shape: Shape = None
    if kind == "%type":
        _column_type(names, resolver)
    elif kind == "%rowtype" and names[0] not in resolver.own_relations and not resolver.any_relation:
        relation, found = resolver.catalogue.relation(names[-2] if len(names) > 1 else "", names[-1], resolver.path)
        if relation is None and not resolver.catalogue.types.get(names[-1]):
            resolver.absent("table", names[-2] if len(names) > 1 else "", names[-1], found)
        shape = relation.columns if relation and not matched["array"] else None
    elif not kind and len(names) <= 2:
        schema, name = (names[0], names[1]) if len(names) == 2 else ("", names[0])
        if schema or name in resolver.catalogue.types:
            oid = resolver.named_type(schema, name)
            shape = resolver.catalogue.shape(oid) if oid and not matched["array"] else None
    _keep(made, resolver.missing, Piece("target", "", declared.line))
    return shape, False


def _column_type(names: Sequence[str], resolver: Resolver) -> None:
    """``table.column%type``; ``variable%type`` and a variable's field are left alone."""
    if len(names) < 2 or names[0] in resolver.variables or names[-2] in resolver.own_relations or resolver.any_relation:
        return
    schema = names[-3] if len(names) > 2 else ""
    relation, found = resolver.catalogue.relation(schema, names[-2], resolver.path)
    if relation is None:
        resolver.absent("table", schema, names[-2], found)
    elif names[-1] not in relation.columns:
        resolver.say("column", f"{names[-2]}.{names[-1]}", f"{names[-2]} has no column {names[-1]}")


def _fill_records(parts: Program, records: set[str], resolver: Resolver) -> None:
    """Gives records the fields of the queries that fill them: of all of them, whichever runs. One unknown query leaves them unknown."""
    filled: dict[str, list[Shape]] = {name: [] for name in records if name not in parts.unknown}
    queries: list[tuple[str, Piece]] = [
        (piece.into[0][0], piece) for piece in parts.pieces if piece.kind == "query" and len(piece.into) == 1 and len(piece.into[0]) == 1
    ]
    queries += [(variable, parts.cursors[cursor]) for variable, cursor in parts.loops if cursor not in parts.unknown]
    for variable, piece in queries:
        if variable not in filled:
            continue
        resolver.missing = []
        try:
            filled[variable].append(resolver.statement(piece.sql))
        except (SourceNonsense, RecursionError, AttributeError, TypeError, KeyError, IndexError, ValueError):
            filled[variable].append(None)
    for name, shapes in filled.items():
        if shapes and all(shape is not None for shape in shapes):
            resolver.variables[name] = Variable(frozenset().union(*(shape for shape in shapes if shape is not None)))
