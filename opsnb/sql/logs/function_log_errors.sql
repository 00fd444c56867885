-- One row per line a function logged at level error or fatal, newest first. The text may hold anything: show only its template.
-- columns: at timestamptz | function_id text | execution_id text | level text | event_type text | message text
-- params:  none
-- needs:   nothing
-- splits:  yes
select
    timestamp as at,
    log_attributes['function_id'] as function_id,
    log_attributes['execution_id'] as execution_id,
    lower(if(log_attributes['level'] = '', severity_text, log_attributes['level'])) as level,
    log_attributes['event_type'] as event_type,
    substringUTF8(event_message, 1, 2000) as message
from logs
where source = 'function_logs'
    and (
        lower(if(log_attributes['level'] = '', severity_text, log_attributes['level'])) in ('error', 'fatal')
        or log_attributes['event_type'] in ('BootFailure', 'UncaughtException', 'WorkerCrash')
    )
order by at desc, execution_id
limit 1000
