"""Removes a release's test records: a plan first, then one transaction that deletes exactly the plan or nothing; and its undo."""

from opsnb.actions.cleanup.action import Cleanup, require_confirmed
from opsnb.actions.cleanup.closure import MAX_ROWS, make_plan
from opsnb.actions.cleanup.filing import newest_record
from opsnb.actions.cleanup.plan import Guard, Plan, Step
from opsnb.actions.cleanup.undo import Undo, UndoPlan

__all__ = [
    "MAX_ROWS",
    "Cleanup",
    "Guard",
    "Plan",
    "Step",
    "Undo",
    "UndoPlan",
    "make_plan",
    "newest_record",
    "require_confirmed",
]
