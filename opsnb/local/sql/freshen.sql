-- Moves the last day of a clinic that was built a while ago up to now, and what was planned after it into the future again.
-- Run as the cluster's superuser in a copy nobody works on yet. The settings opsnb.seen_at and opsnb.shift say from when and how far.

set local session_replication_role = replica; -- updated_at is moved here, not touched

create temporary table moved on commit drop as
select a.id, a.patient_id
from public.appointments a
where a.starts_at > current_setting('opsnb.seen_at')::timestamptz - interval '1 day'
  and a.starts_at <= current_setting('opsnb.seen_at')::timestamptz;

create temporary table shift on commit drop as
select current_setting('opsnb.shift')::interval as by,
    make_interval(days => ceil(extract(epoch from current_setting('opsnb.shift')::interval) / 86400)::integer) as by_days;

update public.appointments a
set starts_at = a.starts_at + by, ends_at = a.ends_at + by, created_at = a.created_at + by, updated_at = a.updated_at + by
from shift where a.id in (select id from moved);

update public.appointments a
set starts_at = a.starts_at + by_days, ends_at = a.ends_at + by_days, created_at = a.created_at + by, updated_at = a.updated_at + by
from shift where a.status = 'scheduled' and a.id not in (select id from moved);

update public.video_call_sessions s
set started_at = s.started_at + by, ended_at = s.ended_at + by, created_at = s.created_at + by, updated_at = s.updated_at + by
from shift where s.appointment_id in (select id from moved);

update public.context_snapshots s
set created_at = s.created_at + by
from shift where s.appointment_id in (select id from moved);

update public.soap_notes n
set signed_at = n.signed_at + by, created_at = n.created_at + by, updated_at = n.updated_at + by
from shift where n.appointment_id in (select id from moved);

do $$
declare
    child regclass;
begin
    for child in
        select conrelid from pg_constraint where confrelid = 'public.soap_notes'::regclass and contype = 'f' and confdeltype = 'c'
    loop
        execute format(
            'update %s c set created_at = c.created_at + by from shift, public.soap_notes n
             where n.id = c.soap_note_id and n.appointment_id in (select id from moved)', child);
    end loop;
end
$$;

-- A record repeats the times of its notes: those of the day's patients are made anew.
update public.patient_profiles p
set cumulative_medical_record = '{}', medical_record_last_updated_at = p.medical_record_last_updated_at + by
from shift, public.soap_notes n
where n.id = p.medical_record_last_soap_note_id and n.appointment_id in (select id from moved);

update public.patient_profiles p
set cumulative_medical_record = r.record
from private.merged_records(array(
    select n.id
    from public.soap_notes n
    join public.patient_profiles q on q.user_id = n.patient_id
    where q.cumulative_medical_record = '{}' and n.status = 'signed'
)) r
where p.user_id = r.patient_id;
