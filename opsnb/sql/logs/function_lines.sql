-- One row per line of a function's log or per call of it, newest first; a share of them, where a minute holds more than an answer may.
-- columns: at timestamptz | id text | log text | function_id text | execution_id text | level text | event_type text | method text | search text | error_code text | status text | execution_ms text | message text
-- params:  parts integer | part integer
-- needs:   nothing
-- splits:  yes
-- search: only the marks of opsnb's own probes. The message may hold anything: keep only its template. All parts (0 to parts - 1) together are all lines.
select
    timestamp as at,
    toString(id) as id,
    source as log,
    log_attributes['function_id'] as function_id,
    log_attributes['execution_id'] as execution_id,
    lower(if(log_attributes['level'] = '', severity_text, log_attributes['level'])) as level,
    log_attributes['event_type'] as event_type,
    log_attributes['request.method'] as method,
    arrayStringConcat(extractAll(
        if(log_attributes['request.search'] = '', log_attributes['request.url'], log_attributes['request.search']),
        'opsnb_(?:probe|expects)=[A-Za-z0-9_.-]+'
    ), '&') as search,
    substring(extract(log_attributes['response.headers.sb_error_code'], '^[A-Za-z0-9_]+$'), 1, 60) as error_code,
    log_attributes['response.status_code'] as status,
    log_attributes['execution_time_ms'] as execution_ms,
    if(source = 'function_logs', substringUTF8(event_message, 1, 2000), '') as message
from logs
where source in ('function_logs', 'function_edge_logs') and cityHash64(toString(id)) % {parts} = {part}
order by at desc, id
limit 1000
