"""What a release says of the database: its schema, who may see what, test records and cumulative records."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, Field, field_validator

from opsnb.config.limits import Count, Model, Positive, YesNo


def _item(text: str) -> str:
    if not re.fullmatch(r"[A-Z][A-Z0-9]*-[0-9A-Za-z.]+", text):
        raise ValueError("an item of the runbook, such as S6-5")
    return text


def _column(text: str) -> str:
    if not re.fullmatch(r"\w+\.\w+\.\w+", text):
        raise ValueError("a column with its schema and table, such as public.users.firebase_uid")
    return text


def _expression(text: str) -> str:
    if "%" in text.replace("%(user_id)s", "").replace("%%", ""):
        raise ValueError("`none`, `all`, or an SQL expression in which %(user_id)s is the caller and a literal % is written %%")
    if not text.strip():
        raise ValueError("`none`, `all`, or an SQL expression over a row of the table")
    return text


def once(names: Sequence[str]) -> None:
    """ValueError naming the first name that is given twice."""
    twice = next((name for number, name in enumerate(names) if name in names[:number]), None)
    if twice is not None:
        raise ValueError(f"each name once; {twice} is given twice")


ItemId = Annotated[str, AfterValidator(_item)]


class TableSpec(Model):
    """One table: its columns with types, and columns that may hold no NULL.

    `items` are the lines of the runbook that ask for the table itself, `column_items` those that ask for its columns.
    """

    items: tuple[ItemId, ...] = ()
    columns: dict[str, str] = Field(default_factory=dict)
    column_items: tuple[ItemId, ...] = ()
    required_columns: tuple[str, ...] = ()


class PatternSpec(Model):
    """So many further tables whose name is LIKE a pattern."""

    name: str
    like: str
    count: Count
    items: tuple[ItemId, ...] = ()


class RoutineSpec(Model):
    """One function of the database, by its signature."""

    name: str
    arguments: tuple[str, ...] = ()
    returns: str
    items: tuple[ItemId, ...] = ()


class FurtherTables(Model):
    """A pattern, and the named tables that do not count for it."""

    items: tuple[ItemId, ...]
    like: str
    count: int
    beyond: tuple[str, ...]


class SchemaSpec(Model):
    """What the database must hold."""

    schemas: Annotated[tuple[str, ...], Field(min_length=1)] = ("public",)
    tables: dict[str, TableSpec]
    patterns: tuple[PatternSpec, ...] = ()
    functions: tuple[RoutineSpec, ...] = ()

    @field_validator("patterns", "functions")
    @classmethod
    def _each_once(cls, said: tuple[PatternSpec | RoutineSpec, ...]) -> tuple[PatternSpec | RoutineSpec, ...]:
        once([each.name for each in said])
        return said

    @property
    def asked_tables(self) -> dict[str, TableSpec]:
        """The tables a line of the runbook asks for by name."""
        return {name: said for name, said in self.tables.items() if said.items}

    @property
    def further_tables(self) -> dict[str, FurtherTables]:
        """The patterns, by name; every named table is beyond them."""
        beyond = tuple(self.tables)
        return {said.name: FurtherTables(items=said.items, like=said.like, count=said.count, beyond=beyond) for said in self.patterns}

    @property
    def pattern_counts(self) -> dict[str, int]:
        """LIKE pattern → how many tables beyond the named ones."""
        return {said.like: said.count for said in self.patterns}

    @property
    def routines(self) -> dict[str, RoutineSpec]:
        """The database's functions, by name."""
        return {said.name: said for said in self.functions}

    @property
    def required(self) -> dict[str, list[str]]:
        """Columns that may hold no NULL, as two parallel lists: tables with their schema, columns."""
        whole = {table: table if "." in table else f"{self.schemas[0]}.{table}" for table in self.tables}
        pairs = [(whole[table], column) for table, said in self.tables.items() for column in said.required_columns]
        return {"tables": [table for table, _ in pairs], "columns": [column for _, column in pairs]}


Rights = dict[str, Annotated[str, AfterValidator(_expression)]]
"""Identity → ``none``, ``all`` or an SQL expression over a row with %(user_id)s."""


class AccessSpec(Model):
    """Who may select, insert, update and delete which rows of a table. A verb without a declaration is not compared.

    Identities are ``anon``, ``stranger``, and the roles of people that the release's `identity` names.
    """

    items: tuple[ItemId, ...] = ()
    key: str = "id"
    select: Rights
    insert: Rights | None = None
    update: Rights | None = None
    delete: Rights | None = None

    @property
    def verbs(self) -> dict[str, Rights]:
        """Verb → what is declared of it; only those that are declared."""
        said = {"select": self.select, "insert": self.insert, "update": self.update, "delete": self.delete}
        return {verb: rights for verb, rights in said.items() if rights is not None}


class Accepted(Model):
    """One finding of the access checks that is meant so; it counts as WARN until it expires."""

    object: str
    rule: str = ""
    owner: str
    reason: str
    expires: date


class AttestationRule(Model):
    """What the attestation of one item needs: a second person who approves, a document, and for how many days it holds."""

    second_person: YesNo = False
    document: YesNo = False
    valid_days: Positive | None = None


ANOTHER = "another "
"""Before a kind of people: somebody else of it. What is declared of the kind holds for both."""


def kind_of(identity: str) -> str:
    """The kind of people an identity is one of: ``patient`` of ``another patient``."""
    return identity.removeprefix(ANOTHER)


class IdentitySpec(Model):
    """The identity provider, and where the database keeps its subjects (``schema.table.column``)."""

    provider: Literal["firebase", "supabase", "auth0", "clerk", "cognito", "workos"] = "firebase"
    project_id: str
    issuer: str
    subject_column: Annotated[str, AfterValidator(_column)]
    role_column: str
    id_column: str = "id"
    roles: tuple[str, ...] = ("patient", "provider")

    @property
    def subject_is_uuid(self) -> bool:
        """Whether the provider's subjects are UUIDs, so that casting them to uuid works."""
        return self.provider in ("supabase", "cognito")


class CleanupRecord(Model):
    """Test records of one table, found by one key."""

    table: str
    key: str
    values: tuple[str, ...]


class CleanupLink(Model):
    """A reference from one table to another that no foreign key enforces, as ``schema.table.column``."""

    child: Annotated[str, AfterValidator(_column)]
    parent: Annotated[str, AfterValidator(_column)]


class CleanupGuards(Model):
    """When a row looks real and is not deleted.

    *window_from*, *window_to*, *time_column*: rows whose time lies outside are refused. *people*: tables of people; a row that refers
    to somebody outside the plan is refused. *synthetic*: table → SQL expression over a row that every test row meets.
    """

    window_from: AwareDatetime | None = None
    window_to: AwareDatetime | None = None
    time_column: str = "created_at"
    people: tuple[str, ...] = ()
    synthetic: dict[str, str] = Field(default_factory=dict)


class Cleanup(Model):
    """The test records, in the order of their deletion."""

    records: tuple[CleanupRecord, ...] = ()
    links: tuple[CleanupLink, ...] = ()
    guards: CleanupGuards = CleanupGuards()

    @property
    def triples(self) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        """(table, key, values) of each."""
        return ((record.table, record.key, record.values) for record in self.records)


class UseSpec(Model):
    """One kind of use: a row of *table* made at *at_column* by whoever *person_column* says."""

    name: str
    table: str
    at_column: str
    person_column: str


class RecordSpec(Model):
    """The cumulative record: where it is, when it was updated, what shape it has, which notes feed it."""

    table: str
    column: str
    updated_at_column: str
    note_column: str = ""
    patient_column: str
    note_table: str
    note_patient_column: str
    note_signed_at_column: str
    json_schema: dict[str, Any]
