-- One row per state of client sessions and role, with the server's limits on each.
-- columns: role text | state text | sessions bigint | max_connections bigint | reserved_connections bigint
-- params:  none
-- needs:   pg_monitor
select
    coalesce(a.usename::text, '(unknown)') as role,
    coalesce(a.state, '(not visible)') as state,
    pg_catalog.count(*) as sessions,
    pg_catalog.current_setting('max_connections')::bigint as max_connections,
    pg_catalog.current_setting('superuser_reserved_connections')::bigint
        -- the second kind of reserve exists from PostgreSQL 16 on
        + coalesce(nullif(pg_catalog.current_setting('reserved_connections', true), '')::bigint, 0) as reserved_connections
from pg_catalog.pg_stat_activity a
where a.backend_type = 'client backend'
group by 1, 2
order by 3 desc, 1, 2
