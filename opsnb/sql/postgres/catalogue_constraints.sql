-- One row per constraint of the schemas' tables and domains; NOT NULL is told with the column, what a partition inherits with its parent.
-- columns: kind text | object text | type text | definition text | not_valid boolean | triggers_off boolean
-- params:  schemas text[]
-- needs:   nothing
select
    'constraint' as kind,
    pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(coalesce(c.relname, t.typname)) || ': ' || k.conname::text as object,
    case k.contype
        when 'p' then 'primary key'
        when 'f' then 'foreign key'
        when 'u' then 'unique'
        when 'c' then 'check'
        when 'x' then 'exclusion'
    end as type,
    case
        when k.convalidated then pg_catalog.pg_get_constraintdef(k.oid)
        else pg_catalog.regexp_replace(pg_catalog.pg_get_constraintdef(k.oid), ' NOT VALID$', '')
    end as definition,
    not k.convalidated as not_valid,
    coalesce(off.disabled, false) as triggers_off -- DISABLE TRIGGER ALL leaves a foreign key that is not looked at
from pg_catalog.pg_constraint k
join pg_catalog.pg_namespace n on n.oid = k.connamespace
left join pg_catalog.pg_class c on c.oid = k.conrelid
left join pg_catalog.pg_type t on t.oid = k.contypid
left join (
    select g.tgconstraint, true as disabled
    from pg_catalog.pg_trigger g
    where g.tgisinternal and g.tgenabled = 'D' and g.tgconstraint <> 0
    group by g.tgconstraint
) off on off.tgconstraint = k.oid
where n.nspname = any (%(schemas)s)
  and k.contype in ('p', 'f', 'u', 'c', 'x')
  and k.conparentid = 0
  and (k.conislocal or k.coninhcount = 0)
  and coalesce(c.oid, t.oid) not in (
      select e.objid
      from pg_catalog.pg_depend e
      where e.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
        and e.classid in ('pg_catalog.pg_class'::pg_catalog.regclass, 'pg_catalog.pg_type'::pg_catalog.regclass)
        and e.deptype = 'e'
  )
order by k.oid
