"""The support contact matrix is complete (PRE-3.4, SO-4, CT-1). Names and numbers themselves never reach a result."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import pandas as pd

from opsnb.checks.tables import counted, findings, known, some
from opsnb.verdicts import Outcome, check, failed, inconclusive, passed

PERIODS = ("deployment_hour", "first_24_hours", "normal")
_SHOWN = ("period", "role", "name_given", "reach_given", "finding")
_PLACEHOLDER = re.compile(
    r"""\s*(?:[\[<{(].*[\]>})]|_+|\.{2,}|-+|[xX?]{2,}|(?i:tbd|tba|todo|n/?a|none|null|nobody|name|phone|e-?mail|your.*|changeme|placeholder))\s*"""
)


def is_placeholder(text: str) -> bool:
    """Whether *text* is what a template holds in place of a name or a number: ``[Name]``, ``TBD``, ``___``."""
    return bool(_PLACEHOLDER.fullmatch(text))


def contact_row(period: str, role: str, name: str | None, reach: str | None) -> dict[str, object]:
    """One row of the table `contacts.complete` judges, from what the release or the environment says; keeps neither."""
    given = [text.strip() if text else "" for text in (name, reach)]
    return {
        "period": period, "role": role, "name_given": bool(given[0]), "reach_given": bool(given[1]),
        "placeholder": any(map(is_placeholder, filter(None, given))),
    }  # fmt: skip


@check(
    "contacts.complete",
    title="The support contact matrix is complete",
    items=("PRE-3.4", "SO-4", "CT-1"),
    harm="At three in the morning nobody knows whom to call, and the clock of the rollback runs.",
    fix="Give every role of every period a name and a way to reach it, in the release or, for production, by reference in the environment.",
    empty="FAIL: there is no contact at all.",
)
def complete(contacts: pd.DataFrame, *, periods: Iterable[str] = PERIODS, roles: Mapping[str, Iterable[str]] | None = None) -> Outcome:
    """Every role of every period has a name and a way to be reached, and neither is a placeholder.

    Table: period, role, name_given, reach_given, placeholder (`contact_row`). Every one of *periods* needs at least one contact;
    with *roles* (period → roles) exactly those are insisted on as well.
    """
    wanted = list(periods)
    if not wanted:
        return inconclusive("The release names no support period.")
    rows: list[dict[str, object]] = []
    seen: set[tuple[str, str]] = set()
    if not contacts.empty:
        known(contacts, "period", "role", "name_given", "reach_given", "placeholder")
        for row in contacts.itertuples():
            lacking = [what for what, given in (("no name", row.name_given), ("no way to reach them", row.reach_given)) if not given]
            lacking += ["a placeholder"] if row.placeholder else []
            rows.append({
                "period": row.period, "role": row.role, "name_given": bool(row.name_given), "reach_given": bool(row.reach_given),
                "finding": ", ".join(lacking),
            })  # fmt: skip
            seen.add((str(row.period), str(row.role)))
    for period in wanted:
        expected = list((roles or {}).get(period, ()))
        if not any(each == period for each, _ in seen) and not expected:
            rows.append({"period": period, "role": "", "name_given": False, "reach_given": False, "finding": "no contact in this period"})
        rows.extend(
            {"period": period, "role": role, "name_given": False, "reach_given": False, "finding": "no such role in this period"}
            for role in expected
            if (period, role) not in seen
        )
    table = findings(sorted(rows, key=lambda row: row["finding"] == ""), _SHOWN)
    lacking_rows = table[table["finding"] != ""]
    details = {"table": table, "measured": len(table) - len(lacking_rows), "limit": len(table)}
    if len(lacking_rows):
        worst = [f"{row.period}, {str(row.role) or 'nobody'}: {row.finding}" for row in lacking_rows.itertuples()]
        return failed(f"{len(lacking_rows)} of {counted(len(table), 'contact')} incomplete ({some(worst)}).", **details)
    return passed(
        f"{counted(len(table), 'contact')} in {counted(len(wanted), 'period')}, each with a name and a way to be reached.", **details
    )
