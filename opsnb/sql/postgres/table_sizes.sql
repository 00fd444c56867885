-- One row per table and materialised view of the schemas, largest first.
-- columns: schema text | name text | total_bytes bigint (bytes) | table_bytes bigint (bytes) | index_bytes bigint (bytes) | estimated_rows bigint | dead_rows bigint
-- params:  schemas text[]
-- needs:   nothing
-- table_bytes includes what is stored out of line (TOAST); a partitioned table's own row is left out, its partitions are counted.
select
    n.nspname::text as schema,
    c.relname::text as name,
    pg_catalog.pg_total_relation_size(c.oid) as total_bytes,
    pg_catalog.pg_table_size(c.oid) as table_bytes,
    pg_catalog.pg_indexes_size(c.oid) as index_bytes,
    c.reltuples::bigint as estimated_rows, -- -1: never analysed
    coalesce(pg_catalog.pg_stat_get_dead_tuples(c.oid), 0) as dead_rows
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = any (%(schemas)s)
  and c.relkind in ('r', 'm')
order by 3 desc, 1, 2
