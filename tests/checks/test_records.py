"""The cumulative records: recent, whole, well formed, updated. Judged on made-up tables, then on a clinic that is broken and mended."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest
import yaml
from clusters import bare
from pydantic import SecretStr

from opsnb.checks import records
from opsnb.facts import Facts
from opsnb.local.patients import clinic, fill
from opsnb.sources import merges, shape_sql
from opsnb.sources.postgres import Postgres
from opsnb.verdicts import CheckResult, Verdict


def recent(**changes: Any) -> pd.DataFrame:
    return pd.DataFrame([{"number": 1, "updated_s_ago": 60.0, "kind": "object", "keys": 3, "counts": {"conditions": 2}, **changes}])


def test_recent_merge() -> None:
    """Slow, no object, no array and the future fail; nothing recent decides nothing."""
    asked: dict[str, Any] = {"seconds": 0.1, "limit_s": 1, "array": "conditions"}
    assert records.recent_merge(recent(), **asked).verdict is Verdict.PASS
    assert records.recent_merge(recent(), **{**asked, "seconds": 1.1}).verdict is Verdict.FAIL
    assert records.recent_merge(recent(kind="array"), **asked).verdict is Verdict.FAIL
    assert records.recent_merge(recent(kind=None), **asked).verdict is Verdict.FAIL
    assert records.recent_merge(recent(counts={"conditions": None}), **asked).verdict is Verdict.FAIL
    assert records.recent_merge(recent(counts=None), **asked).verdict is Verdict.FAIL
    assert records.recent_merge(recent(updated_s_ago=-50.0), **asked).verdict is Verdict.FAIL
    on_its_way = records.recent_merge(recent(updated_s_ago=-0.01), **asked)
    assert on_its_way.verdict is Verdict.PASS and "updated 0 s ago" in on_its_way.summary
    assert records.recent_merge(recent().iloc[:0], **asked).verdict is Verdict.INCONCLUSIVE
    slow = records.recent_merge(recent().iloc[:0], **{**asked, "seconds": 2, "hint": "An index is missing."})
    assert slow.verdict is Verdict.FAIL and slow.summary == "The query took 2.000 s, limit 1 s. An index is missing."
    assert records.recent_merge(recent(), **{**asked, "seconds": float("nan")}).verdict is Verdict.FAIL


def test_array_keys() -> None:
    """Also behind references; a schema that says nothing of keys, or refers to itself, has none."""
    schema = {
        "properties": {
            "a": {"$ref": "#/$defs/list"},
            "b": {"type": "array"},
            "c": True,
            "d": {"$ref": "#/$defs/none"},
            "e": {"type": "object"},
        },
        "$defs": {"list": {"$ref": "#/$defs/a~1b"}, "a/b": {"type": "array"}},
    }
    assert records.array_keys(schema) == ["a", "b"]
    assert records.array_keys({"$ref": "#/$defs/x", "$defs": {"x": schema}}) == ["b"]
    for odd in (True, {}, {"properties": []}, {"properties": {"a": {"$ref": "#/properties/a"}}}):
        assert records.array_keys(odd) == []


def rules(*counts: tuple[int, int], not_judged: str = "") -> pd.DataFrame:
    """Rules as (values looked at, values that break them), and one that was not judged."""
    rows: list[dict[str, Any]] = [
        {
            "rule": f"#/properties/k{n}/type",
            "keyword": "type",
            "where": f"k{n}",
            "seen": seen,
            "records": min(broken, 1),
            "violations": broken,
        }
        for n, (seen, broken) in enumerate(counts)
    ]
    rows = [{**row, "not_judged": ""} for row in rows]
    if not_judged:
        rows.append({"rule": "#/not", "keyword": "not", "where": "the record", "not_judged": not_judged})
    return pd.DataFrame(rows).assign(looked_at=max(seen for seen, _ in counts)).convert_dtypes()


def test_shape() -> None:
    """One violation fails and is first; no record to look at, or a rule nobody judged, decides nothing."""
    sound = records.shape(rules((10, 0), (10, 0)))
    assert (sound.verdict, sound.summary) == (Verdict.PASS, "The newest 10 records break none of 2 rules.")
    assert records.shape(rules((10, 0), (0, 0))).summary == "The newest 10 records break none of 2 rules; 1 of them met no value."
    assert records.shape(rules((0, 0), (0, 0))).verdict is Verdict.INCONCLUSIVE
    broken = records.shape(rules((10, 0), (10, 3), not_judged="too odd"))
    assert broken.verdict is Verdict.FAIL
    assert broken.summary == "1 of 2 rules broken; most often: k1: type, in 1 record of 10. 1 rule not judged: #/not (too odd)."
    assert broken.table is not None
    assert list(broken.table["severity"]) == ["error", "undecided", "note"]
    assert broken.table.iloc[0]["finding"] == "3 of 10 values break it, in 1 record"
    left_out = records.shape(rules((10, 0), not_judged="too odd"))
    assert left_out.verdict is Verdict.INCONCLUSIVE and "but 1 rule not judged: #/not (too odd)." in left_out.summary
    assert records.shape(rules((10, 0)).assign(violations=None)).verdict is Verdict.ERROR


def test_no_nulls() -> None:
    """A NULL and a missing column fail; a column nobody could read was not measured."""

    def judge(nulls: float | None, declared: bool = False, problem: str = "") -> Verdict:
        row = {"table_name": "records", "column_name": "user_id", "not_null": declared, "nulls": nulls, "problem": problem}
        return records.no_nulls(pd.DataFrame([row, {**row, "nulls": 0, "problem": ""}])).verdict

    assert judge(0) is Verdict.PASS
    assert judge(0, declared=True) is Verdict.PASS
    assert judge(3) is Verdict.FAIL
    assert judge(None) is Verdict.FAIL
    assert judge(None, problem="no table") is Verdict.FAIL
    for problem in ("row security", "no right", "too large"):
        assert judge(None, problem=problem) is Verdict.ERROR


def test_updated() -> None:
    """A note that is not merged fails; nothing signed, or only just, decides nothing."""

    def judge(notes: int, merged: int, waiting: int, not_merged: int, **more: Any) -> Verdict:
        row = {"notes": notes, "merged": merged, "waiting": waiting, "not_merged": not_merged, "without_record": 0, **more}
        return records.updated(pd.DataFrame([{**row, "oldest_not_merged_s": 500.0 if not_merged else None}])).verdict

    assert judge(4, 4, 0, 0) is Verdict.PASS
    assert judge(4, 3, 1, 0) is Verdict.PASS
    assert judge(4, 3, 0, 1) is Verdict.FAIL
    assert judge(0, 0, 0, 0) is Verdict.INCONCLUSIVE
    assert judge(1, 0, 1, 0) is Verdict.INCONCLUSIVE
    assert judge(4, 3, 0, 0) is Verdict.WARN
    assert judge(4, 4, 0, 0, notes_in_future=1) is Verdict.FAIL
    assert judge(4, 4, 0, 0, records_in_future=1) is Verdict.FAIL
    assert judge(4, 4, 0, 0, hidden=True) is Verdict.ERROR


# ------------------------------------------------------------------ on a clinic

RELEASE = yaml.safe_load((Path(__file__).parents[2] / "parameters" / "releases" / "patient-history.yaml").read_text(encoding="utf-8"))
RECORD = RELEASE["record"]
RECORDS, NOTES = RECORD["table"], RECORD["note_table"]
NEWEST = f"(select id from {RECORDS} where {RECORD['updated_at_column']} is not null order by {RECORD['updated_at_column']} desc limit 1)"


@pytest.fixture(scope="module")
def filled() -> Iterator[str]:
    with bare(18).fresh(clinic=True) as dsn:
        with psycopg.connect(dsn) as connection:
            fill(connection, clinic(datetime.now(UTC), patients=60, providers=4, appointments=240))
        yield dsn


class Broken:
    """Asks a check of the clinic while a change is made and after it was mended."""

    def __init__(self, dsn: str, ask: Callable[[Postgres], CheckResult]) -> None:
        self.dsn, self._ask = dsn, ask

    def ask(self) -> CheckResult:
        with Postgres(SecretStr(self.dsn), phase="test") as database:
            return self._ask(database)

    def by(self, change: str, mend: str) -> CheckResult:
        """The result while *change* holds; it passes before and once *mend* was run."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            before = self.ask()
            assert before.verdict is Verdict.PASS, before.summary
            connection.execute(change)
            try:
                return self.ask()
            finally:
                connection.execute(mend)
                after = self.ask()
                assert after.verdict is Verdict.PASS, after.summary


def updates(database: Postgres) -> Facts:
    return database.query(
        "record_updates", record_table=RECORDS, record_patient_column=RECORD["patient_column"], note_table=NOTES, grace_s=300.0,
        updated_at_column=RECORD["updated_at_column"], note_patient_column=RECORD["note_patient_column"],
        signed_at_column=RECORD["note_signed_at_column"], within_s=14_400.0,
    )  # fmt: skip


def test_every_note_is_merged_or_told(filled: str) -> None:
    """A record that lags, is gone or has no time; a note, or a record, of the future: each is seen and gone once mended."""
    broken = Broken(filled, lambda database: records.updated(updates(database)))
    keep = f"create table if not exists kept as select * from {RECORDS}; "
    one = "user_id = '5e000000-0000-4000-8000-000000000001'"  # whose note was signed 45 minutes ago
    back = (
        f"update {RECORDS} r set medical_record_last_updated_at = kept.medical_record_last_updated_at, user_id = kept.user_id from kept"
        f" where kept.id = r.id and (r.medical_record_last_updated_at, r.user_id) is distinct from"
        f" (kept.medical_record_last_updated_at, kept.user_id); drop table kept"
    )
    lags = broken.by(f"{keep} update {RECORDS} set medical_record_last_updated_at = now() - interval '1 year' where {one}", back)
    assert lags.verdict is Verdict.FAIL and "not in the patient's record, the oldest signed" in lags.summary
    untimed = broken.by(f"{keep} update {RECORDS} set medical_record_last_updated_at = null where {one}", back)
    assert untimed.verdict is Verdict.FAIL and "have a record without a time of its update" in untimed.summary
    ahead = broken.by(f"{keep} update {RECORDS} set medical_record_last_updated_at = now() + interval '1 year' where {one}", back)
    assert ahead.verdict is Verdict.FAIL and "updated in the future" in ahead.summary
    assert ahead.table is not None and ahead.table.iloc[0]["not_merged"] > 0, "an update in the future merges nothing"
    gone = broken.by(
        f"{keep} create table kept_row as select * from {RECORDS} where {one}; delete from {RECORDS} where {one}",
        f"insert into {RECORDS} select * from kept_row; drop table kept_row; drop table kept",
    )
    assert gone.verdict is Verdict.FAIL and "have no record at all" in gone.summary
    note = f"update {NOTES} set signed_at = signed_at {{}} interval '10 years' where id = '5e000000-0000-4000-8000-000000000004'"
    early = broken.by(note.format("+"), note.format("-"))
    assert early.verdict is Verdict.FAIL and "1 note is signed in the future" in early.summary


def test_a_note_is_waited_for_until_its_grace_has_passed(filled: str) -> None:
    """Signed just now and not merged is waiting, not late; a second record of a patient doubles nothing."""
    with psycopg.connect(filled, autocommit=True) as connection:
        patient = connection.execute(f"select user_id from {RECORDS} where id = {NEWEST}").fetchone()
        assert patient is not None
        template = f"select id from {NOTES} where patient_id = %s and signed_at is not null limit 1"
        (note,) = connection.execute(template, patient).fetchone() or (None,)
        (signed,) = connection.execute(f"select signed_at from {NOTES} where id = %s", [note]).fetchone() or (None,)
        connection.execute(f"update {NOTES} set signed_at = now() - interval '10 seconds' where id = %s", [note])
        connection.execute(f"update {RECORDS} set medical_record_last_updated_at = now() - interval '1 minute' where id = {NEWEST}")
        with Postgres(SecretStr(filled), phase="test") as database:
            row = updates(database).table.iloc[0]
            assert row["waiting"] == 1 and row["notes"] == row["merged"] + 1 + row["not_merged"]
            connection.execute(f"alter table {RECORDS} drop constraint patient_profiles_user_id_key")
            connection.execute(
                f"insert into {RECORDS} (user_id, medical_record_number, date_of_birth, sex, blood_type, phone, preferred_language)"
                f" select user_id, 'SYN-TWICE', date_of_birth, sex, blood_type, phone, preferred_language from {RECORDS}"
                f" where id = {NEWEST}"
            )
            twice = updates(database).table.iloc[0]
            assert (twice["notes"], twice["merged"], twice["waiting"]) == (row["notes"], row["merged"], row["waiting"])
        connection.execute(f"delete from {RECORDS} where medical_record_number = 'SYN-TWICE'")
        connection.execute(f"alter table {RECORDS} add constraint patient_profiles_user_id_key unique (user_id)")
        connection.execute(f"update {RECORDS} set medical_record_last_updated_at = now() where id = {NEWEST}")
        connection.execute(f"update {NOTES} set signed_at = %s where id = %s", [signed, note])


def test_rows_that_hide_are_not_counted(filled: str) -> None:
    """A role that row security applies to would see no note and no record, and call that sound."""
    with psycopg.connect(filled, autocommit=True) as connection:
        connection.execute("drop role if exists record_reader; create role record_reader login; grant pg_read_all_data to record_reader")
        try:
            with Postgres(SecretStr(filled.replace("postgres@", "record_reader@")), phase="test") as database:
                hidden = records.updated(updates(database))
                nulls = records.no_nulls(required(database, [RECORDS], ["cumulative_medical_record"]))
                shape = records.shape(shaped(database))
                connection.execute("alter role record_reader bypassrls")
                seen = records.updated(updates(database))
            assert [hidden.verdict, shape.verdict] == [Verdict.ERROR] * 2
            assert "Row security" in hidden.summary and "row security" in shape.summary
            assert nulls.verdict is Verdict.PASS, "declared not null: nothing is read"
            assert seen.verdict is Verdict.PASS
        finally:
            connection.execute("drop owned by record_reader; drop role record_reader")


def required(database: Postgres, tables: list[str], columns: list[str]) -> Facts:
    return database.query("required_nulls", tables=tables, columns=columns)


@pytest.mark.parametrize("version", [15, 16, 18])
def test_required_columns_on_each_version(version: int) -> None:
    """A NULL, a missing column or table, hidden rows, a missing right, a table too large, and a NOT NULL that was never validated."""
    with bare(version).fresh() as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("""create schema odd; create table odd."T ""1" (id integer primary key, "a b" text);
            insert into odd."T ""1" select n, 'x' from generate_series(1, 10) n""")
        table = 'odd."T ""1"'
        ask = functools.partial(required, tables=[table, table], columns=["id", "a b"])
        broken = Broken(dsn, lambda database: records.no_nulls(ask(database)))
        mend = f"""update {table} set "a b" = 'x'"""
        one = broken.by(f"""update {table} set "a b" = null where id = 3""", mend)
        assert one.summary == f"1 NULL in 1 required column: {table}.a b."
        missing = broken.by(f'alter table {table} rename "a b" to c', f'alter table {table} rename c to "a b"')
        assert missing.verdict is Verdict.FAIL and "1 required column missing" in missing.summary
        gone = broken.by(f"alter table {table} rename to t", 'alter table odd.t rename to "T ""1"')
        assert gone.verdict is Verdict.FAIL and gone.table is not None and set(gone.table["finding"]) == {"the table does not exist"}
        large = broken.by(
            "update pg_class set reltuples = 6e6 where relname like 'T %'", "update pg_class set reltuples = 10 where relname like 'T %'"
        )
        assert large.verdict is Verdict.ERROR and "too large to read whole" in large.summary
        if version >= 18:
            unvalidated = broken.by(
                f"""update {table} set "a b" = null; alter table {table} add constraint n not null "a b" not valid""",
                f"""alter table {table} drop constraint n; {mend}""",
            )
            assert unvalidated.verdict is Verdict.FAIL and "10 NULLs" in unvalidated.summary
        connection.execute("drop role if exists null_reader; create role null_reader login; grant usage on schema odd to null_reader")
        with Postgres(SecretStr(dsn.replace("postgres@", "null_reader@")), phase="test") as database:
            denied = records.no_nulls(ask(database))
            connection.execute(f"grant select on {table} to null_reader; alter table {table} enable row level security")
            hidden = records.no_nulls(ask(database))
        assert denied.verdict is Verdict.ERROR and "has no right to it" in denied.summary
        assert hidden.verdict is Verdict.ERROR and "row security hides rows" in hidden.summary
        connection.execute("drop owned by null_reader; drop role null_reader")


def shaped(database: Postgres, schema: Any = None) -> Facts:
    return shape_sql.violations(
        database, table=RECORDS, column=RECORD["column"], updated_at_column=RECORD["updated_at_column"], max_records=1000,
        schema=RECORD["json_schema"] if schema is None else schema, note_column=RECORD["note_column"], note_table=NOTES,
        patient_column=RECORD["patient_column"], note_patient_column=RECORD["note_patient_column"],
        note_signed_at_column=RECORD["note_signed_at_column"],
    )  # fmt: skip


def test_the_shape_of_the_clinic_s_records(filled: str) -> None:
    """The release's schema holds for the clinic; a record that breaks it is found, by place, and gone once mended."""
    broken = Broken(filled, lambda database: records.shape(shaped(database)))
    keep = f"create table kept as select id, cumulative_medical_record as record from {RECORDS} where id = {NEWEST}; "
    mend = f"update {RECORDS} r set cumulative_medical_record = kept.record from kept where kept.id = r.id; drop table kept"
    for path, value, where in (
        ("{conditions}", '"see paper file"', "conditions: type"),
        ("{allergies,0}", "5", "allergies[]: type"),
        ("{vital_signs,0,recorded_at}", "null", "vital_signs[].recorded_at: type"),
    ):
        changed = f"jsonb_set(cumulative_medical_record, '{path}', '{value}')"
        result = broken.by(f"{keep} update {RECORDS} set cumulative_medical_record = {changed} where id = {NEWEST}", mend)
        assert result.verdict is Verdict.FAIL and f"{where}, in 1 record of" in result.summary
        assert "paper" not in str(result)


def test_the_recent_merge_query(filled: str) -> None:
    """In time it passes; too slow, or stopped by the time-out, it fails and says which index is missing."""
    params: dict[str, Any] = {
        "table": RECORDS, "record_column": RECORD["column"], "updated_at_column": RECORD["updated_at_column"],
        "array_keys": ["conditions"], "within_s": 86_400.0, "max_records": 5,
    }  # fmt: skip

    def judge(database: Postgres, limit_s: float) -> CheckResult:
        facts = merges.recent(database, **params, limit_s=limit_s)
        return records.recent_merge(facts, seconds=facts.seconds, limit_s=limit_s, array="conditions", hint=facts.extra["hint"])

    with psycopg.connect(filled, autocommit=True) as connection, Postgres(SecretStr(filled), phase="test") as database:
        in_time = judge(database, 5.0)
        assert in_time.verdict is Verdict.PASS and "5 recent records in 0." in in_time.summary
        connection.execute("drop index public.patient_profiles_medical_record_last_updated_at_idx; analyze public.patient_profiles")
        slow = judge(database, 0.0)
        assert slow.verdict is Verdict.FAIL
        assert (
            f"reads all of {RECORDS} (about 61 rows): an index that begins with {RECORD['updated_at_column']} is missing." in slow.summary
        )
        assert slow.table is not None and len(slow.table) == 5
        connection.execute(
            "create index patient_profiles_medical_record_last_updated_at_idx"
            " on public.patient_profiles (medical_record_last_updated_at desc nulls last)"
        )
        # which plan the server takes for 61 rows is its own affair: each is asked for
        for without, hint in (("indexscan", "although the index {}"), ("seqscan", "The plan uses the index {}")):
            connection.execute(f"alter database {connection.info.dbname} set enable_{without} = off")
            connection.execute(f"alter database {connection.info.dbname} set enable_bitmapscan = off")
            with Postgres(SecretStr(filled), phase="test") as asked:
                found = judge(asked, 0.0).summary
            connection.execute(f"alter database {connection.info.dbname} reset all")
            assert hint.format("patient_profiles_medical_record_last_updated_at_idx") in found
        # the statement is stopped where it reads: behind a rule that waits
        connection.execute(
            "create schema slow; create function slow.wait(jsonb) returns jsonb language plpgsql as"
            " 'begin perform pg_sleep(0.2); return $1; end';"
            f"create view slow.records as"
            f" select slow.wait({RECORD['column']}) as {RECORD['column']}, {RECORD['updated_at_column']} from {RECORDS}"
        )
    with Postgres(SecretStr(filled), phase="test", statement_timeout_ms=300) as database:
        params["table"] = "slow.records"
        stopped, unmeasured = judge(database, 0.2), judge(database, 1.0)
    assert stopped.verdict is Verdict.FAIL and "It was stopped by the statement time-out." in stopped.summary
    assert unmeasured.verdict is Verdict.ERROR and "longer than its time-out" in unmeasured.summary
