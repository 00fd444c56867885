-- One row per database of the server and kind of id: how far the oldest row not frozen yet lies behind.
-- columns: kind text | database text | age bigint | freeze_at bigint
-- params:  none
-- needs:   nothing
select 'transaction ids' as kind, d.datname::text as database, pg_catalog.age(d.datfrozenxid)::bigint as age,
    pg_catalog.current_setting('autovacuum_freeze_max_age')::bigint as freeze_at -- where autovacuum begins to force freezing
from pg_catalog.pg_database d
union all
select 'multixact ids', d.datname::text, pg_catalog.mxid_age(d.datminmxid)::bigint,
    pg_catalog.current_setting('autovacuum_multixact_freeze_max_age')::bigint
from pg_catalog.pg_database d
order by 1, 2
