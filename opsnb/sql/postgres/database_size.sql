-- The size of the database that answers: one row.
-- columns: taken_at timestamptz | database text | database_bytes bigint (bytes) | all_databases_bytes bigint (bytes)
-- params:  none
-- needs:   pg_monitor
select
    pg_catalog.clock_timestamp() as taken_at,
    pg_catalog.current_database()::text as database,
    pg_catalog.pg_database_size(pg_catalog.current_database()) as database_bytes,
    (select pg_catalog.sum(pg_catalog.pg_database_size(d.oid))::bigint from pg_catalog.pg_database d where d.datallowconn) as all_databases_bytes
