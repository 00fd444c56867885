"""One file with everything a deployment's runs measured: made anew from them, whole or not at all, read by whoever reads Parquet."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import evidence_sample as sample
import pandas as pd
import pyarrow.parquet
import pytest
from harness import make_home, run_opsnb

from opsnb.evidence import archive, deployments, measured
from opsnb.evidence.deployments import Deployment
from opsnb.verdicts import CheckResult, PhaseReport, Verdict


def run_of(deployment: Deployment, *results: CheckResult, hours: float, mb: float, phase: str = "monitor") -> Path:
    """A run so many *hours* after the sample's beginning, with sizes and a pool's use."""
    at = sample.NOW + timedelta(hours=hours)
    taken = pd.Timestamp(at + timedelta(seconds=1))
    size = pd.DataFrame({"taken_at": [taken], "database": ["postgres"], "database_bytes": [int(mb * 1e6)]})
    capacity = pd.DataFrame(
        {"taken_at": [taken] * 2, "resource": ["pool", "disk"], "subject": ["server", "/data"], "used": [5.0 + hours, 2e9],
         "size": [57.0, 8e9], "unit": ["connections", "bytes"]}
    )  # fmt: skip
    return archive.file_run(
        deployment, PhaseReport(phase, results), started_at=at, ended_at=at + timedelta(seconds=9), guide_minutes=None,
        saved={"database_size": size, "capacity": capacity},
    )  # fmt: skip


def judged(check: str, value: float | str | None, verdict: Verdict = Verdict.PASS) -> CheckResult:
    return CheckResult(check, "A title", (), verdict, "Jane Doe said so.", "Do it.", measured=value, limit=0.05)


@pytest.fixture
def day(tmp_path: Path) -> Deployment:
    """Three monitoring runs, one of them without a rate, and one folder that a kill left."""
    deployment = deployments.open_deployment(tmp_path / "reports", "local", "patient-history", sample.NOW)
    run_of(deployment, judged("errors.alert_rate", 0.01), judged("errors.rate:hours 0 to 4", "none"), hours=0.5, mb=50)
    run_of(deployment, judged("errors.alert_rate", None, Verdict.ERROR), hours=1, mb=51.5)
    run_of(deployment, judged("errors.alert_rate", 0.07, Verdict.FAIL), hours=1.5, mb=53)
    archive.new_run_folder(deployment, "monitor", now=sample.NOW + timedelta(hours=2))
    return deployment


def test_every_figure_of_every_run(day: Deployment) -> None:
    table = measured.measured(day)
    assert {name: str(kind) for name, kind in table.dtypes.items()} == measured.COLUMNS
    rates = table[table["measure"] == "errors.alert_rate"]
    assert rates["verdict"].tolist() == ["PASS", "ERROR", "FAIL"] and rates["value"].isna().tolist() == [False, True, False]
    sizes = table[table["measure"] == "database_size"]
    assert sizes["value"].tolist() == [50e6, 51.5e6, 53e6] and set(sizes["unit"]) == {"bytes"}
    assert sizes["taken_at"].iloc[0] == pd.Timestamp(sample.NOW) + pd.Timedelta("30min 1s"), "a size is of the moment it was taken"
    used = table[(table["measure"] == "pool_used") & (table["subject"] == "server")]
    assert used["value"].tolist() == [5.5, 6.0, 6.5] and used["limit_value"].isna().all()
    (text,) = table[table["subject"] == "hours 0 to 4"].to_dict("records")
    assert text["measure"] == "errors.rate" and pd.isna(text["value"]), "what is no number is no value"
    assert table["taken_at"].is_monotonic_increasing and table["run"].nunique() == 3


def test_nothing_was_run(tmp_path: Path) -> None:
    empty = deployments.open_deployment(tmp_path, "local", "r", sample.NOW)
    path = measured.write(empty)
    assert {name: str(kind) for name, kind in pd.read_parquet(path).dtypes.items()} == measured.COLUMNS


def test_what_another_notebook_kept_by_these_names_is_passed_over(day: Deployment) -> None:
    before = measured.measured(day)
    odd = {"capacity": pd.DataFrame({"beds": [12]}), "database_size": pd.DataFrame()}
    at = sample.NOW + timedelta(hours=5)
    archive.file_run(day, PhaseReport("monitor", ()), started_at=at, ended_at=at, guide_minutes=None, saved=odd)
    pd.testing.assert_frame_equal(measured.measured(day), before)
    damaged = min(day.folder.glob("monitor/*/tables/saved-capacity.parquet"))
    damaged.write_bytes(b"PAR1")
    assert len(measured.measured(day)) == len(before) - 4


def test_the_file_is_made_anew_and_is_the_same(day: Deployment) -> None:
    """A file that was damaged, or lost, comes back byte for byte; what it says is nothing but numbers and names."""
    path = measured.write(day)
    first = path.read_bytes()
    assert path == day.folder / "history.parquet" and b"Jane Doe" not in first
    for spoiled in (b"", b"PAR1 is not enough", first[: len(first) // 2]):
        path.write_bytes(spoiled)
        assert measured.write(day).read_bytes() == first
    run_of(day, judged("errors.alert_rate", 0.0), hours=3, mb=60)
    again = pd.read_parquet(measured.write(day))
    assert len(again) == len(measured.measured(day)) and again["value"].max() == 8e9
    assert [each.name for each in day.folder.iterdir() if "history" in each.name] == ["history.parquet"], "nothing half-written is left"


def test_pyarrow_and_pandas_read_it(day: Deployment) -> None:
    path = measured.write(day)
    pd.testing.assert_frame_equal(pd.read_parquet(path), measured.measured(day))
    schema = pyarrow.parquet.read_schema(path)
    assert str(schema.field("taken_at").type) == "timestamp[us, tz=UTC]" and str(schema.field("value").type) == "double"
    wanted = [("measure", "=", "database_size")]
    assert pyarrow.parquet.read_table(path, filters=wanted, columns=["value"])["value"].to_pylist() == [50e6, 51.5e6, 53e6]


RATES = "select max(value), {micros}, count(*) from {file} where measure = 'errors.alert_rate' and value is not null"
FOUND = (0.07, int((sample.NOW + timedelta(hours=0.5)).timestamp()) * 1_000_000, 2)


def test_duckdb_reads_it(day: Deployment) -> None:
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect() as connection:
        asked = RATES.format(micros="epoch_us(min(taken_at))", file=f"'{measured.write(day)}'")
        assert connection.execute(asked).fetchall() == [FOUND]
        ((kind,),) = connection.execute(f"select distinct typeof(taken_at) from '{measured.write(day)}'").fetchall()
    assert kind == "TIMESTAMP WITH TIME ZONE"


def test_clickhouse_reads_it(day: Deployment) -> None:
    chdb = pytest.importorskip("chdb")
    file = f"file('{measured.write(day)}', Parquet)"
    said = str(chdb.query(RATES.format(micros="toUnixTimestamp64Micro(min(taken_at))", file=file), "JSONCompactEachRow"))
    highest, first, n = json.loads(said)
    assert (highest, int(first), int(n)) == FOUND
    assert str(chdb.query(f"select distinct toTypeName(taken_at) from {file}", "TSVRaw")).strip() == "Nullable(DateTime64(6, 'UTC'))"


def test_it_is_asked_for_by_a_command(day: Deployment, tmp_path: Path) -> None:
    home = make_home(tmp_path)
    place = tmp_path / "elsewhere" / "day.parquet"
    said = run_opsnb("history", "local", "--parquet", str(place), root=home)
    assert said.code == 0 and "day.parquet" in said.out.replace("\n", "")
    pd.testing.assert_frame_equal(pd.read_parquet(place), measured.measured(day))
    (tmp_path / "a file").write_text("")
    refused = run_opsnb("history", "local", "--parquet", str(tmp_path / "a file" / "x.parquet"), root=home)
    assert refused.code == 2 and "a file" in refused.err.replace("\n", "")
