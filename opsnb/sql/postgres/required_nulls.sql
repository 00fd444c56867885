-- One row per required column: how many of its rows are null (counted up to 10,000).
-- columns: table_name text | column_name text | not_null boolean | nulls bigint | problem text
-- params:  tables text[] | columns text[]
-- needs:   read access to the tables
-- tables and columns are pairs. not_null: the column is declared so and the declaration was validated, therefore nothing is read.
-- problem says why nulls is null: 'no table', 'no column', 'no right', 'row security' (rows hide from this role), or 'too large' (more than
-- 5,000,000 rows and no index that begins with the column, so that only reading all of it would tell).
-- ts_stat runs a query given as text, read-only: the release names the tables, format() quotes their names.
with asked as (
    select pairs.number, pairs.table_name, pairs.column_name, pg_catalog.to_regclass(pairs.table_name) as relation
    from rows from (pg_catalog.unnest(%(tables)s::text[]), pg_catalog.unnest(%(columns)s::text[])) with ordinality
        as pairs (table_name, column_name, number)
),
found as (
    select
        q.*,
        a.attnum,
        -- since PostgreSQL 18 attnotnull is also set while older rows may still hold nulls
        coalesce(a.attnotnull, false) and not exists (
            select from pg_catalog.pg_constraint k
            where k.conrelid = q.relation and k.contype = 'n' and k.conkey = array[a.attnum] and not k.convalidated
        ) as not_null,
        c.reltuples > 5e6 and not exists (
            select from pg_catalog.pg_index i
            where i.indrelid = q.relation and i.indisvalid and i.indkey[0] = a.attnum and i.indpred is null
        ) as too_large
    from asked q
    left join pg_catalog.pg_class c on c.oid = q.relation
    left join pg_catalog.pg_attribute a
        on a.attrelid = q.relation and a.attname = q.column_name and a.attnum > 0 and not a.attisdropped
),
judged as (
    select
        f.*,
        case
            when f.relation is null then 'no table'
            when f.attnum is null then 'no column'
            when f.not_null then ''
            when not pg_catalog.has_column_privilege(f.relation, f.attnum, 'select') then 'no right'
            when pg_catalog.row_security_active(f.relation) then 'row security'
            when f.too_large then 'too large'
            else ''
        end as problem
    from found f
)
select
    j.table_name,
    j.column_name,
    j.not_null,
    case
        when j.problem <> '' then null
        when j.not_null then 0
        else (
            select word::bigint
            from pg_catalog.ts_stat(pg_catalog.format(
                $statement$
                select pg_catalog.array_to_tsvector(array[pg_catalog.count(*)::text])
                from (select from %%s where %%I is null limit 10000) as missing
                $statement$,
                j.relation, j.column_name
            ))
        )
    end as nulls,
    j.problem
from judged j
order by 4 desc nulls first, 1, 2, j.number
