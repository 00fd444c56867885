-- One row per five minutes and function: the callers' calls (probes of opsnb counted apart, preflights left out).
-- columns: bucket timestamptz | function_id text | n bigint | n_probes bigint | n_5xx bigint | n_401 bigint | n_403 bigint | p50_ms float8 (ms) | p95_ms float8 (ms) | p99_ms float8 (ms) | max_ms float8 (ms)
-- params:  none
-- needs:   nothing
select
    toStartOfFiveMinutes(timestamp) as bucket,
    log_attributes['function_id'] as function_id,
    countIf(not (position(concat(log_attributes['request.search'], ' ', log_attributes['request.url']), 'opsnb_probe=') > 0)) as n,
    countIf(position(concat(log_attributes['request.search'], ' ', log_attributes['request.url']), 'opsnb_probe=') > 0) as n_probes,
    countIf(toInt32OrZero(log_attributes['response.status_code']) >= 500 and not (position(concat(log_attributes['request.search'], ' ', log_attributes['request.url']), 'opsnb_probe=') > 0)) as n_5xx,
    countIf(log_attributes['response.status_code'] = '401' and not (position(concat(log_attributes['request.search'], ' ', log_attributes['request.url']), 'opsnb_probe=') > 0)) as n_401,
    countIf(log_attributes['response.status_code'] = '403' and not (position(concat(log_attributes['request.search'], ' ', log_attributes['request.url']), 'opsnb_probe=') > 0)) as n_403,
    quantileExactIf(0.5)(toFloat64OrNull(log_attributes['execution_time_ms']), not (position(concat(log_attributes['request.search'], ' ', log_attributes['request.url']), 'opsnb_probe=') > 0)) as p50_ms,
    quantileExactIf(0.95)(toFloat64OrNull(log_attributes['execution_time_ms']), not (position(concat(log_attributes['request.search'], ' ', log_attributes['request.url']), 'opsnb_probe=') > 0)) as p95_ms,
    quantileExactIf(0.99)(toFloat64OrNull(log_attributes['execution_time_ms']), not (position(concat(log_attributes['request.search'], ' ', log_attributes['request.url']), 'opsnb_probe=') > 0)) as p99_ms,
    maxIf(toFloat64OrNull(log_attributes['execution_time_ms']), not (position(concat(log_attributes['request.search'], ' ', log_attributes['request.url']), 'opsnb_probe=') > 0)) as max_ms
from logs
where source = 'function_edge_logs' and log_attributes['request.method'] != 'OPTIONS'
group by bucket, function_id
order by bucket, function_id
limit 1000
