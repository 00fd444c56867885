-- One row per trigger of the schemas' tables, and per trigger of another schema's table that calls a function of theirs.
-- columns: kind text | object text | definition text | enabled text | inherited boolean
-- params:  schemas text[]
-- needs:   nothing
select
    'trigger' as kind,
    pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) || ': ' || t.tgname::text as object,
    pg_catalog.pg_get_triggerdef(t.oid) as definition,
    case t.tgenabled when 'D' then 'disabled' when 'R' then 'replica only' when 'A' then 'always' end as enabled,
    t.tgparentid <> 0 as inherited
from pg_catalog.pg_trigger t
join pg_catalog.pg_class c on c.oid = t.tgrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_proc p on p.oid = t.tgfoid
join pg_catalog.pg_namespace f on f.oid = p.pronamespace
where not t.tgisinternal
  and (n.nspname = any (%(schemas)s) or f.nspname = any (%(schemas)s))
  and t.oid not in (
      select e.objid
      from pg_catalog.pg_depend e
      where e.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
        and e.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass
        and e.deptype = 'e'
  )
order by t.oid
