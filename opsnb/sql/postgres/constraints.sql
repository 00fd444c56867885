-- One row per constraint of the schemas' tables, with its definition: for the saved schema.
-- columns: schema text | table_name text | name text | kind text | definition text | validated boolean
-- params:  schemas text[]
-- needs:   nothing
select
    n.nspname::text as schema,
    c.relname::text as table_name,
    k.conname::text as name,
    case k.contype
        when 'p' then 'primary key' when 'f' then 'foreign key' when 'u' then 'unique' when 'c' then 'check'
        when 'x' then 'exclusion' when 'n' then 'not null' else 'trigger'
    end as kind,
    pg_catalog.pg_get_constraintdef(k.oid) as definition,
    k.convalidated as validated
from pg_catalog.pg_constraint k
join pg_catalog.pg_class c on c.oid = k.conrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = any (%(schemas)s)
order by 1, 2, 3, 5
