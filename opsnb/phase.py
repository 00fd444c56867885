"""What a notebook holds: one phase of one deployment, its sources, its judgements, its gate."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from opsnb import runbook
from opsnb.collecting.collect import bring_up
from opsnb.config import (
    Environment,
    Limits,
    Release,
    clock,
    effective_limits,
    find_root,
    load_environment,
    load_release,
    settings,
)
from opsnb.errors import GateFailed, SourceAbsent, SourceError, UsageError
from opsnb.evidence import archive, attestations, deployments, display, form
from opsnb.evidence.explaining import explain
from opsnb.evidence.exploring import Explorable, Explorer, explore
from opsnb.facts import Facts
from opsnb.questions import Questions
from opsnb.sources import Doors
from opsnb.verdicts import Check, CheckResult, Gate, PhaseReport, Verdict

SIMULATED = "simulated_clock"
PLOTLY_MIME = "application/vnd.plotly.v1+json"


class Chart:
    """A plotly figure shown as its own mime bundle: the default renderer is slow and vanishes from headless HTML."""

    def __init__(self, figure: go.Figure) -> None:
        self.figure = figure

    def _repr_mimebundle_(self, **_kwargs: Any) -> dict[str, Any]:
        title = self.figure.layout.title.text or "chart"
        # plotly's own JSON: numpy arrays become lists
        return {PLOTLY_MIME: json.loads(self.figure.to_json()), "text/plain": f"[chart: {title}]"}


class Phase(Questions):
    """One run of one phase: ask through its sources, judge, then `finish`."""

    def __init__(
        self,
        name: str,
        *,
        environment: str,
        deployment: str = "",
        apply: bool = False,
        confirm: str = "",
        limits: Mapping[str, float | None] | None = None,
        root: Path | None = None,
        now: datetime | None = None,
    ) -> None:
        self.name = name
        self.root = root or find_root()
        self.environment: Environment = load_environment(environment, self.root)
        self.release: Release = load_release(self.environment.release, self.root)
        self.limits: Limits = effective_limits(self.release, self.environment, **dict(limits or {}))
        self.apply = apply
        self.confirm = confirm
        if clock.is_simulated() and self.environment.autostart != "local":
            raise UsageError(f"environment {environment}: OPSNB_CLOCK_BEHIND_S is for the embedded target alone; unset it")
        self.started_at = now or clock.now()
        reports = settings().reports_folder(self.root)
        self.deployment = deployments.find_or_open(
            reports, self.environment.name, self.release.name, identifier=deployment, now=self.started_at
        )
        collect = partial(bring_up, environment=self.environment, release=self.release, root=self.root)
        self.sources = Doors(self.environment, self.release, phase=name, root=self.root, probe_journal=_probe_journal(), collect=collect)
        self._results: dict[str, CheckResult] = {}
        self._saved: dict[str, pd.DataFrame] = {}
        self.report: PhaseReport | None = None
        display.register_formatters()

    # ── sources, by the names a notebook reads well with ──
    @cached_property
    def database(self) -> Any:
        """The Postgres door: ``ops.database.query("relations", schemas=[...])``."""
        return self.sources.database

    @cached_property
    def platform(self) -> Any:
        """The platform's management API."""
        return self.sources.platform

    @cached_property
    def logs(self) -> Any:
        """The logs: ``ops.logs.query("function_calls", start, end)``."""
        return self.sources.logs

    @cached_property
    def functions(self) -> Any:
        """The functions gateway: ``ops.functions.probe(...)``."""
        return self.sources.functions

    @cached_property
    def metrics(self) -> Any:
        """The metrics endpoint."""
        return self.sources.metrics

    @cached_property
    def firebase(self) -> Any:
        """The identity provider."""
        return self.sources.firebase

    @cached_property
    def server_version(self) -> str:
        """The database server's version, for the page's head; why it is not known, where it is not."""
        server = self.database.query("server")
        return f"PostgreSQL {server.table['version'].iloc[0]}" if server.ok and len(server) else f"not known: {server.error}"

    # ── judging ──
    def judge(
        self, check: Check, *facts: Facts | pd.DataFrame, subject: str = "", items: Iterable[str] | None = None, **expected: Any
    ) -> CheckResult:
        """Judges *facts* with *check* and remembers the result; judging again with another limit replaces it.

        *items* are the runbook items it answers here, where they are not those of the check.
        """
        result = check(*facts, subject=subject, items=None if items is None else tuple(items), **expected)
        self._results[result.id] = result
        return result

    def judge_each(
        self,
        check: Check,
        *facts: Facts | pd.DataFrame,
        over: Mapping[str, Any],
        subject_as: str = "",
        items_from: str = "items",
        **attributes: str,
    ) -> list[CheckResult]:
        """Judges one check of every object in *over*: name → what the release says of it.

        The name is handed over as *subject_as*, and each of *attributes* (expectation=attribute of what the release says); *items_from*
        is the attribute with its runbook items. Objects of which the release says nothing by any of them are left out.
        """
        results = []
        for name, said in over.items():
            expected = {keyword: getattr(said, attribute) for keyword, attribute in attributes.items()}
            if attributes and not any(expected.values()):
                continue
            named = {subject_as: name} if subject_as else {}
            results.append(self.judge(check, *facts, subject=name, items=getattr(said, items_from), **named, **expected))
        return results

    def chart(self, draw: Callable[..., go.Figure], *facts: Facts | CheckResult | pd.DataFrame, **options: Any) -> Any:
        """Draws *facts*, or the table of a result; where there is none, says so instead."""
        try:
            tables = [fact.table if isinstance(fact, Facts | CheckResult) else fact for fact in facts]
        except SourceError as error:
            return display.Note(f"No chart: {error}")
        if any(table is None for table in tables):
            return display.Note("No chart: there is no table to draw.")
        return Chart(draw(*tables, **options))

    def explain(self, name: str) -> display.Shown:
        """What a check or an item (``S6-5``, ``access.no_excess``) is about, what was asked, and how it stands in this run."""
        return explain(name, self._results.values())

    def explore(self, what: Explorable) -> Explorer:
        """Every row of an answer, a result, a table or a judged check (by id), to be sorted by its headings and narrowed by words."""
        return explore(what, self._results.values())

    # ── the archive ──
    def save(self, name: str, facts: Facts) -> Facts:
        """Keeps a table with this run, for later phases to compare with; nothing where it could not be had. Answers *facts*."""
        if facts.answer is not None:
            self._saved[name] = facts.answer
        return facts

    def saved(self, phase: str, name: str) -> Facts:
        """The table *name* kept by the newest run of *phase* in this deployment; an empty table where there is none."""
        return archive.saved_table(self.deployment, phase, name)

    def saved_over_time(self, name: str, *, of: Facts | None = None) -> Facts:
        """Every table *name* kept in this deployment and by this run, oldest first, with the run's time as `run_at`.

        *of*: what it is made from; where the environment has no such source that is the answer, because it does not apply.
        """
        if of is not None and isinstance(of.error, SourceAbsent):
            return of
        kept = archive.saved_over_time(self.deployment, name)
        if name not in self._saved or not kept.ok:
            return kept
        own = self._saved[name].assign(run_at=pd.Timestamp(self.started_at), phase=self.name)
        both = pd.concat([kept.table, own], ignore_index=True) if len(kept) else own
        return Facts(kept.source, f"{kept.question}, and by this run", kept.seconds, answer=both)

    def runs(self) -> Facts:
        """The newest runs of this deployment's phases: one row per check; what a person accepted or attested counts as a warning."""
        found = archive.newest_results(self.deployment)
        settled = [result.id for result in archive.results_that_count(self.deployment) if self.said.counted(result) is not result.verdict]
        rows = found.table
        return Facts(
            found.source,
            found.question,
            found.seconds,
            answer=rows.assign(verdict=rows["verdict"].mask(rows["check"].isin(settled), "WARN")),
        )

    def attest(self, item: str = "", *, by: str = "", role: str = "", statement: str = "", **more: Any) -> display.Note:
        """Files the statement of a named person about *item*, as ``opsnb attest`` does (meaning, document, expires, evidence).

        What is not given is asked for, line by line; nothing is filed before the last answer.
        """
        rules = self.release.attestations
        planned = attestations.Planned(item, by, role, statement, rule=rules.get(item), **more)
        if not (item and by and role and statement):
            planned = form.filled_in(self.deployment, planned, input, rules=rules)
        (entry,) = attestations.attest_all(self.deployment, [planned])
        self.__dict__.pop("said", None)  # what persons said is read again
        said = entry.data
        return display.Note(f"{said['about']}: {said['meaning']} by {said['by']}, {said['role']} (statement {entry.number}).")

    # ── the end ──
    def finish(self) -> PhaseReport:
        """Joins the verdicts, archives them, and raises GateFailed where a check failed or could not be measured."""
        server_version = self.server_version  # asked while the doors are open: one asked later would open again
        self.sources.close()
        self.report = PhaseReport(self.name, (*self._results.values(), *self._unanswered()), self._open_attestations())
        run_folder = archive.file_run(
            self.deployment,
            self.report,
            saved=self._saved,
            started_at=self.started_at,
            ended_at=clock.now(),
            guide_minutes=self.release.guide_minutes.get(self.name),
            run_folder=settings().run_dir,
            journal=settings().journal,
            extras={"server_version": server_version, **self._simulated()},
        )
        seconds = (clock.now() - self.started_at).total_seconds()
        display.show(self.report, seconds=seconds, guide_minutes=self.release.guide_minutes.get(self.name), folder=run_folder)
        if self.report.gate in (Gate.FAILED, Gate.UNMEASURED):
            worst = self.report.worst_first()[0]
            raise GateFailed(f"The phase {self.name} ended {self.report.gate}: {worst.id}: {worst.summary}")
        return self.report

    def _simulated(self) -> dict[str, str]:
        """What a page says of a clock that is not the machine's."""
        if not clock.is_simulated():
            return {}
        here, real = f"{self.started_at:%Y-%m-%d %H:%M}", f"{datetime.now(UTC):%H:%M}"
        return {SIMULATED: f"{here} UTC; what database, metrics and platform say is of {real} UTC"}

    def _items(self) -> list[runbook.Item]:
        return runbook.items_of(self.name)

    def _open_attestations(self) -> tuple[str, ...]:
        if not self._applicable():
            return ()
        return tuple(item.id for item in self._items() if item.kind == "attest" and item.id not in self.said.closed
                     and item.id not in self.release.not_applicable)  # fmt: skip

    @cached_property
    def said(self) -> attestations.Standing:
        """What named persons said of this deployment so far."""
        return attestations.read(self.deployment)

    def _applicable(self) -> bool:
        """A rollback's items count only once one was begun."""
        return self.name != "rollback" or archive.rollback_begun(self.deployment)

    def _unanswered(self) -> Iterable[CheckResult]:
        """Items of this phase no check answered in this run: never passed, always shown."""
        answered = {item for result in self._results.values() for item in result.items}
        for item in self._items():
            left_out = self.release.not_applicable.get(item.id)
            if item.id in answered or (item.kind == "attest" and self._applicable() and left_out is None):
                continue
            if left_out is not None:
                verdict, why = Verdict.NOT_APPLICABLE, f"The release says: {left_out}"
            elif item.id in self.said.closed:
                verdict, why = Verdict.WARN, f"By hand: {self.said.closed[item.id]}."
            elif not self._applicable():
                verdict, why = Verdict.NOT_APPLICABLE, "No rollback was begun in this deployment."
            elif not item.automated:
                verdict, why = Verdict.INCONCLUSIVE, f"Not yet automated: {item.why_not}"
            else:
                verdict, why = Verdict.INCONCLUSIVE, self.not_begun(item.id) or "Not asked in this run."
            yield CheckResult(
                id=f"runbook.{item.id}", title=item.text, items=(item.id,), verdict=verdict, summary=why,
                fix="Do this step by hand and keep its evidence with the deployment.",
            )  # fmt: skip

    def _repr_mimebundle_(self, **_kwargs: Any) -> dict[str, Any]:
        return display.phase_header(self, server_version=self.server_version)


def _probe_journal() -> Path | None:
    folder = settings().run_dir
    return None if folder is None else folder / "probes.jsonl"


def open_phase(name: str, **options: Any) -> Phase:
    """Opens *name* (``"schema"``) for a notebook; the first four options are the parameters every notebook has."""
    return Phase(name, **options)
