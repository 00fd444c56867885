-- One row per schema whose objects are compared: those asked for, or all but the server's and the platform's own (a regular expression).
-- columns: kind text | object text | owner text | grants text | name text | oid bigint | of_extension boolean
-- params:  schemas text[] | platform text
-- needs:   nothing
select
    'schema' as kind,
    pg_catalog.quote_ident(n.nspname) as object,
    pg_catalog.pg_get_userbyid(n.nspowner)::text as owner,
    coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))::text as grants,
    n.nspname::text as name,
    n.oid::bigint as oid,
    n.oid in (
        select d.objid
        from pg_catalog.pg_depend d
        where d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
          and d.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
          and d.deptype = 'e'
    ) as of_extension
from pg_catalog.pg_namespace n
where case
    when %(schemas)s::text[] is null
        then n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and n.nspname !~ %(platform)s
    else n.nspname = any (%(schemas)s::text[])
end
order by n.nspname
