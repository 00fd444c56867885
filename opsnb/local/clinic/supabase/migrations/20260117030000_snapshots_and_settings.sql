-- What a provider was shown before a call, and the switches of the application.

create table public.context_snapshots (
    id uuid primary key default gen_random_uuid(),
    appointment_id uuid not null,
    patient_id uuid not null,
    provider_id uuid not null,
    context jsonb not null check (jsonb_typeof(context) = 'object'),
    created_at timestamptz not null default now(),
    foreign key (appointment_id, patient_id, provider_id)
        references public.appointments (id, patient_id, provider_id) on delete cascade
);
create index context_snapshots_appointment_id_idx on public.context_snapshots (appointment_id, patient_id, provider_id);
create index context_snapshots_patient_id_idx on public.context_snapshots (patient_id);
create index context_snapshots_provider_id_idx on public.context_snapshots (provider_id);

create table public.app_settings (
    key text primary key check (key <> ''),
    value jsonb not null,
    description text,
    updated_at timestamptz not null default now()
);
insert into public.app_settings (key, value, description) values
    ('enable_cumulative_record_updates', 'true', 'Whether a signed note is merged into the cumulative record.'),
    ('pre_call_history_enabled', 'true', 'Whether the pre-call dialog shows the medical history.'),
    ('minimum_app_version', '"4.2.0"', 'Older applications are asked to update.');

create trigger touch before update on public.app_settings for each row execute function private.touch_updated_at();

alter table public.context_snapshots enable row level security;
alter table public.app_settings enable row level security;
