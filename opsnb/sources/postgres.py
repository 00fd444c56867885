"""The reading door to Postgres: named statements in, Facts out. It cannot write, waits for no lock, and names itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, TypeVar

import pandas as pd
import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow
from pydantic import SecretStr
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from opsnb.errors import SourceDenied, SourceError, SourceTimeout, UsageError
from opsnb.facts import Facts
from opsnb.sources.statements import Statement, statement

SOURCE = "postgres"
TRANSACTION_POOLER_PORT = "6543"
Connection = psycopg.Connection[TupleRow]
T = TypeVar("T")

# pandas' nullable types: a NULL stays a NULL and never becomes a NaN that compares as false
_DTYPES: dict[str, str] = {
    "text": "string", "boolean": "boolean", "integer": "Int64", "bigint": "Int64", "smallint": "Int64", "float8": "Float64",
    "numeric": "Float64", "timestamptz": "datetime64[us, UTC]",
}  # fmt: skip


class Postgres:
    """One reading connection, opened when first asked. Close it, or use it as a context manager."""

    def __init__(
        self,
        dsn: SecretStr,
        *,
        phase: str,
        statement_timeout_ms: float = 5000,
        lock_timeout_ms: float = 50,
        connect_timeout_s: float = 5,
    ) -> None:
        self._dsn = dsn
        self._phase = phase
        self._options = (
            f"-c default_transaction_read_only=on -c statement_timeout={statement_timeout_ms:.0f} -c lock_timeout={lock_timeout_ms:.0f} "
            "-c idle_in_transaction_session_timeout=30000 -c timezone=UTC"
        )
        self._connect_timeout_s = connect_timeout_s
        self._connection: Connection | None = None

    def query(self, name: str, **params: Any) -> Facts:
        """The rows of opsnb/sql/postgres/<name>.sql with the columns its header names."""
        asked = statement("postgres", name)
        asked.require(set(params))
        return self._facts(asked.text, lambda connection: frame(connection.execute(asked.text.encode(), _bound(params)), asked))

    def timed(self, name: str, *, times: int, **params: Any) -> Facts:
        """How long *name* takes, asked *times* times: one row per answer, `milliseconds` (null where it did not come)."""
        asked = statement("postgres", name)
        asked.require(set(params))

        def measure(connection: Connection) -> pd.DataFrame:
            taken: list[float] = []
            for _ in range(times):
                started = time.perf_counter()
                connection.execute(asked.text.encode(), _bound(params)).fetchall()
                taken.append((time.perf_counter() - started) * 1000)
            return pd.DataFrame({"milliseconds": pd.array(taken, dtype="Float64")})

        return self._facts(f"{asked.text}\n-- asked {times} times", measure)

    def ask(self, question: str, answer: Callable[[Connection], pd.DataFrame]) -> Facts:
        """Facts from what *answer* does with the connection; *question* says it in words. For doors beside this one."""
        return self._facts(question, answer)

    def close(self) -> None:
        """Gives the connection back; safe to call twice."""
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    def __enter__(self) -> Postgres:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _facts(self, question: str, answer: Callable[[Connection], pd.DataFrame]) -> Facts:
        started = time.perf_counter()
        try:
            with translated(question):
                connection = self._open()
                started = time.perf_counter()  # what was asked is timed, not the connecting
                table = answer(connection)
        except SourceError as error:
            if self._connection is not None and self._connection.closed:
                self._connection = None  # the next question may try again; this one is lost
            return Facts(SOURCE, question, time.perf_counter() - started, error=error)
        return Facts(SOURCE, question, time.perf_counter() - started, answer=table)

    def _open(self) -> Connection:
        if self._connection is not None and not self._connection.closed:
            return self._connection
        secret = self._dsn.get_secret_value()
        try:
            parts = conninfo_to_dict(secret)
        except psycopg.ProgrammingError:
            raise UsageError(
                "the DSN of the environment's postgres.dsn is not one; expected postgresql://user:password@host:5432/database"
            ) from None
        if str(parts.get("port")) == TRANSACTION_POOLER_PORT:
            raise UsageError(
                "postgres.dsn names port 6543, the transaction pooler, which keeps no session settings; "
                "use session mode: port 5432 of the same host"
            )
        where = f"{parts.get('host') or 'the local socket'}:{parts.get('port') or 5432}"
        for attempt in Retrying(
            stop=stop_after_attempt(3), wait=wait_exponential(0.2, max=1), retry=retry_if_exception_type(_Unreachable), reraise=True
        ):
            with attempt:
                try:
                    self._connection = psycopg.connect(
                        secret, autocommit=True, prepare_threshold=None, application_name=f"opsnb/{self._phase}", options=self._options,
                        connect_timeout=max(2, round(self._connect_timeout_s)),
                    )  # fmt: skip
                except psycopg.errors.ConnectionTimeout:
                    raise SourceTimeout(f"{where} did not answer within {self._connect_timeout_s:g} s", source=SOURCE) from None
                except psycopg.OperationalError as error:
                    raise _unreachable(error, where) from None
        assert self._connection is not None
        return self._connection


class _Unreachable(SourceError):
    """Worth another try."""


def _unreachable(error: psycopg.OperationalError, where: str) -> SourceError:
    text = str(error)  # libpq's text may quote the DSN: it is read here and never shown
    if "refused" in text:
        return _Unreachable(f"nothing listens at {where}; is the database running?", source=SOURCE)
    if "could not translate host name" in text or "resolve" in text:
        return SourceError(f"the host of {where} is not known; look at postgres.dsn", source=SOURCE)
    if "password authentication failed" in text or "no pg_hba.conf entry" in text or "does not exist" in text:
        return SourceDenied(f"{where} refused the role or its password; look at postgres.dsn", source=SOURCE)
    if "certificate" in text or "SSL" in text:
        return SourceError(f"{where}: the encrypted connection was refused; look at sslmode and sslrootcert of postgres.dsn", source=SOURCE)
    return _Unreachable(f"no connection to {where}; is the database running and reachable from here?", source=SOURCE)


@contextmanager
def translated(question: str) -> Iterator[None]:
    """Psycopg's errors as ours, in a sentence; DETAIL and messages may quote rows and never leave."""
    try:
        yield
    except psycopg.errors.QueryCanceled:
        raise SourceTimeout("the statement took longer than its time-out and was stopped", source=SOURCE, question=question) from None
    except psycopg.errors.LockNotAvailable:
        raise SourceTimeout(
            "something else holds a lock on what was asked; it was not waited for", source=SOURCE, question=question
        ) from None
    except psycopg.errors.InsufficientPrivilege:
        raise SourceDenied(
            "the role may not read this; see opsnb/sql/roles/opsnb_reader.sql for the rights it needs", source=SOURCE, question=question
        ) from None
    except psycopg.errors.UndefinedTable:
        raise SourceError("a table that was asked for does not exist (42P01)", source=SOURCE, question=question) from None
    except psycopg.errors.UndefinedColumn:
        raise SourceError("a column that was asked for does not exist (42703)", source=SOURCE, question=question) from None
    except psycopg.Error as error:
        lost = "; the connection was lost" if isinstance(error, psycopg.OperationalError) else ""
        state = f"SQLSTATE {error.sqlstate}" if error.sqlstate else type(error).__name__
        raise SourceError(f"the database refused the statement ({state}){lost}", source=SOURCE, question=question) from None
    except SourceError as error:
        error.question = error.question or question
        raise


def frame(cursor: psycopg.Cursor[TupleRow], asked: Statement) -> pd.DataFrame:
    """The cursor's rows with the statement's columns and pandas' nullable types; an empty answer keeps its columns."""
    names = [column.name for column in cursor.description or ()]
    rows = cursor.fetchall()
    types = {column.name: _DTYPES.get(column.type) for column in asked.columns}
    return pd.DataFrame(
        {name: pd.Series([row[place] for row in rows], dtype=types.get(name) or "object") for place, name in enumerate(names)},
        columns=names,
    )


def _bound(params: dict[str, Any]) -> dict[str, Any] | None:
    """Arrays are lists to psycopg; without parameters there are none, so that a literal % stays one."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in params.items()} or None
