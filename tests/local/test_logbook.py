"""The logs: what was written is found, windows hold, and SQL from outside sees nothing but `logs`."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from opsnb.local.analytics import window
from opsnb.local.answers import Problem
from opsnb.local.logbook import MAX_ROWS, LogBook, LogQueryError
from opsnb.local.pglog import PostgresLog

NOW = datetime.now(UTC).replace(microsecond=123456)
HOUR = timedelta(hours=1)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[LogBook]:
    book = LogBook(tmp_path / "log's folder")
    yield book
    book.close()


def ask(book: LogBook, sql: str) -> list[dict[str, object]]:
    return book.query(sql, NOW - HOUR, NOW + HOUR)


def count(book: LogBook) -> object:
    return ask(book, "select count() as n from logs")[0]["n"]


def test_a_row_comes_back_as_it_was_written(book: LogBook) -> None:
    message = 'it\'s "quoted" \\ back \n line \t é \u2028 {json}'
    id_ = book.write("function_edge_logs", message, severity="ERROR", attributes={"request.search": "?a='b'"}, timestamp=NOW)
    sql = "select id, timestamp, event_message, severity_text, source, log_attributes from logs"
    assert ask(book, sql) == [{
        "id": id_,
        "timestamp": NOW.strftime("%Y-%m-%d %H:%M:%S.123456"),
        "event_message": message,
        "severity_text": "ERROR",
        "source": "function_edge_logs",
        "log_attributes": {"request.search": "?a='b'"},
    }]  # fmt: skip
    assert ask(book, "select log_attributes['nothing'] as x from logs") == [{"x": ""}]


@settings(deadline=None, max_examples=30)
@example("\x85 \u2028 \x1c \r \0")
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=50))
def test_any_text_survives(shared_book: LogBook, text: str) -> None:
    shared_book.clear()
    shared_book.write("function_logs", text, attributes={"level": text}, timestamp=NOW)
    assert ask(shared_book, "select event_message as m, log_attributes['level'] as l from logs") == [{"m": text, "l": text}]


@pytest.fixture(scope="module")
def shared_book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LogBook]:
    book = LogBook(tmp_path_factory.mktemp("shared"))
    yield book
    book.close()


def test_a_window_holds_its_start_and_not_its_end(book: LogBook) -> None:
    for seconds in (-1, 0, 59, 60):
        book.write("function_logs", str(seconds), timestamp=NOW + timedelta(seconds=seconds))
    rows = book.query("select event_message as m from logs order by timestamp", NOW, NOW + timedelta(seconds=60))
    assert [row["m"] for row in rows] == ["0", "59"]


def test_rows_written_before_and_after_the_first_question_are_found_and_survive(book: LogBook) -> None:
    book.write("function_logs", "before", timestamp=NOW)
    assert count(book) == 1
    book.write("edge_logs", "after", timestamp=NOW)
    assert count(book) == 2
    book.close()
    again = LogBook(book.folder)
    assert count(again) == 2
    again.clear()
    assert count(again) == 0 and list(book.folder.glob("*.jsonl")) == []
    again.write("function_logs", "new", timestamp=NOW)
    assert count(again) == 1
    again.close()


def test_a_line_cut_off_by_a_kill_is_dropped_and_old_rows_go(book: LogBook) -> None:
    book.write("function_logs", "older than the retention", timestamp=NOW - timedelta(days=8))
    book.write("function_logs", "whole", timestamp=NOW)
    book.close()
    path = book.folder / "function_logs.jsonl"
    path.write_bytes(path.read_bytes() + b'{"id": "half a li')
    again = LogBook(book.folder)
    assert [row["m"] for row in ask(again, "select event_message as m from logs")] == ["whole"]
    again.close()
    assert len(path.read_text().splitlines()) == 1


def test_files_are_private_and_a_source_must_be_known(book: LogBook) -> None:
    book.write("function_logs", "x")
    assert stat.S_IMODE((book.folder / "function_logs.jsonl").stat().st_mode) == 0o600
    with pytest.raises(ValueError, match="no log source is called"):
        book.write("../../etc/passwd", "x")


def test_many_threads_write_and_ask_at_once(book: LogBook) -> None:
    def work() -> None:
        for number in range(50):
            book.write("function_logs", "x", timestamp=NOW)
            if number % 25 == 0:
                count(book)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(book) == 200


def test_at_most_a_thousand_rows_come_back(book: LogBook) -> None:
    for _ in range(MAX_ROWS + 50):
        book.write("function_logs", "x", timestamp=NOW)
    assert len(ask(book, "select id from logs")) == MAX_ROWS
    assert count(book) == MAX_ROWS + 50


ALLOWED = [
    "select toStartOfFiveMinutes(timestamp) as bucket, count() as n from logs group by bucket order by bucket limit 1000",
    "select quantileExact(0.95)(toFloat64OrNull(log_attributes['execution_time_ms'])) as p95 from logs limit 10",
    "select arrayJoin(mapKeys(log_attributes)) as key, count() as n from logs group by key order by n desc limit 100",
    "select event_message as m from logs where match(event_message, '(?i)\\\\b(error|fatal)\\\\b') or event_message ilike '%x%' limit 9;",
    "with bad as (select id from logs where source = 'function_logs') select count() as n from bad -- a comment ; here",
    "select a.id as id from logs a join (select id from logs) b on a.id = b.id where a.source in ('x', 'function_logs') limit 5",
    "select event_message as m, row_number() over (partition by source order by timestamp) as r from logs limit 5",
    "select if(log_attributes['execution_id'] = '', 'platform', 'function') as raised_by, count() as n from logs group by raised_by",
    "select 1 as a union all select 2 as a",
    "select exists(select 1 from logs) as there, ';' as s",
]


@pytest.mark.parametrize("sql", ALLOWED)
def test_plain_selects_over_logs_run(shared_book: LogBook, sql: str) -> None:
    shared_book.clear()
    shared_book.write("function_logs", "an ERROR", attributes={"execution_time_ms": "12.5"}, timestamp=NOW)
    assert ask(shared_book, sql)


def hostile(folder: Path) -> list[str]:
    """Ways out of the view. *folder* holds a file `secret` and may not gain another."""
    secret, out = f"'{folder}/secret'", f"'{folder}/out'"
    return [
        f"select file({secret}) as x",
        f"select FILE({secret}) as x",
        f"select line as x from file({secret}, 'LineAsString', 'line String')",
        f"select x from (select line as x from file({secret}, LineAsString, 'line String'))",
        f"select 1 as x from logs where id in (select line from file({secret}, LineAsString, 'line String'))",
        f"with t as (select line from file({secret}, LineAsString, 'line String')) select line from t",
        f"select columns('p') apply file from (select {secret} as p)",
        f"select * apply(file) from (select {secret} as p)",
        f"select arrayMap(p -> file(p), [{secret}]) as x",
        f"select 1 as x into outfile {out}",
        f"select 1 as x from logs into outfile {out} format CSV",
        f"select 1 as x; select 2 as y into outfile {out}",
        f"select 1) into outfile {out} -- ",
        f"insert into function file({out}, CSV) select 1",
        "select x from url('http://127.0.0.1:9/', CSV, 'x String')",
        "select x from remote('127.0.0.1', system.one)",
        "select x from postgresql('127.0.0.1:5432', 'a', 'b', 'c', 'd')",
        "select x from sqlite('/tmp/a.db', 'x')",
        "select x from python('os')",
        "select x from Python(os)",
        "select x from executable('id', TSV, 'x String')",
        "select id from merge('.*', '.*')",
        "select number from numbers(10)",
        "select number from system.numbers limit 1",
        "select name from system.tables",
        "select name from `system`.`tables`",
        "select name from SYSTEM.tables",
        "select table_name from information_schema.tables",
        "select 1 as x where 'logs' in system.one",
        "with system.one as t select 1 as x where 0 in t",
        "select joinGet('a.b', 'c', 1) as x",
        "select dictGet('a', 'b', 1) as x",
        "select hostName() as x",
        "select getSetting('readonly') as x",
        "select sleepEachRow(3) as x from logs",
        "select 1 as x settings readonly = 0",
        "select x from (select 1 as x settings max_execution_time = 0)",
        "set readonly = 0",
        "use system",
        "show tables",
        "describe table logs",
        "explain select 1",
        "drop view logs",
        "truncate table logs",
        "insert into logs (id) values ('x')",
        "create table t (x Int8) engine = Memory",
        "attach table t",
        "kill query where 1",
        "system flush logs",
        "select {x:String} as x",
        "select * from logs",
        "select count(*) as n from logs",
        "select logs.* from logs",
        "select nothing from logs",
        "select",
        "",
        ";",
        "\0",
    ]


def test_no_sql_from_outside_reaches_anything_but_logs(shared_book: LogBook, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("the secret")
    shared_book.clear()
    shared_book.write("function_logs", "row", timestamp=NOW)
    for sql in hostile(tmp_path):
        with pytest.raises(LogQueryError) as refused:
            pytest.fail(f"{sql!r} answered {ask(shared_book, sql)}")
        assert str(refused.value) and "the secret" not in str(refused.value)
        assert "rows_" not in str(refused.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret"]
    assert count(shared_book) == 1


def test_two_books_do_not_see_each_other(book: LogBook, shared_book: LogBook) -> None:
    shared_book.clear()
    book.write("function_logs", "x", timestamp=NOW)
    assert (count(book), count(shared_book)) == (1, 0)


# -- windows of the endpoint


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-23T{text}+00:00")


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2026-11-23T10:00:00Z", "2026-11-23T10:30:00Z", (at("10:00:00"), at("10:30:00"))),
        ("2026-11-23T10:00:59Z", "2026-11-23T10:30:01Z", (at("10:00:00"), at("10:31:00"))),
        ("2026-11-23T10:00:00", None, (at("10:00:00"), at("10:01:00"))),
        (None, "2026-11-23T11:00:00+01:00", (at("09:59:00"), at("10:00:00"))),
    ],
)
def test_windows_are_whole_minutes(start: str | None, end: str | None, expected: tuple[datetime, datetime]) -> None:
    assert window(start, end, at("12:00:00")) == expected


def test_without_bounds_the_window_is_the_last_minute() -> None:
    start, end = window(None, None, at("12:00:00"))
    assert start == at("11:59:00") and timedelta(0) < end - at("12:00:00") < timedelta(seconds=1)
    with pytest.raises(Problem, match="24 hours"):
        window("2026-11-22T09:59:59Z", "2026-11-23T10:00:00Z", at("12:00:00"))


# -- the server's own log


def entry(message: str, **more: object) -> str:
    stamp = NOW.strftime("%Y-%m-%d %H:%M:%S.123 UTC")
    return json.dumps({"timestamp": stamp, "error_severity": "ERROR", "state_code": "42501", "user": "anon", "message": message, **more})


def test_the_server_s_log_is_followed_once_each_line_and_across_restarts(book: LogBook, tmp_path: Path) -> None:
    server, place = tmp_path / "log", tmp_path / "place.json"
    server.mkdir()
    (server / "a.json").write_text(entry("one", detail="Key (email)=(a@b) exists", statement="insert into x") + "\n" + entry("half")[:20])
    follower = PostgresLog(server, book, place)
    assert follower.look() == 1 and follower.look() == 0
    with (server / "a.json").open("a") as file:
        file.write(entry("half")[20:] + "\nnot json\n")
    (server / "b.json").write_text(entry("three") + "\n")
    assert PostgresLog(server, book, place).look() == 2
    (server / "b.json").write_text("")
    with (server / "b.json").open("a") as file:
        file.write(entry("four") + "\n")
    follower = PostgresLog(server, book, place)
    follower.skip()
    assert follower.look() == 0
    sql = """select event_message as m, timestamp as t, log_attributes['parsed.error_severity'] as s,
             log_attributes['parsed.sql_state_code'] as c, log_attributes['parsed.user_name'] as u, mapKeys(log_attributes) as k
             from logs where source = 'postgres_logs' order by m limit 10"""
    rows = ask(book, sql)
    assert [row["m"] for row in rows] == ["half", "one", "three"]
    assert {(row["s"], row["c"], row["u"]) for row in rows} == {("ERROR", "42501", "anon")}
    assert rows[0]["t"] == NOW.strftime("%Y-%m-%d %H:%M:%S.123000")
    assert "Key (email)" not in json.dumps(rows) and "insert into x" not in json.dumps(rows)
