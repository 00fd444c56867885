-- One row per table, view, materialised view and foreign table of the schemas, with whose rights hold in it; a view with its query.
-- columns: schema text | name text | kind text | rls boolean | rls_forced boolean | owner text | owner_ignores_rls boolean | owners_rights boolean | api_roles text[] | readable_by text[] | guarded_by_trigger boolean | definition text
-- params:  schemas text[] | api_roles text[]
-- needs:   nothing
-- owners_rights: a view that reads as its owner. guarded_by_trigger: a trigger may refuse an update before it is made.
select
    n.nspname::text as schema,
    c.relname::text as name,
    case c.relkind
        when 'r' then 'table'
        when 'p' then 'partitioned table'
        when 'v' then 'view'
        when 'm' then 'materialised view'
        else 'foreign table'
    end as kind,
    c.relrowsecurity as rls,
    c.relforcerowsecurity as rls_forced,
    o.rolname::text as owner,
    o.rolsuper or o.rolbypassrls as owner_ignores_rls,
    c.relkind in ('v', 'm') and not exists (
        select from pg_catalog.unnest(c.reloptions) as option
        where pg_catalog.lower(option) in ('security_invoker=true', 'security_invoker=on', 'security_invoker=1', 'security_invoker=yes')
    ) as owners_rights,
    array(
        select r.rolname::text
        from pg_catalog.pg_roles r
        where r.rolname = any (%(api_roles)s)
          and pg_catalog.has_schema_privilege(r.oid, n.oid, 'USAGE')
          and (
              pg_catalog.has_table_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE, DELETE')
              or pg_catalog.has_any_column_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE')
          )
        order by 1
    ) as api_roles,
    array(
        select r.rolname::text
        from pg_catalog.pg_roles r
        where r.rolname = any (%(api_roles)s)
          and pg_catalog.has_schema_privilege(r.oid, n.oid, 'USAGE')
          and (pg_catalog.has_table_privilege(r.oid, c.oid, 'SELECT') or pg_catalog.has_any_column_privilege(r.oid, c.oid, 'SELECT'))
        order by 1
    ) as readable_by,
    exists (
        select from pg_catalog.pg_trigger t
        where t.tgrelid = c.oid and not t.tgisinternal and t.tgenabled in ('O', 'A') and t.tgtype & 2 = 2 and t.tgtype & 16 = 16
    ) as guarded_by_trigger,
    case when c.relkind in ('v', 'm') then pg_catalog.pg_get_viewdef(c.oid) end as definition
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_roles o on o.oid = c.relowner
where n.nspname = any (%(schemas)s)
  and c.relkind in ('r', 'p', 'v', 'm', 'f')
order by 1, 2
