--- ctes
create function ward.tested() returns void language plpgsql  as $tested$
        declare n int; begin
        with recent as (select * from ward.notes where signed_at > now() - interval '1 day'), per as (select patient_id, count(*) as many from recent group by 1)
        select sum(many) into n from per p join ward.patients q on q.id = p.patient_id where exists (select from recent r where r.patient_id = q.id);
        with recursive tree (id, depth) as (select 1, 0 union all select t.id + 1, t.depth + 1 from tree t where t.depth < 5) select max(depth) into n from tree;
        with gone as (delete from ward.audit where at < now() returning id, what) insert into ward.settings (key, value) select what, to_jsonb(id) from gone;
        end$tested$;

--- lateral
create function ward.tested() returns void language plpgsql  as $tested$
        begin perform p.id, l.body, u.tag, u.place from ward.patients p
        left join lateral (select n.body from ward.notes n where n.patient_id = p.id order by n.signed_at desc nulls last limit 1) l on true
        cross join lateral unnest(p.tags) with ordinality as u (tag, place) where u.place < 3; end$tested$;

--- json
create function ward.tested() returns void language plpgsql  as $tested$
        declare v jsonb; n int; begin
        select jsonb_build_object('id', p.id, 'tags', to_jsonb(p.tags)) || coalesce(p.record, '{}'::jsonb) into v from ward.patients p limit 1;
        for n in select (e.value ->> 'n')::int from jsonb_array_elements(v -> 'list') as e (value) loop null; end loop;
        perform e ->> 'name', e -> 'x' #>> '{a,b}' from jsonb_array_elements(v #> '{a}') e where e ? 'name' and e @> '{"a": 1}';
        perform key, value from jsonb_each_text(v) where value is not null;
        perform x.a, x.b from jsonb_to_recordset(v) as x (a int, b text);
        perform r.name from jsonb_populate_record(null::ward.patients, v) r;
        v := jsonb_set(v, array['a', 'b'], to_jsonb(now())); v['c'] := '1'; end$tested$;

--- composite
create function ward.tested() returns void language plpgsql set search_path = ward as $tested$
        declare a ward.address; p ward.patients; t text; begin
        a := row('Main', 'Bern')::ward.address; a.city := 'Basel'; t := a.city || (a).street;
        select * into p from ward.patients limit 1; t := (p.home).city; t := ward.full_name(p);
        perform (q.home).city, q.full_name, full_name(q), q from ward.patients q; perform (ward.pairs(2)).a;
        update ward.patients set home.city = a.city, tags[1] = 'x' where (home).street = a.street; end$tested$;

--- dynamic
create function ward.tested() returns void language plpgsql  as $tested$
        declare n int; r record; begin
        execute format('select count(*) from %I.%I', 'ward', 'gone') into n using 1;
        for r in execute 'select * from ' || quote_ident('nowhere') loop raise notice '%', r.anything; end loop;
        execute 'update ward.lost set x = $1' using n; end$tested$;

--- record used twice
create function ward.tested() returns void language plpgsql  as $tested$
        declare r record; begin select id, name into r from ward.patients limit 1; raise notice '%', r.name;
        select id, body into r from ward.notes limit 1; raise notice '%', r.body; end$tested$;

--- select star into record
create function ward.tested() returns void language plpgsql  as $tested$declare r record; begin select * into strict r from ward.notes where id = 1; r.body := 'x'; raise notice '% %', r.status, r.signed_at; end$tested$;

--- record by assignment
create function ward.tested() returns void language plpgsql  as $tested$declare r record; begin r := (select n from ward.notes n limit 1); raise notice '%', r.body; end$tested$;

--- loops
create function ward.tested() returns void language plpgsql  as $tested$
        declare r_id bigint; r_body text; i text; a int[] := array[1, 2]; x int; n bigint; begin
        <<outer>> for i in reverse 10 .. 1 by 2 loop continue outer when i > 5; exit outer when i = 1; raise notice '%', i; end loop outer;
        for k in 1..array_length(a, 1) loop a[k] := a[k] + 1; end loop;
        foreach x in array a loop n := coalesce(n, 0) + x; end loop;
        foreach a slice 1 in array array[[1, 2], [3, 4]] loop null; end loop;
        while n > 0 loop n := n - 1; end loop; loop exit; end loop;
        for r_id, r_body in select id, body from ward.notes loop null; end loop; end$tested$;

--- diagnostics
create function ward.tested() returns void language plpgsql  as $tested$
        declare n int; m text; d text; begin update ward.notes set status = 'x' where false; get diagnostics n = row_count; if not found then null; end if;
        begin perform 1 / 0; exception when division_by_zero or others then get stacked diagnostics m = message_text, d := pg_exception_detail;
        raise warning '% % %', sqlstate, sqlerrm, m; raise; end; end$tested$;

--- exception for a missing table
create function ward.tested() returns void language plpgsql  as $tested$begin begin perform 1 from ward.not_yet; exception when undefined_table then null; end; end$tested$;

--- labels and nested blocks
create function ward.tested(p_start int) returns void language plpgsql  as $tested$
        <<top>> declare n int := 1; begin declare n int := 2; begin n := top.n + n + tested.p_start; <<deep>> begin null; end deep; end; end top$tested$;

--- return next
create function ward.tested(out a int, out b text) returns setof record language plpgsql  as $tested$begin for a, b in select g, g::text from generate_series(1, 3) g loop return next; end loop; return; end$tested$;

--- return next row
create function ward.tested() returns setof ward.notes language plpgsql  as $tested$declare r ward.notes; begin for r in select * from ward.notes loop r.body := upper(r.body); return next r; end loop; end$tested$;

--- insert returning into
create function ward.tested() returns void language plpgsql  as $tested$
        declare v_id bigint; v_at timestamptz; begin insert into ward.audit as a (what, who) values ('a', current_user) returning a.id, at into strict v_id, v_at; end$tested$;

--- on conflict
create function ward.tested() returns void language plpgsql  as $tested$
        begin insert into ward.settings as s (key, value) values ('a', '{}') on conflict (key) do update set value = s.value || excluded.value, updated_at = now()
        where s.value is distinct from excluded.value; insert into ward.settings default values; insert into ward.settings values ('x');
        insert into ward.notes (patient_id) values (null) on conflict on constraint notes_pkey do nothing; end$tested$;

--- merge
create function ward.tested() returns void language plpgsql  as $tested$
        begin merge into ward.settings s using (select 'a' as k, '{}'::jsonb as v) x on s.key = x.k when matched and s.value = x.v then do nothing
        when matched then update set value = x.v, updated_at = now() when not matched then insert (key, value) values (x.k, x.v); end$tested$;

--- temporary tables
create function ward.tested() returns void language plpgsql  as $tested$
        begin create temp table if not exists tmp_ids on commit drop as select id from ward.patients; insert into tmp_ids select id from ward.patients;
        perform t.id, anything from tmp_ids t; create temporary table tmp_more (a int); update pg_temp.tmp_more set a = 1; drop table tmp_more; end$tested$;

--- temporary table of another function
create function ward.tested() returns void language plpgsql  as $tested$begin insert into tmp_shared (a) values (1); end$tested$;create function ward.tested_too() returns void language plpgsql  as $tested$begin create temp table tmp_shared (a int); end$tested$;

--- empty path
create function ward.tested() returns void language plpgsql set search_path = '' as $tested$
        begin perform pg_catalog.now(), count(*), lower(p.name), ward.slug(p.name) from ward.patients p group by p.name; end$tested$;

--- own path
create function ward.tested() returns void language plpgsql set search_path = ward, tools as $tested$declare p patients; begin select * into p from patients; perform slug('a'), helper(1) from notes n, lookup; end$tested$;

--- path set inside
create function ward.tested() returns void language plpgsql  as $tested$begin set local search_path = ward; perform 1 from patients; end$tested$;

--- quoted names
create function ward.tested() returns void language plpgsql  as $tested$
        declare "My Var" int; begin select m."Id", "User Name" into "My Var" from ward."Mixed Case" m where m."select" = 'x' and "Id" > 0;
        insert into ward."Mixed Case" ("Id", "select") values ("My Var", 'it''s'); perform a from "Odd Schema"."Odd.Table"; end$tested$;

--- trigger
create function ward.tested() returns trigger language plpgsql  as $tested$
        begin new.updated_at := now(); if tg_op = 'UPDATE' and new.* is distinct from old.* then
        insert into ward.audit (what, who, row_id, old_row, new_row) values (tg_table_name || tg_op, session_user, new.id::text, to_jsonb(old), to_jsonb(new)); end if;
        if new.home is not null then new.home.city := 'x'; end if; return new; end$tested$; create trigger tested_0 before insert or update on ward.patients for each row execute function ward.tested();

--- trigger that asks for its table
create function ward.tested() returns trigger language plpgsql  as $tested$begin if tg_table_name = 'notes' then new.status := 'x'; else new.name := 'y'; end if; return new; end$tested$; create trigger tested_0 before insert or update on ward.notes for each row execute function ward.tested(); create trigger tested_1 before insert or update on ward.patients for each row execute function ward.tested();

--- transition tables
create function ward.tested() returns trigger language plpgsql  as $tested$begin insert into ward.audit (what) select fresh.body from fresh left join stale on stale.id = fresh.id; return null; end$tested$; create trigger t after update on ward.notes referencing old table as stale new table as fresh for each statement execute function ward.tested();

--- trigger function without a trigger
create function ward.tested() returns trigger language plpgsql  as $tested$begin new.whatever := 1; insert into ward.audit (what) select x from new_rows; return new; end$tested$;

--- event trigger
create function ward.tested() returns event_trigger language plpgsql  as $tested$declare r record; begin for r in select * from pg_event_trigger_ddl_commands() loop raise notice '%', r.object_identity; end loop; end$tested$;

--- cursors
create function ward.tested() returns void language plpgsql  as $tested$
        declare c cursor (p_from date) for select id, name from ward.patients where born > p_from; d refcursor; e no scroll cursor for select 1 as one; r record; n ward.notes; begin
        for x in c(current_date) loop raise notice '%', x.name; end loop; for y in c(p_from := current_date) loop raise notice '%', y.id; end loop;
        open c(current_date); fetch next from c into r; raise notice '%', r.name; close c;
        open d for select * from ward.notes; loop fetch d into n; exit when not found; raise notice '%', n.body; end loop; move forward 1 from d; close d;
        open d for execute 'select 1'; open e; end$tested$;

--- conflict options
create function ward.tested() returns void language plpgsql  as $tested$#variable_conflict use_column
 declare id bigint; begin select id into id from ward.notes; end$tested$;

--- case
create function ward.tested() returns void language plpgsql  as $tested$
        declare s text := 'a'; n int; begin case s when 'a', 'b' then n := 1; when 'c' then n := 2; else n := case when s > 'x' then 3 else 4 end; end case;
        case when n > 1 then null; else raise exception using message = 'no ' || s, errcode = 'P0001'; end case; end$tested$;

--- existence asked
create function ward.tested() returns void language plpgsql  as $tested$
        declare t regclass; begin if to_regclass('ward.optional') is not null then insert into ward.optional values (1); end if;
        if exists (select from pg_extension where extname = 'pg_trgm') then perform similarity('a', 'b'); end if;
        if to_regclass('ward.later') is null then return; end if; perform 1 from ward.later; end$tested$;

--- aggregates and windows
create function ward.tested() returns void language plpgsql  as $tested$
        begin perform count(*) filter (where n.status = 'x'), string_agg(n.body, ', ' order by n.id desc, n.body), array_agg(distinct n.status),
        percentile_cont(0.5) within group (order by n.id), row_number() over w, lag(n.id, 1, 0) over (partition by n.status order by n.id), mode() within group (order by n.status)
        from ward.notes n group by n.status, n.id, n.body having count(*) > 0 window w as (order by n.id) order by 1 limit 5; end$tested$;

--- order by results
create function ward.tested() returns void language plpgsql  as $tested$begin perform count(*) as many, date_trunc('day', at) as day from ward.audit group by day order by many desc, day; end$tested$;

--- set operations
create function ward.tested() returns void language plpgsql  as $tested$begin perform id from (select id from ward.patients union all select gen_random_uuid() intersect select null::uuid order by id limit 3) u; end$tested$;

--- values
create function ward.tested() returns void language plpgsql  as $tested$begin perform v.a, v.b from (values (1, 'x'), (2, 'y')) as v (a, b); perform column1 from (values (1)) v; update ward.settings s set value = v.x from (values ('a', '{}'::jsonb)) v (k, x) where s.key = v.k; end$tested$;

--- functions of the grammar
create function ward.tested() returns void language plpgsql  as $tested$
        begin perform coalesce(null, 1), nullif(1, 2), greatest(1, 2), extract(epoch from now()), substring('abc' from 1 for 2), position('a' in 'b'), trim(both 'x' from 'y'),
        overlay('abc' placing 'x' from 1), current_date, localtimestamp, current_user, array(select 1), row(1, 2), exists (select 1), interval '1 day', date '2020-01-01', q.at at time zone 'utc',
        1 = any (array[1, 2]), 1 = all (select 1), cast('1' as numeric(10, 2)), '1'::varchar(3), 'calm'::ward.mood, text('x'), int4('1'), bool('t') from (select now() as at) q; end$tested$;

--- variadic and defaults
create function ward.tested() returns void language plpgsql  as $tested$declare n bigint; t text; begin n := ward.add_all(1, 2, 3) + ward.add_all(variadic array[1]); t := ward.slug('a') || ward.slug(p_sep => '-', p_text => 'b') || format('%s %s', 1, 2); perform concat_ws(',', 1, 2, 3); end$tested$;

--- system columns
create function ward.tested() returns void language plpgsql  as $tested$begin perform ctid, xmin, tableoid::regclass from ward.notes n where n.ctid is not null; perform relname, oid from pg_class, information_schema.tables t where t.table_name = relname; end$tested$;

--- update from
create function ward.tested() returns void language plpgsql  as $tested$begin update ward.notes n set (status, body) = (select 'x', p.name), signed_at = default from ward.patients p where p.id = n.patient_id; delete from ward.notes n using ward.patients p where p.id = n.patient_id; end$tested$;

--- call and commit
create function ward.tested() returns void language plpgsql  as $tested$begin call ward.tidy(3); call ward.tidy(p_days => 4); end$tested$;

--- sql language
create function ward.tested(p_id uuid, text[]) returns setof record language sql  as $tested$select n.*, $1, tested.p_id from ward.notes n where n.patient_id = p_id and n.status = any ($2) order by n.id limit 1$tested$;

--- sql begin atomic
create function ward.tested() returns bigint language sql begin atomic select count(*) from ward.notes; end;

--- sql with writes
create function ward.tested() returns bigint language sql  as $tested$insert into ward.audit (what) values ('a'); update ward.settings set value = '{}' where key = 'a'; select count(*) from ward.open_notes where patient like 'a%';$tested$;

--- table function
create function ward.tested(id uuid) returns table (a uuid, b text) language plpgsql  as $tested$begin return query select p.id, p.name from ward.patients p where p.id = tested.id; end$tested$;

--- function in from
create function ward.tested() returns void language plpgsql  as $tested$begin perform f.a, f.b, g.ordinality, n.body, gs from ward.pairs(3) f, ward.pairs(2) with ordinality g, ward.found_notes(null) n, generate_series(1, 2) gs, generate_series(now(), now(), '1 day') as d (day) where d.day > now(); end$tested$;

--- joins
create function ward.tested() returns void language plpgsql  as $tested$begin perform id, body from ward.notes join ward.audit using (id) where false; perform 1 from (ward.notes n join ward.patients p on p.id = n.patient_id) left join ward.settings s on s.key = p.name; perform 1 from ward.notes natural join ward.audit; end$tested$;

--- comments and strings
create function ward.tested() returns void language plpgsql  as $tested$begin /* select /* from */ ward.nowhere */ -- perform ward.nothing();
 perform 'select from ward.nowhere; ', $q$ward.none()$q$, E'it\'s; ', U&'\0041'; end$tested$;

--- for update
create function ward.tested() returns void language plpgsql  as $tested$declare r record; begin select * into r from ward.notes n where n.id = 1 for update of n skip locked; raise notice '%', r.body; end$tested$;

--- text search and operators
create function ward.tested() returns void language plpgsql  as $tested$begin perform to_tsvector('english', n.body) @@ to_tsquery('a'), n.body ~* 'x', n.body not ilike 'y%', not n.status is null, n.body collate "C" from ward.notes n; end$tested$;

--- grouping sets
create function ward.tested() returns void language plpgsql  as $tested$begin perform status, patient_id, grouping(status), count(*) from ward.notes group by grouping sets ((status), (patient_id), ()); perform status from ward.notes group by rollup (status, patient_id); end$tested$;

--- into right after select
create function ward.tested() returns void language plpgsql as $tested$
declare r record; n bigint; t text; begin
select into r * from ward.notes limit 1; raise notice '%', r.body;
select into strict n, t id, body from ward.notes limit 1;
with made as (insert into ward.audit (what) values ('a') returning id) select id into n from made;
end$tested$;

--- loops over what is written
create function ward.tested() returns setof bigint language plpgsql as $tested$
declare r record; begin
for r in update ward.notes set status = 'x' where id = 1 returning * loop return next r.id; raise notice '%', r.body; end loop;
for r in delete from ward.audit a using ward.notes n where a.row_id = n.id::text returning a.id, n.body as gone loop raise notice '%', r.gone; end loop;
return query with x as (delete from ward.audit returning id) select x.id from x;
return query insert into ward.audit (what) values ('a'), ('b') returning id;
end$tested$;

--- rows given whole
create function ward.tested(p ward.settings) returns void language plpgsql as $tested$
declare s ward.settings; a ward.settings[]; begin
insert into ward.settings values (p.*); insert into ward.settings select p.*; insert into ward.settings select (s).*; s := p;
insert into ward.settings select * from unnest(a); insert into ward.settings values (s.key, p.value);
a[1] := p; a[1].key := 'x'; s := a[1]; raise notice '% %', a[1].key, (a[1]).value;
update ward.settings set (key, value) = row (s.key, s.value) where settings = p; select s.* into s; perform to_jsonb(p), to_jsonb(settings.*), row_to_json(settings) from ward.settings;
end$tested$;

--- names longer than the server keeps
create function ward.tested() returns void language plpgsql as $tested$
declare a_variable_with_a_name_that_is_very_much_longer_than_sixty_three_bytes_long integer; begin
a_variable_with_a_name_that_is_very_much_longer_than_sixty_three_bytes_long := 1;
perform 1 as a_column_with_a_name_that_is_very_much_longer_than_sixty_three_bytes_long order by a_column_with_a_name_that_is_very_much_longer_than_sixty_three_by; end$tested$;

--- keywords as names
create function ward.tested() returns void language plpgsql as $tested$
declare type text; "end" int; name text; value jsonb; status text; begin
type := 'a'; name := type; "end" := 1; value := '{}'; status := name;
select s.value, s.key into value, name from ward.settings s where s.key = type; end$tested$;

--- correlated deep
create function ward.tested(p_id uuid) returns void language plpgsql as $tested$
begin perform p.id, (select count(*) from ward.notes n where n.patient_id = p.id and exists (select from ward.audit a where a.row_id = n.id::text and a.who = p.name and born > a.at::date)),
array(select n.body from ward.notes n where n.patient_id = p.id order by signed_at), p.tags[1:2], p.record #>> array['a', 'b'] from ward.patients p
where p.id = any (array[p_id]) and (p.id, p.name) in (select patient_id, body from ward.notes) and p.name like any (array['a%', 'b%']) and not (p.tags && array['x']) and p.tags @> array['y'];
end$tested$;

--- array and composite columns of functions
create function ward.tested(v jsonb) returns void language plpgsql as $tested$
begin perform k, kv.key, kv.value, (kv.value ->> 'n')::numeric(10, 2) from jsonb_each(v) kv, jsonb_object_keys(v) k where kv.key <> k;
perform value from jsonb_array_elements_text(v); perform x.value ->> 'a', x.ordinality from jsonb_array_elements(v) with ordinality x where x.ordinality > 1;
perform m[1] from regexp_matches('a', 'b', 'g') m; perform regexp_split_to_table, part from regexp_split_to_table('a b', ' '), unnest(string_to_array('a', ' ')) part;
perform t.a, t.b from rows from (generate_series(1, 2), unnest(array['a'])) as t (a, b); perform * from json_populate_recordset(null::ward.notes, '[]') where status = 'x' and body is null; end$tested$;

--- sql language with composite argument
create function ward.tested(p ward.patients) returns text language sql stable as $tested$
select p.name || p.full_name || (p.home).city || full_name(p) || (select body from ward.notes n where n.patient_id = p.id limit 1) $tested$ set search_path = ward;

--- sql language of several kinds
create function ward.tested(int, text default 'a') returns table (number bigint, word text) language sql as $tested$
with recursive up as (select 1 as n union all select n + 1 from up where n < $1), named (a, b) as (values (1, 'x'), (2, $2))
select sum(u.n) over (order by u.n rows between unbounded preceding and current row), coalesce(max(named.b) filter (where named.a > 1) over (), $2)
from up u left join named on named.a = u.n where u.n between 1 and $1 group by u.n, named.a, named.b order by number, word limit $1 offset 0 $tested$;

--- instead of trigger
create function ward.tested() returns trigger language plpgsql as $tested$
begin if tg_op = 'DELETE' then delete from ward.notes where id = old.id; return old; end if;
update ward.notes set body = new.patient where id = old.id returning id into new.id; return new; end$tested$;
create trigger tested_on_view instead of update or delete on ward.open_notes for each row execute function ward.tested();

--- trigger arguments and row assignment
create function ward.tested() returns trigger language plpgsql as $tested$
declare v_before ward.notes := old; r record; begin r := new; raise notice '% %', r.body, tg_argv[0]; new := old; new.body := v_before.body;
execute format('select ($1).%I', tg_argv[0]) into r using new; select * into new from ward.notes where id = old.id; return new; end$tested$;
create trigger tested_0 before update on ward.notes for each row execute function ward.tested('a');

--- returning in a trigger on another table
create function ward.tested() returns trigger language plpgsql as $tested$
declare v text; begin insert into ward.audit (what) values ('a') returning what || new.body into v; return null; end$tested$;
create trigger tested_0 after update on ward.notes for each row execute function ward.tested();

--- regclass and sequences
create function ward.tested() returns void language plpgsql as $tested$
declare t regclass := 'ward.notes'::regclass; n bigint; begin n := nextval('ward.numbers'); n := currval('ward.numbers'::regclass);
n := nextval(pg_get_serial_sequence('ward.audit', 'id')); select last_value into n from ward.numbers; perform 'ward.slug(text, text)'::regprocedure, 'ward.mood'::regtype, t::text; end$tested$;

--- commands that are not queries
create function ward.tested() returns void language plpgsql as $tested$
begin lock table ward.notes in share mode; truncate ward.audit; analyze ward.notes; set local role none; reset role; perform pg_advisory_xact_lock(1); notify ward_changes;
create table if not exists ward.made (a int); create index if not exists made_a on ward.made (a); alter table ward.made add column b int; insert into ward.made (a, b) values (1, 2);
comment on table ward.made is 'x'; drop table ward.made; refresh materialized view concurrently ward.nothing; end$tested$;

--- dynamically made tables
create function ward.tested() returns void language plpgsql as $tested$
begin execute format('create temp table %I (a int)', 'dyn_ids'); insert into dyn_ids values (1); perform a from dyn_ids; end$tested$;

--- handlers by code and by name
create function ward.tested() returns void language plpgsql as $tested$
begin begin perform ward.not_here(1); exception when sqlstate '42883' then null; end;
begin perform nothing from ward.notes; exception when undefined_column or undefined_table then null; end; end$tested$;

--- versions asked
create function ward.tested() returns text language plpgsql as $tested$
begin if current_setting('server_version_num')::int >= 990000 then return ward.of_the_future(); end if; return null; end$tested$;

--- procedures
create procedure ward.tested_too(inout p_a int, out p_b int) language plpgsql as $tested$ begin p_b := p_a; commit; end$tested$;
create function ward.tested() returns void language plpgsql as $tested$ declare a int := 1; b int; begin call ward.tested_too(a, b); end$tested$;

--- casts written as calls
create function ward.tested() returns void language plpgsql as $tested$
begin perform text(1), int8('1'), date(now()), float8('1'), name('a'), ward.mood('calm'), bool('t'); end$tested$;

--- odd spacing and comments
create function ward.tested() returns void language plpgsql as $tested$ -- first
<< here >> /* a */ DECLARE /* n ; */ N   INT:=1;-- x
M CONSTANT/**/TEXT NOT NULL DEFAULT 'it''s; begin end';
BEGIN IF/**/N=1 THEN NULL;ELSIF N = 2 THEN NULL;ELSE NULL;END IF;
PERFORM/**/1 FROM WARD.NOTES AS "N" WHERE "N".ID=here.N AND Body=M;
END here;$tested$;

--- arrays of arrays and slices
create function ward.tested() returns void language plpgsql as $tested$
declare a int[][] := array[[1, 2], [3, 4]]; b text[]; i int := 1; begin a[1][2] := a[i][1] + array_length(a, 1); b[i:2] := array['x', 'y']; b := b || 'z'::text; b := array_append(b, 'w');
for i in array_lower(a, 1) .. array_upper(a, 1) loop raise notice '%', a[i][1]; end loop; end$tested$;

--- views over views and catalogue
create function ward.tested() returns void language plpgsql as $tested$
begin perform c.relname, a.attname, pg_get_expr(d.adbin, d.adrelid) from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_catalog.pg_attribute a on a.attrelid = c.oid
left join pg_attrdef d on (d.adrelid, d.adnum) = (a.attrelid, a.attnum) where n.nspname = current_schema() and c.relkind = 'r' and not a.attisdropped;
perform column_name, data_type from information_schema.columns where table_schema = 'ward'; perform patient from ward.open_notes; end$tested$;
