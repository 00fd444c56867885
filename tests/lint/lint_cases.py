"""Planted holes and sound variants of the same shapes, as SQL over base.sql.

A hole: (what it is, SQL, rule, object, severity); `FIREBASE` marks those where the provider's subjects are no UUIDs and live in people.subject.
"""

from __future__ import annotations

from typing import NamedTuple


class Case(NamedTuple):
    """One case; a sound one has no rule."""

    what: str
    sql: str
    rule: str = ""
    object: str = ""
    severity: str = "error"
    firebase: bool = False


def _policy(
    what: str, on: str, rest: str, rule: str = "", severity: str = "error", name: str = "p", more: str = "", firebase: bool = False
) -> Case:
    sql = f'{more}; create policy "{name}" on {on} {rest}'
    return Case(what, sql, rule, f"{on}.{name}" if rule else "", severity, firebase)


ME = "(select auth.uid())"
SUB = "(select auth.jwt() ->> 'sub')"
ME_BY_HELPER = """create function private.me() returns uuid language sql stable security definer set search_path = ''
as $$ select p.id from public.people p where p.subject = (select auth.jwt() ->> 'sub') $$;
grant execute on function private.me() to authenticated"""
IS_ADMIN = """create function private.is_admin() returns boolean language sql stable security definer set search_path = ''
as $$ select exists (select 1 from public.profiles q where q.id = (select auth.uid()) and q.role = 'admin') $$"""

HOLES = [
    # ── a caller without an identity ──
    _policy("NULL identity let in, plainly", "public.notes", "for select using (auth.uid() is null or owner_id = auth.uid())", "null-identity"),
    _policy("the same in a sub-select, last", "public.notes", "for select to anon using (owner_id = (select auth.uid()) or (select auth.uid()) is null)",
            "null-identity"),
    _policy("coalesce of the comparison to true", "public.notes", f"for select using (coalesce(owner_id = {ME}, true))", "null-identity"),
    _policy("IS NOT FALSE", "public.notes", f"for select using ((owner_id = {ME}) is not false)", "null-identity"),
    _policy("NOT ... IS TRUE, upside down", "public.notes", f"for select using (not ((owner_id = {ME}) is true))", "null-identity"),
    _policy("CASE whose first branch is no identity", "public.notes", f"for select using (case when {ME} is null then true else owner_id = {ME} end)",
            "null-identity"),
    _policy("IS NOT DISTINCT FROM with a column that may be NULL", "public.notes", f"for select using (reviewer_id is not distinct from {ME})",
            "null-identity"),
    _policy("a missing claim that defaults to admin", "public.notes",
            "for select using (coalesce(auth.jwt() ->> 'app_role', 'admin') = 'admin')", "null-identity"),
    _policy("not banned, as nobody is who is not known", "public.notes",
            "for select using ((auth.jwt() ->> 'app_role') is distinct from 'banned')", "null-identity"),
    _policy("not in a list of the barred, which never holds nobody", "public.notes",
            f"for select using (not exists (select 1 from public.members m where m.user_id = {ME} and m.role = 'barred'))", "null-identity"),
    _policy("NULL identity by a helper in SQL", "public.letters", "for select to authenticated using (private.me() is null or person_id = private.me())",
            "null-identity", more=ME_BY_HELPER, firebase=True),
    _policy("the same, two helpers deep", "public.letters", "for select to authenticated using (app.mine(person_id))", "null-identity",
            more=ME_BY_HELPER + "; create function app.mine(person uuid) returns boolean language sql stable as "
            "$$ select coalesce(person = private.me(), true) $$", firebase=True),
    _policy("the setting is not there", "public.notes", "for all using (current_setting('request.jwt.claims', true) is null)", "null-identity"),
    _policy("hidden between rules about rows", "public.notes",
            f"for select using ((status = 'signed' and owner_id = {ME}) or (not ({ME} is not null)) or (urgent and reviewer_id = {ME}))", "null-identity",
            name="who may read"),
    # ── always true ──
    _policy("true", "public.notes", "for select using (true)", "always-true"),
    _policy("or true", "public.notes", f"for select to authenticated using (owner_id = {ME} or true)", "always-true"),
    _policy("1 = 1 behind an innocent name", "public.notes", f"for select to authenticated using (owner_id = {ME} or 1 = 1)", "always-true",
            name="Users can only view their own notes"),
    _policy("a column is itself", "public.notes", "for select to authenticated using (id = id)", "always-true"),
    _policy("in or not in", "public.notes", "for select to authenticated using (status in ('draft', 'signed') or status not in ('draft', 'signed'))",
            "always-true"),
    _policy("null or not null", "public.notes", f"for select to authenticated using (reviewer_id is null or reviewer_id is not null or owner_id = {ME})",
            "always-true"),
    _policy("at least or less", "public.notes", "for select to authenticated using (pages >= 3 or pages < 3)", "always-true"),
    _policy("De Morgan", "public.notes", "for select to authenticated using (not (status = 'draft' and status <> 'draft'))", "always-true"),
    _policy("a CASE that is true both ways", "public.notes", "for select to authenticated using (case when urgent then true else true end)", "always-true"),
    _policy("a helper that says true", "public.notes", "for select to authenticated using (private.may_see(owner_id))", "always-true",
            more="create function private.may_see(who uuid) returns boolean language sql immutable as $$ select true $$"),
    _policy("a restrictive policy that restricts nothing", "public.notes", "for select using (true)", "always-true",
            more="create policy narrow on public.notes as restrictive for select using (status is not null or status is null)"),
    _policy("deleting anything", "public.notes", "for delete to authenticated using (true)", "always-true"),
    _policy("reference data anybody may change", "public.codes", "for update to authenticated using (true)", "always-true"),
    # ── anybody who is signed in, anybody who is known ──
    _policy("role is authenticated", "public.notes", "for select using (auth.role() = 'authenticated')", "any-login"),
    _policy("identity is not null", "public.notes", f"for select to authenticated using ({ME} is not null)", "any-login"),
    _policy("the audience claim", "public.notes", "for select using ((auth.jwt() ->> 'aud') = 'authenticated')", "any-login"),
    _policy("a helper that asks for a login", "public.notes", "for select using (app.signed_in())", "any-login",
            more="create function app.signed_in() returns boolean language plpgsql stable as $$ begin return auth.uid() is not null; end $$"),
    _policy("any user of the table of people", "public.letters",
            f"for select to authenticated using (exists (select 1 from public.people p where p.subject = {SUB}))", "any-user", firebase=True),
    _policy("the same by a helper", "public.letters", "for select to authenticated using ((select private.me()) is not null)", "any-user",
            more=ME_BY_HELPER, firebase=True),
    _policy("all that is not deleted", "public.notes", "for select to authenticated using (status <> 'deleted')", "row-only"),
    # ── writes ──
    _policy("inserting for anybody", "public.notes", "for insert to authenticated with check (true)", "always-true"),
    _policy("inserting by any login", "public.notes", f"for insert to authenticated with check ({ME} is not null)", "any-login"),
    _policy("own rows, checked with true", "public.notes", f"for update to authenticated using (owner_id = {ME}) with check (true)", "always-true"),
    _policy("own rows, checked by state only", "public.notes",
            f"for update to authenticated using (owner_id = {ME}) with check (status in ('draft', 'signed'))", "row-only"),
    _policy("own rows, checked by another column", "public.notes",
            f"for update to authenticated using (owner_id = {ME}) with check (reviewer_id = {ME})", "given-away"),
    _policy("an ALL policy whose check forgets the owner", "public.notes", f"using (owner_id = {ME}) with check ({ME} is not null)", "any-login"),
    # ── claims ──
    _policy("a role from user_metadata", "public.notes", "for select using ((auth.jwt() -> 'user_metadata' ->> 'role') = 'admin')", "editable-claim"),
    _policy("the same by a path", "public.notes", "for select using ((auth.jwt() #>> '{user_metadata,role}') = 'admin')", "editable-claim"),
    _policy("the same from the table of users", "public.notes",
            f"for select using ((select u.raw_user_meta_data ->> 'role' from auth.users u where u.id = {ME}) = 'admin')", "editable-claim"),
    _policy("the same in a helper", "public.notes", "for select using (private.role_of_caller() = 'admin')", "editable-claim",
            more="create function private.role_of_caller() returns text language sql stable as $$ select auth.jwt() -> 'user_metadata' ->> 'role' $$"),
    # ── subjects ──
    _policy("auth.uid() with subjects that are text", "public.letters", f"for select using (person_id = {ME})", "subject-cast", firebase=True),
    _policy("sub cast to uuid", "public.letters", "for select using (person_id = ((select auth.jwt()) ->> 'sub')::uuid)", "subject-cast", firebase=True),
    _policy("the cast in a helper", "public.letters", "for select using (person_id = private.who())", "subject-cast", firebase=True,
            more="create function private.who() returns uuid language sql stable as $$ select nullif(current_setting('request.jwt.claims', true)::jsonb"
            " ->> 'sub', '')::uuid $$"),
    _policy("the cast in a PL/pgSQL helper", "public.letters", "for select using (person_id = private.who())", "subject-cast", firebase=True,
            more="create function private.who() returns uuid language plpgsql stable as $$ declare found uuid; begin "
            "found := (auth.jwt() ->> 'sub')::uuid; return found; end $$"),
    _policy("a uuid as text never is a text subject", "public.letters", f"for select using (person_id::text = {SUB})", "never-true", firebase=True),
    _policy("the doctor's number is not the doctor's login", "public.visits", f"for select using (doctor_id = {ME})", "never-true"),
    _policy("a number never is a subject", "public.notes", "for select using (pages::text = auth.uid()::text)", "never-true"),
    # ── recursion and helpers that raise ──
    _policy("a policy that reads its own table", "public.members",
            f"for select using (org_id in (select m.org_id from public.members m where m.user_id = {ME}))", "recursion"),
    _policy("two tables that ask each other", "public.notes",
            f"for select using (org_id in (select m.org_id from public.members m where m.user_id = {ME}))", "recursion",
            more="create policy q on public.members for select using (org_id in (select n.org_id from public.notes n where n.owner_id = auth.uid()))"),
    _policy("the same by a helper with its caller's rights", "public.members", "for select using (org_id in (select private.my_orgs()))", "recursion",
            more="create function private.my_orgs() returns setof uuid language sql stable as "
            "$$ select m.org_id from public.members m where m.user_id = auth.uid() $$"),
    _policy("a helper that raises for whom it does not know", "public.notes", "for select using (owner_id = private.need_user())", "helper-raises",
            "warning", more="create function private.need_user() returns uuid language plpgsql stable as $$ begin if auth.uid() is null then "
            "raise exception 'not signed in'; end if; return auth.uid(); end $$"),
    # ── tables ──
    Case("row-level security off", "alter table public.notes disable row level security", "rls-off", "public.notes"),
    Case("policies that do not hold", f"create policy p on public.notes for select using (owner_id = {ME}); "
         "alter table public.notes disable row level security", "rls-off", "public.notes"),
    Case("row-level security on, nobody let in", "select", "no-policy", "public.notes", "warning"),
    # ── authority ──
    Case("a role on the own profile", IS_ADMIN + "; create policy seen on public.notes for select using (private.is_admin()); "
         f"create policy own on public.profiles for update to authenticated using (id = {ME}) with check (id = {ME})",
         "authority-writable", "public.profiles.own"),
    Case("a flag on the own profile, asked in place", "create policy seen on public.notes for select using "
         f"(exists (select 1 from public.profiles q where q.id = {ME} and q.is_admin)); "
         f"create policy own on public.profiles for update to authenticated using (id = {ME})", "authority-writable", "public.profiles.own"),
    Case("joining an organisation by oneself", "create policy seen on public.notes for select using "
         f"(org_id in (select m.org_id from public.members m where m.user_id = {ME})); "
         f"create policy join_in on public.members for insert to authenticated with check (user_id = {ME})",
         "authority-writable", "public.members.join_in"),
    Case("the own profile's organisation", "create policy seen on public.notes for select using "
         f"(org_id = (select q.org_id from public.profiles q where q.id = {ME})); "
         f"create policy own on public.profiles for all to authenticated using (id = {ME})", "authority-writable", "public.profiles.own"),
    _policy("a telling column that nothing reads yet", "public.profiles", f"for update to authenticated using (id = {ME})", "telling-column", "warning"),
    # ── doors ──
    Case("a view with its owner's rights", "create view public.all_notes as select id, body from public.notes", "owners-rights-view", "public.all_notes"),
    Case("the same behind another view", "create view private.inner_notes as select * from public.notes; "
         "create view public.notes_of_today as select id from private.inner_notes where status = 'draft'", "owners-rights-view", "public.notes_of_today"),
    Case("a materialised copy", "create materialized view public.copied as select owner_id, body from public.notes", "owners-rights-view", "public.copied"),
    Case("a view of the platform's users", "create view public.user_list as select id, raw_user_meta_data from auth.users", "owners-rights-view",
         "public.user_list"),
    Case("a reading function with its owner's rights", "create function public.find_notes(word text) returns setof public.notes language sql stable "
         "security definer set search_path = '' as $$ select * from public.notes n where n.body like word $$", "definer-function", "public.find_notes"),
    Case("a writing one, in PL/pgSQL", "create function public.close_note(which uuid) returns void language plpgsql security definer set search_path = '' "
         "as $$ begin update public.notes set status = 'closed' where id = which; end $$", "definer-function", "public.close_note"),
    Case("for signed-in callers, one helper deep", "create function private.take(which uuid) returns text language sql stable as "
         "$$ select n.body from public.notes n where n.id = which $$; create function public.read_note(which uuid) returns text language sql stable "
         "security definer set search_path = '' as $$ select private.take(which) $$; revoke execute on function public.read_note from public, anon",
         "definer-function", "public.read_note"),
    Case("what it does is made up when it runs", "create function public.run_report(what text) returns void language plpgsql security definer "
         "set search_path = '' as $$ begin execute what; end $$", "definer-function", "public.run_report"),
    Case("no fixed search_path", "create function public.my_notes() returns setof public.notes language sql stable security definer as "
         "$$ select * from public.notes n where n.owner_id = auth.uid() $$", "definer-search-path", "public.my_notes", "warning"),
    Case("a publication of everything", "create publication live for all tables", "published", "live", "warning"),
    Case("an unguarded table that is sent", "alter table public.notes disable row level security; create publication live for table public.notes",
         "published", "public.notes"),
    # ── storage ──
    _policy("the bucket, not the file", "storage.objects", "for select to authenticated using (bucket_id = 'scans')", "bucket-only"),
    _policy("the same for writing", "storage.objects", "for insert to authenticated with check (bucket_id in ('scans', 'letters'))", "bucket-only"),
    Case("a public bucket", "insert into storage.buckets (id, name, public) values ('scans', 'scans', true)", "public-bucket", "storage.scans"),
]  # fmt: skip

SOUND = [
    _policy("own rows", "public.notes", f"using (owner_id = {ME})"),
    _policy("own rows, the other way round, cast", "public.notes", "for select using (auth.uid()::text = owner_id::text)"),
    _policy("NOT of unequal, which is NULL for nobody", "public.notes", f"for select using (not (owner_id <> {ME}))"),
    _policy("coalesce to false", "public.notes", f"for select using (coalesce(owner_id = {ME}, false))"),
    _policy("IS TRUE", "public.notes", f"for select using ((owner_id = {ME}) is true)"),
    _policy("CASE that keeps nobody out", "public.notes", f"for select using (case when {ME} is null then false else owner_id = {ME} end)"),
    _policy("IS NOT DISTINCT FROM with a column that is never NULL", "public.notes", f"for select using (owner_id is not distinct from {ME})"),
    _policy("a missing claim that defaults to nothing", "public.notes", "for select using (coalesce(auth.jwt() ->> 'app_role', 'none') = 'admin')"),
    _policy("identity known and own", "public.notes", f"for select using ({ME} is not null and owner_id = {ME})"),
    _policy("owner or reviewer", "public.notes", f"for select using (owner_id = {ME} or reviewer_id = {ME})"),
    _policy("own, in some states", "public.notes", f"for select using (owner_id = {ME} and status in ('draft', 'signed'))"),
    _policy("own, by a helper in SQL", "public.letters", "for select to authenticated using (person_id = (select private.me()))",
            more=ME_BY_HELPER, firebase=True),
    _policy("own, by a helper with an argument", "public.letters", "for select to authenticated using (app.mine(person_id))", firebase=True,
            more=ME_BY_HELPER + "; create function app.mine(person uuid) returns boolean language sql stable as "
            "$$ select coalesce(person = private.me(), false) $$"),
    _policy("a row that says it is public", "public.notes", f"for select using (is_public or owner_id = {ME})"),
    _policy("parts of notes that are seen", "public.parts", "for select using (note_id in (select n.id from public.notes n))"),
    _policy("parts by exists", "public.parts", f"for select using (exists (select 1 from public.notes n where n.id = note_id and n.owner_id = {ME}))"),
    _policy("false", "public.notes", "for select using (false)"),
    _policy("wide, narrowed by a restrictive policy", "public.notes", "for select to authenticated using (true)",
            more=f"create policy narrow on public.notes as restrictive for select using (owner_id = {ME})"),
    _policy("reference data, read by all", "public.codes", "for select using (true)"),
    _policy("reference data for whoever is signed in", "public.codes", f"for select to authenticated using ({ME} is not null)"),
    _policy("a policy of the service role", "public.notes", "for all to service_role using (true) with check (true)"),
    _policy("the service role, asked for by its claim", "public.notes", "for all using (auth.role() = 'service_role')"),
    _policy("the service role or the owner", "public.notes",
            f"for all using ((auth.jwt() ->> 'role') = 'service_role' or owner_id = {ME}) with check (auth.role() = 'service_role' or owner_id = {ME})"),
    _policy("inserting as oneself", "public.notes", f"for insert to authenticated with check (owner_id = {ME})"),
    _policy("inserting by a form, state bound", "public.codes", "for insert to anon with check (title = 'proposed')"),
    _policy("updating without a check, which is the condition", "public.notes", f"for update to authenticated using (owner_id = {ME})"),
    _policy("updating with the same check", "public.notes", f"for update to authenticated using (owner_id = {ME}) with check (owner_id = {ME})"),
    _policy("a narrower check", "public.notes",
            f"for update to authenticated using (owner_id = {ME} and status = 'draft') with check (owner_id = {ME} and status <> 'signed')"),
    _policy("a check that keeps the owner in another place", "public.notes",
            f"for update to authenticated using (owner_id = {ME} and status = 'draft') with check (status <> 'void' and owner_id = {ME})"),
    _policy("a role from app_metadata", "public.notes", "for select using ((auth.jwt() -> 'app_metadata' ->> 'role') = 'admin')"),
    _policy("the words in a text", "public.notes", f"for select using (owner_id = {ME} and body <> 'user_metadata of auth.uid()')"),
    _policy("text subjects compared as text", "public.people", f"for select using (subject = {SUB})", firebase=True),
    _policy("the person by their subject", "public.letters",
            f"for select using (person_id = (select p.id from public.people p where p.subject = {SUB}))", firebase=True),
    _policy("another claim cast to uuid", "public.notes", "for select using (org_id = (auth.jwt() ->> 'org')::uuid and pages > 0)", firebase=True),
    _policy("the doctor by their login", "public.visits",
            f"for select using (doctor_id in (select d.id from public.doctors d where d.user_id = {ME}))"),
    _policy("own members, no question about oneself", "public.members", f"for select using (user_id = {ME})"),
    _policy("own organisation by a helper with its owner's rights", "public.members", "for select using (org_id in (select private.my_orgs()))",
            more="create function private.my_orgs() returns setof uuid language sql stable security definer set search_path = '' as "
            "$$ select m.org_id from public.members m where m.user_id = (select auth.uid()) $$"),
    _policy("one table asks another, which asks nothing back", "public.notes",
            f"for select using (org_id in (select m.org_id from public.members m where m.user_id = {ME}))",
            more=f"create policy q on public.members for select using (user_id = {ME})"),
    _policy("a helper that only tells the log", "public.notes", "for select using (owner_id = private.me_again())",
            more="create function private.me_again() returns uuid language plpgsql stable as $$ begin raise debug 'asked'; return auth.uid(); end $$"),
    Case("a role that only others change", IS_ADMIN + "; create policy seen on public.notes for select using (private.is_admin()); "
         f"create policy own on public.profiles for update to authenticated using (id = {ME}) with check (id = {ME}); "
         "revoke insert, update on public.profiles from authenticated, anon; grant update (full_name, city) on public.profiles to authenticated"),
    Case("a role the check binds", IS_ADMIN + "; create policy seen on public.notes for select using (private.is_admin()); "
         f"create policy own on public.profiles for update to authenticated using (id = {ME}) with check (id = {ME} and role = 'patient' and not is_admin)"),
    Case("an organisation that administrators fill", IS_ADMIN + "; create policy seen on public.notes for select using "
         f"(org_id in (select m.org_id from public.members m where m.user_id = {ME})); "
         "create policy filled on public.members for insert to authenticated with check (private.is_admin())"),
    Case("the state of an own note, which opens only its parts", "create policy parts on public.parts for update to authenticated using "
         f"(note_id in (select n.id from public.notes n where n.owner_id = {ME} and n.status = 'draft')); "
         f"create policy own on public.notes for update to authenticated using (owner_id = {ME}) with check (owner_id = {ME})"),
    Case("a view with its caller's rights", "create view public.my_view with (security_invoker = on) as select id, body from public.notes"),
    Case("a view of reference data", "alter table public.codes disable row level security; revoke all on public.codes from anon, authenticated; "
         "grant select on public.codes to anon; create view public.code_list as select code, title from public.codes"),
    Case("a view with a condition about the caller", f"create view public.mine as select id, body from public.notes where owner_id = {ME}"),
    Case("a materialised list of codes", "alter table public.codes disable row level security; grant select on public.codes to anon; "
         "create materialized view public.code_copy as select code from public.codes"),
    Case("a view that only numbers", "create view public.how_many as select count(*) as notes from public.notes"),
    Case("a view nobody may read", "create view public.kept as select * from public.notes; revoke all on public.kept from anon, authenticated, public"),
    Case("a function with its caller's rights", "create function public.find_notes(word text) returns setof public.notes language sql stable as "
         "$$ select * from public.notes n where n.body like word $$"),
    Case("a function that asks who calls", "create function public.my_notes() returns setof public.notes language sql stable security definer "
         "set search_path = '' as $$ select * from public.notes n where n.owner_id = (select auth.uid()) $$"),
    Case("a writing one that refuses strangers", "create function public.close_note(which uuid) returns void language plpgsql security definer "
         "set search_path = '' as $$ begin if (select auth.uid()) is null then raise exception 'no'; end if; update public.notes set status = 'closed' "
         "where id = which and owner_id = (select auth.uid()); end $$"),
    Case("one that nobody may call", "create function public.sweep() returns void language sql security definer set search_path = '' as "
         "$$ delete from public.notes $$; revoke execute on function public.sweep from public, anon, authenticated"),
    Case("a trigger's function", "create function public.stamp() returns trigger language plpgsql security definer set search_path = '' as "
         "$$ begin update public.profiles set city = city where id = new.owner_id; return new; end $$"),
    Case("one that touches nothing protected", "create function public.now_in_utc() returns timestamptz language sql stable security definer "
         "set search_path = '' as $$ select now() $$"),
    Case("a publication of guarded tables", f"create policy p on public.notes for select using (owner_id = {ME}); "
         "create publication live for table public.notes, public.codes"),
    _policy("files by their owner", "storage.objects", "for select to authenticated using (bucket_id = 'scans' and owner_id = (select auth.jwt() ->> 'sub'))"),
    _policy("files by their folder", "storage.objects",
            "for all to authenticated using (bucket_id = 'scans' and (storage.foldername(name))[1] = (select auth.uid())::text)"),
    Case("a private bucket", "insert into storage.buckets (id, name, public) values ('scans', 'scans', false)"),
]  # fmt: skip
