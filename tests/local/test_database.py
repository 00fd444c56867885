"""The database of the local target: what it holds, what its policies let through, and that it comes back."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from opsnb.local import database, patients
from opsnb.local.cluster import SUPERUSER, Cluster

ISSUER = "https://securetoken.google.com/medzen-bf20e"
AUDIENCE = "medzen-bf20e"
CHILDREN = sorted(table for table in patients.COLUMNS if re.match(r"soap_(subjective|objective|assessment|plan)_", table))
GUIDE_CLEANUP = (
    ("soap_notes", "id", ["c5b820ae-3f82-471d-b875-9af8b2b0ec0b", "298d5300-df6d-4645-9f3e-ab8df13a97f6"]),
    ("appointments", "id", ["d1747d20-00b8-4ef3-9f12-44dd3d5f9b41", "049f2f4f-be5a-4ef6-86ff-002709d22294"]),
    ("video_call_sessions", "id", ["9badb5d0-cb5f-4b56-89c0-10dcefc65296"]),
    ("patient_profiles", "user_id", ["805148ca-76b5-48b2-88e7-0ebfd13bc580"]),
    ("medical_provider_profiles", "user_id", ["cb184de2-68c6-4fa7-98dc-885d6e5c244e"]),
    ("users", "id", ["805148ca-76b5-48b2-88e7-0ebfd13bc580", "cb184de2-68c6-4fa7-98dc-885d6e5c244e"]),
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster whose clinic was built two and a half days ago: every test also sees that it was brought up to now."""
    cluster = Cluster(tmp_path_factory.mktemp("a clinic") / "pg")
    cluster.initdb()
    cluster.start()
    assert database.build(cluster, now=datetime.now(UTC) - timedelta(days=2, hours=12))
    yield cluster
    cluster.stop()


@pytest.fixture
def owner(cluster: Cluster) -> Iterator[psycopg.Connection[Any]]:
    """As the owner of the tables; what a test does is rolled back."""
    with psycopg.connect(cluster.dsn("postgres")) as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def reader(cluster: Cluster) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(cluster.dsn("opsnb_reader")) as connection:
        yield connection
        connection.rollback()


def one(connection: psycopg.Connection[Any], query: str, *values: object) -> Any:
    row = connection.execute(query.encode(), values or None).fetchone()
    assert row is not None
    return row[0]


def ids(connection: psycopg.Connection[Any], query: str, *values: object) -> set[Any]:
    return {row[0] for row in connection.execute(query.encode(), values or None)}


def become(connection: psycopg.Connection[Any], subject: str, *, role: str = "authenticated", **claims: str) -> None:
    """From here to the end of the transaction, the caller with this token."""
    token = {"sub": subject, "role": role, "iss": ISSUER, "aud": AUDIENCE} | claims
    connection.execute("select set_config('request.jwt.claims', %s, true)", [json.dumps(token)])
    connection.execute(f"set local role {role}".encode())


def be_ourselves(connection: psycopg.Connection[Any]) -> None:
    connection.execute("reset role")


def tables(connection: psycopg.Connection[Any]) -> list[str]:
    return sorted(ids(connection, "select relname::text from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"))


def counts(connection: psycopg.Connection[Any], names: list[str]) -> dict[str, int]:
    return {name: one(connection, f"select count(*) from public.{name}") for name in names}


# What is there


def test_the_clinic_is_alive(owner: psycopg.Connection[Any]) -> None:
    assert one(owner, "select count(*) from users where role = 'patient'") == patients.PATIENTS + 1
    assert one(owner, "select count(*) from users where role = 'provider'") == patients.PROVIDERS + 1
    assert one(owner, "select count(*) from appointments") == patients.APPOINTMENTS + 1
    assert len(CHILDREN) == 12
    assert min(counts(owner, CHILDREN).values()) > 1000
    merged = "select count(*) from patient_profiles where medical_record_last_updated_at between now() - interval '1 hour' and now()"
    assert one(owner, merged) >= 10
    assert one(owner, "select count(*) from soap_notes where signed_at > now()") == 0
    assert one(owner, "select count(*) from appointments where status = 'scheduled' and starts_at < now()") == 0
    assert one(owner, "select count(*) from appointments where status = 'completed' and ends_at > now()") == 0


def test_everybody_is_obviously_synthetic(owner: psycopg.Connection[Any]) -> None:
    assert one(owner, "select count(*) from users where email not like '%@example.org' or full_name not like 'Synthetic %'") == 0
    assert one(owner, "select count(*) from users where length(firebase_uid) <> 28") == 0


def test_records_are_what_the_merge_makes_of_the_notes(owner: psycopg.Connection[Any]) -> None:
    sections = "conditions", "medications", "allergies", "vital_signs"
    for section in sections:
        wrong = f"""select count(*) from patient_profiles
            where jsonb_typeof(cumulative_medical_record -> '{section}') is distinct from 'array'"""
        assert one(owner, wrong) == 0
    newest = """select n.id from soap_notes n where n.status = 'signed' order by n.signed_at desc limit 20"""
    for note in sorted(ids(owner, newest)):
        before = one(
            owner,
            "select cumulative_medical_record from patient_profiles join soap_notes n on n.patient_id = user_id where n.id = %s",
            note,
        )
        assert one(owner, "select merge_soap_into_cumulative_record(%s)", note) == before  # merging twice changes nothing


def test_times_in_records_are_those_of_their_notes(owner: psycopg.Connection[Any]) -> None:
    query = """
        select count(*), count(*) filter (where (entry ->> 'recorded_at')::timestamptz = n.signed_at)
        from patient_profiles p
        cross join jsonb_array_elements(p.cumulative_medical_record -> 'conditions') as entry
        join soap_notes n on n.id = (entry ->> 'soap_note_id')::uuid and n.patient_id = p.user_id"""
    entries, right = owner.execute(query).fetchone() or (0, 0)
    assert entries == right > 1000


def test_the_probe_records_are_there(owner: psycopg.Connection[Any]) -> None:
    row = owner.execute(
        """select p.firebase_uid, q.firebase_uid, a.id, n.status
           from soap_notes n join appointments a on a.id = n.appointment_id
           join users p on p.id = n.patient_id join users q on q.id = n.provider_id where n.id = %s""",
        [patients.PROBE_NOTE],
    ).fetchone()
    assert row == (patients.PROBE_PATIENT_SUBJECT, patients.PROBE_PROVIDER_SUBJECT, patients.PROBE_APPOINTMENT, "signed")


def test_the_same_seed_makes_the_same_clinic() -> None:
    now = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    small = {"patients": 20, "providers": 3, "appointments": 60}
    first, second = (patients.clinic(now, **small) for _ in range(2))
    assert [str(row) for row in first.rows["soap_plan_medication"]] == [str(row) for row in second.rows["soap_plan_medication"]]
    assert {table: len(rows) for table, rows in first.rows.items()} == {table: len(rows) for table, rows in second.rows.items()}
    assert first.rows["users"] == second.rows["users"]
    assert first.rows["users"] != patients.clinic(now, 1, **small).rows["users"]


def test_the_history_matches_the_folder(owner: psycopg.Connection[Any]) -> None:
    applied = owner.execute("select version, name, statements from supabase_migrations.schema_migrations order by version").fetchall()
    assert applied == [(found.version, found.name, list(found.statements)) for found in database.migrations()]
    assert all(re.fullmatch(r"20260117\d{6}", version) for version, _, _ in applied)


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("select 1; select 2", ["select 1", "select 2"]),
        ("select ';'; -- a; b\nselect \"c;d\";", ["select ';'", '-- a; b\nselect "c;d"']),
        ("do $$ begin; end $$; do $x$ ';' $$ $x$;", ["do $$ begin; end $$", "do $x$ ';' $$ $x$"]),
        ("select 'it''s; so' /* no; */;;\n-- only a comment\n", ["select 'it''s; so' /* no; */"]),
        ("select $1, 4 - 3, 4 / 2;", ["select $1, 4 - 3, 4 / 2"]),
    ],
)
def test_statements_are_split_where_they_end(text: str, statements: list[str]) -> None:
    assert database.split_statements(text) == statements


# Roles


def test_tables_belong_to_a_role_that_is_no_superuser_and_every_table_is_guarded(owner: psycopg.Connection[Any]) -> None:
    query = """select count(*) from pg_class c join pg_roles r on r.oid = c.relowner
        where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
          and (r.rolname <> 'postgres' or r.rolsuper or not c.relrowsecurity)"""
    assert one(owner, query) == 0
    assert len(tables(owner)) == 20


def test_every_foreign_key_has_an_index(owner: psycopg.Connection[Any]) -> None:
    query = """
        select k.conname::text from pg_constraint k
        where k.contype = 'f' and k.connamespace = 'public'::regnamespace
          and not exists (select from pg_index i where i.indrelid = k.conrelid
            and (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey)"""
    assert ids(owner, query) == set()


def test_roles_have_the_hosted_time_outs(owner: psycopg.Connection[Any]) -> None:
    settings = dict(owner.execute("select rolname::text, rolconfig from pg_roles where rolconfig is not null").fetchall())
    assert settings["anon"] == ["statement_timeout=3s"]
    assert settings["authenticated"] == ["statement_timeout=8s"]
    assert settings["authenticator"] == ["statement_timeout=8s", "lock_timeout=8s"]


def test_no_function_asks_for_a_uuid_subject(owner: psycopg.Connection[Any]) -> None:
    assert one(owner, "select count(*) from pg_policies where concat(qual, with_check) like '%auth.uid%'") == 0
    assert one(owner, "select count(*) from pg_proc where pronamespace in ('private'::regnamespace, 'public'::regnamespace)") > 0
    open_path = """select count(*) from pg_proc where pronamespace in ('private'::regnamespace, 'public'::regnamespace)
        and not coalesce(proconfig @> array['search_path=""'], false)"""
    assert one(owner, open_path) == 0


def test_the_reader_reads_everything_and_writes_nothing(reader: psycopg.Connection[Any]) -> None:
    assert one(reader, "select count(*) from patient_profiles") == patients.PATIENTS + 1
    assert one(reader, "select count(*) from supabase_migrations.schema_migrations") == len(database.migrations())
    assert one(reader, "select count(*) from pg_stat_activity where query = '<insufficient privilege>'") == 0
    assert one(reader, "select pg_database_size('postgres')") > 10_000_000
    assert one(reader, "select sum(size) from pg_ls_waldir()") > 0
    reader.rollback()
    for statement in (
        "delete from users",
        "update app_settings set value = 'false'",
        "insert into app_settings (key, value) values ('a', '1')",
        "truncate soap_notes cascade",
        "create table public.mine (a integer)",
        "select merge_soap_into_cumulative_record('5e000000-0000-4000-8000-000000000004')",
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'supabase_admin'",
        "set role postgres",
        "set role service_role",
    ):
        # Even where it asks for a writing transaction: the right is what it lacks.
        reader.execute("set transaction read write")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute(statement.encode())
        reader.rollback()


def test_the_reader_inherits_nothing_from_whom_it_may_become(reader: psycopg.Connection[Any]) -> None:
    assert not one(reader, "select pg_has_role('opsnb_reader', 'authenticated', 'usage')")
    assert one(reader, "select pg_has_role('opsnb_reader', 'authenticated', 'set')")
    assert one(reader, "show default_transaction_read_only") == "on"


def test_the_role_file_can_be_run_again(cluster: Cluster) -> None:
    with psycopg.connect(cluster.dsn("postgres")) as connection:
        connection.execute(database._READER.read_bytes())
    with psycopg.connect(cluster.dsn("opsnb_reader")) as connection:
        assert one(connection, "select 1") == 1


# Who sees what; every question is asked as the reading role that became the caller


def test_anon_and_strangers_see_nothing(reader: psycopg.Connection[Any]) -> None:
    names = tables(reader)
    for subject, role, claims in (
        ("", "anon", {}),
        (patients.PROBE_PATIENT_SUBJECT, "anon", {}),
        ("NobodyWeKnow0000000000000001", "authenticated", {}),
        (patients.PROBE_PATIENT_SUBJECT, "authenticated", {"aud": "another-project"}),
        (patients.PROBE_PATIENT_SUBJECT, "authenticated", {"iss": "https://securetoken.google.com/another-project"}),
        (patients.PROBE_PROVIDER_SUBJECT, "authenticated", {"iss": "", "aud": ""}),
    ):
        become(reader, subject, role=role, **claims)
        assert counts(reader, names) == dict.fromkeys(names, 0), (role, claims)
        reader.rollback()


def test_without_any_claims_nobody_is_anybody(reader: psycopg.Connection[Any]) -> None:
    names = tables(reader)
    reader.execute("set local role authenticated")
    assert counts(reader, names) == dict.fromkeys(names, 0)


def some(connection: psycopg.Connection[Any], role: str) -> list[tuple[Any, str]]:
    """A few users of *role*, the probe among them: id and subject."""
    return (
        connection.execute(
            """select id, firebase_uid from users where role = %s
           and exists (select from soap_notes n where users.id in (n.patient_id, n.provider_id)) order by id limit 4""",
            [role],
        ).fetchall()
        + connection.execute("select id, firebase_uid from users where role = %s and full_name like '%% Probe %%'", [role]).fetchall()
    )


def test_a_patient_sees_their_own_and_all_providers(reader: psycopg.Connection[Any]) -> None:
    for patient, subject in some(reader, "patient"):
        own = {
            "users": ids(reader, "select id from users where id = %s", patient),
            "patient_profiles": ids(reader, "select id from patient_profiles where user_id = %s", patient),
            "medical_provider_profiles": ids(reader, "select id from medical_provider_profiles"),
            "appointments": ids(reader, "select id from appointments where patient_id = %s", patient),
            "soap_notes": ids(reader, "select id from soap_notes where patient_id = %s", patient),
            "context_snapshots": ids(reader, "select id from context_snapshots where patient_id = %s", patient),
            "video_call_sessions": ids(
                reader, "select s.id from video_call_sessions s join appointments a on a.id = appointment_id where patient_id = %s", patient
            ),
            **{
                child: ids(reader, f"select c.id from {child} c join soap_notes n on n.id = soap_note_id where n.patient_id = %s", patient)
                for child in CHILDREN
            },
        }
        assert own["soap_notes"] and own["appointments"] and len(own["patient_profiles"]) == 1
        become(reader, subject)
        assert {table: ids(reader, f"select id from {table}") for table in own} == own
        reader.rollback()


def test_a_provider_sees_their_patients_and_what_they_wrote(reader: psycopg.Connection[Any]) -> None:
    for provider, subject in some(reader, "provider"):
        theirs = "(select patient_id from appointments where provider_id = %s and status <> 'cancelled')"
        own = {
            "users": ids(reader, f"select id from users where id in {theirs}", provider) | {provider},
            "patient_profiles": ids(reader, f"select id from patient_profiles where user_id in {theirs}", provider),
            "medical_provider_profiles": ids(reader, "select id from medical_provider_profiles where user_id = %s", provider),
            "appointments": ids(reader, "select id from appointments where provider_id = %s", provider),
            "soap_notes": ids(reader, "select id from soap_notes where provider_id = %s", provider),
            "context_snapshots": ids(reader, "select id from context_snapshots where provider_id = %s", provider),
            **{
                child: ids(
                    reader, f"select c.id from {child} c join soap_notes n on n.id = soap_note_id where n.provider_id = %s", provider
                )
                for child in CHILDREN
            },
        }
        assert own["soap_notes"] and len(own["medical_provider_profiles"]) == 1
        assert 0 < len(own["patient_profiles"]) < patients.PATIENTS
        become(reader, subject)
        assert {table: ids(reader, f"select id from {table}") for table in own} == own
        reader.rollback()


def test_policies_answer_quickly(reader: psycopg.Connection[Any]) -> None:
    become(reader, patients.PROBE_PROVIDER_SUBJECT)
    started = time.perf_counter()
    counts(reader, [*CHILDREN, "patient_profiles", "soap_notes"])
    assert time.perf_counter() - started < 2


# Who writes what


def refused(connection: psycopg.Connection[Any], statement: str, *values: object) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
        connection.execute(statement.encode(), values or None)


def changed(connection: psycopg.Connection[Any], statement: str, *values: object) -> int:
    return connection.execute(statement.encode(), values or None).rowcount


def test_a_patient_changes_their_contact_details_only(owner: psycopg.Connection[Any]) -> None:
    become(owner, patients.PROBE_PATIENT_SUBJECT)
    assert changed(owner, "update patient_profiles set phone = '+1-555-0100'") == 1
    refused(owner, "update patient_profiles set cumulative_medical_record = '{}'")
    refused(owner, "update patient_profiles set user_id = %s", patients.PROBE_PROVIDER)
    assert changed(owner, "update users set role = 'provider'") == 0
    assert changed(owner, "update soap_notes set summary = ''") == 0
    assert changed(owner, "delete from soap_notes") == 0
    refused(owner, "delete from appointments")
    refused(owner, "insert into app_settings (key, value) values ('mine', '1')")
    refused(owner, "select merge_soap_into_cumulative_record(%s)", patients.PROBE_NOTE)


def test_a_provider_writes_signs_and_merges_their_own_notes(owner: psycopg.Connection[Any]) -> None:
    other = one(owner, "select id from appointments where provider_id <> %s and status = 'completed' limit 1", patients.PROBE_PROVIDER)
    other_note = one(owner, "select id from soap_notes where provider_id <> %s and status = 'signed' limit 1", patients.PROBE_PROVIDER)
    other_patient = one(owner, "select patient_id from appointments where id = %s", other)
    other_provider = one(owner, "select provider_id from appointments where id = %s", other)
    become(owner, patients.PROBE_PROVIDER_SUBJECT)
    insert = "insert into soap_notes (appointment_id, patient_id, provider_id) values (%s, %s, %s) returning id"
    note = one(owner, insert, patients.PROBE_APPOINTMENT, patients.PROBE_PATIENT, patients.PROBE_PROVIDER)
    with pytest.raises(psycopg.errors.ForeignKeyViolation), owner.transaction():  # another patient than the appointment's
        owner.execute(insert.encode(), [patients.PROBE_APPOINTMENT, other_patient, patients.PROBE_PROVIDER])
    refused(owner, insert, other, other_patient, other_provider)
    assert changed(owner, "insert into soap_plan_medication (soap_note_id, name) values (%s, 'Zinc')", note) == 1
    refused(owner, "insert into soap_plan_medication (soap_note_id, name) values (%s, 'Zinc')", other_note)
    refused(owner, "insert into soap_plan_medication (soap_note_id, name) values (%s, 'Zinc')", patients.PROBE_NOTE)  # signed
    refused(owner, "update soap_notes set provider_id = %s where id = %s", patients.PROBE_PATIENT, note)
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState), owner.transaction():
        owner.execute("select merge_soap_into_cumulative_record(%s)", [note])
    assert changed(owner, "update soap_notes set status = 'signed', signed_at = now() where id = %s", note) == 1
    assert changed(owner, "update soap_notes set summary = 'later' where id = %s", note) == 0
    record = one(owner, "select merge_soap_into_cumulative_record(%s)", note)
    assert [entry["name"] for entry in record["medications"] if entry["soap_note_id"] == str(note)] == ["Zinc"]
    refused(owner, "select merge_soap_into_cumulative_record(%s)", other_note)
    refused(owner, "select merge_soap_into_cumulative_record(gen_random_uuid())")
    refused(owner, "update appointments set patient_id = %s where id = %s", other_patient, patients.PROBE_APPOINTMENT)
    be_ourselves(owner)
    stamped = "select medical_record_last_soap_note_id from patient_profiles where user_id = %s"
    assert one(owner, stamped, patients.PROBE_PATIENT) == note


def test_anon_may_not_call_the_merge(owner: psycopg.Connection[Any]) -> None:
    become(owner, "", role="anon")
    refused(owner, "select merge_soap_into_cumulative_record(%s)", patients.PROBE_NOTE)


def test_one_note_that_names_a_thing_twice_always_gives_the_same_record(owner: psycopg.Connection[Any]) -> None:
    owner.execute(
        "insert into soap_plan_medication (soap_note_id, name, dose) values (%s, 'Zinc', '1 mg'), (%s, 'zinc', '2 mg')",
        [patients.PROBE_NOTE, patients.PROBE_NOTE],
    )
    records = [one(owner, "select merge_soap_into_cumulative_record(%s)", patients.PROBE_NOTE) for _ in range(3)]
    assert records[0] == records[1] == records[2]
    assert len([entry for entry in records[0]["medications"] if entry["name"].lower() == "zinc"]) == 1


def test_the_merge_keeps_what_is_newer_and_mends_what_is_malformed(owner: psycopg.Connection[Any]) -> None:
    record = {
        "conditions": "not an array",
        "medications": [{"name": "PARACETAMOL", "dose": "newer", "recorded_at": "2999-01-01T00:00:00Z"}, "no object", {"dose": "no name"}],
        "allergies": [{"name": "Egg", "recorded_at": "no time"}],
        "kept": 1,
    }
    owner.execute("insert into soap_plan_medication (soap_note_id, name, dose) values (%s, 'paracetamol', 'older')", [patients.PROBE_NOTE])
    owner.execute(
        "update patient_profiles set cumulative_medical_record = %s where user_id = %s", [json.dumps(record), patients.PROBE_PATIENT]
    )
    merged = one(owner, "select merge_soap_into_cumulative_record(%s)", patients.PROBE_NOTE)
    assert merged["kept"] == 1
    assert [entry["dose"] for entry in merged["medications"] if entry.get("name", "").lower() == "paracetamol"] == ["newer"]
    assert {"dose": "no name"} in merged["medications"]
    assert {"name": "Egg", "recorded_at": "no time"} in merged["allergies"]
    assert len(merged["conditions"]) >= 1
    assert all(isinstance(entry, dict) for section in ("conditions", "medications", "allergies") for entry in merged[section])


def test_the_merge_says_what_is_missing(owner: psycopg.Connection[Any]) -> None:
    with pytest.raises(psycopg.errors.NoDataFound, match="no such SOAP note"):
        owner.execute("select merge_soap_into_cumulative_record(gen_random_uuid())")


# The guide's test records


def test_test_records_are_inserted_once_and_deleted_in_the_order_of_the_guide(owner: psycopg.Connection[Any]) -> None:
    names = tables(owner)
    before = counts(owner, names)
    for table, key, values in GUIDE_CLEANUP:
        assert one(owner, f"select count(*) from {table} where {key} = any (%s::uuid[])", values) == 0
    database.insert_test_records(owner)
    once = counts(owner, names)
    database.insert_test_records(owner)
    assert counts(owner, names) == once
    assert sum(once.values()) - sum(before.values()) > 10
    record = one(owner, "select cumulative_medical_record from patient_profiles where user_id = '805148ca-76b5-48b2-88e7-0ebfd13bc580'")
    assert {entry["name"] for entry in record["conditions"]} == {"Migraine", "Essential hypertension"}
    for table, key, values in GUIDE_CLEANUP:
        assert changed(owner, f"delete from {table} where {key} = any (%s::uuid[])", values) == len(values)
    assert counts(owner, names) == before


# It comes back


def test_reset_brings_everything_back_quickly(cluster: Cluster) -> None:
    with psycopg.connect(cluster.dsn("postgres"), autocommit=True) as open_session:
        open_session.execute("drop table soap_plan_medication")
        open_session.execute("delete from video_call_sessions")
        started = time.perf_counter()
        database.reset(cluster)
        seconds = time.perf_counter() - started
        with pytest.raises(psycopg.OperationalError):
            open_session.execute("select 1")
    with psycopg.connect(cluster.dsn("postgres")) as connection:
        assert one(connection, "select count(*) from soap_plan_medication") > 1000
        assert one(connection, "select count(*) from video_call_sessions") > 1000
        assert one(connection, "select xact_commit from pg_stat_database where datname = 'postgres'") < 50
    assert seconds < 10  # usually 0.3 s; machines that run tests are busy


def test_building_again_does_nothing_unless_something_changed(cluster: Cluster) -> None:
    with psycopg.connect(cluster.dsn("postgres"), autocommit=True) as connection:
        connection.execute("create table public.mine (id integer primary key)")
    assert not database.build(cluster)
    with psycopg.connect(cluster.dsn("postgres")) as connection:
        assert "mine" in tables(connection)
    # A reset that was killed in its last steps left no `postgres` behind, or one the server gave up.
    for leave in ("drop database postgres with (force)", "update pg_database set datconnlimit = -2 where datname = 'postgres'"):
        with psycopg.connect(cluster.dsn(SUPERUSER, "template1"), autocommit=True) as connection:
            connection.execute(leave.encode())
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(cluster.dsn("postgres"))
        assert not database.build(cluster)
        with psycopg.connect(cluster.dsn("postgres")) as connection:
            assert "mine" not in tables(connection)
    # A build that was killed before it was complete, or one from other files, is replaced as a whole.
    assert database.build(cluster, seed=1)
    with psycopg.connect(cluster.dsn("opsnb_reader")) as connection:
        assert one(connection, "select count(*) from users") == patients.PATIENTS + patients.PROVIDERS + 2
