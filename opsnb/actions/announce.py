"""Tells people that the window begins or has ended: a plan first, then one message to every address of the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from opsnb.actions import record as records
from opsnb.config import Environment, Release, effective_limits, load_environment, load_release, settings
from opsnb.errors import ActionFailed, ActionRefused, UsageError
from opsnb.evidence import deployments
from opsnb.evidence.deployments import Deployment
from opsnb.sources import notices


@dataclass(frozen=True)
class Message:
    """What would be sent. `places` are the references of its addresses, never the addresses."""

    kind: str
    title: str
    body: str
    places: tuple[str, ...]


class Announcement:
    """The action, for one environment and deployment."""

    def __init__(self, environment: Environment, release: Release, deployment: Deployment, root: Path) -> None:
        self.environment = environment
        self.release = release
        self.deployment = deployment
        self.root = root

    @classmethod
    def open(cls, environment: str, *, root: Path, deployment: str = "") -> Announcement:
        """Loads the environment and its release; opens a deployment where there is none."""
        loaded = load_environment(environment, root)
        release = load_release(loaded.release, root)
        now = datetime.now(UTC)
        found = deployments.find_or_open(settings().reports_folder(root), loaded.name, release.name, identifier=deployment, now=now)
        return cls(loaded, release, found, root)

    def plan(self, kind: str, *, now: datetime | None = None) -> Message:
        """The message *kind* of the release with its times filled in. Raises UsageError where the release has none of that name."""
        texts: Mapping[str, str] = self.release.announcements
        if kind not in texts:
            raise UsageError(f"release {self.release.name}: announcements has no {kind!r}; there are: {', '.join(texts) or 'none'}")
        begins = (now or datetime.now(UTC)).replace(second=0, microsecond=0)
        minutes = effective_limits(self.release, self.environment).window_minutes
        words = {
            "title": self.release.title, "environment": self.environment.name, "deployment": self.deployment.id,
            "begins": f"{begins:%Y-%m-%d %H:%M} UTC", "ends": f"{begins + timedelta(minutes=minutes):%H:%M} UTC", "minutes": f"{minutes:g}",
        }  # fmt: skip
        body = texts[kind]
        for name, value in words.items():  # no format(): a text of a file names words, and reaches nothing else
            body = body.replace(f"{{{name}}}", value)
        places = tuple(str(reference) for reference in self.environment.notify)
        return Message(kind, f"{self.release.title}: {kind.replace('_', ' ')}", body, places)

    def apply(self, message: Message, *, confirm: str) -> pd.DataFrame:
        """Sends *message* once to every address and files what was delivered. Raises ActionRefused or ActionFailed."""
        if confirm != self.environment.name:
            raise UsageError(f"--confirm {confirm}: expected the environment's name, {self.environment.name}; nothing was sent")
        if not message.places:
            raise ActionRefused(f"environment {self.environment.name}: notify names no address; nothing was sent")
        addresses = [(str(reference), reference.resolve(self.root)) for reference in self.environment.notify]
        started = datetime.now(UTC)
        sent = notices.send(addresses, title=message.title, body=message.body).table
        rows = sent.assign(message=message.kind).astype({"delivered": bool}).to_dict("records")
        record = {"action": "announce", "started_at": started.isoformat(), "ended_at": datetime.now(UTC).isoformat(), "sent": rows}
        records.file_action(self.deployment, "announce", record, at=started)
        missed = [str(row["place"]) for row in rows if not row["delivered"]]
        if missed:
            raise ActionFailed(f"The message reached {len(rows) - len(missed)} of {len(rows)} addresses; not {', '.join(missed)}.")
        return sent
