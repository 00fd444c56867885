-- One row per type of any schema that a body may name; relation is 0 unless the type is a row.
-- columns: schema text | name text | relation bigint
-- params:  names text[]
-- needs:   nothing
select
    n.nspname::text as schema,
    t.typname::text as name,
    t.typrelid::bigint as relation
from pg_catalog.pg_type t
join pg_catalog.pg_namespace n on n.oid = t.typnamespace
where t.typname = any (%(names)s)
order by 1, 2
