"""The history of the benchmarks: one line a figure in history.csv, so that a slower commit is seen. Ratios; seconds only of one machine."""

from __future__ import annotations

import csv
import os
import statistics
import subprocess
from datetime import UTC, datetime
from pathlib import Path

HISTORY = Path(__file__).with_name("history.csv")
FIELDS = ("date", "commit", "cores", "n", "figure", "value", "limit")
WORSE, ENOUGH = 1.2, 3
"""Told from a fifth worse than the median of three earlier ones or more."""


def keep(figures: dict[str, tuple[float, float]], *, n: int, path: Path = HISTORY, smaller_is_better: bool = True) -> list[str]:
    """Adds figure → (value, limit) to the history; answers a sentence for each that is worse than it used to be."""
    earlier = _read(path)
    commit = _commit()
    lines = [
        {"date": f"{datetime.now(UTC):%Y-%m-%d}", "commit": commit, "cores": str(os.cpu_count()), "n": str(n), "figure": figure,
         "value": f"{value:.3g}", "limit": f"{limit:g}"}
        for figure, (value, limit) in figures.items()
    ]  # fmt: skip
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(lines)
    told = []
    for figure, (value, _limit) in figures.items():
        before = [float(line["value"]) for line in earlier if line["figure"] == figure]
        if len(before) < ENOUGH:
            continue
        median = statistics.median(before)
        if (value / median if smaller_is_better else median / value) >= WORSE:
            told.append(f"{figure}: {value:.3g}, the median of {len(before)} earlier ones is {median:.3g}")
    for sentence in told:
        print(f"  worse than it was: {sentence}")
    return told


def _read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _commit() -> str:
    ended = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=HISTORY.parent, capture_output=True, text=True, check=False)
    return ended.stdout.strip() or "unknown"
