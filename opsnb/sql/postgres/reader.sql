-- The role that reads: what it may see, what it may do beyond reading, whom it may become. One row.
-- columns: role text | superuser boolean | bypasses_rls boolean | reads_everything boolean | monitors boolean | writes boolean | may_become text[] | encrypted boolean | extensions text[]
-- params:  api_roles text[]
-- needs:   nothing
select
    current_user::text as role,
    r.rolsuper as superuser,
    r.rolbypassrls or r.rolsuper as bypasses_rls,
    pg_catalog.pg_has_role(r.oid, 'pg_read_all_data'::regrole::oid, 'usage') as reads_everything,
    pg_catalog.pg_has_role(r.oid, 'pg_monitor'::regrole::oid, 'usage') as monitors,
    r.rolsuper or r.rolcreaterole or pg_catalog.pg_has_role(r.oid, 'pg_write_all_data'::regrole::oid, 'usage') or exists (
        select from pg_catalog.pg_class c
        where c.relkind in ('r', 'p') and c.relowner = r.oid and c.relnamespace >= 16384
    ) as writes,
    array(
        select a.rolname::text
        from pg_catalog.pg_roles a
        where a.rolname = any (%(api_roles)s) and pg_catalog.pg_has_role(
            r.oid, a.oid, case when pg_catalog.current_setting('server_version_num')::integer >= 160000 then 'set' else 'member' end
        )
        order by a.rolname
    ) as may_become,
    coalesce((select s.ssl from pg_catalog.pg_stat_ssl s where s.pid = pg_catalog.pg_backend_pid()), false) as encrypted,
    array(select e.extname::text from pg_catalog.pg_extension e order by e.extname) as extensions
from pg_catalog.pg_roles r
where r.rolname = current_user
