-- One row per storage bucket, the first thousand by name.
-- columns: kind text | object text | public boolean | size_limit text | mime_types text
-- params:  none
-- needs:   the table storage.buckets of the platform, and the right to read it
select
    'bucket' as kind,
    b.id::text as object,
    -- through jsonb: which of these columns there are depends on the platform's version
    coalesce((pg_catalog.to_jsonb(b) ->> 'public')::boolean, false) as public,
    pg_catalog.to_jsonb(b) ->> 'file_size_limit' as size_limit,
    pg_catalog.to_jsonb(b) ->> 'allowed_mime_types' as mime_types
from storage.buckets b
order by b.id
limit 1000
