-- One row per table: how many rows it has, counted.
-- columns: table_name text | counted bigint
-- params:  tables text[]
-- needs:   read access to the tables
-- ts_stat runs a query given as text, read-only: the caller names the tables, format() quotes their names.
select
    t.table_name,
    (
        select word::bigint
        from pg_catalog.ts_stat(pg_catalog.format(
            'select pg_catalog.array_to_tsvector(array[pg_catalog.count(*)::text]) from %%s', t.table_name::pg_catalog.regclass
        ))
    ) as counted
from pg_catalog.unnest(%(tables)s::text[]) as t (table_name)
order by 1
