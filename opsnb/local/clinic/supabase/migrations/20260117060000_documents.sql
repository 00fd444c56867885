-- Letters and scans of patients. The first folder of a file's name is the patient it belongs to.

insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types)
values ('patient-documents', 'patient-documents', false, 10485760, array['application/pdf', 'image/png', 'image/jpeg']);

create policy "only tokens of this project" on storage.objects as restrictive for all to authenticated
    using ((select private.trusted_token())) with check ((select private.trusted_token()));

create policy "a patient reads their documents, a provider those of their patients" on storage.objects
    for select to authenticated
    using (
        bucket_id = 'patient-documents'
        and ((storage.foldername(name))[1] = (select private.caller_id())::text
             or (storage.foldername(name))[1] in (select p::text from private.patients_of_caller() p))
    );
