"""Looks at a database and a project that opsnb has not seen: read-only, short statements, nothing of any row."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from opsnb.errors import SourceAbsent
from opsnb.facts import Facts
from opsnb.sources import Absent, Doors, catalogue

_KEY = re.compile(r"FOREIGN KEY \((?P<mine>[^)]*)\) REFERENCES (?P<table>\S+?)\((?P<theirs>[^)]*)\)")
_ONE_OF = re.compile(r"\(\(?(?P<column>\w+) = ANY \(ARRAY\[(?P<values>.*?)\]\)")
_VALUE = re.compile(r"'((?:[^']|'')*)'")


@dataclass(frozen=True)
class Table:
    """One table: columns (name → type), those that may not be NULL, keys (column → table, its column), values a CHECK allows a column."""

    name: str
    columns: Mapping[str, str]
    not_null: tuple[str, ...]
    unique: frozenset[str]
    keys: Mapping[str, tuple[str, str]]
    values: Mapping[str, tuple[str, ...]]
    rls: bool
    policies: int


@dataclass(frozen=True)
class Found:
    """What was there. `wanting` says what could not be looked at, and why."""

    server_version: str
    role: str
    schemas: tuple[str, ...]
    tables: Mapping[str, Table]
    routines: pd.DataFrame
    api_roles: tuple[str, ...]
    migrations: int
    functions: pd.DataFrame = field(default_factory=pd.DataFrame)
    secrets: tuple[str, ...] = ()
    providers: tuple[tuple[str, str], ...] = ()
    region: str = ""
    title: str = ""
    wanting: tuple[str, ...] = ()


def look(doors: Doors) -> Found:
    """Everything a release file can be proposed from. Raises SourceError where the database itself does not answer."""
    database = doors.database
    server = database.query("server").table.iloc[0]
    schemas = [str(name) for name in database.query("own_schemas", platform=catalogue.PLATFORM).table["name"]]
    schemas = _with_tables(schemas, database.query("relations", schemas=schemas).table)
    roles = set(database.query("catalogue_roles").table["object"]) if schemas else set()
    wanting: list[str] = []
    platform = doors.platform
    told: dict[str, Facts] = {}
    if not isinstance(platform, Absent):
        told = {
            "the project": platform.project(), "functions": platform.functions(), "secrets": platform.secrets(),
            "identity providers": platform.third_party_auth(),
        }  # fmt: skip
        wanting = [f"{what}: {facts.error}" for what, facts in told.items() if facts.error is not None]
    project, functions, secrets, providers = (told.get(what) for what in ("the project", "functions", "secrets", "identity providers"))
    migrations = database.query("migrations")
    if migrations.error is not None and not isinstance(migrations.error, SourceAbsent):
        wanting.append(f"migrations: {migrations.error}")
    return Found(
        server_version=str(server["version"]), role=str(server["role"]), schemas=tuple(schemas),
        tables=_tables(*(database.query(name, schemas=schemas).table for name in ("relations", "columns", "constraints"))),
        routines=database.query("routines", schemas=schemas).table,
        api_roles=tuple(role for role in ("anon", "authenticated") if role in roles), migrations=len(migrations),
        functions=_answer(functions), secrets=tuple(str(name) for name in _answer(secrets).get("name", ())),
        providers=tuple((str(row.get("type")), str(row.get("oidc_issuer_url"))) for row in _answer(providers).to_dict("records")),
        region=_first(project, "region"), title=_first(project, "name"), wanting=tuple(wanting),
    )  # fmt: skip


def _with_tables(schemas: list[str], relations: pd.DataFrame) -> list[str]:
    """The schemas that hold tables, the API's usual one first, then those with the most; all where none does."""
    tables = relations[relations["kind"].isin(("table", "partitioned table"))]["schema"].value_counts()
    held = [schema for schema in schemas if schema in tables.index]
    return sorted(held, key=lambda schema: (schema != "public", -int(tables[schema]), schema)) or schemas


def _answer(facts: Facts | None) -> pd.DataFrame:
    return pd.DataFrame() if facts is None or facts.answer is None else facts.answer


def _first(facts: Facts | None, column: str) -> str:
    rows = _answer(facts)
    return "" if rows.empty or pd.isna(rows[column].iloc[0]) else str(rows[column].iloc[0])


def _tables(relations: pd.DataFrame, columns: pd.DataFrame, constraints: pd.DataFrame) -> dict[str, Table]:
    found: dict[str, Table] = {}
    by_table = dict(iter(columns.groupby(["schema", "table_name"])))
    held = dict(iter(constraints.groupby(["schema", "table_name"])))
    for row in relations[relations["kind"].isin(("table", "partitioned table"))].to_dict("records"):
        place = (row["schema"], row["name"])
        mine = by_table.get(place, columns.iloc[:0])
        rules = held.get(place, constraints.iloc[:0])
        found[f"{row['schema']}.{row['name']}"] = Table(
            name=f"{row['schema']}.{row['name']}", columns=dict(zip(mine["name"], mine["type"], strict=True)),
            not_null=tuple(mine[mine["not_null"].astype(bool)]["name"]),
            unique=frozenset(
                match.group(1) for text in rules["definition"] if (match := re.fullmatch(r"(?:UNIQUE|PRIMARY KEY) \((\w+)\)", str(text)))
            ),
            keys=_keys(rules["definition"], str(row["schema"])), values=_values(rules["definition"]), rls=bool(row["rls"]),
            policies=int(row["policies"]),
        )  # fmt: skip
    return found


def _keys(definitions: Sequence[str] | pd.Series[str], schema: str) -> dict[str, tuple[str, str]]:
    """Column → (table, column) of every foreign key; of composite ones each pair, where no key of its own says more."""
    found: dict[str, tuple[str, str]] = {}
    matches = [match for text in definitions if (match := _KEY.match(str(text)))]
    for match in sorted(matches, key=lambda match: match["mine"].count(",")):
        table = match["table"].replace('"', "")
        table = table if "." in table else f"{schema}.{table}"
        for mine, theirs in zip(match["mine"].split(", "), match["theirs"].split(", "), strict=True):
            found.setdefault(mine.strip('"'), (table, theirs.strip('"')))
    return found


def _values(definitions: Sequence[str] | pd.Series[str]) -> dict[str, tuple[str, ...]]:
    """Column → the texts a CHECK allows it."""
    matches = [match for text in definitions if (match := _ONE_OF.search(str(text)))]
    return {match["column"]: tuple(value.replace("''", "'") for value in _VALUE.findall(match["values"])) for match in matches}
