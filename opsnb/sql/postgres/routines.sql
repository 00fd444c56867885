-- One row per function or procedure of the schemas; extensions' own are left out.
-- columns: schema text | name text | arguments text | argument_types text | returns text | kind text | language text | volatility text | security_definer boolean | search_path_fixed boolean
-- params:  schemas text[]
-- needs:   nothing
select
    n.nspname::text as schema,
    p.proname::text as name,
    pg_catalog.pg_get_function_identity_arguments(p.oid) as arguments,
    pg_catalog.oidvectortypes(p.proargtypes) as argument_types,
    pg_catalog.pg_get_function_result(p.oid) as returns, -- null for a procedure
    case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' when 'w' then 'window' else 'function' end as kind,
    l.lanname::text as language,
    case p.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end as volatility,
    p.prosecdef as security_definer,
    exists (
        select from pg_catalog.unnest(p.proconfig) as setting where setting like 'search\_path=%%'
    ) as search_path_fixed
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
join pg_catalog.pg_language l on l.oid = p.prolang
where n.nspname = any (%(schemas)s)
  and not exists (
      select from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objid = p.oid and d.deptype = 'e'
  )
order by 1, 2, 3
