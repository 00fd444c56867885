-- The server whose catalogue is read, and whether its storage buckets can be read as well: one row.
-- columns: version text | version_number integer | buckets text
-- params:  none
-- needs:   nothing
select
    pg_catalog.current_setting('server_version') as version,
    pg_catalog.current_setting('server_version_num')::integer as version_number,
    coalesce(
        (
            select
                case
                    -- asked in this order: without the right on the schema, the table's is none
                    when not pg_catalog.has_schema_privilege(n.oid, 'USAGE') then 'denied'
                    when not pg_catalog.has_table_privilege(c.oid, 'SELECT') then 'denied'
                    else 'readable'
                end
            from pg_catalog.pg_class c
            join pg_catalog.pg_namespace n on n.oid = c.relnamespace
            where n.nspname = 'storage' and c.relname = 'buckets' and c.relkind in ('r', 'p')
        ),
        'absent'
    ) as buckets
order by 1
