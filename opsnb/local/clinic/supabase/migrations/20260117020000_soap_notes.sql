-- A SOAP note and its twelve normalised children. A child belongs to its note and goes with it.

create table public.soap_notes (
    id uuid primary key default gen_random_uuid(),
    appointment_id uuid not null,
    patient_id uuid not null,
    provider_id uuid not null,
    status text not null default 'draft' check (status in ('draft', 'signed')),
    chief_complaint text,
    summary text,
    signed_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    check ((status = 'signed') = (signed_at is not null)),
    foreign key (appointment_id, patient_id, provider_id) references public.appointments (id, patient_id, provider_id)
);
create index soap_notes_appointment_id_idx on public.soap_notes (appointment_id, patient_id, provider_id);
create index soap_notes_patient_id_idx on public.soap_notes (patient_id, signed_at desc);
create index soap_notes_provider_id_idx on public.soap_notes (provider_id, signed_at desc);
create index soap_notes_signed_at_idx on public.soap_notes (signed_at desc nulls last);

alter table public.patient_profiles
    add foreign key (medical_record_last_soap_note_id) references public.soap_notes (id) on delete set null;
create index patient_profiles_medical_record_last_soap_note_id_idx on public.patient_profiles (medical_record_last_soap_note_id);

-- Subjective: what the patient says

create table public.soap_subjective_symptoms (
    id uuid primary key default gen_random_uuid(),
    soap_note_id uuid not null references public.soap_notes (id) on delete cascade,
    symptom text not null,
    severity smallint check (severity between 0 and 10),
    duration_days integer check (duration_days >= 0),
    created_at timestamptz not null default now()
);

create table public.soap_subjective_allergies (
    id uuid primary key default gen_random_uuid(),
    soap_note_id uuid not null references public.soap_notes (id) on delete cascade,
    allergen text not null check (allergen <> ''),
    reaction text,
    severity text not null default 'unknown' check (severity in ('mild', 'moderate', 'severe', 'unknown')),
    status text not null default 'active' check (status in ('active', 'inactive', 'refuted')),
    created_at timestamptz not null default now()
);

create table public.soap_subjective_medical_history (
    id uuid primary key default gen_random_uuid(),
    soap_note_id uuid not null references public.soap_notes (id) on delete cascade,
    event text not null,
    kind text not null check (kind in ('illness', 'surgery', 'hospitalisation', 'immunisation', 'family')),
    event_year smallint check (event_year between 1900 and 2100),
    created_at timestamptz not null default now()
);

create table public.soap_subjective_social_history (
    id uuid primary key default gen_random_uuid(),
    soap_note_id uuid not null references public.soap_notes (id) on delete cascade,
    tobacco_use text not null default 'unknown' check (tobacco_use in ('never', 'former', 'current', 'unknown')),
    alcohol_units_per_week smallint check (alcohol_units_per_week >= 0),
    occupation text,
    created_at timestamptz not null default now()
);

-- Objective: what the provider finds

create table public.soap_objective_vital_signs (
    id uuid primary key default gen_random_uuid(),
    soap_note_id uuid not null references public.soap_notes (id) on delete cascade,
    systolic_mmhg smallint check (systolic_mmhg between 40 and 300),
    diastolic_mmhg smallint check (diastolic_mmhg between 20 and 200),
    heart_rate_bpm smallint check (heart_rate_bpm between 20 and 300),
    respiratory_rate_bpm smallint check (respiratory_rate_bpm between 4 and 80),
    temperature_c numeric(4, 1) check (temperature_c between 25 and 45),
    oxygen_saturation_pct smallint check (oxygen_saturation_pct between 0 and 100),
    weight_kg numeric(5, 1) check (weight_kg > 0),
    created_at timestamptz not null default now()
);

create table public.soap_objective_physical_exam (
    id uuid primary key default gen_random_uuid(),
    soap_note_id uuid not null references public.soap_notes (id) on delete cascade,
    body_system text not null,
    finding text not null,
    is_abnormal boolean not null default false,
    created_at timestamptz not null default now()
);

create table public.soap_objective_lab_results (
    id uuid primary key default gen_random_uuid(),
    soap_note_id uuid not null references public.soap_notes (id) on delete cascade,
    test_name text not null,
    loinc_code text,
    value numeric not null,
    unit text not null,
    is_abnormal boolean not null default false,
    created_at timestamptz not null default now()
);

-- Assessment: what the provider concludes

create table public.soap_assessment_problem_list (
    id uuid primary key default gen_random_uuid(),
    soap_note_id uuid not null references public.soap_notes (id) on delete cascade,
    problem text not null check (problem <> ''),
    icd10_code text,
    status text not null default 'active' check (status in ('active', 'chronic', 'resolved')),
    onset_on date,
    created_at timestamptz not null default now()
);

create table public.soap_assessment_differential_diagnosis (
    id uuid primary key default gen_random_uuid(),
    soap_note_id uuid not null references public.soap_notes (id) on delete cascade,
    diagnosis text not null,
    icd10_code text,
    likelihood text not null default 'possible' check (likelihood in ('likely', 'possible', 'unlikely')),
    created_at timestamptz not null default now()
);

-- Plan: what happens next

create table public.soap_plan_medication (
    id uuid primary key default gen_random_uuid(),
    soap_note_id uuid not null references public.soap_notes (id) on delete cascade,
    name text not null check (name <> ''),
    dose text,
    route text,
    frequency text,
    status text not null default 'active' check (status in ('active', 'paused', 'stopped')),
    created_at timestamptz not null default now()
);

create table public.soap_plan_investigation (
    id uuid primary key default gen_random_uuid(),
    soap_note_id uuid not null references public.soap_notes (id) on delete cascade,
    investigation text not null,
    urgency text not null default 'routine' check (urgency in ('routine', 'urgent', 'immediate')),
    created_at timestamptz not null default now()
);

create table public.soap_plan_follow_up (
    id uuid primary key default gen_random_uuid(),
    soap_note_id uuid not null references public.soap_notes (id) on delete cascade,
    instruction text not null,
    due_in_days integer check (due_in_days >= 0),
    created_at timestamptz not null default now()
);

create index soap_subjective_symptoms_soap_note_id_idx on public.soap_subjective_symptoms (soap_note_id);
create index soap_subjective_allergies_soap_note_id_idx on public.soap_subjective_allergies (soap_note_id);
create index soap_subjective_medical_history_soap_note_id_idx on public.soap_subjective_medical_history (soap_note_id);
create index soap_subjective_social_history_soap_note_id_idx on public.soap_subjective_social_history (soap_note_id);
create index soap_objective_vital_signs_soap_note_id_idx on public.soap_objective_vital_signs (soap_note_id);
create index soap_objective_physical_exam_soap_note_id_idx on public.soap_objective_physical_exam (soap_note_id);
create index soap_objective_lab_results_soap_note_id_idx on public.soap_objective_lab_results (soap_note_id);
create index soap_assessment_problem_list_soap_note_id_idx on public.soap_assessment_problem_list (soap_note_id);
create index soap_assessment_differential_diagnosis_soap_note_id_idx on public.soap_assessment_differential_diagnosis (soap_note_id);
create index soap_plan_medication_soap_note_id_idx on public.soap_plan_medication (soap_note_id);
create index soap_plan_investigation_soap_note_id_idx on public.soap_plan_investigation (soap_note_id);
create index soap_plan_follow_up_soap_note_id_idx on public.soap_plan_follow_up (soap_note_id);

create trigger touch before update on public.soap_notes for each row execute function private.touch_updated_at();

alter table public.soap_notes enable row level security;
alter table public.soap_subjective_symptoms enable row level security;
alter table public.soap_subjective_allergies enable row level security;
alter table public.soap_subjective_medical_history enable row level security;
alter table public.soap_subjective_social_history enable row level security;
alter table public.soap_objective_vital_signs enable row level security;
alter table public.soap_objective_physical_exam enable row level security;
alter table public.soap_objective_lab_results enable row level security;
alter table public.soap_assessment_problem_list enable row level security;
alter table public.soap_assessment_differential_diagnosis enable row level security;
alter table public.soap_plan_medication enable row level security;
alter table public.soap_plan_investigation enable row level security;
alter table public.soap_plan_follow_up enable row level security;
