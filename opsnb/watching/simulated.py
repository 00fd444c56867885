"""A simulated day: every run of the schedule really executed against the embedded target, behind the machine's clock.

The deployment is opened a whole schedule ago, and the clock goes from slot to slot. What the logs say is of each slot's own time; what
the database, its metrics and the platform say is of the present, and every page says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from opsnb.config import clock, load_environment, load_release, settings
from opsnb.config.root import set_clock_behind
from opsnb.config.schedule import Slot, slots
from opsnb.errors import UsageError
from opsnb.evidence import deployments
from opsnb.evidence.deployments import Deployment
from opsnb.execution import runner
from opsnb.watching import timeline
from opsnb.watching.desk import Tick
from opsnb.watching.service import PHASE, Watch, open_watch

AFTER = timedelta(seconds=5)
"""How long after a slot is due its run begins."""


@dataclass(frozen=True)
class Day:
    """One simulated deployment and its schedule."""

    environment: str
    deployment: Deployment
    schedule: tuple[Slot, ...]
    root: Path

    @classmethod
    def open(cls, environment: str, *, root: Path, deployment: str = "") -> Day:
        """A new day that ends now, or the one called *deployment*. UsageError for an environment that is not the embedded target."""
        loaded = load_environment(environment, root)
        if loaded.autostart != "local":
            raise UsageError(f"environment {environment}: --day is for the embedded target (autostart: local): it writes a day of logs")
        release = load_release(loaded.release, root)
        runner.require_possible(environment, phases=[PHASE], deployment=deployment, parameters={}, root=root)
        reports = settings().reports_folder(root)
        if deployment:
            found = deployments.require_open(deployments.find(reports, environment, deployment))
            if not found.simulated:
                raise UsageError(f"{deployment} is a real deployment: a day is simulated in one of its own")
        else:
            hours = max(period.to_hours for period in release.monitoring)
            began = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=hours, minutes=1)
            found = deployments.open_simulated(reports, environment, release.name, began)
        return cls(environment, found, slots(found.opened_at, release.monitoring), root)

    def run(self, began: Callable[[Slot], None] = lambda _slot: None) -> Iterator[tuple[Slot, Tick]]:
        """Goes from slot to slot, each as `opsnb monitor` would at its time; the timeline is written after each."""
        for slot in self.schedule:
            self.set_clock(slot)
            watch = self.watch(began)
            if slot.number in watch.desk.settled():
                continue
            tick = watch.desk.tick()
            timeline.write(watch, clock.now())
            yield slot, tick

    def set_clock(self, slot: Slot) -> None:
        """Sets this process back to the moment after *slot* is due."""
        set_clock_behind((datetime.now(UTC) - slot.due - AFTER).total_seconds())

    def watch(self, began: Callable[[Slot], None] = lambda _slot: None) -> Watch:
        """The slots of this day, as a monitoring process sees them."""
        found = open_watch(self.environment, root=self.root, deployment=self.deployment.id, began=began)
        if found is None:
            raise UsageError(f"{self.deployment.id} is closed")
        return found
