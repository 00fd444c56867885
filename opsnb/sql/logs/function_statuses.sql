-- One row per function, kind of caller, class of status and who raised it; preflights (OPTIONS) left out.
-- columns: function_id text | caller text | class text | raised_by text | n bigint | first_at timestamptz | last_at timestamptz
-- params:  none
-- needs:   nothing
-- An answer without an execution was raised by the platform, before or instead of the function. Class: 2xx … 5xx, or none.
select
    log_attributes['function_id'] as function_id,
    if(position(concat(log_attributes['request.search'], ' ', log_attributes['request.url']), 'opsnb_probe=') > 0, 'probe', 'caller') as caller,
    if(
        toInt32OrZero(log_attributes['response.status_code']) between 100 and 599,
        concat(substring(log_attributes['response.status_code'], 1, 1), 'xx'),
        'none'
    ) as class,
    if(
        log_attributes['execution_id'] = '' or log_attributes['response.headers.sb_error_code'] = 'BOOT_ERROR',
        'platform',
        'function'
    ) as raised_by,
    count() as n,
    min(timestamp) as first_at,
    max(timestamp) as last_at
from logs
where source = 'function_edge_logs' and log_attributes['request.method'] != 'OPTIONS'
group by function_id, caller, class, raised_by
order by function_id, caller, class, raised_by
limit 1000
