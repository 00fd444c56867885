-- One row per call answered with 5xx, newest first: who raised it and with which code; neither address nor text is read.
-- columns: at timestamptz | function_id text | execution_id text | status integer | error_code text | raised_by text | caller text | ms float8 (ms)
-- params:  none
-- needs:   nothing
-- splits:  yes
select
    timestamp as at,
    log_attributes['function_id'] as function_id,
    log_attributes['execution_id'] as execution_id,
    toInt32OrZero(log_attributes['response.status_code']) as status,
    log_attributes['response.headers.sb_error_code'] as error_code,
    if(log_attributes['execution_id'] = '', 'platform', 'function') as raised_by,
    if(position(concat(log_attributes['request.search'], ' ', log_attributes['request.url']), 'opsnb_probe=') > 0, 'probe', 'caller') as caller,
    toFloat64OrNull(log_attributes['execution_time_ms']) as ms
from logs
where source = 'function_edge_logs' and toInt32OrZero(log_attributes['response.status_code']) >= 500
order by at desc, execution_id
limit 1000
