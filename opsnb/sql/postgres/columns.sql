-- One row per column of the schemas' tables and views, in the order of the table.
-- columns: schema text | table_name text | position integer | name text | type text | not_null boolean | has_default boolean
-- params:  schemas text[]
-- needs:   nothing
select
    n.nspname::text as schema,
    c.relname::text as table_name,
    a.attnum::integer as position,
    a.attname::text as name,
    pg_catalog.format_type(a.atttypid, a.atttypmod) as type,
    a.attnotnull as not_null,
    a.atthasdef as has_default
from pg_catalog.pg_attribute a
join pg_catalog.pg_class c on c.oid = a.attrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = any (%(schemas)s)
  and c.relkind in ('r', 'p', 'v', 'm', 'f')
  and a.attnum > 0
  and not a.attisdropped
order by 1, 2, 3
