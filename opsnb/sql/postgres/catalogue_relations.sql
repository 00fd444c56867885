-- One row per table, view and materialised view of the schemas; of the guarded tables of the platform, only whether policies hold.
-- columns: kind text | object text | form text | owner text | rls boolean | rls_forced boolean | unlogged boolean | options text | replica_identity text | partition_by text | partition_of text | inherits text | bound text | server text | definition text | grants text
-- params:  schemas text[] | guarded text[]
-- needs:   nothing
with of_extensions as (
    select d.objid
    from pg_catalog.pg_depend d
    where d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
      and d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
      and d.deptype = 'e'
),
parents as (
    select
        i.inhrelid,
        pg_catalog.string_agg(i.inhparent::pg_catalog.regclass::text, ', ' order by i.inhseqno) as names
    from pg_catalog.pg_inherits i
    group by i.inhrelid
)
select
    case c.relkind when 'v' then 'view' when 'm' then 'materialised view' else 'table' end as kind,
    pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) as object,
    case c.relkind when 'p' then 'partitioned' when 'f' then 'foreign' end as form,
    case when own then pg_catalog.pg_get_userbyid(c.relowner)::text end as owner,
    c.relrowsecurity as rls,
    c.relforcerowsecurity as rls_forced,
    own and c.relpersistence = 'u' as unlogged,
    case
        when own and c.reloptions is not null
            then (select pg_catalog.string_agg(option, ', ' order by option) from pg_catalog.unnest(c.reloptions) as option)
    end as options,
    case
        when not own then null
        when c.relreplident = 'n' and c.relkind in ('r', 'p') then 'nothing'
        when c.relreplident = 'f' then 'full'
        when c.relreplident = 'i'
            then (
                select 'index ' || i.indexrelid::pg_catalog.regclass::text
                from pg_catalog.pg_index i
                where i.indrelid = c.oid and i.indisreplident
            )
    end as replica_identity,
    case when own and c.relkind = 'p' then pg_catalog.pg_get_partkeydef(c.oid) end as partition_by,
    case when own and c.relispartition then parents.names end as partition_of,
    case when own and not c.relispartition then parents.names end as inherits,
    case when own and c.relispartition then pg_catalog.pg_get_expr(c.relpartbound, c.oid) end as bound,
    case
        when own and c.relkind = 'f'
            then (
                select s.srvname::text
                from pg_catalog.pg_foreign_table f
                join pg_catalog.pg_foreign_server s on s.oid = f.ftserver
                where f.ftrelid = c.oid
            )
    end as server, -- never its options: they may hold a password
    case when own and c.relkind in ('v', 'm') then pg_catalog.pg_get_viewdef(c.oid) end as definition,
    case when own then coalesce(c.relacl, pg_catalog.acldefault('r', c.relowner))::text end as grants
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
cross join lateral (select n.nspname = any (%(schemas)s) as own) as place
left join parents on parents.inhrelid = c.oid
where c.relkind in ('r', 'p', 'f', 'v', 'm')
  and (own or n.nspname || '.' || c.relname = any (%(guarded)s))
  and c.oid not in (select o.objid from of_extensions o)
order by c.oid
