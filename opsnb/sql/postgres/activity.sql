-- One row per client session, this one included (own): its presence proves that the view was read.
-- columns: pid integer | own boolean | role text | application text | state text | statement text | query_s float8 (seconds) | transaction_s float8 (seconds) | state_s float8 (seconds) | waits_for text | blocked_by integer[]
-- params:  none
-- needs:   pg_monitor
-- Only the first word of a statement is read: its text may hold a patient's data.
-- Every age is null where there is nothing to age, state is null where the reader may not see the session.
select
    a.pid,
    a.pid = pg_catalog.pg_backend_pid() as own,
    a.usename::text as role,
    a.application_name as application,
    a.state,
    pg_catalog.lower(pg_catalog.substring(a.query, '^\s*([A-Za-z]+)')) as statement,
    case when a.state = 'active' then extract(epoch from pg_catalog.clock_timestamp() - a.query_start)::float8 end as query_s,
    extract(epoch from pg_catalog.clock_timestamp() - a.xact_start)::float8 as transaction_s,
    extract(epoch from pg_catalog.clock_timestamp() - a.state_change)::float8 as state_s,
    case when a.state = 'active' then a.wait_event_type || ': ' || a.wait_event end as waits_for,
    case when a.wait_event_type = 'Lock' then pg_catalog.pg_blocking_pids(a.pid) else '{}' end as blocked_by
from pg_catalog.pg_stat_activity a
where a.backend_type = 'client backend'
order by query_s desc nulls last, transaction_s desc nulls last, a.pid
limit 5000
