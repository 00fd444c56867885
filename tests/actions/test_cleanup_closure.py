"""The plan on databases of many shapes: what goes along, what stays and changes, in which order, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cleaning_desk import Desk
from clusters import bare

from opsnb.errors import ActionFailed, ActionRefused, SourceError, UsageError

Make = Callable[..., Desk]


@pytest.fixture(params=[18, 15], ids=["pg18", "pg15"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """A fresh database with *statements* run in it."""
    with bare(request.param).fresh() as dsn:

        def desk(statements: str, records: list[tuple[str, str, list[str]]], **more: Any) -> Desk:
            said = {"records": [{"table": table, "key": key, "values": values} for table, key, values in records], **more}
            made = Desk(dsn, tmp_path / "root", said)
            made.run(statements)
            return made

        yield desk


PEOPLE = "create table public.people (id int primary key, name text, created_at timestamptz not null default '2026-01-10');"
ANN = [("public.people", "id", ["1"])]


def cleaned(desk: Desk) -> dict[str, int]:
    """Applies the plan; how many rows each table lost."""
    before = desk.hashes()
    action = desk.action()
    plan = action.plan()
    action.apply(plan, confirm="desk")
    after = desk.hashes()
    lost = {table: before[table][0] - after[table][0] for table in before if before[table][0] != after[table][0]}
    assert lost == plan.by_table
    return lost


def restored(desk: Desk, before: dict[str, tuple[int, str]]) -> None:
    undo = desk.undo()
    undo.apply(undo.plan(), confirm="desk")
    assert desk.hashes() == before


def cleaned_and_restored(desk: Desk) -> dict[str, int]:
    before = desk.hashes()
    lost = cleaned(desk)
    assert desk.action().plan().rows == 0
    restored(desk, before)
    return lost


@pytest.mark.parametrize("rule", ["cascade", "restrict", "no action"])
def test_children_go_whatever_their_constraint_says(make: Make, rule: str) -> None:
    """Children of children too; those of others stay."""
    desk = make(
        f"""{PEOPLE} insert into people values (1, 'a'), (2, 'b');
        create table visits (id int primary key, who int references people (id) on delete {rule});
        create table notes (id int primary key, visit int not null references visits (id) on delete {rule});
        insert into visits values (10, 1), (11, 1), (20, 2), (30, null);
        insert into notes values (100, 10), (101, 11), (102, 11), (200, 20);""",
        ANN,
    )
    plan = desk.action().plan()
    assert plan.order == (("public.notes",), ("public.visits",), ("public.people",))
    assert list(plan.table["table"]) == ["public.notes", "public.visits", "public.people"]
    assert list(plan.table["rows"]) == [3, 2, 1]
    assert cleaned_and_restored(desk) == {"public.notes": 3, "public.visits": 2, "public.people": 1}


def test_set_null_and_set_default_change_and_keep(make: Make) -> None:
    """Said in the plan; the undo gives them their old values."""
    desk = make(
        f"""{PEOPLE} insert into people values (0, 'nobody'), (1, 'a'), (2, 'b');
        create table calls (id int primary key, who int references people (id) on delete set null, stamp timestamptz default now());
        create table rooms (id int primary key, who int default 0 references people (id) on delete set default);
        create function touch() returns trigger language plpgsql as $$ begin new.stamp := clock_timestamp(); return new; end $$;
        create trigger touch before update on calls for each row execute function touch();
        insert into calls values (1, 1), (2, 2), (3, null); insert into rooms values (1, 1), (2, 2);""",
        ANN,
    )
    before = desk.hashes()
    plan = desk.action().plan()
    assert plan.by_table == {"public.people": 1}
    assert plan.changed_by_table == {"public.calls": 1, "public.rooms": 1}
    assert "2 rows would lose a reference and stay" in plan.sentence
    assert "changed: who becomes NULL" in set(plan.table["what happens"])
    assert "changed: who becomes its default" in set(plan.tree["what happens"])
    cleaned(desk)
    assert desk.rows("select id, who from calls order by 1") == [(1, None), (2, 2), (3, None)]
    assert desk.rows("select id, who from rooms order by 1") == [(1, 0), (2, 2)]
    restored(desk, before)


def test_an_undo_does_not_overwrite_what_changed_since(make: Make) -> None:
    desk = make(
        f"""{PEOPLE} insert into people values (1, 'a');
        create table calls (id int primary key, who int references people (id) on delete set null, said text);
        insert into calls values (1, 1, 'old');""",
        ANN,
    )
    cleaned(desk)
    desk.run("update calls set said = 'new'")
    undo = desk.undo()
    before = desk.hashes()
    with pytest.raises(ActionRefused, match=r"public\.calls were changed since the cleanup"):
        undo.apply(undo.plan(), confirm="desk")
    assert desk.hashes() == before


def test_only_some_columns_are_set_null(make: Make) -> None:
    """`on delete set null (column)` of a composite key."""
    desk = make(
        """create table people (tenant int, id int, primary key (tenant, id)); insert into people values (1, 1), (1, 2);
        create table calls (id int primary key, tenant int not null, who int,
            foreign key (tenant, who) references people (tenant, id) on delete set null (who));
        insert into calls values (1, 1, 1), (2, 1, 2);""",
        ANN,
    )
    assert cleaned_and_restored(desk) == {"public.people": 1}


def test_set_null_of_a_column_that_may_not_be_is_refused(make: Make) -> None:
    desk = make(
        f"{PEOPLE} insert into people values (1, 'a'); create table calls (id int primary key, who int not null references people (id) "
        "on delete set null); insert into calls values (1, 1);",
        ANN,
    )
    plan = desk.action().plan()
    assert "may not be NULL" in plan.blocked_by[0]
    with pytest.raises(ActionRefused, match="Nothing was changed"):
        desk.action().apply(plan, confirm="desk")


def test_composite_keys_and_self_references(make: Make) -> None:
    """A thread of answers, three deep, is one line of the plan."""
    desk = make(
        """create table clinics (id int primary key); insert into clinics values (1);
        create table people (clinic int references clinics (id), number int, primary key (clinic, number));
        create table messages (clinic int, number int, writer int not null, answers int,
            primary key (clinic, number), foreign key (clinic, writer) references people (clinic, number),
            foreign key (clinic, answers) references messages (clinic, number));
        insert into people values (1, 1), (1, 2);
        insert into messages values (1, 10, 1, null), (1, 11, 2, 10), (1, 12, 2, 11), (1, 13, 2, 12), (1, 20, 2, null);""",
        [("people", "number", ["1"])],
    )
    plan = desk.action().plan()
    assert [step.rows for step in plan.steps if step.table == "public.messages"] == [1, 3]
    assert cleaned_and_restored(desk) == {"public.people": 1, "public.messages": 4}


@pytest.mark.parametrize("rule", ["", "on delete restrict", "on delete cascade", "deferrable initially deferred"])
def test_circles_are_deleted_in_one_statement(make: Make, rule: str) -> None:
    """Said plainly; no constraint is deferred, dropped or disabled."""
    desk = make(
        f"""create table a (id int primary key, b int); create table b (id int primary key, a int not null references a (id) {rule});
        alter table a add foreign key (b) references b (id) {rule};
        create table c (id int primary key, b int references b (id));
        insert into a values (1), (2); insert into b values (10, 1), (20, 2); update a set b = id * 10; insert into c values (100, 10);""",
        [("a", "id", ["1"])],
    )
    plan = desk.action().plan()
    assert plan.order == (("public.c",), ("public.a", "public.b"))
    assert "public.a, public.b refer to each other: their rows are deleted in one statement" in plan.warnings
    assert "deleted, together with public.b: named by id" in set(plan.table["what happens"])
    assert cleaned_and_restored(desk) == {"public.a": 1, "public.b": 1, "public.c": 1}


def test_partitions_are_one_table(make: Make) -> None:
    """Rows of several partitions, referred to and referring."""
    desk = make(
        f"""{PEOPLE} insert into people values (1, 'a'), (2, 'b');
        create table visits (id int, at date, who int references people (id), primary key (id, at)) partition by range (at);
        create table visits_old partition of visits for values from ('2025-01-01') to ('2026-01-01');
        create table visits_new partition of visits for values from ('2026-01-01') to ('2027-01-01') partition by list (at);
        create table visits_newest partition of visits_new default;
        create table notes (id int primary key, visit int, at date, foreign key (visit, at) references visits (id, at) on delete cascade);
        insert into visits values (1, '2025-05-05', 1), (2, '2026-05-05', 1), (3, '2026-06-06', 2);
        insert into notes values (1, 1, '2025-05-05'), (2, 2, '2026-05-05'), (3, 3, '2026-06-06');
        create table only_newest (id int primary key, visit int, at date, foreign key (visit, at) references visits_newest (id, at));
        insert into only_newest values (1, 2, '2026-05-05'), (2, 3, '2026-06-06');""",
        ANN,
    )
    plan = desk.action().plan()
    expected = {"public.people": 1, "public.visits": 2, "public.notes": 2, "public.only_newest": 1}
    assert plan.by_table == expected
    before = desk.hashes()
    desk.action().apply(plan, confirm="desk")
    assert desk.rows("select id from visits") == [(3,)] and desk.rows("select id from notes") == [(3,)]
    restored(desk, before)


def test_inheriting_tables(make: Make) -> None:
    """Constraints do not hold for them: rows named are found in them, references are those of the parent alone."""
    desk = make(
        """create table base (id int primary key); create table heir (extra text) inherits (base);
        create table notes (id int primary key, base int references base (id));
        insert into base values (1), (3); insert into heir values (2, 'x'), (4, 'y'); insert into notes values (1, 1), (3, 3);""",
        [("base", "id", ["1", "2"])],
    )
    assert cleaned_and_restored(desk) == {"public.base": 1, "public.heir": 1, "public.notes": 1}


def test_links_that_no_constraint_enforces(make: Make) -> None:
    """Named by the release; columns of another type are compared as text. Without the link its rows stay."""
    statements = f"""{PEOPLE} insert into people values (1, 'a'), (2, 'b');
        create schema "Audit"; create table "Audit"."Log" (id bigint generated always as identity primary key, who text);
        create table lines (id int primary key, log bigint references "Audit"."Log" (id));
        insert into "Audit"."Log" (who) values ('1'), ('1'), ('2'), (null); insert into lines values (1, 1), (2, 3);"""
    desk = make(statements, ANN)
    assert desk.action().plan().by_table == {"public.people": 1}
    desk.cleanup["links"] = [{"child": "Audit.Log.who", "parent": "public.people.id"}]
    assert cleaned_and_restored(desk) == {"public.people": 1, '"Audit"."Log"': 2, "public.lines": 1}


@pytest.mark.parametrize("link", ["public.nothing.who", "public.people.nothing"])
def test_a_link_that_leads_nowhere(make: Make, link: str) -> None:
    desk = make(PEOPLE, ANN, links=[{"child": link, "parent": "public.people.id"}])
    with pytest.raises(SourceError, match=r"no table public\.nothing|no column nothing"):
        desk.action().plan()


def test_a_table_without_a_key(make: Make) -> None:
    """Doubles too: exactly those rows, all of them, and all of them back."""
    desk = make(
        f"""{PEOPLE} insert into people values (1, 'a'), (2, 'b'); create table steps (who int references people (id), what text);
        insert into steps values (1, 'x'), (1, 'x'), (2, 'x');
        create table named (id int not null, who int references people (id)); create unique index on named (id);
        insert into named values (1, 1), (2, 2);""",
        ANN,
    )
    assert cleaned_and_restored(desk) == {"public.people": 1, "public.steps": 2, "public.named": 1}


def test_a_table_without_a_key_is_not_changed(make: Make) -> None:
    desk = make(
        f"{PEOPLE} insert into people values (1, 'a'); create table steps (who int references people (id) on delete set null); "
        "insert into steps values (1);",
        ANN,
    )
    assert "no key by which they could be restored" in desk.action().plan().blocked_by[0]


def test_odd_names_and_generated_columns(make: Make) -> None:
    desk = make(
        """create schema "Odd %s {x}"; create table "Odd %s {x}"."Ta""ble" ("I d" int primary key, "a%b" int,
            "{c}" int generated always as ("a%b" * 2) stored);
        insert into "Odd %s {x}"."Ta""ble" ("I d", "a%b") values (1, 1), (2, 2);""",
        [('"Odd %s {x}"."Ta""ble"', "I d", ["1"])],
    )
    assert cleaned_and_restored(desk) == {'"Odd %s {x}"."Ta""ble"': 1}


def test_row_level_security_hides_nothing(make: Make) -> None:
    """A role that policies bind is refused; it does not plan with the rows it happens to see."""
    desk = make(
        f"""{PEOPLE} insert into people values (1, 'a'); alter table people enable row level security;
        drop role if exists bound; create role bound login; grant select, update, delete on people to bound;""",
        ANN,
    )
    assert desk.action().plan().rows == 1
    desk.dsn = desk.dsn.replace("postgres@", "bound@")
    with pytest.raises(SourceError, match="row level security hides rows"):
        desk.action().plan()
    desk.dsn = desk.dsn.replace("bound@", "postgres@")
    desk.run("drop owned by bound; drop role bound")


def test_more_rows_than_tests_leave(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opsnb.actions.cleanup.closure.MAX_ROWS", 50)
    desk = make(
        f"""{PEOPLE} insert into people values (1, 'a'); create table visits (id int primary key, who int references people (id));
        insert into visits select n, 1 from generate_series(1, 49) n;""",
        ANN,
    )
    assert desk.action().plan().rows == 50
    desk.run("insert into visits values (50, 1)")
    with pytest.raises(ActionRefused, match=r"more than 50 rows, most of them of public\.visits"):
        desk.action().plan()


def test_what_the_release_names_must_be_there(make: Make) -> None:
    desk = make(PEOPLE + "create view seen as select id from people;", [("public.persons", "id", ["1"])])
    with pytest.raises(ActionRefused, match=r"names the table public\.persons"):
        desk.action().plan()
    desk.cleanup["records"][0] |= {"table": "public.people", "key": "nummer"}
    with pytest.raises(SourceError, match="no column nummer; it has id, name, created_at"):
        desk.action().plan()
    desk.cleanup["records"][0] |= {"table": "public.seen", "key": "id"}
    with pytest.raises(SourceError, match="is no table"):
        desk.action().plan()
    desk.cleanup["records"][0] |= {"table": "public.people"}
    desk.cleanup["guards"] = {"people": ["public.persons"]}
    with pytest.raises(ActionRefused, match=r"guard people names the table public\.persons"):
        desk.action().plan()


TRIGGERS = f"""{PEOPLE} insert into people values (1, 'a'), (2, 'b');
    create table audit (id serial primary key, what text); insert into audit (what) values ('old');
    create table totals (id int primary key, n int); insert into totals values (1, 2);
    create function act() returns trigger language plpgsql as $$ begin %s; return old; end $$;
    create trigger act before delete on people for each row execute function act();"""


@pytest.mark.parametrize(
    ("body", "word", "why"),
    [
        ("delete from public.audit", "deletes rows", r"public\.audit would lose 1 rows, the plan said 0"),
        ("update public.totals t set n = n - 1", "updates rows", r"public\.totals would have changed 1 rows"),
        ("truncate public.totals", "deletes rows", r"emptied or altered public\.totals"),
        ("execute 'dele' || 'te from public.totals'", "runs composed text", r"public\.totals would lose 1 rows"),
    ],
)
def test_a_trigger_that_takes_other_rows_along(make: Make, body: str, word: str, why: str) -> None:
    """Named in the plan; what it really does is counted, and the deletion rolled back."""
    desk = make(TRIGGERS % body, ANN)
    plan = desk.action().plan()
    assert plan.triggers[0].effects == (word,) and "public.people: the trigger act calls public.act" in plan.warnings[0]
    before = desk.hashes()
    with pytest.raises(ActionFailed, match=why):
        desk.action().apply(plan, confirm="desk")
    assert desk.hashes() == before
    assert not list(desk.actions.glob("*")), "nothing was filed of what did not happen"


def test_a_trigger_that_keeps_rows(make: Make) -> None:
    """One that returns nothing lets no row go."""
    desk = make(TRIGGERS % "return null", ANN)
    with pytest.raises(ActionFailed, match=r"public\.people would lose 0 rows, the plan said 1"):
        desk.action().apply(desk.action().plan(), confirm="desk")
    assert desk.rows("select count(*) from people") == [(2,)]


def test_a_trigger_that_only_adds(make: Make) -> None:
    """An audit trail is no loss; it is said. The undo leaves it and fires no trigger."""
    desk = make(TRIGGERS % "insert into audit (what) values ('gone')", ANN)
    desk.run("create trigger back before insert on people for each row execute function act(); "
             "alter table people enable always trigger act;"
             "create trigger off before insert on people for each row execute function act();"
             "alter table people disable trigger off;")  # fmt: skip
    states = "select tgname, tgenabled from pg_trigger where tgrelid = 'people'::regclass order by 1"
    before, enabled = desk.hashes(), desk.rows(states)
    action = desk.action()
    plan = action.plan()
    assert plan.triggers[0].effects == ("inserts rows",)
    action.apply(plan, confirm="desk")
    assert "Triggers added 1 rows to public.audit." in action.sentence
    undo = desk.undo()
    undo.apply(undo.plan(), confirm="desk")
    after = desk.hashes()
    assert after["public.people"] == before["public.people"] and after["public.audit"][0] == 2
    assert desk.rows(states) == enabled


def test_a_rule_that_rewrites_is_refused(make: Make) -> None:
    desk = make(PEOPLE + "insert into people values (1, 'a'); create rule keep as on delete to people do instead nothing;", ANN)
    assert "has a rule that rewrites" in desk.action().plan().blocked_by[0]


def test_without_an_index_somebody_should_know(make: Make) -> None:
    desk = make(
        f"""{PEOPLE} insert into people values (1, 'a'), (2, 'b'); create table visits (id int primary key, who int references people (id));
        insert into visits select n, 2 from generate_series(1, 10001) n; analyze visits;""",
        ANN,
    )
    assert "public.visits has no index on who" in desk.action().plan().warnings[0]
    desk.run("create index on visits (who)")
    assert not desk.action().plan().warnings


def test_the_tree(make: Make) -> None:
    """Branches as a person draws them; ordinary spaces would be folded by HTML."""
    desk = make(
        f"""{PEOPLE} insert into people values (1, 'a');
        create table visits (id int primary key, who int references people (id) on delete cascade);
        create table notes (id int primary key, visit int references visits (id)); create table parts (id int primary key, note int
            references notes (id) on delete cascade);
        create table calls (id int primary key, who int references people (id) on delete set null);
        insert into visits values (1, 1); insert into notes values (1, 1);
        insert into parts values (1, 1); insert into calls values (1, 1);""",
        [*ANN, ("public.calls", "id", ["99"])],
    )
    plan = desk.action().plan()
    assert plan.tree_lines == [
        "public.people               1  deleted, named by id",
        "├─ public.visits            1  deleted, who (on delete cascade)",
        "│  └─ public.notes          1  deleted, visit (no cascade: deleted first)",
        "│     └─ public.parts       1  deleted, note (on delete cascade)",
        "└─ public.calls             1  changed: who becomes NULL, who (on delete set null)",
        "public.calls                0  none left, named by id",
    ]
    assert "│\N{NO-BREAK SPACE}\N{NO-BREAK SPACE}└─" in plan.tree["tree"][2] and list(plan.tree["rows"]) == [1, 1, 1, 1, 1, 0]


def test_apply_needs_a_key_to_encrypt_to(make: Make) -> None:
    """Refused before anything is read or written; nothing to delete needs none."""
    desk = make(PEOPLE + "insert into people values (1, 'a');", ANN)
    desk.encrypted = False
    with pytest.raises(UsageError, match=r"encryption\.recipient is needed to delete"):
        desk.action().apply(desk.action().plan(), confirm="desk")
    assert desk.rows("select count(*) from people") == [(1,)]
    desk.run("delete from people")
    desk.action().apply(desk.action().plan(), confirm="desk")
