"""The archive of one stream of logs: Parquet segments by hour, and the watermark up to which they are complete."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from opsnb.errors import UsageError


class Archive:
    """The segments below *folder*, `date=…/hour=…/*.parquet`; one writer at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def watermark(self) -> datetime | None:
        """The moment up to which the archive is complete, in UTC; None before the first; UsageError for an unreadable file."""
        path = self.folder / "watermark.json"
        if not path.exists():
            return None
        try:
            return datetime.fromisoformat(json.loads(path.read_text(encoding="utf-8"))["until"]).astimezone(UTC)
        except (ValueError, KeyError, TypeError):
            raise UsageError(f"{path}: expected until, a time with its zone; remove the file to collect anew") from None

    def add(self, rows: pd.DataFrame, until: datetime) -> int:
        """Keeps the *rows* (columns id, timestamp in UTC, …, already masked) not kept yet, then moves the watermark; says how many."""
        kept = 0
        unique = rows.drop_duplicates("id")
        for hour, part in unique.groupby(unique["timestamp"].dt.floor("h")):
            moment = pd.Timestamp(str(hour))
            folder = self.folder / f"date={moment:%Y-%m-%d}" / f"hour={moment:%H}"
            fresh = part[~part["id"].isin(self._ids(folder))]
            if len(fresh):
                folder.mkdir(parents=True, exist_ok=True)
                number = len(list(folder.glob("*.parquet")))
                table = pa.Table.from_pandas(fresh, preserve_index=False)
                _whole(folder / f"{number:06d}.parquet", partial(pq.write_table, table, compression="zstd"))
                kept += len(fresh)
        # only after every segment: a crash before this line reads the window again and finds its rows by id
        said = json.dumps({"until": until.astimezone(UTC).isoformat()})
        self.folder.mkdir(parents=True, exist_ok=True)
        _whole(self.folder / "watermark.json", lambda path: path.write_text(said, encoding="utf-8"))
        return kept

    def _ids(self, folder: Path) -> set[str]:
        return {each for path in folder.glob("*.parquet") for each in pq.ParquetFile(path).read(["id"])["id"].to_pylist()}


def _whole(path: Path, write: Callable[[Path], object]) -> None:
    """Writes *path* whole or not at all: beside it, on the disk, then renamed."""
    beside = path.with_name(path.name + ".part")
    write(beside)
    for each in (beside, path.parent):
        handle = os.open(each, os.O_RDONLY)
        try:
            if each != beside:
                beside.replace(path)
            os.fsync(handle)
        finally:
            os.close(handle)
