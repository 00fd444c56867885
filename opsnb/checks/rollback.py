"""Was the way back walked whole, and in time (RB-1 to RB-10)? Nothing here counts until a rollback was begun."""

from __future__ import annotations

from datetime import datetime

import pandas as pd

from opsnb.checks.tables import counted, findings, known, some
from opsnb.verdicts import Outcome, Verdict, check, failed, inconclusive, not_applicable, passed

__all__ = ["feature_off", "functions_as_before", "in_time", "proved_again", "rows_listed", "rows_put_back"]

NOT_BEGUN = "No rollback was begun in this deployment."
_AGAIN = "Give `opsnb rollback ENV --apply` again: it goes on where it was."
_SLOW = "Look which step took the time; what grows with the database is known beforehand from opsnb rehearse ENV."
_NONE = "NOT_APPLICABLE: no rollback was begun."


@check(
    "rollback.feature_off",
    title="The app no longer uses the new behaviour",
    items=("RB-1",),
    harm="Callers go on using what is being taken back, and write rows that the restore then loses.",
    fix=_AGAIN,
    empty=_NONE,
)
def feature_off(steps: pd.DataFrame) -> Outcome:
    """The step `feature` is done: rows were set, or what was switched off was read back. By hand, or not known, is INCONCLUSIVE.

    Table: step, done, by_hand, uncertain, proved, seconds, rows, failed.
    """
    step = _step(steps, "feature")
    if isinstance(step, Outcome):
        return step
    if step["by_hand"]:
        why = step.get("uncertain")
        if isinstance(why, str) and why:
            return inconclusive(f"Whether the feature is off is not known: {why}.", table=steps)
        return inconclusive("The switch is none that opsnb can reach; whoever switched it off attests RB-1.", table=steps)
    if step.get("proved", False):
        return passed("The switch is off: it was read back.", table=steps)
    if not int(step["rows"]):
        return failed("Nothing was switched off: the table that holds the switch was not there.", table=steps)
    return passed(f"The switch is off in {counted(int(step['rows']), 'row')}.", table=steps)


@check(
    "rollback.functions_as_before",
    title="The functions run as before the deployment",
    items=("RB-2",),
    harm="The way back is half-way: old data under new code, or new code that nobody expects.",
    fix=_AGAIN,
    empty=_NONE,
)
def functions_as_before(steps: pd.DataFrame, functions: pd.DataFrame) -> Outcome:
    """What the platform gives back of every archived function is what was archived, by hash; a version number says nothing.

    Tables: the steps; function, archived, live (SHA-256 of the sources, live NULL where it could not be read), verify_jwt_kept.
    """
    step = _step(steps, "functions")
    if isinstance(step, Outcome):
        return step
    if functions.empty:
        return inconclusive("No function was archived before the deployment, so none can be compared.")
    known(functions, "function", "archived", "live")
    rows = functions.assign(same=functions["archived"] == functions["live"].fillna(""))
    wrong = [str(name) for name in rows[~rows["same"].astype(bool)]["function"]]
    flipped = [str(name) for name in rows[~rows["verify_jwt_kept"].fillna(True).astype(bool)]["function"]]
    columns = ("function", "archived", "live", "verify_jwt_kept", "same")
    shown = [dict(zip(columns, row, strict=True)) for row in rows[list(columns)].itertuples(index=False)]
    details = {"table": findings(shown, columns), "measured": len(rows) - len(wrong), "limit": len(rows)}
    if wrong or flipped:
        also = f"; verify_jwt is not as it was: {some(flipped)}" if flipped else ""
        return failed(f"{len(rows) - len(wrong)} of {len(rows)} functions run as archived; not {some(wrong) or 'none'}{also}.", **details)
    return passed(f"All {len(rows)} functions run as archived, by hash.", **details)


@check(
    "rollback.rows_put_back",
    title="The database is back at its snapshot",
    items=("RB-3",),
    harm="Some tables are as before and some are not: a history made of two times.",
    fix=_AGAIN,
    empty=_NONE,
)
def rows_put_back(steps: pd.DataFrame) -> Outcome:
    """While the tables were held every row equalled T0, and afterwards every object of the catalogue did. Table: the steps."""
    for name in ("rows", "compare"):
        step = _step(steps, name)
        if isinstance(step, Outcome):
            return step
    rows = steps.set_index("step")
    return passed(
        f"{counted(_number(rows, 'tables'), 'table')} equalled the snapshot while nobody could write, and so did the catalogue "
        f"afterwards; {counted(_number(rows, 'rows'), 'row')} had differed.", table=steps,
    )  # fmt: skip


@check(
    "rollback.rows_listed",
    title="Rows that a restore lost are listed",
    items=("RB-10",),
    harm="What clinicians wrote since T0 is gone without anybody knowing what to enter again.",
    fix=_AGAIN,
    empty=_NONE,
)
def rows_listed(steps: pd.DataFrame, exports: pd.DataFrame) -> Outcome:
    """Every row that came or changed since T0 is in an encrypted export that is still there. Tables: the steps; file, rows, kept."""
    step = _step(steps, "rows")
    if isinstance(step, Outcome):
        return step
    lost = int(known(steps, "lost")["lost"].astype(float).sum())
    if not lost:
        return passed("No row was written since the snapshot, so none was lost.", measured=0, limit=0)
    kept = int(exports[exports["kept"].astype(bool)]["rows"].sum()) if not exports.empty else 0
    details = {"table": exports, "measured": kept, "limit": lost}
    if kept < lost:
        return failed(f"{lost:,} rows were lost and {kept:,} are in an export that is still there.", **details)
    return passed(f"{lost:,} rows that were lost are exported, encrypted, to be created again.", **details)


@check(
    "rollback.in_time",
    title="The rollback took no longer than it may",
    items=("RB-9",),
    harm="The promise of the runbook was not kept; whoever announced the window must be told.",
    fix=_SLOW,
    empty=_NONE,
)
def in_time(steps: pd.DataFrame, *, begun: datetime | None, ended: datetime | None, now: datetime, minutes: float) -> Outcome:
    """From its first step to its end, waiting and resuming included, at most *minutes*. Measured: minutes."""
    if begun is None or steps.empty:
        return not_applicable(NOT_BEGUN)
    known(steps, "step", "done")
    took = (pd.Timestamp(ended or now) - pd.Timestamp(begun)).total_seconds() / 60
    details = {"table": steps, "measured": round(took, 2), "limit": minutes}
    if took > minutes:
        state = "took" if ended else "has been going on for"
        return failed(f"The rollback {state} {took:.1f} minutes, {minutes:g} are promised.", **details)
    if ended is None:
        return inconclusive(f"The rollback has been going on for {took:.1f} of {minutes:g} minutes. {_AGAIN}", **details)
    return passed(f"The rollback took {took:.1f} of {minutes:g} minutes.", **details)


@check(
    "rollback.proved_again",
    title="Access and answers were proved again after the rollback",
    items=("RB-4", "RB-8"),
    harm="A restore brings back old policies and rights: doors closed since then may stand open again.",
    fix="Run them: opsnb run ENV --phase rls --phase verify.",
    empty="INCONCLUSIVE: the phase was not run since the rollback ended.",
)
def proved_again(runs: pd.DataFrame, *, phase: str, ended: datetime | None, begun: datetime | None) -> Outcome:
    """The newest run of *phase* began after the rollback ended, and nothing in it is FAIL or ERROR.

    Table: the newest results (phase, check, verdict, journalled, started_at).
    """
    if begun is None:
        return not_applicable(NOT_BEGUN)
    if ended is None:
        return inconclusive(f"The rollback has not ended. {_AGAIN}")
    mine = runs[runs["phase"] == phase] if not runs.empty else runs
    if mine.empty or pd.Timestamp(str(mine["started_at"].iloc[0])) < pd.Timestamp(ended):
        return inconclusive(f"{phase} was not run since the rollback ended.")
    bad = mine[mine["verdict"].isin([str(Verdict.FAIL), str(Verdict.ERROR)])]
    names = [str(name) for name in bad["check"]]
    details = {"measured": len(mine) - len(bad), "limit": len(mine)}
    if len(bad):
        return failed(f"{len(bad)} of {counted(len(mine), 'check')} of {phase} do not hold after the rollback: {some(names)}.", **details)
    return passed(f"{counted(len(mine), 'check')} of {phase} ran after the rollback; none failed.", **details)


def _number(steps: pd.DataFrame, column: str) -> int:
    """A figure of the step `rows`."""
    return int(float(str(known(steps, column).loc["rows", column])))


def _step(steps: pd.DataFrame, name: str) -> pd.Series | Outcome:
    """The row of step *name*; or what is to be said where it was not done."""
    if steps.empty:
        return not_applicable(NOT_BEGUN)
    known(steps, "step", "done")
    rows = steps[steps["step"] == name]
    if rows.empty or not bool(rows["done"].iloc[0]):
        why = str(steps["failed"].iloc[0] or "") if "failed" in steps else ""
        if why:
            return failed(f"The step {name} was not done: {why}", table=steps)
        return inconclusive(f"The step {name} was not done. {_AGAIN}")
    return rows.iloc[0]
