-- One row per table and materialised view of the schemas: its size, and what its rows should need by the planner's statistics.
-- columns: schema text | name text | heap_bytes bigint (bytes) | expected_bytes bigint (bytes) | estimated_rows bigint | columns bigint | columns_seen bigint | changed_rows bigint | last_analyze timestamptz
-- params:  schemas text[]
-- needs:   nothing
-- Without indexes and what is stored out of line. Statistics of columns the role may not read are not visible: columns_seen is then less.
select
    w.schema,
    w.name,
    w.heap_bytes,
    -- whole rows per page, as far as its fillfactor lets them
    (ceil(w.rows / greatest(floor((w.page - 24) * w.filled / 100.0 / w.row_bytes), 1)) * w.page)::bigint as expected_bytes,
    w.rows::bigint as estimated_rows, -- -1: never analysed
    w.columns,
    w.columns_seen,
    w.changed_rows,
    w.last_analyze
from (
    select
        n.nspname::text as schema,
        c.relname::text as name,
        pg_catalog.pg_relation_size(c.oid) as heap_bytes,
        c.reltuples::float8 as rows,
        pg_catalog.current_setting('block_size')::float8 as page,
        coalesce((
            select x.option_value::float8 from pg_catalog.pg_options_to_table(c.reloptions) x where x.option_name = 'fillfactor'
        ), 100) as filled,
        -- a row's header, its columns, rounded up to 8 bytes, and its place in the page's list
        28 + 8 * ceil(coalesce(k.width, 0) / 8) as row_bytes,
        k.columns,
        k.columns_seen,
        s.n_mod_since_analyze as changed_rows,
        greatest(s.last_analyze, s.last_autoanalyze) as last_analyze
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_stat_all_tables s on s.relid = c.oid
    cross join lateral (
        select
            pg_catalog.count(*) as columns,
            pg_catalog.count(p.attname) as columns_seen,
            pg_catalog.sum(p.avg_width * (1 - p.null_frac))::float8 as width
        from pg_catalog.pg_attribute a
        left join pg_catalog.pg_stats p
            on p.schemaname = n.nspname and p.tablename = c.relname and p.attname = a.attname and not p.inherited
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    ) k
    where n.nspname = any (%(schemas)s)
        and c.relkind in ('r', 'm')
) w
order by 3 desc, 1, 2
