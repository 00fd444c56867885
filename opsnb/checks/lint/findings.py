"""One finding, and what the release accepts of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Protocol

ERROR, WARNING, NOTE = "error", "warning", "note"
SEVERITIES = (ERROR, WARNING, NOTE)
COLUMNS = ("severity", "rule", "object", "roles", "finding")


@dataclass(frozen=True)
class Finding:
    """What is wrong with one object, in one plain sentence; `rule` is short and stable, for the release's `accepted`."""

    severity: str
    rule: str
    object: str
    roles: tuple[str, ...]
    finding: str

    def row(self) -> dict[str, str]:
        """As a row of a table."""
        roles = ", ".join(sorted(set(self.roles)))
        return {"severity": self.severity, "rule": self.rule, "object": self.object, "roles": roles, "finding": self.finding}


class Acceptance(Protocol):
    """A finding that the release says is meant so; `rule` is empty where it means every finding of the object."""

    @property
    def object(self) -> str:
        """What it is about."""

    @property
    def rule(self) -> str:
        """Which rule."""

    @property
    def owner(self) -> str:
        """Who answers for it."""

    @property
    def expires(self) -> date:
        """The last day on which it holds."""


def judged(found: Iterable[Finding], accepted: Sequence[Acceptance], today: date) -> list[Finding]:
    """*found*, each once, where what is accepted is a warning that names who answers for it, and what no longer is says so."""
    rows = []
    for each in dict.fromkeys(found):
        meant = next((one for one in accepted if one.object == each.object and one.rule in ("", each.rule)), None)
        if meant is None or each.severity == NOTE:
            rows.append(each)
        elif meant.expires < today:
            rows.append(replace(each, finding=f"{each.finding} (its acceptance by {meant.owner} ended on {meant.expires})"))
        else:
            rows.append(replace(each, severity=WARNING, finding=f"accepted by {meant.owner} until {meant.expires}: {each.finding}"))
    return rows
