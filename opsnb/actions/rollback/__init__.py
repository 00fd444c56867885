"""The way back, walked: planned, journalled, carried out step by step, and gone on with after it was killed."""

from opsnb.actions.rollback.action import Rollback
from opsnb.actions.rollback.journal import Journal, read_journal
from opsnb.actions.rollback.plan import Plan, Step

__all__ = ["Journal", "Plan", "Rollback", "Step", "read_journal"]
