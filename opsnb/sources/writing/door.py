"""One transaction: begun with its time-outs, committed when the block ends, rolled back whole when it raises."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from pydantic import SecretStr

from opsnb.errors import SourceDenied, SourceError, SourceTimeout
from opsnb.sources.postgres import dsn_parts, place
from opsnb.sources.refusals import SOURCE, no_connection
from opsnb.sources.writing.rows import Transaction

CONNECT_TIMEOUT_S = 5

# row_security off: a policy that would hide rows raises instead. The others make texts of values exact and the same everywhere.
_EXACT = {
    "row_security": "off",
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "xmlbinary": "base64",
    "lc_monetary": "C",
}
_FOR_THIS_TRANSACTION = """
select pg_catalog.set_config(name, value, true)
from unnest(%(names)s::text[], %(values)s::text[]) as setting (name, value)
"""


@contextmanager
def transaction(
    dsn: SecretStr, *, phase: str, read_only: bool, lock_timeout_ms: float = 2000, statement_timeout_ms: float = 30_000
) -> Iterator[Transaction]:
    """One repeatable-read transaction: committed when the block ends, rolled back whole when it raises. A SourceError holds no value.

    UsageError for a DSN that is none, or one of the transaction pooler: what is counted there may be other people's.
    """
    connection = connect(dsn, phase)
    committing = False
    try:
        # psycopg says "begin … read only"; what poolers do with options of the start-up packet nobody knows
        connection.read_only = read_only
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        settings = {
            "statement_timeout": str(max(1, round(statement_timeout_ms))),
            "lock_timeout": str(max(1, round(lock_timeout_ms))),
            "idle_in_transaction_session_timeout": "60000",
            **_EXACT,
        }
        connection.execute(_FOR_THIS_TRANSACTION, {"names": list(settings), "values": list(settings.values())})
        yield Transaction(connection)
        committing = True
        connection.commit()
    except psycopg.Error as error:
        raise refused(error, committing=committing) from None
    except UnicodeError:
        raise SourceError("a text is not UTF-8; nothing was changed", source=SOURCE) from None
    finally:
        connection.close()  # what was not committed is rolled back


def connect(dsn: SecretStr, phase: str) -> psycopg.Connection[tuple[object, ...]]:
    """A connection of the role that writes; SourceError in words where there is none."""
    parts = dsn_parts(dsn, "the DSN in section postgres")
    own = {"application_name": f"opsnb/{phase}", "connect_timeout": CONNECT_TIMEOUT_S, "client_encoding": "UTF8"}
    try:
        return psycopg.connect(**{**parts, **own}, prepare_threshold=None)
    except (psycopg.Error, UnicodeError) as error:
        raise no_connection(error, place(parts), CONNECT_TIMEOUT_S) from None


def refused(error: psycopg.Error, *, committing: bool = False) -> SourceError:
    """The error in words. DETAIL quotes rows: only the kind of the error leaves."""
    state = error.sqlstate
    if committing and (state is None or state.startswith(("08", "57P"))):
        why = "the connection was lost while the transaction ended: whether it was committed is not known; look before you repeat it"
        return SourceError(why, source=SOURCE)
    if isinstance(error, psycopg.errors.QueryCanceled):
        return SourceTimeout("a statement took too long and was stopped; nothing was changed", source=SOURCE)
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return SourceTimeout("a row or table was locked by somebody else; nothing was changed, try again", source=SOURCE)
    if isinstance(error, psycopg.errors.SerializationFailure | psycopg.errors.DeadlockDetected):
        return SourceError("somebody else changed the same rows at the same time; nothing was changed, try again", source=SOURCE)
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        why = "the role may not do this, or row level security hides rows from it; nothing was changed"
        return SourceDenied(why, source=SOURCE)
    return SourceError(f"the database refused ({type(error).__name__}, {state or 'no SQLSTATE'}); nothing was changed", source=SOURCE)
