-- Who may see and write what. The API roles hold every table privilege: these policies are the only gate.
-- A Firebase subject is no uuid, so nothing here calls auth.uid().

-- Helpers. They read tables as their owner, so that a policy never asks the policies of another table about itself.

create function private.trusted_token() returns boolean
language sql stable
set search_path = ''
as $$
    -- All Firebase projects share their signing keys: issuer and audience tell ours from any other.
    select coalesce(
        auth.jwt() ->> 'iss' = 'https://securetoken.google.com/medzen-bf20e' and auth.jwt() ->> 'aud' = 'medzen-bf20e',
        false)
$$;

create function private.caller_id() returns uuid
language sql stable security definer
set search_path = ''
as $$
    select u.id
    from public.users u
    where u.firebase_uid = (select auth.jwt() ->> 'sub') and (select private.trusted_token())
$$;

create function private.caller_role() returns text
language sql stable security definer
set search_path = ''
as $$
    select u.role from public.users u where u.id = (select private.caller_id())
$$;

-- Users the caller has, as a provider, an appointment with; a cancelled one gives no right to look.
create function private.patients_of_caller() returns setof uuid
language sql stable security definer
set search_path = ''
as $$
    select distinct a.patient_id
    from public.appointments a
    where a.provider_id = (select private.caller_id()) and a.status <> 'cancelled'
$$;

revoke execute on all functions in schema private from public;
grant execute on function private.trusted_token(), private.caller_id(), private.caller_role(), private.patients_of_caller()
    to authenticated, service_role;

-- Another project's token opens nothing, whatever a permissive policy says.
do $$
declare
    exposed regclass;
begin
    for exposed in
        select c.oid from pg_catalog.pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
    loop
        execute pg_catalog.format(
            'create policy "only tokens of this project" on %s as restrictive for all to authenticated
             using ((select private.trusted_token())) with check ((select private.trusted_token()))', exposed);
    end loop;
end
$$;

-- People

create policy "a person sees themselves, a provider also their patients" on public.users
    for select to authenticated
    using (id = (select private.caller_id()) or id in (select private.patients_of_caller()));

create policy "a patient sees their own profile, a provider those of their patients" on public.patient_profiles
    for select to authenticated
    using (user_id = (select private.caller_id()) or user_id in (select private.patients_of_caller()));

create policy "a patient keeps their own contact details" on public.patient_profiles
    for update to authenticated
    using (user_id = (select private.caller_id()))
    with check (user_id = (select private.caller_id()));
-- A policy cannot tell columns apart: the record is written by the merge only.
revoke insert, update, delete on public.patient_profiles from anon, authenticated;
grant update (phone, preferred_language) on public.patient_profiles to authenticated;

create policy "a patient sees providers, a provider themselves" on public.medical_provider_profiles
    for select to authenticated
    using (user_id = (select private.caller_id()) or (select private.caller_role()) = 'patient');

create policy "a provider keeps their own profile" on public.medical_provider_profiles
    for update to authenticated
    using (user_id = (select private.caller_id()))
    with check (user_id = (select private.caller_id()));
revoke insert, update, delete on public.medical_provider_profiles from anon, authenticated;
grant update (biography, languages, accepts_new_patients) on public.medical_provider_profiles to authenticated;

-- Appointments and calls

create policy "patient and provider see their appointments" on public.appointments
    for select to authenticated
    using (patient_id = (select private.caller_id()) or provider_id = (select private.caller_id()));

create policy "a provider runs their own appointments" on public.appointments
    for update to authenticated
    using (provider_id = (select private.caller_id()))
    with check (provider_id = (select private.caller_id()));
-- Who meets whom is decided by the booking service: changing it would open another patient's record.
revoke insert, update, delete on public.appointments from anon, authenticated;
grant update (status, reason, starts_at, ends_at) on public.appointments to authenticated;

create policy "patient and provider see the calls of their appointments" on public.video_call_sessions
    for select to authenticated
    using (appointment_id in (select a.id from public.appointments a));

-- Notes

create policy "a patient sees their notes, a provider those they wrote" on public.soap_notes
    for select to authenticated
    using (patient_id = (select private.caller_id()) or provider_id = (select private.caller_id()));

-- The foreign key to appointments (with patient and provider) makes sure that the note's patient is the appointment's.
create policy "a provider writes notes of their own appointments" on public.soap_notes
    for insert to authenticated
    with check (provider_id = (select private.caller_id()));

create policy "a provider edits and signs their own drafts" on public.soap_notes
    for update to authenticated
    using (provider_id = (select private.caller_id()) and status = 'draft')
    with check (provider_id = (select private.caller_id()));

create policy "a provider discards their own drafts" on public.soap_notes
    for delete to authenticated
    using (provider_id = (select private.caller_id()) and status = 'draft');

-- The children of a note follow it. The subquery obeys the policies of soap_notes.
do $$
declare
    child regclass;
    my_draft constant text :=
        'soap_note_id in (select n.id from public.soap_notes n where n.provider_id = (select private.caller_id()) and n.status = ''draft'')';
begin
    for child in
        select k.conrelid from pg_catalog.pg_constraint k
        where k.contype = 'f' and k.confrelid = 'public.soap_notes'::regclass and k.confdeltype = 'c'
    loop
        execute pg_catalog.format('create policy "who sees a note sees its parts" on %s for select to authenticated
            using (soap_note_id in (select n.id from public.soap_notes n))', child);
        execute pg_catalog.format('create policy "a provider adds to their own drafts" on %s for insert to authenticated
            with check (%s)', child, my_draft);
        execute pg_catalog.format('create policy "a provider edits their own drafts" on %s for update to authenticated
            using (%s) with check (%s)', child, my_draft, my_draft);
        execute pg_catalog.format('create policy "a provider clears their own drafts" on %s for delete to authenticated
            using (%s)', child, my_draft);
    end loop;
end
$$;

-- Snapshots and settings

create policy "a patient sees their snapshots, a provider those made for them" on public.context_snapshots
    for select to authenticated
    using (patient_id = (select private.caller_id()) or provider_id = (select private.caller_id()));

create policy "a provider takes snapshots for their own appointments" on public.context_snapshots
    for insert to authenticated
    with check (provider_id = (select private.caller_id()));

create policy "users of the clinic read its settings" on public.app_settings
    for select to authenticated
    using ((select private.caller_id()) is not null);
