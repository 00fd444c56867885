-- One row per view and materialised view of the schemas; Postgres keeps their queries resolved, but one may hold no rows yet.
-- columns: schema text | name text | kind text | populated boolean
-- params:  schemas text[]
-- needs:   nothing
select
    n.nspname::text as schema,
    c.relname::text as name,
    case c.relkind when 'v' then 'view' else 'materialised view' end as kind,
    c.relispopulated as populated
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = any (%(schemas)s)
  and c.relkind in ('v', 'm')
order by 1, 2
