-- One row per role and kind of object that gets other grants than Postgres' own when it is made, in one of the schemas or in all.
-- columns: kind text | object text | grants text
-- params:  schemas text[]
-- needs:   nothing
select
    'default privileges' as kind,
    case d.defaclobjtype
        when 'r' then 'tables'
        when 'S' then 'sequences'
        when 'f' then 'functions'
        when 'T' then 'types'
        when 'n' then 'schemas'
        else 'large objects'
    end
        || ' made by ' || pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(d.defaclrole))
        || coalesce(' in ' || pg_catalog.quote_ident(n.nspname), '') as object,
    d.defaclacl::text as grants
from pg_catalog.pg_default_acl d
left join pg_catalog.pg_namespace n on n.oid = d.defaclnamespace
where d.defaclnamespace = 0 or n.nspname = any (%(schemas)s)
order by d.oid
