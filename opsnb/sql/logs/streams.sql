-- One row per log that holds anything: how much, and how fresh it is.
-- columns: log text | n bigint | first_at timestamptz | last_at timestamptz
-- params:  none
-- needs:   nothing
select
    source as log,
    count() as n,
    min(timestamp) as first_at,
    max(timestamp) as last_at
from logs
where source in (
    'edge_logs', 'function_edge_logs', 'function_logs', 'postgres_logs', 'postgrest_logs', 'auth_logs', 'supavisor_logs', 'pgbouncer_logs'
)
group by log
order by log
limit 100
