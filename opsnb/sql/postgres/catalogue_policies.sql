-- One row per policy of the schemas' tables and of the platform's guarded tables; its roles as an array's text, `-` for everybody.
-- columns: kind text | object text | restrictive boolean | command text | roles text | using text | check text
-- params:  schemas text[] | guarded text[]
-- needs:   nothing
select
    'policy' as kind,
    pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) || ': ' || p.polname::text as object,
    not p.polpermissive as restrictive,
    case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end as command,
    p.polroles::pg_catalog.regrole[]::text as roles,
    pg_catalog.pg_get_expr(p.polqual, p.polrelid) as using,
    pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) as "check"
from pg_catalog.pg_policy p
join pg_catalog.pg_class c on c.oid = p.polrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where (n.nspname = any (%(schemas)s) or n.nspname || '.' || c.relname = any (%(guarded)s))
  and c.oid not in (
      select e.objid
      from pg_catalog.pg_depend e
      where e.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
        and e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
        and e.deptype = 'e'
  )
order by p.oid
