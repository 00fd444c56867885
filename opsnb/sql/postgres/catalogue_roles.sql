-- One row per role that is none of the server's own: what it may do past every grant and policy, and whose rights it has.
-- columns: kind text | object text | superuser boolean | bypasses_rls boolean | can_login boolean | creates_roles boolean | replicates boolean | member_of text
-- params:  none
-- needs:   nothing
select
    'role' as kind,
    r.rolname::text as object,
    r.rolsuper as superuser,
    r.rolbypassrls as bypasses_rls,
    r.rolcanlogin as can_login,
    r.rolcreaterole as creates_roles,
    r.rolreplication as replicates,
    (
        select pg_catalog.string_agg(distinct g.rolname::text, ', ' order by g.rolname::text)
        from pg_catalog.pg_auth_members m
        join pg_catalog.pg_roles g on g.oid = m.roleid
        where m.member = r.oid
    ) as member_of
from pg_catalog.pg_roles r
where r.rolname !~ '^pg_'
order by r.rolname
