-- One row per function and kind of caller (caller; probe: sent by opsnb, marked in its query string; refusal: a probe that is to be refused); preflights (OPTIONS) left out.
-- columns: function_id text | caller text | n bigint | n_2xx bigint | n_4xx bigint | n_5xx bigint | n_no_status bigint | n_401 bigint | n_401_platform bigint | n_403 bigint | n_slow bigint | n_untimed bigint | p50_ms float8 (ms) | p95_ms float8 (ms) | p99_ms float8 (ms) | max_ms float8 (ms) | first_at timestamptz | last_at timestamptz
-- params:  slow_ms float8 (ms)
-- needs:   nothing
-- A 401 without an execution was raised by the platform, before the function ran. n_untimed: calls whose time is not in the log.
select
    log_attributes['function_id'] as function_id,
    multiIf(
        position(concat(log_attributes['request.search'], ' ', log_attributes['request.url']), 'opsnb_probe=') = 0, 'caller',
        position(concat(log_attributes['request.search'], ' ', log_attributes['request.url']), 'opsnb_expects=refusal') > 0, 'refusal',
        'probe'
    ) as caller,
    count() as n,
    countIf(toInt32OrZero(log_attributes['response.status_code']) between 200 and 299) as n_2xx,
    countIf(toInt32OrZero(log_attributes['response.status_code']) between 400 and 499) as n_4xx,
    countIf(toInt32OrZero(log_attributes['response.status_code']) >= 500) as n_5xx,
    countIf(toInt32OrZero(log_attributes['response.status_code']) < 100) as n_no_status,
    countIf(log_attributes['response.status_code'] = '401') as n_401,
    countIf(log_attributes['response.status_code'] = '401' and log_attributes['execution_id'] = '') as n_401_platform,
    countIf(log_attributes['response.status_code'] = '403') as n_403,
    countIf(toFloat64OrZero(log_attributes['execution_time_ms']) > {slow_ms}) as n_slow,
    countIf(isNull(toFloat64OrNull(log_attributes['execution_time_ms']))) as n_untimed,
    quantileExact(0.5)(toFloat64OrNull(log_attributes['execution_time_ms'])) as p50_ms,
    quantileExact(0.95)(toFloat64OrNull(log_attributes['execution_time_ms'])) as p95_ms,
    quantileExact(0.99)(toFloat64OrNull(log_attributes['execution_time_ms'])) as p99_ms,
    max(toFloat64OrNull(log_attributes['execution_time_ms'])) as max_ms,
    min(timestamp) as first_at,
    max(timestamp) as last_at
from logs
where source = 'function_edge_logs' and log_attributes['request.method'] != 'OPTIONS'
group by function_id, caller
order by function_id, caller
limit 1000
