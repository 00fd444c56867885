"""Faults that callers met: they are in the logs."""

from __future__ import annotations

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


@fault("The functions refuse callers: their tokens have expired.", "window.no_401")
async def storm_of_401_by_the_functions(context: Context) -> None:
    """An app does not renew its tokens."""
    assert context.traffic is not None
    await context.traffic.backfill(minutes=4, calls=40, token_age_s=4000)
