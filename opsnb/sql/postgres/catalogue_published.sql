-- One row per table of the schemas in a publication that names it: which of its columns and rows are sent.
-- columns: kind text | object text | table text | columns text | rows text
-- params:  schemas text[]
-- needs:   nothing
select
    'published table' as kind,
    pg_catalog.quote_ident(p.pubname) || ': ' || pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) as object,
    pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) as "table",
    (
        select pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' order by a.attnum)
        from pg_catalog.pg_attribute a
        where a.attrelid = r.prrelid and a.attnum = any (r.prattrs)
    ) as columns,
    pg_catalog.pg_get_expr(r.prqual, r.prrelid) as rows
from pg_catalog.pg_publication_rel r
join pg_catalog.pg_publication p on p.oid = r.prpubid
join pg_catalog.pg_class c on c.oid = r.prrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = any (%(schemas)s)
order by r.oid
