"""The same statements over the platform, the archive of its lines, and a ClickHouse server give the same answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from harness import Ended
from pydantic import SecretStr

from opsnb.checks.templates import template
from opsnb.collecting import collect as collecting
from opsnb.collecting.archive import Archive
from opsnb.config import load_environment, load_release
from opsnb.errors import SourceDenied, SourceError, SourceNonsense, SourceTimeout, UsageError
from opsnb.sources import Doors, kept_logs
from opsnb.sources.clickhouse import ClickHouse
from opsnb.sources.kept_logs import COLUMNS, KeptLogs, complete, folder_of, rewritten
from opsnb.sources.logs import Logs
from opsnb.sources.statements import statement

chdb_session: Any = pytest.importorskip("chdb.session")

STATEMENTS = sorted(
    entry.name.removesuffix(".sql") for entry in (resources.files("opsnb") / "sql" / "logs").iterdir() if entry.name.endswith(".sql")
)
PARAMS: dict[str, dict[str, Any]] = {
    "function_lines": {"parts": 4, "part": 1}, "function_calls": {"slow_ms": 50.0}, "probe_seen": {"mark": "none"},
    "key_events": {"words": ["ERROR", "FATAL", "merge_soap"]},
}  # fmt: skip
OF_FUNCTIONS = [
    name for name in STATEMENTS if not set(kept_logs.re.findall(r"'(\w+_logs)'", statement("logs", name).body)) - kept_logs.STREAMS
]
TEXTS = {"function_lines": "message", "function_error_templates": "template"}


@pytest.fixture(scope="module")
def hour() -> tuple[datetime, datetime]:
    """Whole minutes, because the platform rounds; before the collectors' tests, which call nothing."""
    until = datetime.now(UTC).replace(second=0, microsecond=0)
    return until - timedelta(minutes=40), until


@pytest.fixture
def folder(doors: Doors, tmp_path: Path, hour: tuple[datetime, datetime]) -> Path:
    logs: Any = doors.platform_logs
    events = ["merge_soap", "ERROR", "FATAL"]
    collecting.collect(logs, Archive(tmp_path / "kept"), names={}, events=events, since=hour[0], until=hour[1])
    return tmp_path / "kept"


def same(name: str, one: pd.DataFrame, other: pd.DataFrame) -> None:
    if name in TEXTS:  # what is kept of a text is its template
        one, other = (table.assign(**{TEXTS[name]: [template(str(text)) for text in table[TEXTS[name]]]}) for table in (one, other))
        keys = list(one.columns)
        one, other = (table.sort_values(keys, ignore_index=True) for table in (one, other))
    pd.testing.assert_frame_equal(one, other)


@pytest.mark.target
@pytest.mark.parametrize("name", OF_FUNCTIONS)
def test_the_archive_answers_as_the_platform(doors: Doors, folder: Path, hour: tuple[datetime, datetime], name: str) -> None:
    of_platform = doors.logs.query(name, *hour, **PARAMS.get(name, {})).table
    kept = KeptLogs(folder)
    of_archive = Logs(kept, longest=None).query(name, *hour, **PARAMS.get(name, {})).table
    kept.close()
    same(name, of_platform, of_archive)
    if name in ("function_calls", "function_statuses", "function_latency", "function_lines"):
        assert len(of_archive)


@pytest.mark.target
def test_what_the_archive_has_not_is_asked_of_the_platform_or_said(doors: Doors, folder: Path, hour: tuple[datetime, datetime]) -> None:
    alone, beside = KeptLogs(folder), KeptLogs(folder, rest=doors.platform)  # type: ignore[arg-type]
    for name in ("postgres_errors", "streams", "connection_timeouts", "key_events"):
        params = PARAMS.get(name, {})
        assert isinstance(Logs(alone).query(name, *hour, **params).error, SourceDenied)
        assert Logs(beside).query(name, *hour, **params).ok
    some = KeptLogs(folder, only_kept=True)
    words = Logs(some).query("key_events", *hour, **PARAMS["key_events"]).table
    assert "merge_soap" in set(words["word"])
    assert isinstance(Logs(some).query("postgres_errors", *hour).error, SourceDenied)
    for kept in (alone, beside, some):
        kept.close()


@pytest.mark.target
def test_beyond_what_is_complete_nothing_is_answered(doors: Doors, folder: Path, hour: tuple[datetime, datetime]) -> None:
    kept = KeptLogs(folder)
    for start, end in ((hour[0] - timedelta(minutes=1), hour[1]), (hour[0], hour[1] + timedelta(seconds=1))):
        error = Logs(kept).query("function_calls", start, end, slow_ms=1).error
        assert isinstance(error, SourceError) and "complete from" in str(error)
    error = Logs(KeptLogs(folder / "none")).query("function_calls", *hour, slow_ms=1).error
    assert isinstance(error, SourceError) and "nothing was collected" in str(error)
    (segment,) = list(folder.rglob("*.parquet"))[:1]
    segment.write_bytes(segment.read_bytes()[:-100])
    assert isinstance(Logs(kept).query("function_calls", *hour, slow_ms=1).error, SourceNonsense)
    kept.close()


@pytest.mark.target
def test_a_run_brings_the_archive_up_to_its_time(doors: Doors, target: Path) -> None:
    environment = load_environment("local", target)
    environment = environment.model_copy(update={"logs": environment.logs.model_copy(update={"archive": True})})
    release = load_release(environment.release, target)
    collect = partial(collecting.bring_up, environment=environment, release=release, root=target, hours=1)
    made = Doors(environment, release, phase="test", root=target, collect=collect)
    now = datetime.now(UTC)
    try:
        facts = made.logs.query("function_calls", now - timedelta(minutes=20), now, slow_ms=50)
        assert facts.table["n"].sum() > 0
        held = complete(folder_of(target, "local"))
        assert held is not None and held.until >= now - timedelta(seconds=1)
    finally:
        made.close()


def test_every_attribute_the_statements_read_is_kept() -> None:
    for name in STATEMENTS:
        if name in OF_FUNCTIONS:
            assert "log_attributes" not in rewritten(statement("logs", name).body)
        assert statement("logs", name).body.startswith("select")  # `logs` is bounded by what is put before
    with pytest.raises(UsageError, match=r"does not keep request\.body"):
        rewritten("select log_attributes['request.body'] from logs")


def test_an_archive_of_another_make_is_refused(tmp_path: Path) -> None:
    (tmp_path / "watermark.json").write_text('{"until": "2026-01-01T00:00:00+00:00"}')
    with pytest.raises(UsageError, match="format 2; remove the folder"):
        complete(tmp_path)


# ── a ClickHouse server: the real engine behind its HTTP interface ──


class Server(BaseHTTPRequestHandler):
    """What a ClickHouse server does with a statement: user and password, then rows or a code."""

    engine: Any
    answer: tuple[int, dict[str, str], str] | None = None

    def do_POST(self) -> None:
        sql = self.rfile.read(int(self.headers["content-length"])).decode()
        status, headers, text = 200, {}, ""
        if self.answer is not None:
            status, headers, text = self.answer
        elif self.headers["authorization"] != "Basic cmVhZGVyOnM=":
            status, headers, text = 403, {"X-ClickHouse-Exception-Code": "516"}, "Code: 516. DB::Exception: reader: Authentication failed"
        else:
            try:
                text = str(self.engine.query(sql))
            except Exception as error:  # chdb raises RuntimeError and its subclasses
                status, text = 500, str(error)
        body = text.encode()
        self.send_response(status)
        for key, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(engine: Any, answer: tuple[int, dict[str, str], str] | None = None) -> Iterator[str]:
    handler = type("One", (Server,), {"engine": engine, "answer": answer})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def engine(target: Path) -> Iterator[Any]:
    """An engine with a table of everything the local platform has logged."""
    from opsnb.local.logbook import COLUMNS as SAID

    session = chdb_session.Session()
    session.query("create database drained")
    session.query(f"create table drained.rows ({SAID}) engine = Memory")
    said = SAID.replace("LowCardinality(String)", "String").replace("'", "\\'")
    for path in (target / ".opsnb" / "local").rglob("*_logs.jsonl"):
        if path.stat().st_size:
            session.query(f"insert into drained.rows select * from file('{path}', JSONEachRow, '{said}')")
    yield session
    session.close()


def server_of(url: str, *, table: str = "drained.rows", password: str = "s") -> ClickHouse:
    return ClickHouse(url, table=table, user="reader", password=SecretStr(password), timeout_s=20)


@pytest.mark.target
def test_a_clickhouse_server_answers_as_the_platform(doors: Doors, engine: Any, hour: tuple[datetime, datetime]) -> None:
    with serving(engine) as url:
        house = server_of(url)
        for name in STATEMENTS:
            params = PARAMS.get(name, {})
            same(name, doors.logs.query(name, *hour, **params).table, Logs(house, longest=None).query(name, *hour, **params).table)
        # no day's limit: it is one's own server
        assert Logs(house, longest=None).query("function_calls", hour[1] - timedelta(days=3), hour[1], slow_ms=50).ok
        house.close()


@pytest.mark.target
@pytest.mark.parametrize(("change", "kind"), [({"password": "wrong"}, SourceDenied), ({"table": "drained.none"}, SourceNonsense)])
def test_what_the_server_refuses_is_said(engine: Any, hour: tuple[datetime, datetime], change: dict[str, str], kind: type) -> None:
    with serving(engine) as url:
        house = server_of(url, **change)
        error = Logs(house, longest=None).query("function_calls", *hour, slow_ms=50).error
        house.close()
    assert isinstance(error, kind) and "reader:" not in str(error)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [((500, {}, "Code: 159. DB::Exception: Timeout exceeded"), SourceTimeout), ((200, {}, '{"function_id": "f'), SourceNonsense),
     ((200, {}, "<html>"), SourceNonsense), ((200, {}, '["x"]'), SourceNonsense), ((502, {}, "bad gateway"), SourceNonsense),
     ((500, {}, "Code: 6. DB::Exception: Cannot parse 'Anna Example'"), SourceNonsense)],
)  # fmt: skip
def test_answers_gone_wrong_are_errors(answer: tuple[int, dict[str, str], str], kind: type) -> None:
    now = datetime.now(UTC)
    with serving(None, answer) as url:
        house = server_of(url)
        error = Logs(house, longest=None).query("function_calls", now - timedelta(hours=1), now, slow_ms=50).error
        house.close()
    assert isinstance(error, kind) and "Anna" not in str(error)


def test_the_columns_are_those_of_the_archive() -> None:
    assert list(COLUMNS) == list(collecting.COLUMNS)


@pytest.mark.target
def test_the_command(target: Path, opsnb: Any) -> None:
    def asked(*words: str) -> Ended:
        ended: Ended = opsnb("logs", "query", "local", *words)
        return ended

    assert asked("function_calls", "--set", "slow_ms=50").code == 0
    assert opsnb("logs", "collect", "local", "--hours", "1").code == 0
    ended = asked("key_events", "--set", 'words=["merge_soap"]', "--archive", "--hours", "0.5", "--json")
    assert ended.code == 0 and '"word": "merge_soap"' in ended.out
    for words, said in ((("nothing",), "no logs statement"), (("function_calls",), "slow_ms is missing"),
                        (("streams", "--until", "noon"), "expected a time"), (("streams", "--set", "x"), "NAME=VALUE")):  # fmt: skip
        ended = asked(*words)
        assert ended.code == 2 and said in ended.err, ended
