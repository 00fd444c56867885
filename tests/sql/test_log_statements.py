"""Every statement of opsnb/sql/logs in the embedded ClickHouse: its header is true, its numbers are right, it is bounded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any

import pytest

from opsnb.local.logbook import LogBook

chdb_session = pytest.importorskip("chdb.session")

FOLDER = resources.files("opsnb") / "sql" / "logs"
STATEMENTS = sorted(entry.name.removesuffix(".sql") for entry in FOLDER.iterdir() if entry.name.endswith(".sql"))
PARAMS: dict[str, dict[str, str]] = {
    "function_lines": {"parts": "1", "part": "0"},
    "function_calls": {"slow_ms": "5000.0"},
    "probe_seen": {"mark": "'run-1'"},
    "key_events": {"words": "['ERROR', 'FATAL', 'merge_soap']"},
}
DECLARED = {"text": {"String", "LowCardinality(String)"}, "integer": {"Int32", "UInt16"}, "bigint": {"UInt64", "Int64"},
            "float8": {"Float64", "Nullable(Float64)"},
            "timestamptz": {"DateTime64(6, 'UTC')", "DateTime('UTC')", "DateTime64(3, 'UTC')"}}  # fmt: skip


def edge(
    at: str, function: str, status: str, *, execution: str = "e", ms: str = "120.5", search: str = "", method: str = "POST", **more: str
) -> dict[str, Any]:
    attributes = {
        "function_id": function, "execution_id": execution, "execution_time_ms": ms, "request.method": method, "request.search": search,
        "request.url": f"https://x/functions/v1/f{search}", "response.status_code": status, **more,
    }  # fmt: skip
    return {
        "timestamp": f"2026-11-23 10:{at}",
        "source": "function_edge_logs",
        "event_message": f"{method} | {status}",
        "log_attributes": attributes,
    }


def line(
    at: str,
    function: str,
    message: str,
    *,
    execution: str = "e",
    level: str = "log",
    event_type: str = "Log",
    source: str = "function_logs",
) -> dict[str, Any]:
    attributes = {"function_id": function, "execution_id": execution, "level": level, "event_type": event_type}
    return {"timestamp": f"2026-11-23 10:{at}", "source": source, "event_message": message, "log_attributes": attributes}


def postgres(at: str, severity: str, state: str, role: str) -> dict[str, Any]:
    attributes = {"parsed.error_severity": severity, "parsed.sql_state_code": state, "parsed.user_name": role}
    return {"timestamp": f"2026-11-23 10:{at}", "source": "postgres_logs", "event_message": "secret row", "log_attributes": attributes}


ROWS = [
    edge("00:01", "f1", "200", execution="a1"),
    edge("00:02", "f1", "200", execution="a2", ms="6100.25"),
    edge("00:03", "f1", "500", execution="a3", ms=""),
    edge("00:04", "f1", "401", execution=""),
    edge("00:05", "f1", "401", execution="a5"),
    edge("06:00", "f1", "403", execution="a6"),
    edge("00:06", "f1", "200", method="OPTIONS"),
    edge("00:07", "f1", "200", execution="a7", search="?x=1&opsnb_probe=run-1"),
    edge("00:08", "f1", "503", execution="", search="?opsnb_probe=run-10"),
    edge("00:09", "f2", "504", execution="b1"),
    edge("00:10", "f2", "503", execution="b2"),
    edge("00:11", "f2", "", execution="b3"),
    line("00:01", "f1", "started", execution="a1"),
    line("00:02", "f1", "merge_soap ended", execution="a2"),
    line("00:03", "f1", 'Error: patient "Anna" of a@example.org is unknown (7c1f)\nat read (file:1:2)', execution="a3", level="error"),
    line("00:04", "f1", 'Error: patient "Bert" of bert@example.org is unknown (8d)', execution="a5", level="error"),
    line("00:09", "f2", "waiting", execution="b1"),
    line("00:12", "f2", "started, and never heard of again", execution="b9"),
    line("00:13", "f2", "worker boot error: syntax", execution="", level="error", event_type="BootFailure"),
    line("00:14", "f2", "PGRST003 Timed out acquiring connection from connection pool.", execution="b2", level="error"),
    line("00:15", "", "PGRST003 connection pool timed out", execution="", source="postgrest_logs"),
    postgres("00:16", "ERROR", "42501", "authenticator"),
    postgres("00:17", "ERROR", "42501", "authenticator"),
    postgres("00:18", "FATAL", "53300", "authenticator"),
    postgres("00:19", "LOG", "00000", "postgres"),
]


@pytest.fixture(scope="module")
def clickhouse() -> Iterator[Any]:
    """An embedded ClickHouse with the table `logs` and the rows above."""
    session = chdb_session.Session()
    database = "log_statements"
    session.query(f"drop database if exists {database}")
    session.query(f"create database {database}")
    session.query(f"use {database}")
    session.query(
        "create table logs (id String, timestamp DateTime64(6, 'UTC'), event_message String, severity_text String, "
        "source LowCardinality(String), log_attributes Map(String, String)) engine = Memory"
    )
    text = "".join(json.dumps({"id": str(number), "severity_text": "INFO", **row}) + "\n" for number, row in enumerate(ROWS))
    session.query(f"insert into logs format JSONEachRow {text}")
    yield session
    session.query(f"drop database {database}")
    session.close()


def statement(name: str, **params: str) -> str:
    """The statement with its parameters put in as the logs source does: ``{name}`` by a literal."""
    text = (FOLDER / f"{name}.sql").read_text(encoding="utf-8")
    for key, value in {**PARAMS.get(name, {}), **params}.items():
        text = text.replace(f"{{{key}}}", value)
    return text


def header(name: str) -> dict[str, str]:
    text = (FOLDER / f"{name}.sql").read_text(encoding="utf-8")
    return dict(re.findall(r"^-- (columns|params|needs|splits): +(.+)$", text, flags=re.MULTILINE))


def ask(session: Any, name: str, **params: str) -> list[dict[str, Any]]:
    return [json.loads(row) for row in str(session.query(statement(name, **params), "JSONEachRow")).splitlines()]


def by(rows: list[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    [row] = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    return row


@pytest.mark.parametrize("name", STATEMENTS)
def test_header_is_true(clickhouse: Any, name: str) -> None:
    """Columns and their types are those of the header, and the parameters are exactly the ones named."""
    said = header(name)
    text = (FOLDER / f"{name}.sql").read_text(encoding="utf-8")
    assert re.match(r"-- [A-Z].*\.\n-- columns:", text), "a header begins with one sentence and the columns"
    declared = [tuple(column.split()[:2]) for column in said["columns"].split(" | ")]
    rows = str(clickhouse.query(statement(name), "JSONCompactEachRowWithNamesAndTypes")).splitlines()
    assert json.loads(rows[0]) == [column for column, _ in declared]
    for (column, type_), found in zip(declared, json.loads(rows[1]), strict=True):
        assert found in DECLARED[type_], f"{column}: {found} is no {type_}"
    body = "\n".join(row for row in text.splitlines() if not row.startswith("--"))
    params = [] if said["params"] == "none" else [param.split()[0] for param in said["params"].split(" | ")]
    assert sorted(set(re.findall(r"\{(\w+)\}", body))) == sorted(params) == sorted(PARAMS.get(name, {}))
    assert said["needs"] == "nothing"
    assert not re.search(r"[{}]", re.sub(r"\{\w+\}", "", body)), "a brace is a parameter's"


@pytest.mark.parametrize("name", STATEMENTS)
def test_statement_is_of_the_platform_s_dialect(name: str) -> None:
    """No star, no join or sub-query, a source, a total order and at most 1000 rows."""
    body = "\n".join(row for row in statement(name).splitlines() if not row.startswith("--")).lower()
    assert body.count("select") == 1
    assert "select *" not in body
    assert "count(*)" not in body
    assert " join " not in body.replace("arrayjoin", "")
    assert re.search(r"\bsource (=|in)", body)
    assert "order by" in body
    assert int(re.search(r"limit (\d+)\s*$", body)[1]) <= 1000  # type: ignore[index]


@pytest.mark.parametrize("name", [name for name in STATEMENTS if header(name).get("splits") == "yes"])
def test_what_splits_is_no_sum(name: str) -> None:
    """A statement whose window may be cut in halves answers with rows, not with sums over the window."""
    assert "group by" not in statement(name)
    assert header(name)["columns"].startswith("at timestamptz")


def test_function_calls(clickhouse: Any) -> None:
    rows = ask(clickhouse, "function_calls")
    f1 = by(rows, function_id="f1", caller="caller")
    wanted = {
        "n": 6, "n_2xx": 2, "n_4xx": 3, "n_5xx": 1, "n_no_status": 0, "n_401": 2, "n_401_platform": 1, "n_403": 1, "n_slow": 1,
        "n_untimed": 1,
    }  # fmt: skip
    assert f1 | wanted == f1
    assert (f1["p50_ms"], f1["p99_ms"], f1["max_ms"]) == (120.5, 6100.25, 6100.25)
    probes = by(rows, function_id="f1", caller="probe")
    assert (probes["n"], probes["n_5xx"]) == (2, 1)
    assert by(rows, function_id="f2", caller="caller")["n_no_status"] == 1
    assert by(ask(clickhouse, "function_calls", slow_ms="100.0"), function_id="f1", caller="caller")["n_slow"] == 5


def test_function_calls_by_5min(clickhouse: Any) -> None:
    rows = ask(clickhouse, "function_calls_by_5min")
    first = by(rows, bucket="2026-11-23 10:00:00", function_id="f1")
    assert (first["n"], first["n_probes"], first["n_5xx"], first["n_401"]) == (5, 2, 1, 2)
    assert by(rows, bucket="2026-11-23 10:05:00", function_id="f1")["n_403"] == 1


def test_function_latency(clickhouse: Any) -> None:
    """Callers' timed calls, each in the one bucket that holds its time; buckets lie next to each other."""
    rows = [row for row in ask(clickhouse, "function_latency") if row["function_id"] == "f1"]
    assert [row["n"] for row in rows] == [4, 1]
    for row, ms in zip(rows, (120.5, 6100.25), strict=True):
        assert row["over_ms"] < ms <= row["upto_ms"]
        assert row["upto_ms"] / row["over_ms"] == pytest.approx(2 ** (1 / 8))


def test_function_statuses(clickhouse: Any) -> None:
    rows = ask(clickhouse, "function_statuses")
    found = {(row["function_id"], row["caller"], row["class"], row["raised_by"]): row["n"] for row in rows}
    assert found == {
        ("f1", "caller", "2xx", "function"): 2, ("f1", "caller", "4xx", "function"): 2, ("f1", "caller", "4xx", "platform"): 1,
        ("f1", "caller", "5xx", "function"): 1, ("f1", "probe", "2xx", "function"): 1, ("f1", "probe", "5xx", "platform"): 1,
        ("f2", "caller", "5xx", "function"): 2, ("f2", "caller", "none", "function"): 1,
    }  # fmt: skip


def test_function_error_templates(clickhouse: Any) -> None:
    """What differs from line to line is gone before it is counted; neither address nor id nor what was quoted is left."""
    rows = ask(clickhouse, "function_error_templates")
    assert {(row["function_id"], row["template"], row["n"], row["executions"]) for row in rows} == {
        ("f1", "Error: patient <text> of <mail> is unknown (<id>)", 2, 2),
        ("f2", "worker boot error: syntax", 1, 1),
        ("f2", "<id> Timed out acquiring connection from connection pool.", 1, 1),
    }


def test_function_error_codes(clickhouse: Any) -> None:
    """Who raised it tells a function that answered 503 from a platform that could not start it."""
    rows = ask(clickhouse, "function_error_codes")
    found = {(row["function_id"], row["status"], row["raised_by"], row["n"], row["executions"], row["execution_id"]) for row in rows}
    assert found == {
        ("f1", 500, "function", 1, 1, "a3"), ("f1", 503, "platform", 1, 1, ""), ("f2", 503, "function", 1, 1, "b2"),
        ("f2", 504, "function", 1, 1, "b1"),
    }  # fmt: skip


def test_executions_without_end(clickhouse: Any) -> None:
    rows = ask(clickhouse, "executions_without_end")
    assert {(row["execution_id"], row["status"], row["function_id"]) for row in rows} == {("b1", 504, "f2"), ("b9", 0, "f2")}


def test_boot_errors(clickhouse: Any) -> None:
    """A 503 the function answered itself (b2) is none."""
    rows = ask(clickhouse, "boot_errors")
    assert {(row["function_id"], row["sign"], row["n"]) for row in rows} == {("f1", "answered 503", 1), ("f2", "boot failure", 1)}


def test_postgres_errors(clickhouse: Any) -> None:
    rows = ask(clickhouse, "postgres_errors")
    assert [(row["severity"], row["sqlstate"], row["role"], row["n"]) for row in rows] == [
        ("ERROR", "42501", "authenticator", 2), ("FATAL", "53300", "authenticator", 1),
    ]  # fmt: skip


def test_connection_timeouts(clickhouse: Any) -> None:
    rows = ask(clickhouse, "connection_timeouts")
    assert [(row["log"], row["function_id"], row["n"]) for row in rows] == [("function_logs", "f2", 1), ("postgrest_logs", "", 1)]


@pytest.mark.parametrize(("mark", "n"), [("'run-1'", 1), ("'run-10'", 1), ("'run'", 0), ("''", 0)])
def test_probe_seen_means_the_whole_mark(clickhouse: Any, mark: str, n: int) -> None:
    assert sum(row["n"] for row in ask(clickhouse, "probe_seen", mark=mark)) == n


def test_streams(clickhouse: Any) -> None:
    assert {row["log"]: row["n"] for row in ask(clickhouse, "streams")} == {
        "function_edge_logs": 12, "function_logs": 8, "postgres_logs": 4, "postgrest_logs": 1,
    }  # fmt: skip


def test_key_events(clickhouse: Any) -> None:
    rows = ask(clickhouse, "key_events")
    assert by(rows, word="merge_soap")["n"] == 1
    assert by(rows, word="FATAL")["log"] == "postgres_logs"
    assert by(rows, word="ERROR", log="function_logs", function_id="f1")["n"] == 2


@pytest.mark.parametrize("name", STATEMENTS)
def test_the_embedded_platform_takes_it(book: Any, name: str) -> None:
    """The guard of the embedded platform refuses none of them."""
    start = datetime(2026, 11, 23, tzinfo=UTC)
    assert isinstance(book.query(statement(name), start, start + timedelta(days=1)), list)


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    logbook = LogBook(tmp_path_factory.mktemp("logs"))
    yield logbook
    logbook.close()
