"""Orders: what one `opsnb run` set out to do, kept in the deployment, so that a run that was cut off can be taken up where it ended.

`orders/<UTC>.json` is written before the first phase begins and locked while its run lives; `orders/<UTC>.ended.json` when every phase of
it came to its end and was measured.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opsnb.errors import UsageError
from opsnb.evidence.deployments import STAMP, Deployment
from opsnb.evidence.results import JOURNAL_NAME, ORDERS_NAME, Run, read_runs
from opsnb.evidence.safe import utc, write_atomic
from opsnb.verdicts import Verdict

ENDED = ".ended.json"


@dataclass(frozen=True)
class Order:
    """One order. `phases` in the order they were named; `parameters` as given for this run."""

    path: Path
    phases: tuple[str, ...]
    parameters: Mapping[str, Any]
    started_at: datetime

    @property
    def acts(self) -> bool:
        """Whether its phases may change something."""
        return bool(self.parameters.get("apply"))

    def end(self) -> None:
        """Says that it is through."""
        write_atomic(self.path.with_name(self.path.stem + ENDED), json.dumps({"ended_at": utc(datetime.now(UTC))}) + "\n")


@contextlib.contextmanager
def begin(deployment: Deployment, phases: Sequence[str], parameters: Mapping[str, Any]) -> Iterator[Order]:
    """Files a new order and holds it while it is carried out."""
    started = datetime.now(UTC)
    folder = deployment.folder / ORDERS_NAME
    stamp = started.strftime(STAMP)
    path = folder / f"{stamp}.json"
    count = 1
    while path.exists():
        count += 1
        path = folder / f"{stamp}-{count:03d}.json"
    content = {"phases": list(phases), "parameters": dict(parameters), "started_at": started.isoformat()}
    write_atomic(path, json.dumps(content, indent=2) + "\n")
    with _held(path) as free:
        if not free:  # of the same second
            raise UsageError(f"{path} is held by another run that began in the same second; run the command again")
        yield Order(path, tuple(phases), dict(parameters), started)


@contextlib.contextmanager
def taken_up(deployment: Deployment) -> Iterator[Order]:
    """The newest order of *deployment*, held; UsageError where it was carried out to its end, or its run still lives."""
    folder = deployment.folder / ORDERS_NAME
    kept = sorted(path for path in folder.glob("*.json") if not path.name.endswith(ENDED)) if folder.is_dir() else []
    if not kept or kept[-1].with_name(kept[-1].stem + ENDED).exists():
        raise UsageError(
            f"{deployment.id}: there is nothing to resume; every phase of the last run came to its end and was measured. "
            "Leave --resume out to run again."
        )
    order = _read(kept[-1])
    with _held(order.path) as free:
        if not free:
            raise UsageError(f"{deployment.id}: the run that began at {utc(order.started_at)} still lives; wait for it, or end it first.")
        yield order


def through(deployment: Deployment, order: Order) -> dict[str, Run]:
    """The phases of *order* that came to their end and were measured since it began: their newest such run. They are not done again."""
    since = order.started_at.replace(microsecond=0)
    found: dict[str, Run] = {}
    for run in read_runs(deployment):
        if run.phase in order.phases and run.phase not in found and _began(run) >= since and _complete(run):
            found[run.phase] = run
    return found


def cut_off(deployment: Deployment, order: Order) -> list[Path]:
    """The folders of runs of *order* that never left results."""
    since = order.started_at.replace(microsecond=0)
    return [run.folder for run in read_runs(deployment) if run.damaged and run.phase in order.phases and _began(run) >= since]


def _began(run: Run) -> datetime:
    return datetime.strptime(run.folder.name[:16], STAMP).replace(tzinfo=UTC)


def _complete(run: Run) -> bool:
    """Its last cell spoke, of everything it asked it was told, its page is there, and the journal saw the end."""
    if run.damaged or run.data.get("unfinished") or not run.has_report:
        return False
    if any(result.verdict is Verdict.ERROR for result in run.results):
        return False
    try:
        lines = (run.folder / JOURNAL_NAME).read_text(encoding="utf-8").splitlines()
        return bool(lines) and json.loads(lines[-1]).get("event") == "notebook_end"
    except (OSError, ValueError):
        return False


def _read(path: Path) -> Order:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return Order(path, tuple(map(str, kept["phases"])), dict(kept["parameters"]), datetime.fromisoformat(kept["started_at"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} does not say what it should ({type(error).__name__}): expected JSON with phases, parameters and started_at. "
            "Leave --resume out to run again."
        ) from error


@contextlib.contextmanager
def _held(path: Path) -> Iterator[bool]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)
