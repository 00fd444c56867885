-- A patient's cumulative record: per section one entry for each thing known, the newest statement wins.

create function private.record_section(p_record jsonb, p_section text) returns jsonb
language sql immutable parallel safe
set search_path = ''
return case when pg_catalog.jsonb_typeof(p_record -> p_section) = 'array' then p_record -> p_section else '[]'::jsonb end;

comment on function private.record_section is 'One section of a record as an array; an empty one where the record holds anything else.';

-- Set-based, so that one note and the history of a whole clinic are merged by the same statement.
create function private.merged_records(p_soap_note_ids uuid[])
returns table (patient_id uuid, record jsonb, soap_note_id uuid, signed_at timestamptz)
language sql stable
set search_path = ''
as $$
    with notes as materialized (
        select n.id, n.patient_id, n.signed_at
        from public.soap_notes n
        where n.id = any (p_soap_note_ids) and n.status = 'signed'
    ),
    latest as (
        select distinct on (n.patient_id) n.patient_id, n.id, n.signed_at
        from notes n
        order by n.patient_id, n.signed_at desc, n.id desc
    ),
    known as materialized (
        select l.patient_id, p.cumulative_medical_record as record
        from latest l
        join public.patient_profiles p on p.user_id = l.patient_id
    ),
    entries as (
        select
            k.patient_id,
            s.section,
            coalesce(case when s.section = 'vital_signs' then e.entry ->> 'soap_note_id' else pg_catalog.lower(e.entry ->> 'name') end,
                e.entry::text) as key, -- an entry without a name is kept as it is
            e.entry,
            case when pg_catalog.pg_input_is_valid(e.entry ->> 'recorded_at', 'timestamptz')
                then (e.entry ->> 'recorded_at')::timestamptz end as recorded_at,
            e.entry ->> 'soap_note_id' as origin
        from known k
        cross join (values ('conditions'), ('medications'), ('allergies'), ('vital_signs')) as s (section)
        cross join lateral pg_catalog.jsonb_array_elements(private.record_section(k.record, s.section)) as e (entry)
        where pg_catalog.jsonb_typeof(e.entry) = 'object'

        union all
        select n.patient_id, 'conditions', pg_catalog.lower(c.problem), pg_catalog.jsonb_build_object(
            'name', c.problem, 'icd10_code', c.icd10_code, 'status', c.status, 'onset_on', c.onset_on,
            'recorded_at', n.signed_at, 'soap_note_id', n.id), n.signed_at, n.id::text
        from notes n join public.soap_assessment_problem_list c on c.soap_note_id = n.id

        union all
        select n.patient_id, 'medications', pg_catalog.lower(c.name), pg_catalog.jsonb_build_object(
            'name', c.name, 'dose', c.dose, 'route', c.route, 'frequency', c.frequency, 'status', c.status,
            'recorded_at', n.signed_at, 'soap_note_id', n.id), n.signed_at, n.id::text
        from notes n join public.soap_plan_medication c on c.soap_note_id = n.id

        union all
        select n.patient_id, 'allergies', pg_catalog.lower(c.allergen), pg_catalog.jsonb_build_object(
            'name', c.allergen, 'reaction', c.reaction, 'severity', c.severity, 'status', c.status,
            'recorded_at', n.signed_at, 'soap_note_id', n.id), n.signed_at, n.id::text
        from notes n join public.soap_subjective_allergies c on c.soap_note_id = n.id

        union all
        select n.patient_id, 'vital_signs', n.id::text, pg_catalog.jsonb_build_object(
            'systolic_mmhg', c.systolic_mmhg, 'diastolic_mmhg', c.diastolic_mmhg, 'heart_rate_bpm', c.heart_rate_bpm,
            'respiratory_rate_bpm', c.respiratory_rate_bpm, 'temperature_c', c.temperature_c,
            'oxygen_saturation_pct', c.oxygen_saturation_pct, 'weight_kg', c.weight_kg,
            'recorded_at', n.signed_at, 'soap_note_id', n.id), n.signed_at, n.id::text
        from notes n join public.soap_objective_vital_signs c on c.soap_note_id = n.id
    ),
    newest as (
        select distinct on (e.patient_id, e.section, e.key) e.*
        from entries e
        order by e.patient_id, e.section, e.key, e.recorded_at desc nulls last, e.origin desc nulls last, e.entry desc
    ),
    ranked as (
        select w.*, pg_catalog.row_number() over (partition by w.patient_id, w.section order by w.recorded_at desc nulls last, w.key) as place
        from newest w
    ),
    sections as (
        select r.patient_id, r.section, pg_catalog.jsonb_agg(r.entry order by r.place) as entries
        from ranked r
        where r.section <> 'vital_signs' or r.place <= 10
        group by r.patient_id, r.section
    ),
    merged as (
        select s.patient_id, pg_catalog.jsonb_object_agg(s.section, s.entries) as record
        from sections s
        group by s.patient_id
    )
    select
        k.patient_id,
        case when pg_catalog.jsonb_typeof(k.record) = 'object' then k.record else '{}' end
            || '{"conditions": [], "medications": [], "allergies": [], "vital_signs": []}'
            || coalesce(m.record, '{}'),
        l.id,
        l.signed_at
    from known k
    join latest l using (patient_id)
    left join merged m using (patient_id)
$$;
comment on function private.merged_records is
    'What the records of the notes'' patients become when these signed notes are merged into them. Merging a note twice changes nothing.';

revoke execute on function private.record_section(jsonb, text), private.merged_records(uuid[]) from public;

create function public.merge_soap_into_cumulative_record(p_soap_note_id uuid) returns jsonb
language plpgsql volatile
security definer -- a provider may add to a record, never write it
set search_path = ''
as $$
declare
    note public.soap_notes;
    result jsonb;
begin
    select n.* into note from public.soap_notes n where n.id = p_soap_note_id;

    -- Trusted callers are named; everyone else must have written the note. A stranger cannot tell a foreign note from none.
    if pg_catalog.current_setting('role') not in ('none', 'postgres', 'service_role')
        and (note.provider_id is distinct from private.caller_id() or note.id is null) then
        raise exception 'only the author of a SOAP note can merge it' using errcode = '42501';
    end if;
    if note.id is null then
        raise exception 'there is no such SOAP note' using errcode = 'P0002';
    end if;
    if note.status <> 'signed' then
        raise exception 'a SOAP note is merged once it is signed' using errcode = '55000';
    end if;

    -- Two notes of one patient, merged at once, wait for each other.
    perform from public.patient_profiles p where p.user_id = note.patient_id for update;
    if not found then
        raise exception 'the patient of the SOAP note has no profile' using errcode = 'P0002';
    end if;

    update public.patient_profiles p
    set cumulative_medical_record = m.record,
        medical_record_last_updated_at = pg_catalog.clock_timestamp(),
        medical_record_last_soap_note_id = note.id
    from private.merged_records(array[note.id]) m
    where p.user_id = m.patient_id
    returning p.cumulative_medical_record into result;
    return result;
end
$$;
comment on function public.merge_soap_into_cumulative_record is 'Merges a signed SOAP note into its patient''s cumulative record and returns the record.';
revoke execute on function public.merge_soap_into_cumulative_record from public, anon;
grant execute on function public.merge_soap_into_cumulative_record to authenticated, service_role;
