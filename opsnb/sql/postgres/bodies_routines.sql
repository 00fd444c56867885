-- One row per function or procedure of the schemas whose body is a text of its own; extensions' and aggregates are left out.
-- columns: oid bigint | schema text | name text | arguments text | language text | body text | bound boolean | argument_names text[] | argument_types text[] | argument_relations bigint[] | trigger_kind text | trigger_tables bigint[] | transition_tables text[] | search_path text
-- params:  schemas text[]
-- needs:   nothing
select
    p.oid::bigint as oid,
    n.nspname::text as schema,
    p.proname::text as name,
    pg_catalog.pg_get_function_identity_arguments(p.oid) as arguments,
    l.lanname::text as language,
    coalesce(p.prosrc, '') as body,
    coalesce(pg_catalog.to_jsonb(p) ->> 'prosqlbody' is not null, false) as bound, -- begin atomic: Postgres keeps it resolved
    coalesce(p.proargnames, '{}'::text[]) as argument_names,
    array(
        select pg_catalog.format_type(argument.type, null)
        from pg_catalog.unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) with ordinality as argument (type, place)
        order by argument.place
    ) as argument_types,
    array(
        select coalesce(t.typrelid, 0)::bigint
        from pg_catalog.unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) with ordinality as argument (type, place)
        left join pg_catalog.pg_type t on t.oid = argument.type
        order by argument.place
    ) as argument_relations,
    case p.prorettype
        when 'pg_catalog.trigger'::pg_catalog.regtype then 'trigger'
        when 'pg_catalog.event_trigger'::pg_catalog.regtype then 'event trigger'
        else ''
    end as trigger_kind,
    coalesce(g.tables, '{}'::bigint[]) as trigger_tables,
    coalesce(g.transitions, '{}'::text[]) as transition_tables,
    (
        select pg_catalog.substr(setting, 13)
        from pg_catalog.unnest(p.proconfig) as setting
        where setting like 'search\_path=%%'
    ) as search_path -- null: that of the caller
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
join pg_catalog.pg_language l on l.oid = p.prolang
left join (
    select
        t.tgfoid,
        pg_catalog.array_agg(distinct t.tgrelid::bigint) as tables,
        pg_catalog.array_agg(distinct name.text::text) filter (where name.text is not null) as transitions
    from pg_catalog.pg_trigger t
    cross join lateral (values (t.tgoldtable), (t.tgnewtable)) as name (text)
    where not t.tgisinternal and t.tgparentid = 0 -- a partition's trigger is its parent's
    group by t.tgfoid
) g on g.tgfoid = p.oid
where n.nspname = any (%(schemas)s)
  and p.prokind in ('f', 'p')
  and l.lanname not in ('internal', 'c')
  and not exists (
      select from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objid = p.oid and d.deptype = 'e'
  )
order by 2, 3, 4, 1
