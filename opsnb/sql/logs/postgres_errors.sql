-- One row per severity, SQLSTATE and login role of what Postgres refused; no message is read.
-- columns: severity text | sqlstate text | role text | n bigint | first_at timestamptz | last_at timestamptz
-- params:  none
-- needs:   nothing
select
    log_attributes['parsed.error_severity'] as severity,
    log_attributes['parsed.sql_state_code'] as sqlstate,
    log_attributes['parsed.user_name'] as role,
    count() as n,
    min(timestamp) as first_at,
    max(timestamp) as last_at
from logs
where source = 'postgres_logs' and log_attributes['parsed.error_severity'] in ('ERROR', 'FATAL', 'PANIC')
group by severity, sqlstate, role
order by n desc, severity, sqlstate, role
limit 1000
