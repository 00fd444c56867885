-- One row per index of the schemas' tables, with its definition: for the saved schema.
-- columns: schema text | table_name text | name text | definition text | valid boolean | bytes bigint (bytes)
-- params:  schemas text[]
-- needs:   nothing
select
    n.nspname::text as schema,
    t.relname::text as table_name,
    i.relname::text as name,
    pg_catalog.pg_get_indexdef(x.indexrelid) as definition,
    x.indisvalid and x.indisready as valid,
    pg_catalog.pg_relation_size(x.indexrelid) as bytes
from pg_catalog.pg_index x
join pg_catalog.pg_class t on t.oid = x.indrelid
join pg_catalog.pg_class i on i.oid = x.indexrelid
join pg_catalog.pg_namespace n on n.oid = t.relnamespace
where n.nspname = any (%(schemas)s)
order by 1, 2, 3
