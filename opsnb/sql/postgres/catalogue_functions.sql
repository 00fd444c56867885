-- One row per function, procedure, aggregate and window function of the schemas; a body leaves the server as its SHA-256 only.
-- columns: kind text | object text | arguments text | returns text | language text | owner text | security_definer boolean | search_path text | settings text | volatility text | strict boolean | parallel text | leakproof boolean | body_sha256 text | grants text
-- params:  schemas text[]
-- needs:   nothing
select
    case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' when 'w' then 'window function' else 'function' end as kind,
    pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(p.proname)
        || '(' || pg_catalog.oidvectortypes(p.proargtypes) || ')' as object,
    pg_catalog.pg_get_function_arguments(p.oid) as arguments,
    pg_catalog.pg_get_function_result(p.oid) as returns,
    l.lanname::text as language,
    pg_catalog.pg_get_userbyid(p.proowner)::text as owner,
    p.prosecdef as security_definer,
    (
        select pg_catalog.substr(setting, 13)
        from pg_catalog.unnest(p.proconfig) as setting
        where pg_catalog.starts_with(setting, 'search_path=')
    ) as search_path,
    (
        select pg_catalog.string_agg(setting, ', ' order by setting)
        from pg_catalog.unnest(p.proconfig) as setting
        where not pg_catalog.starts_with(setting, 'search_path=')
    ) as settings,
    case p.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end as volatility,
    p.proisstrict as strict,
    case p.proparallel when 's' then 'safe' when 'r' then 'restricted' end as parallel,
    p.proleakproof as leakproof,
    pg_catalog.encode(
        pg_catalog.sha256(
            pg_catalog.convert_to(
                case
                    when p.prokind = 'a'
                        then pg_catalog.concat_ws(
                            ' | ', a.aggkind, a.aggnumdirectargs, a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn,
                            a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn, a.aggfinalextra, a.aggmfinalextra,
                            a.aggfinalmodify, a.aggmfinalmodify, a.aggsortop::pg_catalog.regoperator,
                            pg_catalog.format_type(a.aggtranstype, null), a.agginitval, a.aggminitval
                        )
                    else coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc || coalesce(' | ' || p.probin, ''))
                end,
                'UTF8'
            )
        ),
        'hex'
    ) as body_sha256,
    coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))::text as grants
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
join pg_catalog.pg_language l on l.oid = p.prolang
left join pg_catalog.pg_aggregate a on a.aggfnoid = p.oid
where n.nspname = any (%(schemas)s)
  and p.oid not in (
      select e.objid
      from pg_catalog.pg_depend e
      where e.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
        and e.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
        and e.deptype = 'e'
  )
order by p.oid
