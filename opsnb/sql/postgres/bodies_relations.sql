-- One row per relation or composite type of any schema that a body may name, with its columns in their order.
-- columns: oid bigint | schema text | name text | kind text | columns text[]
-- params:  names text[] | oids bigint[]
-- needs:   nothing
select
    c.oid::bigint as oid,
    n.nspname::text as schema,
    c.relname::text as name,
    c.relkind::text as kind,
    coalesce(a.columns, '{}'::text[]) as columns
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join lateral (
    select pg_catalog.array_agg(a.attname::text order by a.attnum) as columns
    from pg_catalog.pg_attribute a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
) a on true
where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S', 'c')
  and (c.relname = any (%(names)s) or c.oid::bigint = any (%(oids)s))
  and n.nspname not like 'pg\_temp\_%%' and n.nspname not like 'pg\_toast%%'
order by 2, 3
