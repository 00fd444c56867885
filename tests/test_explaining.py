"""Every check and every item of the runbook can be explained, and nothing else."""

from __future__ import annotations

import pandas as pd
import pytest
from harness import run_opsnb

import opsnb.checks  # noqa: F401  (registers every check)
from opsnb import runbook
from opsnb.errors import UsageError
from opsnb.evidence.explaining import explain
from opsnb.verdicts import CHECKS, Verdict, check, failed


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_every_check(name: str) -> None:
    said = explain(name).text
    assert CHECKS[name].title in said and CHECKS[name].fix in said and "decides: " in said


@pytest.mark.parametrize("name", sorted(runbook.ITEMS))
def test_every_item(name: str) -> None:
    said = explain(name).text
    assert runbook.ITEMS[name].text in said and f"Phase {runbook.ITEMS[name].phase}" in said


def test_how_it_stands_here() -> None:
    """The verdict of this run, and what was asked, escaped."""
    try:
        judged = check("a.sample", title="A sample", items=["S6-5"], fix="Mend <it>.", empty="There is nothing.")(_judge)(
            pd.DataFrame({"a": [1]})
        )
        said = explain("a.sample", [judged])
        assert judged.verdict is Verdict.FAIL and "here: FAIL It is <b>bad</b>." in said.text
        assert "<b>" not in said.html and "at_most = 3" in said.text
        assert "a.sample" in explain("S6-5", [judged]).text
        assert "here:" not in explain("a.sample", []).text
    finally:
        CHECKS.pop("a.sample", None)


def _judge(table: pd.DataFrame, *, at_most: int = 3) -> object:
    """Decides nothing."""
    return failed("It is <b>bad</b>.")


@pytest.mark.parametrize(("name", "near"), [("S6-55", "S6-5"), ("access.no_exces", "access.no_excess"), ("?!", "docs/checks.md")])
def test_any_other_name_is_told_the_nearest(name: str, near: str) -> None:
    with pytest.raises(UsageError, match=near):
        explain(name)


def test_the_command(tmp_path: object) -> None:
    from harness import REPOSITORY

    ended = run_opsnb("explain", "S6-5", root=REPOSITORY)
    assert ended.code == 0 and "access.no_excess" in ended.out and "what to do:" in ended.out
    assert run_opsnb("explain", "nothing like it", root=REPOSITORY).code == 2
