"""What a stranger can reach, and what each caller can write: proved by trying, in transactions that are rolled back.

Strangers: existence of a row as nobody and as a fresh subject, relation by relation, and functions. Writing is tried only where the
environment allows it (`write_probes`): rows the release allows and rows it does not are updated, deleted and copied as the caller, each
behind a savepoint. A constraint that refuses comes after the policies, so it shows that they let the row through. What stays behind is
nothing but the advance of sequences, and nothing at all where keys are not drawn from one. Tables whose triggers call out are not tried.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
import psycopg
from psycopg import sql

from opsnb.config import AccessSpec, IdentitySpec
from opsnb.errors import SourceAbsent
from opsnb.facts import Facts
from opsnb.sources import impersonation as becoming
from opsnb.sources.impersonation import NOT_ASKED, Caller
from opsnb.sources.postgres import Connection, Postgres

WRITES = ("insert", "update", "delete")
SAMPLE = 3
"""Rows the release allows, and as many that it does not, that are tried per caller and verb."""
STATEMENT_MS = 2000
COLUMNS = ("identity", "caller", "table", "verb", "allowed", "others", "leaked", "missing", "sqlstate", "cause", "seconds")
REACHED = ("object", "kind", "identity", "verb", "reached", "sqlstate", "cause", "seconds")
_REFUSED = "42501"
_PASSED = ("23", "55000", "428C9")
"""Classes of refusal that come after the policies let the row through: constraints, and generated columns."""

_TABLE = """
select pg_catalog.has_table_privilege(%(role)s, c.oid, %(verb)s)
       or case when %(verb)s in ('insert', 'update') then pg_catalog.has_any_column_privilege(%(role)s, c.oid, %(verb)s) else false end,
       array(select a.attname::text from pg_catalog.pg_attribute a
             where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' and a.attidentity <> 'a'
               and (%(verb)s = 'delete' or pg_catalog.has_column_privilege(%(role)s, c.oid, a.attnum, %(verb)s)) order by a.attnum),
       (select pg_catalog.string_agg(t.tgname::text, ', ') from pg_catalog.pg_trigger t join pg_catalog.pg_proc p on p.oid = t.tgfoid
        join pg_catalog.pg_language l on l.oid = p.prolang
        where t.tgrelid = c.oid and not t.tgisinternal and t.tgenabled <> 'D'
          and (l.lanname not in ('sql', 'plpgsql')
               or p.prosrc ~* '(dblink|net\\.http|http_(get|post)|pg_background|aws_lambda|to\\s+program)'))
from pg_catalog.pg_class c where c.oid = %(table)s::pg_catalog.regclass
"""


def writes(
    db: Postgres, *, access: Mapping[str, AccessSpec], identity: IdentitySpec, known: Mapping[str, str], schema: str = "public",
    budget_s: float = 60,
) -> Facts:  # fmt: skip
    """One row per table, declared verb of writing, and caller: COLUMNS. *known*: identity → id of somebody of that kind.

    *db* is a door for writing: its transactions are made read-write one by one, and every one is rolled back.
    """

    def ask(connection: Connection) -> pd.DataFrame:
        ends = time.monotonic() + budget_s
        people = list(becoming.callers(connection, identity, known))
        rows = []
        for table, said in access.items():
            name = table if "." in table else f"{schema}.{table}"
            for verb in WRITES:
                rights = said.verbs.get(verb, {})
                for caller in _who(connection, name, rights, people, identity):
                    cell: dict[str, Any] = {"identity": caller.identity, "caller": caller.shown, "table": table, "verb": verb,
                                            "sqlstate": "", "cause": "", "seconds": 0.0}  # fmt: skip
                    if time.monotonic() >= ends:
                        cell |= {"sqlstate": NOT_ASKED, "cause": "the time budget was used up"}
                    else:
                        cell |= _cell(connection, name, said.key, verb, str(rights[caller.identity]), caller)
                    rows.append(cell)
        numbers = dict.fromkeys(("allowed", "others", "leaked", "missing"), "Int64")
        return pd.DataFrame(rows, columns=list(COLUMNS)).astype(numbers)

    question = "\n".join((
        "begin; set transaction isolation level repeatable read, read write; savepoint before_the_caller;",
        "set local role <role>; select set_config('request.jwt.claims', <claims of the caller>, true);",
        f"-- update, delete, or insert a copy of at most {SAMPLE} rows the release allows and {SAMPLE} others, each behind a savepoint",
        "rollback;",
    ))  # fmt: skip
    return db.ask(question, ask, within_s=budget_s + 30)


def _who(
    connection: Connection, name: str, rights: Mapping[str, str], people: Sequence[Caller], identity: IdentitySpec
) -> Iterator[Caller]:
    """Those of *people* that something is declared of, and for each kind somebody who owns a row: one who owns nothing proves no right."""
    yield from (person for person in people if person.identity in rights)
    yield from becoming._owners(connection, name, rights, identity, {person.user_id for person in people})


def _cell(connection: Connection, name: str, key: str, verb: str, expression: str, caller: Caller) -> dict[str, Any]:
    started = time.perf_counter()
    told: dict[str, Any] = {}
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("set transaction isolation level repeatable read, read write")
            connection.execute(sql.SQL("set local statement_timeout = {}").format(sql.Literal(STATEMENT_MS)))
            facts = connection.execute(_TABLE, {"role": caller.role, "table": name, "verb": verb}).fetchone()
            assert facts is not None
            privilege, columns, calls_out = bool(facts[0]), [str(column) for column in facts[1]], facts[2]
            condition, params = becoming._condition(expression, caller), {"user_id": caller.user_id}
            allowed = _sampled(connection, name, key, condition, params)
            others = _sampled(connection, name, key, sql.SQL("not coalesce({}, false)").format(condition), params)
            told = {"allowed": len(allowed), "others": len(others)}
            if not privilege:
                told |= {"leaked": 0, "missing": len(allowed)}
            elif calls_out:
                told |= {"sqlstate": NOT_ASKED, "cause": f"a trigger calls out of the database ({calls_out}), so nothing was tried"}
            else:
                attempt = _attempt(verb, name, key, columns)
                with connection.transaction(force_rollback=True):
                    becoming._become(connection, caller)
                    leaked = sum(_passes(connection, attempt, row) for row in others)
                    reached = sum(_passes(connection, attempt, row) for row in allowed)
                told |= {"leaked": leaked, "missing": len(allowed) - reached}
    except psycopg.Error as error:
        if error.sqlstate is None:
            raise
        told |= {"sqlstate": error.sqlstate, "cause": becoming._CAUSES.get(error.sqlstate, "a policy or the table raised an error")}
    return {**told, "seconds": time.perf_counter() - started}


def _sampled(connection: Connection, name: str, key: str, condition: sql.Composable, params: Mapping[str, str]) -> list[tuple[Any, str]]:
    """(key, whole row as JSON) of a few rows for which *condition* holds; they stay in this process."""
    with becoming._unbound(connection):
        statement = sql.SQL("select r.{key}, pg_catalog.to_jsonb(r)::text from (select * from {table} where {where} limit {n}) r").format(
            key=sql.Identifier(key), table=becoming._name(name), where=condition, n=sql.Literal(SAMPLE)
        )
        return [(row[0], str(row[1])) for row in connection.execute(statement, params).fetchall()]


def _attempt(verb: str, name: str, key: str, columns: Sequence[str]) -> sql.Composed:
    """The statement that tries *verb* on one row: %(key)s, %(row)s."""
    table, one = becoming._name(name), sql.Identifier(key)
    if verb == "delete":
        return sql.SQL("delete from {table} where {key} = %(key)s").format(table=table, key=one)
    if verb == "update":
        # the key last: changing it to itself would ask foreign keys for nothing
        column = sql.Identifier(next((each for each in columns if each != key), key))
        return sql.SQL("update {table} set {column} = {column} where {key} = %(key)s").format(table=table, column=column, key=one)
    listed = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL(
        "insert into {table} ({listed}) select {listed} from pg_catalog.jsonb_populate_record(null::{table}, %(row)s::jsonb)"
    ).format(table=table, listed=listed)


def _passes(connection: Connection, attempt: sql.Composed, row: tuple[Any, str]) -> bool:
    """Whether the policies let the caller write *row*; raises psycopg.Error where they raise."""
    try:
        with connection.transaction(force_rollback=True):
            return int(connection.execute(attempt, {"key": row[0], "row": row[1]}).rowcount) > 0
    except psycopg.Error as error:
        state = error.sqlstate or ""
        if state == _REFUSED:
            return False
        if state.startswith(_PASSED):
            return True
        raise


def strangers(
    db: Postgres, *, schemas: Sequence[str], identity: IdentitySpec | None, api_roles: Sequence[str] = ("anon", "authenticated"),
    budget_s: float = 60,
) -> Facts:  # fmt: skip
    """One row per relation or function, identity (anon, stranger) and verb that its role holds a privilege for: REACHED.

    `reached` is True where a row was there to read, or a function may be called; False where not; missing where it could not be asked.
    STABLE functions without arguments are called and asked for a row; VOLATILE ones are never called: the privilege decides.
    """

    def ask(connection: Connection) -> pd.DataFrame:
        ends = time.monotonic() + budget_s
        here = {str(name) for (name,) in connection.execute("select rolname from pg_catalog.pg_roles").fetchall()}
        if not here.intersection(api_roles):
            raise SourceAbsent(f"the server has none of the roles of an API ({', '.join(api_roles)})", source="postgres")
        people = list(becoming.callers(connection, identity, {})) if identity is not None else [Caller("anon", "anon", {"role": "anon"})]
        people = [person for person in people if person.role in here.intersection(api_roles)]
        rows: list[dict[str, Any]] = []
        for person in people:
            for kind, name, verb, statement in _reachable(connection, list(schemas), person.role):
                row = {"object": name, "kind": kind, "identity": person.identity, "verb": verb, "reached": None, "sqlstate": "",
                       "cause": "", "seconds": 0.0}  # fmt: skip
                if time.monotonic() >= ends:
                    rows.append({**row, "sqlstate": NOT_ASKED, "cause": "the time budget was used up"})
                else:
                    rows.append({**row, **_tried(connection, person, statement)})
        return pd.DataFrame(rows, columns=list(REACHED)).astype({"reached": "boolean"})

    question = "\n".join((
        "begin; set local role <role>; select set_config('request.jwt.claims', <claims>, true);",
        "select exists (select from <relation>); rollback;  -- each relation and STABLE function the role may reach",
    ))  # fmt: skip
    return db.ask(question, ask, within_s=budget_s + 30)


_REACHABLE = """
select case c.relkind when 'v' then 'view' when 'm' then 'materialised view' when 'f' then 'foreign table' else 'table' end,
       n.nspname::text, c.relname::text, c.relkind = 'f'
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = any (%(schemas)s) and c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
  and pg_catalog.has_schema_privilege(%(role)s, n.oid, 'usage')
  and (pg_catalog.has_table_privilege(%(role)s, c.oid, 'select') or pg_catalog.has_any_column_privilege(%(role)s, c.oid, 'select'))
order by 2, 3
"""
_CALLABLE = """
select n.nspname::text, p.proname::text, pg_catalog.pg_get_function_identity_arguments(p.oid),
       p.provolatile = 'v', p.pronargs = p.pronargdefaults, p.prosecdef
from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where n.nspname = any (%(schemas)s) and p.prokind = 'f'
  and p.prorettype not in ('pg_catalog.trigger'::pg_catalog.regtype, 'pg_catalog.event_trigger'::pg_catalog.regtype)
  and pg_catalog.has_schema_privilege(%(role)s, n.oid, 'usage') and pg_catalog.has_function_privilege(%(role)s, p.oid, 'execute')
  and not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
                  and d.objid = p.oid and d.deptype = 'e')
order by 1, 2, 3
"""


def _reachable(connection: Connection, schemas: list[str], role: str) -> Iterator[tuple[str, str, str, sql.Composed | None]]:
    """(kind, name, verb, statement that says whether a row comes back) of everything *role* may reach; None decides by privilege."""
    scope = {"schemas": schemas, "role": role}
    for kind, schema, name, foreign in connection.execute(_REACHABLE, scope).fetchall():
        asked = None if foreign else sql.SQL("select exists (select from {})").format(sql.Identifier(str(schema), str(name)))
        yield str(kind), f"{schema}.{name}", "select", asked
    for schema, name, arguments, volatile, callable_, definer in connection.execute(_CALLABLE, scope).fetchall():
        if volatile and not definer:
            continue  # runs with the caller's own rights: what it can do is judged where it does it
        asked = None
        if not volatile and callable_:
            asked = sql.SQL("select exists (select from {}() as answer where answer is not null)").format(
                sql.Identifier(str(schema), str(name))
            )
        elif not volatile and not definer:
            continue
        yield "function", f"{schema}.{name}({arguments})", "execute", asked


def _tried(connection: Connection, person: Caller, statement: sql.Composed | None) -> dict[str, Any]:
    if statement is None:
        return {"reached": True, "cause": "decided by privilege; not called"}
    started = time.perf_counter()
    told: dict[str, Any] = {}
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(sql.SQL("set local statement_timeout = {}").format(sql.Literal(STATEMENT_MS)))
            becoming._become(connection, person)
            row = connection.execute(statement).fetchone()
            told = {"reached": bool(row and row[0])}
    except psycopg.Error as error:
        if error.sqlstate is None:
            raise
        told = {"sqlstate": error.sqlstate, "cause": becoming._CAUSES.get(error.sqlstate, "a policy or the object raised an error")}
    return {**told, "seconds": time.perf_counter() - started}
