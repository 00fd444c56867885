"""The local platform's logs: JSON lines on disk, one file per source, asked in ClickHouse SQL.

The SQL comes from outside. Three things keep it inside the one view called ``logs``: it is parsed by
ClickHouse itself and only plain selects over that view are let through; it runs in a session that is
read-only for good; and time, memory and rows are bounded.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

SOURCES = (
    "edge_logs", "function_edge_logs", "function_logs", "postgres_logs", "postgrest_logs", "auth_logs", "auth_audit_logs",
    "storage_logs", "realtime_logs", "supavisor_logs", "pgbouncer_logs", "pg_upgrade_logs", "workflow_run_logs",
)  # fmt: skip
MAX_ROWS = 1000
RETENTION = timedelta(days=7)
COLUMNS = (
    "id String, timestamp DateTime64(6, 'UTC'), event_message String, severity_text String, "
    "source LowCardinality(String), log_attributes Map(String, String)"
)
LIMITS = {
    "max_result_rows": MAX_ROWS,
    "result_overflow_mode": "'break'",
    "max_execution_time": 20,
    "max_memory_usage": 512 * 1024 * 1024,
    "max_threads": 2,
}

# Everything a plain select is made of. What is not named here (SETTINGS, INTO OUTFILE, APPLY, query
# parameters, `*`, which the platform refuses as well) is not let through.
NODES = frozenset({
    "SelectWithUnionQuery", "SelectIntersectExceptQuery", "SelectQuery", "ExpressionList", "Identifier", "TableIdentifier",
    "Literal", "Function", "Subquery", "TablesInSelectQuery", "TablesInSelectQueryElement", "TableExpression", "TableJoin",
    "ArrayJoin", "OrderByElement", "WithElement", "WindowDefinition", "WindowListElement",
})  # fmt: skip
NODE_HINTS = {
    "Asterisk": "`*` is not supported: name the columns, and count with count()",
    "QualifiedAsterisk": "`*` is not supported: name the columns",
    "Set": "SETTINGS is not supported",
    "Identifier": "only the table `logs` can be read",
}
FOREIGN_CATEGORIES = ("AI", "Dictionary", "Embedded Dictionary", "Introspection", "Machine Learning", "UDF", "Internal")
FOREIGN_FUNCTIONS = frozenset({
    "file", "joinget", "joingetornull", "sleep", "sleepeachrow", "getsetting", "getsettingordefault", "getserversetting",
    "getmergetreesetting", "getmacro", "getclienthttpheader", "hascolumnintable", "showcertificate", "filesystemavailable",
    "filesystemcapacity", "filesystemunreserved", "hostname", "fqdn", "fullhostname", "getoskernelversion", "serveruuid", "tcpport",
    "getserverport", "globalvariable", "python",
})  # fmt: skip


class LogQueryError(Exception):
    """The SQL was not accepted or failed; the text is what the platform's answer carries in ``error``."""


class LogBook:
    """Rows of every log source under *folder*. Safe to use from several threads of one process.

    Writing costs one line in a file. ClickHouse is loaded with the first question (or `warm`), from the files.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder
        # two locks, taken in this order: a slow question must not hold up whoever writes
        self._asking = threading.RLock()
        self._writing = threading.RLock()
        self._files: dict[str, IO[str]] = {}
        self._pending: list[str] = []
        self._engine: _Engine | None = None
        for path in folder.glob("*.jsonl"):
            _repair(path, oldest=datetime.now(UTC) - RETENTION)

    def write(
        self,
        source: str,
        message: str,
        *,
        severity: str = "INFO",
        attributes: Mapping[str, str] | None = None,
        timestamp: datetime | None = None,
    ) -> str:
        """Adds one row and returns its id. *timestamp* (with a time zone) is now unless it is given."""
        if source not in SOURCES:
            raise ValueError(f"no log source is called {source}")
        row = {
            "id": str(uuid.uuid4()),
            "timestamp": _clickhouse_time(timestamp or datetime.now(UTC)),
            "event_message": message,
            "severity_text": severity,
            "source": source,
            "log_attributes": {key: str(value) for key, value in (attributes or {}).items()},
        }
        line = json.dumps(row, ensure_ascii=False) + "\n"
        with self._writing:
            self._file(source).write(line)
            if self._engine is not None:
                self._pending.append(line)
        return row["id"]  # type: ignore[return-value]

    def query(self, sql: str, start: datetime, end: datetime) -> list[dict[str, Any]]:
        """The rows *sql* selects from ``logs``, which holds rows of [*start*, *end*) only; at most 1000.

        Raises LogQueryError on anything ClickHouse or the guard refuses.
        """
        with self._asking:
            engine = self._open()
            self.flush()
            return engine.ask(sql, start, end)

    def warm(self) -> None:
        """Loads ClickHouse and the files now (about a second), so that the first question is fast."""
        with self._asking:
            self._open()

    def flush(self, at_least: int = 1) -> None:
        """Brings written rows to where `query` sees them, which it does by itself, where *at_least* so many wait."""
        with self._asking:
            with self._writing:
                if self._engine is None or len(self._pending) < at_least:
                    return
                lines, self._pending = self._pending, []
            self._engine.insert(lines)

    def clear(self) -> None:
        """Forgets every row, on disk too."""
        with self._asking, self._writing:
            for source in list(self._files):
                self._files.pop(source).close()
            for path in self.folder.glob("*.jsonl"):
                path.unlink()
            self._pending.clear()
            if self._engine is not None:
                self._engine.clear()

    def close(self) -> None:
        """Closes files and sessions; the book can be used again afterwards."""
        with self._asking, self._writing:
            for source in list(self._files):
                self._files.pop(source).close()
            self._pending.clear()
            if self._engine is not None:
                self._engine.close()
                self._engine = None

    def _open(self) -> _Engine:
        if self._engine is None:
            engine = _Engine()
            with self._writing:  # from here on rows wait for `flush`; those before are in the files
                for path in sorted(self.folder.glob("*.jsonl")):
                    engine.load(path)
                self._engine = engine
        return self._engine

    def _file(self, source: str) -> IO[str]:
        if source not in self._files:
            path = self.folder / f"{source}.jsonl"
            path.touch(mode=0o600)
            # line-buffered: what was written is on disk when the process is killed
            self._files[source] = path.open("a", encoding="utf-8", buffering=1)
        return self._files[source]


class _Engine:
    """Two sessions of the embedded ClickHouse: one that writes, and one that is read-only for good.

    The engine is one per process, so every book has databases of its own: rows in one, the view in the
    other. The reader's current database is the latter; no name with a dot gets past the guard.
    """

    def __init__(self) -> None:
        from chdb.session import Session  # 1 s and 300 MB: only where logs are asked

        session: Any = Session  # the library has no annotations
        name = uuid.uuid4().hex
        self._rows, self._view = f"rows_{name}.rows", f"view_{name}.logs"
        self._databases = (f"rows_{name}", f"view_{name}")
        self._writer = session()
        for database in self._databases:
            self._writer.query(f"create database {database}")
        self._writer.query(f"create table {self._rows} ({COLUMNS}) engine = Memory")
        self._foreign = FOREIGN_FUNCTIONS | self._foreign_functions()
        self._reader = session()
        self._reader.query(f"use {self._databases[1]}")
        for setting, value in LIMITS.items():
            self._reader.query(f"set {setting} = {value}")
        self._reader.query("set readonly = 1")

    def insert(self, lines: list[str]) -> None:
        """Adds rows given as JSON lines."""
        self._writer.query(f"insert into {self._rows} format JSONEachRow {''.join(lines)}")

    def load(self, path: Path) -> None:
        """Adds the rows of a file."""
        if path.stat().st_size:
            columns = COLUMNS.replace("LowCardinality(String)", "String")
            self._writer.query(
                f"insert into {self._rows} select * from file({_literal(str(path.resolve()))}, JSONEachRow, {_literal(columns)})"
            )

    def clear(self) -> None:
        """Removes every row."""
        self._writer.query(f"truncate table {self._rows}")

    def close(self) -> None:
        """Removes what this book had in the engine."""
        for database in self._databases:
            self._writer.query(f"drop database if exists {database}")
        with contextlib.suppress(Exception):
            self._reader.close()
        with contextlib.suppress(Exception):
            self._writer.close()

    def ask(self, sql: str, start: datetime, end: datetime) -> list[dict[str, Any]]:
        plain = self._guarded(sql)
        self._writer.query(
            f"create or replace view {self._view} as select * from {self._rows} "
            f"where timestamp >= toDateTime64({_literal(_clickhouse_time(start))}, 6, 'UTC') "
            f"and timestamp < toDateTime64({_literal(_clickhouse_time(end))}, 6, 'UTC')"
        )
        answer = self._read(plain)
        return answer[:MAX_ROWS]

    def _write(self, sql: str) -> list[dict[str, Any]]:
        return _rows(self._writer.query(sql, "JSONEachRow"))

    def _read(self, sql: str) -> list[dict[str, Any]]:
        try:
            return _rows(self._reader.query(sql, "JSONEachRow"))
        except Exception as error:  # chdb raises RuntimeError and its subclasses, with ClickHouse's text
            text = re.sub(r"(rows|view)_[0-9a-f]{32}\.", "", str(error))
            text = re.sub(r": In scope SELECT formatQuerySingleLine\(.*", "", text, flags=re.DOTALL)
            raise LogQueryError(text.strip()[:2000]) from None

    def _guarded(self, sql: str) -> str:
        """*sql* as ClickHouse itself writes it, one statement, comments gone; raises LogQueryError."""
        [formatted] = self._read(f"select formatQuerySingleLine({_literal(sql)}) as plain")[0].values()
        if not re.match(r"(?i)\s*\(*\s*(select|with)\b", formatted):
            raise LogQueryError("Only SELECT statements are supported.")
        names = {"logs", *(name.strip("`") for name in re.findall(r"(`[^`]+`|\w+) AS \(", formatted))}
        above: dict[int, str] = {}  # the node last seen at each depth
        databases = {row["name"].lower() for row in self._write("show databases")}
        # as a subquery: INTO OUTFILE and FORMAT are then no syntax, and cannot belong to the EXPLAIN itself
        for row in self._read(f"explain ast select 1 from ({formatted})"):
            text = row["explain"]
            depth = len(text) - len(text.lstrip(" "))
            node, _, rest = text.strip().partition(" ")
            rest = re.sub(r" ?\((alias .*|children \d+)\)$", "", rest)
            if node not in NODES:
                raise LogQueryError(f"Not supported here: {NODE_HINTS.get(node, node)}.")
            above[depth] = node
            if node == "Function" and above.get(depth - 1) == "TableExpression":
                raise LogQueryError("Table functions are not supported: only the table `logs` can be read.")
            name = rest.split(" ")[0]
            if node == "Function" and name.lower() in self._foreign:
                raise LogQueryError(f"The function {name} is not supported.")
            if node == "TableIdentifier" and rest not in names:
                raise LogQueryError(f"Unknown table {rest}: only the table `logs` can be read.")
            if node == "Identifier" and "." in rest and rest.split(".")[0].lower() in databases:
                raise LogQueryError(f"Unknown identifier {rest}: only the table `logs` can be read.")
        return str(formatted)

    def _foreign_functions(self) -> frozenset[str]:
        """Functions that reach outside the query, by the engine's own categories, with their aliases."""
        categories = ", ".join(map(_literal, FOREIGN_CATEGORIES))
        told = self._write(
            "select lower(f.name) as name from system.functions f left join system.functions t on t.name = f.alias_to "
            f"where f.categories in ({categories}) or t.categories in ({categories}) or f.origin != 'System'"
        )
        return frozenset(row["name"] for row in told)


def _rows(answer: object) -> list[dict[str, Any]]:
    """JSON lines as rows. Not `splitlines`: a message may hold other characters that it takes for line ends."""
    return [json.loads(line) for line in str(answer).split("\n") if line]


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0")
    return f"'{escaped}'"


def _clickhouse_time(moment: datetime) -> str:
    """`2026-11-23 05:00:00.123456` in UTC, as the platform writes it: no T, no Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def _repair(path: Path, *, oldest: datetime) -> None:
    """Cuts off a line that a kill left half-written, and rows past their retention."""
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    first = re.search(rb'"timestamp": "([^"]+)"', whole[:4096])
    limit = _clickhouse_time(oldest).encode()
    if first and first[1] < limit:
        kept = [
            line for line in whole.splitlines(keepends=True) if (found := re.search(rb'"timestamp": "([^"]+)"', line)) and found[1] >= limit
        ]
        whole = b"".join(kept)
    if whole != content:
        path.write_bytes(whole)
