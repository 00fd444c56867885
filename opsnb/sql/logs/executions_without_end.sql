-- One row per execution that logged something and has no answer in the edge log (status 0), or was cut off (504, 546).
-- columns: function_id text | execution_id text | first_at timestamptz | last_at timestamptz | status integer
-- params:  none
-- needs:   nothing
-- Ask with a margin on both sides: an execution that straddles a bound has one half outside.
select
    max(log_attributes['function_id']) as function_id,
    log_attributes['execution_id'] as execution_id,
    min(timestamp) as first_at,
    max(timestamp) as last_at,
    maxIf(toInt32OrZero(log_attributes['response.status_code']), source = 'function_edge_logs') as status
from logs
where source in ('function_logs', 'function_edge_logs') and log_attributes['execution_id'] != ''
group by execution_id
having status in (504, 546) or countIf(source = 'function_edge_logs') = 0
order by first_at, execution_id
limit 1000
