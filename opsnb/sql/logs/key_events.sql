-- One row per key event word, log and function in which it was found; no message is read.
-- columns: word text | log text | function_id text | n bigint | first_at timestamptz | last_at timestamptz
-- params:  words text[]
-- needs:   nothing
-- A word is found in the text (in any case of letters) or as the severity of the row.
select
    arrayJoin(arrayFilter(
        w -> positionCaseInsensitiveUTF8(event_message, w) > 0
            or lower(w) in (lower(severity_text), lower(log_attributes['level']), lower(log_attributes['parsed.error_severity'])),
        {words}
    )) as word,
    source as log,
    log_attributes['function_id'] as function_id,
    count() as n,
    min(timestamp) as first_at,
    max(timestamp) as last_at
from logs
where source in ('function_logs', 'function_edge_logs', 'postgres_logs', 'postgrest_logs')
    -- few lines hold any of them: the words are told apart in those only
    and (
        multiSearchAnyCaseInsensitiveUTF8(event_message, {words})
        or severity_text != '' and hasAny([lower(severity_text)], arrayMap(w -> lower(w), {words}))
        or hasAny([lower(log_attributes['level']), lower(log_attributes['parsed.error_severity'])], arrayMap(w -> lower(w), {words}))
    )
group by word, log, function_id
order by word, log, function_id
limit 1000
