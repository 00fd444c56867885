"""Questions about how much room there is: pools and disks, now and over the deployment's time."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd

from opsnb.checks.capacity import in_use
from opsnb.facts import Facts, asked
from opsnb.questions.base import Base


class CapacityQuestions(Base):
    """What a phase can be asked about pools and disks."""

    @asked("metrics")
    def capacity(self, metrics: Facts, sessions: Facts) -> tuple[str, pd.DataFrame] | Facts:
        """How much of each pool and disk is in use: taken_at, resource, subject, used, size, unit; of what could be had of both.

        The time is the machine's, also under a simulated clock: what metrics and database say is of real time.
        """
        if metrics.answer is None and sessions.answer is None:
            return metrics
        tables = [pd.DataFrame() if facts.answer is None else facts.answer for facts in (metrics, sessions)]
        return "use of each pool and disk, from metrics and sessions", in_use(*tables, at=datetime.now(UTC))
