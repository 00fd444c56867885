"""The history of the benchmarks tells what got worse, and only that."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from kept import FIELDS, HISTORY, keep


@pytest.mark.parametrize(("value", "smaller", "told"), [(1.3, True, True), (1.1, True, False), (0.7, True, False), (0.7, False, True)])
def test_worse_is_told_against_enough(tmp_path: Path, value: float, smaller: bool, told: bool) -> None:
    path = tmp_path / "history.csv"
    for before in (1.0, 1.0, 1.05):
        assert keep({"a": (before, 2.0)}, n=1, path=path, smaller_is_better=smaller) == []
    assert bool(keep({"a": (value, 2.0), "new": (99.0, 2.0)}, n=1, path=path, smaller_is_better=smaller)) is told


def test_the_history_is_whole() -> None:
    """Every line has a value and the limit it is held against."""
    with HISTORY.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert tuple(lines[0]) == FIELDS
    assert all(float(line["value"]) > 0 and float(line["limit"]) > 0 and int(line["n"]) > 0 for line in lines)
