-- One row per sequence of the schemas: how it counts, never where it stands.
-- columns: kind text | object text | type text | start text | increment text | minimum text | maximum text | cache text | cycle boolean | unlogged boolean | owner text | owned_by text | grants text
-- params:  schemas text[]
-- needs:   nothing
select
    'sequence' as kind,
    pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) as object,
    pg_catalog.format_type(s.seqtypid, null) as type,
    s.seqstart::text as start,
    s.seqincrement::text as increment,
    s.seqmin::text as minimum,
    s.seqmax::text as maximum,
    s.seqcache::text as cache,
    s.seqcycle as cycle,
    c.relpersistence = 'u' as unlogged,
    pg_catalog.pg_get_userbyid(c.relowner)::text as owner,
    (
        select pg_catalog.min(d.refobjid::pg_catalog.regclass::text || '.' || pg_catalog.quote_ident(a.attname))
        from pg_catalog.pg_depend d
        join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
        where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
          and d.objid = c.oid
          and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
          and d.deptype in ('a', 'i')
    ) as owned_by,
    coalesce(c.relacl, pg_catalog.acldefault('s', c.relowner))::text as grants
from pg_catalog.pg_sequence s
join pg_catalog.pg_class c on c.oid = s.seqrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = any (%(schemas)s)
  and c.oid not in (
      select e.objid
      from pg_catalog.pg_depend e
      where e.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
        and e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
        and e.deptype = 'e'
  )
order by c.oid
