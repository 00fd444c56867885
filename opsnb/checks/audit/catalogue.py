"""What the schema has, from the tables `relations`, `columns`, `routines` and `constraints`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, NamedTuple

import pandas as pd
from sqlglot import exp

from opsnb.checks.audit.constraints import columns as columns_of
from opsnb.checks.audit.constraints import evaluate, parsed
from opsnb.checks.tables import known

Table = tuple[str, str]
_FOREIGN = re.compile(r"FOREIGN KEY \((?P<columns>[^)]*)\) REFERENCES (?P<table>[^(]+)\((?P<targets>[^)]*)\)")
_ANYTHING = ("json", "jsonb", "text", "xml", "bytea")


class ForeignKey(NamedTuple):
    """One foreign key: the table that holds it, its columns, the table it refers to."""

    name: str
    table: Table
    columns: tuple[str, ...]
    target: Table


class Column(NamedTuple):
    """One column's type and whether it takes NULL."""

    type: str
    not_null: bool


@dataclass(frozen=True)
class Catalogue:
    """The schema by name. `routines`: the sets of argument names that may be passed, None where any may."""

    relations: Mapping[Table, str]
    columns: Mapping[Table, Mapping[str, Column]]
    routines: Mapping[Table, list[frozenset[str] | None]]
    foreign: tuple[ForeignKey, ...] = ()
    checks: Mapping[Table, list[tuple[str, exp.Expression]]] = field(default_factory=dict)
    enums: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    constrained: bool = False

    @property
    def schemas(self) -> set[str]:
        """The schemas of which something is known."""
        return {schema for schema, _ in (*self.relations, *self.routines)}

    def like(self, name: str, names: Mapping[Any, Any] | set[str]) -> str:
        """A name that may have been meant, for a sentence."""
        near = get_close_matches(name, [each if isinstance(each, str) else each[1] for each in names], 1, 0.75)
        return f"; there is {near[0]}" if near else ""

    def embedded(self, parent: Table, name: str, hints: tuple[str, ...]) -> tuple[Table | None, str]:
        """The table that *name* embeds into *parent* (None: not known), and what is wrong with that."""
        schema = parent[0]
        target = (schema, name)
        own = [key for key in self.foreign if key.table == parent and (name == key.name or key.columns == (name,))]
        if target not in self.relations:
            if own:
                return own[0].target, ""
            if target in self.routines or (name in self.columns.get(parent, {}) and not self.constrained):
                return None, ""
            if name in self.columns.get(parent, {}):
                return None, f"{name} is a column without a foreign key: nothing can be embedded through it"
            return None, f"there is no table {schema}.{name} to embed{self.like(name, self.relations)}"
        if not self.constrained or "view" in self.relations[target] or "view" in self.relations.get(parent, ""):
            return target, ""
        direct = [key for key in self.foreign if {key.table, key.target} == {parent, target}]
        through = self._junctions(parent, target)
        if not direct and not through:
            return target, f"no foreign key leads between {parent[1]} and {name}"
        for hint in hints:
            if not any(hint in (key.name, *key.columns, key.table[1], key.target[1]) for key in (*direct, *through)):
                return target, f"no foreign key between {parent[1]} and {name} is called {hint}{self._names(direct)}"
        if len(direct) > 1 and not hints and parent != target:
            columns = ", ".join(key.columns[0] for key in direct)
            say = f"say which, as in {name}!{direct[0].columns[0]}"
            return (
                target,
                f"{len(direct)} foreign keys lead between {parent[1]} and {name} ({columns}): {say}",
            )
        return target, ""

    def _junctions(self, parent: Table, target: Table) -> list[ForeignKey]:
        between = {key.table for key in self.foreign if key.target == parent} & {key.table for key in self.foreign if key.target == target}
        return [key for key in self.foreign if key.table in between and key.target in (parent, target)]

    @staticmethod
    def _names(keys: list[ForeignKey]) -> str:
        return f"; there is {', '.join(key.name for key in keys[:3])}" if keys else ""

    def refusal(self, table: Table, column: str, row: Mapping[str, Any]) -> str:
        """The name of the CHECK that refuses *row* because of *column*, '' where none does."""
        for name, condition in self.checks.get(table, []):
            if column in columns_of(condition) and evaluate(condition, row) is False:
                return name
        return ""

    def values_of(self, table: Table, column: str) -> tuple[str, ...]:
        """The values of the column's type, where that is an enumeration."""
        said = self.columns.get(table, {}).get(column)
        return self.enums.get(said.type.rpartition(".")[2].strip('"'), ()) if said else ()


def catalogue(
    relations: pd.DataFrame, columns: pd.DataFrame, routines: pd.DataFrame, constraints: pd.DataFrame, enums: pd.DataFrame
) -> Catalogue:
    """The schema; raises SourceNonsense where a table lacks what it needs. Empty `constraints` and `enums` judge nothing."""
    tables: dict[Table, dict[str, Column]] = {}
    for each in known(columns, "schema", "table_name", "name", "type").to_dict("records"):
        kind = Column(str(each["type"]), bool(each.get("not_null", False)))
        tables.setdefault((str(each["schema"]), str(each["table_name"])), {})[str(each["name"])] = kind
    callable_: dict[Table, list[frozenset[str] | None]] = {}
    for each in known(routines, "schema", "name", "arguments").to_dict("records"):
        names = argument_names(str(each["arguments"]), str(each.get("argument_types", "")))
        callable_.setdefault((str(each["schema"]), str(each["name"])), []).append(names)
    foreign: list[ForeignKey] = []
    checks: dict[Table, list[tuple[str, exp.Expression]]] = {}
    for each in known(constraints, "schema", "table_name", "name", "definition").to_dict("records"):
        table, definition = (str(each["schema"]), str(each["table_name"])), str(each["definition"])
        if match := _FOREIGN.match(definition):
            schema, _, bare = match["table"].strip().rpartition(".")
            target = (_plain(schema) or table[0], _plain(bare))
            foreign.append(ForeignKey(str(each["name"]), table, tuple(map(_plain, match["columns"].split(","))), target))
        elif condition := parsed(definition):
            checks.setdefault(table, []).append((str(each["name"]), condition))
    listed: dict[str, list[str]] = {}
    for each in known(enums, "name", "value").to_dict("records"):
        listed.setdefault(str(each["name"]), []).append(str(each["value"]))
    kinds = {
        (str(each["schema"]), str(each["name"])): str(each.get("kind", ""))
        for each in known(relations, "schema", "name").to_dict("records")
    }
    values = {name: tuple(values) for name, values in listed.items()}
    return Catalogue(kinds, tables, callable_, tuple(foreign), checks, values, constrained=not constraints.empty)


def argument_names(arguments: str, types: str) -> frozenset[str] | None:
    """The names of a routine's arguments; None where it takes one nameless document, whatever is passed."""
    names: set[str] = set()
    said, kinds = _listed(arguments), _listed(types)
    for argument in said:
        mode, _, rest = argument.partition(" ")
        if mode in ("OUT", "TABLE"):
            continue
        argument = rest if mode in ("IN", "INOUT", "VARIADIC") else argument
        kind = next((kind for kind in kinds if argument == kind or argument.endswith(f" {kind}")), "")
        name = argument[: -len(kind)].strip() if kind else argument.partition(" ")[0]
        if name:
            names.add(_plain(name))
        elif len(said) == 1 and argument in _ANYTHING:
            return None
    return frozenset(names)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in re.split(r",\s*(?![^(]*\))", text) if part.strip()]


def _plain(name: str) -> str:
    name = name.strip()
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
