-- One row per table, view, materialised view or foreign table of the schemas and API role that holds a privilege on it.
-- columns: schema text | name text | kind text | rls boolean | policies bigint | role text | privileges text[] | owners_rights boolean
-- params:  schemas text[] | api_roles text[]
-- needs:   nothing
-- owners_rights: a view that reads with its owner's rights, so the reader's policies do not hold in it.
with relations as (
    select c.oid, n.oid as schema_oid, n.nspname::text as schema, c.relname::text as name, c.relkind, c.relrowsecurity, c.reloptions
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = any (%(schemas)s) and c.relkind in ('r', 'p', 'v', 'm', 'f')
),
held as (
    select
        t.*,
        r.rolname::text as role,
        array(
            select privilege
            from pg_catalog.unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) as privilege
            where pg_catalog.has_table_privilege(r.oid, t.oid, privilege)
               or case
                      when privilege in ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES')
                          then pg_catalog.has_any_column_privilege(r.oid, t.oid, privilege)
                      else false
                  end
        ) as privileges
    from relations t
    cross join pg_catalog.pg_roles r
    where r.rolname = any (%(api_roles)s)
      and pg_catalog.has_schema_privilege(r.oid, t.schema_oid, 'USAGE') -- without it no privilege below can be used
)
select
    schema,
    name,
    case relkind
        when 'r' then 'table'
        when 'p' then 'partitioned table'
        when 'v' then 'view'
        when 'm' then 'materialised view'
        else 'foreign table'
    end as kind,
    relrowsecurity as rls,
    (select pg_catalog.count(*) from pg_catalog.pg_policy p where p.polrelid = oid) as policies,
    role,
    privileges,
    relkind = 'v' and not exists (
        select from pg_catalog.unnest(reloptions) as option
        where pg_catalog.lower(option) in ('security_invoker=true', 'security_invoker=on', 'security_invoker=1', 'security_invoker=yes')
    ) as owners_rights
from held
where privileges <> '{}'
order by schema, name, role
