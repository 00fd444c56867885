-- One row per required column: how many of its rows are null (counted up to 10,000).
-- columns: table_name text | column_name text | not_null boolean | nulls bigint
-- params:  tables text[] | columns text[]
-- needs:   read access to the tables
-- tables and columns are pairs. not_null: the column is declared so, therefore nothing is read.
-- ts_stat runs a query given as text, read-only: the release names the tables, format() quotes their names.
-- A table that does not exist ends the statement with an error; a column that does not exist has nulls = null.
with asked as (
    select pairs.number, pairs.table_name, pairs.column_name, pairs.table_name::pg_catalog.regclass as relation
    from rows from (pg_catalog.unnest(%(tables)s::text[]), pg_catalog.unnest(%(columns)s::text[])) with ordinality
        as pairs (table_name, column_name, number)
),
declared as (
    select q.*, a.attnotnull, a.attnum is not null as found
    from asked q
    left join pg_catalog.pg_attribute a
        on a.attrelid = q.relation and a.attname = q.column_name and a.attnum > 0 and not a.attisdropped
)
select
    d.table_name,
    d.column_name,
    coalesce(d.attnotnull, false) as not_null,
    case
        when not d.found then null
        when d.attnotnull then 0
        else (
            select word::bigint
            from pg_catalog.ts_stat(pg_catalog.format(
                $statement$
                select pg_catalog.array_to_tsvector(array[pg_catalog.count(*)::text])
                from (select from %%s where %%I is null limit 10000) as missing
                $statement$,
                d.relation, d.column_name
            ))
        )
    end as nulls
from declared d
order by 4 desc nulls first, 1, 2, d.number
