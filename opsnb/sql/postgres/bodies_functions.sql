-- One row per function, procedure or aggregate of any schema that a body may name.
-- columns: schema text | name text | arguments smallint | defaults smallint | variadic boolean | argument_names text[] | output_names text[] | returns_relation bigint | opaque boolean | takes_row boolean
-- params:  names text[]
-- needs:   nothing
select
    n.nspname::text as schema,
    p.proname::text as name,
    -- a procedure is called with its OUT arguments too
    case p.prokind when 'p' then coalesce(pg_catalog.cardinality(p.proallargtypes), p.pronargs)::smallint else p.pronargs end as arguments,
    p.pronargdefaults as defaults,
    p.provariadic <> 0 as variadic,
    coalesce(p.proargnames, '{}'::text[]) as argument_names,
    array(
        select argument.name
        from rows from (pg_catalog.unnest(p.proargnames), pg_catalog.unnest(p.proargmodes)) as argument (name, mode)
        where argument.mode in ('o', 'b', 't')
    ) as output_names,
    coalesce(t.typrelid, 0)::bigint as returns_relation,
    t.typtype = 'p' and p.prorettype <> 'pg_catalog.void'::pg_catalog.regtype as opaque, -- record, anyelement: known only at the call
    coalesce(f.typtype in ('c', 'p'), false) as takes_row -- its first argument: `row.name` may call it
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
join pg_catalog.pg_type t on t.oid = p.prorettype
left join pg_catalog.pg_type f on f.oid = p.proargtypes[0]
where p.proname = any (%(names)s)
order by 1, 2, p.oid
