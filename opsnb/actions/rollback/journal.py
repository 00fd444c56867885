"""What a rollback did: one JSON line an event, on disk before the next step begins. A line cut short by a kill is no event.

``rollback.jsonl`` of a deployment. Events: begun, step (began), done (step, seconds, what), failed, ended. What a step did is told with
`done`; a step that began and has no `done` is looked at again: every step begins by looking at what there is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opsnb.errors import ActionRefused
from opsnb.evidence.deployments import Deployment
from opsnb.evidence.safe import unwritable, utc

FILE_NAME = "rollback.jsonl"
LOCK_NAME = ".rollback.lock"


class Journal:
    """The journal of one deployment's rollback, held by one process."""

    def __init__(self, deployment: Deployment, descriptor: int) -> None:
        self._descriptor = descriptor
        self.events = read_journal(deployment)
        self.failed = False
        """Whether the rollback that is gone on with ended in an error: what it did is then looked at again."""

    def write(self, event: str, **said: Any) -> None:
        """Adds one event; on disk when this returns."""
        entry = {"event": event, "at": utc(datetime.now(UTC)), **said}
        os.write(self._descriptor, (json.dumps(entry, separators=(",", ":")) + "\n").encode())
        os.fsync(self._descriptor)
        self.events.append(entry)

    @property
    def open(self) -> bool:
        """Whether a rollback was begun and did not end."""
        return bool(self.events) and self.events[-1]["event"] != "ended"

    @property
    def current(self) -> list[Mapping[str, Any]]:
        """The events since the newest `begun`."""
        return newest(self.events)

    def done(self, step: str) -> Mapping[str, Any] | None:
        """What *step* did in this rollback; None where it has not ended yet."""
        return next((event for event in reversed(self.current) if event["event"] == "done" and event["step"] == step), None)

    def noted(self, event: str) -> dict[str, Any] | None:
        """The newest *event* of this rollback, such as `exported`."""
        return next((dict(each) for each in reversed(self.current) if each["event"] == event), None)

    def began(self, step: str) -> bool:
        """Whether *step* was begun in this rollback."""
        return any(event["event"] == "step" and event["step"] == step for event in self.current)


def newest(events: list[dict[str, Any]]) -> list[Mapping[str, Any]]:
    """The events of the newest rollback."""
    starts = [number for number, event in enumerate(events) if event["event"] == "begun"]
    return list(events[starts[-1] :]) if starts else []


def read_journal(deployment: Deployment) -> list[dict[str, Any]]:
    """Every whole event, oldest first."""
    try:
        content = (deployment.folder / FILE_NAME).read_bytes()
    except FileNotFoundError:
        return []
    events = []
    for line in content[: content.rfind(b"\n") + 1].splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and "event" in event:
            events.append(event)
    return events


@contextmanager
def held(deployment: Deployment) -> Iterator[Journal]:
    """The journal, for this process alone; ActionRefused where another one holds it."""
    import fcntl

    path = deployment.folder / FILE_NAME
    try:
        lock = os.open(deployment.folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise ActionRefused(f"A rollback of {deployment.id} is running right now; nothing was changed.") from None
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise unwritable(deployment.folder, error) from error
    try:
        _mend(path, descriptor)
        yield Journal(deployment, descriptor)
    finally:
        os.close(descriptor)
        os.close(lock)


def _mend(path: Path, descriptor: int) -> None:
    """Takes away a line that a killed process left without its end."""
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        os.ftruncate(descriptor, content.rfind(b"\n") + 1)
