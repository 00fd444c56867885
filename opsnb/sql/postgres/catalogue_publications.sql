-- One row per publication.
-- columns: kind text | object text | owner text | all_tables boolean | schemas text | operations text | via_root boolean | generated_columns text
-- params:  none
-- needs:   nothing
select
    'publication' as kind,
    pg_catalog.quote_ident(p.pubname) as object,
    pg_catalog.pg_get_userbyid(p.pubowner)::text as owner,
    p.puballtables as all_tables,
    (
        select pg_catalog.string_agg(n.nspname::text, ', ' order by n.nspname)
        from pg_catalog.pg_publication_namespace s
        join pg_catalog.pg_namespace n on n.oid = s.pnnspid
        where s.pnpubid = p.oid
    ) as schemas,
    pg_catalog.concat_ws(
        ', ',
        case when p.pubinsert then 'insert' end,
        case when p.pubupdate then 'update' end,
        case when p.pubdelete then 'delete' end,
        case when p.pubtruncate then 'truncate' end
    ) as operations,
    p.pubviaroot as via_root,
    nullif(pg_catalog.to_jsonb(p) ->> 'pubgencols', 'n') as generated_columns -- from PostgreSQL 18 on
from pg_catalog.pg_publication p
order by p.pubname
