-- One row per table and key of the test records: how many values are listed and how many rows still carry one.
-- columns: number bigint | table_name text | key text | listed bigint | remaining bigint
-- params:  tables text[] | keys text[] | values text[]
-- needs:   read access to the tables
-- The three arrays are parallel, one entry per value. number keeps the order in which they were listed.
-- ts_stat runs a query given as text, read-only: the release names the tables, format() quotes names and values.
with listed as (
    select triples.table_name, triples.key, pg_catalog.min(triples.number) as number, pg_catalog.array_agg(triples.value order by triples.number) as wanted
    from rows from (pg_catalog.unnest(%(tables)s::text[]), pg_catalog.unnest(%(keys)s::text[]), pg_catalog.unnest(%(values)s::text[]))
        with ordinality as triples (table_name, key, value, number)
    group by 1, 2
)
select
    pg_catalog.row_number() over (order by l.number) as number,
    l.table_name,
    l.key,
    pg_catalog.cardinality(l.wanted)::bigint as listed,
    (
        select word::bigint
        from pg_catalog.ts_stat(pg_catalog.format(
            -- the array literal takes the column's own type, so the key's index is used
            'select pg_catalog.array_to_tsvector(array[pg_catalog.count(*)::text]) from %%s where %%I = any (%%L)',
            l.table_name::pg_catalog.regclass, l.key, l.wanted
        ))
    ) as remaining
from listed l
order by 1
