"""How much of the connection pools and of the disk is in use, and when they are full at the present pace (monitoring, hours 0 to 24).

Tables in: samples of the metrics endpoint (`name`, `labels`, `value`), `connections` of opsnb/sql/postgres; and over time what `in_use`
makes of them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pandas as pd

from opsnb.checks.health import pools
from opsnb.checks.storage import MB
from opsnb.checks.tables import findings, known, some
from opsnb.checks.trend import in_days, outlook, told, too_few
from opsnb.verdicts import Outcome, check, inconclusive, passed, warned

COLUMNS = ("taken_at", "resource", "subject", "used", "size", "unit")
POOL, DISK = "pool", "disk"
_NO_DISKS = frozenset(("tmpfs", "devtmpfs", "ramfs", "overlay", "squashfs", "vfat"))
"""File systems that hold no data: memory, images, the boot loader."""


def disks(metrics: pd.DataFrame) -> pd.DataFrame:
    """The file systems the metrics endpoint tells about: mountpoint, used, size (bytes). What only root may still fill counts as used."""
    if metrics.empty:
        return findings([], ("mountpoint", "used", "size"))
    known(metrics, "name", "labels")
    found: dict[str, dict[str, float]] = {}
    for name, labels, value in zip(metrics["name"], metrics["labels"], metrics["value"], strict=True):
        if name in ("node_filesystem_size_bytes", "node_filesystem_avail_bytes"):
            told_of = json.loads(labels)
            if told_of.get("fstype") not in _NO_DISKS:
                found.setdefault(str(told_of.get("mountpoint", "")), {})[name[16:]] = float(value)
    rows = [
        {"mountpoint": mountpoint, "used": of["size_bytes"] - of["avail_bytes"], "size": of["size_bytes"]}
        for mountpoint, of in sorted(found.items())
        if 0 <= of.get("avail_bytes", math.nan) <= of.get("size_bytes", 0.0) > 0  # NaN, and more free than there is, are no measurement
    ]
    return findings(rows, ("mountpoint", "used", "size"))


def in_use(metrics: pd.DataFrame, sessions: pd.DataFrame, *, at: datetime) -> pd.DataFrame:
    """One row per pool and disk, of *at*: taken_at, resource, subject, used, size, unit. Either table may be empty.

    The server's own connections are a pool, too: with no other, they are what runs out.
    """
    rows = [
        (POOL, str(each["pool"]), float(each["used"]), float(each["size"]), "connections")
        for each in pools(metrics).to_dict("records")
        if each["used"] >= 0 and each["size"] > 0
    ]
    if len(sessions):
        known(sessions, "sessions", "max_connections", "reserved_connections")
        usable = int(sessions["max_connections"].max() - sessions["reserved_connections"].max())
        if usable > 0:
            rows.append((POOL, "server", float(sessions["sessions"].sum()), float(usable), "connections"))
    rows += [
        (DISK, str(each["mountpoint"]), float(each["used"]), float(each["size"]), "bytes") for each in disks(metrics).to_dict("records")
    ]
    return pd.DataFrame([(pd.Timestamp(at), *row) for row in rows], columns=list(COLUMNS))


@check(
    "health.pool_trend",
    title="No connection pool is heading for its limit",
    items=(),
    harm="In the days named here the pool is full; leaks do not wait for office hours.",
    fix="See who holds connections (health.connections); a steady climb is a leak: find the function that does not give them back.",
    empty="INCONCLUSIVE: no use of a pool was recorded in this deployment yet.",
)
def pool(history: pd.DataFrame, *, limit_share: float, within_days: float, points: float, hours: float) -> Outcome:
    """At its present pace each pool reaches *limit_share* of its size later than in *within_days*, by the fast end of the interval.

    Table: `in_use` over the deployment's time. WARN at most: it is a forecast. With fewer than *points* readings over *hours*, none
    of this run, or a pace that cannot be told from none, nothing is forecast and that is said.
    """
    wanted = {"points": points, "hours": hours}
    return _forecast(history, POOL, end=f"at {limit_share:.0%}", share=limit_share, within_days=within_days, **wanted)


@check(
    "storage.disk_trend",
    title="No disk is heading for its end",
    items=(),
    harm="A full disk turns the database read-only: notes cannot be saved from one moment to the next.",
    fix="Enlarge the disk, or find what grows: tables (storage.growth), the write-ahead log a replication slot holds back, server logs.",
    empty="INCONCLUSIVE: no use of a disk was recorded in this deployment yet.",
)
def disk(history: pd.DataFrame, *, within_days: float, points: float, hours: float) -> Outcome:
    """At its present pace each disk is full later than in *within_days*, by the fast end of the interval.

    Table: `in_use` over the deployment's time. WARN at most: it is a forecast. With fewer than *points* readings over *hours*, none
    of this run, or a pace that cannot be told from none, nothing is forecast and that is said.
    """
    return _forecast(history, DISK, end="full", share=1.0, within_days=within_days, points=points, hours=hours)


def _forecast(
    history: pd.DataFrame, resource: str, *, end: str, share: float, within_days: float, points: float, hours: float
) -> Outcome:  # fmt: skip
    """The forecast of every subject of *resource*; the one that is at its end first is told. The newest readings of all are of this run."""
    own = known(history, *COLUMNS)
    newest = None if own.empty else own["taken_at"].max()
    own = own if own.empty else own[own["resource"] == resource]
    if own.empty:
        return inconclusive(f"No use of a {resource} was recorded yet: a forecast needs {points:g} over {hours:g} h.", limit=within_days)
    rows, refused = [], []
    for subject, part in own.sort_values("taken_at").groupby("subject", sort=True):
        readings = part.drop_duplicates("taken_at")
        size, scale, unit = float(readings["size"].iloc[-1]), *((MB, "MB") if resource == DISK else (1, "connections"))
        why, last = too_few(readings["taken_at"], points=points, hours=hours), readings["taken_at"].iloc[-1]
        if last < newest:  # the others were measured since: what fell silent is not forecast from what it once said
            why = f"not measured since {last:%Y-%m-%d %H:%M} UTC"
        if why:
            refused.append(f"{subject}: {why}")
            rows.append({"subject": subject, "unit": unit, "now": float(readings["used"].iloc[-1]) / scale, "end": size * share / scale,
                         "readings": len(readings), "finding": "not forecast"})  # fmt: skip
        else:
            row = outlook(readings["taken_at"], readings["used"] / scale, end=size * share / scale, steady=resource == DISK)
            rows.append({"subject": subject, "unit": unit, **row})
    table = findings(rows, _SHOWN).sort_values("soonest_days", kind="stable", na_position="last", ignore_index=True)
    first = table.iloc[0].to_dict()
    soon = not pd.isna(first["soonest_days"])
    details: dict[str, Any] = {"table": table, "measured": round(first["soonest_days"], 2) if soon else None, "limit": within_days}
    if soon and first["soonest_days"] <= within_days:
        return warned(f"{_sentence(first, end)}; limit {within_days:g} days.", **details)
    if refused:
        return inconclusive(f"{some(refused)}.", **details)
    others = (
        f"; the {'other' if len(table) == 2 else f'{len(table) - 1} others'} {'later' if soon else 'neither'}" if len(table) > 1 else ""
    )
    return passed(f"{_sentence(first, end if soon else '')}{others}{f'; limit {within_days:g} days' if soon else ''}.", **details)


_SHOWN = ("subject", "unit", "now", "end", "per_h", "low", "high", "readings", "hours", "days", "soonest_days", "latest_days", "finding")


def _sentence(row: Mapping[Any, Any], end: str) -> str:
    return f"{row['subject']}: {told(row, row['unit'])}: {end}{' ' if end else ''}{in_days(row)}"
