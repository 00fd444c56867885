-- One row per record (numbered, not named) updated in the period before now, newest first: how it is built, never what it holds.
-- columns: number bigint | updated_s_ago float8 (seconds) | kind text | keys bigint | counts jsonb
-- params:  table text | record_column text | updated_at_column text | array_keys text[] | within_s float8 | max_records integer
-- needs:   read access to the record table
-- ts_stat runs a query given as text, read-only: the release names the table, format() quotes its names.
-- counts: entries per key; null where the value is missing or is no array.
select
    (word::jsonb ->> 0)::bigint as number,
    (word::jsonb ->> 1)::float8 as updated_s_ago,
    word::jsonb ->> 2 as kind,
    (word::jsonb ->> 3)::bigint as keys,
    word::jsonb -> 4 as counts
from pg_catalog.ts_stat(pg_catalog.format(
    $statement$
    select pg_catalog.array_to_tsvector(array[pg_catalog.jsonb_build_array(
        pg_catalog.row_number() over (order by recent.updated_at desc),
        extract(epoch from pg_catalog.now() - recent.updated_at)::float8,
        pg_catalog.jsonb_typeof(recent.record),
        case when pg_catalog.jsonb_typeof(recent.record) = 'object'
            then (select pg_catalog.count(*) from pg_catalog.jsonb_object_keys(recent.record)) end,
        (select pg_catalog.jsonb_object_agg(key,
            case when pg_catalog.jsonb_typeof(recent.record -> key) = 'array' then pg_catalog.jsonb_array_length(recent.record -> key) end)
         from pg_catalog.unnest(%%L::text[]) as key)
    )::text])
    from (
        select %%I::jsonb as record, %%I as updated_at
        from %%s
        where %%I > pg_catalog.now() - pg_catalog.make_interval(secs => %%L)
        order by %%I desc
        limit %%L
    ) as recent
    $statement$,
    %(array_keys)s::text[],
    %(record_column)s::text, %(updated_at_column)s::text,
    %(table)s::text::pg_catalog.regclass,
    %(updated_at_column)s::text, %(within_s)s::float8,
    %(updated_at_column)s::text, %(max_records)s::integer
))
order by 1
