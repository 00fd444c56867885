"""The folder of a fleet run: what was ordered, each target's end in a file of its own, the roll-up.

Every file is whole or absent, so a run that was killed at any moment can be resumed: a target without a file is repeated.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opsnb.errors import UsageError
from opsnb.evidence.deployments import STAMP
from opsnb.evidence.safe import unwritable, utc, write_atomic
from opsnb.fleet.target import TargetEnd, from_json, to_json

FOLDER = "fleet"
"""The folder of the archive that holds fleet runs; no environment can be called so."""
ORDER_NAME = "fleet.json"
RESULTS_NAME = "results.json"
LOCK_NAME = ".lock"


@dataclass(frozen=True)
class FleetRun:
    """One fleet run. `folder` is reports/fleet/<id>/; *targets* in the order of their names."""

    id: str
    targets: tuple[str, ...]
    phases: tuple[str, ...]
    started_at: str
    folder: Path

    def ends(self) -> dict[str, TargetEnd]:
        """Target → how it ended, for those that did; a damaged file counts as none."""
        found = {}
        for target in self.targets:
            try:
                found[target] = from_json(json.loads(self._file(target).read_text(encoding="utf-8")))
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                continue
        return found

    def keep(self, end: TargetEnd) -> None:
        """Writes how a target ended."""
        write_atomic(self._file(end.environment), json.dumps(to_json(end), indent=1, ensure_ascii=False) + "\n")

    def _file(self, target: str) -> Path:
        return self.folder / "targets" / f"{target}.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the run, as long as this process lives; UsageError where another one does."""
        descriptor = os.open(self.folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UsageError(f"the fleet run {self.id} is still at work in another process; wait for it, or stop it") from None
            yield
        finally:
            os.close(descriptor)


def begin(reports: Path, targets: Sequence[str], phases: Sequence[str], now: datetime) -> FleetRun:
    """A new fleet run. UsageError where the archive cannot be written."""
    stamp = now.astimezone(UTC).strftime(STAMP)
    count = 1
    while True:
        name = stamp if count == 1 else f"{stamp}-{count:03d}"
        folder = reports / FOLDER / name
        try:
            folder.mkdir(parents=True)
            break
        except FileExistsError:
            count += 1
        except OSError as error:
            raise unwritable(folder.parent, error) from error
    run = FleetRun(name, tuple(targets), tuple(phases), utc(now), folder)
    kept = {"id": run.id, "targets": list(targets), "phases": list(phases), "started_at": run.started_at}
    write_atomic(folder / ORDER_NAME, json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    return run


def resumed(reports: Path, targets: Sequence[str], phases: Sequence[str]) -> FleetRun:
    """The newest fleet run of exactly these targets and phases. UsageError where there is none."""
    for run in all_runs(reports):
        if run.targets == tuple(targets) and run.phases == tuple(phases):
            return run
    raise UsageError(
        f"--resume: no fleet run of {len(targets)} targets like these with {_named(phases)} is in {reports / FOLDER}; "
        "leave --resume out to begin one"
    )


def all_runs(reports: Path) -> list[FleetRun]:
    """Every fleet run of the archive, newest first; one whose order cannot be read is left out."""
    found = []
    for path in sorted((reports / FOLDER).glob(f"*/{ORDER_NAME}"), reverse=True):
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            run = FleetRun(path.parent.name, tuple(kept["targets"]), tuple(kept["phases"]), str(kept["started_at"]), path.parent)
        except (OSError, ValueError, KeyError, TypeError):
            continue
        found.append(run)
    return found


def previous_results(reports: Path, run: FleetRun) -> Mapping[str, Any] | None:
    """results.json of the newest fleet run before *run* with the same phases; None where there is none."""
    for earlier in all_runs(reports):
        if earlier.id < run.id and earlier.phases == run.phases:
            try:
                kept = json.loads((earlier.folder / RESULTS_NAME).read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
            if isinstance(kept, dict):
                return kept
    return None


def _named(phases: Sequence[str]) -> str:
    return f"the phase{'' if len(phases) == 1 else 's'} {', '.join(phases)}"
