-- What the server has counted in this database since its statistics began: one row.
-- columns: database text | deadlocks bigint | blocks_hit bigint | blocks_read bigint | counted boolean | counting_since timestamptz | read_at timestamptz
-- params:  none
-- needs:   nothing
select
    d.datname::text as database,
    d.deadlocks,
    d.blks_hit as blocks_hit, -- found in the server's own cache
    d.blks_read as blocks_read, -- asked of the operating system
    pg_catalog.current_setting('track_counts')::boolean as counted,
    greatest(d.stats_reset, pg_catalog.pg_postmaster_start_time()) as counting_since, -- a crash begins them anew, and does not say so
    pg_catalog.clock_timestamp() as read_at
from pg_catalog.pg_stat_database d
where d.datname = pg_catalog.current_database()
