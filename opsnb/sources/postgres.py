"""The reading door to Postgres: named statements in, Facts out. It cannot write, waits for no lock, and names itself."""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any

import pandas as pd
import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow
from pydantic import SecretStr
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from opsnb.errors import SourceError, SourceNonsense, SourceTimeout, UsageError
from opsnb.facts import Facts
from opsnb.sources.refusals import SOURCE, may_pass, no_connection, translated
from opsnb.sources.statements import Column, Statement, statement

TRANSACTION_POOLER_PORT = "6543"
CONNECT_TRIES = 3
GIVEN_UP_S = 10.0
"""How long a server that took no connection is not tried again: a phase asks it many questions."""
GRACE_S = 2.0
"""How long past its time-out a statement may stay silent before the server counts as gone."""
Connection = psycopg.Connection[TupleRow]

# pandas' nullable types: a NULL stays a NULL and never becomes a NaN that compares as false
_DTYPES: dict[str, str] = {
    "text": "string", "uuid": "string", "boolean": "boolean", "smallint": "Int64", "integer": "Int64", "bigint": "Int64",
    "float8": "Float64", "numeric": "Float64", "timestamptz": "datetime64[us, UTC]",
}  # fmt: skip
_FROM_DRIVER: dict[str, Callable[[Any], Any]] = {"uuid": str, "numeric": float}

# set once connected rather than in the start-up packet: poolers drop its `options`, or use them for themselves
_SESSION = """
select pg_catalog.set_config(name, value, false)
from unnest(%(names)s::text[], %(values)s::text[]) as setting (name, value)
"""


class Postgres:
    """One reading connection, opened when first asked and again after it was lost. Close it, or use it as a context manager.

    Every statement is its own short transaction. UsageError for a DSN that is none, or one that names the transaction pooler's port
    (unless *allow_transaction_pooler*): session settings, and so read-only and the time-outs, do not hold there.
    """

    def __init__(
        self,
        dsn: SecretStr,
        *,
        phase: str,
        statement_timeout_ms: float = 5000,
        lock_timeout_ms: float = 50,
        connect_timeout_s: float = 5,
        allow_transaction_pooler: bool = False,
    ) -> None:
        self._dsn = dsn
        self._application = f"opsnb/{phase}"
        # 0 would mean "for ever", to Postgres and to libpq
        self._statement_timeout_ms = max(1, round(statement_timeout_ms))
        self._lock_timeout_ms = max(1, round(lock_timeout_ms))
        self._connect_timeout_s = max(2, math.ceil(connect_timeout_s))  # libpq knows whole seconds, two at least
        self._allow_transaction_pooler = allow_transaction_pooler
        self._connection: Connection | None = None
        self._gone: tuple[float, SourceError] | None = None

    def query(self, name: str, **params: Any) -> Facts:
        """The rows of opsnb/sql/postgres/<name>.sql with the columns its header names; an empty answer keeps them."""
        asked = statement("postgres", name)
        asked.require(params)
        return self.ask(asked.text, lambda connection: frame(_execute(connection, asked, params), asked))

    def timed(self, name: str, *, times: int, **params: Any) -> Facts:
        """How long *name* takes, asked *times* times: one row per answer, `milliseconds`. One that fails fails them all."""
        asked = statement("postgres", name)
        asked.require(params)

        def measure(connection: Connection) -> pd.DataFrame:
            taken: list[float] = []
            for _ in range(times):
                started = time.perf_counter()
                _execute(connection, asked, params).fetchall()
                taken.append((time.perf_counter() - started) * 1000)
            return pd.DataFrame({"milliseconds": pd.array(taken, dtype="Float64")})

        return self.ask(f"{asked.text}\n-- asked {times} times", measure, within_s=times * self._patience_s)

    def facts(self) -> Facts:
        """The server that answers, one row: version, now, role, in_recovery and what else `server` names."""
        return self.query("server")

    def ask(self, question: str, answer: Callable[[Connection], pd.DataFrame], *, within_s: float | None = None) -> Facts:
        """Facts from what *answer* does with the connection; *question* says it in words. For doors beside this one.

        After *within_s* (a statement's time-out, where not given) without an end the connection is cut: SourceTimeout.
        """
        started = time.perf_counter()
        try:
            with translated(question):
                connection = self._open()
                started = time.perf_counter()  # what was asked is timed, not the connecting
                with _cut_after(connection, within_s or self._patience_s):
                    table = answer(connection)
        except SourceError as error:
            return Facts(SOURCE, question, time.perf_counter() - started, error=error)
        return Facts(SOURCE, question, time.perf_counter() - started, answer=table)

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

    def prepared(self, statements: Sequence[str]) -> list[str]:
        """Why the server does not take each of *statements*, '' where it does. They are prepared in a reading transaction, never run."""

        def ask(connection: Connection) -> pd.DataFrame:
            said = []
            for text in statements:
                try:
                    with connection.transaction(force_rollback=True):
                        connection.execute(b"prepare opsnb_guide as " + text.encode())
                        connection.execute("deallocate opsnb_guide")
                    said.append("")
                except psycopg.Error as error:
                    if error.sqlstate is None:
                        raise
                    said.append(f"{error.diag.message_primary} (SQLSTATE {error.sqlstate})")
            return pd.DataFrame({"refused": said})

        return [str(why) for why in self.ask("prepare <each statement>; deallocate", ask).table["refused"]]

    @property
    def host(self) -> str:
        """Where the server is; empty for a socket's default folder."""
        return str(conninfo_to_dict(self._dsn.get_secret_value()).get("host") or "")

    @property
    def _patience_s(self) -> float:
        return self._statement_timeout_ms / 1000 + GRACE_S

    def _open(self) -> Connection:
        """The connection; a new one where there is none or the last one was lost."""
        if self._connection is not None and not self._connection.closed:
            return self._connection
        self._connection = None
        if self._gone is not None and time.monotonic() < self._gone[0]:
            raise type(self._gone[1])(str(self._gone[1]), source=SOURCE)
        parts = self._parts()
        where = place(parts)
        try:
            for attempt in Retrying(
                stop=stop_after_attempt(CONNECT_TRIES), wait=wait_exponential(0.2, max=1), retry=retry_if_exception(may_pass), reraise=True
            ):
                with attempt:
                    connection = psycopg.connect(**parts, autocommit=True, prepare_threshold=None)
        except (psycopg.Error, UnicodeError) as error:  # the latter is of a host such as a..b
            why = no_connection(error, where, self._connect_timeout_s)
            if isinstance(why, SourceTimeout) or "refused" in str(error).lower():
                self._gone = time.monotonic() + GIVEN_UP_S, why
            raise why from None
        try:
            with _cut_after(connection, self._patience_s):
                self._prepare(connection)
        except BaseException:
            connection.close()  # without its settings it could write and wait
            raise
        self._connection = connection
        return connection

    def _parts(self) -> dict[str, Any]:
        parts = dsn_parts(self._dsn, "postgres.dsn", allow_transaction_pooler=self._allow_transaction_pooler)
        # a network that swallows packets is noticed after about half a minute
        alive = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000}
        own = {"application_name": self._application, "connect_timeout": self._connect_timeout_s, "client_encoding": "UTF8"}
        return {**alive, **parts, **own}

    def _prepare(self, connection: Connection) -> None:
        settings = {
            "default_transaction_read_only": "on",
            "statement_timeout": str(self._statement_timeout_ms),
            "lock_timeout": str(self._lock_timeout_ms),
            "idle_in_transaction_session_timeout": "30000",
            "TimeZone": "UTC",
        }
        connection.execute(_SESSION, {"names": list(settings), "values": list(settings.values())})


def dsn_parts(dsn: SecretStr, key: str, *, allow_transaction_pooler: bool = False) -> dict[str, Any]:
    """What *dsn* says; UsageError, naming *key* and no value, for one that is none or names the transaction pooler's port."""
    try:
        parts = dict(conninfo_to_dict(dsn.get_secret_value()))
    except (psycopg.ProgrammingError, UnicodeError):
        raise UsageError(f"{key} of the environment is not a DSN; expected postgresql://user:password@host:5432/database") from None
    if TRANSACTION_POOLER_PORT in str(parts.get("port")).split(",") and not allow_transaction_pooler:
        raise UsageError(
            f"{key} names port {TRANSACTION_POOLER_PORT}, the transaction pooler, where neither read-only nor time-outs hold; "
            "use session mode: port 5432 of the same host"
        )
    return parts


def place(parts: Mapping[str, Any]) -> str:
    """Host and port of a DSN, for sentences."""
    return f"{parts.get('host') or parts.get('hostaddr') or 'the local socket'}:{parts.get('port') or 5432}"


def frame(cursor: psycopg.Cursor[TupleRow], asked: Statement) -> pd.DataFrame:
    """The cursor's rows with the columns the header names and pandas' nullable types; SourceNonsense where they differ."""
    names = [column.name for column in cursor.description or ()]
    declared = [column.name for column in asked.columns]
    if names != declared:
        raise SourceNonsense(
            f"{asked.name} answered the columns {', '.join(names) or 'none'}; its header names {', '.join(declared)}", source=SOURCE
        )
    rows = cursor.fetchall()
    return pd.DataFrame({column.name: _series([row[place] for row in rows], column, asked) for place, column in enumerate(asked.columns)})


def _series(values: list[Any], column: Column, asked: Statement) -> pd.Series[Any]:
    convert = _FROM_DRIVER.get(column.type)
    try:
        if convert is not None:
            values = [None if value is None else convert(value) for value in values]
        return pd.Series(values, dtype=_DTYPES.get(column.type, "object"))
    except (TypeError, ValueError, OverflowError):
        raise SourceNonsense(f"{asked.name}: {column.name} is not the {column.type} its header says", source=SOURCE) from None


def _execute(connection: Connection, asked: Statement, params: dict[str, Any]) -> psycopg.Cursor[TupleRow]:
    """Arrays are lists to psycopg; without parameters there are none, so that a literal % stays one."""
    bound = {name: list(value) if isinstance(value, tuple) else value for name, value in params.items()}
    return connection.execute(asked.text.encode(), bound or None)


@contextmanager
def _cut_after(connection: Connection, seconds: float) -> Iterator[None]:
    """Cuts the connection where the block does not end in time: a server that is stopped keeps no time-out of its own."""
    cut = threading.Event()

    def act() -> None:
        cut.set()
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, act)
    timer.daemon = True
    timer.start()
    try:
        yield
    except psycopg.Error:
        if not cut.is_set():
            raise
        raise SourceTimeout(f"the server stopped answering; the connection was given up after {seconds:g} s", source=SOURCE) from None
    finally:
        timer.cancel()
