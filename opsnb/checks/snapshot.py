"""Is there something to come back to (runbook step 1)? Backups are not automated yet: the moment and the schema are."""

from __future__ import annotations

import pandas as pd

from opsnb.checks.tables import counted, findings, known, some
from opsnb.verdicts import Outcome, check, failed, passed, unmeasured

_KINDS = ("relations", "columns", "constraints", "indexes", "routines", "policies", "grants")


@check(
    "snapshot.moment",
    title="The moment of the snapshot is recorded",
    items=("S1-2",),
    harm="Nobody can say to which moment to go back, or which rows came after it.",
    fix="Look at the database's clock (select now()); a moment without a zone is no moment.",
    empty="ERROR: the database answered with no row, so its clock was not read.",
)
def moment(server: pd.DataFrame) -> Outcome:
    """T0 is read from the database's clock, in UTC. Table: `server` (one row)."""
    if server.empty:
        return unmeasured("The database answered with no row.")
    at = pd.Timestamp(known(server, "now").iloc[0]["now"])
    if at.tzinfo is None:
        return unmeasured("The database's clock was read without its zone.")
    text = at.tz_convert("UTC").strftime("%Y-%m-%d %H:%M:%S UTC")
    return passed(f"T0 is {text}, by the database's clock.", measured=text)


@check(
    "snapshot.schema_saved",
    title="The schema is saved",
    items=("S1-3",),
    harm="Afterwards nobody can tell what the deployment changed in the catalogue.",
    fix="Look at the schemas the release names; a kind without a single object is usually a missing right to read it.",
    empty="FAIL: no table was found, so there is no schema to save.",
)
def schema_saved(
    relations: pd.DataFrame, columns: pd.DataFrame, constraints: pd.DataFrame, indexes: pd.DataFrame, routines: pd.DataFrame,
    policies: pd.DataFrame, grants: pd.DataFrame,
) -> Outcome:  # fmt: skip
    """Objects of every kind were read; they are kept with this run as tables. FAIL where the schema has no table or no column.

    Tables: `relations`, `columns`, `constraints`, `indexes`, `routines`, `policies`, `exposure`. A kind that a schema may do without
    (functions, policies, grants) may be empty: it says 0.
    """
    tables = (relations, columns, constraints, indexes, routines, policies, grants)
    counts = [{"kind": kind, "saved": len(table)} for kind, table in zip(_KINDS, tables, strict=True)]
    missing = [str(row["kind"]) for row in counts[:2] if not row["saved"]]
    total = sum(len(table) for table in tables)
    details = {"table": findings(counts, ("kind", "saved")), "measured": total}
    if missing:
        return failed(f"Nothing was found of: {some(missing)}.", **details)
    known(relations, "schema", "name")
    told = ", ".join(f"{row['saved']} {row['kind']}" for row in counts)
    return passed(f"{counted(total, 'object')} saved: {told}.", **details)
