"""Ways to break the embedded target: each a change of its state, which the ordinary checks must find.

A fault declares the checks that leave PASS. All of them do, and no other check changes: a test runs every notebook against
every fault. ``opsnb local reset`` mends them all.
"""

from opsnb.local.faults import callers, database, functions, load, secrets
from opsnb.local.faults.registry import FAULTS, Fault

__all__ = ["FAULTS", "Fault", "callers", "database", "functions", "load", "secrets"]
