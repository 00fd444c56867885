"""Faults of the schema, of access and of the records."""

from __future__ import annotations

import asyncio

import psycopg

from opsnb.local.faults.registry import CHILDREN_OF_NOTES, fault, statements
from opsnb.local.state import Context


@fault(
    "A normalised SOAP table is gone.",
    "drift.none",
    "access.in_place",
    "access.identity_works",
    "access.matrix:soap_objective_physical_exam",
    "access.writes:soap_objective_physical_exam",
    "schema.all_present",
    "schema.pattern_tables:*",
    "access.covered",
)
async def missing_table(context: Context) -> None:
    """Drops a table no function reads: its absence shows where tables and their protection are looked at, nowhere else."""
    await statements(context, ["drop table public.soap_objective_physical_exam cascade"])


@fault(
    "Row-level security is off on the SOAP notes.",
    "drift.none",
    "access.in_place",
    "access.rls_enabled",
    "access.matrix:soap_notes",
    "access.writes:soap_notes",
    "access.stranger",
    "access.no_excess",
    *(f"access.matrix:{table}" for table in CHILDREN_OF_NOTES),
)
async def rls_off(context: Context) -> None:
    """Policies are still written, and nothing enforces them."""
    await statements(context, ["alter table public.soap_notes disable row level security"])


@fault(
    "A policy lets every signed-in user read every patient's profile.",
    "drift.none",
    "access.matrix:patient_profiles",
    "access.no_excess",
    "access.stranger",
)
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


@fault("A trigger was switched off and forgotten.", "schema.no_errors", "drift.none")
async def trigger_disabled(context: Context) -> None:
    """The trigger that keeps updated_at no longer fires."""
    await statements(context, ["alter table public.soap_notes disable trigger touch"])


@fault("A column has another type than it had.", "drift.none")
async def column_retyped(context: Context) -> None:
    """Somebody shortened the reason of an appointment by hand."""
    await statements(context, ["alter table public.appointments alter column reason type varchar(500)"])


@fault("A function was edited by hand.", "drift.none")
async def function_edited(context: Context) -> None:
    """It still does what it should, and nobody reviewed it."""
    await statements(
        context,
        [
            "create or replace function private.touch_updated_at() returns trigger language plpgsql set search_path = '' as "
            "$$ begin new.updated_at := pg_catalog.clock_timestamp(); return new; end $$"
        ],
    )


@fault("A function reads a table that is not there.", "schema.bodies_resolve", "drift.none")
async def body_broken(context: Context) -> None:
    """Postgres looks into a plpgsql body when it runs, not when it is made."""
    await statements(
        context,
        [
            "create function private.monthly_report() returns bigint language plpgsql stable set search_path = '' as "
            "$$ begin return (select count(*) from public.soap_notes_archive); end $$",
            "revoke execute on function private.monthly_report() from public",
        ],
    )


@fault("An index is invalid: building it concurrently was broken off.", "schema.no_errors", "drift.none")
async def index_invalid(context: Context) -> None:
    """Postgres keeps it up to date and uses it for nothing."""
    await context.rows(
        "update pg_catalog.pg_index set indisvalid = false "
        "where indexrelid = 'public.patient_profiles_medical_record_last_updated_at_idx'::regclass",
        user="supabase_admin",
    )


@fault("A constraint was added without looking at the rows that are there.", "schema.no_errors", "drift.none")
async def constraint_unvalidated(context: Context) -> None:
    """NOT VALID, and the validation was forgotten."""
    await statements(context, ["alter table public.appointments add constraint ends_after_it_starts check (ends_at > starts_at) not valid"])


@fault("The history knows a migration that the release does not have.", "migrations.agree")
async def migration_unknown(context: Context) -> None:
    """Applied from somebody's branch."""
    await statements(
        context,
        ["insert into supabase_migrations.schema_migrations (version, name) values ('20260301120000', 'from_a_branch')"],
    )


@fault("A migration was edited after it had been applied.", "migrations.agree")
async def migration_edited(context: Context) -> None:
    """The history keeps what was executed; the file says something else."""
    await statements(
        context,
        [
            "update supabase_migrations.schema_migrations set statements = statements || array['select 1'] "
            "where version = (select max(version) from supabase_migrations.schema_migrations)"
        ],
    )


@fault(
    "A policy lets in whoever the database does not know.",
    "access.matrix:context_snapshots",
    "access.no_excess",
    "access.stranger",
    "drift.none",
)
async def null_identity_passes(context: Context) -> None:
    """A caller without a row in users has no id, and that was taken for a service."""
    await statements(
        context,
        [
            "create policy services on public.context_snapshots for select to authenticated "
            "using ((select private.caller_id()) is null or patient_id = (select private.caller_id()))"
        ],
    )


@fault("A view shows every patient's name to whoever is signed in.", "access.stranger", "access.no_excess", "drift.none")
async def definer_view(context: Context) -> None:
    """It reads with its owner's rights: no policy of the tables below holds in it."""
    await statements(
        context,
        [
            "create view public.patient_list as select u.id, u.full_name from public.users u where u.role = 'patient'",
            "revoke all on public.patient_list from anon",
        ],
    )


@fault("A function hands out every note to whoever calls it.", "access.stranger", "access.no_excess", "drift.none")
async def definer_function(context: Context) -> None:
    """SECURITY DEFINER, and EXECUTE is everybody's by default."""
    await statements(
        context,
        [
            "create function public.notes_of_today() returns setof public.soap_notes language sql stable security definer "
            "set search_path = '' as $$ select n from public.soap_notes n $$"
        ],
    )


@fault("Nobody sees the settings any more.", "access.matrix:app_settings", "drift.none")
async def missing_right(context: Context) -> None:
    """A policy was closed for a moment, and the moment was forgotten."""
    await statements(
        context,
        ['alter policy "users of the clinic read its settings" on public.app_settings using (false)'],
    )


@fault(
    "A policy raises for every Firebase user.",
    "access.matrix:medical_provider_profiles",
    "access.writes:medical_provider_profiles",
    "access.no_excess",
    "access.identity_works",
    "access.stranger",
    "drift.none",
)
async def raising_policy(context: Context) -> None:
    """auth.uid() reads the subject as a UUID, which a Firebase subject is not."""
    await statements(
        context,
        [
            'alter policy "a patient sees providers, a provider themselves" on public.medical_provider_profiles '
            "using (user_id = (select auth.uid()))"
        ],
    )


@fault("Everybody may make themselves an administrator.", "access.writes:users", "drift.none")
async def own_role_writable(context: Context) -> None:
    """The policy says one's own row; the column of the role is in it."""
    await statements(
        context,
        [
            "create policy own_row on public.users for update to authenticated "
            "using (id = (select private.caller_id())) with check (id = (select private.caller_id()))"
        ],
    )
