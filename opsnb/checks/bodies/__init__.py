"""Bodies of functions, triggers and views: do the names in them exist."""

from opsnb.checks.bodies.verdict import resolve

__all__ = ["resolve"]
