--- renamed column in where | full_nam
create function ward.tested() returns void language plpgsql  as $tested$begin perform 1 from ward.patients p where p.full_nam = 'x'; end$tested$;

--- bare missing column | surname
create function ward.tested() returns void language plpgsql  as $tested$begin perform surname from ward.patients; end$tested$;

--- dropped table | ward.gone
create function ward.tested() returns void language plpgsql  as $tested$begin insert into ward.gone (a) values (1); end$tested$;

--- dropped table in a subquery | ward.lost
create function ward.tested() returns void language plpgsql  as $tested$begin perform 1 from ward.notes where patient_id in (select id from ward.lost); end$tested$;

--- dropped function | ward.missing_one
create function ward.tested() returns void language plpgsql  as $tested$begin perform ward.missing_one(1); end$tested$;

--- dropped function without schema | no_such_function
create function ward.tested() returns void language plpgsql  as $tested$begin perform no_such_function(1, 2); end$tested$;

--- one argument too many | ward.slug
create function ward.tested() returns void language plpgsql  as $tested$declare t text; begin t := ward.slug('a', 'b', 'c'); end$tested$;

--- one argument too few | tools.helper
create function ward.tested() returns void language plpgsql  as $tested$declare n int; begin n := tools.helper(); end$tested$;

--- unknown named argument | ward.slug
create function ward.tested() returns void language plpgsql  as $tested$declare t text; begin t := ward.slug(p_txt => 'a'); end$tested$;

--- trigger with a missing field | changed_at
create function ward.tested() returns trigger language plpgsql  as $tested$begin new.changed_at := now(); return new; end$tested$; create trigger tested_0 before insert or update on ward.patients for each row execute function ward.tested();

--- trigger reads a missing field | statuss
create function ward.tested() returns trigger language plpgsql  as $tested$begin if old.statuss is distinct from new.status then null; end if; return new; end$tested$; create trigger tested_0 before insert or update on ward.notes for each row execute function ward.tested();

--- trigger on two tables, right for one | status
create function ward.tested() returns trigger language plpgsql  as $tested$begin new.status := 'x'; return new; end$tested$; create trigger tested_0 before insert or update on ward.notes for each row execute function ward.tested(); create trigger tested_1 before insert or update on ward.patients for each row execute function ward.tested();

--- insert column missing | whom
create function ward.tested() returns void language plpgsql  as $tested$begin insert into ward.audit (what, whom) values ('a', 'b'); end$tested$;

--- insert with too few values | ward.audit
create function ward.tested() returns void language plpgsql  as $tested$begin insert into ward.audit (what, who, row_id) values ('a', 'b'); end$tested$;

--- insert with too many values | ward.settings
create function ward.tested() returns void language plpgsql  as $tested$begin insert into ward.settings values ('a', '{}', now(), 4); end$tested$;

--- insert select of another width | ward.settings
create function ward.tested() returns void language plpgsql  as $tested$begin insert into ward.settings (key, value) select 'a', '{}'::jsonb, now(); end$tested$;

--- update of a missing column | stat
create function ward.tested() returns void language plpgsql  as $tested$begin update ward.notes set stat = 'signed' where id = 1; end$tested$;

--- delete by a missing column | patient
create function ward.tested() returns void language plpgsql  as $tested$begin delete from ward.notes where patient = gen_random_uuid(); end$tested$;

--- on conflict sets a missing column | val
create function ward.tested() returns void language plpgsql  as $tested$begin insert into ward.settings (key, value) values ('a', '{}') on conflict (key) do update set val = excluded.value; end$tested$;

--- excluded has no such column | val
create function ward.tested() returns void language plpgsql  as $tested$begin insert into ward.settings (key, value) values ('a', '{}') on conflict (key) do update set value = excluded.val; end$tested$;

--- conflict over a missing column | name
create function ward.tested() returns void language plpgsql  as $tested$begin insert into ward.settings (key, value) values ('a', '{}') on conflict (name) do nothing; end$tested$;

--- returning a missing column | ident
create function ward.tested() returns void language plpgsql  as $tested$declare v bigint; begin insert into ward.audit (what) values ('a') returning ident into v; end$tested$;

--- field of a record | text
create function ward.tested() returns void language plpgsql  as $tested$declare r record; begin select id, body into r from ward.notes limit 1; raise notice '%', r.text; end$tested$;

--- field of a loop's record | surname
create function ward.tested() returns void language plpgsql  as $tested$declare r record; begin for r in select id, name from ward.patients loop raise notice '%', r.surname; end loop; end$tested$;

--- field of a row type | signed
create function ward.tested() returns void language plpgsql  as $tested$declare r ward.notes%rowtype; begin select * into r from ward.notes; r.signed := now(); end$tested$;

--- row type of a lost table | ward.lost
create function ward.tested() returns void language plpgsql  as $tested$declare r ward.lost%rowtype; begin null; end$tested$;

--- type of a lost column | bodyy
create function ward.tested() returns void language plpgsql  as $tested$declare r ward.notes.bodyy%type; begin null; end$tested$;

--- lost type in a cast | temper
create function ward.tested() returns void language plpgsql  as $tested$declare t text; begin t := ('calm'::ward.temper)::text; end$tested$;

--- lost schema | clinic_old
create function ward.tested() returns void language plpgsql  as $tested$begin perform 1 from clinic_old.patients; end$tested$;

--- inside an if | signed
create function ward.tested() returns void language plpgsql  as $tested$begin if exists (select 1 from ward.notes where signed) then null; end if; end$tested$;

--- inside a cte | idd
create function ward.tested() returns void language plpgsql  as $tested$begin perform 1 from (with x as (select idd from ward.notes) select * from x) y; end$tested$;

--- column of a cte | b
create function ward.tested() returns void language plpgsql  as $tested$begin perform x.c from (select 1) d, lateral (with x as (select 1 as a) select x.b from x) x; end$tested$;

--- join using | patient_id
create function ward.tested() returns void language plpgsql  as $tested$begin perform 1 from ward.notes join ward.audit using (patient_id); end$tested$;

--- in an exception handler | ward.errors
create function ward.tested() returns void language plpgsql  as $tested$begin null; exception when unique_violation then insert into ward.errors values (1); end$tested$;

--- in a nested block | ward.gone
create function ward.tested() returns void language plpgsql  as $tested$begin <<inner>> declare n int; begin select count(*) into n from ward.gone; end inner; end$tested$;

--- return query | titel
create function ward.tested() returns table (id bigint, title text) language plpgsql  as $tested$begin return query select id, titel from ward.notes; end$tested$;

--- cursor | nam
create function ward.tested() returns void language plpgsql  as $tested$declare c cursor for select nam from ward.patients; begin open c; close c; end$tested$;

--- off the fixed path | patients
create function ward.tested() returns void language plpgsql set search_path = '' as $tested$begin perform 1 from patients; end$tested$;

--- function off the fixed path | slug
create function ward.tested() returns void language plpgsql set search_path = 'tools' as $tested$begin perform slug('a'); end$tested$;

--- merge | val
create function ward.tested() returns void language plpgsql  as $tested$begin merge into ward.settings s using (select 'a' as k) x on s.key = x.k when matched then update set val = '{}'; end$tested$;

--- procedure called wrongly | ward.tidyy
create function ward.tested() returns void language plpgsql  as $tested$begin call ward.tidyy(3); end$tested$;

--- sequence | ward.number_s
create function ward.tested() returns void language plpgsql  as $tested$declare n bigint; begin n := nextval('ward.number_s'); end$tested$;

--- sql language | autor
create function ward.tested() returns bigint language sql  as $tested$select id from ward.notes where autor = 'x'$tested$;

--- sql language, second statement | ward.gone
create function ward.tested() returns void language sql  as $tested$select 1; delete from ward.gone where true;$tested$;

--- sql function in from | ward.no_pairs
create function ward.tested() returns integer language sql  as $tested$select a from ward.no_pairs(3)$tested$;

--- column of a function's result | p has no column c
create function ward.tested() returns void language plpgsql  as $tested$begin perform p.c from ward.pairs(3) p; end$tested$;

--- unknown alias | q
create function ward.tested() returns void language plpgsql  as $tested$begin perform q.id from ward.notes n; end$tested$;

--- assignment | count_of
create function ward.tested() returns void language plpgsql  as $tested$declare n int; begin n := count_of from ward.notes; end$tested$;

--- foreach | tagz
create function ward.tested() returns void language plpgsql  as $tested$declare t text; begin foreach t in array (select tagz from ward.patients limit 1) loop null; end loop; end$tested$;

--- function called as a field of a variable | full_name
create function ward.tested() returns void language plpgsql  as $tested$declare p ward.patients; t text; begin select * into p from ward.patients limit 1; t := p.full_name; end$tested$;

--- raise | titel
create function ward.tested() returns void language plpgsql  as $tested$begin raise exception 'no %', (select titel from ward.notes limit 1) using hint = 'x'; end$tested$;
