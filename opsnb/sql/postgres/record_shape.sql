-- One row per rule of a record's shape: how many of the newest records were looked at and how many break it.
-- columns: rule text | key text | looked_at bigint | broken bigint
-- params:  table text | record_column text | updated_at_column text | note_column text | required_keys text[] | array_keys text[] | item_arrays text[] | item_keys text[] | max_records integer
-- needs:   read access to the record table
-- ts_stat runs a query given as text, read-only: the release names the table, format() quotes its names.
-- item_arrays and item_keys are pairs: each entry of that array must have that key. note_column '' is not looked at.
select
    word::jsonb ->> 0 as rule,
    word::jsonb ->> 1 as key,
    (word::jsonb ->> 2)::bigint as looked_at,
    (word::jsonb ->> 3)::bigint as broken
from pg_catalog.ts_stat(pg_catalog.format(
    $statement$
    with newest as materialized (
        select %%I::jsonb as record, %%s as has_note
        from %%s
        where %%I is not null
        order by %%I desc
        limit %%L
    ),
    objects as (select record from newest where pg_catalog.jsonb_typeof(record) = 'object'),
    entries as (
        -- lateral set-returning calls come after the guard: an array function raises on the first value that is none
        select key as array_key, entry
        from objects
        cross join pg_catalog.unnest(%%L::text[]) as key
        cross join lateral pg_catalog.jsonb_array_elements(
            case when pg_catalog.jsonb_typeof(record -> key) = 'array' then record -> key else '[]' end) as entry
    ),
    rules as (
        select 'an updated record is not null' as rule, '' as key, pg_catalog.count(*) as looked_at,
            pg_catalog.count(*) filter (where record is null) as broken
        from newest
        union all
        select 'an updated record names its note', '', pg_catalog.count(*), pg_catalog.count(*) filter (where not has_note)
        from newest
        union all
        select 'a record is an object', '', pg_catalog.count(*),
            pg_catalog.count(*) filter (where record is not null and pg_catalog.jsonb_typeof(record) <> 'object')
        from newest
        union all
        select 'a key is present', key, (select pg_catalog.count(*) from objects),
            (select pg_catalog.count(*) from objects where not pg_catalog.jsonb_exists(record, key))
        from pg_catalog.unnest(%%L::text[]) as key
        union all
        select 'a key holds an array', key,
            (select pg_catalog.count(*) from objects where pg_catalog.jsonb_exists(record, key)),
            (select pg_catalog.count(*) from objects where pg_catalog.jsonb_typeof(record -> key) <> 'array')
        from pg_catalog.unnest(%%L::text[]) as key
        union all
        select 'an entry is an object', key,
            (select pg_catalog.count(*) from entries where array_key = key),
            (select pg_catalog.count(*) from entries where array_key = key and pg_catalog.jsonb_typeof(entry) <> 'object')
        from pg_catalog.unnest(%%L::text[]) as key
        union all
        select 'an entry has its required key', array_name || '[].' || item_key,
            (select pg_catalog.count(*) from entries where array_key = array_name and pg_catalog.jsonb_typeof(entry) = 'object'),
            (select pg_catalog.count(*) from entries
             where array_key = array_name and pg_catalog.jsonb_typeof(entry) = 'object'
               and coalesce(pg_catalog.jsonb_typeof(entry -> item_key), 'null') = 'null')
        from rows from (pg_catalog.unnest(%%L::text[]), pg_catalog.unnest(%%L::text[])) as pairs (array_name, item_key)
    )
    select pg_catalog.array_to_tsvector(array[pg_catalog.jsonb_build_array(rule, key, looked_at, broken)::text]) from rules
    $statement$,
    %(record_column)s::text,
    case when %(note_column)s::text = '' then 'true' else pg_catalog.format('%%I is not null', %(note_column)s::text) end,
    %(table)s::text::pg_catalog.regclass,
    %(updated_at_column)s::text, %(updated_at_column)s::text, %(max_records)s::integer,
    %(array_keys)s::text[],
    %(required_keys)s::text[], %(array_keys)s::text[], %(array_keys)s::text[],
    %(item_arrays)s::text[], %(item_keys)s::text[]
))
order by 4 desc, 1, 2
