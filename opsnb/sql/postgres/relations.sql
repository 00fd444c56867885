-- One row per table, view, materialised view and foreign table of the schemas.
-- columns: schema text | name text | kind text | rls boolean | rls_forced boolean | policies bigint | primary_key boolean | estimated_rows bigint | owner text
-- params:  schemas text[]
-- needs:   nothing
select
    n.nspname::text as schema,
    c.relname::text as name,
    case c.relkind
        when 'r' then 'table'
        when 'p' then 'partitioned table'
        when 'v' then 'view'
        when 'm' then 'materialised view'
        else 'foreign table'
    end as kind,
    c.relrowsecurity as rls,
    c.relforcerowsecurity as rls_forced,
    (select pg_catalog.count(*) from pg_catalog.pg_policy p where p.polrelid = c.oid) as policies,
    exists (select from pg_catalog.pg_constraint k where k.conrelid = c.oid and k.contype = 'p') as primary_key,
    c.reltuples::bigint as estimated_rows, -- -1: never analysed
    pg_catalog.pg_get_userbyid(c.relowner)::text as owner
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = any (%(schemas)s)
  and c.relkind in ('r', 'p', 'v', 'm', 'f')
order by 1, 2
