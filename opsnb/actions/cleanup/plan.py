"""What a cleanup would do: which rows go, in which order, how they were reached, and what speaks against it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pandas as pd

from opsnb.checks.tables import counted

_SPACE = "\N{NO-BREAK SPACE}"  # HTML would fold ordinary ones, and the branches of a tree with them
_WORDS = {
    "cascade": "on delete cascade",
    "no action": "no cascade: deleted first",
    "restrict": "restricts: deleted first",
    "link": "link of the release, no constraint",
    "set null": "on delete set null",
    "set default": "on delete set default",
}


@dataclass(frozen=True)
class Step:
    """Rows of one table that were reached in one way. `parent` is the step whose rows they refer to, None for named records.

    `what` is "deleted" or "changed"; `how` is "named", the foreign key's action on delete, or "link"; `columns` those that refer.
    """

    table: str
    what: str
    how: str
    columns: tuple[str, ...]
    rows: int
    parent: int | None = None

    @property
    def reached(self) -> str:
        """How these rows were found, in words."""
        listed = ", ".join(self.columns)
        return f"named by {listed}" if self.how == "named" else f"{listed} ({_WORDS[self.how]})"

    @property
    def happens(self) -> str:
        """What happens to them, in words."""
        if self.what == "deleted":
            return "deleted" if self.rows else "none left"
        return f"changed: {', '.join(self.columns)} becomes {'NULL' if self.how == 'set null' else 'its default'}"


@dataclass(frozen=True)
class Guard:
    """What one guard said of one table's rows: how many were looked at, how many look real, and why."""

    table: str
    guard: str
    rows: int
    refused: int
    finding: str


@dataclass(frozen=True)
class Fires:
    """A trigger of the plan's tables, and what its function's text says it does elsewhere."""

    table: str
    trigger: str
    function: str
    effects: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The trigger in words."""
        return f"{self.table}: the trigger {self.trigger} calls {self.function}, which {', '.join(self.effects)}"


@dataclass(frozen=True)
class Plan:
    """What would be deleted and changed, in order; `order` are groups of tables, a group is deleted in one statement.

    Two plans are equal where they mean the very same rows (`fingerprint`, never shown) and everything said of them is the same.
    """

    steps: tuple[Step, ...]
    order: tuple[tuple[str, ...], ...] = ()
    guards: tuple[Guard, ...] = ()
    obstacles: tuple[str, ...] = ()
    triggers: tuple[Fires, ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)
    fingerprint: str = field(default="", repr=False)

    @property
    def blocked_by(self) -> tuple[str, ...]:
        """Why it is not applied; empty where nothing speaks against it."""
        return (*self.obstacles, *(f"{guard.table}: {guard.finding}" for guard in self.guards if guard.refused))

    @property
    def rows(self) -> int:
        """How many rows would be deleted."""
        return sum(step.rows for step in self.steps if step.what == "deleted")

    @property
    def changes(self) -> int:
        """How many times a row that stays would lose a reference."""
        return sum(step.rows for step in self.steps if step.what == "changed")

    @property
    def by_table(self) -> dict[str, int]:
        """Table → rows to be deleted; only tables that lose some."""
        return self._totals("deleted")

    @property
    def changed_by_table(self) -> dict[str, int]:
        """Table → rows to be changed."""
        return self._totals("changed")

    @property
    def table(self) -> pd.DataFrame:
        """One row per table, in the order of execution: table, rows, what happens."""
        rows = [(step.table, step.rows, step.happens) for step in self.steps if step.what == "changed"]
        ordered = {table: group for group in self.order for table in group}
        for table in [*ordered, *dict.fromkeys(step.table for step in self.steps if step.table not in ordered and step.what == "deleted")]:
            mine = [step for step in self.steps if step.table == table and step.what == "deleted"]
            total = sum(step.rows for step in mine)
            ways = "; ".join(dict.fromkeys(step.reached for step in mine if step.rows or not total))
            others = [other for other in ordered.get(table, ()) if other != table]
            together = f", together with {', '.join(others)}" if others else ""
            rows.append((table, total, f"{'deleted' if total else 'none left'}{together}: {ways}"))
        return pd.DataFrame(rows, columns=["table", "rows", "what happens"])

    @property
    def tree(self) -> pd.DataFrame:
        """The plan as a tree, one row per step: tree, rows, what happens, reached by."""
        return pd.DataFrame(
            [(f"{branch}{step.table}", step.rows, step.happens, step.reached) for branch, step in self._walk()],
            columns=["tree", "rows", "what happens", "reached by"],
        )

    @property
    def tree_lines(self) -> list[str]:
        """The tree as lines of plain text."""
        walked = [(f"{branch}{step.table}".replace(_SPACE, " "), step) for branch, step in self._walk()]
        width = max((len(name) for name, _ in walked), default=0)
        return [f"{name:<{width}}  {step.rows:>6,}  {step.happens}, {step.reached}" for name, step in walked]

    @property
    def guard_table(self) -> pd.DataFrame:
        """What the guards looked at and refused, for a check: table_name, guard, rows, refused, finding."""
        rows = [(guard.table, guard.guard, guard.rows, guard.refused, guard.finding) for guard in self.guards]
        return pd.DataFrame(rows, columns=["table_name", "guard", "rows", "refused", "finding"])

    @property
    def warnings(self) -> tuple[str, ...]:
        """What somebody should know before it is applied: triggers that do more, cycles, references without an index."""
        return (*self.notes, *(fires.sentence for fires in self.triggers))

    @property
    def sentence(self) -> str:
        """The plan in one sentence."""
        if not self.rows and not self.changes:
            blocked = f" Blocked: {'; '.join(self.blocked_by)}." if self.blocked_by else ""
            return f"No test record is left; there is nothing to delete.{blocked}"
        blocked = f" Blocked: {'; '.join(self.blocked_by)}." if self.blocked_by else ""
        changed = f" {counted(self.changes, 'row')} would lose a reference and stay." if self.changes else ""
        return f"{counted(self.rows, 'row')} in {counted(len(self.by_table), 'table')} would be deleted.{changed}{blocked}"

    def _totals(self, what: str) -> dict[str, int]:
        totals: dict[str, int] = {}
        for step in self.steps:
            if step.what == what and step.rows:
                totals[step.table] = totals.get(step.table, 0) + step.rows
        return totals

    def _walk(self, parent: int | None = None, indent: str = "") -> Iterator[tuple[str, Step]]:
        mine = [number for number, step in enumerate(self.steps) if step.parent == parent]
        for number in mine:
            last = number == mine[-1]
            root = parent is None
            yield ("" if root else f"{indent}{'└─' if last else '├─'}{_SPACE}"), self.steps[number]
            yield from self._walk(number, "" if root else f"{indent}{f'{_SPACE}{_SPACE}' if last else f'│{_SPACE}'}{_SPACE}")
