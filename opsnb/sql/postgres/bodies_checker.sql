-- One row where the extension plpgsql_check is installed and the role may call it, none where not.
-- columns: schema text | version text
-- params:  none
-- needs:   nothing
select n.nspname::text as schema, e.extversion as version
from pg_catalog.pg_extension e
join pg_catalog.pg_namespace n on n.oid = e.extnamespace
join pg_catalog.pg_proc p on p.pronamespace = n.oid and p.proname = 'plpgsql_check_function_tb'
where e.extname = 'plpgsql_check'
  and pg_catalog.has_schema_privilege(n.oid, 'usage')
  and pg_catalog.has_function_privilege(p.oid, 'execute')
group by n.nspname, e.extversion
order by 1, 2
