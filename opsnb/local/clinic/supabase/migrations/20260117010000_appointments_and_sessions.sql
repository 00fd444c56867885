-- Who meets whom, and the video call in which they do.

create table public.appointments (
    id uuid primary key default gen_random_uuid(),
    patient_id uuid not null references public.users (id),
    provider_id uuid not null references public.users (id),
    status text not null default 'scheduled' check (status in ('scheduled', 'in_progress', 'completed', 'cancelled', 'no_show')),
    reason text,
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    check (patient_id <> provider_id),
    check (ends_at > starts_at),
    unique (id, patient_id, provider_id) -- what a note refers to, so that it cannot name another patient
);
create index appointments_patient_id_idx on public.appointments (patient_id, provider_id);
create index appointments_provider_id_idx on public.appointments (provider_id, starts_at);
create index appointments_starts_at_idx on public.appointments (starts_at);

create table public.video_call_sessions (
    id uuid primary key default gen_random_uuid(),
    appointment_id uuid references public.appointments (id) on delete set null, -- the call took place even if its appointment goes
    status text not null default 'created' check (status in ('created', 'active', 'ended', 'failed')),
    room_name text not null unique,
    started_at timestamptz,
    ended_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    check (ended_at is null or ended_at >= started_at)
);
create index video_call_sessions_appointment_id_idx on public.video_call_sessions (appointment_id);

create trigger touch before update on public.appointments for each row execute function private.touch_updated_at();
create trigger touch before update on public.video_call_sessions for each row execute function private.touch_updated_at();

alter table public.appointments enable row level security;
alter table public.video_call_sessions enable row level security;
