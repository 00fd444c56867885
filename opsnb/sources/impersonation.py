"""Becoming a caller: what each identity sees of a table, against what the release allows it to see.

Role and claims are set inside a transaction that is rolled back. Nothing but counts leaves it; a caller is shown as a hash.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pandas as pd
import psycopg
from psycopg import sql

from opsnb.config import AccessSpec, IdentitySpec
from opsnb.facts import Facts
from opsnb.sources.callers import Caller, People, become, begin, condition, name_of, unbound
from opsnb.sources.postgres import Connection, Postgres

NOT_ASKED = "OPSNB"
"""Stands in `sqlstate` where a cell was not asked at all; of the form of an SQLSTATE, and none of Postgres'."""
CAP = 10_000
"""Rows whose keys are fetched per table and caller; above, both sides are compared by a fingerprint of all their keys."""
COLUMNS = ("identity", "caller", "table", "expected", "seen", "leaked", "missing", "capped", "compared", "sqlstate", "cause", "seconds")
BUDGET_S = 60.0
CAUSES = {
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


def matrix(
    db: Postgres, *, access: Mapping[str, AccessSpec], identity: IdentitySpec, known: Mapping[str, str], schema: str = "public",
    cap: int = CAP, budget_s: float = BUDGET_S,
) -> Facts:  # fmt: skip
    """One row per table and caller: COLUMNS. *known* are ids of callers to ask for in any case (identity → user id).

    Of each kind of people two are asked; the other one is sampled, for each table somebody who owns rows of it. A policy that raises is
    a row with its SQLSTATE and cause, never "no rows". `compared`: ``keys`` (all of them, one by one), ``fingerprint`` (number and sum of
    64-bit hashes of all keys), ``sample`` (the fingerprint took too long: the first rows of both sides). A cell that could not be
    asked, or that the time budget cut, has no numbers, the SQLSTATE NOT_ASKED, and a cause that says why.
    SourceDenied where the reading role may not become the callers, or is itself bound by row-level security.
    """

    def ask(connection: Connection) -> pd.DataFrame:
        ends = time.monotonic() + budget_s
        rows = []
        people = People(connection, identity, known)
        for table, said in access.items():
            name = table if "." in table else f"{schema}.{table}"
            select: Mapping[str, str] = {str(kind): expression for kind, expression in said.select.items()}
            late = time.monotonic() >= ends
            for caller in people.of(name, select, search=not late):
                if time.monotonic() >= ends:
                    rows.append(_unasked(table, caller, "the time budget was used up"))
                else:
                    rows.append({**_cell(connection, name, said.key, select[caller.kind], caller, cap), "table": table})
        return _typed(rows)

    asked_as = ", ".join(("anon", "a stranger", *(f"a {kind}, another {kind}" for kind in identity.roles)))
    question = f"{_question(cap)}\n-- {len(access)} tables, as: {asked_as}"
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


def _cell(connection: Connection, name: str, key: str, expression: str, caller: Caller, cap: int) -> dict[str, Any]:
    """One row: what *caller* may see of *name*, sees, sees too much and misses, all of one snapshot.

    Up to *cap* rows are compared key by key. Above, by number and sum of hashes of all keys; where these differ, `leaked` and `missing`
    are at least so many. Where even that takes too long, both are exact for the first rows of both sides only: `capped`.
    """
    started = time.perf_counter()
    row = {**_unasked(name, caller, ""), "capped": False, "compared": "keys", "sqlstate": ""}
    table = _Table(connection, name, key, condition(expression, caller), {"user_id": caller.user_id}, caller, cap)
    declared = True
    try:
        with connection.transaction(force_rollback=True):
            begin(connection)
            allowed = table.allowed()
            declared = False
            row |= {"expected": min(len(allowed), cap), "capped": len(allowed) > cap}
            seen = table.seen()
            row |= table.compared(allowed, seen)
    except psycopg.Error as error:
        state = error.sqlstate
        if state is None or (declared and state not in _UNDECLARED):
            raise
        if declared:  # the caller was not asked at all: no verdict on a policy
            row |= {"sqlstate": NOT_ASKED, "cause": f"{_UNDECLARED[state]} (SQLSTATE {state})"}
        else:
            row |= {"sqlstate": state, "cause": CAUSES.get(state, "a policy or the table raised an error")}
    return {**row, "seconds": time.perf_counter() - started}


@dataclass(frozen=True)
class _Table:
    """The two sides of one cell: the keys the release allows (*where*, as the reading role), and those the caller sees."""

    connection: Connection
    name: str
    key: str
    where: sql.Composable
    params: Mapping[str, str]
    caller: Caller
    cap: int

    def allowed(self) -> list[Any]:
        """At most cap + 1 keys that the release allows."""
        with unbound(self.connection):
            return self._keys(sql.SQL("where {} limit {}").format(self.where, sql.Literal(self.cap + 1)), self.params)

    def seen(self) -> list[Any]:
        """At most cap + 1 keys that the caller sees."""
        with self._as_the_caller():
            return self._keys(sql.SQL("limit {}").format(sql.Literal(self.cap + 1)))

    def compared(self, allowed: list[Any], seen: list[Any]) -> dict[str, Any]:
        """`seen`, `leaked`, `missing`, `capped` and how they were `compared`."""
        if max(len(allowed), len(seen)) <= self.cap:
            may, did = set(allowed), set(seen)
            return {"seen": len(seen), "leaked": len(did - may), "missing": len(may - did)}
        whole = self._fingerprints()
        if whole is not None and whole[0] == whole[1]:
            count = whole[0][0]
            return {"expected": count, "seen": count, "leaked": 0, "missing": 0, "capped": False, "compared": "fingerprint"}
        leaked, missing = self._of_the_first(allowed, seen)
        if whole is None:
            return {"seen": min(len(seen), self.cap), "leaked": leaked, "missing": missing, "capped": True, "compared": "sample"}
        # they differ, wherever it is: of equal numbers, one row at least is another
        (expected, _), (count, _) = whole
        more = count - expected
        least = 1 if more == 0 and not leaked and not missing else 0
        return {
            "expected": expected, "seen": count, "leaked": max(leaked, more, least), "missing": max(missing, -more, least),
            "capped": False, "compared": "fingerprint",
        }  # fmt: skip

    def _fingerprints(self) -> tuple[tuple[int, str], tuple[int, str]] | None:
        """(number, sum of the hashes) of all allowed and of all seen keys; None where a statement took too long."""
        hashed = sql.SQL("select count(*), coalesce(sum(pg_catalog.hashtextextended({}::text, 0)::numeric), 0)::text from {}").format(
            sql.Identifier(self.key), name_of(self.name)
        )
        try:
            with unbound(self.connection):
                allowed = self.connection.execute(sql.SQL("{} where {}").format(hashed, self.where), self.params).fetchone()
            with self._as_the_caller():
                seen = self.connection.execute(hashed).fetchone()
        except psycopg.errors.QueryCanceled:
            return None
        assert allowed is not None and seen is not None
        return (int(allowed[0]), str(allowed[1])), (int(seen[0]), str(seen[1]))

    def _of_the_first(self, allowed: list[Any], seen: list[Any]) -> tuple[int, int]:
        """How many of the keys that were fetched the other side does not have, whole as it is."""
        these = sql.SQL("where {} = any(%(keys)s)").format(sql.Identifier(self.key))
        with self._as_the_caller():
            found = set(self._keys(these, {"keys": allowed}))
        with unbound(self.connection):
            may = set(self._keys(sql.SQL("{} and {}").format(these, self.where), {**self.params, "keys": seen}))
        return sum(each not in may for each in seen), sum(each not in found for each in allowed)

    @contextmanager
    def _as_the_caller(self) -> Iterator[None]:
        with self.connection.transaction(force_rollback=True):
            become(self.connection, self.caller)
            yield

    def _keys(self, rest: sql.Composable, params: Mapping[str, Any] | None = None) -> list[Any]:
        statement = sql.SQL("select {} as k from {} {}").format(sql.Identifier(self.key), name_of(self.name), rest)
        return [key for (key,) in self.connection.execute(statement, params or {}).fetchall()]


def _question(cap: int) -> str:
    return "\n".join((
        "begin; set transaction isolation level repeatable read;",
        "set local role <role>; select set_config('request.jwt.claims', <claims of the caller>, true);",
        f"select <key> from <table> limit {cap + 1}; rollback;",
    ))  # fmt: skip


def _unasked(table: str, caller: Caller, cause: str) -> dict[str, Any]:
    """A cell without numbers."""
    return {
        "identity": caller.identity, "caller": caller.shown, "table": table, "expected": None, "seen": None, "leaked": None,
        "missing": None, "capped": True, "compared": "", "sqlstate": NOT_ASKED, "cause": cause, "seconds": 0.0,
    }  # fmt: skip


def _typed(rows: list[dict[str, Any]]) -> pd.DataFrame:
    counts = dict.fromkeys(("expected", "seen", "leaked", "missing"), "Int64")
    texts = dict.fromkeys(("identity", "caller", "table", "compared", "sqlstate", "cause"), "string")
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({**texts, **counts, "capped": "boolean", "seconds": "Float64"})
