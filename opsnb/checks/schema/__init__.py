"""Is the schema what the release says it is, and does everything in it do its work (runbook step 5)."""

from opsnb.checks.bodies.verdict import resolve as bodies_resolve
from opsnb.checks.schema.defects import no_errors
from opsnb.checks.schema.expected import BASE_TABLES, all_present, like, pattern_tables, record_columns, routine_present, table_present
from opsnb.checks.schema.room import room_left
from opsnb.checks.schema.types import same_type

__all__ = [
    "BASE_TABLES",
    "all_present",
    "bodies_resolve",
    "like",
    "no_errors",
    "pattern_tables",
    "record_columns",
    "room_left",
    "routine_present",
    "same_type",
    "table_present",
]
