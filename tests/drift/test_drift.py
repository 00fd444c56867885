"""Every planted change is found and named, and nothing else; an untouched catalogue has no difference. On PostgreSQL 15, 16 and 18."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pandas as pd
import psycopg
import pytest
from clusters import VERSIONS, bare
from planted import PLANTED, RICH, ROLES, Planted
from pydantic import SecretStr

from opsnb.checks import drift
from opsnb.evidence import baseline
from opsnb.facts import Facts
from opsnb.sources import catalogue
from opsnb.sources.postgres import Postgres
from opsnb.verdicts import CheckResult, Verdict

AGAINST = "the baseline of 2026-11-20"
seen: dict[tuple[str, int], str] = {}


def read(dsn: str) -> Facts:
    with Postgres(SecretStr(dsn), phase="test") as db:
        facts = catalogue.read(db)
    assert facts.error is None, facts.error
    return facts


def judge(now: Facts | pd.DataFrame, was: Facts | pd.DataFrame) -> CheckResult:
    return drift.none(now, was, against=AGAINST)


def apply(dsn: str, sql: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(sql.encode())


class Rich:
    """The schema of planted.py on one server: what was captured of it, and copies to change."""

    def __init__(self, version: int, stack: ExitStack) -> None:
        self.cluster = bare(version)
        self.dsn = stack.enter_context(self.cluster.fresh(supabase=True))
        apply(self.dsn, ROLES)
        apply(self.dsn, RICH)
        self.captured = read(self.dsn)
        self._number = 0
        self._connection = psycopg.connect(self.dsn, autocommit=True)
        stack.callback(lambda: self._connection.close())

    def after(self, sql: str) -> pd.DataFrame:
        """The catalogue as *sql* makes it, which is then taken back: read inside its transaction, so without the door's own."""
        if self._connection.closed:
            self._connection = psycopg.connect(self.dsn, autocommit=True)
        with self._connection.transaction(force_rollback=True):
            self._connection.execute(sql.encode())
            self._connection.execute(catalogue._PRINTING)
            return catalogue.frame(catalogue._read(self._connection, None, {}))

    @contextmanager
    def copy(self) -> Iterator[str]:
        """A database of its own with the same schema, for what cannot be taken back or must be read through the door."""
        self._connection.close()  # a template may have no guests
        self._number += 1
        name = f"copy_{self._number}"
        template = self.dsn.rpartition("/")[2]
        apply(self.cluster.dsn("postgres"), f"create database {name} template {template} strategy file_copy")
        try:
            yield self.cluster.dsn(name)
        finally:
            apply(self.cluster.dsn("postgres"), f"drop database {name} with (force)")


@pytest.fixture(scope="module")
def riches() -> Iterator[object]:
    with ExitStack() as stack:
        yield cache(lambda version: Rich(version, stack))


@pytest.fixture(params=VERSIONS, ids=lambda version: f"pg{version}", scope="module")
def rich(request: pytest.FixtureRequest, riches: object) -> Rich:
    return riches(request.param)  # type: ignore[operator,no-any-return]


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_a_planted_change_is_found_and_nothing_else(rich: Rich, planted: Planted) -> None:
    key = planted.name, rich.cluster.version
    seen[key] = "missed"
    result = judge(rich.after(planted.sql), rich.captured)
    assert result.table is not None
    told = {(row.kind, row.object, row.change, row.what) for row in result.table.itertuples()}
    if told >= set(planted.found):
        seen[key] = "found" if told == set(planted.found) else "found, and more"
    assert told == set(planted.found)
    assert result.verdict is (Verdict.FAIL if planted.severity == "error" else Verdict.WARN), result.table.to_string()
    assert all(result.table["who could be hurt"])
    assert not any(result.table["who could be hurt"].str.contains("Not known")), result.table.to_string()
    assert planted.found[0][1] in result.summary or len(planted.found) > 1
    assert result.measured == len(planted.found)


def test_what_was_planted_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Last of the planted: the table, for people, and that there are enough of them."""
    versions = sorted({version for _, version in seen})
    if not versions:
        pytest.skip("no change was planted in this run")
    with capsys.disabled():
        width = max(len(planted.name) for planted in PLANTED)
        print(f"\n\n{'planted change':{width}}  " + "  ".join(f"{f'PostgreSQL {version}':14}" for version in versions))
        for planted in PLANTED:
            told = (seen.get((planted.name, version), "not run") for version in versions)
            print(f"{planted.name:{width}}  " + "  ".join(f"{each:14}" for each in told))
        print(f"{len(PLANTED)} changes, found {sum(each == 'found' for each in seen.values())} of {len(seen)}")
    assert len(PLANTED) >= 30
    assert len({planted.name for planted in PLANTED}) == len(PLANTED)


def test_untouched_is_no_difference(rich: Rich) -> None:
    """Neither use, nor upkeep, nor settings of the session, the database or the role make one."""
    with rich.copy() as dsn:
        assert judge(read(dsn), rich.captured).verdict is Verdict.PASS
        database = dsn.rpartition("/")[2]
        apply(
            dsn,
            "insert into clinic.people (subject, name, email) values ('a', 'b', 'c@d'); "
            "insert into clinic.notes (patient_id, body) select id, 'x' from clinic.people; update clinic.people set name = 'z'; "
            "insert into clinic.log values ('2025-03-01', 'x', null); select nextval('clinic.numbers'), nextval('clinic.numbers'); "
            "refresh materialized view clinic.counts; analyze; reindex table clinic.notes; truncate clinic.log; "
            "comment on table clinic.people is 'people'; alter table clinic.people alter column name set statistics 500",
        )
        apply(dsn, "vacuum full clinic.people")
        apply(
            dsn,
            f"alter database {database} set search_path = clinic, private, public; alter database {database} set datestyle = 'German'; "
            f"alter database {database} set intervalstyle = 'iso_8601'; alter database {database} set timezone = 'Asia/Tokyo'; "
            f"alter database {database} set quote_all_identifiers = on",
        )
        result = judge(read(dsn), rich.captured)
        assert result.verdict is Verdict.PASS, result.table.to_string() if result.table is not None else result.summary
        assert result.measured == 0


def test_a_written_baseline_is_no_difference(rich: Rich, tmp_path: Path) -> None:
    """Through the file and back; one object a line, and a change is one line of a diff."""
    path = baseline.path_of(tmp_path, "r")
    told = {"environment": "e", "release": "r", "captured_at": datetime(2026, 11, 20, tzinfo=UTC), "server_version": "1"}
    baseline.write(path, rich.captured, **told)
    assert judge(read(rich.dsn), baseline.read(path)).verdict is Verdict.PASS
    before = path.read_text().splitlines()
    changed = rich.after("alter table clinic.notes disable row level security")
    baseline.write(path, Facts("postgres", "", 0, answer=changed), **told)
    after = path.read_text().splitlines()
    assert len(before) == len(after) == len(rich.captured) + 1
    assert sum(one != other for one, other in zip(before[1:], after[1:], strict=True)) == 1
    assert not any("select 'hunter2'" in line or "begin return new" in line for line in before), "bodies are hashes"


@pytest.mark.parametrize("was", VERSIONS)
def test_another_major_version_is_no_difference(rich: Rich, riches: object, was: int) -> None:
    """What servers only write differently is left out, and the summary names both versions."""
    before = riches(was)  # type: ignore[operator]
    result = judge(rich.captured, before.captured)
    assert result.verdict is Verdict.PASS, result.table.to_string() if result.table is not None else result.summary
    assert ("It was captured on" in result.summary) is (was != rich.cluster.version)


def test_another_major_version_hides_no_change(riches: object) -> None:
    """A view that shows more rows is one, whatever the version it was captured on."""
    old, new = riches(15), riches(18)  # type: ignore[operator]
    wider = "create or replace view clinic.names with (security_invoker = on) as select id, name from clinic.people where role <> 'patient'"
    result = judge(new.after(wider), old.captured)
    assert result.table is not None
    assert result.table[["object", "what"]].to_numpy().tolist() == [["clinic.names", "definition"]]


def test_many_changes_at_once(rich: Rich) -> None:
    """Worst first, each told once, and the way back is no difference."""
    now = rich.after(
        'create index more on clinic.notes (amount); alter policy "own row" on clinic.people using (true); drop table clinic.log'
    )
    result = judge(now, rich.captured)
    assert result.table is not None
    assert result.table["severity"].tolist() == ["error", "error", "warning"]
    log = result.table[result.table["object"] == "clinic.log"].iloc[0]
    assert log["is"] == "—"
    assert "9 columns" in log["was"]
    policy = result.table[result.table["kind"] == "policy"].iloc[0]
    assert (policy["was"], policy["is"]) == ("(id = auth.uid())", "true")
    back = judge(rich.captured, now)
    assert back.table is not None
    assert set(back.table["change"]) == {"added", "removed", "changed"}


def test_nothing_stronger_than_access_share(rich: Rich, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the transaction is open; and tables held by writers, or altered ones, are not waited for."""
    modes: set[str] = set()
    original = catalogue._read

    def looking(connection: psycopg.Connection[tuple[object, ...]], *rest: object) -> object:
        found = original(connection, *rest)  # type: ignore[arg-type]
        with psycopg.connect(rich.dsn, autocommit=True) as other:
            asked = "select mode from pg_locks where pid = %s and locktype = 'relation'"
            modes.update(mode for (mode,) in other.execute(asked, [connection.info.backend_pid]))
            state = "select xact_start, backend_xid from pg_stat_activity where pid = %s"
            assert [each is None for each in other.execute(state, [connection.info.backend_pid]).fetchone() or ()] == [False, True]
        return found

    monkeypatch.setattr(catalogue, "_read", looking)
    with psycopg.connect(rich.dsn) as holder:
        holder.execute("lock table clinic.people, clinic.notes, clinic.log in exclusive mode")
        assert judge(read(rich.dsn), rich.captured).verdict is Verdict.PASS
    assert modes == {"AccessShareLock"}
    with psycopg.connect(rich.dsn) as holder, Postgres(SecretStr(rich.dsn), phase="test") as db:
        holder.execute("lock table clinic.people in access exclusive mode")
        started = time.perf_counter()
        facts = catalogue.read(db)
        assert time.perf_counter() - started < 5
        assert facts.ok or "holds a lock" in str(facts.error)


def test_a_role_without_rights_reads_the_same(rich: Rich) -> None:
    """The catalogue is everybody's; of the buckets it says that they could not be read, and no verdict is passed on them."""
    naked = read(rich.dsn.replace("postgres@", "naked@"))
    result = judge(naked, rich.captured)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "storage buckets could not be read" in result.summary
    assert result.measured == 0


def test_hidden_buckets_are_not_missing_ones(rich: Rich) -> None:
    """Row-level security that would hide buckets from the reader is a reason not to judge, never 'removed'."""
    with rich.copy() as dsn:
        apply(
            dsn,
            "grant usage on schema storage to naked; grant select on storage.buckets to naked; "
            "alter table storage.buckets enable row level security",
        )
        result = judge(read(dsn.replace("postgres@", "naked@")), rich.captured)
    assert result.table is not None
    assert "bucket" not in set(result.table["kind"])


def test_no_secret_is_read(rich: Rich) -> None:
    """Options of foreign servers and user mappings, and how a subscription connects, are in no row."""
    with rich.copy() as dsn:
        apply(
            dsn,
            "create foreign data wrapper w; create server far foreign data wrapper w options (password 'hunter2'); "
            "create user mapping for clerk server far options (password 'hunter2'); "
            "create foreign table clinic.far (a integer options (token 'hunter2')) server far options (password 'hunter2'); "
            "create function clinic.sly() returns text language sql as 'select ''hunter2'''; "
            "create subscription sub connection 'host=nowhere password=hunter2' publication p with (connect = false)",
        )
        try:
            facts = read(dsn)
        finally:
            apply(dsn, "alter subscription sub disable")
            apply(dsn, "alter subscription sub set (slot_name = none)")
            apply(dsn, "drop subscription sub")
    assert not facts.table["properties"].str.contains("hunter2").any()
    assert '"server": "far"' in facts.table.set_index("object").loc["clinic.far", "properties"]
