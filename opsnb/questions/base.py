"""What every question has at hand: the phase it is asked in, its sources, and time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from opsnb.config import Environment, Limits, Release, clock, text_of
from opsnb.evidence.deployments import Deployment
from opsnb.facts import Facts
from opsnb.sources import Absent, Doors
from opsnb.verdicts import CheckResult


class Base:
    """What a phase sets, and what more than one group of questions needs."""

    name: str
    root: Path
    environment: Environment
    release: Release
    limits: Limits
    deployment: Deployment
    sources: Doors
    started_at: datetime
    apply: bool
    confirm: str
    _results: dict[str, CheckResult]

    def utc_now(self) -> datetime:
        """The present, in UTC."""
        return clock.now()

    def minutes_ago(self, minutes: float) -> datetime:
        """So many minutes before this run started."""
        return self.started_at - timedelta(minutes=minutes)

    def hours_since_start(self) -> float:
        """Hours since the deployment was opened."""
        return (self.started_at - self.deployment.opened_at).total_seconds() / 3600

    def not_begun(self, item: str) -> str:
        """Why *item* cannot be answered yet: its period of the monitoring schedule lies ahead; '' where it does not."""
        for period in self.release.monitoring:
            if item in period.items and self.hours_since_start() < period.from_hours:
                begins = self.deployment.opened_at + timedelta(hours=period.from_hours)
                return f"The {period.name} begin at {begins:%Y-%m-%d %H:%M} UTC; run this phase again then."
        return ""

    def items_now(self, *items: str) -> list[str]:
        """Those of *items* whose period has begun: what is measured before says nothing about it."""
        return [item for item in items if not self.not_begun(item)]

    def _not_in_release(self, key: str) -> Facts:
        return Absent("release", f"the release {self.release.name} names no `{key}`").facts(key)

    def _probe_values(self) -> dict[str, str]:
        return {name: text_of(value, self.root) for name, value in self.environment.probe_values.items()}


def told(source: str, question: str, rows: Sequence[tuple[Any, ...]], *columns: str) -> Facts:
    """Facts that took no asking: from the release or the archive."""
    return Facts(source, question, 0.0, answer=pd.DataFrame(rows, columns=list(columns)))
