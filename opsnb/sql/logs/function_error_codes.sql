-- One row per function and kind of 5xx answer, who raised it and with which code: how often, in how many executions; no text is read.
-- columns: function_id text | status integer | error_code text | raised_by text | n bigint | executions bigint | execution_id text | first_at timestamptz | last_at timestamptz
-- params:  none
-- needs:   nothing
-- A call without an execution counts as one of its own. execution_id: one of them; where there is one only, that one.
select
    log_attributes['function_id'] as function_id,
    toInt32OrZero(log_attributes['response.status_code']) as status,
    log_attributes['response.headers.sb_error_code'] as error_code,
    if(log_attributes['execution_id'] = '', 'platform', 'function') as raised_by,
    count() as n,
    uniqExactIf(log_attributes['execution_id'], log_attributes['execution_id'] != '') + countIf(log_attributes['execution_id'] = '') as executions,
    min(log_attributes['execution_id']) as execution_id,
    min(timestamp) as first_at,
    max(timestamp) as last_at
from logs
where source = 'function_edge_logs' and toInt32OrZero(log_attributes['response.status_code']) >= 500
group by function_id, status, error_code, raised_by
order by n desc, function_id, status, error_code, raised_by
limit 1000
