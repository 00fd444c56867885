-- One row per installed extension.
-- columns: kind text | object text | version text | schema text
-- params:  none
-- needs:   nothing
select
    'extension' as kind,
    pg_catalog.quote_ident(e.extname) as object,
    e.extversion as version,
    n.nspname::text as schema
from pg_catalog.pg_extension e
join pg_catalog.pg_namespace n on n.oid = e.extnamespace
order by e.extname
