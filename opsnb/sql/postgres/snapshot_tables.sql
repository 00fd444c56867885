-- One row per table whose rows a dump of the schemas holds: ordinary tables, partitions in place of what they are part of.
-- columns: schema text | name text | bytes bigint (bytes) | estimated_rows bigint
-- params:  schemas text[]
-- needs:   nothing
-- Tables of extensions are left out, as pg_dump does. Estimated: the planner's figure, -1 where nobody counted yet.
select
    n.nspname::text as schema,
    c.relname::text as name,
    pg_catalog.pg_table_size(c.oid) as bytes,
    c.reltuples::bigint as estimated_rows
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r'
    and c.relpersistence <> 't'
    and n.nspname = any (%(schemas)s::text[])
    and not exists (
        select 1 from pg_catalog.pg_depend d
        where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
order by 1, 2
