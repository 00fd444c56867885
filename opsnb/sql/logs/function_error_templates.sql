-- One row per function and kind of line at level error or fatal, what differs from line to line removed: how often, in how many executions.
-- columns: function_id text | template text | n bigint | executions bigint | execution_id text | first_at timestamptz | last_at timestamptz
-- params:  none
-- needs:   nothing
-- First line only; quoted text, addresses, identifiers and numbers are replaced before anything is counted or sent. It may still hold a
-- name: show only what opsnb.checks.templates makes of it. A line without an execution counts as one of its own.
-- execution_id: one of them; where there is one only, that one.
select
    log_attributes['function_id'] as function_id,
    substringUTF8(
        replaceRegexpAll(
            replaceRegexpAll(
                replaceRegexpAll(
                    replaceRegexpAll(
                        replaceRegexpOne(trimBoth(event_message), '(?s)\\n.*', ''),
                        '"[^"]*("|$)|`[^`]*(`|$)', '<text>'
                    ),
                    '[A-Za-z][A-Za-z+.-]*://[^ ]*', '<url>'
                ),
                '[^ ]*@[^ ]*', '<mail>'
            ),
            '[A-Za-z_.+-]*[0-9][A-Za-z0-9_.+-]*', '<id>'
        ),
        1, 300
    ) as template,
    count() as n,
    uniqExactIf(log_attributes['execution_id'], log_attributes['execution_id'] != '') + countIf(log_attributes['execution_id'] = '') as executions,
    min(log_attributes['execution_id']) as execution_id,
    min(timestamp) as first_at,
    max(timestamp) as last_at
from logs
where source = 'function_logs'
    and (
        lower(if(log_attributes['level'] = '', severity_text, log_attributes['level'])) in ('error', 'fatal')
        or log_attributes['event_type'] in ('BootFailure', 'UncaughtException', 'WorkerCrash')
    )
group by function_id, template
order by n desc, function_id, template
limit 1000
