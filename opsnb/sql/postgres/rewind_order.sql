-- One row per foreign key between two tables: which refers to which.
-- columns: child_schema text | child text | parent_schema text | parent text
-- params:  none
-- needs:   nothing
select distinct
    cn.nspname::text as child_schema, c.relname::text as child, pn.nspname::text as parent_schema, p.relname::text as parent
from pg_catalog.pg_constraint k
join pg_catalog.pg_class c on c.oid = k.conrelid
join pg_catalog.pg_namespace cn on cn.oid = c.relnamespace
join pg_catalog.pg_class p on p.oid = k.confrelid
join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace
where k.contype = 'f' and k.conrelid <> k.confrelid
order by 1, 2, 3, 4
