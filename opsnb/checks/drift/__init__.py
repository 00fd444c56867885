"""Drift: is today's catalogue what the baseline says, and who could be hurt where it is not."""

from opsnb.checks.drift.verdict import none
from opsnb.checks.drift.wording import difference

__all__ = ["difference", "none"]
