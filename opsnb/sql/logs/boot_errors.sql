-- One row per function and sign of a version that does not start: 503 raised by the platform, or a boot failure in its log.
-- columns: function_id text | sign text | n bigint | first_at timestamptz | last_at timestamptz
-- params:  none
-- needs:   nothing
-- A 503 that the function itself answered has an execution and no BOOT_ERROR: it is not counted.
select
    log_attributes['function_id'] as function_id,
    if(source = 'function_logs', 'boot failure', 'answered 503') as sign,
    count() as n,
    min(timestamp) as first_at,
    max(timestamp) as last_at
from logs
where (
        source = 'function_edge_logs'
        and log_attributes['response.status_code'] = '503'
        and (log_attributes['execution_id'] = '' or log_attributes['response.headers.sb_error_code'] = 'BOOT_ERROR')
    )
    or (
        source = 'function_logs'
        and (log_attributes['event_type'] = 'BootFailure' or match(event_message, '(?i)^(worker )?boot (failure|error)|failed to boot'))
    )
group by function_id, sign
order by function_id, sign
limit 1000
