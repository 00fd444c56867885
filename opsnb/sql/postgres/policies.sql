-- One row per policy of the schemas' tables; api_roles are those of the given roles it applies to, by name, by membership or through public.
-- columns: schema text | table_name text | name text | rls boolean | permissive boolean | command text | roles text | api_roles text[] | using_expression text | check_expression text
-- params:  schemas text[] | api_roles text[]
-- needs:   nothing
select
    n.nspname::text as schema,
    c.relname::text as table_name,
    p.polname::text as name,
    c.relrowsecurity as rls,
    p.polpermissive as permissive,
    case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end as command,
    case
        when 0::pg_catalog.oid = any (p.polroles) then 'public'
        else (select pg_catalog.string_agg(r.rolname::text, ', ' order by r.rolname) from pg_catalog.pg_roles r where r.oid = any (p.polroles))
    end as roles,
    array(
        select r.rolname::text
        from pg_catalog.pg_roles r
        where r.rolname = any (%(api_roles)s)
          and (
              0::pg_catalog.oid = any (p.polroles)
              or exists (select from pg_catalog.unnest(p.polroles) as member where pg_catalog.pg_has_role(r.oid, member, 'usage'))
          )
        order by 1
    ) as api_roles,
    pg_catalog.pg_get_expr(p.polqual, p.polrelid) as using_expression,
    pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) as check_expression
from pg_catalog.pg_policy p
join pg_catalog.pg_class c on c.oid = p.polrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = any (%(schemas)s)
order by 1, 2, 3
