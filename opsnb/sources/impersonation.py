"""Becoming a caller: what each identity sees of a table, against what the release allows it to see.

Role and claims are set inside a transaction that is rolled back. Nothing but counts leaves it; a caller is shown as a hash.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import string
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pandas as pd
import psycopg
from psycopg import sql

from opsnb.config import AccessSpec, IdentitySpec
from opsnb.errors import SourceDenied, SourceError
from opsnb.facts import Facts
from opsnb.sources.postgres import Connection, Postgres

NOT_ASKED = "OPSNB"
"""Stands in `sqlstate` where a cell was not asked at all; of the form of an SQLSTATE, and none of Postgres'."""
CAP = 10_000
"""Rows looked at per table and caller."""
COLUMNS = ("identity", "caller", "table", "expected", "seen", "leaked", "missing", "capped", "sqlstate", "cause", "seconds")
BUDGET_S = 60.0
SEARCH_MS = 1000
"""How long somebody who owns rows of a table is looked for."""
FIREBASE_SUBJECT_LENGTH = 28
USER_ID = "%(user_id)s"

_CAUSES = {
    "22P02": "a policy casts the subject to uuid or another type it is not (auth.uid() does so)",
    "42501": "the role has no privilege on the table, or on what a policy reads",
    "42703": "a policy names a column that does not exist",
    "42P01": "a policy names a table that does not exist",
    "42P17": "a policy reads its own table, without end",
    "42883": "a policy calls a function that does not exist",
    "57014": "the policy took longer than the time-out",
    "55P03": "something else holds a lock on the table",
}
_UNDECLARED = {
    "42P01": "the table, or one the release's expression names, does not exist",
    "42703": "a column of the release's expression, or its key, does not exist",
    "42883": "the release's expression compares types that cannot be compared",
    "57014": "counting the rows the release allows took longer than the time-out",
    "55P03": "something else holds a lock on the table",
}


@dataclass(frozen=True)
class Caller:
    """Somebody to become. `user_id` is empty for those the database does not know."""

    identity: str
    role: str
    claims: Mapping[str, str]
    user_id: str = ""

    @property
    def shown(self) -> str:
        """Eight characters that tell callers apart and nobody who they are; '' for one without a subject."""
        subject = self.claims.get("sub", "")
        return hashlib.sha256(subject.encode()).hexdigest()[:8] if subject else ""


def matrix(
    db: Postgres, *, access: Mapping[str, AccessSpec], identity: IdentitySpec, known: Mapping[str, str], schema: str = "public",
    cap: int = CAP, budget_s: float = BUDGET_S,
) -> Facts:  # fmt: skip
    """One row per table and caller: COLUMNS. *known* are ids of callers to ask for in any case (identity → user id).

    Besides them, for each table and identity somebody is sampled who owns rows of it. A policy that raises is a row with its SQLSTATE
    and cause, never "no rows". A cell that could not be asked, or that the time budget cut, has no numbers, the SQLSTATE NOT_ASKED, and
    a cause that says why.
    SourceDenied where the reading role may not become the callers, or is itself bound by row-level security.
    """

    def ask(connection: Connection) -> pd.DataFrame:
        ends = time.monotonic() + budget_s
        rows = []
        people = list(callers(connection, identity, known))
        for table, said in access.items():
            name = table if "." in table else f"{schema}.{table}"
            late = time.monotonic() >= ends
            select: Mapping[str, str] = {str(kind): expression for kind, expression in said.select.items()}
            owners = [] if late else list(_owners(connection, name, select, identity, {person.user_id for person in people}))
            for caller in (person for person in (*people, *owners) if person.identity in select):
                if time.monotonic() >= ends:
                    rows.append(_unasked(table, caller, "the time budget was used up"))
                else:
                    rows.append({**_cell(connection, name, said.key, select[caller.identity], caller, cap), "table": table})
        return _typed(rows)

    asked_as = ", ".join(("anon", "a stranger", *known))
    question = f"{_question(cap)}\n-- {len(access)} tables, as: {asked_as}, and owners of rows sampled for each table"
    return db.ask(question, ask, within_s=budget_s + 30)


def visible(
    db: Postgres, *, table: str, key: str, identity: str, claims: Mapping[str, str], role: str, expected_sql: str,
    params: Mapping[str, str], cap: int = CAP,
) -> Facts:  # fmt: skip
    """One row, COLUMNS: what *role* with *claims* sees of *table* (schema.table) against the rows *expected_sql* allows.

    *expected_sql* is trusted text of a release: ``none``, ``all`` or an expression over a row, with %(user_id)s from *params*.
    """
    caller = Caller(identity, role, claims, params.get("user_id", ""))
    question = f"{_question(cap)}\n-- {table} as {identity}"
    return db.ask(question, lambda connection: _typed([_cell(connection, table, key, expected_sql, caller, cap)]), within_s=60)


def callers(connection: Connection, identity: IdentitySpec, known: Mapping[str, str]) -> Iterator[Caller]:
    """Nobody, a stranger, and the *known* callers (identity → user id) as far as the database has them."""
    yield Caller("anon", "anon", {"role": "anon"})
    alphabet = string.ascii_letters + string.digits
    yield _signed_in("stranger", "".join(secrets.choice(alphabet) for _ in range(FIREBASE_SUBJECT_LENGTH)), identity)
    for kind, user_id in known.items():
        with _unbound(connection):
            statement = _people(identity, sql.SQL("caller_.{id}::text = %(known)s").format(id=sql.Identifier(identity.id_column)))
            found = connection.execute(statement, {"kind": kind, "known": user_id}).fetchall()
        for each_id, subject in found:
            yield _signed_in(kind, subject, identity, each_id)


def _owners(connection: Connection, name: str, select: Mapping[str, str], identity: IdentitySpec, but: set[str]) -> Iterator[Caller]:
    """For every identity whose rows the release names by %(user_id)s: somebody who owns some, from a random place on.

    A sample that owns nothing proves nothing. The search is short; where it ends without anybody, the known callers have to do.
    """
    start = f"{secrets.randbelow(0x100):02x}000000-0000-4000-8000-000000000000"
    whose = sql.Identifier(identity.id_column)
    for kind, expression in select.items():
        if USER_ID not in expression:
            continue
        own = sql.SQL(expression.replace(USER_ID, f"caller_.{whose.as_string()}"))
        for side in (">=", "<"):
            owns = sql.SQL(
                "exists (select from {table} where {own}) and not caller_.{id}::text = any(%(but)s) and caller_.{id}::text {side} %(from)s"
            ).format(table=_name(name), own=own, id=whose, side=sql.SQL(side))
            try:
                with _unbound(connection):
                    connection.execute(sql.SQL("set local statement_timeout = {}").format(sql.Literal(SEARCH_MS)))
                    found = connection.execute(_people(identity, owns), {"kind": kind, "but": sorted(but), "from": start}).fetchone()
            except psycopg.Error as error:
                if error.sqlstate is None:
                    raise
                break  # too slow, or an expression that is wrong: asking the known callers says which
            if found is not None:
                yield _signed_in(kind, found[1], identity, found[0])
                break


def _people(identity: IdentitySpec, condition: sql.Composable) -> sql.Composed:
    """Id and subject of the first user of a kind for whom *condition* holds, in the order of the ids."""
    schema, table, subject = identity.subject_column.split(".")
    return sql.SQL(
        "select caller_.{id}::text, caller_.{subject}::text from {table} caller_ where caller_.{role}::text = %(kind)s "
        "and caller_.{subject} is not null and {condition} order by caller_.{id} limit 1"
    ).format(
        id=sql.Identifier(identity.id_column), subject=sql.Identifier(subject), table=sql.Identifier(schema, table),
        role=sql.Identifier(identity.role_column), condition=condition,
    )  # fmt: skip


def _cell(connection: Connection, name: str, key: str, expression: str, caller: Caller, cap: int) -> dict[str, Any]:
    """One row: what *caller* may see of *name*, sees, sees too much and misses, all of one snapshot.

    Where there are more than *cap* rows, leaked and missing are exact for the rows that were looked at.
    """
    started = time.perf_counter()
    row = {**_unasked(name, caller, ""), "capped": False, "sqlstate": ""}
    rows = sql.SQL("{key} as k from {table}").format(key=sql.Identifier(key), table=_name(name))
    condition, params = _condition(expression, caller), {"user_id": caller.user_id}
    declared = True
    try:
        with connection.transaction(force_rollback=True):
            # calls go on while this asks: a row that comes between two snapshots would look like a leak
            connection.execute("set transaction isolation level repeatable read")
            with _unbound(connection):
                allowed = _keys(connection, sql.SQL("{} where {} limit {}").format(rows, condition, sql.Literal(cap + 1)), params)
            declared = False
            row |= {"expected": min(len(allowed), cap), "capped": len(allowed) > cap}
            with connection.transaction(force_rollback=True):
                _become(connection, caller)
                seen = _keys(connection, sql.SQL("{} limit {}").format(rows, sql.Literal(cap + 1)))
                found = set(seen)
                if len(seen) > cap:
                    these = sql.SQL("{} where {} = any(%(keys)s)").format(rows, sql.Identifier(key))
                    found = set(_keys(connection, these, {"keys": allowed}))
            may = set(allowed)
            if len(allowed) > cap:
                these = sql.SQL("{} where {} = any(%(keys)s) and {}").format(rows, sql.Identifier(key), condition)
                with _unbound(connection):
                    may = set(_keys(connection, these, {**params, "keys": seen}))
            row |= {
                "seen": min(len(seen), cap), "capped": max(len(seen), len(allowed)) > cap,
                "leaked": sum(each not in may for each in seen), "missing": sum(each not in found for each in allowed),
            }  # fmt: skip
    except psycopg.Error as error:
        state = error.sqlstate
        if state is None or (declared and state not in _UNDECLARED):
            raise
        if declared:  # the caller was not asked at all: no verdict on a policy
            row |= {"sqlstate": NOT_ASKED, "cause": f"{_UNDECLARED[state]} (SQLSTATE {state})"}
        else:
            row |= {"sqlstate": state, "cause": _CAUSES.get(state, "a policy or the table raised an error")}
    return {**row, "seconds": time.perf_counter() - started}


@contextmanager
def _unbound(connection: Connection) -> Iterator[None]:
    """A piece of a transaction as the reading role, which must not be bound by row-level security: what it counts would be wrong."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute("set local row_security = off")  # an error instead of fewer rows
            yield
    except psycopg.errors.InsufficientPrivilege:
        raise SourceDenied(
            "the reading role may not read past row-level security, so it cannot count what others should see; "
            "it needs BYPASSRLS and pg_read_all_data, see opsnb/sql/roles/opsnb_reader.sql",
            source="postgres",
        ) from None


def _become(connection: Connection, caller: Caller) -> None:
    try:
        connection.execute(sql.SQL("set local role {}").format(sql.Identifier(caller.role)))
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidParameterValue):
        raise SourceDenied(
            f"the reading role may not become {caller.role}, or there is no such role; see opsnb/sql/roles/opsnb_reader.sql",
            source="postgres",
        ) from None
    connection.execute("select pg_catalog.set_config('request.jwt.claims', %s, true)", (json.dumps(dict(caller.claims)),))


def _keys(connection: Connection, rest: sql.Composable, params: Mapping[str, Any] | None = None) -> list[Any]:
    return [key for (key,) in connection.execute(sql.SQL("select {}").format(rest), params or {}).fetchall()]


def _condition(expression: str, caller: Caller) -> sql.Composable:
    """The release's expression as SQL; SourceError where it needs an id the caller does not have."""
    text = expression.strip()
    if text in ("none", "all"):
        return sql.SQL("false" if text == "none" else "true")
    if USER_ID in text and not caller.user_id:
        raise SourceError(f"the access matrix allows {caller.identity} rows by {USER_ID}, but such a caller has no id", source="postgres")
    return sql.SQL("({})").format(sql.SQL(text))


def _name(name: str) -> sql.Identifier:
    return sql.Identifier(*name.split("."))


def _question(cap: int) -> str:
    return "\n".join((
        "begin; set transaction isolation level repeatable read;",
        "set local role <role>; select set_config('request.jwt.claims', <claims of the caller>, true);",
        f"select <key> from <table> limit {cap + 1}; rollback;",
    ))  # fmt: skip


def _signed_in(kind: str, subject: str, identity: IdentitySpec, user_id: str = "") -> Caller:
    claims = {"sub": subject, "user_id": subject, "role": "authenticated", "iss": identity.issuer, "aud": identity.project_id}
    return Caller(kind, "authenticated", claims, user_id)


def _unasked(table: str, caller: Caller, cause: str) -> dict[str, Any]:
    """A cell without numbers."""
    return {
        "identity": caller.identity, "caller": caller.shown, "table": table, "expected": None, "seen": None, "leaked": None,
        "missing": None, "capped": True, "sqlstate": NOT_ASKED, "cause": cause, "seconds": 0.0,
    }  # fmt: skip


def _typed(rows: list[dict[str, Any]]) -> pd.DataFrame:
    counts = dict.fromkeys(("expected", "seen", "leaked", "missing"), "Int64")
    texts = dict.fromkeys(("identity", "caller", "table", "sqlstate", "cause"), "string")
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({**texts, **counts, "capped": "boolean", "seconds": "Float64"})
