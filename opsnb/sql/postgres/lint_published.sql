-- One row per table of the schemas that a publication sends to subscribers; the REST door's live channel is one of them.
-- columns: publication text | everything boolean | schema text | table_name text
-- params:  schemas text[]
-- needs:   nothing
select p.pubname::text as publication, p.puballtables as everything, t.schemaname::text as schema, t.tablename::text as table_name
from pg_catalog.pg_publication_tables t
join pg_catalog.pg_publication p on p.pubname = t.pubname
where t.schemaname = any (%(schemas)s)
order by 1, 3, 4
