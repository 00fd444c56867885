"""What a database holds at one moment: counts and fingerprints of tables, comparable with those of a restored copy.

A fingerprint is the sum of a 64-bit hash over every row's text, with the number of rows: the order of rows does not matter, one changed
value does. The hash is the one hash-partitioned tables rest on, so it is the same in every version that can read them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg import sql
from pydantic import SecretStr

from opsnb.errors import SourceError, SourceTimeout
from opsnb.sources.postgres import dsn_parts, place
from opsnb.sources.refusals import no_connection
from opsnb.sources.statements import statement

SOURCE = "backup"
# texts of values must be exact and the same everywhere; row_security off: a policy that would hide rows raises instead
EXACT = {
    "row_security": "off", "TimeZone": "UTC", "DateStyle": "ISO, YMD", "IntervalStyle": "postgres", "extra_float_digits": "3",
    "bytea_output": "hex", "xmlbinary": "base64", "lc_monetary": "C", "lock_timeout": "2000", "idle_in_transaction_session_timeout": "0",
    "search_path": "pg_catalog",
}  # fmt: skip

_WITHIN = "select pg_catalog.set_config('statement_timeout', %s, true)"


# the first eight digits of a segment's name: every recovery to a point in time begins a timeline of its own
_TIMELINE = """
select ('x' || pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8))::bit(32)::integer
"""


def timeline(dsn: SecretStr) -> int:
    """The server's timeline. SourceError where nothing answers, or it is still being recovered."""
    parts = {**dsn_parts(dsn, "dsn"), "connect_timeout": 5, "application_name": "opsnb/rollback"}
    try:
        with psycopg.connect(**parts, autocommit=True) as connection:
            row = connection.execute(_TIMELINE).fetchone()
    except psycopg.Error:
        raise SourceError(f"{place(parts)} does not answer, or is being recovered", source=SOURCE) from None
    return int(str(row[0])) if row else 0


@dataclass(frozen=True)
class Counted:
    """One table at that moment. `fingerprint` is text; None where it was not taken, and `why` says why."""

    table: str
    rows: int | None
    fingerprint: str | None
    why: str = ""


@dataclass(frozen=True)
class Moment:
    """A repeatable-read transaction that stands still. `at` is the database's clock, `snapshot` what pg_dump can join."""

    connection: psycopg.Connection[tuple[object, ...]]
    at: datetime
    lsn: str
    snapshot: str
    version: int
    version_text: str
    database: str

    def tables(self, schemas: Sequence[str]) -> list[tuple[str, str]]:
        """(schema, name) of the tables of *schemas* whose rows a dump holds; partitions instead of partitioned tables."""
        found = self.connection.execute(statement("postgres", "snapshot_tables").text, {"schemas": list(schemas)}).fetchall()
        return [(str(row[0]), str(row[1])) for row in found]

    def size(self, schemas: Sequence[str]) -> int:
        """Bytes of those tables on the server's disk."""
        found = self.connection.execute(statement("postgres", "snapshot_tables").text, {"schemas": list(schemas)}).fetchall()
        return sum(int(str(row[2])) for row in found)

    def count(self, schema: str, name: str, *, timeout_s: float) -> Counted:
        """Rows and fingerprint of one table; not taken where it takes longer than *timeout_s*."""
        table = f"{schema}.{name}"
        question = sql.SQL(
            "select count(*), coalesce(sum(hashtextextended(r::text, 0)::numeric), 0)::text from only {} as r"
        ).format(sql.Identifier(schema, name))  # fmt: skip
        try:
            with self.connection.transaction():
                self.connection.execute(
                    "select pg_catalog.set_config('statement_timeout', %s, true)", [str(max(1, round(timeout_s * 1000)))]
                )
                rows, total = self.connection.execute(question).fetchone() or (None, None)
        except psycopg.errors.QueryCanceled:
            return Counted(table, None, None, f"not taken: longer than {timeout_s:g} s")
        except psycopg.Error as error:
            return Counted(table, None, None, f"not taken: {type(error).__name__}")
        return Counted(table, int(str(rows)), f"{rows}:{total}")


@contextmanager
def moment(dsn: SecretStr, *, phase: str) -> Iterator[Moment]:
    """One read-only transaction whose snapshot is exported for as long as the block lasts. Raises SourceError."""
    parts = dsn_parts(dsn, "the DSN")
    try:
        connection = psycopg.connect(**{**parts, "application_name": f"opsnb/{phase}", "connect_timeout": 10}, prepare_threshold=None)
    except (psycopg.Error, UnicodeError) as error:
        raise no_connection(error, place(parts), 10) from None
    try:
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        for name, value in EXACT.items():
            connection.execute("select pg_catalog.set_config(%s, %s, true)", [name, value])
        row = connection.execute(statement("postgres", "snapshot_moment").text).fetchone()
        if row is None:
            raise SourceError("the database answered with no row", source=SOURCE)
        at, lsn, snapshot, version, text, database = row
        if not isinstance(at, datetime):
            raise SourceError("the database's clock was read without its zone", source=SOURCE)
        yield Moment(connection, at, str(lsn), str(snapshot), int(str(version)) // 10000, str(text), str(database))
    except psycopg.errors.QueryCanceled:
        raise SourceTimeout("a statement took too long and was stopped", source=SOURCE) from None
    except psycopg.Error as error:
        raise SourceError(f"the database refused ({type(error).__name__}, {error.sqlstate or 'no SQLSTATE'})", source=SOURCE) from None
    finally:
        connection.close()
