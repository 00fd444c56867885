"""The shape of JSON records in a table, judged where they are: a JSON Schema becomes SQL, and only counts come back.

`compile` makes the SQL (opsnb/sources/shape_compile.py says what of a schema is judged), `violations` asks it of the newest records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pandas as pd
from psycopg import sql
from psycopg.rows import dict_row

from opsnb.errors import SourceError, SourceTimeout, UsageError
from opsnb.facts import Facts
from opsnb.sources.postgres import Connection, Postgres
from opsnb.sources.refusals import SOURCE
from opsnb.sources.shape_compile import Compiled, compile
from opsnb.sources.shape_places import Part, made, number

__all__ = ["COLUMNS", "Compiled", "compile", "violations"]

COLUMNS = {
    "rule": "string", "keyword": "string", "where": "string", "looked_at": "Int64", "seen": "Int64", "records": "Int64",
    "violations": "Int64", "not_judged": "string",
}  # fmt: skip
"""What `violations` answers, with pandas' types."""
FEWER = 10
"""Where all of them take too long, a tenth of the records is looked at."""
FUTURE_S = 60
"""Clocks of two servers may differ by so much."""

# indoption: 1 descending, 2 nulls first; an index is read from both ends
_WHERE = """
select n.nspname as schema, c.relname as name, t.typname as type, pg_catalog.row_security_active(c.oid) as hidden,
    exists (
        select from pg_catalog.pg_index i
        where i.indrelid = c.oid and i.indisvalid and i.indkey[0] = u.attnum and i.indoption[0] in (1, 2)
    ) as nulls_last,
    pg_catalog.current_setting('server_version_num')::integer as version
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attname = %(column)s and a.attnum > 0 and not a.attisdropped
left join pg_catalog.pg_type t on t.oid = a.atttypid
left join pg_catalog.pg_attribute u on u.attrelid = c.oid and u.attname = %(updated_at_column)s and u.attnum > 0 and not u.attisdropped
where c.oid = %(table)s::pg_catalog.regclass
"""
_NOTES = """
select n.nspname as schema, c.relname as name, a.attname as key, pg_catalog.row_security_active(c.oid) as hidden,
    a.atttypid = (
        select b.atttypid from pg_catalog.pg_attribute b
        where b.attrelid = %(table)s::pg_catalog.regclass and b.attname = %(note_column)s and b.attnum > 0 and not b.attisdropped
    ) as alike
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_index i on i.indrelid = c.oid and i.indisprimary and i.indnkeyatts = 1
left join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
where c.oid = %(note_table)s::pg_catalog.regclass
"""


@dataclass(frozen=True)
class _Own:
    """A rule of the record itself rather than of its shape: which rows of ``known`` it is asked of and which of these break it."""

    keyword: str
    where: str
    asked: str
    broken: str


_LATER = f"pg_catalog.make_interval(secs => {FUTURE_S})"
_RECORD = (
    _Own("record", "an updated record is not null", "true", "told is null"),
    _Own("record", "a record was not updated in the future", "true", f"updated_at > pg_catalog.now() + {_LATER}"),
)
_READABLE = (_Own("record", "a record is JSON", "told is not null", "not pg_catalog.pg_input_is_valid(told::text, 'jsonb')"),)
_NAMED = (_Own("note", "an updated record names its note", "true", "note is null"),)
_THERE = (_Own("note", "the note a record names exists", "note is not null", "note_key is null"),)
_PATIENT = (_Own("note", "the note a record names is its patient's", "note_key is not null", "note_patient is distinct from patient"),)
_SIGNED = (
    _Own("note", "the note a record names is signed", "note_key is not null", "signed_at is null"),
    _Own("note", "a record was updated no earlier than its note was signed", "signed_at is not null", f"updated_at < signed_at - {_LATER}"),
)


def violations(
    db: Postgres, *, table: str, column: str, updated_at_column: str, schema: Any, max_records: int, note_column: str = "",
    note_table: str = "", patient_column: str = "", note_patient_column: str = "", note_signed_at_column: str = "",
) -> Facts:  # fmt: skip
    """How often the *max_records* newest records break each rule of the JSON Schema *schema*; never a value of them.

    One row per rule, those not judged included (`not_judged` says why, their counts are null): `rule` is the pointer of the keyword, empty
    for rules of the record and its note; `looked_at` records, `seen` values the rule was asked of, `records` that break it, `violations`.
    With *note_column* the note each record names is looked at; with the note's table and columns also whether it is there, of the same
    patient, and signed. The error of the Facts says what is wrong with a malformed schema, a column that is no JSON, or rows that hide.
    """
    question = f"how often the {max_records:,} newest records of {table}.{column} break each rule of the release's JSON Schema"
    try:
        compiled = compile(schema)
    except UsageError as error:
        return Facts(SOURCE, question, 0.0, error=SourceError(f"{error}; mend record.json_schema of the release", source=SOURCE))
    asked: list[str] = []

    def answer(connection: Connection, most: int) -> pd.DataFrame:
        params = {
            "table": table, "column": column, "updated_at_column": updated_at_column, "note_table": note_table, "note_column": note_column,
        }  # fmt: skip
        with connection.cursor(row_factory=dict_row) as cursor:
            # of arrays in arrays the planner expects millions of rows, and would spend seconds on compiling for them
            cursor.execute("select pg_catalog.set_config('jit', 'off', false)")
            here = cursor.execute(_WHERE, params).fetchone()
            notes = cursor.execute(_NOTES, params).fetchone() if note_table and note_column else None
        if here is None or here["type"] is None:
            raise SourceError(f"{table} has no column {column}", source=SOURCE)
        if here["hidden"] or (notes is not None and notes["hidden"]):
            raise SourceError(
                "row security hides rows from the role that reads, so they cannot be counted; it needs BYPASSRLS", source=SOURCE
            )
        if here["type"] != "jsonb" and here["version"] < 160000:
            raise SourceError(f"{column} is of type {here['type']}; before PostgreSQL 16 only jsonb is read without risk", source=SOURCE)
        rules = _own(here, notes, note_column, patient_column and note_patient_column, note_signed_at_column)
        statement = made(
            "with newest as materialized (\n{newest}\n),\nknown as materialized (\n{known}\n),\n"
            "records as materialized (select number, {value} as value from known),\nfound as (\n{query}\n)\n"
            "select rule, pg_catalog.sum(seen)::bigint, pg_catalog.count(*) filter (where broken > 0), pg_catalog.sum(broken)::bigint\n"
            "from found group by rule\nunion all\n{own}\norder by 1",
            newest=_newest(here, column, updated_at_column, note_column, patient_column, most), value=_value(here), query=compiled.query,
            known=_known(notes, note_patient_column if patient_column else "", note_signed_at_column), own=_counted(rules),
        )  # fmt: skip
        asked.append(statement.as_string(connection))
        rows = {row[0]: row[1:] for row in connection.execute(statement.as_bytes(connection)).fetchall()}
        return _table(rows, rules, compiled, without_key=notes is not None and notes["key"] is None)

    facts = db.ask(question, partial(answer, most=max_records))
    if isinstance(facts.error, SourceTimeout) and max_records > FEWER:  # large records: fewer of them are better than none
        facts = db.ask(question, partial(answer, most=max_records // FEWER))
    return replace(facts, question=asked[-1] if asked else question)


def _own(here: Any, notes: Any, note_column: str, patient: str, signed_at: str) -> list[_Own]:
    rules = [*_RECORD, *(_READABLE if here["type"] != "jsonb" else ()), *(_NAMED if note_column else ())]
    if notes is not None and notes["key"] is not None:
        rules += [*_THERE, *(_PATIENT if patient else ()), *(_SIGNED if signed_at else ())]
    return rules


def _newest(here: Any, column: str, updated_at: str, note: str, patient: str, most: int) -> Part:
    def named(name: str) -> Part:
        return made("here.{name}", name=sql.Identifier(name)) if name else sql.SQL("null")

    # the order an index has, or Postgres sorts the whole table
    return made(
        "select pg_catalog.row_number() over () as number, newest.*\n"
        "from (select {told} as told, {updated} as updated_at, {note} as note, {patient} as patient from {table} as here\n"
        "    where {updated} is not null order by {updated} desc nulls {nulls} limit {most}) as newest",
        told=named(column), updated=named(updated_at), note=named(note), patient=named(patient),
        table=sql.Identifier(here["schema"], here["name"]), nulls=sql.SQL("last" if here["nulls_last"] else "first"), most=number(most),
    )  # fmt: skip


def _value(here: Any) -> Part:
    if here["type"] == "jsonb":
        return sql.SQL("pg_catalog.to_jsonb(told)")  # unpacked once, where `told` is unpacked at every look
    return sql.SQL("case when pg_catalog.pg_input_is_valid(told::text, 'jsonb') then told::text::jsonb end")


def _known(notes: Any, patient: str, signed_at: str) -> Part:
    """The newest records with the notes they name."""
    if notes is None or notes["key"] is None:
        return sql.SQL("select newest.* from newest")
    return made(
        "select newest.*, noted.{key} as note_key, {patient} as note_patient, {signed} as signed_at\n"
        "from newest left join {table} as noted on noted.{key}{cast} = newest.note{cast}",
        key=sql.Identifier(notes["key"]), table=sql.Identifier(notes["schema"], notes["name"]),
        cast=sql.SQL("" if notes["alike"] else "::text"),
        patient=made("noted.{name}", name=sql.Identifier(patient)) if patient else sql.SQL("null"),
        signed=made("noted.{name}", name=sql.Identifier(signed_at)) if signed_at else sql.SQL("null"),
    )  # fmt: skip


def _counted(rules: Sequence[_Own]) -> Part:
    """One row per rule of the record itself, numbered from -1 downwards, as the rules of the schema are counted."""
    counts = ", ".join(
        f"pg_catalog.count(*) filter (where {rule.asked}) as s{at},"
        f" pg_catalog.count(*) filter (where {rule.asked} and {rule.broken}) as b{at}"
        for at, rule in enumerate(rules)
    )
    values = ", ".join(f"({-1 - at}, s{at}, b{at}, b{at})" for at in range(len(rules)))
    return made(f"select each.* from (select {counts} from known) as counted cross join lateral (values {values}) as each")  # noqa: S608


def _table(rows: Mapping[int, Sequence[int]], own: Sequence[_Own], compiled: Compiled, *, without_key: bool) -> pd.DataFrame:
    """The rows under their rules' names; a rule nothing was asked of has zeros."""
    looked_at = rows[-1][0]  # the first rule is asked of every record
    made_of: list[list[Any]] = []
    for at, rule in enumerate(own):
        seen, records, broken = rows[-1 - at]
        made_of.append(["", rule.keyword, rule.where, looked_at, seen, records, broken, ""])
    for at, told in enumerate(compiled.rules):
        seen, records, broken = rows.get(at, (0, 0, 0))
        made_of.append([told.rule, told.keyword, told.where, looked_at, seen, records, broken, ""])
    for told, why in compiled.not_judged:
        made_of.append([told.rule, told.keyword, told.where, looked_at, None, None, None, why])
    if without_key:
        why = "the notes have no primary key of one column"
        made_of.append(["", "note", "the note a record names exists", looked_at, None, None, None, why])
    return pd.DataFrame({
        name: pd.Series([row[at] for row in made_of], dtype=dtype) for at, (name, dtype) in enumerate(COLUMNS.items())
    })  # fmt: skip
