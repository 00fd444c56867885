-- One row per sequence of the schemas that could run out: how much of it is used.
-- columns: schema text | name text | used numeric | capacity numeric | feeds text
-- params:  schemas text[]
-- needs:   select on the sequences; used is null where the role may not read one
-- A value is read as a row of the sequence (ts_stat runs a query given as text): pg_sequence_last_value() would lock it as nextval does.
-- Sequences whose limit lies beyond 2^53 are left out; of the others the 500 of the largest tables are read, for each stays locked till
-- the statement ends (AccessShare).
with candidates as (
    select s.seqrelid, n.nspname::text as schema, c.relname::text as name, t.relname::text as table_name, a.attname::text as column_name,
        pg_catalog.format_type(a.atttypid, null) as column_type, s.seqincrement,
        case
            when s.seqincrement < 0 then -s.seqmin::numeric
            else least(
                s.seqmax::numeric,
                case a.atttypid
                    when 'pg_catalog.int2'::pg_catalog.regtype then 32767
                    when 'pg_catalog.int4'::pg_catalog.regtype then 2147483647
                    else s.seqmax::numeric
                end
            )
        end as capacity,
        coalesce(t.reltuples, 0) as rows,
        s.seqcycle
    from pg_catalog.pg_sequence s
    join pg_catalog.pg_class c on c.oid = s.seqrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    left join lateral (
        -- the column that owns it, else one whose default calls it
        select d.refobjid as relation, d.refobjsubid as column_number
        from pg_catalog.pg_depend d
        where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = s.seqrelid and d.deptype in ('a', 'i')
          and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjsubid > 0
        union all
        select e.adrelid, e.adnum
        from pg_catalog.pg_depend d
        join pg_catalog.pg_attrdef e on e.oid = d.objid
        where d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
          and d.refobjid = s.seqrelid
        limit 1
    ) o on true
    left join pg_catalog.pg_class t on t.oid = o.relation
    left join pg_catalog.pg_attribute a on a.attrelid = o.relation and a.attnum = o.column_number
    where n.nspname = any (%(schemas)s)
),
sequences as (
    select x.*, pg_catalog.has_sequence_privilege(x.seqrelid, 'select') and pg_catalog.has_schema_privilege(x.schema, 'usage') as readable
    from candidates x
    where x.capacity < 9007199254740992 and not x.seqcycle
    order by x.rows desc, x.schema, x.name
    limit 500
),
room as (
    select s.schema, s.name,
        case when s.readable then pg_catalog.abs(v.word::numeric) end as used,
        s.capacity,
        case
            when s.table_name is not null then s.table_name || '.' || s.column_name || ' (' || s.column_type || ')'
            else 'no column'
        end as feeds
    from sequences s
    left join lateral pg_catalog.ts_stat(
        case
            when s.readable then pg_catalog.format(
                'select pg_catalog.array_to_tsvector(array[(case when q.is_called then q.last_value else q.last_value - %%s end)::text]) from %%I.%%I q',
                s.seqincrement, s.schema, s.name
            )
            else 'select null::pg_catalog.tsvector where false'
        end
    ) v on true
)
select schema, name, used, capacity, feeds
from room
order by schema, name
