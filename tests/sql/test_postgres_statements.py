"""Every statement of opsnb/sql/postgres on a real server: its header is true, its parameters are honoured, it reads only."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from opsnb.local.cluster import Cluster

FOLDER = resources.files("opsnb") / "sql" / "postgres"
NONE_HERE = {"enums", *(f"catalogue_{name}" for name in ("defaults", "published", "rules", "triggers", "types"))}
"""Of what these tell, the schema of this test has none."""
STATEMENTS = sorted(entry.name.removesuffix(".sql") for entry in FOLDER.iterdir() if entry.name.endswith(".sql"))
SCHEMAS = ["clinic"]
API_ROLES = ["anon", "authenticated"]

PARAMS: dict[str, dict[str, Any]] = {
    "server": {},
    "login_roles": {},
    "rewind_columns": {"schema": "clinic", "name": "notes"},
    "rewind_key": {"schema": "clinic", "name": "notes"},
    "rewind_order": {},
    "rewind_triggers": {"schema": "clinic", "name": "notes"},
    "snapshot_moment": {},
    "snapshot_tables": {"schemas": SCHEMAS},
    "relations": {"schemas": SCHEMAS},
    "columns": {"schemas": SCHEMAS},
    "routines": {"schemas": SCHEMAS},
    "schema_errors": {"schemas": SCHEMAS},
    "constraints": {"schemas": SCHEMAS},
    "indexes": {"schemas": SCHEMAS},
    "migrations": {},
    "bloat": {"schemas": SCHEMAS},
    "counters": {},
    "vacuum_state": {"schemas": SCHEMAS},
    "transaction_ids": {},
    "schema_sequences": {"schemas": SCHEMAS},
    "bodies_routines": {"schemas": SCHEMAS},
    "bodies_views": {"schemas": SCHEMAS},
    "bodies_relations": {"names": ["notes"], "oids": [1259]},
    "bodies_functions": {"names": ["merge", "lower"]},
    "bodies_types": {"names": ["text", "notes"]},
    "bodies_paths": {},
    "bodies_checker": {},
    "enums": {"schemas": SCHEMAS},
    "own_schemas": {"platform": "^(auth|storage)$"},
    **{f"catalogue_{name}": {} for name in ("buckets", "extensions", "publications", "roles", "server")},
    **{
        f"catalogue_{name}": {"schemas": SCHEMAS}
        for name in ("constraints", "defaults", "functions", "indexes", "published", "rules", "sequences", "triggers", "types")
    },
    "catalogue_columns": {"namespaces": [2200]},
    "catalogue_event_triggers": {"platform": "^(auth|storage)$"},
    "reader": {"api_roles": ["anon", "authenticated"]},
    "catalogue_policies": {"schemas": SCHEMAS, "guarded": ["storage.objects"]},
    "catalogue_relations": {"schemas": SCHEMAS, "guarded": ["storage.objects"]},
    "catalogue_schemas": {"schemas": SCHEMAS, "platform": "^(auth|storage)$"},
    "policies": {"schemas": SCHEMAS, "api_roles": API_ROLES},
    "exposure": {"schemas": SCHEMAS, "api_roles": API_ROLES},
    **{f"lint_{name}": {"schemas": SCHEMAS, "api_roles": API_ROLES} for name in ("relations", "columns", "routines")},
    "lint_published": {"schemas": SCHEMAS},
    "database_size": {},
    "table_sizes": {"schemas": SCHEMAS},
    "activity": {},
    "connections": {},
    "response_time": {},
    "record_recent": {
        "table": "clinic.profiles", "record_column": "record", "updated_at_column": "updated_at",
        "array_keys": ["conditions", "medications"], "within_s": 3600.0, "max_records": 5,
    },
    "required_nulls": {"tables": ["clinic.profiles", "clinic.profiles"], "columns": ["user_id", "note_id"]},
    "record_updates": {
        "record_table": "clinic.profiles", "record_patient_column": "user_id", "updated_at_column": "updated_at",
        "note_table": "clinic.notes", "note_patient_column": "patient_id", "signed_at_column": "signed_at",
        "within_s": 3600.0, "grace_s": 60.0,
    },
    "cleanup_remaining": {
        "tables": ["clinic.notes", "clinic.notes", "clinic.profiles"], "keys": ["id", "id", "user_id"], "values": ["1", "99", "1"],
    },
    "row_counts": {"tables": ["clinic.notes", "clinic.profiles"]},
}  # fmt: skip

SCHEMA = """
create role anon nologin; create role authenticated nologin; create role staff nologin; grant authenticated to staff;
create role keeper nologin bypassrls;
create role reader login; grant pg_monitor, pg_read_all_data to reader; alter role reader bypassrls;
create schema clinic; grant usage on schema clinic to anon, authenticated;
create table clinic.profiles (user_id integer primary key, record jsonb, updated_at timestamptz, note_id integer);
create table clinic.notes (id integer primary key, patient_id integer not null, signed_at timestamptz, body text);
create table clinic."Odd ""name" (id integer);
create table clinic.hidden (id integer primary key);
create view clinic.open_view as select user_id from clinic.profiles;
create view clinic.safe_view with (security_invoker = on) as select user_id from clinic.profiles;
create index odd_index on clinic.notes (patient_id);
create sequence clinic.tickets as integer;
alter table clinic.profiles enable row level security;
grant all on clinic.profiles to authenticated; grant select (id) on clinic.notes to anon;
grant select on clinic.open_view, clinic.safe_view to anon;
create publication live for table clinic.profiles;
create policy own on clinic.profiles for select to authenticated using (user_id = 1);
create policy everyone on clinic.profiles using (true) with check (user_id is not null);
create function clinic.merge(p_note integer, p_force boolean default false) returns jsonb language sql stable as 'select ''{}''::jsonb';
create function clinic.open_door() returns void language sql security definer as 'select';
create function clinic.closed_door() returns void language sql security definer set search_path = '' as 'select';
create function clinic.fire() returns trigger language plpgsql security definer as 'begin return new; end';
alter function clinic.open_door() owner to keeper;
revoke execute on function clinic.closed_door() from public;
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of our own; the dsn of its superuser."""
    cluster = Cluster(tmp_path_factory.mktemp("statements") / "pg")
    cluster.initdb()
    cluster.start()
    try:
        with psycopg.connect(cluster.dsn("supabase_admin"), autocommit=True) as connection:
            connection.execute("create database statements")
        yield cluster.dsn("supabase_admin")
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def built(server: str) -> Iterator[psycopg.Connection[Any]]:
    """The superuser's connection to a database with the schema above."""
    with psycopg.connect(server, dbname="statements", autocommit=True) as connection:
        connection.execute(SCHEMA)
        yield connection


@pytest.fixture
def admin(built: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    """The superuser inside a transaction that is rolled back."""
    with built.transaction(force_rollback=True):
        yield built


def statement(name: str) -> str:
    return (FOLDER / f"{name}.sql").read_text(encoding="utf-8")


def ask(connection: psycopg.Connection[Any], name: str, **changes: Any) -> list[dict[str, Any]]:
    """Runs a statement as the plain reading role would."""
    connection.execute("set local role reader")
    try:
        with connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(statement(name), {**PARAMS[name], **changes} or None).fetchall()  # type: ignore[arg-type]
    finally:
        if connection.info.transaction_status != psycopg.pq.TransactionStatus.INERROR:
            connection.execute("reset role")


def by(rows: list[dict[str, Any]], *keys: str) -> dict[Any, dict[str, Any]]:
    return {(tuple(row[key] for key in keys) if len(keys) > 1 else row[keys[0]]): row for row in rows}


def test_every_statement_is_tested() -> None:
    """A new file cannot be forgotten."""
    assert set(STATEMENTS) == set(PARAMS)


@pytest.mark.parametrize("name", STATEMENTS)
def test_header_is_true(admin: psycopg.Connection[Any], name: str) -> None:
    """Columns, types and parameters are those of the header; it runs in a read-only transaction as the reading role."""
    if name == "catalogue_buckets":
        pytest.skip("a plain server has no storage; the drift of buckets is tested with it")
    lines = statement(name).splitlines()
    assert lines[0].startswith("-- ")
    assert re.fullmatch(r"-- .+", lines[0])
    keys = [line.split(":")[0].removeprefix("-- ") for line in lines[1:4]]
    assert keys == ["columns", "params", "needs"]
    header = {line.split(":")[0].removeprefix("-- "): line.split(":", 1)[1].strip() for line in lines[1:4]}
    declared = [re.fullmatch(r"(\w+) ([\w\[\]]+)( \(\w+\))?", part.strip()) for part in header["columns"].split(" | ")]
    assert all(declared), header["columns"]
    params = {} if header["params"] == "none" else dict(part.strip().split(" ") for part in header["params"].split(" | "))
    assert params.keys() == PARAMS[name].keys()
    assert set(re.findall(r"%\((\w+)\)s", statement(name))) == params.keys()
    with admin.cursor() as cursor:
        cursor.execute("set local role reader")
        cursor.execute("set local transaction_read_only = on")
        cursor.execute("set local lock_timeout = '50ms'")
        cursor.execute(statement(name), PARAMS[name] or None)  # type: ignore[arg-type]
        assert cursor.description is not None
        actual = [(column.name, column.type_code, column.type_display) for column in cursor.description]
        assert [name for name, _, _ in actual] == [part[1] for part in declared if part]
        for (_, oid, display), part in zip(actual, declared, strict=True):
            assert part
            info = psycopg.adapters.types[part[2].removesuffix("[]")]
            assert oid == (info.array_oid if part[2].endswith("[]") else info.oid), f"{part[1]} is {display}"


@pytest.mark.parametrize("name", STATEMENTS)
def test_order_is_total(name: str) -> None:
    """Every statement that can answer several rows says their order."""
    one_row = {"server", "counters", "snapshot_moment", "database_size", "response_time", "record_updates"}
    assert ("order by" in statement(name)) or name in one_row


@pytest.mark.parametrize("name", [name for name in STATEMENTS if "schemas" in PARAMS[name] and name not in NONE_HERE])
def test_schemas_are_honoured(admin: psycopg.Connection[Any], name: str) -> None:
    """Another schema's objects are not in the answer."""
    if name == "schema_errors":
        assert ask(admin, name), "the schema holds a table without a primary key"
    assert ask(admin, name)
    assert ask(admin, name, schemas=["elsewhere"]) == []


def test_relations(admin: psycopg.Connection[Any]) -> None:
    """Kinds, row level security, policies and primary keys are told."""
    rows = by(ask(admin, "relations"), "name")
    assert rows["profiles"]["kind"] == "table"
    assert rows["profiles"]["rls"]
    assert rows["profiles"]["policies"] == 2
    assert rows["open_view"]["kind"] == "view"
    assert not rows['Odd "name']["primary_key"]


def test_columns_leave_out_dropped_ones(admin: psycopg.Connection[Any]) -> None:
    """A dropped column is gone, types are written in full."""
    admin.execute("alter table clinic.notes drop column body")
    names = [row["name"] for row in ask(admin, "columns") if row["table_name"] == "notes"]
    assert names == ["id", "patient_id", "signed_at"]
    assert by(ask(admin, "columns"), "table_name", "name")["profiles", "updated_at"]["type"] == "timestamp with time zone"


def test_routines(admin: psycopg.Connection[Any]) -> None:
    """A signature has names, types and what it returns."""
    merge = by(ask(admin, "routines"), "name")["merge"]
    assert merge["arguments"] == "p_note integer, p_force boolean"
    assert merge["argument_types"] == "integer, boolean"
    assert merge["returns"] == "jsonb"
    assert by(ask(admin, "routines"), "name")["closed_door"]["search_path_fixed"]


def test_schema_errors_appear_and_go(admin: psycopg.Connection[Any]) -> None:
    """Each kind of defect is seen when it is made and gone when it is mended."""

    def kinds() -> set[str]:
        return {row["kind"] for row in ask(admin, "schema_errors")}

    assert kinds() == {"no primary key"}
    admin.execute("alter table clinic.notes add constraint positive check (patient_id > 0) not valid")
    assert "constraint not validated" in kinds()
    admin.execute("alter table clinic.notes validate constraint positive")
    assert "constraint not validated" not in kinds()
    admin.execute("create trigger fire before insert on clinic.notes for each row execute function clinic.fire()")
    admin.execute("alter table clinic.notes disable trigger fire")
    assert "trigger disabled" in kinds()
    admin.execute("alter table clinic.notes enable trigger fire")
    assert "trigger disabled" not in kinds()
    admin.execute("update pg_index set indisvalid = false where indexrelid = 'clinic.odd_index'::regclass")
    assert "index invalid" in kinds()
    if admin.info.server_version >= 180000:
        admin.execute("alter table clinic.notes add constraint loose check (id > 0) not enforced")
        assert "constraint not enforced" in kinds()


def test_disabled_foreign_key_is_named(admin: psycopg.Connection[Any]) -> None:
    """A foreign key whose triggers were switched off is called by its name."""
    admin.execute("alter table clinic.notes add constraint notes_patient foreign key (patient_id) references clinic.profiles")
    admin.execute("alter table clinic.notes disable trigger all")
    assert "foreign key notes_patient" in {row["object"] for row in ask(admin, "schema_errors")}


def test_migrations_without_history(admin: psycopg.Connection[Any]) -> None:
    """No history table is an empty history; a history is read with its odd names."""
    assert ask(admin, "migrations") == []
    admin.execute("create schema supabase_migrations")
    admin.execute("create table supabase_migrations.schema_migrations (version text primary key, statements text[], name text)")
    admin.execute(
        "insert into supabase_migrations.schema_migrations values ('20260102', null, 'it''s \"odd\" \\ &'), ('20260101', null, null)"
    )
    rows = [(row["version"], row["name"], row["statements_hash"]) for row in ask(admin, "migrations")]
    assert rows == [("20260101", "", None), ("20260102", 'it\'s "odd" \\ &', None)]


def test_policies_know_whom_they_apply_to(admin: psycopg.Connection[Any]) -> None:
    """Public reaches every API role; membership counts."""
    rows = by(ask(admin, "policies", api_roles=["anon", "authenticated", "staff"]), "name")
    assert rows["own"]["api_roles"] == ["authenticated", "staff"]
    assert rows["everyone"]["api_roles"] == ["anon", "authenticated", "staff"]
    assert rows["everyone"]["roles"] == "public"
    assert rows["everyone"]["command"] == "all"
    assert rows["everyone"]["using_expression"] == "true"
    assert rows["own"]["check_expression"] is None


def test_exposure(admin: psycopg.Connection[Any]) -> None:
    """Only what a role can reach is exposed; a column privilege counts; a view says whose rights it uses."""
    rows = by(ask(admin, "exposure"), "name", "role")
    assert "TRUNCATE" in rows["profiles", "authenticated"]["privileges"]
    assert rows["notes", "anon"]["privileges"] == ["SELECT"]
    assert rows["open_view", "anon"]["owners_rights"]
    assert not rows["safe_view", "anon"]["owners_rights"]
    assert not any(name == "hidden" for name, _ in rows)
    admin.execute("revoke usage on schema clinic from anon")
    assert {role for _, role in by(ask(admin, "exposure"), "name", "role")} == {"authenticated"}


def test_lint_routines(admin: psycopg.Connection[Any]) -> None:
    """Privilege decides who may execute; nobody calls a trigger's function."""
    rows = by(ask(admin, "lint_routines"), "name")
    assert set(rows) == {"merge", "open_door", "closed_door", "fire"}
    assert rows["open_door"]["executable_by"] == ["anon", "authenticated"]
    assert rows["open_door"]["owner_ignores_rls"]
    assert rows["closed_door"]["executable_by"] == []
    assert rows["fire"]["executable_by"] == []
    assert rows["closed_door"]["search_path_fixed"]
    assert not rows["open_door"]["search_path_fixed"]


def test_lint_columns(admin: psycopg.Connection[Any]) -> None:
    """What a role may set is told column by column."""
    rows = by(ask(admin, "lint_columns"), "table_name", "name")
    assert rows["profiles", "record"]["updatable_by"] == ["authenticated"]
    assert rows["notes", "body"]["updatable_by"] == []
    assert rows["profiles", "user_id"]["is_key"]


def test_lint_relations(admin: psycopg.Connection[Any]) -> None:
    """A view tells with whose rights it reads, and what it asks."""
    rows = by(ask(admin, "lint_relations"), "name")
    assert rows["open_view"]["owners_rights"]
    assert not rows["safe_view"]["owners_rights"]
    assert "clinic.profiles" in rows["open_view"]["definition"]
    assert rows["notes"]["readable_by"] == ["anon"]
    assert rows["hidden"]["api_roles"] == []


def test_activity_shows_a_blocked_session(built: psycopg.Connection[Any], server: str) -> None:
    """A session that waits for a lock names the one that holds it; no text of a statement is shown."""
    with psycopg.connect(server, dbname="statements") as holder, psycopg.connect(server, dbname="statements", autocommit=True) as waiter:
        holder.execute("lock table clinic.hidden")
        waiter.pgconn.send_query(b"select 'Jane Doe', * from clinic.hidden")
        for _ in range(200):
            with built.transaction():
                rows = by(ask(built, "activity"), "pid")
            if rows[waiter.info.backend_pid]["blocked_by"]:
                break
        assert rows[waiter.info.backend_pid]["blocked_by"] == [holder.info.backend_pid]
        assert rows[waiter.info.backend_pid]["statement"] == "select"
        assert rows[holder.info.backend_pid]["state"] == "idle in transaction"
        assert rows[holder.info.backend_pid]["query_s"] is None
        assert [row["pid"] for row in rows.values() if row["own"]] == [built.info.backend_pid]
        assert "Jane" not in json.dumps(list(rows.values()))
        holder.rollback()
        while waiter.pgconn.get_result() is not None:
            pass  # the lock is free: the statement ends


def test_connections(admin: psycopg.Connection[Any]) -> None:
    """Sessions are counted and the limit is the server's."""
    rows = ask(admin, "connections")
    assert sum(row["sessions"] for row in rows) >= 1
    assert {row["max_connections"] for row in rows} == {int(admin.execute("show max_connections").fetchone()[0])}  # type: ignore[index]


def records(connection: psycopg.Connection[Any], *values: str | None, age: timedelta = timedelta(minutes=1), note: int | None = 1) -> None:
    connection.execute("delete from clinic.profiles")
    for number, value in enumerate(values):
        connection.execute(
            "insert into clinic.profiles values (%s, %s, %s, %s)",
            (number, value, datetime.now(UTC) - age - timedelta(seconds=number), note),
        )


def test_record_recent_guards_and_bounds(admin: psycopg.Connection[Any]) -> None:
    """Any JSON is described without an error, newest first, at most max_records, and no value of it comes back."""
    records(admin, '{"conditions": [1, 2], "medications": "none"}', "[1]", '"Jane Doe"', None, "null", '{"conditions": []}')
    rows = ask(admin, "record_recent", max_records=10)
    assert [row["number"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row["kind"] for row in rows] == ["object", "array", "string", None, "null", "object"]
    assert rows[0]["counts"] == {"conditions": 2, "medications": None}
    assert rows[0]["keys"] == 2
    assert rows[0]["updated_s_ago"] == pytest.approx(60, abs=30)
    assert "Jane" not in str(rows)
    assert len(ask(admin, "record_recent", max_records=2)) == 2
    assert ask(admin, "record_recent", within_s=10.0) == []


def test_required_nulls(admin: psycopg.Connection[Any]) -> None:
    """Nulls are counted, a column declared not null is not read, a missing column has no number."""
    records(admin, "{}", "{}", note=None)
    rows = by(ask(admin, "required_nulls", tables=["clinic.profiles"] * 3, columns=["user_id", "note_id", "nothing"]), "column_name")
    assert (rows["user_id"]["not_null"], rows["user_id"]["nulls"]) == (True, 0)
    assert rows["note_id"]["nulls"] == 2
    assert rows["nothing"]["nulls"] is None


def test_record_updates(admin: psycopg.Connection[Any]) -> None:
    """A note is merged, waiting or not merged; a patient without a record is told apart."""
    records(admin, "{}", age=timedelta(minutes=10))
    insert = "insert into clinic.notes (id, patient_id, signed_at) values (%s, %s, now() - make_interval(secs => %s))"
    for number, (patient, age) in enumerate([(0, 900), (0, 300), (0, 30), (7, 120), (0, 7200)]):
        admin.execute(insert, (number, patient, age))
    (row,) = ask(admin, "record_updates")
    assert {key: row[key] for key in ("notes", "merged", "waiting", "not_merged", "without_record")} == {
        "notes": 4, "merged": 1, "waiting": 1, "not_merged": 2, "without_record": 1,
    }  # fmt: skip
    assert row["oldest_not_merged_s"] == pytest.approx(300, abs=30)


def test_cleanup_remaining(admin: psycopg.Connection[Any]) -> None:
    """Rows are counted by table and key in the order given; odd names and values are only names and values."""
    admin.execute("insert into clinic.notes (id, patient_id) values (1, 1), (2, 1)")
    admin.execute("""alter table clinic."Odd ""name" add column "the key" text""")
    admin.execute("""insert into clinic."Odd ""name" values (1, 'it''s, "odd" \\ {}'), (2, null)""")
    rows = ask(
        admin, "cleanup_remaining",
        tables=["clinic.profiles", "clinic.notes", "clinic.notes", 'clinic."Odd ""name"', "clinic.notes"],
        keys=["user_id", "id", "id", "the key", "patient_id"],
        values=["5", "1", "99", 'it\'s, "odd" \\ {}', "1"],
    )  # fmt: skip
    assert [(row["key"], row["listed"], row["remaining"]) for row in rows] == [
        ("user_id", 1, 0), ("id", 2, 1), ("the key", 1, 1), ("patient_id", 1, 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "change", [{"tables": ["clinic.absent"] * 3}, {"keys": ["absent"] * 3}, {"tables": ["clinic.notes; drop table clinic.notes"] * 3}]
)
def test_cleanup_remaining_never_answers_for_what_is_not_there(admin: psycopg.Connection[Any], change: dict[str, Any]) -> None:
    """A table or key that does not exist is an error, not zero rows."""
    with pytest.raises(psycopg.Error), admin.transaction():
        ask(admin, "cleanup_remaining", **change)


def test_row_counts(admin: psycopg.Connection[Any]) -> None:
    """Rows are counted, not estimated."""
    admin.execute("insert into clinic.notes (id, patient_id) select n, 1 from generate_series(1, 7) n")
    assert by(ask(admin, "row_counts"), "table_name")["clinic.notes"]["counted"] == 7


def test_statements_cannot_write_through_their_text(admin: psycopg.Connection[Any]) -> None:
    """ts_stat runs its query read-only even in a transaction that may write."""
    with pytest.raises(psycopg.Error), admin.transaction():
        admin.execute(
            "select * from ts_stat($$with gone as (delete from clinic.notes returning id)"
            " select array_to_tsvector(array[id::text]) from gone$$)"
        )


def test_headers_name_no_machine() -> None:
    """A statement holds no name of a release."""
    for name in STATEMENTS:
        assert "patient_profiles" not in statement(name)
        assert Path(name).name == name


def test_sequences_are_read_without_drawing_from_them(admin: psycopg.Connection[Any]) -> None:
    """What is used is the last value handed out; nothing before the first; null where the role may not read."""
    assert ask(admin, "schema_sequences")[0]["used"] == 0
    admin.execute("select nextval('clinic.tickets'), nextval('clinic.tickets')")
    (row,) = ask(admin, "schema_sequences")
    assert (row["name"], row["used"], row["capacity"], row["feeds"]) == ("tickets", 2, 2147483647, "no column")
    admin.execute("alter role reader nobypassrls; revoke pg_read_all_data from reader; grant usage on schema clinic to reader")
    assert ask(admin, "schema_sequences")[0]["used"] is None


def test_transaction_ids(admin: psycopg.Connection[Any]) -> None:
    """Every database, both kinds."""
    rows = by(ask(admin, "transaction_ids"), "kind", "database")
    assert rows["transaction ids", "statements"]["age"] > 0
    assert rows["transaction ids", "statements"]["freeze_at"] == 200_000_000
    assert {kind for kind, _ in rows} == {"transaction ids", "multixact ids"}


def test_bodies_are_read_with_what_they_depend_on(admin: psycopg.Connection[Any]) -> None:
    """Signature, path, trigger tables of functions; relations and functions by name in any schema."""
    admin.execute("create trigger fire before insert on clinic.notes for each row execute function clinic.fire()")
    routines = by(ask(admin, "bodies_routines"), "name")
    assert routines["merge"]["argument_names"] == ["p_note", "p_force"]
    assert routines["merge"]["argument_types"] == ["integer", "boolean"]
    assert routines["fire"]["trigger_kind"] == "trigger"
    notes = by(ask(admin, "bodies_relations"), "schema", "name")["clinic", "notes"]
    assert routines["fire"]["trigger_tables"] == [notes["oid"]]
    assert notes["columns"] == ["id", "patient_id", "signed_at", "body"]
    assert (routines["closed_door"]["search_path"], routines["merge"]["search_path"]) == ('""', None)
    merge = by(ask(admin, "bodies_functions"), "name")["merge"]
    assert (merge["arguments"], merge["defaults"], merge["takes_row"]) == (2, 1, False)
    assert by(ask(admin, "bodies_types"), "schema", "name")["clinic", "notes"]["relation"] == notes["oid"]
    assert by(ask(admin, "bodies_paths"), "schema")["clinic"]["usual"] is False
    admin.execute("alter database statements set search_path = clinic, public")
    assert by(ask(admin, "bodies_paths"), "schema")["clinic"]["usual"] is True
    assert by(ask(admin, "bodies_views"), "name")["open_view"]["populated"]
