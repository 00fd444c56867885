"""Faults of the schema, of access and of the records."""

from __future__ import annotations

import asyncio

import psycopg

from opsnb.local.faults.registry import CHILDREN_OF_NOTES, fault, statements
from opsnb.local.state import Context


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
    await statements(context, ["drop table public.soap_objective_physical_exam cascade"])


@fault(
    "Row-level security is off on the SOAP notes.",
    "access.in_place",
    "access.rls_enabled",
    "access.matrix:soap_notes",
    *(f"access.matrix:{table}" for table in CHILDREN_OF_NOTES),
)
async def rls_off(context: Context) -> None:
    """Policies are still written, and nothing enforces them."""
    await statements(context, ["alter table public.soap_notes disable row level security"])


@fault("A policy lets every signed-in user read every patient's profile.", "access.matrix:patient_profiles", "access.no_excess")
async def policy_open(context: Context) -> None:
    """A permissive policy that is always true."""
    await statements(context, ["create policy support_can_read on public.patient_profiles for select to authenticated using (true)"])


@fault("One patient's cumulative record is not the shape every reader expects.", "records.shape")
async def malformed_record(context: Context) -> None:
    """The conditions of the newest record are a text instead of an array."""
    await statements(
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
    await statements(
        context,
        [
            "delete from supabase_migrations.schema_migrations "
            "where version = (select max(version) from supabase_migrations.schema_migrations)"
        ],
    )


@fault("A trigger was switched off and forgotten.", "schema.no_errors")
async def trigger_disabled(context: Context) -> None:
    """The trigger that keeps updated_at no longer fires."""
    await statements(context, ["alter table public.soap_notes disable trigger touch"])
