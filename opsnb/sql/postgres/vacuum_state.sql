-- One row per table and materialised view of the schemas: its dead rows, and when autovacuum would come for them.
-- columns: schema text | name text | estimated_rows bigint | dead_rows bigint | threshold float8 | enabled boolean | last_vacuum timestamptz | vacuums bigint | autovacuum boolean | counted boolean | naptime_s integer | counting_since timestamptz | read_at timestamptz
-- params:  schemas text[]
-- needs:   nothing
-- The threshold is the server's: so many rows and a share of the table, as set for the table itself or for the server.
select
    n.nspname::text as schema,
    c.relname::text as name,
    c.reltuples::bigint as estimated_rows, -- -1: never analysed
    s.n_dead_tup as dead_rows,
    least(
        coalesce(o.threshold, pg_catalog.current_setting('autovacuum_vacuum_threshold')::float8)
            + coalesce(o.scale, pg_catalog.current_setting('autovacuum_vacuum_scale_factor')::float8) * greatest(c.reltuples, 0),
        -- a cap exists from PostgreSQL 18 on; below zero it is switched off
        case when o.cap >= 0 then o.cap when o.cap is null and g.cap >= 0 then g.cap end
    ) as threshold,
    coalesce(o.enabled, true) as enabled,
    greatest(s.last_vacuum, s.last_autovacuum) as last_vacuum,
    s.vacuum_count + s.autovacuum_count as vacuums,
    pg_catalog.current_setting('autovacuum')::boolean as autovacuum,
    pg_catalog.current_setting('track_counts')::boolean as counted,
    (select p.setting::integer from pg_catalog.pg_settings p where p.name = 'autovacuum_naptime') as naptime_s,
    g.counting_since,
    pg_catalog.clock_timestamp() as read_at
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_stat_all_tables s on s.relid = c.oid
cross join (
    select nullif(pg_catalog.current_setting('autovacuum_vacuum_max_threshold', true), '')::float8 as cap,
        greatest(d.stats_reset, pg_catalog.pg_postmaster_start_time()) as counting_since
    from pg_catalog.pg_stat_database d
    where d.datname = pg_catalog.current_database()
) g
left join lateral (
    select
        pg_catalog.max(x.option_value) filter (where x.option_name = 'autovacuum_vacuum_threshold')::float8 as threshold,
        pg_catalog.max(x.option_value) filter (where x.option_name = 'autovacuum_vacuum_scale_factor')::float8 as scale,
        pg_catalog.max(x.option_value) filter (where x.option_name = 'autovacuum_vacuum_max_threshold')::float8 as cap,
        pg_catalog.max(x.option_value) filter (where x.option_name = 'autovacuum_enabled')::boolean as enabled
    from pg_catalog.pg_options_to_table(c.reloptions) x
) o on true
where n.nspname = any (%(schemas)s)
    and c.relkind in ('r', 'm')
order by 1, 2
