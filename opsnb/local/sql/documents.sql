-- Files of the clinic's patients, as the storage service lists them: synthetic, without bytes. Run as `postgres` after the data is there.
insert into storage.objects (bucket_id, name, metadata)
select 'patient-documents', u.id || '/letters/' || n || '.pdf', jsonb_build_object('mimetype', 'application/pdf', 'size', 1000 * n)
from public.users u, generate_series(1, 2) n
where u.role = 'patient';
