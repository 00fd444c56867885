-- One row per trigger of a table that is switched on and is no constraint's: its name, and O (origin) or A (always).
-- columns: trigger text | state text
-- params:  schema text | name text
-- needs:   nothing
select t.tgname::text as trigger, t.tgenabled::text as state
from pg_catalog.pg_trigger t
join pg_catalog.pg_class c on c.oid = t.tgrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = %(schema)s and c.relname = %(name)s and not t.tgisinternal and t.tgenabled in ('O', 'A')
order by 1
