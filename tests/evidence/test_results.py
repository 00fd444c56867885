"""What a run concluded survives on disk, and damage is never read as a pass."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import evidence_sample as sample
import pandas as pd
import pytest

from opsnb.evidence import archive, gates, reasons, results
from opsnb.verdicts import CheckResult, Gate, PhaseReport, Verdict


def result(verdict: Verdict, name: str = "a.b", *items: str) -> CheckResult:
    return CheckResult(name, "A title", items, verdict, "A sentence.", "Do this.")


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    deployment, folder = sample.make_run(tmp_path, with_notebook=False)
    run = results.read_run(folder)
    assert not run.damaged and run.journalled
    assert run.gate is Gate.FAILED
    assert list(run.results) == sample.results()
    assert run.data["extras"] == {"server_version": "PostgreSQL 18.1"}
    kept = results.with_tables(run)
    assert kept[0].table is not None
    pd.testing.assert_frame_equal(kept[0].table, sample.results()[0].table)
    assert run.data["items"]["S5-1"] == {"verdict": "FAIL", "checks": ["schema.tables_present", "schema.columns_present"]}
    assert archive.saved_table(deployment, "schema", "sizes").table["relation"].tolist() == ["a"]
    assert archive.saved_table(deployment, "schema", "absent").table.empty


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "no results.json"),
        (b"", "not whole JSON"),
        (b'{"phase": "schema"', "not whole JSON"),
        (b"\xff\xfe", "not whole JSON"),
        (b"[]", "breaks the schema"),
        (b'{"phase": "schema"}', "breaks the schema"),
    ],
)
def test_a_damaged_run_is_an_error_run(tmp_path: Path, content: bytes | None, why: str) -> None:
    deployment, folder = sample.make_run(tmp_path, judged=[result(Verdict.PASS)], with_notebook=False)
    path = folder / "results.json"
    path.unlink() if content is None else path.write_bytes(content)
    run = results.newest_runs(deployment)["schema"]
    assert run.damaged
    assert run.gate is Gate.UNMEASURED
    assert why in run.results[0].summary
    assert gates.deployment_gate(deployment).gate is Gate.UNMEASURED


def test_a_changed_verdict_breaks_the_schema(tmp_path: Path) -> None:
    _, folder = sample.make_run(tmp_path, with_notebook=False)
    content = json.loads((folder / "results.json").read_text())
    content["results"][0]["verdict"] = "FINE"
    (folder / "results.json").write_text(json.dumps(content))
    assert "results/0/verdict" in results.read_run(folder).results[0].summary


def test_the_stored_gate_is_not_believed(tmp_path: Path) -> None:
    _, folder = sample.make_run(tmp_path, with_notebook=False)
    content = json.loads((folder / "results.json").read_text())
    content["gate"] = "passed"
    (folder / "results.json").write_text(json.dumps(content))
    assert results.read_run(folder).gate is Gate.FAILED


def test_results_of_another_phase_do_not_count(tmp_path: Path) -> None:
    deployment, folder = sample.make_run(tmp_path, judged=[result(Verdict.PASS)], with_notebook=False)
    (deployment.folder / "rls").mkdir()
    folder.rename(deployment.folder / "rls" / folder.name)
    assert results.newest_runs(deployment)["rls"].gate is Gate.UNMEASURED


def test_the_newest_journalled_run_counts(tmp_path: Path) -> None:
    deployment, counted = sample.make_run(tmp_path, judged=[result(Verdict.FAIL)], with_notebook=False)
    _, newer = sample.make_run(tmp_path, judged=[result(Verdict.PASS)], journalled=False, with_notebook=False, later=timedelta(minutes=1))
    assert [run.folder for run in results.read_runs(deployment)] == [newer, counted]
    assert results.newest_runs(deployment)["schema"].folder == counted
    _, newest = sample.make_run(tmp_path, judged=[result(Verdict.PASS)], with_notebook=False, later=timedelta(minutes=2))
    assert results.newest_runs(deployment)["schema"].folder == newest


def test_a_run_without_a_journal_holds_the_gate(tmp_path: Path) -> None:
    deployment, folder = sample.make_run(tmp_path, judged=[result(Verdict.PASS)], with_notebook=False)
    assert gates.deployment_gate(deployment).gate is Gate.PASSED
    (folder / "journal.jsonl").unlink()
    held = gates.deployment_gate(deployment)
    assert held.gate is Gate.HELD
    assert "without a journal" in held.reason


def test_a_phase_that_never_ran_holds_the_gate(tmp_path: Path) -> None:
    deployment, _ = sample.make_run(tmp_path, judged=[result(Verdict.PASS)], with_notebook=False)
    held = gates.deployment_gate(deployment, phases=["schema", "rls"])
    assert (held.gate, "Not yet run: rls" in held.reason) == (Gate.HELD, True)


def test_nothing_at_all_is_unmeasured(tmp_path: Path) -> None:
    deployment = sample.deployments.open_deployment(tmp_path, "local", "r", sample.NOW)
    assert gates.deployment_gate(deployment, phases=["schema"]) == gates.DeploymentGate(Gate.UNMEASURED, "Nothing was measured.")


@pytest.mark.parametrize(
    ("verdicts", "attestations", "reason"),
    [
        ([Verdict.PASS], (), "The one check passed."),
        ([Verdict.PASS, Verdict.PASS], (), "All 2 checks passed."),
        ([Verdict.PASS, Verdict.WARN], (), "All 2 checks passed, 1 with a warning: c1."),
        ([Verdict.FAIL, Verdict.ERROR, Verdict.PASS], (), "1 of 3 checks failed: c0; 1 more could not be measured: c1."),
        ([Verdict.ERROR], (), "1 of 1 check could not be measured: c0."),
        ([Verdict.INCONCLUSIVE, Verdict.PASS], ("X",), "1 of 2 checks is not decided: c0; 1 attestation open: X."),
        ([Verdict.NOT_APPLICABLE], (), "Nothing here applies to this deployment; each line says why."),
        ([], (), "Nothing was measured."),
        ([Verdict.FAIL] * 6, (), "6 of 6 checks failed: c0, c1, c2, c3 and 2 more."),
    ],
)
def test_the_gate_says_why(verdicts: list[Verdict], attestations: tuple[str, ...], reason: str) -> None:
    judged = tuple(result(verdict, f"c{position}") for position, verdict in enumerate(verdicts))
    assert reasons.gate_reason(PhaseReport("p", judged, attestations)) == reason


def test_tables_of_any_kind_are_kept_under_names_of_their_own(tmp_path: Path) -> None:
    odd = pd.DataFrame({"mixed": [1, "a", {"k": 2}], "when": pd.to_datetime(["2026-01-01", None, None], utc=True)})
    judged = [CheckResult(name, "t", (), Verdict.PASS, "s", "f", table=odd) for name in ("a.b:X/../y", "a.b:x.._Y", "A.B:x y")]
    _, folder = sample.make_run(tmp_path, judged=judged, with_notebook=False)
    run = results.read_run(folder)
    names = [entry["table"] for entry in run.data["results"]]
    assert len(set(names)) == 3
    assert all((folder / name).resolve().parent == folder / "tables" for name in names)
    table = results.with_tables(run)[0].table
    assert table is not None and table["mixed"].tolist() == ["1", "a", '{"k": 2}']


def test_numbers_json_does_not_know_become_null(tmp_path: Path) -> None:
    judged = [CheckResult("a", "t", (), Verdict.PASS, "s", "f", measured=float("nan"), limit=float("inf"))]
    _, folder = sample.make_run(tmp_path, judged=judged, with_notebook=False)
    assert results.read_run(folder).results[0].measured is None


def test_an_unfinished_run_says_why_and_leaves_a_page(tmp_path: Path) -> None:
    deployment = sample.deployments.open_deployment(tmp_path, "local", "r", sample.NOW)
    folder = archive.new_run_folder(deployment, "schema", now=sample.NOW)
    end = archive.ensure_run(folder, phase="schema", deployment=deployment, reason="The kernel died.")
    assert end.gate is Gate.UNMEASURED
    run = results.read_run(folder)
    assert (run.damaged, run.data["unfinished"], run.results[0].verdict) == (False, "The kernel died.", Verdict.ERROR)
    assert "The kernel died." in (folder / "report.html").read_text()
    again = archive.complete_run(folder, phase="schema", deployment_folder=deployment.folder, reason="another reason")
    assert again.data["unfinished"] == "The kernel died."


def test_two_runs_within_a_second_have_two_folders_in_order(tmp_path: Path) -> None:
    deployment = sample.deployments.open_deployment(tmp_path, "local", "r", sample.NOW)
    made = [archive.new_run_folder(deployment, "schema", now=sample.NOW).name for _ in range(11)]
    assert len(set(made)) == 11
    assert sorted(made) == made


def test_a_notebook_tells_the_engine_its_folder(tmp_path: Path) -> None:
    deployment = sample.deployments.open_deployment(tmp_path / "reports", "local", "r", sample.NOW)
    journal = tmp_path / "out.journal.jsonl"
    journal.write_text("{}\n")
    folder = archive.file_run(
        deployment, PhaseReport("schema", (result(Verdict.PASS),)),
        started_at=sample.NOW, ended_at=sample.NOW, guide_minutes=None, journal=journal,
    )  # fmt: skip
    assert (tmp_path / "out.journal.jsonl.run").read_text() == str(folder)
    assert not results.read_run(folder).journalled, "only a journal in the folder proves anything"
    (folder / "journal.jsonl").write_text("{}\n")
    assert results.read_run(folder).journalled


def test_saved_tables_are_read_over_time(tmp_path: Path) -> None:
    deployment, _ = sample.make_run(tmp_path, with_notebook=False, later=timedelta(minutes=5))
    sample.make_run(tmp_path, phase="rls", with_notebook=False)
    table = archive.saved_over_time(deployment, "sizes").table
    assert table["phase"].tolist() == ["rls", "schema"]
    assert table["run_at"].is_monotonic_increasing and str(table["run_at"].dt.tz) == "UTC"
    assert archive.saved_over_time(deployment, "absent").table.empty


def test_results_are_listed_one_row_per_check(tmp_path: Path) -> None:
    deployment, _ = sample.make_run(tmp_path, with_notebook=False)
    table = archive.newest_results(deployment).table
    assert tuple(table.columns) == archive.RESULT_COLUMNS
    assert table["verdict"].tolist() == [str(each.verdict) for each in sample.results()]


def test_a_rollback_is_begun_once(tmp_path: Path) -> None:
    deployment = sample.deployments.open_deployment(tmp_path, "local", "r", sample.NOW)
    assert not archive.rollback_begun(deployment)
    path = archive.begin_rollback(deployment, now=sample.NOW, why="errors")
    archive.begin_rollback(deployment, now=sample.NOW, why="again")
    assert archive.rollback_begun(deployment) and json.loads(path.read_text())["why"] == "errors"
