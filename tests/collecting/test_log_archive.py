from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from opsnb.collecting import archive as module
from opsnb.collecting.archive import Archive
from opsnb.errors import UsageError
from opsnb.sources.kept_logs import Complete, complete

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def lines(first: int, last: int) -> pd.DataFrame:
    moments = pd.to_datetime([NOON] * (last - first), utc=True) + pd.to_timedelta(range(first, last), unit="min")
    return pd.DataFrame({"id": [f"l{n}" for n in range(first, last)], "timestamp": moments, "event_message": "x"})


def ids(folder: Path) -> list[str]:
    return sorted(each for path in folder.rglob("*.parquet") for each in pq.ParquetFile(path).read(["id"])["id"].to_pylist())


def test_overlapping_windows_keep_each_line_once(tmp_path: Path) -> None:
    kept = Archive(tmp_path)
    assert kept.watermark() is None
    assert kept.add(lines(0, 100), NOON, NOON) == 100
    assert kept.add(lines(50, 150), NOON, NOON) == 50
    assert ids(tmp_path) == sorted(f"l{n}" for n in range(150))
    assert kept.watermark() == NOON


@pytest.mark.parametrize("step", range(4))
def test_a_crash_between_two_files_loses_and_doubles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    whole, written = module._whole, []

    def fails(path: Path, write: object) -> None:
        if len(written) == step:
            raise KeyboardInterrupt
        written.append(path)
        whole(path, write)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(module, "_whole", fails)
        Archive(tmp_path).add(lines(0, 150), NOON, NOON)
    assert Archive(tmp_path).watermark() is None
    Archive(tmp_path).add(lines(0, 150), NOON, NOON)
    assert ids(tmp_path) == sorted(f"l{n}" for n in range(150))


def test_a_broken_watermark_is_named(tmp_path: Path) -> None:
    (tmp_path / "watermark.json").write_text("{")
    with pytest.raises(UsageError, match=r"watermark\.json: expected since, until"):
        Archive(tmp_path).watermark()


@pytest.mark.parametrize(
    ("since", "until", "held"),
    [(10, 20, (0, 20)), (9, 30, (0, 30)), (11, 20, (11, 20))],
)
def test_a_gap_is_not_passed_over(tmp_path: Path, since: int, until: int, held: tuple[int, int]) -> None:
    """Complete is what follows without a gap: a stretch that begins after the watermark begins anew."""
    kept = Archive(tmp_path)
    kept.add(lines(0, 10), NOON, NOON + timedelta(hours=10))
    kept.add(lines(20, 30), NOON + timedelta(hours=since), NOON + timedelta(hours=until))
    assert complete(tmp_path) == Complete(NOON + timedelta(hours=held[0]), NOON + timedelta(hours=held[1]))


def test_small_additions_share_a_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEGMENT_ROWS", 20)
    for number in range(50):
        Archive(tmp_path).add(lines(number, number + 1), NOON, NOON + timedelta(minutes=number + 1))
    assert ids(tmp_path) == sorted(f"l{n}" for n in range(50))
    assert len(list(tmp_path.rglob("*.parquet"))) == 3
