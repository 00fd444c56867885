"""How much the proofs of access covered (runbook step 6): what a budget cut, or a sample left out, was not proved."""

from __future__ import annotations

from typing import Any

import pandas as pd

from opsnb.checks.tables import counted, known
from opsnb.verdicts import Outcome, check, passed, unmeasured, warned


@check(
    "access.covered",
    title="Every caller was asked about every table and verb",
    items=("S6-1", "S6-2", "S6-3"),
    harm="A table or a verb nobody asked about may be open to everybody, and the page would not show it.",
    fix="Give the proofs more time (postgres.proof_budget_s of the environment), or run them when the server is less busy.",
    empty="ERROR: nothing was tried, so nothing is proved.",
)
def covered(proofs: pd.DataFrame) -> Outcome:
    """Every cell (caller, object, verb) of every proof was asked.

    Tables: proof, cells, asked, by_fingerprint, by_sample, slowest_s, seconds. ERROR: a cell was not asked. WARN: more rows than could
    be compared whole within the time of one statement, so that the first ones stand for all.
    """
    known(proofs, "proof", "cells", "asked")
    cells, asked = int(proofs["cells"].sum()), int(proofs["asked"].sum())
    details: dict[str, Any] = {"table": proofs, "measured": asked, "limit": cells}
    if not cells:
        return unmeasured("Nothing was tried.", **details)
    of = ", ".join(f"{row['proof']} {int(row['asked']):,} of {int(row['cells']):,}" for row in proofs.to_dict("records"))
    if asked < cells:
        return unmeasured(f"{counted(cells - asked, 'cell')} of {cells:,} not asked: {of}.", **details)
    sampled = int(proofs["by_sample"].sum())
    if sampled:
        return warned(f"All {cells:,} cells asked, {sampled:,} of them on the first rows only: {of}.", **details)
    whole = int(proofs["by_fingerprint"].sum())
    large = f"; {counted(whole, 'cell')} of many rows compared by a fingerprint of all keys" if whole else ""
    return passed(f"All {cells:,} cells asked, the slowest in {float(proofs['slowest_s'].max()):.2f} s: {of}{large}.", **details)
