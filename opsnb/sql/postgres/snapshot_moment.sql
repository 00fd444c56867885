-- The moment this transaction stands still at, and the snapshot that a dump can join: one row.
-- columns: at timestamptz | lsn text | snapshot text | version_number integer | version text | database text
-- params:  none
-- needs:   nothing
select
    pg_catalog.transaction_timestamp() as at,
    case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn() else pg_catalog.pg_current_wal_insert_lsn() end::text as lsn,
    pg_catalog.pg_export_snapshot() as snapshot,
    pg_catalog.current_setting('server_version_num')::integer as version_number,
    pg_catalog.current_setting('server_version') as version,
    pg_catalog.current_database()::text as database
