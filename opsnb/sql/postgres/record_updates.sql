-- One row: signed notes of the period and how many of them are in their patient's record.
-- columns: notes bigint | merged bigint | waiting bigint | not_merged bigint | without_record bigint | oldest_not_merged_s float8 (seconds)
-- params:  record_table text | record_patient_column text | updated_at_column text | note_table text | note_patient_column text | signed_at_column text | within_s float8 | grace_s float8
-- needs:   read access to the record and note tables
-- ts_stat runs a query given as text, read-only: the release names the tables, format() quotes their names.
-- A note is merged when its patient's record was updated at or after its signature; waiting: signed less than grace_s ago and not merged yet.
select
    (word::jsonb ->> 0)::bigint as notes,
    (word::jsonb ->> 1)::bigint as merged,
    (word::jsonb ->> 2)::bigint as waiting,
    (word::jsonb ->> 3)::bigint as not_merged,
    (word::jsonb ->> 4)::bigint as without_record,
    (word::jsonb ->> 5)::float8 as oldest_not_merged_s
from pg_catalog.ts_stat(pg_catalog.format(
    $statement$
    with signed as (
        select
            extract(epoch from pg_catalog.now() - note.%%I)::float8 as age_s,
            record.%%I is not null as has_record,
            coalesce(record.%%I >= note.%%I, false) as merged
        from %%s as note
        left join %%s as record on record.%%I = note.%%I
        where note.%%I > pg_catalog.now() - pg_catalog.make_interval(secs => %%L)
    )
    select pg_catalog.array_to_tsvector(array[pg_catalog.jsonb_build_array(
        pg_catalog.count(*),
        pg_catalog.count(*) filter (where merged),
        pg_catalog.count(*) filter (where not merged and age_s <= %%L),
        pg_catalog.count(*) filter (where not merged and age_s > %%L),
        pg_catalog.count(*) filter (where not has_record),
        pg_catalog.max(age_s) filter (where not merged and age_s > %%L)
    )::text])
    from signed
    $statement$,
    %(signed_at_column)s::text,
    %(record_patient_column)s::text,
    %(updated_at_column)s::text, %(signed_at_column)s::text,
    %(note_table)s::text::pg_catalog.regclass,
    %(record_table)s::text::pg_catalog.regclass, %(record_patient_column)s::text, %(note_patient_column)s::text,
    %(signed_at_column)s::text, %(within_s)s::float8,
    %(grace_s)s::float8, %(grace_s)s::float8, %(grace_s)s::float8
))
