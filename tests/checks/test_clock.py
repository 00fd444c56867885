"""The clock of the way back: what was measured decides, what was not does not pass."""

from __future__ import annotations

import pandas as pd
import pytest

from opsnb.checks.clock import still_possible
from opsnb.facts import Facts

STAKE = pd.DataFrame([("public.notes", 10, 14, 4)], columns=["table", "then", "now", "more"])


def ways(now_s: float | None, *, possible: bool = True) -> Facts:
    rows = [
        ("rows from the snapshot", possible, None if now_s is None else now_s / 2, now_s, "" if possible else "never restored"),
        ("functions from the archive", True, None, None, "get-history"),
        ("the platform's point in time", False, None, None, "no window is told"),
    ]
    return Facts("archive", "", 0.0, answer=pd.DataFrame(rows, columns=["way", "possible", "rehearsed_s", "now_s", "why"]))


@pytest.mark.parametrize(
    ("facts", "verdict", "said"),
    [
        (ways(30.0), "PASS", "takes 30.0 s of 10 minutes now; about 4 rows"),
        (ways(599.0), "PASS", "takes 10.0 of 10 minutes"),
        (ways(601.0), "FAIL", "10 are promised"),
        (ways(None, possible=False), "INCONCLUSIVE", "never restored"),
        (ways(30.0, possible=False), "FAIL", "no whole way back"),
        (Facts("archive", "", 0.0, answer=ways(1.0).table.iloc[:0]), "INCONCLUSIVE", "No snapshot"),
    ],
)
def test_what_the_clock_says(facts: Facts, verdict: str, said: str) -> None:
    result = still_possible(facts, STAKE, minutes=10)
    assert (str(result.verdict), said in result.summary) == (verdict, True), result.summary


def test_functions_take_their_time_too() -> None:
    facts = ways(590.0)
    facts.table.loc[1, "now_s"] = 20.0
    assert "FAIL" in str(still_possible(facts, STAKE, minutes=10).verdict)


def test_what_is_closed_is_told() -> None:
    assert "the platform's point in time (no window is told)" in still_possible(ways(1.0), STAKE, minutes=10).summary
