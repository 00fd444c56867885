"""Tells people what the alerts say: rules over the archived runs, contacts of the period, each notification once."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from opsnb.config import Environment, Limits, effective_limits, text_of
from opsnb.config.alerts import AlertRule, Alerts
from opsnb.errors import OpsnbError, ReferenceError_, UsageError
from opsnb.evidence.deployments import Deployment
from opsnb.evidence.results import Run, read_runs
from opsnb.evidence.safe import write_atomic
from opsnb.sources import heartbeat, notices
from opsnb.verdicts import Verdict
from opsnb.watching import alerts, show
from opsnb.watching.alerts import Notification, Reading, State
from opsnb.watching.journal import Journal
from opsnb.watching.service import PHASE, Watch

FILE_NAME = "alerts.json"
WORDS = {
    alerts.FIRING: "ALERT", alerts.REMINDER: "STILL", alerts.RESOLVED: "OVER", alerts.PAST: "WAS", alerts.SILENT: "NO DATA",
    alerts.HEARD: "DATA AGAIN",
}  # fmt: skip


@dataclass(frozen=True)
class Memory:
    """What is kept between looks: a state per rule, how many lines of the journal were read, and what is still to be sent."""

    states: dict[str, State] = field(default_factory=dict)
    read: int = 0
    outbox: tuple[Notification, ...] = ()


_MEMORY = TypeAdapter(Memory)


def rules(watch: Watch) -> tuple[AlertRule, ...]:
    """The release's rules; those of the guide, with the limits that hold here, where it names none."""
    return watch.release.alerts.rules or guide_rules(effective_limits(watch.release, watch.environment))


def guide_rules(limits: Limits) -> tuple[AlertRule, ...]:
    """Error rate, response time and connections, as the guide alerts on them."""
    return (
        AlertRule(name="error rate", check="errors.alert_rate", limit=limits.alert_error_rate),
        AlertRule(name="response time", check="errors.alert_response", limit=limits.alert_response_s),
        AlertRule(name="connections", check="health.pool", limit=limits.alert_pool_share),
    )


def readings(deployment: Deployment, checks: Sequence[str], *, after: int = 0) -> tuple[list[Mapping[str, Reading]], int]:
    """Check → reading, for each slot that was settled since line *after* of the journal; and how many lines there are now.

    A slot that was missed, and a check that could not measure, are readings without a value.
    """
    entries = Journal(deployment.folder / PHASE).entries()
    runs = {run.name: run for run in read_runs(deployment) if run.phase == PHASE}
    found: list[Mapping[str, Reading]] = []
    for entry in entries[after:]:
        if entry["event"] in ("ended", "missed"):
            at = datetime.fromisoformat(str(entry.get("began") or entry["at"]))
            run = runs.get(str(entry.get("run") or ""))
            found.append({check: _reading(run, check, at) for check in checks})
    return found, len(entries)


def tell(watch: Watch, *, root: Path, now: datetime) -> list[str]:
    """Steps every rule over what is new, sends what it says, and answers a sentence per notification.

    What could not be delivered stays in the outbox and is sent at the next look. Another process that tells is left to it.
    """
    with _alone(watch.desk.folder) as alone:
        if not alone:
            return []
        memory = step(watch, _memory(watch.desk.folder))
        _keep(watch.desk.folder, memory)  # before anything is sent: what is sent twice at worst is told, never lost
        told, left = [], []
        addresses = [(str(reference), reference.resolve(root)) for reference in watch.environment.on_call]
        for notification in memory.outbox:
            title, body = message(watch, notification, root=root, now=now)
            sent = notices.send(addresses, title=title, body=body)
            reached = int(sent.table["delivered"].sum()) if sent.ok else 0
            told.append(f"{title} (told {reached} of {len(addresses)} addresses)")
            if addresses and not reached:
                left.append(notification)
        _keep(watch.desk.folder, replace(memory, outbox=tuple(left)))
        return told


def step(watch: Watch, memory: Memory) -> Memory:
    """*memory* after what is new in the archive; nothing is sent."""
    chosen = rules(watch)
    new, read = readings(watch.deployment, [rule.check for rule in chosen], after=memory.read)
    states, outbox = dict(memory.states), list(memory.outbox)
    for each in new:
        for rule in chosen:
            state = states.get(rule.name, State())
            states[rule.name], notified = alerts.step(rule, state, each[rule.check], watch.release.alerts.quiet)
            outbox += notified
    return Memory(states, read, tuple(outbox))


def replay(deployment: Deployment, said: Alerts) -> tuple[list[Notification], int]:
    """What *said* would have told over the archived runs of *deployment*, and over how many slots; nothing is sent."""
    found, _ = readings(deployment, [rule.check for rule in said.rules])
    told = [
        notice for rule in said.rules for notice in alerts.run(rule, [each[rule.check] for each in found], said.quiet)
    ]  # fmt: skip
    return sorted(told, key=lambda notice: notice.at), len(found)


def message(watch: Watch, notification: Notification, *, root: Path, now: datetime) -> tuple[str, str]:
    """Title and body: what, where, since when, what to look at, whom to call."""
    rule = next((rule for rule in rules(watch) if rule.name == notification.rule), None)
    title = f"{WORDS[notification.kind]}: {notification.rule} · {watch.environment.name}"
    measured = "nothing could be measured" if notification.value is None else f"measured {notification.value:g}"
    limit = "" if rule is None or rule.limit is None else f", limit {rule.limit:g}"
    lasted = f", for {show.span(timedelta(seconds=notification.lasted_s))}" if notification.lasted_s else ""
    lines = [
        f"{watch.release.title}, {watch.environment.name}: {notification.rule} at {notification.at:%Y-%m-%d %H:%M} UTC: "
        f"{measured}{limit}{lasted}.",
        f"Check {rule.check}, deployment {watch.deployment.id}." if rule else f"Deployment {watch.deployment.id}.",
    ]
    if notification.kind in (alerts.FIRING, alerts.REMINDER, alerts.SILENT):
        lines += [f"Call: {contact}" for contact in contacts(watch, root=root, now=now)]
    return title, "\n".join(lines)


def contacts(watch: Watch, *, root: Path, now: datetime) -> list[str]:
    """Role, name and reach of those to call now, by the support matrix; what does not resolve is left out."""
    hours = (now - watch.deployment.opened_at).total_seconds() / 3600
    support = watch.environment.support or watch.release.support
    period = support.deployment_hour if hours < 1 else support.first_24_hours if hours < 24 else support.normal
    found = []
    for contact in period:
        with contextlib.suppress(ReferenceError_):
            found.append(f"{contact.role}: {text_of(contact.name, root)}, {text_of(contact.reach, root)}")
    return found


def beat(environment: Environment, *, well: bool, root: Path) -> str:
    """Pings the environment's dead man's switch, where it has one; answers what went wrong, or nothing."""
    if environment.heartbeat is None:
        return ""
    try:
        answered = heartbeat.ping(environment.heartbeat.resolve(root), well=well)
    except OpsnbError as error:
        return str(error)
    return "" if answered.ok else str(answered.error)


def _reading(run: Run | None, check: str, at: datetime) -> Reading:
    result = None if run is None else next((result for result in run.results if result.id == check), None)
    if result is None or result.verdict is Verdict.ERROR or not isinstance(result.measured, int | float):
        return Reading(at)
    return Reading(at, value=float(result.measured))


def _memory(folder: Path) -> Memory:
    path = folder / FILE_NAME
    try:
        return _MEMORY.validate_json(path.read_bytes()) if path.is_file() else Memory()
    except ValidationError:
        raise UsageError(f"{path}: expected what opsnb monitor --notify keeps there; move it away, and the alerts begin anew") from None


def _keep(folder: Path, memory: Memory) -> None:
    write_atomic(folder / FILE_NAME, _MEMORY.dump_json(memory, indent=1))


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Whether no other process tells; the system releases the lock when this one ends."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / ".alerts.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
