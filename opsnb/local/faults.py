"""Ways to break the embedded target: each a change of its state, which the ordinary checks must find.

A fault declares the checks that leave PASS. All of them do, and no other check changes: a test runs every notebook against
every fault. ``opsnb local reset`` mends them all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg

from opsnb.local.state import Context

RUNAWAY_AGE_S = 3.5
"""The local environment calls a statement runaway from 3 s on."""

SLOW_FUNCTION = b"""// A debug build somebody left behind: it waits before it answers.
Deno.serve(async () => {
  await new Promise((resolve) => setTimeout(resolve, 5500));
  return Response.json({ success: true, hasHistory: false, history: null, dryRun: true });
});
"""


@dataclass(frozen=True)
class Fault:
    """One way to break the target. `checks` are the ids that leave PASS; an id ending in ``:*`` stands for all its subjects."""

    name: str
    sentence: str
    checks: frozenset[str]
    apply: Callable[[Context], Awaitable[None]]


FAULTS: dict[str, Fault] = {}


def fault(sentence: str, *checks: str) -> Callable[[Callable[[Context], Awaitable[None]]], Callable[[Context], Awaitable[None]]]:
    """Registers a coroutine that breaks the target, under its own name."""

    def register(apply: Callable[[Context], Awaitable[None]]) -> Callable[[Context], Awaitable[None]]:
        name = apply.__name__
        FAULTS[name] = Fault(name, sentence, frozenset(checks), apply)
        return apply

    return register


async def _statements(context: Context, statements: Iterable[str]) -> None:
    for statement in statements:
        await context.rows(statement)


@fault("A normalised SOAP table is gone.")
async def missing_table(context: Context) -> None:
    """Drops a table no function reads, so that nothing but the schema can tell."""
    await _statements(context, ["drop table public.soap_objective_physical_exam cascade"])


@fault("The drafting function was removed from the platform.")
async def function_inactive(context: Context) -> None:
    """Its status is no longer ACTIVE, and callers get 404."""
    context.store.set("generate-soap-draft-v2", status="REMOVED")


@fault("The function that snapshots the context is the one before, deployed a month ago.")
async def stale_version(context: Context) -> None:
    """The earlier bundle with its own metadata: it answers less than the release says."""
    context.store.rewind("create-context-snapshot")


@fault("A required environment variable is not set.")
async def secret_missing(context: Context) -> None:
    """AWS_REGION is unset; no function fails at once, which is why it goes unnoticed."""
    context.store.unset_secrets(["AWS_REGION"])


@fault("A secret still holds the text of its documentation.")
async def placeholder_secret(context: Context) -> None:
    """FIREBASE_ADMIN_KEY is the placeholder of the guide."""
    context.store.set_secrets({"FIREBASE_ADMIN_KEY": "[json-format-key]"})


@fault("Row-level security is off on the SOAP notes.")
async def rls_off(context: Context) -> None:
    """Policies are still written, and nothing enforces them."""
    await _statements(context, ["alter table public.soap_notes disable row level security"])


@fault("A policy lets every signed-in user read every patient's profile.")
async def policy_open(context: Context) -> None:
    """A permissive policy that is always true."""
    await _statements(context, ["create policy support_can_read on public.patient_profiles for select to authenticated using (true)"])


@fault("Every snapshot of a context ends in an error, and callers met it.")
async def error_spike(context: Context) -> None:
    """A trigger that raises, and half an hour's callers who ran into it."""
    await _statements(
        context,
        [
            "create function private.reject() returns trigger language plpgsql set search_path = '' as "
            "$$ begin raise exception 'context snapshots are closed for maintenance'; end $$",
            "create trigger reject before insert on public.context_snapshots for each row execute function private.reject()",
        ],
    )
    assert context.traffic is not None
    await context.traffic.backfill(minutes=4, calls=120)


@fault("A debug build of the history function answers after five and a half seconds.")
async def slow_function(context: Context) -> None:
    """A new version was deployed that waits before it answers."""
    context.store.deploy("get-patient-history", {"index.ts": SLOW_FUNCTION}, "index.ts", verify_jwt=True)


@fault("Almost every connection of the pool is taken and not given back.")
async def pool_exhausted(context: Context) -> None:
    """Somebody leaks connections: all but one of the pool are checked out."""
    assert context.rest is not None
    pool = context.rest.pool
    taken = asyncio.Event()

    async def hold() -> None:
        connections = [await pool.getconn() for _ in range(pool.max_size - 1)]
        taken.set()
        try:
            await asyncio.Event().wait()
        finally:
            for connection in connections:
                await pool.putconn(connection)

    context.spawn(hold())
    await asyncio.wait_for(taken.wait(), 10)


@fault("A statement has been running for longer than any should.")
async def runaway_query(context: Context) -> None:
    """A session that computes on and on."""

    async def run_on() -> None:
        async with await context.connect() as connection:
            await connection.execute("select count(*) from generate_series(1, 1000000000000) as n where pg_sleep(1) is not null")

    context.spawn(run_on())
    await asyncio.sleep(RUNAWAY_AGE_S)


@fault("One patient's cumulative record is not the shape every reader expects.")
async def malformed_record(context: Context) -> None:
    """The conditions of the newest record are a text instead of an array."""
    await _statements(
        context,
        [
            "update public.patient_profiles set cumulative_medical_record = jsonb_set(cumulative_medical_record, '{conditions}', '\"see paper file\"') "
            "where id = (select id from public.patient_profiles where medical_record_last_updated_at is not null "
            "order by medical_record_last_updated_at desc limit 1)"
        ],
    )


@fault("The records of the end-to-end tests are still there.")
async def leftover_test_data(context: Context) -> None:
    """Inserts the test records that the runbook's clean-up names."""
    from opsnb.local.database import insert_test_records

    def insert() -> None:
        with psycopg.connect(context.cluster.dsn("postgres")) as connection:
            insert_test_records(connection)

    await asyncio.to_thread(insert)


@fault("A migration of the release was never applied, as far as the history knows.")
async def migration_pending(context: Context) -> None:
    """The newest row of the remote history is gone."""
    await _statements(
        context,
        ["delete from supabase_migrations.schema_migrations where version = (select max(version) from supabase_migrations.schema_migrations)"],
    )


@fault("A trigger was switched off and forgotten.")
async def trigger_disabled(context: Context) -> None:
    """The trigger that keeps updated_at no longer fires."""
    await _statements(context, ["alter table public.soap_notes disable trigger touch"])


@fault("The functions are configured for another Firebase project and refuse every caller.")
async def wrong_firebase_project(context: Context) -> None:
    """FIREBASE_PROJECT_ID names another project, and half an hour's callers were refused."""
    context.store.set_secrets({"FIREBASE_PROJECT_ID": f"another-project-{datetime.now(UTC):%Y}"})
    assert context.traffic is not None
    await context.traffic.backfill(minutes=4, calls=60)
