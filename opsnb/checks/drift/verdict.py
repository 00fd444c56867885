"""The check: nothing of the catalogue differs from the baseline."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from opsnb.checks.drift.comparing import Catalogue, Change, compare
from opsnb.checks.drift.severity import ERROR, WARNING, WORST_FIRST, judged
from opsnb.checks.drift.wording import cells, label
from opsnb.checks.tables import counted, findings, known, some
from opsnb.verdicts import Outcome, check, failed, inconclusive, passed, unmeasured, warned

COLUMNS = ("severity", "object", "kind", "change", "what", "was", "is", "who could be hurt")
SHOWN = 1000
"""Rows a page may have; more say that the baseline is of something else."""
_CAPTURE = "capture one with `opsnb schema capture ENV` where the schema was looked at, and read the file before it is kept"


@check(
    "drift.none",
    title="The catalogue is what the baseline says",
    items=("S5-10",),
    harm="Something else than the reviewed migrations changed the database: policies, rights and types are not what was tested.",
    fix="Undo by a migration what nobody asked for; what is meant: capture the baseline anew (opsnb schema capture ENV) and review it.",
    empty="ERROR: the catalogue answered with no object, so nothing could be compared.",
)
def none(catalogue: pd.DataFrame, baseline: pd.DataFrame, *, against: str) -> Outcome:
    """No object was added, removed or changed since *against* (words: what *baseline* is, for example ``the baseline of 2026-11-20``).

    Tables: both as `opsnb.sources.catalogue.read` answers: kind, object, properties. FAIL for a difference that can leak or break, WARN
    for harmless ones; an empty *baseline* is INCONCLUSIVE. Table: COLUMNS, worst first. Measured: differences.
    """
    known(catalogue, "kind", "object", "properties")
    known(baseline, "kind", "object", "properties")
    if catalogue.empty:
        return unmeasured("The catalogue answered with no object, so nothing could be compared.")
    if baseline.empty:
        return inconclusive(f"There is no baseline to compare with; {_CAPTURE}.")
    one, other = Catalogue.of(baseline), Catalogue.of(catalogue)
    if not one.objects or not other.objects:
        return inconclusive(f"One side holds no object, so there is nothing to compare; {_CAPTURE}.")
    if one.server.get("schemas") != other.server.get("schemas"):
        return inconclusive(f"Other schemas were read than for {against}; {_CAPTURE}.")
    unread = [side for side in (one, other) if side.server.get("not_read", {}).get("buckets") == "denied"]
    changes = compare(one, other, but=frozenset({"bucket"}) if unread else frozenset())
    rules = {id(change): judged(change) for change in changes}
    ordered = sorted(changes, key=lambda change: WORST_FIRST.index(rules[id(change)].severity))
    table = findings([_row(change, *rules[id(change)][:2]) for change in ordered[:SHOWN]], COLUMNS)
    errors = [change for change in ordered if rules[id(change)].severity == ERROR]
    details = {"table": table, "measured": len(changes), "limit": 0}
    also = _also(one, other, len(changes))
    if errors:
        told = f"{counted(len(errors), 'difference')} from {against} can leak or break something: {_named(errors)}"
        mild = len(changes) - len(errors)
        return failed(f"{told}{f'; {counted(mild, WARNING)} besides' if mild else ''}.{also}", **details)
    if unread:
        return inconclusive(
            f"{len(other.objects):,} objects were compared with {against}, but the storage buckets could not be read; "
            f"give the reading role SELECT on storage.buckets.{also}",
            **details,
        )
    if changes:
        return warned(f"{counted(len(changes), 'harmless difference')} from {against}: {_named(changes)}.{also}", **details)
    return passed(f"All {len(other.objects):,} objects are as in {against}.{also}", **details)


def _row(change: Change, severity: str, hurts: str) -> dict[str, str]:
    was, is_ = cells(change)
    return {
        "severity": severity, "object": change.object, "kind": change.kind, "change": change.change, "what": label(change.what),
        "was": was, "is": is_, "who could be hurt": hurts,
    }  # fmt: skip


def _named(changes: Sequence[Change]) -> str:
    return some(list(dict.fromkeys(f"{change.kind} {change.object} ({label(change.what) or change.change})" for change in changes)))


def _also(one: Catalogue, other: Catalogue, found: int) -> str:
    cut = f" Of {found:,}, the worst {SHOWN:,} are shown." if found > SHOWN else ""
    if one.major == other.major:
        return cut
    return f"{cut} It was captured on PostgreSQL {one.major}, this is {other.major}; what they only write differently is left out."
