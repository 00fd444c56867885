-- One row per rewrite rule of the schemas' relations; a view's own is its definition.
-- columns: kind text | object text | definition text | enabled text
-- params:  schemas text[]
-- needs:   nothing
select
    'rule' as kind,
    pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) || ': ' || r.rulename::text as object,
    pg_catalog.pg_get_ruledef(r.oid) as definition,
    case r.ev_enabled when 'D' then 'disabled' when 'R' then 'replica only' when 'A' then 'always' end as enabled
from pg_catalog.pg_rewrite r
join pg_catalog.pg_class c on c.oid = r.ev_class
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = any (%(schemas)s)
  and r.rulename <> '_RETURN'
  and c.oid not in (
      select e.objid
      from pg_catalog.pg_depend e
      where e.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
        and e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
        and e.deptype = 'e'
  )
order by r.oid
