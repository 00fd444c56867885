"""What the monitoring phase forecasts of a real target, after a past that was made up: refused, then seen to climb, then flat."""

from __future__ import annotations

import contextlib
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from harness import REPOSITORY, make_home, run_cells

from opsnb.evidence import archive, deployments, measured
from opsnb.evidence.deployments import Deployment
from opsnb.evidence.svg import figure_svg
from opsnb.phase import Phase
from opsnb.verdicts import PhaseReport

pytestmark = pytest.mark.target

FORECASTS = ("storage.trend", "health.pool_trend", "storage.disk_trend")
HALF_HOURS = 8


def monitored(deployment: Deployment) -> Phase:
    with contextlib.redirect_stdout(io.StringIO()):
        return run_cells(REPOSITORY / "notebooks" / "09_monitor.ipynb", deployment=deployment.id)


def forecasts(phase: Phase) -> dict[str, str]:
    assert phase.report is not None
    return {result.id: str(result.verdict) for result in phase.report.results if result.id in FORECASTS}


def past(deployment: Deployment, size: pd.DataFrame, use: pd.DataFrame, *, climbing: bool) -> None:
    """Eight runs, half an hour apart, that lead up to what was measured just now."""
    now = datetime.now(UTC)
    step = {"pool": 1.0, "disk": float((use["size"] - use["used"])[use["resource"] == "disk"].min()) / 100}
    for back in range(HALF_HOURS, 0, -1):
        at, less = now - timedelta(minutes=30 * back), back if climbing else 0
        taken = pd.Timestamp(at)
        used = (use["used"] - less * use["resource"].map(step)).clip(lower=0)
        saved = {
            "database_size": size.assign(taken_at=taken, database_bytes=size["database_bytes"] - less * 1_500_000),
            "capacity": use.assign(taken_at=taken, used=used),
        }
        archive.file_run(deployment, PhaseReport("monitor", ()), started_at=at, ended_at=at, guide_minutes=None, saved=saved)


def test_refused_then_climbing_then_flat(target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_home(tmp_path / "a home")
    (root / ".opsnb").symlink_to(target / ".opsnb")
    for name in ("OPSNB_RUN_DIR", "OPSNB_JOURNAL", "OPSNB_REPORTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPSNB_HOME", str(root))
    monkeypatch.setenv("OPSNB_LOCAL_AUTOSTART", "0")

    def opened() -> Deployment:
        begun = datetime.now(UTC) - timedelta(hours=5)
        for each in deployments.all_deployments(root / "reports", "local"):
            if each.is_open:
                deployments.close_deployment(each, begun)
        return deployments.open_deployment(root / "reports", "local", "patient-history", begun + timedelta(seconds=len(seen)))

    seen: list[dict[str, str]] = []
    first = opened()
    phase = monitored(first)
    seen.append(forecasts(phase))
    assert seen[0] == dict.fromkeys(FORECASTS, "INCONCLUSIVE"), "one reading is no trend"
    use, size = archive.saved_over_time(first, "capacity").table, archive.saved_over_time(first, "database_size").table
    assert set(use["resource"]) == {"pool", "disk"} and {"data API", "server", "/data"} <= set(use["subject"])

    for climbing, verdict in ((True, "WARN"), (False, "PASS")):
        deployment = opened()
        past(deployment, size, use[use["subject"] != "data API"], climbing=climbing)
        phase = monitored(deployment)
        seen.append(forecasts(phase))
        found = phase.report.results if phase.report else ()
        told = {result.id: result.summary for result in found if result.id in FORECASTS}
        few = "data API: 1 reading"  # a pool that is new is not forecast, and holds back a PASS
        assert seen[-1]["storage.trend"] == seen[-1]["storage.disk_trend"] == verdict, told
        assert seen[-1]["health.pool_trend"] == (verdict if climbing else "INCONCLUSIVE") and (climbing or few in told["health.pool_trend"])
        history = pd.read_parquet(measured.write(deployment))
        assert len(history[history["measure"] == "database_size"]) == HALF_HOURS + 1
        assert set(history[history["measure"].isin(FORECASTS)]["verdict"]) == set(seen[-1].values())
        (growth,) = [result.table for result in found if result.id == "storage.trend"]
        from opsnb import charts

        drawn = charts.storage_growth(archive.saved_over_time(deployment, "database_size").table, limit_mb=100, trend=growth)
        assert "<polygon" in figure_svg(drawn.to_plotly_json())
