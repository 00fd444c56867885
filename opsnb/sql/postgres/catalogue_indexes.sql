-- One row per index of the schemas that no constraint stands for and no partition inherits.
-- columns: kind text | object text | table text | definition text | invalid boolean
-- params:  schemas text[]
-- needs:   nothing
select
    'index' as kind,
    pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(x.relname) as object,
    i.indrelid::pg_catalog.regclass::text as "table",
    pg_catalog.pg_get_indexdef(i.indexrelid) as definition,
    not (i.indisvalid and i.indisready and i.indislive) as invalid
from pg_catalog.pg_index i
join pg_catalog.pg_class x on x.oid = i.indexrelid
join pg_catalog.pg_namespace n on n.oid = x.relnamespace
where n.nspname = any (%(schemas)s)
  and not x.relispartition
  and i.indexrelid not in (select k.conindid from pg_catalog.pg_constraint k where k.contype in ('p', 'u', 'x')) -- hashed, whatever the planner knows
  and i.indrelid not in (
      select e.objid
      from pg_catalog.pg_depend e
      where e.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
        and e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
        and e.deptype = 'e'
  )
order by i.indexrelid
