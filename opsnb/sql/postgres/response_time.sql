-- One row, for timing: a planned look-up in a catalog index, so that parsing, planning, a lock and a page are in the measurement.
-- columns: found boolean
-- params:  none
-- needs:   nothing
select true as found
from pg_catalog.pg_class c
where c.oid = 'pg_catalog.pg_class'::pg_catalog.regclass
