-- One row per role that can log in and is not the server's or the platform's own: its password is in no backup.
-- columns: role text
-- params:  none
-- needs:   nothing
select r.rolname::text as role
from pg_catalog.pg_roles r
where r.rolcanlogin
    and r.rolname !~ '^(pg_|supabase_|rds)'
    and r.rolname not in ('postgres', 'authenticator', 'pgbouncer', 'dashboard_user', 'cloudsqladmin', 'azure_superuser')
order by 1
