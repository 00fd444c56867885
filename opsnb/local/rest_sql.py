"""PostgREST's query language as SQL: what a URL asks for becomes a statement with parameters.

Names go through `psycopg.sql.Identifier`, values through parameters of unknown type, so that Postgres itself
decides what a value means, as it does for PostgREST.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, LiteralString

from psycopg import sql

SCHEMA = "public"
RESERVED = frozenset({"select", "order", "limit", "offset", "columns", "on_conflict", "and", "or", "not.and", "not.or"})
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")
MEMBER = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^,]*))\s*(,|$)')
OPERATORS: dict[str, LiteralString] = {
    "eq": "=", "neq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "like": "like", "ilike": "ilike",
}  # fmt: skip
IS_VALUES: dict[str, LiteralString] = {
    "null": "is null", "not_null": "is not null", "true": "is true", "false": "is false", "unknown": "is unknown",
}  # fmt: skip
ORDERINGS: dict[str, LiteralString] = {"asc": " asc", "desc": " desc", "nullsfirst": " nulls first", "nullslast": " nulls last"}


class NotUnderstood(Exception):
    """A request outside the dialect: PostgREST's *code*, and a message for the caller (may quote the request)."""

    def __init__(self, code: str, message: str, *, status: int = 400, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.hint = hint


@dataclass(slots=True)
class Statement:
    """Text and parameters, in the same order."""

    text: sql.Composed
    parameters: list[Any] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Query:
    """What the URL of a table request says."""

    table: sql.Identifier
    columns: sql.Composable
    where: sql.Composable
    filters: list[str]
    order: sql.Composable
    limit: int | None
    offset: int

    @property
    def filtered(self) -> bool:
        """Whether the request names the rows it means."""
        return bool(self.where.as_string())


def parse(table: str, parameters: Sequence[tuple[str, str]]) -> Query:
    """The query of a table request from its decoded URL parameters; raises NotUnderstood (PGRST100, PGRST103)."""
    single = dict(parameters)
    conditions: list[sql.Composable] = []
    values: list[str] = []
    for name, value in parameters:
        if name in ("select", "order", "limit", "offset"):
            continue
        if name in RESERVED:
            raise NotUnderstood("PGRST100", f"The parameter {name} is not supported here")
        conditions.append(_condition(table, name, value, values))
    where = sql.SQL(" where ") + sql.SQL(" and ").join(conditions) if conditions else sql.SQL("")
    limit = _count(single, "limit")
    return Query(
        sql.Identifier(SCHEMA, _name(table)), _columns(table, single.get("select", "*")), where, values, _order(single.get("order", "")),
        limit, _count(single, "offset") or 0,
    )  # fmt: skip


def select(query: Query) -> Statement:
    """Rows as one JSON array of text, and how many they are."""
    text = sql.SQL("select {columns} from {table}{where}{order}{limit} offset {offset}").format(
        columns=query.columns,
        table=query.table,
        where=query.where,
        order=query.order,
        limit=sql.SQL("") if query.limit is None else sql.SQL(" limit {}").format(sql.Literal(query.limit)),
        offset=sql.Literal(query.offset),
    )
    return Statement(_as_json(text), list(query.filters))


def count(query: Query) -> Statement:
    """How many rows the filters leave."""
    return Statement(sql.SQL("select count(*) from {}{}").format(query.table, query.where), list(query.filters))


def insert(query: Query, body: object, *, returning: bool) -> Statement:
    """Rows of *body*, an object or an array of objects with the same keys; raises NotUnderstood (PGRST102)."""
    given = body if isinstance(body, list) else [body]
    rows: list[dict[str, Any]] = [row for row in given if isinstance(row, dict)]
    if not rows or len(rows) < len(given):
        raise NotUnderstood("PGRST102", "Empty or invalid json: expected an object or an array of objects")
    if any(row.keys() != rows[0].keys() for row in rows):
        raise NotUnderstood("PGRST102", "All object keys must match")
    columns = [_name(key) for key in rows[0]]
    if columns:
        text = sql.SQL("insert into {table} ({columns}) select {columns} from jsonb_populate_recordset(null::{table}, %s::jsonb)").format(
            table=query.table, columns=sql.SQL(", ").join(map(sql.Identifier, columns))
        )
        parameters = [json.dumps(rows)]
    elif len(rows) == 1:
        text, parameters = sql.SQL("insert into {} default values").format(query.table), []
    else:
        raise NotUnderstood("PGRST102", "Several rows need at least one column")
    return _writing(Statement(text, list(parameters)), query, returning=returning)


def update(query: Query, body: object, *, returning: bool) -> Statement:
    """The columns of *body* in the filtered rows; refused without a filter, as safeupdate does on the platform."""
    if not isinstance(body, dict) or not body:
        raise NotUnderstood("PGRST102", "Empty or invalid json: expected an object with at least one column")
    if not query.filtered:
        raise NotUnderstood("21000", "UPDATE requires a WHERE clause")
    new = sql.Identifier("pgrst_body")
    text = sql.SQL("update {table} set {settings} from jsonb_populate_record(null::{table}, %s::jsonb) {new}{where}").format(
        table=query.table,
        settings=sql.SQL(", ").join(sql.SQL("{0} = {1}.{0}").format(sql.Identifier(_name(key)), new) for key in body),
        new=new,
        where=query.where,
    )
    return _writing(Statement(text, [json.dumps(body), *query.filters]), query, returning=returning)


def delete(query: Query, *, returning: bool) -> Statement:
    """The filtered rows; refused without a filter, as safeupdate does on the platform."""
    if not query.filtered:
        raise NotUnderstood("21000", "DELETE requires a WHERE clause")
    text = sql.SQL("delete from {}{}").format(query.table, query.where)
    return _writing(Statement(text, list(query.filters)), query, returning=returning)


ROUTINES = sql.SQL("""
select p.proretset, p.prorettype = 'void'::regtype, coalesce(p.proargnames[1:p.pronargs], '{}'),
       array(select pg_catalog.format_type(t.type, null) from unnest(p.proargtypes) with ordinality t(type, n) order by t.n),
       p.pronargdefaults
from pg_catalog.pg_proc p join pg_catalog.pg_namespace s on s.oid = p.pronamespace
where s.nspname = %s and p.proname = %s and p.prokind = 'f'
""")


def routine(name: str, arguments: dict[str, Any], found: Sequence[Sequence[Any]]) -> tuple[Statement, bool]:
    """The call of a routine with named arguments, and whether it returns nothing.

    *found* are the rows of ROUTINES. Raises NotUnderstood: PGRST202 where none takes these arguments, PGRST203 where several do.
    """
    fitting = []
    for returns_set, is_void, names, types, defaults in found:
        if arguments.keys() <= set(names) and len(names) - len(arguments) <= defaults:
            fitting.append((returns_set, is_void, dict(zip(names, types, strict=True))))
    if not fitting:
        given = ", ".join(sorted(arguments))
        raise NotUnderstood(
            "PGRST202", f"Could not find the function {SCHEMA}.{name}({given}) in the schema cache", status=404,
            hint="Check the name of the function and of its parameters",
        )  # fmt: skip
    if len(fitting) > 1:
        raise NotUnderstood("PGRST203", "Could not choose the best candidate function", status=300)
    returns_set, is_void, types = fitting[0]
    named = sql.SQL(", ").join(sql.SQL("{0} => pgrst_args.{0}").format(sql.Identifier(key)) for key in arguments)
    call = sql.SQL("{}({})").format(sql.Identifier(SCHEMA, name), named)
    source: sql.Composable = sql.SQL("")
    parameters: list[str] = []
    if arguments:
        # the types are the catalogue's own words, quoted by format_type
        columns = sql.SQL(", ").join(sql.Identifier(key) + sql.SQL(" " + types[key]) for key in arguments)
        source = sql.SQL(" from jsonb_to_record(%s::jsonb) as pgrst_args({})").format(columns)
        parameters = [json.dumps(arguments)]
    if returns_set:
        joined = sql.Composed([source, sql.SQL(", ")]) if arguments else sql.SQL(" from ")
        text = sql.SQL("select coalesce(json_agg(pgrst_row), '[]')::text, count(pgrst_row){}{} as pgrst_row").format(joined, call)
    else:
        text = sql.SQL("select to_json({})::text, 1{}").format(call, source)
    return Statement(text, list(parameters)), is_void


def _as_json(rows: sql.Composable) -> sql.Composed:
    return sql.SQL("select coalesce(json_agg(pgrst_row), '[]')::text, count(pgrst_row) from ({}) pgrst_row").format(rows)


def _writing(statement: Statement, query: Query, *, returning: bool) -> Statement:
    if not returning:
        return statement
    text = sql.SQL("with pgrst_row as ({} returning {}) select coalesce(json_agg(pgrst_row), '[]')::text, count(pgrst_row) from pgrst_row")
    # the table's own columns only: an update also sees those of the body
    columns = sql.SQL("{}.*").format(query.table) if query.columns.as_string() == "*" else query.columns
    return Statement(text.format(statement.text, columns), statement.parameters)


def _name(name: str) -> str:
    if not NAME.fullmatch(name) or len(name) > 63:
        raise NotUnderstood("PGRST100", f'failed to parse the name "{name}": expected letters, digits and underscores')
    return name


def _columns(table: str, text: str) -> sql.Composable:
    if text.strip() in ("", "*"):
        return sql.SQL("*")
    found: list[sql.Composable] = []
    for part in text.split(","):
        alias, _, column = part.strip().rpartition(":")
        if "(" in part:
            raise NotUnderstood("PGRST100", "Embedding is not supported here: select columns of one table")
        chosen = sql.SQL("*") if column == "*" and not alias else sql.Identifier(SCHEMA, table, _name(column))
        found.append(sql.SQL("{} as {}").format(chosen, sql.Identifier(_name(alias))) if alias else chosen)
    return sql.SQL(", ").join(found)


def _order(text: str) -> sql.Composable:
    if not text:
        return sql.SQL("")
    terms: list[sql.Composable] = []
    for part in text.split(","):
        column, *modifiers = part.strip().split(".")
        if unknown := [word for word in modifiers if word not in ORDERINGS]:
            raise NotUnderstood("PGRST100", f'failed to parse order ({text}): unexpected "{unknown[0]}"')
        terms.append(sql.Identifier(_name(column)) + sql.SQL("").join(sql.SQL(ORDERINGS[word]) for word in modifiers))
    return sql.SQL(" order by ") + sql.SQL(", ").join(terms)


def _condition(table: str, column: str, text: str, values: list[str]) -> sql.Composable:
    operator, dot, value = text.partition(".")
    negated = operator == "not"
    if negated:
        operator, dot, value = value.partition(".")
    subject = sql.Identifier(SCHEMA, table, _name(column))
    if dot and operator in OPERATORS:
        values.append(value.replace("*", "%") if operator in ("like", "ilike") else value)
        condition: sql.Composable = sql.SQL("{} {} %s").format(subject, sql.SQL(OPERATORS[operator]))
    elif dot and operator == "is" and value.lower() in IS_VALUES:
        condition = sql.SQL("{} {}").format(subject, sql.SQL(IS_VALUES[value.lower()]))
    elif dot and operator == "in" and value.startswith("(") and value.endswith(")"):
        members = _members(value[1:-1])
        values.extend(members)
        places = sql.SQL(", ").join([sql.SQL("%s")] * len(members))
        condition = sql.SQL("{} in ({})").format(subject, places) if members else sql.SQL("false")
    else:
        known = ", ".join([*OPERATORS, "is", "in"])
        raise NotUnderstood("PGRST100", f"failed to parse filter on {column}", hint=f"Expected one of {known}, a dot and a value")
    return sql.SQL("not ({})").format(condition) if negated else condition


def _members(text: str) -> list[str]:
    """The values of `in.(a,"b,c")`; quotes keep commas."""
    values: list[str] = []
    for member in MEMBER.finditer(text) if text else ():
        quoted, plain, separator = member.groups()
        values.append(plain.strip() if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
        if not separator:
            break
    return values


def _count(parameters: dict[str, str], name: str) -> int | None:
    if name not in parameters:
        return None
    if not re.fullmatch(r"\d{1,9}", parameters[name]):
        raise NotUnderstood("PGRST103", f"{name} must be a whole number that is not negative", status=416)
    return int(parameters[name])
