-- One row per function of the schemas that runs with its owner's rights; trigger functions and extensions' own are left out: no caller reaches them.
-- columns: schema text | name text | arguments text | volatility text | owner text | owner_ignores_rls boolean | search_path_fixed boolean | executable_by text[]
-- params:  schemas text[] | api_roles text[]
-- needs:   nothing
select
    n.nspname::text as schema,
    p.proname::text as name,
    pg_catalog.pg_get_function_identity_arguments(p.oid) as arguments,
    case p.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end as volatility,
    o.rolname::text as owner,
    o.rolsuper or o.rolbypassrls as owner_ignores_rls,
    exists (
        select from pg_catalog.unnest(p.proconfig) as setting where setting like 'search\_path=%%'
    ) as search_path_fixed,
    array(
        select r.rolname::text
        from pg_catalog.pg_roles r
        where r.rolname = any (%(api_roles)s)
          and pg_catalog.has_schema_privilege(r.oid, n.oid, 'USAGE')
          and pg_catalog.has_function_privilege(r.oid, p.oid, 'EXECUTE')
        order by 1
    ) as executable_by
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
join pg_catalog.pg_roles o on o.oid = p.proowner
where n.nspname = any (%(schemas)s)
  and p.prosecdef
  and p.prorettype not in ('pg_catalog.trigger'::pg_catalog.regtype, 'pg_catalog.event_trigger'::pg_catalog.regtype)
  and not exists (
      select from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objid = p.oid and d.deptype = 'e'
  )
order by 1, 2, 3
