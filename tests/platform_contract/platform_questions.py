"""Six kinds of question to the platform: the good answer, who asks it, and the check that judges what came."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
from pydantic import SecretStr

from opsnb.checks import backup, deployment, environment, errors, functions, health
from opsnb.facts import Facts
from opsnb.sources.logs import Logs
from opsnb.sources.metrics import Metrics
from opsnb.sources.supabase import Supabase
from opsnb.verdicts import CheckResult

REF = "abcdefghijklmnopqrst"
TOKEN = "sbp_canary0token0of0the0operator"
CANARY = "Canary Patient, born 1970-01-01"
"""What a bad body quotes and nobody may repeat."""
TIMEOUT_S = 0.3
NAMES = ("get-history", "soap-draft")
NOW = datetime.now(UTC).replace(microsecond=0)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def function(slug: str, **other: Any) -> dict[str, Any]:
    return {
        "id": f"id-{slug}", "slug": slug, "name": slug, "status": "ACTIVE", "version": 3, "created_at": _ms(NOW - timedelta(days=9)),
        "updated_at": _ms(NOW - timedelta(hours=1)), "verify_jwt": True,
    } | other  # fmt: skip


def called(slug: str, **other: Any) -> dict[str, Any]:
    counts = dict.fromkeys(("n_4xx", "n_5xx", "n_no_status", "n_401", "n_401_platform", "n_403", "n_slow", "n_untimed"), 0)
    times = {f"{which}_ms": 120.5 for which in ("p50", "p95", "p99", "max")}
    moments = {"first_at": f"{NOW - timedelta(minutes=20):%Y-%m-%d %H:%M:%S}", "last_at": f"{NOW - timedelta(minutes=1):%Y-%m-%d %H:%M:%S}"}
    return {"function_id": f"id-{slug}", "caller": "caller", "n": 5000, "n_2xx": 5000} | counts | times | moments | other


GOOD: dict[str, Any] = {
    "functions": [function(name) for name in NAMES],
    "secrets": [{"name": name, "value": f"{len(name)}f" * 32, "updated_at": "2026-01-01T00:00:00Z"} for name in ("KEY", "REGION")],
    "logs": {"result": [called(name) for name in NAMES]},
    "health": [{"name": name, "status": "ACTIVE_HEALTHY", "healthy": True} for name in ("db", "rest")],
    "backups": {
        "region": "eu-central-1", "walg_enabled": True, "pitr_enabled": True,
        "backups": [{"id": 1, "is_physical_backup": True, "status": "COMPLETED", "inserted_at": "2026-01-01T00:00:00"}],
        "physical_backup_data": {
            "earliest_physical_backup_date_unix": int((NOW - timedelta(days=7)).timestamp()),
            "latest_physical_backup_date_unix": int((NOW - timedelta(minutes=2)).timestamp()),
        },
    },
    "metrics": "# TYPE pgrst_db_pool_max gauge\npgrst_db_pool_max 10\npgrst_db_pool_available 9\npgrst_db_pool_waiting 0\n",
}  # fmt: skip
LISTED = pd.DataFrame({"slug": list(NAMES), "id": [f"id-{name}" for name in NAMES]})
SERVER = pd.DataFrame([{"version": "17.6", "read_only": True, "in_recovery": False}])
POOL_LIMIT = 0.8


@dataclass
class Asking:
    """A client of the server at *url*, with what it waited (s)."""

    url: str
    waited: list[float]

    def platform(self, ask: Callable[[Supabase], Facts]) -> Facts:
        door = Supabase(self.url, REF, SecretStr(TOKEN), timeout_s=TIMEOUT_S, sleep=self.waited.append)
        with closing(door):
            return ask(door)

    def metrics(self) -> Facts:
        door = Metrics(
            f"{self.url}/metrics", user="service_role", password=SecretStr(TOKEN), timeout_s=TIMEOUT_S, sleep=self.waited.append
        )  # fmt: skip
        with closing(door):
            return door.samples()


def _logs(door: Supabase) -> Facts:
    return Logs(door).query("function_calls", NOW - timedelta(minutes=30), NOW, slow_ms=1000.0)


ASK: dict[str, Callable[[Asking], Facts]] = {
    "functions": lambda asking: asking.platform(Supabase.functions),
    "secrets": lambda asking: asking.platform(Supabase.secrets),
    "logs": lambda asking: asking.platform(_logs),
    "health": lambda asking: asking.platform(Supabase.health),
    "backups": lambda asking: asking.platform(Supabase.backups),
    "metrics": Asking.metrics,
}
JUDGE: dict[str, Callable[[Facts], CheckResult]] = {
    "functions": lambda facts: functions.recent(facts, names=NAMES, now=NOW, within_h=24),
    "secrets": lambda facts: environment.required_set(facts, required=("KEY", "REGION")),
    "logs": lambda facts: errors.rate(facts, LISTED, names=NAMES, limit=0.01),
    "health": lambda facts: deployment.connections_answer(SERVER, facts),
    "backups": lambda facts: backup.point_in_time(facts, now=NOW),
    "metrics": lambda facts: health.pool(facts, limit_share=POOL_LIMIT),
}


def encoded(kind: str, body: Any = None) -> bytes:
    """A body of the question *kind* as bytes; the good one where none is given."""
    said = GOOD[kind] if body is None else body
    return said.encode() if isinstance(said, str) else json.dumps(said).encode()


def good_answer(path: str) -> tuple[bytes, str]:
    """Body and content type of the good answer to *path*."""
    kind = path.rpartition("/")[2]
    return encoded(kind), "text/plain; version=0.0.4" if kind == "metrics" else "application/json"
