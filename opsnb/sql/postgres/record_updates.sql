-- One row: signed notes of the period and how many of them are in their patient's record.
-- columns: notes bigint | merged bigint | waiting bigint | not_merged bigint | without_record bigint | oldest_not_merged_s float8 (seconds) | never_updated bigint | notes_in_future bigint | records_in_future bigint | hidden boolean
-- params:  record_table text | record_patient_column text | updated_at_column text | note_table text | note_patient_column text | signed_at_column text | within_s float8 | grace_s float8
-- needs:   read access to the record and note tables
-- ts_stat runs a query given as text, read-only: the release names the tables, format() quotes their names.
-- A note is merged when its patient's record was updated at or after its signature; waiting: signed less than grace_s ago and not merged yet.
-- Signed or updated more than a minute after now is no proof of anything: such notes are told apart (notes_in_future, in none of the others),
-- and such updates merge nothing (records_in_future counts their notes). Of those not merged, without_record have no row of a record at all
-- and never_updated one whose update has no time. A patient with two records has the newer one. hidden: row security hides rows from this role.
select
    (word::jsonb ->> 0)::bigint as notes,
    (word::jsonb ->> 1)::bigint as merged,
    (word::jsonb ->> 2)::bigint as waiting,
    (word::jsonb ->> 3)::bigint as not_merged,
    (word::jsonb ->> 4)::bigint as without_record,
    (word::jsonb ->> 5)::float8 as oldest_not_merged_s,
    (word::jsonb ->> 6)::bigint as never_updated,
    (word::jsonb ->> 7)::bigint as notes_in_future,
    (word::jsonb ->> 8)::bigint as records_in_future,
    pg_catalog.row_security_active(%(record_table)s::text::pg_catalog.regclass)
        or pg_catalog.row_security_active(%(note_table)s::text::pg_catalog.regclass) as hidden
from pg_catalog.ts_stat(pg_catalog.format(
    $statement$
    with signed as materialized (
        select
            pg_catalog.row_number() over () as number, note.%%I as patient, note.%%I as signed_at,
            extract(epoch from pg_catalog.now() - note.%%I)::float8 as age_s
        from %%s as note
        where note.%%I > pg_catalog.now() - pg_catalog.make_interval(secs => %%L)
    ),
    looked as (
        -- an update in the future says nothing about when it was
        select
            signed.number, signed.age_s, pg_catalog.count(record.%%I) as records,
            pg_catalog.max(record.%%I) filter (where record.%%I <= pg_catalog.now() + interval '1 minute') >= signed.signed_at as merged,
            pg_catalog.count(record.%%I) as updated,
            pg_catalog.count(*) filter (where record.%%I > pg_catalog.now() + interval '1 minute') as ahead
        from signed
        left join %%s as record on record.%%I = signed.patient
        group by signed.number, signed.age_s, signed.signed_at
    ),
    judged as (
        select coalesce(merged, false) as merged, age_s < -60 as early, age_s <= %%L as fresh, age_s, records, updated, ahead from looked
    )
    select pg_catalog.array_to_tsvector(array[pg_catalog.jsonb_build_array(
        pg_catalog.count(*) filter (where not early),
        pg_catalog.count(*) filter (where not early and merged),
        pg_catalog.count(*) filter (where not early and not merged and fresh),
        pg_catalog.count(*) filter (where not early and not merged and not fresh),
        pg_catalog.count(*) filter (where not early and not merged and records = 0),
        pg_catalog.max(age_s) filter (where not merged and not fresh),
        pg_catalog.count(*) filter (where not early and not merged and records > 0 and updated = 0),
        pg_catalog.count(*) filter (where early),
        pg_catalog.count(*) filter (where ahead > 0)
    )::text])
    from judged
    $statement$,
    %(note_patient_column)s::text, %(signed_at_column)s::text, %(signed_at_column)s::text,
    %(note_table)s::text::pg_catalog.regclass,
    %(signed_at_column)s::text, %(within_s)s::float8,
    %(record_patient_column)s::text, %(updated_at_column)s::text, %(updated_at_column)s::text, %(updated_at_column)s::text,
    %(updated_at_column)s::text,
    %(record_table)s::text::pg_catalog.regclass, %(record_patient_column)s::text,
    %(grace_s)s::float8
))
