"""The roll-up as a page: self-contained, in the look of a deployment's."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup

from opsnb.evidence import display, page
from opsnb.evidence.display import seconds_text
from opsnb.evidence.report import INDEX_NAME
from opsnb.evidence.safe import in_template, printable, write_atomic
from opsnb.fleet.rollup import BETTER, NEW, SAME, WORSE, Rollup, Row, counts_text, to_dict
from opsnb.fleet.store import RESULTS_NAME

ARROWS = {WORSE: "▼ worse", BETTER: "▲ better", SAME: "= same", NEW: "+ new", "": ""}
UP = "../../"
"""From a fleet run's folder to the archive's root."""


def write(rollup: Rollup) -> None:
    """Writes results.json and index.html into the run's folder."""
    folder = rollup.run.folder
    write_atomic(folder / RESULTS_NAME, json.dumps(to_dict(rollup), indent=1, ensure_ascii=False) + "\n")
    write_atomic(folder / INDEX_NAME, render(rollup))


def render(rollup: Rollup) -> str:
    """The page as text."""
    style = display.css() + page.text("page.css") + _own_style()
    script = page.scripts()
    return (
        _environment()
        .get_template("fleet.html.j2")
        .render(
            style=Markup(style),  # noqa: S704  (our own files)
            script=Markup(script),  # noqa: S704
            policy=page.policy(style, script, library=False),
            library="",
            chip=lambda word: Markup(display.chip(word)),  # noqa: S704  (escapes what it is given)
            rollup=rollup,
            gate=str(rollup.gate),
            phases=rollup.run.phases,
            rows=[_shown(row, rollup.run.phases) for row in rollup.rows],
            before=f"../{rollup.before}/{INDEX_NAME}" if rollup.before else "",
        )
    )


def _shown(row: Row, phases: tuple[str, ...]) -> dict[str, Any]:
    ended = {phase.phase: phase for phase in row.end.phases}
    cells = [
        {
            "gate": ended[phase].gate,
            "href": UP + ended[phase].report,
            "took": seconds_text(ended[phase].seconds),
            "counts": counts_text(ended[phase].counts),
            "phase": phase,
        }
        if phase in ended
        else {"gate": "not run", "href": "", "took": "", "counts": "", "phase": phase}
        for phase in phases
    ]
    deployment = f"{UP}{row.end.environment}/{row.end.deployment}/{INDEX_NAME}" if row.end.deployment else ""
    return {
        "word": row.end.word, "target": row.end.environment, "href": deployment, "cells": cells, "trend": ARROWS[row.trend],
        "was": row.was, "why": printable(row.end.why), "took": seconds_text(row.end.seconds),
    }  # fmt: skip


@cache
def _environment() -> jinja2.Environment:
    loaders = [jinja2.PackageLoader("opsnb.fleet", "templates"), jinja2.PackageLoader("opsnb.evidence", "templates")]
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=True,
        finalize=in_template,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _own_style() -> str:
    source, *_ = jinja2.PackageLoader("opsnb.fleet", "templates").get_source(_environment(), "fleet.css")
    return source
