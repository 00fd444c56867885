"""Questions about before: the window of the logs that the time since the deployment is compared with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from opsnb.checks.templates import template
from opsnb.facts import Facts
from opsnb.questions.base import Base
from opsnb.sources import Absent
from opsnb.sources.logs import frame
from opsnb.sources.statements import statement

_MINUTE = timedelta(minutes=1)


class BeforeQuestions(Base):
    """What a phase can be asked about the time before its deployment."""

    def windows(self, minutes: float = 30) -> dict[str, tuple[datetime, datetime]]:
        """The windows `before` and `since` of a comparison of the last *minutes*; they share a whole minute at most.

        `since` begins with the deployment's opening at the earliest, on the next whole minute, because the logs' door rounds times;
        it is empty (two equal ends) in the deployment's first minute. `before` ends where the environment's `baseline_window` says.
        """
        said = self.environment.baseline_window
        opened = self.deployment.opened_at.astimezone(UTC)
        opening = opened.replace(second=0, microsecond=0)
        opening += _MINUTE if opened > opening else timedelta(0)
        now = self.started_at
        begin = min(max(opening, self.minutes_ago(minutes)), now)
        end = min(opening, now) - timedelta(minutes=said.gap_minutes)
        length = timedelta(minutes=said.minutes or minutes)
        return {"before": (end - length, end), "since": (begin, now)}

    def before_and_since(self, name: str, minutes: float = 30, **params: Any) -> list[Facts]:
        """The log statement *name* of the baseline window, and of the time since the deployment (at most the last *minutes*)."""
        logs = self.sources.logs
        if isinstance(logs, Absent):
            return [logs.facts(name), logs.facts(name)]
        return [self._of(name, *ends, params) for ends in self.windows(minutes).values()]

    def first_and_last_hours(self, name: str, hours: float = 4, minutes: float = 60, **params: Any) -> list[Facts]:
        """The log statement *name* of the deployment's first *hours*, and of the last *minutes*, which begin after them at the earliest."""
        logs = self.sources.logs
        if isinstance(logs, Absent):
            return [logs.facts(name), logs.facts(name)]
        opened = self.deployment.opened_at.astimezone(UTC).replace(second=0, microsecond=0)
        ends = min(opened + timedelta(hours=hours), self.started_at)
        begin = min(max(ends, self.minutes_ago(minutes)), self.started_at)
        return [self._of(name, opened, ends, params), self._of(name, begin, self.started_at, params)]

    def new_errors(self, minutes: float = 30) -> Facts:
        """The errors logged since the deployment, by template, with `new`: whether the baseline window has none of its kind.

        Columns: function_id, template, new, executions, n, first_at, last_at; new ones first.
        """
        before, since = self.before_and_since("function_error_templates", minutes)
        if before.answer is None or since.answer is None:
            return before if before.answer is None else since
        tables = [facts.table.assign(template=[template(text) for text in facts.table["template"]]) for facts in (before, since)]
        known = set(zip(tables[0]["function_id"], tables[0]["template"], strict=True))
        found = tables[1].groupby(["function_id", "template"], sort=True, as_index=False).agg(
            executions=("executions", "sum"), n=("n", "sum"), first_at=("first_at", "min"), last_at=("last_at", "max")
        )  # fmt: skip
        found.insert(2, "new", [pair not in known for pair in zip(found["function_id"], found["template"], strict=True)])
        found = found.sort_values(["new", "executions"], ascending=False, kind="stable", ignore_index=True)
        return Facts(since.source, since.question, before.seconds + since.seconds, answer=found)

    def _of(self, name: str, start: datetime, end: datetime, params: dict[str, Any]) -> Facts:
        if start >= end:  # the first minute of a deployment: nothing to ask
            return Facts("logs", f"{name}: the deployment is younger than a minute", 0.0, answer=frame(statement("logs", name), []))
        facts: Facts = self.sources.logs.query(name, start, end, **params)
        return facts
