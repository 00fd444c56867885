-- One row per sort of column and the columns of that sort in the schemas' tables, and in views where a column has grants of its own.
-- columns: kind text | objects text[] | type text | not_null text | default text | generated text | identity text | collation text | inherited boolean | grants text
-- params:  namespaces bigint[]
-- needs:   nothing
with relations as materialized (
    select
        c.oid,
        c.relkind in ('v', 'm') as is_view,
        pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) || '.' as prefix
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    -- by number, for the planner: it knows how many relations each has, and this is the one large statement
    where c.relnamespace = any (%(namespaces)s::pg_catalog.oid[])
      and c.relkind in ('r', 'p', 'f', 'v', 'm')
      and c.oid not in (
          select e.objid
          from pg_catalog.pg_depend e
          where e.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
            and e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
            and e.deptype = 'e'
      )
),
found as (
    select
        pg_catalog.array_agg(r.prefix || pg_catalog.quote_ident(a.attname)) as objects,
        a.atttypid,
        a.atttypmod,
        a.attnotnull,
        a.attidentity,
        a.attgenerated,
        a.attcollation,
        a.attinhcount > 0 and not a.attislocal as inherited,
        a.attacl::text as grants,
        d.adbin::text as expression,
        -- an expression that names columns can be printed for its own table only
        case when a.attgenerated = '' then 0 else a.attrelid end as relation,
        -- from PostgreSQL 18 on, NOT NULL is a constraint that may be left unproved
        k.conrelid is not null as unproved,
        pg_catalog.min(d.oid) as one_of_them
    from relations r
    join pg_catalog.pg_attribute a on a.attrelid = r.oid
    left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    left join pg_catalog.pg_constraint k on k.contype = 'n' and not k.convalidated and k.conrelid = a.attrelid and k.conkey[1] = a.attnum
    where a.attnum > 0
      and not a.attisdropped
      and (not r.is_view or a.attacl is not null)
    group by 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
),
-- printed once for a sort, not once for a column: most of a large catalogue are alike
printed as (
    select
        f.*,
        (select pg_catalog.pg_get_expr(d.adbin, f.relation) from pg_catalog.pg_attrdef d where d.oid = f.one_of_them) as text
    from found f
)
select
    'column' as kind,
    f.objects,
    pg_catalog.format_type(f.atttypid, f.atttypmod) as type,
    case when f.attnotnull then case when f.unproved then 'not valid' else 'yes' end end as not_null,
    case when f.attgenerated = '' then f.text end as "default",
    case f.attgenerated when 's' then 'stored ' || f.text when 'v' then 'virtual ' || f.text end as generated,
    case f.attidentity when 'a' then 'always' when 'd' then 'by default' end as identity,
    case
        when f.attcollation <> (select t.typcollation from pg_catalog.pg_type t where t.oid = f.atttypid)
            then f.attcollation::pg_catalog.regcollation::text
    end as collation,
    f.inherited,
    f.grants
from printed f
order by f.objects
