"""What time it is (UTC). One place, so that a simulated day can set a run back in time; a real deployment's clock is the machine's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from opsnb.config.root import settings


def now() -> datetime:
    """The present, as far behind the machine's clock as OPSNB_CLOCK_BEHIND_S says."""
    return datetime.now(UTC) - timedelta(seconds=settings().clock_behind_s)


def is_simulated() -> bool:
    """Whether this process lives behind the machine's clock."""
    return settings().clock_behind_s > 0
