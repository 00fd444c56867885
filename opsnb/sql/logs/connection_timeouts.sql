-- One row per log and function in which somebody waited in vain for a database connection; no message is read.
-- columns: log text | function_id text | n bigint | first_at timestamptz | last_at timestamptz
-- params:  none
-- needs:   nothing
-- PGRST003 is the REST door's own code for it; the other texts are those of Postgres, the poolers and their clients.
select
    source as log,
    log_attributes['function_id'] as function_id,
    count() as n,
    min(timestamp) as first_at,
    max(timestamp) as last_at
from logs
where source in ('function_logs', 'postgrest_logs', 'supavisor_logs', 'pgbouncer_logs')
    and match(
        event_message,
        '(?i)PGRST003|timed out acquiring (a )?connection|connection pool timed? ?out|couldn.t get a connection after|query_wait_timeout|max clients reached|too many (clients|connections)|remaining connection slots|connection (to .* )?timed out|ECHECKOUTTIMEOUT|EMAXCONN'
    )
group by log, function_id
order by log, function_id
limit 1000
