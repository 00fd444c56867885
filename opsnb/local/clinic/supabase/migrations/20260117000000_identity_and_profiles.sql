-- Who uses the clinic. A person signs in with Firebase: `firebase_uid` is the subject of the token.

create schema if not exists private;
comment on schema private is 'Helpers of policies and of the merge. Not exposed through the API.';
revoke all on schema private from public;

create function private.touch_updated_at() returns trigger
language plpgsql
set search_path = ''
as $$
begin
    new.updated_at := pg_catalog.now();
    return new;
end
$$;

create table public.users (
    id uuid primary key default gen_random_uuid(),
    firebase_uid text not null unique check (firebase_uid <> ''),
    email text not null unique,
    full_name text not null,
    role text not null check (role in ('patient', 'provider', 'admin')),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
comment on column public.users.firebase_uid is 'Subject (sub) of the Firebase token; 28 characters, not a uuid.';

create table public.patient_profiles (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null unique references public.users (id),
    medical_record_number text not null unique,
    date_of_birth date not null,
    sex text check (sex in ('female', 'male', 'other', 'unknown')),
    blood_type text check (blood_type in ('A+', 'A-', 'B+', 'B-', 'AB+', 'AB-', 'O+', 'O-')),
    phone text,
    preferred_language text not null default 'en',
    cumulative_medical_record jsonb not null default '{"conditions": [], "medications": [], "allergies": [], "vital_signs": []}',
    medical_record_last_updated_at timestamptz,
    medical_record_last_soap_note_id uuid, -- its foreign key comes with soap_notes
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
comment on column public.patient_profiles.cumulative_medical_record is 'An object of arrays of objects; written by merge_soap_into_cumulative_record only.';
create index patient_profiles_medical_record_last_updated_at_idx on public.patient_profiles (medical_record_last_updated_at desc nulls last);

create table public.medical_provider_profiles (
    id uuid primary key default gen_random_uuid(),
    user_id uuid not null unique references public.users (id),
    display_name text not null,
    specialty text not null,
    licence_number text not null unique,
    languages text[] not null default '{en}',
    biography text,
    accepts_new_patients boolean not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create trigger touch before update on public.users for each row execute function private.touch_updated_at();
create trigger touch before update on public.patient_profiles for each row execute function private.touch_updated_at();
create trigger touch before update on public.medical_provider_profiles for each row execute function private.touch_updated_at();

-- Closed until the policies open it: the API roles hold every table privilege by default.
alter table public.users enable row level security;
alter table public.patient_profiles enable row level security;
alter table public.medical_provider_profiles enable row level security;
