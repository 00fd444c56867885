"""What the server's catalogue knows of the names in bodies: relations with columns, functions with arguments, types, schemas on paths.

Made from the tables of `bodies_relations`, `bodies_functions`, `bodies_types` and `bodies_paths` of opsnb/sql/postgres.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from opsnb.checks.tables import known

Shape = frozenset[str] | None
"""Names of columns; None where they cannot be known."""


@dataclass(frozen=True)
class Relation:
    """One relation or composite type."""

    oid: int
    schema: str
    name: str
    columns: frozenset[str]
    ordered: tuple[str, ...] = ()


@dataclass(frozen=True)
class Routine:
    """One overload: how many arguments it takes (`most` None: any number), their names, the columns it gives where it stands in FROM."""

    schema: str
    name: str
    least: int
    most: int | None
    argument_names: frozenset[str]
    output: frozenset[str]
    relation: int
    opaque: bool
    takes_row: bool


@dataclass(frozen=True)
class Found:
    """Where a name was looked up: `here` is on the path, `elsewhere` the schemas off it that hold the name."""

    here: bool
    elsewhere: tuple[str, ...] = ()


@dataclass(frozen=True)
class Path:
    """The schemas searched for a name without one. `fixed`: by the function itself; else callers may bring another."""

    schemas: frozenset[str]
    fixed: bool


@dataclass
class Catalogue:
    """Look-ups by name; of everything else nothing is known."""

    relations: dict[str, list[Relation]] = field(default_factory=lambda: defaultdict(list))
    by_oid: dict[int, Relation] = field(default_factory=dict)
    routines: dict[str, list[Routine]] = field(default_factory=lambda: defaultdict(list))
    types: dict[str, list[tuple[str, int]]] = field(default_factory=lambda: defaultdict(list))
    schemas: frozenset[str] = frozenset()
    usual: frozenset[str] = frozenset()

    @classmethod
    def of(cls, relations: pd.DataFrame, functions: pd.DataFrame, types: pd.DataFrame, paths: pd.DataFrame) -> Catalogue:
        """From the answers of the server; SourceNonsense where one misses a value."""
        made = cls()
        known(relations, "oid", "schema", "name", "columns")
        for row in relations.to_dict("records"):
            relation = Relation(int(row["oid"]), row["schema"], row["name"], frozenset(row["columns"]), tuple(row["columns"]))
            made.relations[relation.name].append(relation)
            made.by_oid[relation.oid] = relation
        known(
            functions,
            "schema",
            "name",
            "arguments",
            "defaults",
            "variadic",
            "argument_names",
            "output_names",
            "returns_relation",
            "opaque",
            "takes_row",
        )
        for row in functions.to_dict("records"):
            made.routines[row["name"]].append(_routine(row))
        known(types, "schema", "name", "relation")
        for row in types.to_dict("records"):
            made.types[row["name"]].append((row["schema"], int(row["relation"])))
        known(paths, "schema", "usual")
        made.schemas = frozenset(paths["schema"]) if len(paths) else frozenset()
        made.usual = frozenset(paths[paths["usual"].astype(bool)]["schema"]) if len(paths) else frozenset()
        return made

    def path(self, settings: str | None) -> Path:
        """The path of a function: its own setting, or any that a session of this database usually has."""
        if settings is None:
            return Path(self.usual | {"pg_catalog"}, fixed=False)
        names = [part.strip() for part in settings.split(",")]
        schemas = {name.strip('"').replace('""', '"') for name in names if name.strip('"')}
        return Path(frozenset(schemas | {"pg_catalog"}), fixed="$user" not in schemas)

    @property
    def anywhere(self) -> Path:
        """Every schema: of a body that changes the path while it runs nothing else is known."""
        return Path(self.schemas, fixed=False)

    def relation(self, schema: str, name: str, path: Path) -> tuple[Relation | None, Found]:
        """The relation a name means. Without a schema any on the path serves: which comes first does not matter for what is missing."""
        every = self.relations.get(name, [])
        here = [each for each in every if (each.schema == schema if schema else each.schema in path.schemas)]
        elsewhere = tuple(sorted({each.schema for each in every} - {each.schema for each in here}))
        if not here:
            return None, Found(False, elsewhere)
        columns = frozenset().union(*(each.columns for each in here))
        return Relation(here[0].oid, here[0].schema, name, columns, here[0].ordered if len(here) == 1 else ()), Found(True, elsewhere)

    def overloads(self, schema: str, name: str, path: Path) -> tuple[list[Routine], Found]:
        """The functions a name may mean."""
        every = self.routines.get(name, [])
        here = [each for each in every if (each.schema == schema if schema else each.schema in path.schemas)]
        elsewhere = tuple(sorted({each.schema for each in every} - {each.schema for each in here}))
        return here, Found(bool(here), elsewhere)

    def type(self, schema: str, name: str, path: Path) -> tuple[int, Found]:
        """The type a name means, as the oid of its relation where it is composite, else 0."""
        every = self.types.get(name, [])
        here = [relation for where, relation in every if (where == schema if schema else where in path.schemas)]
        elsewhere = tuple(sorted({where for where, _ in every if where != schema}))
        return (max(here) if here else 0), Found(bool(here), elsewhere)

    def shape(self, oid: int) -> Shape:
        """The columns of a relation by its oid."""
        relation = self.by_oid.get(oid)
        return relation.columns if relation else None


def takes(overloads: Sequence[Routine], number: int, names: Sequence[str]) -> bool:
    """Whether one of *overloads* takes so many arguments, of which some are given by *names*."""
    return any(
        each.least <= number and (each.most is None or number <= each.most) and (each.most is None or set(names) <= each.argument_names)
        for each in overloads
    )


def _routine(row: dict[Any, Any]) -> Routine:
    arguments, defaults = int(row["arguments"]), int(row["defaults"])
    # a VARIADIC argument stands for none or more: `f()` fits only where it has a default, but one too few is left to the server
    least = max(0, arguments - defaults - (1 if row["variadic"] else 0))
    return Routine(
        row["schema"], row["name"], least, None if row["variadic"] else arguments, frozenset(row["argument_names"]),
        frozenset(row["output_names"]), int(row["returns_relation"]), bool(row["opaque"]),
        bool(row["takes_row"]),
    )  # fmt: skip
