"""The slots in a terminal: a table that a person reads at a glance, and one line for what just happened."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from opsnb.verdicts import Gate
from opsnb.watching.alerts import Notification
from opsnb.watching.desk import Tick

STATES = {
    "passed": "[green]✔ passed[/]",
    "held": "[yellow]◐ held[/]",
    "unmeasured": "[magenta]? unmeasured[/]",
    "failed": "[red]✘ failed[/]",
    "running": "[cyan]▶ running[/]",
    "due": "[cyan]● due[/]",
    "missed": "[red]∅ missed[/]",
    "to come": "[dim]· to come[/]",
}
NOTICES = {"firing": "red", "reminder": "red", "resolved": "green", "past": "yellow", "silent": "magenta"}
GATE_WORDS = {Gate.PASSED: "passed", Gate.HELD: "was held", Gate.UNMEASURED: "could not measure", Gate.FAILED: "failed"}


def slots_table(slots: pd.DataFrame) -> Table:
    """Every slot with when it is due (UTC), what became of it and what a person should know of it."""
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for name, justify in (
        ("slot", "right"),
        ("due, UTC", "left"),
        ("period", "left"),
        ("state", "left"),
        ("late", "right"),
        ("took", "right"),
    ):
        shown.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    shown.add_column("note", overflow="fold")
    day, period = "", ""
    for row in slots.to_dict("records"):
        due = f"{row['due']:%a %d %H:%M}"
        shown_due = due if due[:6] != day else f"{'':6} {due[7:]}"
        state = row["gate"] if row["state"] == "done" else row["state"]
        shown.add_row(
            str(row["slot"]), shown_due, "" if row["period"] == period else escape(str(row["period"])), STATES[str(state)],
            _late(row["late_min"]), _took(row["seconds"]), _note(row),
        )  # fmt: skip
        day, period = due[:6], str(row["period"])
    return shown


def heading(deployment: str, slots: pd.DataFrame, now: datetime, *, status: str = "") -> Text:
    """Deployment, how many of how many are done, and when the next is due."""
    done, missed = (slots["state"] == "done").sum(), (slots["state"] == "missed").sum()
    text = Text.assemble((deployment, "bold"), "  ", (f"{done} of {len(slots)}", "bold green" if not missed else "bold red"))
    if missed:
        text.append(f", {missed} missed", "red")
    text.append(f"  {status or next_sentence(slots, now)}", "dim")
    return text


def live(deployment: str, slots: pd.DataFrame, now: datetime, *, status: str = "") -> Group:
    """What `opsnb watch` shows."""
    return Group(heading(deployment, slots, now, status=status), slots_table(slots))


def next_sentence(slots: pd.DataFrame, now: datetime) -> str:
    """When the next slot is due, and in how long."""
    ahead = slots[slots["state"] == "to come"]
    if ahead.empty:
        return "nothing is to come"
    due = ahead.iloc[0]["due"]
    return f"next: slot {ahead.iloc[0]['slot']} at {due:%H:%M} UTC, in {span(due - now)}"


def span(length: timedelta) -> str:
    """``45 s``, ``12 min``, ``3 h 05 min``."""
    seconds = max(0, round(length.total_seconds()))
    if seconds < 90:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def tick_lines(tick: Tick, of: int) -> Sequence[str]:
    """What one look led to, a sentence each, as markup."""
    lines = []
    if tick.busy is not None:
        lines.append(f"[cyan]▶[/] {escape(str(tick.busy))} is at it; nothing was begun")
    if tick.reopened:
        lines.append(f"[yellow]![/] the clock was put back: {_numbers(tick.reopened)} of {of} open again")
    if tick.adopted:
        lines.append(f"[green]✔[/] {_numbers([slot.number for slot in tick.adopted])} of {of}: a run was in the archive, and counts")
    if tick.missed:
        lines.append(f"[red]∅[/] {_numbers([slot.number for slot in tick.missed])} of {of} missed: nobody ran it in its time")
    if tick.ran is not None and tick.done is not None:
        mark = STATES[str(tick.done.gate)].split(" ")[0] + "[/]"
        why = f": {escape(tick.done.why)}" if tick.done.why and tick.done.gate is not Gate.PASSED else ""
        lines.append(f"{mark} {tick.ran.key} {GATE_WORDS[tick.done.gate]}{why}")
    return lines


def replayed(told: Sequence[Notification]) -> Table:
    """Notifications as a table: when, which rule, what of it, and the value then."""
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("at, UTC", "rule", "told", "severity", "value"):
        shown.add_column(name, justify="right" if name == "value" else "left", overflow="fold")
    for notice in told:
        style = NOTICES.get(notice.kind, "cyan")
        value = "" if notice.value is None else f"{notice.value:g}"
        shown.add_row(f"{notice.at:%a %d %H:%M}", escape(notice.rule), f"[{style}]{notice.kind}[/]", notice.severity, value)
    return shown


def _numbers(numbers: Sequence[int]) -> str:
    return f"slot {numbers[0]}" if len(numbers) == 1 else f"slots {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


def _late(minutes: object) -> str:
    late = float(str(minutes)) if minutes is not None and not pd.isna(minutes) else 0.0  # type: ignore[call-overload]
    return f"{late:.0f} min" if late >= 1 else ""


def _took(seconds: object) -> str:
    return "" if seconds is None or pd.isna(seconds) else f"{float(str(seconds)):.1f} s"  # type: ignore[call-overload]


def _note(row: dict[Any, Any]) -> str:
    finding = str(row["finding"] or "")
    if finding in ("was missed", "failed", "could not measure"):  # the state says so
        finding = ""
    again = int(str(row["attempts"] or 0))
    tried = f"begun {again} times" if again > 1 else ""
    return escape("; ".join(part for part in (finding, tried) if part))
