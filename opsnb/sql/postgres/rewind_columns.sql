-- One row per column of a table that can be written: generated ones are left out.
-- columns: name text
-- params:  schema text | name text
-- needs:   nothing
select a.attname::text as name
from pg_catalog.pg_attribute a
join pg_catalog.pg_class c on c.oid = a.attrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = %(schema)s and c.relname = %(name)s and c.relkind = 'r'
    and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
order by a.attnum
