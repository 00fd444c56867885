-- One row per value of each enumerated type of the schemas.
-- columns: schema text | name text | value text
-- params:  schemas text[]
-- needs:   nothing
select n.nspname::text as schema, t.typname::text as name, e.enumlabel::text as value
from pg_catalog.pg_enum e
join pg_catalog.pg_type t on t.oid = e.enumtypid
join pg_catalog.pg_namespace n on n.oid = t.typnamespace
where n.nspname = any (%(schemas)s)
order by 1, 2, e.enumsortorder
