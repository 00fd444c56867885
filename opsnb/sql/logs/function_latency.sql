-- One row per function and bucket of response times that callers met: over over_ms, up to upto_ms; eight buckets double the time.
-- columns: function_id text | over_ms float8 (ms) | upto_ms float8 (ms) | n bigint
-- params:  none
-- needs:   nothing
-- Counts that bound any quantile without asking for single calls. Probes of opsnb and preflights are left out; below 0.1 ms all is one bucket.
select
    log_attributes['function_id'] as function_id,
    if(
        toFloat64OrZero(log_attributes['execution_time_ms']) <= exp2(-27 / 8),
        0,
        exp2((ceil(8 * log2(toFloat64OrZero(log_attributes['execution_time_ms']))) - 1) / 8)
    ) as over_ms,
    if(
        toFloat64OrZero(log_attributes['execution_time_ms']) <= exp2(-27 / 8),
        exp2(-27 / 8),
        exp2(ceil(8 * log2(toFloat64OrZero(log_attributes['execution_time_ms']))) / 8)
    ) as upto_ms,
    count() as n
from logs
where source = 'function_edge_logs'
    and log_attributes['request.method'] != 'OPTIONS'
    and isNotNull(toFloat64OrNull(log_attributes['execution_time_ms']))
    and position(concat(log_attributes['request.search'], ' ', log_attributes['request.url']), 'opsnb_probe=') = 0
group by function_id, over_ms, upto_ms
order by function_id, upto_ms
limit 1000
