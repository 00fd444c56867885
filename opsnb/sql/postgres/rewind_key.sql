-- One row for a table that is there: the columns of its primary key in their order, NULL where it has none.
-- columns: key text[]
-- params:  schema text | name text
-- needs:   nothing
select (
    select pg_catalog.array_agg(a.attname::text order by k.place)
    from pg_catalog.pg_index i
    cross join lateral pg_catalog.unnest(i.indkey::smallint[]) with ordinality as k (attnum, place)
    join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
    where i.indrelid = c.oid and i.indisprimary and k.place <= i.indnkeyatts
) as key
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = %(schema)s and c.relname = %(name)s and c.relkind = 'r'
order by c.oid
