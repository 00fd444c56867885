"""Looks names up: relations, columns, functions and types of one body, and keeps what is certainly missing.

Says nothing of a source whose columns cannot be known (a record, a temporary table).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from opsnb.checks.bodies.catalogue import Catalogue, Found, Path, Shape, takes
from opsnb.checks.bodies.lexer import arguments, folded, unquoted
from opsnb.checks.bodies.trees import name_of, type_name

SYSTEM_COLUMNS = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"})
# what the grammar knows by itself; none of them is in pg_proc under this name, or it may be written without parentheses
GRAMMAR = frozenset({
    "coalesce", "greatest", "least", "nullif", "row", "grouping", "xmlelement", "xmlforest", "xmlconcat", "xmlparse", "xmlpi", "xmlroot",
    "xmlserialize", "xmlexists", "xmlattributes", "xmltable", "json", "json_object", "json_array", "json_objectagg", "json_arrayagg",
    "json_exists", "json_query", "json_value", "json_scalar", "json_serialize", "json_table", "merge_action", "trim", "overlay", "position",
    "substring", "extract", "collation", "treat", "normalize", "cast", "exists", "array", "any", "all", "some", "interval", "char",
    "character", "varchar", "nchar", "bit", "numeric", "decimal", "dec", "float", "real", "int", "integer", "smallint", "bigint", "boolean",
    "time", "timestamp", "timestamptz", "timetz", "date", "values", "current_date", "current_time", "current_timestamp", "localtime",
    "localtimestamp", "current_user", "session_user", "user", "current_role", "current_catalog", "current_schema", "system_user", "in",
    "not", "and", "or", "over", "filter", "within", "unnest", "default", "operator", "lateral", "using", "as", "on", "when", "then", "else",
    "case",
})  # fmt: skip
_WORDS = frozenset({
    "current_user", "session_user", "user", "current_role", "current_catalog", "current_schema", "system_user", "default", "current_date",
    "current_time", "current_timestamp", "localtime", "localtimestamp", "null", "true", "false",
})  # fmt: skip
_REGCLASS = re.compile(r"^(?:(?P<schema>[a-z_][a-z0-9_$]*|\"[^\"]+\")\.)?(?P<name>[a-z_][a-z0-9_$]*|\"[^\"]+\")$", re.IGNORECASE)


@dataclass(frozen=True)
class Missing:
    """One name that is not there. `kind`: table, column, function, type, schema, insert; `certain`: whatever path the caller has."""

    kind: str
    name: str
    sentence: str
    certain: bool = True


@dataclass
class Variable:
    """A variable of a body: `shape` are its fields where it is a row; None where it is none or they are not known."""

    shape: Shape = None


@dataclass
class Scope:
    """What a column of a query may mean: its sources, with their columns in order of appearance, and the names of its results."""

    parent: Scope | None = None
    sources: list[tuple[str | None, Shape]] = field(default_factory=list)
    ctes: dict[str, Shape] = field(default_factory=dict)
    results: set[str] = field(default_factory=set)

    def up(self) -> Iterator[Scope]:
        """The scope and those around it."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent


class Names:
    """One body's names: its path, variables, labels and the relations it makes itself. `missing` is what was found.

    *temporary* are tables that other bodies make for their session. *any_relation*: it may make relations whose names cannot be read, so
    that no missing one is certain.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        path: Path,
        *,
        variables: dict[str, Variable],
        labels: frozenset[str] = frozenset(),
        own_relations: dict[str, Shape] | None = None,
        temporary: frozenset[str] = frozenset(),
        any_relation: bool = False,
        language: str = "plpgsql",
    ) -> None:
        self.catalogue = catalogue
        self.path = path
        self.variables = variables
        self.labels = labels
        self.own_relations = own_relations or {}
        self.temporary = temporary
        self.any_relation = any_relation
        self.language = language
        self.missing: list[Missing] = []
        self._text = ""

    def say(self, kind: str, name: str, sentence: str, *, certain: bool = True) -> None:
        """Keeps that *name* is missing, once."""
        said = Missing(kind, name, sentence, certain)
        if said not in self.missing:
            self.missing.append(said)

    def absent(self, kind: str, schema: str, name: str, found: Found, what: str = "") -> None:
        """Says that *name* is not where it was looked for, and where it is instead."""
        shown = f"{schema}.{name}" if schema else name
        if schema and schema not in self.catalogue.schemas:
            if not schema.startswith("pg_temp"):
                self.say("schema", schema, f"schema {schema} does not exist")
        elif schema or not found.elsewhere:
            self.say(kind, shown, f"{what or kind} {shown} does not exist")
        elif self.path.fixed:
            self.say(
                kind, shown, f"{what or kind} {shown} is in {' and '.join(found.elsewhere[:2])}, which is not on the function's search_path"
            )
        else:
            where = " and ".join(found.elsewhere[:2])
            self.say(
                kind, shown, f"{what or kind} {shown} is in {where}: found only where the caller's search_path names it", certain=False
            )

    def target(self, parts: Sequence[str]) -> None:
        """The target of an assignment: ``new.column``, ``record.field``, ``variable``."""
        if len(parts) > 1 and parts[0] in self.labels and parts[1] in self.variables:
            parts = parts[1:]
        variable = self.variables.get(parts[0])
        if len(parts) > 1 and variable is not None and variable.shape is not None and parts[1] not in variable.shape:
            self.say("column", f"{parts[0]}.{parts[1]}", f"{parts[0]} has no field {parts[1]}")

    def named_type(self, schema: str, name: str) -> int:
        """Looks a type up; the oid of its relation where it is a row, else 0."""
        relation, found = self.catalogue.type(schema, name, self.path)
        if not found.here and name not in self.own_relations and name not in GRAMMAR:
            self.absent("type", schema, name, found)
        return relation

    def _relation(self, table: exp.Table, scope: Scope) -> Shape:
        schema, name = name_of(table.args.get("db")), name_of(table.this)
        if table.args.get("catalog"):
            return None
        if not schema:
            for each in scope.up():
                if name in each.ctes:
                    return each.ctes[name]
        if name in self.own_relations:
            return self.own_relations[name]
        if schema == "pg_temp" or (self.any_relation and not schema):
            return None
        relation, found = self.catalogue.relation(schema, name, self.path)
        if relation is None:
            if schema or name not in self.temporary:
                self.absent("table", schema, name, found)
            return None
        return relation.columns

    def _column(self, node: exp.Column, scope: Scope) -> None:
        name, alias, first = name_of(node.this), name_of(node.args.get("table")), name_of(node.args.get("db"))
        if first:
            self._long_column(first, alias, name, scope)
        elif alias:
            self._qualified(alias, None if isinstance(node.this, exp.Star) else name, scope)
        elif name and not isinstance(node.this, exp.Star):
            self._bare(name, bool(node.this.args.get("quoted")), scope)

    def _bare(self, name: str, quoted: bool, scope: Scope) -> None:
        if name in self.variables or (not quoted and name in _WORDS):
            return
        any_source = False
        for each in scope.up():
            if name in each.results:
                return
            for alias, shape in each.sources:
                any_source = True
                if shape is None or name in shape or name == alias or name in SYSTEM_COLUMNS:
                    return
        where = "" if any_source else ", and it is no variable"
        self.say("column", name, f"column {name} does not exist in what the statement reads{where}")

    def _qualified(self, alias: str, name: str | None, scope: Scope) -> None:
        for each in scope.up():
            for known_alias, shape in each.sources:
                if known_alias != alias:
                    continue
                if shape is None or name is None or name in shape or name in SYSTEM_COLUMNS or self._attribute_function(name):
                    return
                self.say("column", f"{alias}.{name}", f"{alias} has no column {name}")
                return
        if alias in self.variables:
            shape = self.variables[alias].shape
            may_call = self.language == "sql" and name is not None and self._attribute_function(name)
            if shape is not None and name is not None and name not in shape and not may_call:
                self.say("column", f"{alias}.{name}", f"{alias} has no field {name}")
            return
        if alias in self.labels or self._unknown_source(scope):
            return
        self.say("table", alias, f"{alias} is no table, alias or variable of the statement")

    def _unknown_source(self, scope: Scope) -> bool:
        """Whether a source here is not known well enough to say that a name is nothing."""
        return any(alias is None and shape is None for each in scope.up() for alias, shape in each.sources)

    def _long_column(self, first: str, alias: str, name: str, scope: Scope) -> None:
        """``schema.table.column``, ``record.field.field`` or ``label.record.field``."""
        if first in self.variables:
            self.target((first, alias))
        elif any(known_alias == alias for each in scope.up() for known_alias, _ in each.sources):
            self._qualified(alias, name or None, scope)
        elif first in self.labels and alias in self.variables:
            self.target((alias, name))

    def _attribute_function(self, name: str) -> bool:
        """``alias.name`` may also call a function on the row; PL/pgSQL's ``variable.name`` never does."""
        return any(each.takes_row for each in self.catalogue.routines.get(name, ()))

    def _call_name(self, node: exp.Expr) -> str | None:
        """The name of a function as it was written; the parser translates some to its own."""
        start, end = node.meta.get("start"), node.meta.get("end")
        if isinstance(start, int) and isinstance(end, int):
            written = self._text[start : end + 1]
            return unquoted(written)
        if isinstance(node, exp.Anonymous):
            this = node.this
            return name_of(this) if isinstance(this, exp.Identifier) else folded(str(this))
        return None

    def _call(self, node: exp.Expr, schema: str, scope: Scope) -> None:
        name = self._call_name(node)
        end = node.meta.get("end")
        if name is not None and (schema or name not in GRAMMAR):
            said = arguments(self._text, end + 1) if isinstance(end, int) else None
            if said is not None:
                self._function(schema, name, said, node, scope)
        self._literal_relation(name, node)
        for key, value in node.args.items():
            if key != "this" or (
                isinstance(value, exp.Expr) and not (isinstance(node, exp.Anonymous) and isinstance(value, exp.Identifier))
            ):
                for each in value if isinstance(value, list) else [value]:
                    if isinstance(each, exp.Expr):
                        self._visit(each, scope)

    def _function(self, schema: str, name: str, said: tuple[int, list[str], bool], node: exp.Expr, scope: Scope) -> None:
        number, names, sure = said
        if schema == "pg_temp" or (schema and schema in self.variables):
            return
        overloads, found = self.catalogue.overloads(schema, name, self.path)
        is_type, _ = self.catalogue.type(schema, name, self.path)
        if is_type or any(
            where == schema or (not schema and where in self.path.schemas) for where, _ in self.catalogue.types.get(name, ())
        ):
            return  # a cast written as a call
        if not overloads:
            if number == 1 and self._is_field(name, scope):
                return
            self.absent("function", schema, name, found)
        elif sure and not isinstance(node.parent, exp.WithinGroup) and not takes(overloads, number, names):
            if found.elsewhere and not schema and not self.path.fixed:
                return
            shown = f"{schema}.{name}" if schema else name
            given = f"{number} argument{'' if number == 1 else 's'}" + (f" and the names {', '.join(names)}" if names else "")
            self.say(
                "function",
                shown,
                f"function {shown} exists, but takes no {given}" if not names else f"function {shown} exists, but does not take {given}",
            )

    def _is_field(self, name: str, scope: Scope) -> bool:
        """``name(row)`` reads a field of the row."""
        return any(shape is None or name in shape for each in scope.up() for _, shape in each.sources) or any(
            variable.shape is not None and name in variable.shape for variable in self.variables.values()
        )

    def _literal_relation(self, name: str | None, node: exp.Expr) -> None:
        """``nextval('schema.sequence')``: the text names a relation."""
        if name not in ("nextval", "currval", "setval") or self.any_relation:
            return
        first = next((each for each in node.expressions if isinstance(each, exp.Literal)), None)
        if first is not None and node.expressions[0] is first:
            self._regclass(str(first.this))

    def _regclass(self, text: str) -> None:
        matched = _REGCLASS.match(text)
        if matched is None:
            return
        schema, name = (unquoted(matched[part] or "") for part in ("schema", "name"))
        if name in self.own_relations:
            return
        relation, found = self.catalogue.relation(schema, name, self.path)
        if relation is None and not name.isdigit():
            if any(each.name == name for each in self.catalogue.relations.get(name, ())) and not schema:
                return
            self.absent("table", schema, name, found, "relation")

    def _type(self, node: exp.DataType) -> None:
        schema, name = type_name(node)
        if name:
            self.named_type(schema, name)

    def _visit(self, node: Any, scope: Scope) -> None:
        """Resolves everything below *node*; what walks is a matter of the queries."""
        raise NotImplementedError
