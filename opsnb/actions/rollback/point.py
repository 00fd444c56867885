"""The way back over the platform: the whole project as it was at T0. Asked for once; killed, it is looked for, not asked for again.

Whether a restore was carried out shows in the server's timeline, which every recovery to a point in time begins anew: an answer that was
lost, or a process that was killed while it waited, leaves nothing to guess.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

from opsnb.actions.rollback.plan import POINT, Step
from opsnb.errors import ActionFailed, ActionRefused, OpsnbError, SourceError
from opsnb.sources import Absent, Doors, backup
from opsnb.sources.deploying import Deploying

ASKED = "restore asked"
EVERY_S = 1.0
BUSY = ("RESTORING", "COMING_UP", "GOING_DOWN", "RESTARTING", "INIT_READ_REPLICA")
HEALTHY = "ACTIVE_HEALTHY"
Progress = Callable[[str], None]


@dataclass(frozen=True)
class PointInTime:
    """A restore of the project to *at*. *doors*, *deploying* and *dsn* answer a fresh door each time they are asked."""

    at: datetime
    doors: Callable[[], Doors]
    deploying: Callable[[], Deploying]
    dsn: Callable[[], SecretStr]
    wait_s: float

    @property
    def target(self) -> datetime:
        """The whole second asked for: the first that has everything of T0. What was written in the rest of it is put back by rows."""
        return datetime.fromtimestamp(math.ceil(self.at.timestamp()), UTC)

    def plan(self, *, asked: bool) -> Step:
        """What it would do. ActionRefused where the platform cannot go back so far; what was *asked* for already is not judged again."""
        earliest, latest = self._window()
        if not asked and not earliest <= self.at <= latest:
            window = f"{_said(earliest)} to {_said(latest)}"
            raise ActionRefused(f"T0 ({_said(self.at)}) is not within what the platform can restore ({window}). Nothing was changed.")
        what = f"takes the whole project back to {_said(min(self.target, latest))}: every write since is lost, in every schema"
        return Step(POINT, f"{what}; callers lose their connections", "nothing; the export of rows since T0 holds those of the release")

    def walk(self, said: dict[str, Any], *, asked: dict[str, Any] | None, note: Callable[..., None], progress: Progress) -> None:
        """Restores, and waits until the project is up. *asked*: what the journal noted when it was asked for; *note* notes it there."""
        if asked is None or not self._carried_out(asked):
            target, timeline = min(self.target, self._window()[1]), self._timeline()
            note(ASKED, target=_said(target), timeline=timeline)
            asked = {"target": _said(target), "timeline": timeline}
            with closing(self.deploying()) as platform:
                platform.restore_to(target)
        self.wait(asked, progress)
        said.update(target=asked["target"], timeline=self._timeline())

    def _carried_out(self, asked: dict[str, Any]) -> bool:
        """Whether the restore that was asked for is under way, or was done."""
        return self.under_way() or self._timeline() > int(asked["timeline"])

    def under_way(self) -> bool:
        """Whether the platform says that the project is on its way."""
        return self._status() in BUSY

    def wait(self, asked: dict[str, Any], progress: Progress) -> None:
        """Until the project is up and its server recovered. ActionFailed where it failed, or is not within *wait_s*."""
        began = time.monotonic()
        status = "not known"
        while (waited := time.monotonic() - began) < self.wait_s:
            try:
                status = self._status()
                if status.endswith("FAILED"):
                    raise ActionFailed(f"The platform could not restore the project to {asked['target']}: its status is {status}.")
                if status == HEALTHY and self._timeline() > int(asked["timeline"]):
                    return
            except SourceError:  # nothing answers while it is restored
                status = "no answer"
            progress(f"the platform restores the project ({status}, {waited:.0f} s)")
            time.sleep(EVERY_S)
        raise ActionFailed(
            f"The project was not up again {self.wait_s:g} s after it was asked to go back to {asked['target']} ({status}). "
            "Look at the platform; then give the command again: it is not asked for twice."
        )

    def _status(self) -> str:
        doors = self.doors()
        try:
            if isinstance(doors.platform, Absent):
                raise ActionRefused("The environment names no platform: there is nothing that could go back to a point in time.")
            return str(doors.platform.project().table["status"].iloc[0])
        finally:
            doors.close()

    def _window(self) -> tuple[datetime, datetime]:
        doors = self.doors()
        try:
            if isinstance(doors.platform, Absent):
                raise ActionRefused("The environment names no platform: there is nothing that could go back to a point in time.")
            table = doors.platform.backups().table
        except OpsnbError as error:
            raise ActionRefused(f"What the platform can restore is not known: {error}. Nothing was changed.") from None
        finally:
            doors.close()
        ends = [table[table["kind"] == f"point in time, {which}"]["at"] for which in ("earliest", "latest")]
        if any(end.empty for end in ends):
            raise ActionRefused("The platform cannot go back to a point in time: the add-on is not enabled. Nothing was changed.")
        return ends[0].iloc[0].to_pydatetime(), ends[1].iloc[0].to_pydatetime()

    def _timeline(self) -> int:
        return backup.timeline(self.dsn())


def _said(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
