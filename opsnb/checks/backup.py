"""Which backups does the platform tell of (PRE-4.4)? Information only: what can be restored is proved by restoring it."""

from __future__ import annotations

import pandas as pd

from opsnb.checks.tables import counted
from opsnb.verdicts import Outcome, check, inconclusive


@check(
    "backup.available",
    title="A database backup is available",
    items=("PRE-4.4",),
    fix="Look at the platform's page of backups and attest what it shows until a restore is tried here.",
    empty="INCONCLUSIVE: the platform lists no backup; point-in-time recovery may still be on.",
)
def available(backups: pd.DataFrame) -> Outcome:
    """Always INCONCLUSIVE: says how many completed backups are listed. Tables: the platform's backups (`status`)."""
    if backups.empty:
        return inconclusive("The platform lists no backup. Not yet automated: no restore was tried.", measured=0)
    done = int((backups["status"] == "COMPLETED").sum())
    sentence = f"{counted(done, 'completed backup')} of {len(backups)} listed. Not yet automated: no restore was tried."
    return inconclusive(sentence, table=backups, measured=done)
