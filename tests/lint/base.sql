-- What every case starts from: a small clinic with row-level security on and no policies. Privileges as a hosted project grants them.
drop schema if exists public cascade;
drop schema if exists private cascade;
drop schema if exists app cascade;
create table if not exists auth.users (id uuid primary key, raw_user_meta_data jsonb);
create schema if not exists storage;
create table if not exists storage.buckets (id text primary key, name text, public boolean default false);
create table if not exists storage.objects (
    id uuid primary key default gen_random_uuid(), bucket_id text references storage.buckets (id), name text, owner uuid, owner_id text
);
alter table storage.objects enable row level security;
create or replace function storage.foldername(name text) returns text[] language sql immutable as $f$ select string_to_array(name, '/') $f$;
grant usage on schema storage to anon, authenticated;
grant all on storage.objects to anon, authenticated;
create schema public;
create schema private;
create schema app;
grant usage on schema public, private, app to anon, authenticated, service_role;
alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges in schema public grant all on functions to anon, authenticated, service_role;

create table public.profiles (
    id uuid primary key references auth.users (id), full_name text, role text not null default 'patient', is_admin boolean not null default false,
    org_id uuid, city text, phone text
);
create table public.notes (
    id uuid primary key default gen_random_uuid(), owner_id uuid not null references public.profiles (id), reviewer_id uuid references public.profiles (id),
    body text, status text not null default 'draft', org_id uuid, urgent boolean not null default false, pages integer not null default 1,
    is_public boolean not null default false
);
create table public.parts (id uuid primary key default gen_random_uuid(), note_id uuid not null references public.notes (id), body text);
create table public.members (org_id uuid, user_id uuid not null references public.profiles (id), role text not null default 'reader', primary key (org_id, user_id));
create table public.codes (code text primary key, title text not null);
create table public.doctors (id uuid primary key default gen_random_uuid(), user_id uuid not null references auth.users (id), specialty text);
create table public.visits (id uuid primary key default gen_random_uuid(), patient_id uuid not null references public.profiles (id),
    doctor_id uuid not null references public.doctors (id), reason text);
-- people of an identity provider whose subjects are text
create table public.people (id uuid primary key default gen_random_uuid(), subject text not null unique, kind text not null default 'patient');
create table public.letters (id uuid primary key default gen_random_uuid(), person_id uuid not null references public.people (id), body text);

do $$
declare
    name text;
begin
    foreach name in array array['profiles', 'notes', 'parts', 'members', 'codes', 'doctors', 'visits', 'people', 'letters'] loop
        execute format('alter table public.%I enable row level security', name);
    end loop;
    for name in select policyname from pg_policies where schemaname = 'storage' and tablename = 'objects' loop
        execute format('drop policy %I on storage.objects', name);
    end loop;
    for name in select pubname from pg_publication loop
        execute format('drop publication %I', name);
    end loop;
end
$$;
delete from storage.objects;
delete from storage.buckets;
