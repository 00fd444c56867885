-- One row per column of the schemas' tables: what it refers to, and which API roles may set it.
-- columns: schema text | table_name text | name text | type text | not_null boolean | made_here boolean | is_key boolean | refers_to text[] | insertable_by text[] | updatable_by text[]
-- params:  schemas text[] | api_roles text[]
-- needs:   nothing
-- made_here: Postgres makes its value where none is given. refers_to: columns (schema.table.column) that foreign keys name for it.
with refers as (
    select k.conrelid, place.own, pg_catalog.array_agg(distinct n.nspname || '.' || c.relname || '.' || a.attname)::text[] as targets
    from pg_catalog.pg_constraint k
    cross join lateral rows from (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey)) as place (own, other)
    join pg_catalog.pg_class c on c.oid = k.confrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_attribute a on a.attrelid = k.confrelid and a.attnum = place.other
    where k.contype = 'f'
    group by 1, 2
),
keys as (
    select i.indrelid, pg_catalog.unnest(i.indkey::pg_catalog.int2[]) as own
    from pg_catalog.pg_index i
    where i.indisprimary
),
roles as (
    select r.oid, r.rolname::text as name from pg_catalog.pg_roles r where r.rolname = any (%(api_roles)s)
),
-- what a role holds on the whole table it holds on every column; only columns with privileges of their own are asked one by one
tables as (
    select
        c.oid,
        n.nspname::text as schema,
        c.relname::text as name,
        array(select o.name from roles o where pg_catalog.has_table_privilege(o.oid, c.oid, 'INSERT') order by 1) as insertable_by,
        array(select o.name from roles o where pg_catalog.has_table_privilege(o.oid, c.oid, 'UPDATE') order by 1) as updatable_by
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = any (%(schemas)s) and c.relkind in ('r', 'p')
)
select
    c.schema,
    c.name as table_name,
    a.attname::text as name,
    pg_catalog.format_type(a.atttypid, null) as type,
    a.attnotnull as not_null,
    a.atthasdef or a.attidentity <> '' as made_here,
    k.own is not null as is_key,
    coalesce(r.targets, '{}'::text[]) as refers_to,
    case
        when a.attacl is null then c.insertable_by
        else array(select o.name from roles o where pg_catalog.has_column_privilege(o.oid, c.oid, a.attnum, 'INSERT') order by 1)
    end as insertable_by,
    case
        when a.attacl is null then c.updatable_by
        else array(select o.name from roles o where pg_catalog.has_column_privilege(o.oid, c.oid, a.attnum, 'UPDATE') order by 1)
    end as updatable_by
from tables c
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
left join refers r on r.conrelid = c.oid and r.own = a.attnum
left join keys k on k.indrelid = c.oid and k.own = a.attnum
order by 1, 2, a.attnum
