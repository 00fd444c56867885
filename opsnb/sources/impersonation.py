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
from dataclasses import dataclass
from typing import Any

import pandas as pd
import psycopg
from psycopg import sql

from opsnb.config import AccessSpec, IdentitySpec
from opsnb.errors import SourceError
from opsnb.facts import Facts
from opsnb.sources.postgres import Connection, Postgres

CAP = 10_000
"""Rows looked at per table and identity."""
COLUMNS = ("identity", "caller", "table", "expected", "seen", "leaked", "missing", "capped", "sqlstate", "cause", "seconds")
BUDGET_S = 60.0
FIREBASE_SUBJECT_LENGTH = 28
NOT_ASKED = "OPSNB"
"""In place of an SQLSTATE: the time budget ended before this cell was asked."""

_CAUSES = {
    "22P02": "a policy casts the subject to another type, which fails (auth.uid() does so for subjects that are no UUID)",
    "42501": "the role has no privilege on the table",
    "42703": "a policy names a column that does not exist",
    "42P01": "a policy names a table that does not exist",
    "42P17": "a policy reads its own table, without end",
    "42883": "a policy calls a function that does not exist",
    "57014": "the policy took longer than the time-out",
    "55P03": "something else holds a lock on the table",
}


@dataclass(frozen=True)
class Caller:
    """Somebody to become. `user_id` is empty for those the database does not know."""

    identity: str
    role: str
    claims: dict[str, str]
    user_id: str = ""

    @property
    def shown(self) -> str:
        """Eight characters that tell callers apart and nobody who they are."""
        return hashlib.sha256(json.dumps(self.claims, sort_keys=True).encode()).hexdigest()[:8] if self.claims else ""


def matrix(
    db: Postgres, *, access: Mapping[str, AccessSpec], identity: IdentitySpec, known: Mapping[str, str], schema: str = "public",
    cap: int = CAP, budget_s: float = BUDGET_S,
) -> Facts:  # fmt: skip
    """One row per table and caller: COLUMNS. *known* are ids of callers to ask for in any case (identity → user id).

    A policy that raises is a row with its SQLSTATE and cause, never "no rows". Cells the time budget cut carry NOT_ASKED.
    """

    def ask(connection: Connection) -> pd.DataFrame:
        ends = time.monotonic() + budget_s
        rows = []
        people = list(callers(connection, identity, known))
        for table, said in access.items():
            name = table if "." in table else f"{schema}.{table}"
            owners = _owners(connection, name, said, identity, {person.user_id for person in people})
            for caller in (person for person in (*people, *owners) if person.identity in said.select):
                late = time.monotonic() >= ends
                rows.append(_not_asked(table, caller) if late else visible(connection, table, name, said, caller, cap))
        return _typed(pd.DataFrame(rows, columns=list(COLUMNS)))

    question = (  # in words: what is run is composed by psycopg.sql below
        "begin; set local role <role>; select set_config('request.jwt.claims', <claims of the caller>, true);\n"
        f"select count(*) from (select <key> from <table> limit {cap + 1}) …; rollback;\n"
        f"-- {len(access)} tables, as: anon, a stranger, {', '.join(known)}, and owners of rows sampled for each table"
    )
    return db.ask(question, ask)


def callers(connection: Connection, identity: IdentitySpec, known: Mapping[str, str]) -> Iterator[Caller]:
    """Nobody, a stranger, and the *known* callers (identity → user id) as the database has them."""
    yield Caller("anon", "anon", {})
    alphabet = string.ascii_letters + string.digits
    yield _signed_in("stranger", "".join(secrets.choice(alphabet) for _ in range(FIREBASE_SUBJECT_LENGTH)), identity)
    for kind, user_id in known.items():
        found = connection.execute(
            _people(identity, sql.SQL("caller_.{id}::text = %(known)s")), {"kind": kind, "known": user_id, "n": 1}
        ).fetchall()
        for each_id, subject in found:
            yield _signed_in(kind, subject, identity, each_id)


def _owners(connection: Connection, name: str, said: AccessSpec, identity: IdentitySpec, but: set[str]) -> Iterator[Caller]:
    """For every identity whose rows the release names by %(user_id)s: somebody who owns some, from a random place on.

    A sample that owns nothing proves nothing. Looking for an owner is bounded by the statement time-out; where it ends, the known
    callers have to do.
    """
    start = f"{secrets.randbelow(0x100):02x}000000-0000-4000-8000-000000000000"
    for kind, expression in said.select.items():
        if "%(user_id)s" not in expression:
            continue
        owns = sql.SQL(
            "exists (select from {table} where {condition}) and not caller_.{id}::text = any(%(but)s) "
            "and caller_.{id}::text {side} %(from)s"
        )
        own = sql.SQL(expression.replace("%(user_id)s", "caller_." + sql.Identifier(identity.id_column).as_string()))
        for side in (">=", "<"):
            condition = owns.format(
                table=sql.Identifier(*name.split(".")), condition=own, id=sql.Identifier(identity.id_column), side=sql.SQL(side)
            )
            try:
                found = connection.execute(
                    _people(identity, condition), {"kind": kind, "but": sorted(but), "from": start, "n": 1}
                ).fetchall()
            except psycopg.errors.QueryCanceled:
                break
            if found:
                yield _signed_in(str(kind), found[0][1], identity, found[0][0])
                break


def _people(identity: IdentitySpec, condition: sql.SQL | sql.Composed) -> sql.Composed:
    """Ids and subjects of up to n users of a kind for whom *condition* holds, in the order of the ids."""
    schema, table, subject = identity.subject_column.split(".")
    where = condition.format(id=sql.Identifier(identity.id_column)) if isinstance(condition, sql.SQL) else condition
    return sql.SQL(
        "select caller_.{id}::text, caller_.{subject}::text from {table} caller_ where caller_.{role}::text = %(kind)s and {where} "
        "order by caller_.{id} limit %(n)s"
    ).format(
        id=sql.Identifier(identity.id_column), subject=sql.Identifier(subject), table=sql.Identifier(schema, table),
        role=sql.Identifier(identity.role_column), where=where,
    )  # fmt: skip


def visible(connection: Connection, table: str, name: str, said: AccessSpec, caller: Caller, cap: int) -> dict[str, Any]:
    """One cell: what *caller* may see, sees, sees too much and misses."""
    row: dict[str, Any] = {
        "identity": caller.identity,
        "caller": caller.shown,
        "table": table,
        "sqlstate": "",
        "cause": "",
        "capped": False,
    }
    started = time.perf_counter()
    relation = sql.Identifier(*name.split("."))
    allowed = _allowed(connection, relation, said, caller, cap)
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(sql.SQL("set local role {}").format(sql.Identifier(caller.role)))
            connection.execute("select set_config('request.jwt.claims', %s, true)", (json.dumps(caller.claims) if caller.claims else "",))
            counted = connection.execute(
                sql.SQL(
                    "select count(*), count(*) filter (where k = any(%s)) from (select {key}::text as k from {table} limit {most}) as rows"
                ).format(key=sql.Identifier(said.key), table=relation, most=sql.Literal(cap + 1)),
                (allowed,),
            ).fetchone()
    except psycopg.Error as error:
        if error.sqlstate is None:
            raise
        cause = _CAUSES.get(error.sqlstate, "a policy or the table raised an error")
        return {
            **row,
            "expected": len(allowed),
            "seen": 0,
            "leaked": 0,
            "missing": len(allowed),
            "sqlstate": error.sqlstate,
            "cause": cause,
            "seconds": time.perf_counter() - started,
        }
    assert counted is not None
    seen, hits = int(counted[0]), int(counted[1])
    capped = seen > cap or len(allowed) > cap
    # a cut-off look cannot tell what is missing
    missing = 0 if capped else len(allowed) - hits
    return {
        **row,
        "expected": len(allowed),
        "seen": seen,
        "leaked": seen - hits,
        "missing": missing,
        "capped": capped,
        "seconds": time.perf_counter() - started,
    }


def _allowed(connection: Connection, relation: sql.Composable, said: AccessSpec, caller: Caller, cap: int) -> list[str]:
    """The keys of the rows the release allows, read by the reading role, which row-level security does not bind."""
    expression = {str(kind): text for kind, text in said.select.items()}[caller.identity].strip()
    if expression == "none":
        return []
    condition = sql.SQL("true") if expression == "all" else sql.SQL(expression)
    statement = sql.SQL("select {key}::text from {table} where {condition} limit {most}").format(
        key=sql.Identifier(said.key), table=relation, condition=condition, most=sql.Literal(cap + 1)
    )
    if expression != "all" and "%(user_id)s" in expression and not caller.user_id:
        raise SourceError(f"the access matrix allows {caller.identity} rows by %(user_id)s, but such a caller has no id", source="postgres")
    return [str(key) for (key,) in connection.execute(statement, {"user_id": caller.user_id or None}).fetchall()]


def _signed_in(kind: str, subject: str, identity: IdentitySpec, user_id: str = "") -> Caller:
    claims = {"sub": subject, "user_id": subject, "role": "authenticated", "iss": identity.issuer, "aud": identity.project_id}
    return Caller(kind, "authenticated", claims, user_id)


def _not_asked(table: str, caller: Caller) -> dict[str, Any]:
    return {
        "identity": caller.identity, "caller": caller.shown, "table": table,
        "expected": None, "seen": None, "leaked": None, "missing": None,
        "capped": True, "sqlstate": NOT_ASKED, "cause": "not asked: the time budget of the phase was used up", "seconds": 0.0,
    }  # fmt: skip


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    counts = dict.fromkeys(("expected", "seen", "leaked", "missing"), "Int64")
    return table.astype({**counts, "capped": "boolean", "sqlstate": "string", "cause": "string", "seconds": "Float64"})
