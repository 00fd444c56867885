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
from opsnb.sources.callers import Caller, People, become, begin, condition, name_of, nobody_and_a_stranger, unbound
from opsnb.sources.impersonation import CAUSES, NOT_ASKED
from opsnb.sources.postgres import Connection, Postgres

WRITES = ("insert", "update", "delete")
SAMPLE = 3
"""Rows the release allows, and as many that it does not, that are tried per caller and verb."""
COLUMNS = ("identity", "caller", "table", "verb", "allowed", "others", "leaked", "missing", "sqlstate", "cause", "seconds")
REACHED = ("object", "kind", "identity", "verb", "reached", "sqlstate", "cause", "seconds")
_Row = tuple[Any, str]
"""The key of a row, and the whole row as JSON."""
_REFUSED = "42501"
_PASSED = ("23", "55000", "428C9")
"""Classes of refusal that come after the policies let the row through: constraints, and generated columns."""

_TABLE = """
select verb,
       pg_catalog.has_table_privilege(%(role)s, c.oid, verb)
       or case when verb in ('insert', 'update') then pg_catalog.has_any_column_privilege(%(role)s, c.oid, verb) else false end,
       array(select a.attname::text from pg_catalog.pg_attribute a
             where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' and a.attidentity <> 'a'
               and case when verb = 'delete' then true else pg_catalog.has_column_privilege(%(role)s, c.oid, a.attnum, verb) end
             order by a.attnum),
       (select pg_catalog.string_agg(t.tgname::text, ', ') from pg_catalog.pg_trigger t join pg_catalog.pg_proc p on p.oid = t.tgfoid
        join pg_catalog.pg_language l on l.oid = p.prolang
        where t.tgrelid = c.oid and not t.tgisinternal and t.tgenabled <> 'D'
          and (l.lanname not in ('sql', 'plpgsql')
               or p.prosrc ~* '(dblink|net\\.http|http_(get|post)|pg_background|aws_lambda|to\\s+program)'))
from pg_catalog.pg_class c, pg_catalog.unnest(array['insert', 'update', 'delete']) verb where c.oid = %(table)s::pg_catalog.regclass
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
        people = People(connection, identity, known)
        rows = []
        for table, said in access.items():
            name = table if "." in table else f"{schema}.{table}"
            tried = _Tried(connection, name, said.key)
            for verb in WRITES:
                rights = {str(kind): str(expression) for kind, expression in said.verbs.get(verb, {}).items()}
                late = time.monotonic() >= ends
                for caller in people.of(name, rights, search=not late):
                    cell: dict[str, Any] = {"identity": caller.identity, "caller": caller.shown, "table": table, "verb": verb,
                                            "sqlstate": "", "cause": "", "seconds": 0.0}  # fmt: skip
                    if time.monotonic() >= ends:
                        cell |= {"sqlstate": NOT_ASKED, "cause": "the time budget was used up"}
                    else:
                        cell |= tried.cell(verb, rights[caller.kind], caller)
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


class _Tried:
    """One table and what is tried on it. The rows to try are looked for once per caller and expression, whatever the verb."""

    def __init__(self, connection: Connection, name: str, key: str) -> None:
        self._connection, self._name, self._key = connection, name, key
        self._facts: dict[str, dict[str, tuple[bool, list[str], str | None]]] = {}
        self._rows: dict[tuple[str, str, str], tuple[list[_Row], list[_Row]]] = {}

    def cell(self, verb: str, expression: str, caller: Caller) -> dict[str, Any]:
        """`allowed`, `others`, `leaked`, `missing` of one caller and verb, in a transaction of its own that is rolled back."""
        started = time.perf_counter()
        told: dict[str, Any] = {}
        try:
            with self._connection.transaction(force_rollback=True):
                begin(self._connection, "read write")
                privilege, columns, calls_out = self._of_role(caller.role)[verb]
                allowed, others = self._sampled(expression, caller)
                told = {"allowed": len(allowed), "others": len(others)}
                if not privilege:
                    told |= {"leaked": 0, "missing": len(allowed)}
                elif calls_out:
                    told |= {"sqlstate": NOT_ASKED, "cause": f"a trigger calls out of the database ({calls_out}), so nothing was tried"}
                elif allowed or others:
                    attempt = self._attempt(verb, columns)
                    become(self._connection, caller)
                    leaked, reached = self._passing(attempt, others), self._passing(attempt, allowed)
                    told |= {"leaked": leaked, "missing": len(allowed) - reached}
                else:
                    told |= {"leaked": 0, "missing": 0}
        except psycopg.Error as error:
            if error.sqlstate is None:
                raise
            told |= {"sqlstate": error.sqlstate, "cause": CAUSES.get(error.sqlstate, "a policy or the table raised an error")}
        return {**told, "seconds": time.perf_counter() - started}

    def _of_role(self, role: str) -> dict[str, tuple[bool, list[str], str | None]]:
        """Verb → whether the role holds a privilege, on which columns, and the triggers that call out."""
        if role not in self._facts:
            found = self._connection.execute(_TABLE, {"role": role, "table": self._name}).fetchall()
            self._facts[role] = {str(row[0]): (bool(row[1]), [str(column) for column in row[2]], row[3]) for row in found}
        return self._facts[role]

    def _sampled(self, expression: str, caller: Caller) -> tuple[list[_Row], list[_Row]]:
        """A few rows the release allows, and a few others; they stay in this process."""
        place = (caller.identity, caller.user_id, expression)
        if place not in self._rows:
            where, params = condition(expression, caller), {"user_id": caller.user_id}
            few = sql.SQL("select r.{key}, pg_catalog.to_jsonb(r)::text from (select * from {table} where {where} limit {n}) r")
            sides = []
            with unbound(self._connection):
                for side in (where, sql.SQL("not coalesce({}, false)").format(where)):
                    statement = few.format(key=sql.Identifier(self._key), table=name_of(self._name), where=side, n=sql.Literal(SAMPLE))
                    sides.append([(row[0], str(row[1])) for row in self._connection.execute(statement, params).fetchall()])
            self._rows[place] = (sides[0], sides[1])
        return self._rows[place]

    def _attempt(self, verb: str, columns: Sequence[str]) -> sql.Composed:
        """The statement that tries *verb* on some rows: %(keys)s, %(rows)s."""
        table, key = name_of(self._name), sql.Identifier(self._key)
        if verb == "delete":
            return sql.SQL("delete from {table} where {key} = any(%(keys)s)").format(table=table, key=key)
        if verb == "update":
            # the key last: changing it to itself would ask foreign keys for nothing
            column = sql.Identifier(next((each for each in columns if each != self._key), self._key))
            return sql.SQL("update {table} set {column} = {column} where {key} = any(%(keys)s)").format(table=table, column=column, key=key)
        listed = sql.SQL(", ").join(map(sql.Identifier, columns))
        return sql.SQL(
            "insert into {table} ({listed}) select {listed} from pg_catalog.jsonb_populate_recordset(null::{table}, %(rows)s::jsonb)"
        ).format(table=table, listed=listed)

    def _passing(self, attempt: sql.Composed, rows: Sequence[_Row]) -> int:
        """How many of *rows* the policies let the caller write; raises psycopg.Error where they raise.

        All in one statement; where something refuses one of them, one by one.
        """
        if not rows:
            return 0
        told = {"keys": [key for key, _ in rows], "rows": f"[{','.join(row for _, row in rows)}]"}
        try:
            with self._connection.transaction(force_rollback=True):
                return int(self._connection.execute(attempt, told).rowcount)
        except psycopg.Error as error:
            state = error.sqlstate or ""
            if len(rows) > 1 and state.startswith((_REFUSED, *_PASSED)):
                return sum(self._passing(attempt, [row]) for row in rows)
            if state == _REFUSED:
                return 0
            if state.startswith(_PASSED):
                return 1
            raise


def strangers(
    db: Postgres, *, schemas: Sequence[str], identity: IdentitySpec | None, api_roles: Sequence[str] = ("anon", "authenticated"),
    files: str = "storage", budget_s: float = 60,
) -> Facts:  # fmt: skip
    """One row per relation or function, identity (anon, stranger) and verb that its role holds a privilege for: REACHED.

    `reached` is True where a row was there to read, or a function may be called; False where not; missing where it could not be asked.
    *files* is the platform's schema of stored files: its relations, and its public buckets that hold a file (``<files>.<bucket>``), which
    are served whatever the policies say. STABLE functions without arguments are called and asked for a row; VOLATILE ones are never
    called: the privilege decides.
    """

    def ask(connection: Connection) -> pd.DataFrame:
        ends = time.monotonic() + budget_s
        here = {str(name) for (name,) in connection.execute("select rolname from pg_catalog.pg_roles").fetchall()}
        if not here.intersection(api_roles):
            raise SourceAbsent(f"the server has none of the roles of an API ({', '.join(api_roles)})", source="postgres")
        nobody = [Caller("anon", "anon", {"role": "anon"})]
        people = nobody if identity is None else nobody_and_a_stranger(identity)
        people = [person for person in people if person.role in here.intersection(api_roles)]
        rows: list[dict[str, Any]] = []
        for person in people:
            for kind, name, verb, statement in _reachable(connection, list(schemas), files, person.role):
                row = {"object": name, "kind": kind, "identity": person.identity, "verb": verb, "reached": None, "sqlstate": "",
                       "cause": "", "seconds": 0.0}  # fmt: skip
                if time.monotonic() >= ends:
                    rows.append({**row, "sqlstate": NOT_ASKED, "cause": "the time budget was used up"})
                else:
                    rows.append({**row, **_tried(connection, person, statement)})
        rows += _open_buckets(connection, files) if "anon" in here else []
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


def _reachable(connection: Connection, schemas: list[str], files: str, role: str) -> Iterator[tuple[str, str, str, sql.Composed | None]]:
    """(kind, name, verb, statement that says whether a row comes back) of everything *role* may reach; None decides by privilege."""
    scope = {"schemas": schemas, "role": role}
    for kind, schema, name, foreign in connection.execute(_REACHABLE, {**scope, "schemas": [*schemas, files]}).fetchall():
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


def _open_buckets(connection: Connection, files: str) -> list[dict[str, Any]]:
    """Public buckets that hold a file; none where the platform has no storage, or the reading role may not look."""
    tables = [f"{files}.buckets", f"{files}.objects"]
    there = connection.execute(
        "select bool_and(pg_catalog.has_table_privilege(c, 'select')) from pg_catalog.unnest(%s::text[]) t, pg_catalog.to_regclass(t) c "
        "having count(c) = 2", (tables,),
    ).fetchone()  # fmt: skip
    if there is None or not there[0]:
        return []
    buckets, objects = (name_of(table) for table in tables)
    statement = sql.SQL(
        "select b.id::text from {} b where (pg_catalog.to_jsonb(b) ->> 'public')::boolean "
        "and exists (select from {} o where o.bucket_id = b.id) order by 1 limit 1000"
    ).format(buckets, objects)
    return [
        {"object": f"{files}.{bucket}", "kind": "bucket", "identity": "anon", "verb": "select", "reached": True, "sqlstate": "",
         "cause": "the bucket is public: its files are served to anybody, whatever the policies say", "seconds": 0.0}
        for (bucket,) in connection.execute(statement).fetchall()
    ]  # fmt: skip


def _tried(connection: Connection, person: Caller, statement: sql.Composed | None) -> dict[str, Any]:
    if statement is None:
        return {"reached": True, "cause": "decided by privilege; not called"}
    started = time.perf_counter()
    told: dict[str, Any] = {}
    try:
        with connection.transaction(force_rollback=True):
            begin(connection)
            become(connection, person)
            row = connection.execute(statement).fetchone()
            told = {"reached": bool(row and row[0])}
    except psycopg.Error as error:
        if error.sqlstate is None:
            raise
        told = {"sqlstate": error.sqlstate, "cause": CAUSES.get(error.sqlstate, "a policy or the object raised an error")}
    return {**told, "seconds": time.perf_counter() - started}
