from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from opsnb.collecting import archive as module
from opsnb.collecting.archive import Archive
from opsnb.errors import UsageError

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def lines(first: int, last: int) -> pd.DataFrame:
    moments = pd.to_datetime([NOON] * (last - first), utc=True) + pd.to_timedelta(range(first, last), unit="min")
    return pd.DataFrame({"id": [f"l{n}" for n in range(first, last)], "timestamp": moments, "event_message": "x"})


def ids(folder: Path) -> list[str]:
    return sorted(each for path in folder.rglob("*.parquet") for each in pq.ParquetFile(path).read(["id"])["id"].to_pylist())


def test_overlapping_windows_keep_each_line_once(tmp_path: Path) -> None:
    kept = Archive(tmp_path)
    assert kept.watermark() is None
    assert kept.add(lines(0, 100), NOON) == 100
    assert kept.add(lines(50, 150), NOON) == 50
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
        Archive(tmp_path).add(lines(0, 150), NOON)
    assert Archive(tmp_path).watermark() is None
    Archive(tmp_path).add(lines(0, 150), NOON)
    assert ids(tmp_path) == sorted(f"l{n}" for n in range(150))


def test_a_broken_watermark_is_named(tmp_path: Path) -> None:
    (tmp_path / "watermark.json").write_text("{")
    with pytest.raises(UsageError, match=r"watermark\.json: expected until"):
        Archive(tmp_path).watermark()
