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

from opsnb.sources.kept_logs import FORMAT, complete

SEGMENT_ROWS = 50_000
"""A segment with fewer is added to."""
GROUP_ROWS = 131_072


class Archive:
    """The segments below *folder*, `date=…/hour=…/*.parquet`; one writer at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def watermark(self) -> datetime | None:
        """The moment up to which the archive is complete, in UTC; None before the first; UsageError for an unreadable file."""
        held = complete(self.folder)
        return held.until if held else None

    def add(self, rows: pd.DataFrame, since: datetime, until: datetime) -> int:
        """Keeps the *rows* (columns id, timestamp in UTC, …, already masked) not kept yet, then moves the watermark; says how many.

        They are all there are between *since* and *until*. Where that leaves a gap behind the watermark, the archive is complete from
        *since* on only.
        """
        held = complete(self.folder)
        since = held.since if held and since <= held.until else since
        kept = 0
        unique = rows.drop_duplicates("id")
        for hour, part in unique.groupby(unique["timestamp"].dt.floor("h")):
            moment = pd.Timestamp(str(hour))
            folder = self.folder / f"date={moment:%Y-%m-%d}" / f"hour={moment:%H}"
            fresh = part[~part["id"].isin(self._ids(folder))]
            if len(fresh):
                folder.mkdir(parents=True, exist_ok=True)
                self._write(folder, pa.Table.from_pandas(fresh, preserve_index=False))
                kept += len(fresh)
        # only after every segment: a crash before this line reads the window again and finds its rows by id
        ends = {"since": since.astimezone(UTC).isoformat(), "until": until.astimezone(UTC).isoformat()}
        said = json.dumps({**ends, "format": FORMAT})
        self.folder.mkdir(parents=True, exist_ok=True)
        _whole(self.folder / "watermark.json", lambda path: path.write_text(said, encoding="utf-8"))
        return kept

    def _write(self, folder: Path, table: pa.Table) -> None:
        """Adds rows to the hour's last segment, or begins another where that is long enough: many small files are slow to read."""
        paths = sorted(folder.glob("*.parquet"))
        path = folder / f"{len(paths):06d}.parquet"
        if paths and pq.ParquetFile(paths[-1]).metadata.num_rows < SEGMENT_ROWS:
            path = paths[-1]
            table = pa.concat_tables([pq.ParquetFile(path).read(), table], promote_options="permissive")
        # lines of one stream together: a question about calls skips the row groups of texts
        keys = [(name, "ascending") for name in ("log", "timestamp") if name in table.column_names]
        _whole(path, partial(pq.write_table, table.sort_by(keys), compression="zstd", row_group_size=GROUP_ROWS))

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
