"""The check that reads every policy, view and function an API role can reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import pandas as pd

from opsnb.checks.lint import authority, doors
from opsnb.checks.lint.database import Database
from opsnb.checks.lint.findings import COLUMNS, ERROR, SEVERITIES, WARNING, Acceptance, judged
from opsnb.checks.lint.openings import Judge
from opsnb.checks.tables import counted, findings, known
from opsnb.verdicts import Outcome, check, failed, inconclusive, passed, warned


@check(
    "access.no_excess",
    title="No policy grants excessive permissions",
    items=("S6-5",),
    harm="A door that no test walked through today is found by somebody who looks for it.",
    fix="Narrow the policy to the caller's rows; revoke execute on the function from public and anon; set security_invoker on the view. "
    "What is for everybody goes into the release's `public`, what is meant so for now into `accepted`, with owner, reason and expiry.",
    empty="INCONCLUSIVE: no policy was found, so none could be judged.",
)
def no_excess(
    policies: pd.DataFrame,
    relations: pd.DataFrame,
    columns: pd.DataFrame,
    routines: pd.DataFrame,
    published: pd.DataFrame,
    buckets: pd.DataFrame,
    *,
    select: Mapping[str, Mapping[str, str]],
    today: date,
    public: Sequence[str] = (),
    accepted: Sequence[Acceptance] = (),
    anonymous: str = "anon",
    subject_column: str = "",
    subject_is_uuid: bool = True,
) -> Outcome:
    """No policy, view or function lets a caller reach further than their own, read from the syntax trees.

    Tables: `opsnb.sources.openings`. *select* (table: identity: declaration) is the release's access matrix: a table open to everybody
    there is no finding for reading; *public* are relations, functions and buckets (``storage.<bucket>``) meant for everybody.
    *subject_column* (``schema.table.column``) holds the identity provider's subjects. Tables that are about nobody are reference data:
    reading them is a note.

    FAIL: a finding of severity error. WARN: of severity warning, or accepted by the release (*accepted*) and not expired on *today*.
    What the parser cannot read is a warning, never silence.
    """
    if policies.empty:
        return inconclusive("No policy was found in the schemas, so none could be judged.", measured=0)
    known(policies, "schema", "table_name", "name", "permissive", "command", "api_roles")
    known(relations, "schema", "name", "kind", "rls", "owner", "owners_rights", "api_roles", "readable_by")
    known(columns, "schema", "table_name", "name", "type", "refers_to", "insertable_by", "updatable_by")
    known(routines, "schema", "name", "arguments", "language", "definer", "owner", "executable_by", "body")
    known(published, "publication", "everything", "schema", "table_name")
    known(buckets, "object", "public")
    database = Database.of(
        policies, relations, columns, routines, subject_column=subject_column, subject_is_uuid=subject_is_uuid
    )  # fmt: skip
    judge = Judge(database, select=select, public=public, anonymous=anonymous)
    found = judged(
        (
            *judge.findings(), *authority.findings(judge), *doors.tables(judge), *doors.views(judge), *doors.routines(judge),
            *doors.publications(judge, published), *doors.buckets(judge, buckets),
        ),
        accepted, today,
    )  # fmt: skip
    table = findings([each.row() for each in found], COLUMNS, worst_first=SEVERITIES)
    errors = [each for each in found if each.severity == ERROR]
    warnings = [each for each in found if each.severity == WARNING]
    details: dict[str, Any] = {"table": table, "measured": len(errors), "limit": 0}
    definers = int(routines["definer"].astype(bool).sum()) if len(routines) else 0
    looked_at = f"{len(policies)} policies, {counted(definers, 'function')} with owner's rights"
    first = f"{table.iloc[0]['object']}: {table.iloc[0]['finding']}" if len(table) else ""
    if errors:
        return failed(f"{counted(len(errors), 'opening')} ({looked_at}): {first}.", **details)
    if warnings:
        return warned(f"No certain opening in {looked_at}, {counted(len(warnings), 'doubtful one')}: {first}.", **details)
    return passed(f"No opening in {looked_at}.", **details)
