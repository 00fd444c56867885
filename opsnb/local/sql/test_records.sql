-- The records an end-to-end test left behind, by the ids the clean-up names. Those that are there already stay as they are.

insert into public.users (id, firebase_uid, email, full_name, role) values
    ('805148ca-76b5-48b2-88e7-0ebfd13bc580', 'EndToEndTestPatient000000001', 'e2e-patient@example.org', 'End-to-end Test Patient', 'patient'),
    ('cb184de2-68c6-4fa7-98dc-885d6e5c244e', 'EndToEndTestProvider00000002', 'e2e-provider@example.org', 'End-to-end Test Provider', 'provider')
on conflict (id) do nothing;

insert into public.patient_profiles (id, user_id, medical_record_number, date_of_birth, sex) values
    ('e2e00000-0000-4000-8000-000000000001', '805148ca-76b5-48b2-88e7-0ebfd13bc580', 'E2E-PATIENT', '1990-01-01', 'unknown')
on conflict (user_id) do nothing;

insert into public.medical_provider_profiles (id, user_id, display_name, specialty, licence_number) values
    ('e2e00000-0000-4000-8000-000000000002', 'cb184de2-68c6-4fa7-98dc-885d6e5c244e', 'Dr End-to-end Test', 'General practice', 'E2E-LICENCE')
on conflict (user_id) do nothing;

insert into public.appointments (id, patient_id, provider_id, status, reason, starts_at, ends_at) values
    ('d1747d20-00b8-4ef3-9f12-44dd3d5f9b41', '805148ca-76b5-48b2-88e7-0ebfd13bc580', 'cb184de2-68c6-4fa7-98dc-885d6e5c244e',
     'completed', 'End-to-end test', now() - interval '3 hours', now() - interval '160 minutes'),
    ('049f2f4f-be5a-4ef6-86ff-002709d22294', '805148ca-76b5-48b2-88e7-0ebfd13bc580', 'cb184de2-68c6-4fa7-98dc-885d6e5c244e',
     'completed', 'End-to-end test', now() - interval '2 hours', now() - interval '100 minutes')
on conflict (id) do nothing;

insert into public.video_call_sessions (id, appointment_id, status, room_name, started_at, ended_at) values
    ('9badb5d0-cb5f-4b56-89c0-10dcefc65296', '049f2f4f-be5a-4ef6-86ff-002709d22294', 'ended', 'room-e2e',
     now() - interval '2 hours', now() - interval '100 minutes')
on conflict (id) do nothing;

insert into public.context_snapshots (id, appointment_id, patient_id, provider_id, context) values
    ('e2e00000-0000-4000-8000-000000000003', '049f2f4f-be5a-4ef6-86ff-002709d22294',
     '805148ca-76b5-48b2-88e7-0ebfd13bc580', 'cb184de2-68c6-4fa7-98dc-885d6e5c244e', '{"complaint": "End-to-end test"}')
on conflict (id) do nothing;

insert into public.soap_notes (id, appointment_id, patient_id, provider_id, status, chief_complaint, summary, signed_at) values
    ('c5b820ae-3f82-471d-b875-9af8b2b0ec0b', 'd1747d20-00b8-4ef3-9f12-44dd3d5f9b41', '805148ca-76b5-48b2-88e7-0ebfd13bc580',
     'cb184de2-68c6-4fa7-98dc-885d6e5c244e', 'signed', 'End-to-end test', 'Written by an end-to-end test.', now() - interval '150 minutes'),
    ('298d5300-df6d-4645-9f3e-ab8df13a97f6', '049f2f4f-be5a-4ef6-86ff-002709d22294', '805148ca-76b5-48b2-88e7-0ebfd13bc580',
     'cb184de2-68c6-4fa7-98dc-885d6e5c244e', 'signed', 'End-to-end test', 'Written by an end-to-end test.', now() - interval '90 minutes')
on conflict (id) do nothing;

insert into public.soap_subjective_allergies (id, soap_note_id, allergen, reaction, severity) values
    ('e2e00000-0000-4000-8000-000000000011', 'c5b820ae-3f82-471d-b875-9af8b2b0ec0b', 'Penicillin', 'rash', 'mild')
on conflict (id) do nothing;
insert into public.soap_assessment_problem_list (id, soap_note_id, problem, icd10_code) values
    ('e2e00000-0000-4000-8000-000000000012', 'c5b820ae-3f82-471d-b875-9af8b2b0ec0b', 'Migraine', 'G43.909'),
    ('e2e00000-0000-4000-8000-000000000013', '298d5300-df6d-4645-9f3e-ab8df13a97f6', 'Essential hypertension', 'I10')
on conflict (id) do nothing;
insert into public.soap_plan_medication (id, soap_note_id, name, dose, route, frequency) values
    ('e2e00000-0000-4000-8000-000000000014', '298d5300-df6d-4645-9f3e-ab8df13a97f6', 'Lisinopril', '10 mg', 'oral', 'once daily')
on conflict (id) do nothing;
insert into public.soap_objective_vital_signs (id, soap_note_id, systolic_mmhg, diastolic_mmhg, heart_rate_bpm) values
    ('e2e00000-0000-4000-8000-000000000015', '298d5300-df6d-4645-9f3e-ab8df13a97f6', 142, 91, 72)
on conflict (id) do nothing;

select public.merge_soap_into_cumulative_record(n.id)
from public.soap_notes n
where n.id in ('c5b820ae-3f82-471d-b875-9af8b2b0ec0b', '298d5300-df6d-4645-9f3e-ab8df13a97f6')
order by n.signed_at;
