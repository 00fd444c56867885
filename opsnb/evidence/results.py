"""results.json: what one run of one phase concluded, for machines, under a schema kept in the package.

Reading never skips: a run whose results.json is missing or damaged is an ERROR run that says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, cast

import fastjsonschema
import pandas as pd

from opsnb.errors import UsageError
from opsnb.evidence.deployments import Deployment
from opsnb.evidence.reasons import gate_reason
from opsnb.evidence.safe import jsonable, printable, slug, unwritable, utc, write_atomic
from opsnb.verdicts import WORST_FIRST, CheckResult, Gate, PhaseReport, Verdict

SCHEMA_VERSION = 1
FILE_NAME = "results.json"
JOURNAL_NAME = "journal.jsonl"
NOTEBOOK_NAME = "notebook.ipynb"
REPORT_NAME = "report.html"
ORDERS_NAME = "orders"
NO_PHASES = ("actions", "archives", "backups", "documents", ORDERS_NAME)
"""Folders of a deployment that hold no runs."""
UNFINISHED_FIX = "Read the reason, mend its cause, and run the phase again."


@dataclass(frozen=True)
class Run:
    """One archived run of one phase. `results` carry no tables; `data` is results.json, or what stands in for a damaged one."""

    folder: Path
    data: Mapping[str, Any]
    results: tuple[CheckResult, ...]
    journalled: bool
    damaged: bool = False

    @property
    def phase(self) -> str:
        """Name of the phase."""
        return str(self.data["phase"])

    @property
    def name(self) -> str:
        """Name of the run's folder: its UTC start."""
        return self.folder.name

    @property
    def report(self) -> PhaseReport:
        """The run's results and open attestations."""
        return PhaseReport(self.phase, self.results, tuple(self.data["open_attestations"]))

    @property
    def gate(self) -> Gate:
        """The join of the verdicts, computed again: the stored word is for other readers."""
        return self.report.gate

    @property
    def reason(self) -> str:
        """Why the gate is what it is: for a run that did not end, what ended it."""
        return str(self.data["unfinished"] or gate_reason(self.report))

    @property
    def has_report(self) -> bool:
        """Whether there is a page to link to."""
        return (self.folder / REPORT_NAME).is_file()


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema of results.json."""
    return dict(json.loads(resources.files("opsnb.evidence").joinpath("results.schema.json").read_text(encoding="utf-8")))


@cache
def _validate() -> Callable[[Any], Any]:
    # compiled: the reference implementation takes more than a second to import, in every kernel
    return cast(Callable[[Any], Any], fastjsonschema.compile(schema()))


def write_results(
    folder: Path,
    *,
    phase: str,
    environment: str,
    release: str,
    deployment: str,
    report: PhaseReport,
    started_at: datetime,
    ended_at: datetime,
    guide_minutes: float | None,
    extras: Mapping[str, Any] | None = None,
    saved: Mapping[str, pd.DataFrame] | None = None,
    journalled: bool | None = None,
    unfinished: str | None = None,
) -> Path:
    """Writes results.json and the tables of *report* into the run's *folder*; the tables first, so that none is missing.

    *saved* are tables kept for later runs by name. *journalled* None: whether the engine's journal lies in the folder.
    Raises UsageError where the folder cannot be written.
    """
    tables = _Tables(folder)
    results = [_result(result, tables) for result in report.results]
    content = {
        "schema_version": SCHEMA_VERSION,
        "phase": phase,
        "environment": environment,
        "release": release,
        "deployment": deployment,
        "run": folder.name,
        "started_at": utc(started_at),
        "ended_at": utc(ended_at),
        "seconds": max(0.0, (ended_at - started_at).total_seconds()),
        "guide_minutes": guide_minutes,
        "journalled": (folder / JOURNAL_NAME).is_file() if journalled is None else journalled,
        "unfinished": unfinished,
        "gate": str(report.gate),
        "reason": gate_reason(report),
        "results": results,
        "items": item_verdicts(report.results),
        "open_attestations": list(report.open_attestations),
        "saved": {name: tables.write(f"saved-{name}", table) for name, table in (saved or {}).items()},
        "extras": jsonable(extras or {}),
    }
    _validate()(content)
    path = folder / FILE_NAME
    write_atomic(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return path


def write_unfinished(
    folder: Path, phase: str, reason: str, *, environment: str = "", release: str = "", deployment: str = "",
    started_at: datetime, ended_at: datetime, guide_minutes: float | None = None,
) -> Path:  # fmt: skip
    """Writes an ERROR results.json for a run whose notebook never reached its last cell. *reason*: one sentence."""
    report = PhaseReport(phase, (_unfinished(phase, reason),))
    return write_results(
        folder, phase=phase, environment=environment or folder.parents[2].name, release=release,
        deployment=deployment or folder.parents[1].name, report=report, started_at=started_at, ended_at=ended_at,
        guide_minutes=guide_minutes, unfinished=reason,
    )  # fmt: skip


def read_run(folder: Path) -> Run:
    """The run kept in *folder*; a damaged or missing results.json makes an ERROR run that says so."""
    journal = (folder / JOURNAL_NAME).is_file()
    path = folder / FILE_NAME
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        _validate()(data)
    except FileNotFoundError:
        return _damaged(folder, "it has no results.json, so it is still running or ended before its last cell", journal)
    except OSError as error:
        return _damaged(folder, f"its results.json cannot be read ({error.strerror})", journal)
    except fastjsonschema.JsonSchemaValueException as error:
        # the message of a validation error quotes the value it found
        where = "/".join(str(step) for step in error.path[1:]) or "its top level"
        return _damaged(folder, f"its results.json breaks the schema at {where}", journal)
    except ValueError:
        return _damaged(folder, "its results.json is not whole JSON", journal)
    if data["phase"] != folder.parent.name:
        return _damaged(folder, f"its results.json belongs to the phase {printable(data['phase'])}", journal)
    results = tuple(
        CheckResult(
            id=entry["id"], title=entry["title"], items=tuple(entry["items"]), verdict=Verdict(entry["verdict"]),
            summary=entry["summary"], fix=entry["fix"], question=entry["question"], seconds=entry["seconds"],
            measured=entry["measured"], limit=entry["limit"],
        )
        for entry in data["results"]
    )  # fmt: skip
    return Run(folder, data, results, journalled=bool(data["journalled"]) and journal)


def read_runs(deployment: Deployment) -> list[Run]:
    """Every run of *deployment*, newest first."""
    folders = [
        run for phase in deployment.folder.iterdir() if phase.is_dir() and not phase.name.startswith(".") and phase.name not in NO_PHASES
        for run in phase.iterdir() if run.is_dir() and not run.name.startswith(".")
    ]  # fmt: skip
    return [read_run(folder) for folder in sorted(folders, key=lambda folder: (folder.name, folder.parent.name), reverse=True)]


def newest_runs(deployment: Deployment, runs: Iterable[Run] | None = None) -> dict[str, Run]:
    """The run that counts for each phase: the newest journalled one, else the newest."""
    chosen: dict[str, Run] = {}
    for run in read_runs(deployment) if runs is None else runs:
        standing = chosen.get(run.phase)
        if standing is None or (run.journalled and not standing.journalled):
            chosen[run.phase] = run
    return chosen


def read_table(run: Run, relative: str) -> pd.DataFrame | None:
    """A table of *run* by the name results.json gives it; None where the file is missing or damaged."""
    path = run.folder / relative
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError):  # pyarrow's errors are both
        return None


def with_tables(run: Run) -> list[CheckResult]:
    """The results of *run* with their tables."""
    return [
        CheckResult(**{**result.__dict__, "table": read_table(run, entry["table"]) if entry["table"] else None})
        for result, entry in zip(run.results, run.data["results"], strict=True)
    ]


def item_verdicts(results: Iterable[CheckResult]) -> dict[str, dict[str, Any]]:
    """Per runbook item the worst verdict of its checks, and their ids."""
    items: dict[str, list[CheckResult]] = {}
    for result in results:
        for item in result.items:
            items.setdefault(item, []).append(result)
    return {
        item: {"verdict": str(worst(result.verdict for result in answers)), "checks": list(dict.fromkeys(result.id for result in answers))}
        for item, answers in items.items()
    }


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of *verdicts*; ERROR of none."""
    return min(verdicts, key=WORST_FIRST.index, default=Verdict.ERROR)


def _unfinished(phase: str, reason: str) -> CheckResult:
    return CheckResult(
        id=f"{phase}.unfinished", title="The run reaches its last cell", items=(), verdict=Verdict.ERROR, summary=reason, fix=UNFINISHED_FIX
    )


def _damaged(folder: Path, why: str, journalled: bool) -> Run:
    phase = folder.parent.name
    reason = f"The run {folder.name} of {phase} cannot be counted: {why}."
    data = {
        "phase": phase, "environment": folder.parents[2].name, "release": "", "deployment": folder.parents[1].name, "run": folder.name,
        "started_at": "", "ended_at": "", "seconds": 0.0, "guide_minutes": None, "unfinished": reason, "results": [],
        "items": {}, "open_attestations": [], "saved": {}, "extras": {},
    }  # fmt: skip
    return Run(folder, data, (_unfinished(phase, reason),), journalled=journalled, damaged=True)


def _result(result: CheckResult, tables: _Tables) -> dict[str, Any]:
    table = result.table
    return {
        "id": result.id,
        "title": result.title,
        "items": list(result.items),
        "verdict": str(result.verdict),
        "summary": result.summary,
        "fix": result.fix,
        "question": result.question,
        "seconds": round(max(0.0, float(result.seconds)), 6),
        "measured": jsonable(result.measured),
        "limit": jsonable(result.limit),
        "table": None if table is None else tables.write(result.id, table),
        "rows": None if table is None else len(table),
    }


class _Tables:
    """Writes tables beside results.json, each under a name of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._taken: set[str] = set()

    def write(self, name: str, table: pd.DataFrame) -> str:
        """Answers the file's name relative to the run's folder."""
        base = stem = slug(name)
        count = 1
        while stem in self._taken:
            count += 1
            stem = f"{base}-{count}"
        self._taken.add(stem)
        relative = f"tables/{stem}.parquet"
        try:
            write_atomic(self._folder / relative, parquet(table))
        except OSError as error:
            raise unwritable(self._folder, error) from error
        return relative


def parquet(table: pd.DataFrame) -> bytes:
    """*table* as parquet bytes. A column no column type holds (mixed values) is kept as JSON text."""
    plain = table.reset_index(drop=True)
    plain.columns = pd.Index([str(column) for column in plain.columns])
    try:
        return bytes(plain.to_parquet(index=False))
    except (ValueError, TypeError, OverflowError):  # pyarrow's errors are these
        texts = {
            column: plain[column].map(lambda value: value if isinstance(value, str) else json.dumps(jsonable(value)))
            for column in plain.columns
            if plain[column].dtype == object
        }
        try:
            return bytes(plain.assign(**texts).to_parquet(index=False))
        except (ValueError, TypeError, OverflowError) as error:
            problem = type(error).__name__
            raise UsageError(f"A table could not be kept as parquet ({problem}): expected columns of one type each.") from error
