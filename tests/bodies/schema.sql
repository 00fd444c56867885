create schema ward; create schema tools; create schema "Odd Schema";
create type ward.mood as enum ('calm', 'upset');
create type ward.address as (street text, city text);
create table ward.patients (
    id uuid primary key default gen_random_uuid(), name text not null, born date, home ward.address, mood ward.mood, tags text[], record jsonb,
    updated_at timestamptz default now()
);
create table ward.notes (
    id bigint generated always as identity primary key, patient_id uuid references ward.patients, body text, signed_at timestamptz,
    status text not null default 'draft', unique (patient_id, signed_at)
);
create table ward.audit (id bigserial primary key, at timestamptz default now(), what text, who text, row_id text, old_row jsonb, new_row jsonb);
create table ward.settings (key text primary key, value jsonb, updated_at timestamptz);
create table ward."Mixed Case" ("Id" integer primary key, "User Name" text, "select" text);
create table tools.lookup (code text primary key, label text);
create table "Odd Schema"."Odd.Table" (a integer);
create view ward.open_notes as select n.id, n.patient_id, p.name as patient from ward.notes n join ward.patients p on p.id = n.patient_id;
create sequence ward.numbers;
create function ward.slug(p_text text, p_sep text default '-') returns text language sql immutable as $$ select lower(replace(p_text, ' ', p_sep)) $$;
create function ward.add_all(variadic p_numbers integer[]) returns bigint language sql immutable as $$ select sum(n) from unnest(p_numbers) n $$;
create function ward.full_name(p ward.patients) returns text language sql stable as $$ select p.name $$;
create function ward.pairs(p_n integer, out a integer, out b text) returns setof record language sql as $$ select g, g::text from generate_series(1, p_n) g $$;
create function ward.found_notes(p uuid) returns setof ward.notes language sql stable as $$ select * from ward.notes n where n.patient_id = p $$;
create procedure ward.tidy(p_days integer) language plpgsql as $$ begin delete from ward.audit where at < now() - make_interval(days => p_days); end $$;
create function tools.helper(a integer) returns integer language sql as $$ select a + 1 $$;
