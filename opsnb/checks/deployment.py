"""The deployment as a whole: its systems answer, everything is verified (PRE-2.3, SO-2)."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from opsnb.checks.tables import counted, findings, known, some
from opsnb.errors import SourceNonsense
from opsnb.verdicts import Gate, Outcome, Verdict, check, failed, gate, inconclusive, passed, unmeasured

HEALTHY = "ACTIVE_HEALTHY"
_SERVICES = ("service", "status", "healthy")
_PHASES = ("phase", "gate", *(str(verdict) for verdict in Verdict), "run", "journalled", "finding")


@check(
    "deployment.connections_answer",
    title="The database connection and the platform answer",
    items=("PRE-2.3",),
    harm="Whatever is begun now may stop half-way, and every later check measures an outage, not the release.",
    fix="Look at the platform's status page and at the service named here; do not begin the deployment.",
    empty="ERROR: the database answered with no row, so it is not known to be the right one.",
)
def connections_answer(server: pd.DataFrame, health: pd.DataFrame) -> Outcome:
    """The database answered, read-only, and every service of the platform says ACTIVE_HEALTHY.

    Tables: `server` of the database (one row), `health` of the platform (name, status).
    """
    if server.empty:
        return unmeasured("The database answered with no row.")
    known(server, "version", "read_only", "in_recovery")
    if health.empty:
        return unmeasured("The platform named no service, so none is known to be healthy.")
    known(health, "name", "status")
    first = server.iloc[0]
    rows: list[dict[str, object]] = [
        {"service": "database connection", "status": f"PostgreSQL {first['version']}", "healthy": not first["in_recovery"]}
    ]
    rows += [
        {"service": row.name, "status": row.status, "healthy": row.status == HEALTHY}
        for row in health[["name", "status"]].itertuples(index=False)
    ]
    table = findings(sorted(rows, key=lambda row: bool(row["healthy"])), _SERVICES)
    ill = [f"{row['service']} ({row['status']})" for row in rows if not row["healthy"]]
    details = {"table": table, "measured": len(rows) - len(ill), "limit": len(rows)}
    if first["in_recovery"]:
        return failed("The database that answers is a standby or is being restored.", **details)
    if ill:
        return failed(f"{len(ill)} of {counted(len(rows) - 1, 'service')} not {HEALTHY}: {some(ill)}.", **details)
    return passed(
        f"PostgreSQL {first['version']} answers and {counted(len(rows) - 1, 'service')} of the platform are {HEALTHY}.", **details
    )


@check(
    "deployment.all_passed",
    title="All verification checks passed",
    items=("SO-2",),
    harm="Somebody signs for a deployment of which a part failed or was never looked at.",
    fix="Run the phases named again (opsnb run ENV --phase NAME); what fails is fixed there, not here.",
    empty="INCONCLUSIVE: no phase was run in this deployment.",
)
def all_passed(results: pd.DataFrame, *, phases: Iterable[str]) -> Outcome:
    """Every phase of *phases* was run with a journal and no check of its newest run is FAIL, ERROR or INCONCLUSIVE.

    Table: the newest results (phase, check, verdict, journalled, run). The verdicts are joined as the gate joins them; a phase
    without a run, or whose run was not journalled, is INCONCLUSIVE.
    """
    wanted = list(dict.fromkeys(phases))
    if not results.empty:
        known(results, "phase", "check", "verdict", "journalled")
        strange = sorted(set(results["verdict"]) - {str(verdict) for verdict in Verdict})
        if strange:
            raise SourceNonsense(f"{counted(len(strange), 'unknown verdict')} in the archive")
    rows = [_phase(name, results[results["phase"] == name] if not results.empty else results) for name in wanted]
    table = findings(rows, _PHASES)
    clean = [row for row in rows if row["finding"] == ""]
    details = {"table": table, "measured": len(clean), "limit": len(wanted)}
    seen = f"{len(clean)} of {counted(len(wanted), 'phase')} passed"
    told = some([f"{row['phase']}: {row['finding']}" for row in rows if row["finding"]])
    gates = {row["gate"] for row in rows}
    if not wanted:
        return inconclusive("No phase is named, so nothing is known to have passed.", **details)
    if Gate.FAILED in gates:
        return failed(f"{seen} ({told}).", **details)
    if any(row["gate"] == Gate.UNMEASURED for row in rows):
        return unmeasured(f"{seen} ({told}).", **details)
    if len(clean) < len(wanted):
        return inconclusive(f"{seen} ({told}).", **details)
    warnings = sum(int(str(row["WARN"])) for row in rows)
    checks = sum(int(str(row["PASS"])) for row in rows)
    return passed(f"{seen}: {counted(checks, 'check')} passed, {counted(warnings, 'warning')}.", **details)


def _phase(name: str, results: pd.DataFrame) -> dict[str, object]:
    """One phase: its gate, how many checks ended how, and what keeps it from being passed."""
    row: dict[str, object] = {"phase": name, **{str(verdict): 0 for verdict in Verdict}, "run": None, "journalled": False, "gate": None}
    if results.empty:
        return row | {"finding": "not run"}
    verdicts = [Verdict(value) for value in results["verdict"]]
    joined = gate(verdicts)
    row |= {str(verdict): verdicts.count(verdict) for verdict in Verdict}
    row |= {
        "gate": joined,
        "journalled": bool(results["journalled"].astype(bool).all()),
        "run": results["run"].iloc[0] if "run" in results else None,
    }
    for verdict in (Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE):
        if row[str(verdict)]:
            return row | {"finding": f"{row[str(verdict)]} {verdict}"}
    return row | {"finding": "" if row["journalled"] else "its run has no journal"}
