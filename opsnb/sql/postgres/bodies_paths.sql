-- One row per schema; usual ones are on the search_path that a session of this database starts with, of whatever role.
-- columns: schema text | usual boolean
-- params:  none
-- needs:   nothing
with settings as (
    select pg_catalog.current_setting('search_path') as path
    union all
    select pg_catalog.substr(setting, 13)
    from pg_catalog.pg_db_role_setting s
    cross join lateral pg_catalog.unnest(s.setconfig) as setting
    where s.setdatabase in (0, (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()))
      and setting like 'search\_path=%'
),
usual as (
    select pg_catalog.btrim(part, ' "') as schema
    from settings
    cross join lateral pg_catalog.regexp_split_to_table(settings.path, ',') as part
)
select
    n.nspname::text as schema,
    n.nspname in (select usual.schema from usual) or n.nspname = 'public' as usual
from pg_catalog.pg_namespace n
where n.nspname not like 'pg\_temp\_%' and n.nspname not like 'pg\_toast%'
order by 1
