"""A deployment beside the earlier ones: what is new is told once, what is sound is quiet, and times need enough runs."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import evidence_sample as sample
import pytest

from opsnb.evidence import deployments, history, index
from opsnb.evidence.deployments import Deployment
from opsnb.verdicts import CheckResult, PhaseReport, Verdict


def result(check: str, verdict: Verdict = Verdict.PASS, seconds: float = 0.1) -> CheckResult:
    return CheckResult(check, f"Title of {check}", (), verdict, f"{check} was looked at.", "Do it.", None, "", seconds)


def deployed(root: Path, number: int, *results: CheckResult, phase: str = "schema", release: str = "patient-history") -> Deployment:
    """Deployment *number* of a series, a day apart, with one run of *phase*; closed, so that the next one opens."""
    from opsnb.evidence import archive

    now = sample.NOW + timedelta(days=number)
    opened = deployments.open_deployment(root, "local", release, now)
    archive.file_run(opened, PhaseReport(phase, results), started_at=now, ended_at=now + timedelta(seconds=1), guide_minutes=None)
    return deployments.close_deployment(opened, now + timedelta(hours=1))


def test_the_first_has_nothing_to_compare_with(tmp_path: Path) -> None:
    first = deployed(tmp_path, 0, result("a.b", Verdict.FAIL))
    told = history.compare(first)
    assert told.before is None and not told.worse and "nothing to compare with" in told.sentence


def test_what_is_new_worse_mended_and_gone(tmp_path: Path) -> None:
    before = deployed(
        tmp_path, 0, result("same"), result("stays", Verdict.FAIL), result("worse", Verdict.WARN), result("mended", Verdict.ERROR),
        result("gone"),
    )  # fmt: skip
    now = deployed(
        tmp_path, 1, result("same"), result("stays", Verdict.FAIL), result("worse", Verdict.FAIL), result("mended"),
        result("new", Verdict.WARN), result("new and sound"),
    )  # fmt: skip
    told = history.compare(now)
    assert told.before == before
    assert [(each.check, each.was, each.now) for each in told.worse] == [("worse", "WARN", "FAIL"), ("new", "", "WARN")]
    assert [(each.check, each.was) for each in told.mended] == [("mended", "ERROR")]
    assert [each.check for each in told.no_longer_judged] == ["gone"]
    assert "2 new or worse, 1 mended, 1 no longer judged" in told.sentence
    page = index.write_index(now, phases=["schema"]).read_text(encoding="utf-8")
    assert "Compared with the deployment before" in page and "schema/worse" in page


def test_a_sound_deployment_is_quiet(tmp_path: Path) -> None:
    deployed(tmp_path, 0, result("a"), result("b", Verdict.WARN))
    told = history.compare(deployed(tmp_path, 1, result("a"), result("b", Verdict.WARN)))
    assert not (told.worse or told.mended or told.no_longer_judged or told.slower)


def test_a_phase_that_was_not_run_before_brings_no_news(tmp_path: Path) -> None:
    deployed(tmp_path, 0, result("a"))
    told = history.compare(deployed(tmp_path, 1, result("b", Verdict.FAIL), phase="rls"))
    assert not told.worse and not told.no_longer_judged


def test_another_release_is_not_compared_with(tmp_path: Path) -> None:
    deployed(tmp_path, 0, result("a"), release="something-else")
    assert history.compare(deployed(tmp_path, 1, result("a", Verdict.FAIL))).before is None


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ([1.0, 1.1, 0.9], 2.5, True),
        ([1.0, 1.1, 0.9], 1.9, False),  # not twice the median
        ([1.0, 1.1, 3.0], 2.5, False),  # it was slower once
        ([0.01, 0.01, 0.01], 0.1, False),  # ten times nothing
        ([1.0, 1.1], 9.0, False),  # too little is known
    ],
)
def test_slower_needs_enough_runs_and_a_difference(tmp_path: Path, before: list[float], now: float, told: bool) -> None:
    for number, seconds in enumerate(before):
        deployed(tmp_path, number, result("a", seconds=seconds))
    found = history.compare(deployed(tmp_path, 9, result("a", seconds=now)))
    assert bool(found.slower) is told
    if told:
        (slow,) = found.slower
        assert (slow.n, slow.median_s, slow.ratio) == (3, 1.0, 2.5)
    if len(before) < history.ENOUGH:
        assert "times are not compared, 2 of 3" in found.sentence


def test_a_damaged_run_counts_for_nothing(tmp_path: Path) -> None:
    before = deployed(tmp_path, 0, result("a"))
    (path,) = before.folder.glob("schema/*/results.json")
    path.write_text("{")
    assert history.compare(deployed(tmp_path, 1, result("a", Verdict.FAIL))).before is None
