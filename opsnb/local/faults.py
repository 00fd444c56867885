"""Ways to break the embedded target: each a change of its state, which the ordinary checks must find.

A fault declares the checks that leave PASS. All of them do, and no other check changes: a test runs every notebook against
every fault. ``opsnb local reset`` mends them all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from opsnb.local.state import Context

RUNAWAY_AGE_S = 3.2
"""The local environment calls a statement runaway from 3 s on."""

SLOW_FUNCTION = b"""// A debug build somebody left behind: it waits before it answers.
Deno.serve(async () => {
  await new Promise((resolve) => setTimeout(resolve, 2500));
  return Response.json({ success: true, hasHistory: false, history: null, dryRun: true });
});
"""

OPEN_FUNCTION = b"""// Written in a hurry: whoever calls is answered.
Deno.serve(() =>
  Response.json({ success: true, hasHistory: false, history: null, entries: {}, lastUpdatedAt: null, dryRun: true })
);
"""


@dataclass(frozen=True)
class Fault:
    """One way to break the target. `checks` are the ids that leave PASS; an id ending in ``:*`` stands for all its subjects."""

    name: str
    sentence: str
    checks: frozenset[str]
    apply: Callable[[Context], Awaitable[None]]


FAULTS: dict[str, Fault] = {}

UNANSWERED = ("functions.answers", "functions.fields", "functions.no_error_codes", "window.downtime")
"""What leaves PASS while a function does not answer its callers."""

CHILDREN_OF_NOTES = (
    "soap_subjective_symptoms", "soap_subjective_allergies", "soap_subjective_medical_history", "soap_subjective_social_history",
    "soap_objective_vital_signs", "soap_objective_physical_exam", "soap_objective_lab_results", "soap_assessment_problem_list",
    "soap_assessment_differential_diagnosis", "soap_plan_medication", "soap_plan_investigation", "soap_plan_follow_up",
)  # fmt: skip
"""Tables whose policies ask which notes the caller sees: they are as open as the notes are."""


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


@fault(
    "A normalised SOAP table is gone.",
    "access.in_place",
    "access.identity_works",
    "access.matrix:soap_objective_physical_exam",
    "schema.all_present",
    "schema.pattern_tables:*",
)
async def missing_table(context: Context) -> None:
    """Drops a table no function reads: its absence shows where tables and their protection are looked at, nowhere else."""
    await _statements(context, ["drop table public.soap_objective_physical_exam cascade"])


@fault("The drafting function was removed from the platform.", "functions.deployed", "functions.active", *UNANSWERED)
async def function_inactive(context: Context) -> None:
    """Its status is no longer ACTIVE, and callers get 404."""
    context.store.set("generate-soap-draft-v2", status="REMOVED")


@fault(
    "The function that snapshots the context is the one before, deployed a month ago.",
    "functions.versions",
    "functions.reviewed",
    "functions.recent",
    "functions.fields",
)
async def stale_version(context: Context) -> None:
    """The earlier bundle with its own metadata: it answers less than the release says."""
    context.store.rewind("create-context-snapshot")


@fault("A required environment variable is not set.", "environment.required_set")
async def secret_missing(context: Context) -> None:
    """AWS_REGION is unset; no function fails at once, which is why it goes unnoticed."""
    context.store.unset_secrets(["AWS_REGION"])


@fault("A secret still holds the text of its documentation.", "environment.no_placeholder", "environment.known_values")
async def placeholder_secret(context: Context) -> None:
    """FIREBASE_ADMIN_KEY is the placeholder of the guide."""
    context.store.set_secrets({"FIREBASE_ADMIN_KEY": "[json-format-key]"})


@fault(
    "Row-level security is off on the SOAP notes.",
    "access.in_place",
    "access.rls_enabled",
    "access.matrix:soap_notes",
    *(f"access.matrix:{table}" for table in CHILDREN_OF_NOTES),
)
async def rls_off(context: Context) -> None:
    """Policies are still written, and nothing enforces them."""
    await _statements(context, ["alter table public.soap_notes disable row level security"])


@fault("A policy lets every signed-in user read every patient's profile.", "access.matrix:patient_profiles", "access.no_excess")
async def policy_open(context: Context) -> None:
    """A permissive policy that is always true."""
    await _statements(context, ["create policy support_can_read on public.patient_profiles for select to authenticated using (true)"])


@fault(
    "Every snapshot of a context ends in an error, and callers met it.",
    "window.no_500",
    "errors.rate",
    "errors.recurring",
    "errors.alert_rate",
    "errors.rate_of_period",
    "errors.success_of_period",
)
async def error_spike(context: Context) -> None:
    """A trigger that raises, and the last four minutes' callers who ran into it."""
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


@fault(
    "A debug build of the history function answers after two and a half seconds.",
    "functions.versions",
    "functions.reviewed",
    "functions.fields",
    "functions.response_time",
    "window.response_times",
)
async def slow_function(context: Context) -> None:
    """A new version was deployed that waits before it answers."""
    context.store.deploy("get-patient-history", {"index.ts": SLOW_FUNCTION}, "index.ts", verify_jwt=True)


@fault(
    "The history function answers everybody who holds the public key.",
    "functions.versions",
    "functions.reviewed",
    "functions.refuse_strangers",
)
async def open_endpoint(context: Context) -> None:
    """A new version was deployed that does not look at the caller's token; the gateway still asks for a key, which is public."""
    context.store.deploy("get-patient-history", {"index.ts": OPEN_FUNCTION}, "index.ts", verify_jwt=True)


@fault("The gateway no longer looks at tokens before the drafting function.", "functions.verify_jwt")
async def verify_jwt_off(context: Context) -> None:
    """Deployed with --no-verify-jwt; the function itself still refuses strangers, so nothing else shows."""
    context.store.set("generate-soap-draft-v2", verify_jwt=False)


@fault("Almost every connection of the pool is taken and not given back.", "health.pool")
async def pool_exhausted(context: Context) -> None:
    """Somebody leaks connections: all but one of the pool are checked out."""
    assert context.rest is not None
    pool = context.rest.pool
    taken = asyncio.Event()

    async def hold() -> None:
        connections: list[psycopg.AsyncConnection[Any]] = []
        try:
            while len(connections) < pool.max_size - 1:
                connections.append(await pool.getconn())
            taken.set()
            await asyncio.Event().wait()
        finally:
            for connection in connections:
                await pool.putconn(connection)

    context.spawn(hold())
    await asyncio.wait_for(taken.wait(), 10)


@fault("A statement has been running for longer than any should.", "health.runaway")
async def runaway_query(context: Context) -> None:
    """A session that goes on and on. It waits in between: a target left alone over night keeps its processor and its disk."""

    async def run_on() -> None:
        async with await context.connect() as connection:
            await connection.execute("do $$ begin loop perform pg_sleep(0.2); end loop; end $$")

    context.spawn(run_on())
    await asyncio.sleep(RUNAWAY_AGE_S)


@fault("One patient's cumulative record is not the shape every reader expects.", "records.shape")
async def malformed_record(context: Context) -> None:
    """The conditions of the newest record are a text instead of an array."""
    await _statements(
        context,
        [
            "update public.patient_profiles "
            "set cumulative_medical_record = jsonb_set(cumulative_medical_record, '{conditions}', '\"see paper file\"') "
            "where id = (select id from public.patient_profiles where medical_record_last_updated_at is not null "
            "order by medical_record_last_updated_at desc limit 1)"
        ],
    )


@fault("The records of the end-to-end tests are still there.", "cleanup.remaining")
async def leftover_test_data(context: Context) -> None:
    """Inserts the test records that the runbook's clean-up names."""
    from opsnb.local.database import insert_test_records

    def insert() -> None:
        with psycopg.connect(context.cluster.dsn("postgres")) as connection:
            insert_test_records(connection)

    await asyncio.to_thread(insert)


@fault("A migration of the release was never applied, as far as the history knows.", "migrations.agree")
async def migration_pending(context: Context) -> None:
    """The newest row of the remote history is gone."""
    await _statements(
        context,
        [
            "delete from supabase_migrations.schema_migrations "
            "where version = (select max(version) from supabase_migrations.schema_migrations)"
        ],
    )


@fault("A trigger was switched off and forgotten.", "schema.no_errors")
async def trigger_disabled(context: Context) -> None:
    """The trigger that keeps updated_at no longer fires."""
    await _statements(context, ["alter table public.soap_notes disable trigger touch"])


@fault(
    "The functions are configured for another Firebase project and refuse every caller.",
    "environment.no_placeholder",
    "window.no_401",
    *UNANSWERED,
)
async def wrong_firebase_project(context: Context) -> None:
    """FIREBASE_PROJECT_ID names another project, and the last four minutes' callers were refused."""
    context.store.set_secrets({"FIREBASE_PROJECT_ID": f"another-project-{datetime.now(UTC):%Y}"})
    assert context.traffic is not None
    await context.traffic.backfill(minutes=4, calls=60)
