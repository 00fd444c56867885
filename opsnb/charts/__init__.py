"""DataFrame → plotly figure, one function per question.

All share one template: a colour-blind-safe palette (Okabe and Ito), no ornament, the question as title, units on the axes. Only bars,
lines, markers and heat maps are used, because a static picture is derived from each. An empty table gives a figure that says so.
"""

from opsnb.charts.base import HEIGHT, PALETTE, TEMPLATE, VERDICT_COLOURS
from opsnb.charts.measured import (
    access_matrix,
    capacity_used,
    connections_by_state,
    error_rates,
    function_calls,
    pool_use,
    rates_compared,
    response_times,
    schema_checks,
    storage_growth,
    table_sizes,
    window_timeline,
)
from opsnb.charts.timelines import phase_timeline, steps_taken, ways_back

__all__ = [
    "HEIGHT",
    "PALETTE",
    "TEMPLATE",
    "VERDICT_COLOURS",
    "access_matrix",
    "capacity_used",
    "connections_by_state",
    "error_rates",
    "function_calls",
    "phase_timeline",
    "pool_use",
    "rates_compared",
    "response_times",
    "schema_checks",
    "steps_taken",
    "storage_growth",
    "table_sizes",
    "ways_back",
    "window_timeline",
]
