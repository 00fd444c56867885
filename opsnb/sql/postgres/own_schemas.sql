-- One row per schema of the project itself: not the server's, not the platform's, no session's.
-- columns: name text
-- params:  platform text
-- needs:   nothing
select n.nspname::text as name
from pg_catalog.pg_namespace n
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and n.nspname !~ %(platform)s
order by 1
