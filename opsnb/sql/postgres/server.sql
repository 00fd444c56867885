-- The server that answered: one row.
-- columns: version text | version_number integer | now timestamptz | role text | database text | read_only boolean | in_recovery boolean | started timestamptz | bypasses_rls boolean
-- params:  none
-- needs:   nothing
select
    pg_catalog.current_setting('server_version') as version,
    pg_catalog.current_setting('server_version_num')::integer as version_number,
    pg_catalog.clock_timestamp() as now,
    current_user::text as role,
    pg_catalog.current_database()::text as database,
    pg_catalog.current_setting('transaction_read_only')::boolean as read_only,
    pg_catalog.pg_is_in_recovery() as in_recovery,
    pg_catalog.pg_postmaster_start_time() as started,
    (select r.rolbypassrls or r.rolsuper from pg_catalog.pg_roles r where r.rolname = current_user) as bypasses_rls
