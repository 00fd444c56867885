"""report.html: the page of one run, made from its executed notebook and its results; verdicts first."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from opsnb.evidence import page
from opsnb.evidence.archive import chart_library, copy_chart_library
from opsnb.evidence.cells import Cell, parameters_of, render_cells, title_of
from opsnb.evidence.deployments import FILE_NAME as DEPLOYMENT_FILE
from opsnb.evidence.display import anchor, result_card, seconds_text
from opsnb.evidence.results import NOTEBOOK_NAME, REPORT_NAME, Run, read_run, with_tables
from opsnb.evidence.safe import write_atomic
from opsnb.verdicts import WORST_FIRST, CheckResult, Verdict

INDEX_NAME = "index.html"
MANY = 4
"""So many subjects that passed one check share a row."""


def read_notebook(folder: Path) -> Any | None:
    """The executed notebook of a run; None where there is none, or only a piece of one."""
    # jsonschema, below nbformat, builds a grammar for a second, of a format nobody here uses
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    try:
        import nbformat  # not for whoever only lists runs

        return nbformat.read(folder / NOTEBOOK_NAME, as_version=4)  # type: ignore[no-untyped-call]
    except Exception:  # a killed run leaves half a file, and nbformat then raises whatever it stumbles over
        return None


def render_report(notebook: Any | None, folder: Path, *, people: str = "") -> Path:
    """Writes report.html into the run's *folder* from its results.json and the executed *notebook*; answers its path.

    Without a notebook the page shows the results alone. Charts share one library at the deployment's root. *people*: what the run was
    compared with, so that nobody's name stands in it.
    """
    run = read_run(folder)
    root = folder.parent.parent
    cells = [] if notebook is None else render_cells(notebook, live=True)
    library = ""
    if any(cell.charts for cell in cells):
        library = _relative(copy_chart_library(root), folder)
    index = _relative(root / INDEX_NAME, folder) if (root / DEPLOYMENT_FILE).is_file() else ""
    path = folder / REPORT_NAME
    write_atomic(path, render_page(notebook, run, cells, library=library, index=index, people=people))
    return path


def render_page(notebook: Any | None, run: Run, cells: Sequence[Cell], *, library: str = "", index: str = "", people: str = "") -> str:
    """The report of *run* as text. *library*, *index*: addresses relative to the page, or nothing."""
    shown = set().union(*(cell.checks for cell in cells)) if cells else set()
    others = [result for result in with_tables(run) if anchor(result.id) not in shown] if not run.damaged else list(run.results)
    on_page = shown | {anchor(result.id) for result in others}
    return page.render(
        "report.html.j2",
        library=library,
        library_style=_library_style() if library else "",
        title=(title_of(notebook) if notebook is not None else "") or f"Phase {run.phase}",
        phase=run.phase,
        environment=run.data["environment"],
        release=run.data["release"] or "release unknown",
        gate=str(run.gate),
        reason=run.reason,
        under=under(run),
        index=index,
        counts=verdict_counts(run.results),
        rows=folded(verdict_rows(run, on_page)),
        cells=[_shown_cell(cell) for cell in cells],
        others=[result_card(result).html for result in others],
        others_title="Results without a cell of their own" if cells else "Results",
        facts=[*_facts(run), *([("People", people)] if people else [])],
        parameters=parameters_of(notebook) if notebook is not None else [],
    )


def verdict_rows(run: Run, anchors: set[str]) -> list[dict[str, Any]]:
    """The rows of a verdict table, worst first, open attestations after what is not decided."""
    rows: list[dict[str, Any]] = [
        {
            "verdict": str(result.verdict), "title": result.title, "id": result.id, "items": result.items,
            "summary": result.summary, "href": f"#{anchor(result.id)}" if anchor(result.id) in anchors else "", "members": (),
        }
        for result in run.report.worst_first()
    ]  # fmt: skip
    if attestations := run.data["open_attestations"]:
        undecided = {str(verdict) for verdict in WORST_FIRST[:3]}
        at = sum(row["verdict"] in undecided for row in rows)
        finding = "Open: a named person must attest " + ("this." if len(attestations) == 1 else "these.")
        told = {"title": "Attestations", "id": "", "items": attestations, "summary": finding, "href": "", "members": ()}
        rows.insert(at, {"verdict": "open", **told})
    return rows


def folded(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """*rows* with one in place of many that passed the same check on different subjects: they would hide what did not pass."""
    families: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["verdict"] == str(Verdict.PASS) and ":" in row["id"]:
            families.setdefault(row["id"].partition(":")[0], []).append(row)
    many = {family: members for family, members in families.items() if len(members) >= MANY}
    shown: list[dict[str, Any]] = []
    for row in rows:
        family = row["id"].partition(":")[0]
        if family not in many or row["verdict"] != str(Verdict.PASS):
            shown.append(row)
        elif row is many[family][0]:
            shown.append(_family(family, many[family]))
    return shown


def _family(family: str, members: list[dict[str, Any]]) -> dict[str, Any]:
    items = dict.fromkeys(item for member in members for item in member["items"])
    told = [{**member, "subject": member["id"].partition(":")[2]} for member in members]
    return {
        "verdict": str(Verdict.PASS), "title": members[0]["title"].partition(":")[0], "id": family, "items": tuple(items), "href": "",
        "summary": f"Passed for each of {len(members)}.", "members": told,
    }  # fmt: skip


def verdict_counts(results: Iterable[CheckResult]) -> list[tuple[str, int]]:
    """(verdict, number of checks), worst first, those with none left out."""
    found = [result.verdict for result in results]
    return [(str(verdict), found.count(verdict)) for verdict in WORST_FIRST if verdict in found]


def _shown_cell(cell: Cell) -> dict[str, Any]:
    took = seconds_text(cell.seconds) if cell.seconds is not None and cell.seconds >= 0.05 else ""
    return {"kind": cell.kind, "html": cell.html, "code": cell.code, "state": cell.state, "took": took}


def under(run: Run) -> str:
    """When the run began and how long it took, in words."""
    parts = [f"Started {_spaced(run.data['started_at'])}"] if run.data["started_at"] else []
    if run.data["seconds"]:
        took = f"took {seconds_text(run.data['seconds'])}"
        guide = run.data["guide_minutes"]
        parts.append(took + (f" (the guide allows {guide:g} min)" if guide is not None else ""))
    if not run.journalled:
        parts.append("run without a journal, so not proof at sign-off")
    return ", ".join(parts) or "Nothing is known about when it ran"


def _facts(run: Run) -> list[tuple[str, str]]:
    data = run.data
    guide = data["guide_minutes"]
    facts = [
        ("Environment", data["environment"]),
        ("Release", data["release"]),
        ("Deployment", data["deployment"]),
        ("Run", run.name),
        ("Started", _spaced(data["started_at"])),
        ("Ended", _spaced(data["ended_at"])),
        ("Took", seconds_text(data["seconds"])),
        ("The guide allows", "" if guide is None else f"{guide:g} min"),
        ("Journalled", "yes" if run.journalled else "no"),
        *(
            (name.replace("_", " ").capitalize(), str(value))
            for name, value in data["extras"].items()
            if isinstance(value, str | int | float)
        ),
    ]
    return [(name, value) for name, value in facts if value]


def _spaced(moment: str) -> str:
    return moment.replace("T", " ").replace("Z", " UTC")


def _relative(target: Path, folder: Path) -> str:
    return Path(os.path.relpath(target, folder)).as_posix()


@cache
def _library_style() -> str:
    """The id under which the library would add a style element for its maps: a page that has it already is left alone."""
    found = re.search(rb'getElementById\("([0-9a-f]{64})"\)', chart_library())
    return found.group(1).decode() if found else "no-map-style"
