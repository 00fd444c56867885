-- One row per defect of the schemas: an object that exists but does not do its work.
-- columns: severity text | kind text | schema text | table_name text | object text | detail text
-- params:  schemas text[]
-- needs:   nothing
with tables as (
    select c.oid, n.nspname::text as schema, c.relname::text as table_name, c.relkind, c.relispartition
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = any (%(schemas)s) and c.relkind in ('r', 'p')
),
defects as (
    select 'error' as severity, 'constraint not validated' as kind, t.schema, t.table_name, k.conname::text as object,
        'rows written before it was added were never checked; run alter table ... validate constraint' as detail
    from pg_catalog.pg_constraint k
    join tables t on t.oid = k.conrelid
    where not k.convalidated
      and coalesce((pg_catalog.to_jsonb(k) ->> 'conenforced')::boolean, true) -- the column exists from PostgreSQL 18 on
    union all
    select 'error', 'constraint not enforced', t.schema, t.table_name, k.conname::text,
        'it is declared but rows are not checked against it'
    from pg_catalog.pg_constraint k
    join tables t on t.oid = k.conrelid
    where not coalesce((pg_catalog.to_jsonb(k) ->> 'conenforced')::boolean, true)
    union all
    select 'error', 'index invalid', t.schema, t.table_name, i.relname::text,
        'a concurrent build did not end; drop it and build it again'
    from pg_catalog.pg_index x
    join tables t on t.oid = x.indrelid
    join pg_catalog.pg_class i on i.oid = x.indexrelid
    where not (x.indisvalid and x.indisready)
    union all
    select 'error', 'trigger disabled', t.schema, t.table_name,
        -- triggers of a foreign key have generated names; the constraint is what a person knows
        coalesce('foreign key ' || k.conname::text, g.tgname::text),
        'it exists but does not fire; run alter table ... enable trigger'
    from pg_catalog.pg_trigger g
    join tables t on t.oid = g.tgrelid
    left join pg_catalog.pg_constraint k on k.oid = g.tgconstraint and g.tgisinternal
    where g.tgenabled = 'D'
    union all
    select 'error', 'rule disabled', t.schema, t.table_name, r.rulename::text,
        'it exists but does not fire; run alter table ... enable rule'
    from pg_catalog.pg_rewrite r
    join tables t on t.oid = r.ev_class
    where r.ev_enabled = 'D'
    union all
    select 'warning', 'no primary key', t.schema, t.table_name, t.table_name,
        'its rows cannot be named one by one: no logical replication of changes, no safe correction'
    from tables t
    where not t.relispartition
      and not exists (select from pg_catalog.pg_constraint k where k.conrelid = t.oid and k.contype = 'p')
)
select distinct severity, kind, schema, table_name, object, detail
from defects
order by severity, kind, schema, table_name, object
limit 1000
