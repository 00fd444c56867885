-- One row per migration in the remote history; none where the history table does not exist.
-- columns: version text | name text
-- params:  none
-- needs:   read access to supabase_migrations.schema_migrations
-- ts_stat runs a query given as text: the only read-only way to name a table that may be missing in one statement.
with history as (
    select word::jsonb as migration
    from pg_catalog.ts_stat(
        case
            when pg_catalog.to_regclass('supabase_migrations.schema_migrations') is null
                then 'select null::pg_catalog.tsvector where false'
            else 'select pg_catalog.array_to_tsvector(array[pg_catalog.jsonb_build_array(h.version, h.name)::text])'
                ' from supabase_migrations.schema_migrations h order by h.version desc limit 5000'
        end
    )
)
select migration ->> 0 as version, coalesce(migration ->> 1, '') as name
from history
order by 1, 2
