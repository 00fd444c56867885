-- One row per migration in the remote history; none where the history table does not exist.
-- columns: version text | name text | statements_hash text
-- params:  none
-- needs:   read access to supabase_migrations.schema_migrations
-- ts_stat runs a query given as text: the only read-only way to name a table that may be missing in one statement.
-- The hash is of the statements without comments, white space and semicolons (checks.migrations.statements_hash does the same to a
-- file): no text leaves the server. It is null where the history keeps no statements; older histories have no such column, nor names.
with history as (
    select word::jsonb as migration
    from pg_catalog.ts_stat(
        case
            when pg_catalog.to_regclass('supabase_migrations.schema_migrations') is null
                then 'select null::pg_catalog.tsvector where false'
            else 'select pg_catalog.array_to_tsvector(array[pg_catalog.jsonb_build_array(h.version, h.kept ->> ''name'','
                ' case when pg_catalog.jsonb_typeof(h.kept -> ''statements'') = ''array'' then pg_catalog.encode(pg_catalog.sha256('
                'pg_catalog.convert_to(pg_catalog.regexp_replace(pg_catalog.regexp_replace(pg_catalog.regexp_replace(coalesce(('
                'select pg_catalog.string_agg(s.text, E''\n'' order by s.place)'
                ' from pg_catalog.jsonb_array_elements_text(h.kept -> ''statements'') with ordinality as s (text, place)), ''''),'
                ' ''/[*].*?[*]/'', '''', ''g''), ''--[^\n]*'', '''', ''g''), ''[ \t\r\n\f\v;]+'', '''', ''g''), ''UTF8'')), ''hex'') end)::text])'
                ' from (select m.version::text as version, pg_catalog.to_jsonb(m) as kept'
                ' from supabase_migrations.schema_migrations m order by m.version desc limit 5000) h'
        end
    )
)
select migration ->> 0 as version, coalesce(migration ->> 1, '') as name, migration ->> 2 as statements_hash
from history
order by 1, 2
