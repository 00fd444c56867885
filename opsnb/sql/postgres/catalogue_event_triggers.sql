-- One row per event trigger that is neither an extension's nor calls a function of the platform's schemas (a regular expression).
-- columns: kind text | object text | event text | tags text | function text | enabled text | owner text
-- params:  platform text
-- needs:   nothing
select
    'event trigger' as kind,
    pg_catalog.quote_ident(t.evtname) as object,
    t.evtevent::text as event,
    (select pg_catalog.string_agg(tag, ', ' order by tag) from pg_catalog.unnest(t.evttags) as tag) as tags,
    t.evtfoid::pg_catalog.regproc::text as function,
    case t.evtenabled when 'D' then 'disabled' when 'R' then 'replica only' when 'A' then 'always' end as enabled,
    pg_catalog.pg_get_userbyid(t.evtowner)::text as owner
from pg_catalog.pg_event_trigger t
join pg_catalog.pg_proc p on p.oid = t.evtfoid
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where n.nspname !~ %(platform)s
  and t.oid not in (
      select e.objid
      from pg_catalog.pg_depend e
      where e.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
        and e.classid = 'pg_catalog.pg_event_trigger'::pg_catalog.regclass
        and e.deptype = 'e'
  )
order by t.evtname
