-- One row per function or procedure of the schemas with its body; aggregates, extensions' own and trigger functions' privileges aside.
-- columns: schema text | name text | arguments text | argument_names text[] | language text | volatility text | definer boolean | returns text | owner text | owner_ignores_rls boolean | search_path_fixed boolean | executable_by text[] | body text
-- params:  schemas text[] | api_roles text[]
-- needs:   nothing
select
    n.nspname::text as schema,
    p.proname::text as name,
    pg_catalog.pg_get_function_identity_arguments(p.oid) as arguments,
    coalesce(p.proargnames, '{}'::text[]) as argument_names,
    l.lanname::text as language,
    case p.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end as volatility,
    p.prosecdef as definer,
    pg_catalog.format_type(p.prorettype, null) as returns,
    o.rolname::text as owner,
    o.rolsuper or o.rolbypassrls as owner_ignores_rls,
    exists (
        select from pg_catalog.unnest(p.proconfig) as setting where setting like 'search\_path=%%'
    ) as search_path_fixed,
    case
        when p.prorettype in ('pg_catalog.trigger'::pg_catalog.regtype, 'pg_catalog.event_trigger'::pg_catalog.regtype) then '{}'::text[]
        else array(
            select r.rolname::text
            from pg_catalog.pg_roles r
            where r.rolname = any (%(api_roles)s)
              and pg_catalog.has_schema_privilege(r.oid, n.oid, 'USAGE')
              and pg_catalog.has_function_privilege(r.oid, p.oid, 'EXECUTE')
            order by 1
        )
    end as executable_by,
    coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc, '') as body
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
join pg_catalog.pg_language l on l.oid = p.prolang
join pg_catalog.pg_roles o on o.oid = p.proowner
where n.nspname = any (%(schemas)s)
  and p.prokind in ('f', 'p')
  and not exists (
      select from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objid = p.oid and d.deptype = 'e'
  )
order by 1, 2, 3
