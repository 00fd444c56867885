"""What the rules look things up in: policies, tables, functions of one database, by their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import pandas as pd

Name = tuple[str, str]
"""Schema and name."""
COMMANDS = ("select", "insert", "update", "delete")


def written(name: Name) -> str:
    """A name for a sentence."""
    return f"{name[0]}.{name[1]}"


@dataclass(frozen=True)
class Policy:
    """One policy; `using` and `check` are its expressions, '' where it has none."""

    table: Name
    name: str
    permissive: bool
    command: str
    roles: tuple[str, ...]
    using: str
    check: str

    @property
    def object(self) -> str:
        """How findings name it."""
        return f"{written(self.table)}.{self.name}"

    @property
    def expressions(self) -> tuple[str, ...]:
        """Those that let rows through: a write without its own check is checked with the reading one."""
        return tuple(text for text in (self.using, self.check) if text)

    def covers(self, command: str) -> bool:
        """Whether it applies to *command*."""
        return self.command in ("all", command)

    @property
    def checked(self) -> str:
        """What a new row must meet."""
        return self.check or (self.using if self.command in ("all", "update") else "")


class Column(NamedTuple):
    """One column of a table."""

    name: str
    type: str
    not_null: bool
    made_here: bool
    is_key: bool
    refers_to: Sequence[str]
    insertable_by: Sequence[str]
    updatable_by: Sequence[str]


@dataclass(frozen=True)
class Relation:
    """One table or view."""

    kind: str
    rls: bool
    rls_forced: bool
    owner: str
    owner_ignores_rls: bool
    owners_rights: bool
    api_roles: tuple[str, ...]
    readable_by: tuple[str, ...]
    guarded_by_trigger: bool
    definition: str


@dataclass(frozen=True)
class Routine:
    """One function."""

    name: Name
    arguments: str
    argument_names: tuple[str, ...]
    language: str
    volatility: str
    definer: bool
    returns: str
    owner: str
    owner_ignores_rls: bool
    search_path_fixed: bool
    executable_by: tuple[str, ...]
    body: str


@dataclass
class Database:
    """One database. `people` is the table and column that hold the identity provider's subjects; None where no release names them."""

    policies: list[Policy]
    relations: dict[Name, Relation]
    columns: dict[Name, dict[str, Column]]
    routines: dict[Name, list[Routine]]
    people: tuple[Name, str] | None = None
    subject_is_uuid: bool = True
    of_table: dict[Name, list[Policy]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, policies: pd.DataFrame, relations: pd.DataFrame, columns: pd.DataFrame, routines: pd.DataFrame, *,
        subject_column: str = "", subject_is_uuid: bool = True,
    ) -> Database:  # fmt: skip
        """From the tables of `opsnb.sources.openings`."""
        made = cls([_policy(row) for row in _rows(policies)], {}, {}, {}, subject_is_uuid=subject_is_uuid)
        for policy in made.policies:
            made.of_table.setdefault(policy.table, []).append(policy)
        for row in _rows(relations):
            made.relations[row["schema"], row["name"]] = Relation(
                row["kind"], bool(row["rls"]), bool(row["rls_forced"]), row["owner"], bool(row["owner_ignores_rls"]),
                bool(row["owners_rights"]), tuple(row["api_roles"]), tuple(row["readable_by"]), bool(row["guarded_by_trigger"]),
                _text(row["definition"]),
            )  # fmt: skip
        for schema, table, *said in _values(columns, "schema", "table_name", *Column._fields):
            made.columns.setdefault((schema, table), {})[said[0]] = Column(*said)
        for row in _rows(routines):
            name = (row["schema"], row["name"])
            made.routines.setdefault(name, []).append(
                Routine(
                    name, row["arguments"], tuple(row["argument_names"]), row["language"], row["volatility"], bool(row["definer"]),
                    row["returns"], row["owner"], bool(row["owner_ignores_rls"]), bool(row["search_path_fixed"]),
                    tuple(row["executable_by"]), _text(row["body"]),
                )
            )  # fmt: skip
        if subject_column.count(".") == 2:
            schema, table, column = subject_column.split(".")
            made.people = ((schema, table), column)
        return made

    def called(self, schema: str, name: str, number: int | None = None) -> Routine | None:
        """The project's function that a call means; None for the server's and the platform's own, and where overloads differ."""
        found = self.routines.get((schema or "public", name), [])
        if number is not None and len(found) > 1:
            found = [each for each in found if _arity(each) == number]
        return found[0] if len(found) == 1 else None

    def applying(self, table: Name, command: str, role: str | None = None) -> list[Policy]:
        """The policies of *table* that apply to *command* (as *role*, where given)."""
        return [each for each in self.of_table.get(table, ()) if each.covers(command) and (role is None or role in each.roles)]

    def protected(self, name: Name) -> bool:
        """Whether row-level security is on for *name*, or it is a table no API role may read."""
        relation = self.relations.get(name)
        return relation is not None and relation.kind in ("table", "partitioned table") and (relation.rls or not relation.readable_by)

    def passes_by(self, owner: str, owner_ignores_rls: bool, table: Name) -> bool:
        """Whether somebody with the rights of *owner* is above the policies of *table*."""
        relation = self.relations.get(table)
        return relation is None or owner_ignores_rls or (relation.owner == owner and not relation.rls_forced)

    @cached_property
    def personal(self) -> frozenset[Name]:
        """Tables about people: they refer to one (through foreign keys), hold a subject, name the caller in a policy, or look like it."""
        from opsnb.checks.lint.personal import personal

        return personal(self)


def _policy(row: Mapping[Any, Any]) -> Policy:
    return Policy(
        (row["schema"], row["table_name"]), row["name"], bool(row["permissive"]), row["command"], tuple(row["api_roles"]),
        _text(row.get("using_expression")), _text(row.get("check_expression")),
    )  # fmt: skip


def _arity(routine: Routine) -> int:
    return len(split_arguments(routine.arguments))


def split_arguments(arguments: str) -> Sequence[str]:
    """The arguments of a signature, one each; commas inside a type's parentheses part nothing."""
    parts, depth = [""], 0
    for sign in arguments:
        depth += (sign == "(") - (sign == ")")
        if sign == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += sign
    return [part.strip() for part in parts if part.strip()]


def _values(table: pd.DataFrame, *names: str) -> Iterable[tuple[Any, ...]]:
    """The rows of *table* as tuples, *names* in order: a catalogue has many columns."""
    return zip(*(table[name].tolist() for name in names), strict=True) if len(table) else ()


def _rows(table: pd.DataFrame) -> Iterable[dict[Any, Any]]:
    return table.to_dict("records")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
