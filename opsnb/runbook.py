"""Every item of the runbook: its phase, and how it is shown."""

from __future__ import annotations

import csv
import difflib
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal, cast

from opsnb.errors import UsageError

Kind = Literal["check", "act", "journey", "attest"]

NOTEBOOKS = {
    "checklist": "00_checklist",
    "snapshot": "01_snapshot",
    "functions": "02_functions",
    "cleanup": "03_cleanup",
    "environment": "04_environment",
    "schema": "05_schema",
    "rls": "06_rls",
    "window": "07_window",
    "verify": "08_verify",
    "monitor": "09_monitor",
    "rollback": "10_rollback",
    "signoff": "11_signoff",
}
PHASES = tuple(NOTEBOOKS)
"""The phases in the order of the runbook."""


@dataclass(frozen=True)
class Item:
    """One line of the runbook. `automated` is False where nothing judges it yet; `why_not` says what to do instead."""

    id: str
    phase: str
    kind: Kind
    shown_as: str
    threshold: str
    text: str
    automated: bool
    why_not: str


def _read() -> dict[str, Item]:
    rows = csv.DictReader(files("opsnb").joinpath("runbook.csv").read_text(encoding="utf-8").splitlines())
    return {
        row["id"]: Item(
            row["id"], row["phase"], cast(Kind, row["kind"]), row["shown_as"], row["threshold"], row["text"], row["automated"] == "yes",
            row["why_not"],
        )
        for row in rows
    }  # fmt: skip


ITEMS: dict[str, Item] = _read()
"""Item id → item, in the order of the runbook."""


def items_of(phase: str) -> list[Item]:
    """The items of *phase*, in the order of the runbook."""
    return [item for item in ITEMS.values() if item.phase == phase]


def notebook_of(phase: str) -> str:
    """The stem of the notebook of *phase*: ``schema`` → ``05_schema``."""
    return NOTEBOOKS[phase]


def phase_named(text: str) -> str:
    """The phase that *text* means: ``rls``, ``06``, ``6`` or ``06_rls``. UsageError with the nearest name where there is none."""
    wanted = text.strip().removesuffix(".ipynb").lower()
    for phase, notebook in NOTEBOOKS.items():
        number = notebook[:2]
        if wanted in (phase, notebook, number, str(int(number))):
            return phase
    near = difflib.get_close_matches(wanted.lstrip("0123456789_"), PHASES, n=1, cutoff=0.5)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise UsageError(f"no phase {text!r}{hint}; there are: {', '.join(PHASES)}")
