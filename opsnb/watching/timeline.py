"""The timeline page of a deployment's 24 hours: how many of how many runs, when each was due, and what became of it."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from opsnb.evidence import display, page
from opsnb.evidence.results import REPORT_NAME
from opsnb.evidence.safe import in_template, write_atomic
from opsnb.verdicts import gate
from opsnb.watching import pictures, show
from opsnb.watching.service import Watch

FILE_NAME = "timeline.html"
WIDTH, LEFT, RIGHT, TOP = 960, 12, 12, 34
COLOURS = {
    "passed": "#009e73", "held": "#56b4e9", "unmeasured": "#cc79a7", "failed": "#d55e00", "missed": "#d55e00",
    "running": "#56b4e9", "due": "#56b4e9", "to come": "#8a8a8a",
}  # fmt: skip


def write(watch: Watch, now: datetime) -> Path:
    """Writes the page into the deployment's monitor folder, whole or not at all; answers where it is."""
    path = watch.desk.folder / FILE_NAME
    write_atomic(path, render(watch, now))
    return path


def render(watch: Watch, now: datetime) -> str:
    """The page as text; it loads nothing and runs no script but its own."""
    slots, result = watch.table(now), watch.judged(now)
    style, script = display.css() + page.text("page.css"), page.scripts()
    done = int((slots["state"] == "done").sum())
    return (
        _templates()
        .get_template("timeline.html.j2")
        .render(
            style=Markup(style),  # noqa: S704  (our own files)
            script=Markup(script),  # noqa: S704
            policy=page.policy(style, script, library=False),
            library="",
            chip=lambda word: Markup(display.chip(word)),  # noqa: S704  (escapes what it is given)
            deployment=watch.deployment,
            done=done,
            of=len(slots),
            gate=str(gate([result.verdict])),
            summary=result.summary,
            next=show.next_sentence(slots, now),
            now=now,
            rows=[_row(row, watch.desk.folder) for row in slots.to_dict("records")],
            drawings=[Markup(svg) for svg in pictures.drawings(watch)],  # noqa: S704  (escapes what it draws)
            told=pictures.told(watch),
            simulated=watch.deployment.simulated,
            picture=_picture(slots, watch.deployment.opened_at, now),
            width=WIDTH,
        )
    )


def _row(row: dict[Any, Any], folder: Path) -> dict[str, Any]:
    """One line of the table, in words."""
    run = str(row["run"] or "")
    href = f"{run}/{REPORT_NAME}" if run and (folder / run / REPORT_NAME).is_file() else ""
    took, late = row["seconds"], row["late_min"]
    return {
        "slot": row["slot"], "period": row["period"], "due": row["due"], "state": row["gate"] if row["state"] == "done" else row["state"],
        "took": "" if took is None or pd.isna(took) else f"{float(took):.1f} s",
        "finding": "" if row["finding"] in ("was missed", None) else row["finding"], "href": href,
        "late": f"{late:.0f} min" if late is not None and not pd.isna(late) and late >= 1 else "",
    }  # fmt: skip


def _picture(slots: pd.DataFrame, begun: datetime, now: datetime) -> dict[str, Any]:
    """Where the marks stand: hours from left to right, a mark per slot where it was due, the present as a line."""
    end = slots["due"].max()
    whole: float = max((end - begun).total_seconds(), 1.0)

    def at(moment: datetime) -> float:
        share: float = (moment - begun).total_seconds() / whole
        return round(LEFT + (WIDTH - LEFT - RIGHT) * min(max(share, 0.0), 1.0), 1)

    marks = []
    for row in slots.to_dict("records"):
        state = str(row["gate"] if row["state"] == "done" else row["state"])
        marks.append(
            {
                "x": at(row["due"]), "colour": COLOURS[state], "solid": row["state"] == "done", "crossed": row["state"] == "missed",
                "title": f"slot {row['slot']}, due {row['due']:%Y-%m-%d %H:%M} UTC: {state}",
            }
        )  # fmt: skip
    hours = whole / 3600
    step = next((step for step in (0.5, 1, 2, 4, 8, 24) if hours / step <= 12), 48)
    ticks = [
        {"x": at(begun + pd.Timedelta(hours=number * step)), "label": f"{number * step:g} h"} for number in range(int(hours / step) + 1)
    ]
    return {"marks": marks, "ticks": ticks, "now": at(now) if begun <= now <= end else None, "top": TOP, "height": TOP + 42}


@cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [jinja2.PackageLoader("opsnb.watching", "templates"), jinja2.PackageLoader("opsnb.evidence", "templates")]
        ),
        autoescape=True,
        finalize=in_template,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
