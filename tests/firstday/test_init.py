"""``opsnb init``: files that load at once, written from what is there, and nothing half-written where something is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import yaml
from clusters import bare
from harness import REPOSITORY, Ended, make_home, process_environment, run_opsnb

from opsnb.config import load_environment, load_release

Opsnb = Callable[..., Ended]
SHOP = """
create schema shop; create schema helpers;
create function helpers.today() returns date language sql stable as 'select current_date';
create table shop.customers (code text primary key, name text not null);
create table shop.orders (id bigint generated always as identity primary key, customer text not null references shop.customers,
    at timestamptz);
create table shop."odd: table" ("a, b" text primary key, "yes" numeric(10, 2));
create function shop.total(bigint, text) returns numeric language sql stable as 'select 0::numeric';
"""


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A project with nothing of its own in it."""
    root = make_home(tmp_path / "a new home")
    for file in [path for path in (root / "parameters").rglob("*") if path.is_file()]:
        file.unlink()
    return root


def init(empty: Path, *words: str, dsn: str = "", **environment: str) -> Ended:
    return run_opsnb("init", *words, root=empty, PGDSN=dsn, **environment)


@pytest.fixture(scope="module")
def clinic() -> Iterator[str]:
    with bare(18).fresh(clinic=True) as dsn:
        yield dsn


def test_a_plain_database(empty: Path) -> None:
    """No platform, no roles of an API: tables, types and functions, names that YAML would trip over; the schema phase runs on it."""
    with bare(18).fresh() as dsn:
        with psycopg.connect(dsn) as connection:
            connection.execute(SHOP.encode())
        ended = init(empty, "mine", "--dsn", "env:PGDSN", dsn=dsn)
        assert ended.code == 0, ended
        release = load_release("mine", empty)
        assert release.schema_.schemas == ("shop",)
        assert release.schema_.tables["odd: table"].columns == {"a, b": "text", "yes": "numeric(10,2)"}
        assert [(each.name, each.arguments, each.returns) for each in release.schema_.functions] == [
            ("total", ("bigint", "text"), "numeric")
        ]
        assert release.identity is None and not release.access
        assert load_environment("mine", empty).platform is None
        ran = run_opsnb("run", "mine", "--phase", "schema", root=empty, PGDSN=dsn)
        (told,) = (empty / "reports" / "mine").glob("*/schema/*/results.json")
        results = json.loads(told.read_text())["results"]
        assert ran.code in (0, 3), ran
        judged = {str(entry["id"]): entry["verdict"] for entry in results if not str(entry["id"]).startswith("runbook.")}
        assert set(judged.values()) == {"PASS"} and {
            "schema.record_columns:odd: table",
            "schema.routine_present:total",
            "drift.none",
        } <= set(judged)
    assert dsn not in "".join(path.read_text() for path in (empty / "parameters").rglob("*.*"))


def test_who_owns_which_rows_is_proposed_from_foreign_keys(empty: Path, clinic: str) -> None:
    """Each kind of people by its own column, over as many references as it takes; what leads to nobody says so."""
    assert init(empty, "mine", "--dsn", "env:PGDSN", dsn=clinic).code == 0
    release = load_release("mine", empty)
    assert release.identity is not None
    assert (release.identity.provider, release.identity.subject_column, release.identity.roles) == (
        "firebase", "public.users.firebase_uid", ("patient", "provider"),
    )  # fmt: skip
    select = {table: {str(who): text for who, text in said.select.items()} for table, said in release.access.items()}
    assert select["soap_notes"] == {"anon": "none", "stranger": "none", "patient": "patient_id = %(user_id)s",
                                    "provider": "provider_id = %(user_id)s"}  # fmt: skip
    part = "soap_note_id in (select a.id from public.soap_notes a where a.patient_id = %(user_id)s)"
    assert select["soap_plan_medication"]["patient"] == part
    assert select["users"]["patient"] == "id = %(user_id)s"
    assert set(select["app_settings"].values()) == {"none"}
    text = (empty / "parameters" / "releases" / "mine.yaml").read_text()
    assert "app_settings:  # confirm: no foreign key leads to a person" in text
    assert text.count("# confirm") > 20


def test_columns_that_say_who_somebody_is(empty: Path) -> None:
    """By their usual names; a first and a last name together. What is called otherwise is not guessed."""
    with bare(18).fresh() as dsn:
        with psycopg.connect(dsn) as connection:
            connection.execute(
                "create table people (id int primary key, first_name text, last_name text, home_phone text, note text, phone_ok bool);"
                "create table invoices (id int primary key, contact_email text, total int, name text)"
            )
        assert init(empty, "mine", "--dsn", "env:PGDSN", dsn=dsn).code == 0
        release = load_release("mine", empty)
    assert release.personal_data == {"public.people": ("first_name last_name", "home_phone"), "public.invoices": ("contact_email",)}


def test_the_platforms_own_users(empty: Path) -> None:
    """A project that keeps no subjects of its own: profiles that hang on auth.users."""
    with bare(18).fresh(supabase=True) as dsn:
        with psycopg.connect(dsn) as connection:
            connection.execute(
                "create table auth.users (id uuid primary key, role text); "
                "create table public.profiles (id uuid primary key references auth.users, name text); "
                "create table public.posts (id bigint primary key, author uuid references public.profiles)"
            )
        assert init(empty, "mine", "--dsn", "env:PGDSN", dsn=dsn).code == 0
    release = load_release("mine", empty)
    assert release.identity is not None
    assert (release.identity.provider, release.identity.subject_column) == ("supabase", "auth.users.id")
    assert dict(release.access["posts"].select)["authenticated"] == "author = %(user_id)s"


@pytest.mark.target
def test_a_project_of_the_platform(target: Path, empty: Path) -> None:
    """Functions with versions, variables by name, the identity provider's issuer; what it wrote is in use at once."""
    run = target / ".opsnb" / "local" / "run"
    words = ("mine", "--dsn", f"file:{run}/dsn", "--project-ref", "localclinicopsnbdemo", "--token", f"file:{run}/access_token",
             "--platform-url", (run / "platform_url").read_text().strip())  # fmt: skip
    ended = init(empty, *words)
    assert ended.code == 0, ended
    release, environment = load_release("mine", empty), load_environment("mine", empty)
    assert "get-patient-history" in release.functions and release.functions["get-patient-history"].version >= 1
    assert "FIREBASE_ADMIN_KEY" in release.variables.required
    assert release.identity is not None and release.identity.issuer.startswith("https://securetoken.google.com/")
    assert environment.region == "eu-central-1"
    assert (run / "access_token").read_text().strip() not in ended.out + ended.err + yaml.safe_dump(environment.model_dump(mode="json"))
    ran = run_opsnb("run", "mine", "--phase", "schema", "--phase", "functions", root=empty)
    assert ran.code in (0, 3), ran


def test_nothing_is_written_over(empty: Path, clinic: str) -> None:
    place = empty / "parameters" / "environments" / "mine.yaml"
    assert init(empty, "mine", "--dsn", "env:PGDSN", dsn=clinic).code == 0
    first = place.read_text()
    place.write_text(first + "# a word of a person\n")
    ended = init(empty, "mine", "--dsn", "env:PGDSN", dsn=clinic)
    assert ended.code == 2 and "is there already" in ended.err
    assert "a word of a person" in place.read_text()
    assert init(empty, "mine", "--dsn", "env:PGDSN", "--force", dsn=clinic).code == 0
    assert "a word of a person" not in place.read_text()
    assert "a word of a person" in place.with_name("mine.yaml.bak").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("mine", "--dsn", "postgresql://me:canary-secret@127.0.0.1/x"), "--dsn: expected a reference"),
        (("Mine Own", "--dsn", "env:PGDSN"), "expected a name"),
        (("../mine", "--dsn", "env:PGDSN"), "expected a name"),
        (("mine",), "expected an environment's name, and a reference"),
        (("mine", "--dsn", "env:PGDSN", "--project-ref", "localclinicopsnbdemo"), "come together"),
        (("mine", "--dsn", "env:PGDSN", "--project-ref", "Wrong", "--token", "env:T"), "--project-ref: expected the 20 lower-case letters"),
        (("mine", "--dsn", "env:NOT_SET"), "NOT_SET is not set"),
    ],
)
def test_what_is_wrong_is_refused_in_words(empty: Path, words: tuple[str, ...], said: str) -> None:
    ended = init(empty, *words, dsn="postgresql://127.0.0.1:1/nowhere")
    assert ended.code == 2 and said in " ".join(ended.err.split()), ended
    assert "canary-secret" not in ended.out + ended.err and "Traceback" not in ended.err
    assert not [path for path in (empty / "parameters").rglob("*") if path.is_file()]


def test_a_database_that_does_not_answer_leaves_nothing(empty: Path) -> None:
    ended = init(empty, "mine", "--dsn", "env:PGDSN", dsn="postgresql://me:canary-secret@127.0.0.1:1/nowhere")
    assert ended.code == 4 and "canary-secret" not in ended.out + ended.err and "Traceback" not in ended.err, ended
    assert not [path for path in (empty / "parameters").rglob("*") if path.is_file()]


def test_the_roles_sql_is_printed_for_review(empty: Path) -> None:
    ended = init(empty, "--role-sql")
    assert ended.code == 0 and "create role opsnb_reader" in ended.out
    assert process_environment(empty)


def test_a_folder_that_is_no_project_becomes_one(tmp_path: Path) -> None:
    """Where the database answered; else nothing is written. What is there stays; OPSNB_HOME that is none is still refused."""
    root = tmp_path / "an empty folder"
    root.mkdir()
    environment = {name: value for name, value in process_environment(root).items() if name != "OPSNB_HOME"}

    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        program = str(Path(sys.executable).with_name("opsnb"))
        return subprocess.run(
            [program, *words], cwd=root, env={**environment, **more}, capture_output=True, text=True, timeout=120, check=False
        )

    refused = run("init", "mine", "--dsn", "env:PGDSN", PGDSN="postgresql://nobody@127.0.0.1:1/x")
    assert refused.returncode != 0 and list(root.iterdir()) == []
    elsewhere = run("init", "mine", "--dsn", "env:PGDSN", PGDSN="x", OPSNB_HOME=str(root))
    assert elsewhere.returncode == 2 and "OPSNB_HOME" in elsewhere.stderr and list(root.iterdir()) == []
    own = root / "notebooks" / "05_schema.ipynb"
    own.parent.mkdir()
    own.write_text("mine")
    with bare(18).fresh() as dsn:
        made = run("init", "mine", "--dsn", "env:PGDSN", PGDSN=dsn)
        assert made.returncode == 0 and "a new project in" in made.stdout and "11 notebooks" in made.stdout, made
        assert own.read_text() == "mine" and len(list(own.parent.glob("*.ipynb"))) == 12
        own.unlink()
        own.write_text((REPOSITORY / "notebooks" / own.name).read_text(encoding="utf-8"), encoding="utf-8")
        judged = run("run", "mine", "--phase", "schema", PGDSN=dsn)
    assert judged.returncode in (0, 1, 3, 4) and list(root.glob("reports/mine/*/schema/*/report.html")), judged
