-- The role opsnb reads with. Run once as `postgres` (PostgreSQL 16 or newer), then give it a password: \password opsnb_reader
--
-- It reads everything, past row level security, because a check that saw only some rows could not count them. It owns nothing and
-- holds no right to write. It may become `anon` and `authenticated`, without inheriting from them, to prove what a caller sees.
-- Running this file again is safe.

do $$
begin
    if pg_catalog.current_setting('server_version_num')::integer < 160000 then
        raise exception 'opsnb_reader needs PostgreSQL 16 or newer: older servers cannot grant a role without its privileges';
    end if;
    if not exists (select from pg_catalog.pg_roles where rolname = 'opsnb_reader') then
        create role opsnb_reader login connection limit 20;
    end if;
end
$$;

grant pg_monitor, pg_read_all_data to opsnb_reader;
grant anon, authenticated to opsnb_reader with inherit false, set true;

-- Past row level security where the server lets us say so; without it, checks that count rows become ERROR rather than wrong.
do $$
begin
    alter role opsnb_reader bypassrls;
exception when insufficient_privilege then
    raise notice 'opsnb_reader stays subject to row level security: % may not give BYPASSRLS', current_user;
end
$$;

-- Defaults a session may override: what stops it from writing is that it lacks the right.
alter role opsnb_reader set default_transaction_read_only = on;
alter role opsnb_reader set statement_timeout = '60s';
alter role opsnb_reader set lock_timeout = '50ms';
alter role opsnb_reader set idle_in_transaction_session_timeout = '120s';
