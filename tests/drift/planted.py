"""A schema with something of every kind, and changes to plant in it: what each is called when it is found."""

from __future__ import annotations

from typing import NamedTuple

ROLES = """
create role clerk nologin; create role naked login; create role "odd, role" nologin;
"""

RICH = """
create schema clinic; grant usage on schema clinic to anon, authenticated;
create schema private; comment on schema private is 'helpers';
create policy "own files" on storage.objects for select to authenticated using (owner = auth.uid());
insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types)
    values ('scans', 'scans', false, 1000000, '{image/png}'), ('avatars', 'avatars', true, null, null);
create table auth.users (id uuid primary key, email text); alter table auth.users enable row level security;

create type clinic.mood as enum ('well', 'so, so', 'ill');
create domain clinic.grade as integer default 1 constraint in_range check (value between 1 and 6);
create type clinic.place as (street text, zip varchar(10));
create type clinic.span as range (subtype = numeric);
create sequence clinic.numbers start 100 increment 5;

create table clinic.people (
    id uuid primary key default gen_random_uuid(),
    subject text not null unique,
    name text,
    email text constraint looks_right check (email like '%@%'),
    role text not null default 'patient',
    mood clinic.mood default 'well',
    grade clinic.grade,
    born date default '2000-02-03',
    since timestamptz default '2020-01-02 03:04:05+00',
    address clinic.place,
    doc jsonb default '{"a": [1]}',
    full_name text generated always as (coalesce(name, '') || ' <' || coalesce(email, '') || '>') stored
);
alter table clinic.people enable row level security;
create table clinic.notes (
    id bigint generated always as identity primary key,
    number integer default nextval('clinic.numbers'),
    serial_number serial,
    patient_id uuid not null references clinic.people (id) on delete cascade,
    author_id uuid references clinic.people (id) deferrable initially deferred,
    body text collate "C",
    amount numeric(10, 2) default 0,
    signed_at timestamptz
) with (fillfactor = 90);
alter table clinic.notes enable row level security; alter table clinic.notes force row level security;
alter table clinic.notes add constraint signed_later check (signed_at > '2000-01-01') not valid;
create table clinic."Odd ""table" ("Odd, column" text, "a.b" integer);
create table clinic.log (at timestamptz not null, what text, patient_id uuid) partition by range (at);
create table clinic.log_2025 partition of clinic.log for values from ('2025-01-01') to ('2026-01-01');
create table clinic.log_2026 partition of clinic.log for values from ('2026-01-01') to ('2027-01-01');
create index log_at on clinic.log (at);
create table clinic.base (a integer, b text); create table clinic.child (c integer) inherits (clinic.base);
create unlogged table clinic.scratch (a integer, price numeric(10, 2), words text collate "C");
create schema attic; create table attic.old (id integer primary key, at date); create view attic.older as select at from attic.old;
insert into pg_catalog.pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
    values (99999, 'ghost', 10, 'pg_catalog'::regnamespace, true, '1.3');
create index notes_patient on clinic.notes (patient_id) where signed_at is not null;
create unique index people_email on clinic.people (lower(email));
alter table clinic.notes replica identity full;

create function private.is_provider(who uuid default auth.uid()) returns boolean language sql stable security definer set search_path = ''
    as 'select exists (select from clinic.people where id = who and role = ''provider'')';
create function clinic.touch() returns trigger language plpgsql as 'begin return new; end';
create function clinic.welcome() returns trigger language plpgsql security definer set search_path = '' as 'begin return new; end';
create function clinic.add(a integer, b integer default 1) returns integer language sql immutable strict parallel safe as 'select a + b';
create function clinic.add(a text, b text) returns text language sql immutable as 'select a || b';
create function clinic.modern(n integer) returns bigint language sql stable
    begin atomic select count(*) from clinic.notes where id > n; end;
create procedure clinic.tidy() language plpgsql set statement_timeout = '5s' set work_mem = '8MB' as 'begin null; end';
create aggregate clinic.total (integer) (sfunc = int4pl, stype = integer, initcond = '0');
revoke execute on function private.is_provider(uuid) from public; grant execute on function private.is_provider(uuid) to authenticated;

create trigger notes_touch before update on clinic.notes for each row
    when (old.body is distinct from new.body) execute function clinic.touch();
create trigger log_touch after insert on clinic.log for each row execute function clinic.touch();
create trigger on_user after insert on auth.users for each row execute function clinic.welcome();
create rule log_quiet as on delete to clinic."Odd ""table" do instead nothing;

create policy "own row" on clinic.people for select to authenticated using (id = auth.uid());
create policy "own change" on clinic.people for update to authenticated
    using (id = auth.uid()) with check (id = auth.uid() and role = 'patient');
create policy "providers read" on clinic.notes for select to authenticated, "odd, role" using (private.is_provider());
create policy "own notes" on clinic.notes to authenticated
    using (patient_id = (select auth.uid()) or exists (select from clinic.people p where p.id = notes.author_id and p.role = 'provider'));
create policy "never deleted" on clinic.notes as restrictive for delete to public using (false);

grant select, insert, update on clinic.people, clinic.notes to authenticated;
grant select (name, email) on clinic.people to anon;
grant all on all tables in schema clinic to service_role;
grant usage on sequence clinic.numbers to authenticated;
grant select on clinic."Odd ""table" to "odd, role" with grant option;
alter default privileges in schema clinic grant select on tables to clerk;

create view clinic.open_notes as
    select n.id, n.body, p.name from clinic.notes n join clinic.people p on p.id = n.patient_id where n.signed_at is not null;
create view clinic.names with (security_invoker = on) as select id, name from clinic.people where role = 'patient';
create view clinic.sums with (security_barrier) as
    select patient_id, count(*) as n from clinic.notes where amount > 1 group by patient_id having count(*) > 2;
create materialized view clinic.counts as select role, count(*) as n from clinic.people group by role;
create unique index counts_role on clinic.counts (role);
grant select on clinic.open_notes, clinic.names to authenticated;

create publication feed for table clinic.people (id, name), clinic.notes where (amount > 1) with (publish = 'insert, update');
create publication whole for tables in schema private;
create function private.watch() returns event_trigger language plpgsql as 'begin null; end';
create event trigger watch_tables on ddl_command_end when tag in ('CREATE TABLE', 'CREATE VIEW') execute function private.watch();
"""


class Planted(NamedTuple):
    """A change: its statements, and the differences they are found as: kind, object, change, what ('' for an object that came or went)."""

    name: str
    sql: str
    found: tuple[tuple[str, str, str, str], ...]
    severity: str = "error"


def one(name: str, sql: str, kind: str, object: str, change: str = "changed", what: str = "", *, severity: str = "error") -> Planted:
    return Planted(name, sql, ((kind, object, change, what),), severity)


W = "warning"
NOTES, PEOPLE = "clinic.notes", "clinic.people"
PLANTED = (
    # tables and columns
    one("schema added", "create schema lab", "schema", "lab", "added", severity=W),
    one("schema removed", "drop schema attic cascade", "schema", "attic", "removed"),
    one("schema grant", "grant create on schema clinic to anon", "schema", "clinic", what="grants to anon"),
    one("schema owner", "alter schema clinic owner to clerk", "schema", "clinic", what="owner"),
    one("table added, open", "create table clinic.leaky (a text); grant select on clinic.leaky to anon", "table", "clinic.leaky", "added"),
    one("table added, guarded",
        "create table clinic.safe (a text primary key); alter table clinic.safe enable row level security; create index on clinic.safe (a)",
        "table", "clinic.safe", "added", severity=W),
    one("table removed", "drop table clinic.child", "table", "clinic.child", "removed"),
    Planted("table renamed", "alter table clinic.scratch rename to scratched",
            (("table", "clinic.scratch", "removed", ""), ("table", "clinic.scratched", "added", ""))),
    one("table owner", "alter table clinic.people owner to clerk", "table", PEOPLE, what="owner"),
    one("row-level security off", "alter table clinic.people disable row level security", "table", PEOPLE, what="row-level security"),
    one("row-level security on", 'alter table clinic."Odd ""table" enable row level security', "table", 'clinic."Odd ""table"',
        what="row-level security"),
    one("no longer forced", "alter table clinic.notes no force row level security",
        "table", NOTES, what="row-level security for the owner"),
    one("row-level security of storage off", "alter table storage.objects disable row level security", "table", "storage.objects",
        what="row-level security"),
    one("table unlogged", "alter table clinic.child set unlogged", "table", "clinic.child", what="unlogged"),
    one("table options", "alter table clinic.notes set (autovacuum_enabled = false)", "table", NOTES, what="options", severity=W),
    one("replica identity", "alter table clinic.notes replica identity default", "table", NOTES, what="replica identity", severity=W),
    Planted("partition detached", "alter table clinic.log detach partition clinic.log_2025", (
        ("table", "clinic.log_2025", "changed", "partition of"), ("table", "clinic.log_2025", "changed", "bound"),
        ("trigger", "clinic.log_2025: log_touch", "removed", ""), ("index", "clinic.log_2025_at_idx", "added", ""))),
    one("table grant", "grant delete on clinic.people to anon", "table", PEOPLE, what="grants to anon"),
    one("table revoke", "revoke insert on clinic.people from authenticated", "table", PEOPLE, what="grants to authenticated"),
    one("grant option", "grant select on clinic.people to authenticated with grant option",
        "table", PEOPLE, what="grants to authenticated"),
    one("grant to everybody", "grant select on clinic.people to public", "table", PEOPLE, what="grants to public"),
    one("column added", "alter table clinic.people add column phone text", "column", "clinic.people.phone", "added", severity=W),
    one("column added, required", "alter table clinic.scratch add column needed text not null", "column", "clinic.scratch.needed", "added"),
    one("column removed", "alter table clinic.people drop column born", "column", "clinic.people.born", "removed"),
    one("column of a partitioned table", "alter table clinic.log add column who text", "column", "clinic.log.who", "added", severity=W),
    one("column type", "alter table clinic.notes alter column number type bigint", "column", "clinic.notes.number", what="type"),
    one("column precision", "alter table clinic.scratch alter column price type numeric(12, 2)",
        "column", "clinic.scratch.price", what="type"),
    one("column type in a table with odd names", 'alter table clinic."Odd ""table" alter column "a.b" type bigint',
        "column", 'clinic."Odd ""table"."a.b"', what="type"),
    one("default changed", "alter table clinic.people alter column role set default 'provider'",
        "column", "clinic.people.role", what="default"),
    one("default dropped", "alter table clinic.people alter column id drop default", "column", "clinic.people.id", what="default"),
    one("nullable", "alter table clinic.notes alter column patient_id drop not null", "column", "clinic.notes.patient_id", what="NOT NULL"),
    one("not nullable", "alter table clinic.people alter column name set not null", "column", "clinic.people.name", what="NOT NULL"),
    one("identity", "alter table clinic.notes alter column id set generated by default", "column", "clinic.notes.id", what="identity"),
    one("generated no more", "alter table clinic.people alter column full_name drop expression", "column", "clinic.people.full_name",
        what="generated"),
    one("collation", 'alter table clinic.scratch alter column words type text collate "POSIX"',
        "column", "clinic.scratch.words", what="collation"),
    one("column grant", "grant update (role) on clinic.people to anon", "column", "clinic.people.role", what="grants to anon"),
    one("column revoke", "revoke select (email) on clinic.people from anon", "column", "clinic.people.email", what="grants to anon"),
    # constraints and indexes
    one("constraint added", "alter table clinic.people add constraint named check (name <> '')",
        "constraint", "clinic.people: named", "added"),
    one("foreign key dropped", "alter table clinic.notes drop constraint notes_author_id_fkey", "constraint",
        "clinic.notes: notes_author_id_fkey", "removed"),
    one("unique dropped", "alter table clinic.people drop constraint people_subject_key", "constraint", "clinic.people: people_subject_key",
        "removed"),
    one("check changed",
        "alter table clinic.people drop constraint looks_right; "
        "alter table clinic.people add constraint looks_right check (email like '%')",
        "constraint", "clinic.people: looks_right", what="definition"),
    one("foreign key no longer cascades",
        "alter table clinic.notes drop constraint notes_patient_id_fkey; "
        "alter table clinic.notes add constraint notes_patient_id_fkey foreign key (patient_id) references clinic.people (id)",
        "constraint", "clinic.notes: notes_patient_id_fkey", what="definition"),
    one("not valid",
        "alter table clinic.people drop constraint looks_right; "
        "alter table clinic.people add constraint looks_right check (email like '%@%') not valid",
        "constraint", "clinic.people: looks_right", what="not valid"),
    one("not deferrable", "alter table clinic.notes alter constraint notes_author_id_fkey not deferrable", "constraint",
        "clinic.notes: notes_author_id_fkey", what="definition"),
    Planted("all triggers off", "alter table clinic.notes disable trigger all", (
        ("constraint", "clinic.notes: notes_author_id_fkey", "changed", "triggers switched off"),
        ("constraint", "clinic.notes: notes_patient_id_fkey", "changed", "triggers switched off"),
        ("trigger", "clinic.notes: notes_touch", "changed", "enabled"))),
    one("index added", "create index notes_number on clinic.notes (number)", "index", "clinic.notes_number", "added", severity=W),
    one("index dropped", "drop index clinic.notes_patient", "index", "clinic.notes_patient", "removed", severity=W),
    one("unique index dropped", "drop index clinic.people_email", "index", "clinic.people_email", "removed"),
    one("unique index no longer unique", "drop index clinic.people_email; create index people_email on clinic.people (lower(email))",
        "index", "clinic.people_email", what="definition"),
    one("index invalid", "update pg_catalog.pg_index set indisvalid = false where indexrelid = 'clinic.notes_patient'::regclass",
        "index", "clinic.notes_patient", what="invalid"),
    one("index of a partitioned table", "create index log_what on clinic.log (what)", "index", "clinic.log_what", "added", severity=W),
    # functions
    one("function added", "create function clinic.new() returns integer language sql as 'select 1'",
        "function", "clinic.new()", "added", severity=W),
    one("function added with its owner's rights",
        "create function clinic.new() returns integer language sql security definer as 'select 1'",
        "function", "clinic.new()", "added"),
    one("function removed", "drop function clinic.add(text, text)", "function", "clinic.add(text, text)", "removed"),
    one("body changed", "create or replace function clinic.add(a text, b text) returns text language sql immutable as 'select b || a'",
        "function", "clinic.add(text, text)", what="body (SHA-256)"),
    one("bound body changed",
        "create or replace function clinic.modern(n integer) returns bigint language sql stable "
        "begin atomic select count(*) from clinic.notes; end",
        "function", "clinic.modern(integer)", what="body (SHA-256)"),
    one("security definer", "alter function clinic.touch() security definer", "function", "clinic.touch()", what="security definer"),
    one("search_path gone", "alter function private.is_provider(uuid) reset search_path", "function", "private.is_provider(uuid)",
        what="search path"),
    one("search_path changed", "alter function private.is_provider(uuid) set search_path = clinic, public", "function",
        "private.is_provider(uuid)", what="search path"),
    one("settings of a procedure", "alter procedure clinic.tidy() set statement_timeout = '50s'",
        "procedure", "clinic.tidy()", what="settings"),
    one("volatility", "alter function clinic.add(text, text) volatile", "function", "clinic.add(text, text)", what="volatility"),
    one("strictness", "alter function clinic.add(integer, integer) called on null input",
        "function", "clinic.add(integer, integer)", what="strict"),
    one("leakproof", "alter function clinic.add(text, text) leakproof", "function", "clinic.add(text, text)", what="leakproof"),
    one("parallel", "alter function clinic.add(text, text) parallel safe",
        "function", "clinic.add(text, text)", what="parallel", severity=W),
    one("function owner", "alter function private.is_provider(uuid) owner to clerk", "function", "private.is_provider(uuid)", what="owner"),
    one("function grant", "grant execute on function private.is_provider(uuid) to anon", "function", "private.is_provider(uuid)",
        what="grants to anon"),
    one("function revoke", "revoke execute on function clinic.touch() from public", "function", "clinic.touch()", what="grants to public"),
    one("arguments", "create or replace function clinic.add(a integer, b integer default 2) returns integer language sql immutable strict "
        "parallel safe as 'select a + b'", "function", "clinic.add(integer, integer)", what="arguments"),
    one("aggregate",
        "drop aggregate clinic.total (integer); create aggregate clinic.total (integer) (sfunc = int4mi, stype = integer, initcond = '0')",
        "aggregate", "clinic.total(integer)", what="body (SHA-256)"),
    # triggers, rules, policies
    one("trigger added", "create trigger sly before insert on clinic.people for each row execute function clinic.touch()", "trigger",
        "clinic.people: sly", "added"),
    one("trigger removed", "drop trigger notes_touch on clinic.notes", "trigger", "clinic.notes: notes_touch", "removed"),
    one("trigger disabled", "alter table clinic.notes disable trigger notes_touch", "trigger", "clinic.notes: notes_touch", what="enabled"),
    one("trigger in one partition disabled", "alter table clinic.log_2025 disable trigger log_touch",
        "trigger", "clinic.log_2025: log_touch",
        what="enabled"),
    one("trigger changed",
        "create or replace trigger notes_touch before update on clinic.notes for each row execute function clinic.touch()",
        "trigger", "clinic.notes: notes_touch", what="definition"),
    one("trigger on the platform's table", "drop trigger on_user on auth.users", "trigger", "auth.users: on_user", "removed"),
    one("rule added", "create rule sly as on insert to clinic.scratch do instead nothing", "rule", "clinic.scratch: sly", "added"),
    one("policy added", "create policy sly on clinic.people for select to anon using (true)", "policy", "clinic.people: sly", "added"),
    one("policy removed", 'drop policy "never deleted" on clinic.notes', "policy", "clinic.notes: never deleted", "removed"),
    one("policy opened", 'alter policy "own notes" on clinic.notes using (patient_id = (select auth.uid()) or true)', "policy",
        "clinic.notes: own notes", what="using"),
    one("policy check", 'alter policy "own change" on clinic.people with check (id = auth.uid())', "policy", "clinic.people: own change",
        what="check"),
    one("policy roles", 'alter policy "own row" on clinic.people to authenticated, anon', "policy", "clinic.people: own row", what="roles"),
    one("policy command",
        'drop policy "own row" on clinic.people; create policy "own row" on clinic.people to authenticated using (id = auth.uid())',
        "policy", "clinic.people: own row", what="command"),
    one("policy permissive",
        'drop policy "never deleted" on clinic.notes; create policy "never deleted" on clinic.notes for delete using (false)',
        "policy", "clinic.notes: never deleted", what="restrictive"),
    one("policy of storage", 'alter policy "own files" on storage.objects using (true)',
        "policy", "storage.objects: own files", what="using"),
    # views, types, sequences
    one("view added", "create view clinic.all_notes as table clinic.notes; grant select on clinic.all_notes to anon",
        "view", "clinic.all_notes",
        "added"),
    one("view removed", "drop view clinic.sums", "view", "clinic.sums", "removed"),
    one("view changed", "create or replace view clinic.names with (security_invoker = on) as select id, name from clinic.people", "view",
        "clinic.names", what="definition"),
    one("view of its owner's rights", "alter view clinic.names reset (security_invoker)", "view", "clinic.names", what="options"),
    one("view barrier", "alter view clinic.sums set (security_barrier = false)", "view", "clinic.sums", what="options"),
    one("view grant", "grant select on clinic.sums to anon", "view", "clinic.sums", what="grants to anon"),
    one("materialised view", "drop materialized view clinic.counts; create materialized view clinic.counts as "
        "select role, count(id) as n from clinic.people group by role; create unique index counts_role on clinic.counts (role)",
        "materialised view", "clinic.counts", what="definition"),
    one("enum label added", "alter type clinic.mood add value 'better' before 'ill'", "enum", "clinic.mood", what="labels"),
    one("enum label renamed", "alter type clinic.mood rename value 'ill' to 'sick'", "enum", "clinic.mood", what="labels"),
    one("domain check", "alter domain clinic.grade drop constraint in_range", "constraint", "clinic.grade: in_range", "removed"),
    one("domain default", "alter domain clinic.grade set default 2", "domain", "clinic.grade", what="default"),
    one("domain not null", "alter domain clinic.grade set not null", "domain", "clinic.grade", what="NOT NULL"),
    one("composite type", "alter type clinic.place add attribute country text", "composite type", "clinic.place", what="attributes"),
    one("type grant", "revoke usage on type clinic.mood from public", "enum", "clinic.mood", what="grants to public"),
    one("sequence increment", "alter sequence clinic.numbers increment 1", "sequence", "clinic.numbers", what="increment", severity=W),
    one("sequence cycle", "alter sequence clinic.numbers cycle", "sequence", "clinic.numbers", what="cycle"),
    one("sequence owner column", "alter sequence clinic.numbers owned by clinic.notes.number",
        "sequence", "clinic.numbers", what="owned by",
        severity=W),
    one("sequence grant", "grant update on sequence clinic.numbers to anon", "sequence", "clinic.numbers", what="grants to anon"),
    # the database
    one("extension removed", "delete from pg_catalog.pg_extension where extname = 'ghost'", "extension", "ghost", "removed"),
    one("extension version", "update pg_catalog.pg_extension set extversion = '1.4' where extname = 'ghost'", "extension", "ghost",
        what="version", severity=W),
    one("publication of everything", "create publication everything for all tables", "publication", "everything", "added"),
    one("publication operations", "alter publication feed set (publish = 'insert')", "publication", "feed", what="operations"),
    one("publication schema", "alter publication whole add tables in schema clinic", "publication", "whole", what="schemas"),
    one("published table", "alter publication feed add table only clinic.base", "published table", "feed: clinic.base", "added"),
    one("published columns", "alter publication feed set table clinic.people (id, name, email), clinic.notes where (amount > 1)",
        "published table", "feed: clinic.people", what="columns"),
    one("published rows", "alter publication feed set table clinic.people (id, name), clinic.notes",
        "published table", "feed: clinic.notes",
        what="rows"),
    one("event trigger added", "create event trigger sly on sql_drop execute function private.watch()", "event trigger", "sly", "added"),
    one("event trigger disabled", "alter event trigger watch_tables disable", "event trigger", "watch_tables", what="enabled"),
    one("default privileges", "alter default privileges in schema clinic grant select on tables to anon", "default privileges",
        "tables made by postgres in clinic", what="grants to anon"),
    one("default privileges for functions",
        "alter default privileges in schema clinic grant execute on functions to clerk", "default privileges",
        "functions made by postgres in clinic", "added"),
    one("bucket public", "update storage.buckets set public = true where id = 'scans'", "bucket", "scans", what="public"),
    one("bucket types", "update storage.buckets set allowed_mime_types = '{image/png,text/html}' where id = 'scans'", "bucket", "scans",
        what="mime types", severity=W),
    one("bucket added, public", "insert into storage.buckets (id, name, public) values ('dump', 'dump', true)", "bucket", "dump", "added"),
    one("role past every policy", "alter role clerk bypassrls", "role", "clerk", what="bypasses row-level security"),
    one("role in another", "grant service_role to clerk", "role", "clerk", what="member of"),
)  # fmt: skip
