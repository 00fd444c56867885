"""What is being deployed: the model of parameters/releases/*.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator

from opsnb.config.references import Reference

Share = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
ItemId = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]*-[0-9A-Za-z.]+$")]
IDENTITIES = ("anon", "stranger", "patient", "provider")


class Model(BaseModel):
    """Frozen; an unknown key is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Limits(Model):
    """What is still good. Shares are 0 to 1; every other unit is in the name."""

    deployed_within_h: Positive = 24
    window_minutes: Positive = 5
    window_response_s: Positive = 5
    verify_response_s: Positive = 2
    verify_minutes: Positive = 30
    merge_query_s: Positive = 1
    verify_error_rate: Share = 0.01
    growth_mb: Positive = 100
    pool_used_share: Share = 0.8
    runaway_query_s: Positive = 60
    stuck_query_s: Positive = 300
    alert_error_rate: Share = 0.05
    alert_response_s: Positive = 5
    alert_pool_share: Share = 0.8
    hour_0_4_error_rate: Share = 0.02
    database_response_ms: Positive = 500
    hour_4_12_success_rate: Share = 0.98
    hour_12_24_success_rate: Share = 0.99
    backup_age_h: Positive = 24
    rollback_minutes: Positive = 10
    zero_limit_minimum_calls: Positive = 20
    memory_available_share: Share = 0.1


class Request(Model):
    """How a function is called to probe it; ``{name}`` in the body is filled from the environment's probe_values."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    body: dict[str, Any] = {}
    headers: dict[str, str] = {}


class Response(Model):
    """What a good answer looks like: status, and the JSON type of every field that must be there."""

    status: PositiveInt = 200
    fields: dict[str, Literal["boolean", "string", "number", "object", "array", "null", "any"]] = {}


class FunctionSpec(Model):
    """One edge function. `version` is the platform's number (11, not v11)."""

    version: PositiveInt
    previous_version: PositiveInt | None = None
    verify_jwt: bool = True
    request: Request = Request()
    response: Response = Response()


class TableSpec(Model):
    """One table: the runbook items it answers, columns with types, and columns that may hold no NULL."""

    items: tuple[ItemId, ...] = ()
    columns: dict[str, str] = {}
    column_items: tuple[ItemId, ...] = ()
    required_columns: tuple[str, ...] = ()


class PatternSpec(Model):
    """So many further tables whose name is LIKE a pattern."""

    name: str
    like: str
    count: PositiveInt
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

    schemas: tuple[str, ...] = ("public",)
    tables: dict[str, TableSpec]
    patterns: tuple[PatternSpec, ...] = ()
    functions: tuple[RoutineSpec, ...] = ()

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
        """Columns that may hold no NULL, as two parallel lists: tables, columns."""
        pairs = [(table, column) for table, said in self.tables.items() for column in said.required_columns]
        return {"tables": [table for table, _ in pairs], "columns": [column for _, column in pairs]}


class AccessSpec(Model):
    """Who may see which rows of a table: identity → ``none``, ``all`` or an SQL expression over a row with %(user_id)s."""

    items: tuple[ItemId, ...] = ()
    key: str = "id"
    select: dict[Literal["anon", "stranger", "patient", "provider"], str]


class IdentitySpec(Model):
    """The identity provider, and where the database keeps its subjects (``schema.table.column``)."""

    provider: Literal["firebase"] = "firebase"
    project_id: str
    issuer: str
    subject_column: str = Field(pattern=r"^[\w]+\.[\w]+\.[\w]+$")
    role_column: str
    id_column: str = "id"


class Variables(Model):
    """The functions' environment variables, by name."""

    required: tuple[str, ...] = ()
    injected: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    public_values: dict[str, str] = {}


class CleanupRecord(Model):
    """Test records of one table, found by one key."""

    table: str
    key: str
    values: tuple[str, ...]


class Cleanup(Model):
    """The test records, in the order of their deletion."""

    records: tuple[CleanupRecord, ...] = ()

    @property
    def triples(self) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        """(table, key, values) of each."""
        return ((record.table, record.key, record.values) for record in self.records)


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


class Links(Model):
    """Folders of the project, relative to its root, and further documents by name."""

    functions: str = ""
    previous_functions: str = ""
    migrations: str = ""
    documents: dict[str, str] = {}


class Action(Model):
    """The phases that must have ended without FAIL and ERROR before the action may be applied."""

    needs: tuple[str, ...] = ()


class Actions(Model):
    """What each action needs."""

    cleanup: Action = Action()


class Period(Model):
    """One stretch of the monitoring schedule."""

    name: str
    from_hours: Annotated[float, Field(ge=0)]
    to_hours: Positive
    every_minutes: Positive
    items: tuple[ItemId, ...] = ()


class Contact(Model):
    """Who to call. Name and reach are text, or references where they are nobody's business but the operator's."""

    role: str
    name: Reference | str
    reach: Reference | str

    @field_validator("name", "reach", mode="before")
    @classmethod
    def _reference(cls, value: object) -> object:
        return Reference(value) if isinstance(value, str) and re.match(r"(env|file):", value) else value


class Support(Model):
    """The support matrix: who to call in each of its three periods."""

    deployment_hour: tuple[Contact, ...] = ()
    first_24_hours: tuple[Contact, ...] = ()
    normal: tuple[Contact, ...] = ()

    @property
    def periods(self) -> dict[str, tuple[Contact, ...]]:
        """Period → contacts."""
        return {"deployment_hour": self.deployment_hour, "first_24_hours": self.first_24_hours, "normal": self.normal}


class Release(Model):
    """One release. No code of opsnb knows the names in it."""

    name: str = ""
    title: str
    guide_minutes: dict[str, Positive] = {}
    functions: dict[str, FunctionSpec] = {}
    schema_: SchemaSpec = Field(alias="schema")
    access: dict[str, AccessSpec] = {}
    api_roles: tuple[str, ...] = ("anon", "authenticated")
    accepted: tuple[str, ...] = ()
    identity: IdentitySpec | None = None
    variables: Variables = Variables()
    cleanup: Cleanup = Cleanup()
    record: RecordSpec | None = None
    counted_tables: tuple[str, ...] = ()
    links: Links = Links()
    actions: Actions = Actions()
    limits: Limits = Limits()
    monitoring: tuple[Period, ...] = ()
    support: Support = Support()
    key_events: tuple[str, ...] = ()
    services: tuple[str, ...] = ("db", "rest")

    @property
    def access_select(self) -> dict[str, dict[str, str]]:
        """Table → identity → what it may see."""
        return {table: {str(identity): expression for identity, expression in said.select.items()} for table, said in self.access.items()}
