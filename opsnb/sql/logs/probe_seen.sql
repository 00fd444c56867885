-- One row per function and status under which the probes marked with mark arrived in the edge log.
-- columns: function_id text | status integer | n bigint | first_at timestamptz | last_at timestamptz
-- params:  mark text
-- needs:   nothing
select
    log_attributes['function_id'] as function_id,
    toInt32OrZero(log_attributes['response.status_code']) as status,
    count() as n,
    min(timestamp) as first_at,
    max(timestamp) as last_at
from logs
where source = 'function_edge_logs'
    and extract(concat(log_attributes['request.search'], ' ', log_attributes['request.url']), 'opsnb_probe=([A-Za-z0-9_.-]+)') = {mark}
    and {mark} != ''
group by function_id, status
order by function_id, status
limit 1000
