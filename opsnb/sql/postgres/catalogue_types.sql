-- One row per enum, domain, composite type and range of the schemas.
-- columns: kind text | object text | owner text | labels text | type text | not_null boolean | default text | attributes text | grants text
-- params:  schemas text[]
-- needs:   nothing
select
    case t.typtype when 'e' then 'enum' when 'd' then 'domain' when 'r' then 'range' else 'composite type' end as kind,
    pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(t.typname) as object,
    pg_catalog.pg_get_userbyid(t.typowner)::text as owner,
    case
        when t.typtype = 'e'
            then (
                select pg_catalog.string_agg(pg_catalog.quote_literal(e.enumlabel), ', ' order by e.enumsortorder)
                from pg_catalog.pg_enum e
                where e.enumtypid = t.oid
            )
    end as labels,
    case
        when t.typtype = 'd'
            then pg_catalog.format_type(t.typbasetype, t.typtypmod)
                || case
                    when t.typcollation <> b.typcollation then ' collate ' || t.typcollation::pg_catalog.regcollation::text
                    else ''
                end
        when t.typtype = 'r'
            then (select pg_catalog.format_type(r.rngsubtype, null) from pg_catalog.pg_range r where r.rngtypid = t.oid)
    end as type,
    t.typnotnull as not_null,
    t.typdefault as "default",
    case
        when t.typtype = 'c'
            then (
                select
                    pg_catalog.string_agg(
                        pg_catalog.quote_ident(a.attname) || ' ' || pg_catalog.format_type(a.atttypid, a.atttypmod), ', '
                        order by a.attnum
                    )
                from pg_catalog.pg_attribute a
                where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
            )
    end as attributes,
    coalesce(t.typacl, pg_catalog.acldefault('T', t.typowner))::text as grants
from pg_catalog.pg_type t
join pg_catalog.pg_namespace n on n.oid = t.typnamespace
left join pg_catalog.pg_class c on c.oid = t.typrelid
left join pg_catalog.pg_type b on b.oid = t.typbasetype
where n.nspname = any (%(schemas)s)
  and (t.typtype in ('e', 'd', 'r') or (t.typtype = 'c' and c.relkind = 'c'))
  and t.oid not in (
      select e.objid
      from pg_catalog.pg_depend e
      where e.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
        and e.classid = 'pg_catalog.pg_type'::pg_catalog.regclass
        and e.deptype = 'e'
  )
order by t.oid
