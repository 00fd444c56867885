"""Faults that callers met: they are in the logs."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from opsnb.local.faults.registry import MANY_ERRORS, fault, statements
from opsnb.local.state import Context


@fault(
    "Every snapshot of a context ends in an error, and callers met it.",
    *MANY_ERRORS,
    "drift.none",
    "access.writes:context_snapshots",
)
async def error_spike(context: Context) -> None:
    """A trigger that raises, and the last four minutes' callers who ran into it."""
    await statements(
        context,
        [
            "create function private.reject() returns trigger language plpgsql set search_path = '' as "
            "$$ begin raise exception 'context snapshots are closed for maintenance'; end $$",
            "create trigger reject before insert on public.context_snapshots for each row execute function private.reject()",
        ],
    )
    assert context.traffic is not None
    await context.traffic.backfill(minutes=4, calls=120)


@fault("The gateway refuses callers: their key is not the project's.", "window.no_401")
async def storm_of_401_by_the_platform(context: Context) -> None:
    """An app was shipped with another project's key; the functions never run."""
    assert context.traffic is not None
    await context.traffic.backfill(minutes=4, calls=40, key="not-a-key-of-this-project")


@fault("Invocations begin and never end: their workers die.", "errors.complete")
async def stuck_invocation(context: Context) -> None:
    """Three executions of the drafting function logged a line, and nothing after it; their callers gave up without an answer in the log."""
    function, began = context.store.current("generate-soap-draft-v2").id, datetime.now(UTC) - timedelta(minutes=3)
    for number in range(3):
        attributes = {"function_id": function, "execution_id": str(uuid.uuid4()), "level": "log", "event_type": "Log"}
        context.logbook.write("function_logs", "drafting", attributes=attributes, timestamp=began + timedelta(seconds=number))


@fault("One call in ten takes longer than anybody waits.", "errors.alert_response", "window.response_times")
async def slow_tail(context: Context) -> None:
    """Most answers are as fast as ever: no median shows it, and no probe need meet it."""
    function, now = context.store.current("get-patient-history").id, datetime.now(UTC)
    for number in range(40):
        context.logbook.write(
            "function_edge_logs", "POST | 200 | get-patient-history", timestamp=now - timedelta(seconds=200 - 4 * number),
            attributes={
                "function_id": function, "execution_id": str(uuid.uuid4()), "execution_time_ms": "7400", "request.method": "POST",
                "request.search": "", "response.status_code": "200",
            },
        )  # fmt: skip


@fault("The functions refuse callers: their tokens have expired.", "window.no_401")
async def storm_of_401_by_the_functions(context: Context) -> None:
    """An app does not renew its tokens."""
    assert context.traffic is not None
    await context.traffic.backfill(minutes=4, calls=40, token_age_s=4000)
