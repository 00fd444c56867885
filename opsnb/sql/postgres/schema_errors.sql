-- One row per defect of the schemas (and of the database's event triggers): an object that exists but does not do its work.
-- columns: severity text | kind text | schema text | table_name text | object text | detail text
-- params:  schemas text[]
-- needs:   nothing
with tables as (
    select c.oid, n.nspname::text as schema, c.relname::text as table_name, c.relkind, c.relispartition, c.relpersistence, c.relreplident,
        n.oid as namespace
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = any (%(schemas)s) and c.relkind in ('r', 'p')
),
keyed as (
    select k.conrelid as oid from pg_catalog.pg_constraint k where k.contype = 'p'
),
defects as (
    select 'error' as severity, 'constraint not validated' as kind, t.schema, t.table_name, k.conname::text as object,
        'rows written before it was added were never checked; run alter table ... validate constraint' as detail
    from pg_catalog.pg_constraint k
    join tables t on t.oid = k.conrelid
    where not k.convalidated
      and coalesce((pg_catalog.to_jsonb(k) ->> 'conenforced')::boolean, true) -- the column exists from PostgreSQL 18 on
    union all
    select 'error', 'constraint not validated', n.nspname::text, d.typname::text, k.conname::text,
        'values stored before it was added to the domain were never checked; run alter domain ... validate constraint'
    from pg_catalog.pg_constraint k
    join pg_catalog.pg_type d on d.oid = k.contypid
    join pg_catalog.pg_namespace n on n.oid = d.typnamespace
    where not k.convalidated and n.nspname = any (%(schemas)s)
    union all
    select 'error', 'constraint not enforced', t.schema, t.table_name, k.conname::text,
        'it is declared but rows are not checked against it'
    from pg_catalog.pg_constraint k
    join tables t on t.oid = k.conrelid
    where not coalesce((pg_catalog.to_jsonb(k) ->> 'conenforced')::boolean, true)
    union all
    select case when b.index_relid is null then 'error' else 'warning' end,
        case when b.index_relid is null then 'index invalid' else 'index being built' end,
        t.schema, t.table_name, i.relname::text,
        case
            when b.index_relid is not null then 'it is being built now, and not used yet'
            when i.relkind = 'I' then 'not every partition has its index attached; create and attach those that are missing'
            else 'a concurrent build did not end; drop it and build it again'
        end
    from pg_catalog.pg_index x
    join tables t on t.oid = x.indrelid
    join pg_catalog.pg_class i on i.oid = x.indexrelid
    left join pg_catalog.pg_stat_progress_create_index b on b.index_relid = x.indexrelid
    where not (x.indisvalid and x.indisready)
    union all
    select 'error', 'trigger disabled', t.schema, t.table_name,
        -- triggers of a foreign key have generated names; the constraint is what a person knows
        coalesce('foreign key ' || k.conname::text, g.tgname::text),
        case g.tgenabled
            when 'D' then 'it exists but does not fire; run alter table ... enable trigger'
            else 'it fires in sessions that replicate only; run alter table ... enable trigger'
        end
    from pg_catalog.pg_trigger g
    join tables t on t.oid = g.tgrelid
    left join pg_catalog.pg_constraint k on k.oid = g.tgconstraint and g.tgisinternal
    where g.tgenabled in ('D', 'R')
    union all
    select 'error', 'rule disabled', n.nspname::text, c.relname::text, r.rulename::text,
        case r.ev_enabled
            when 'D' then 'it exists but does not act; run alter table ... enable rule'
            else 'it acts in sessions that replicate only; run alter table ... enable rule'
        end
    from pg_catalog.pg_rewrite r
    join pg_catalog.pg_class c on c.oid = r.ev_class
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where r.ev_enabled in ('D', 'R') and n.nspname = any (%(schemas)s)
    union all
    select 'error', 'event trigger disabled', '', '', e.evtname::text,
        case e.evtenabled
            when 'D' then 'it exists but does not fire; run alter event trigger ... enable'
            else 'it fires in sessions that replicate only; run alter event trigger ... enable'
        end
    from pg_catalog.pg_event_trigger e
    where e.evtenabled in ('D', 'R')
    union all
    select 'error', 'partition half detached', t.schema, t.table_name, t.table_name,
        'a concurrent detach did not end; run alter table ... detach partition ... finalize'
    from pg_catalog.pg_inherits h
    join tables t on t.oid = h.inhrelid
    where h.inhdetachpending
    union all
    select 'error', 'published without identity', t.schema, t.table_name, p.pubname::text,
        'every update or delete of a row is refused while it is published; give it a primary key or a replica identity'
    from pg_catalog.pg_publication p
    join tables t
        on p.puballtables
        or exists (select from pg_catalog.pg_publication_rel r where r.prpubid = p.oid and r.prrelid = t.oid)
        or exists (select from pg_catalog.pg_publication_namespace s where s.pnpubid = p.oid and s.pnnspid = t.namespace)
    where (p.pubupdate or p.pubdelete)
      and t.relkind = 'r' and t.relpersistence = 'p'
      and case t.relreplident
          when 'f' then false
          when 'd' then not exists (select from keyed where keyed.oid = t.oid)
          when 'i' then not exists (select from pg_catalog.pg_index x where x.indrelid = t.oid and x.indisreplident)
          else true
      end
    union all
    select 'error', 'foreign table unreachable', n.nspname::text, c.relname::text, s.srvname::text,
        'the foreign-data wrapper of its server has no handler: every access is an error'
    from pg_catalog.pg_foreign_table f
    join pg_catalog.pg_class c on c.oid = f.ftrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_foreign_server s on s.oid = f.ftserver
    join pg_catalog.pg_foreign_data_wrapper w on w.oid = s.srvfdw
    where w.fdwhandler = 0 and n.nspname = any (%(schemas)s)
    union all
    select 'warning', 'foreign key of another type', t.schema, t.table_name, k.conname::text,
        'its column is ' || pg_catalog.format_type(a.atttypid, a.atttypmod) || ', the one it refers to '
        || pg_catalog.format_type(r.atttypid, r.atttypmod) || ': one of them will not hold every value of the other'
    from pg_catalog.pg_constraint k
    join tables t on t.oid = k.conrelid
    cross join lateral rows from (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey)) as pair (own, referred)
    join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = pair.own
    join pg_catalog.pg_attribute r on r.attrelid = k.confrelid and r.attnum = pair.referred
    where k.contype = 'f' and a.atttypid <> r.atttypid and k.conparentid = 0
    union all
    select 'warning', 'partitioned table without partitions', t.schema, t.table_name, t.table_name,
        'every insert is refused until it has a partition for the row'
    from tables t
    where t.relkind = 'p' and not exists (select from pg_catalog.pg_inherits h where h.inhparent = t.oid)
    union all
    select 'warning', 'unlogged table', t.schema, t.table_name, t.table_name,
        'it is emptied after a crash, and is in no physical backup or replica'
    from tables t
    where t.relpersistence = 'u'
    union all
    select 'warning', 'no primary key', t.schema, t.table_name, t.table_name,
        'its rows cannot be named one by one: no logical replication of changes, no safe correction'
    from tables t
    where not t.relispartition and not exists (select from keyed where keyed.oid = t.oid)
)
select distinct severity, kind, schema, table_name, object, detail
from defects
order by severity, kind, schema, table_name, object, detail
limit 1000
