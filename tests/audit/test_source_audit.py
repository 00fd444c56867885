"""The source audit finds every planted fault where it stands, is quiet on sound sources, and survives what is no source at all."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import psycopg
import pytest
from audit_planted import PLANTED, Planted
from audit_sound import SOUND
from clusters import bare
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

import opsnb.local
from opsnb.checks import audit
from opsnb.checks.audit.constraints import UNKNOWN, evaluate, parsed
from opsnb.checks.audit.selects import conditions, selected
from opsnb.checks.audit.table import COLUMNS
from opsnb.checks.audit.values import HOLE
from opsnb.sources.postgres import Postgres
from opsnb.verdicts import CheckResult, Verdict

CLINIC = Path(opsnb.local.__file__).parent / "clinic" / "supabase"
PLATFORM = ("SUPABASE_URL", "SUPABASE_ANON_KEY", "SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_DB_URL")
MORE = """
create type public.visit_kind as enum ('video', 'onsite');
create table public.visits (id uuid primary key default gen_random_uuid(), kind public.visit_kind not null, note text);
"""
ENUMS = pd.DataFrame({"schema": "public", "name": "visit_kind", "value": ["video", "onsite"]})
Tables = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def schema() -> Iterator[Tables]:
    with bare(18).fresh(clinic=True) as dsn:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(MORE)
        with Postgres(SecretStr(dsn), phase="test") as door:
            yield {name: door.query(name, schemas=["public"]).table for name in ("relations", "columns", "routines", "constraints")}


def judged(
    files: dict[str, bytes], schema: Tables, *, listed: tuple[str, ...] | None = None, secrets: tuple[str, ...] | None = None
) -> dict[str, CheckResult]:
    """Every check of the audit on *files*; without *listed*, the release lists and sets exactly what the text mentions."""
    uses = audit.read(files)
    text = b"\n".join(content for path, content in files.items() if path.endswith("ts")).decode(errors="replace")
    code = re.sub(r"//.*|/\*[\s\S]*?\*/|`[^`]*Deno.env[^`]*`", "", text)
    named = tuple(name for name in dict.fromkeys(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", code)) if not name.startswith("SUPABASE_"))
    listed = named if listed is None else listed
    present = pd.DataFrame({"name": list(listed if secrets is None else secrets)})
    return {
        "references": audit.references(uses, *schema.values(), ENUMS),
        "variables": audit.variables(uses, present, required=listed, injected=PLATFORM),
        **{name: getattr(audit, name)(uses) for name in ("imports", "authority", "errors", "secrets")},
    }


def encoded(files: dict[str, str]) -> dict[str, bytes]:
    return {path: text.encode() for path, text in files.items()}


def place(planted: Planted) -> tuple[str, int]:
    if planted.line:
        return planted.file or "f/index.ts", planted.line
    marked = [(path, text[: text.index("//!")].count("\n") + 1) for path, text in planted.files.items() if "//!" in text]
    assert len(marked) == 1, "one line is marked"
    return marked[0]


def found(planted: Planted, schema: Tables) -> tuple[list[str], CheckResult]:
    """What is not as planted, and the check's result."""
    results = judged(encoded(planted.files), schema, listed=planted.listed, secrets=planted.secrets if planted.listed is not None else None)
    result = results[planted.check]
    table = result.table if result.table is not None else pd.DataFrame(columns=["rule", "file", "line", "severity"])
    file, line = place(planted)
    rows = table[(table["rule"] == planted.rule) & (table["severity"] != "note")]
    if planted.line != -1:
        rows = rows[(rows["file"] == file) & (rows["line"] == line)]
    severity = planted.severity or "error"
    wrong = [] if (rows["severity"] == severity).any() else [f"{planted.check}: no {severity} '{planted.rule}' at {file}:{line}"]
    expected = Verdict.WARN if severity == "warning" else Verdict.FAIL
    wrong += [] if result.verdict is expected else [f"{planted.check} is {result.verdict}: {result.summary}"]
    for name, other in results.items():
        if name not in (planted.check, *planted.others) and other.verdict in (Verdict.FAIL, Verdict.ERROR, Verdict.WARN):
            wrong.append(f"{name} is {other.verdict} as well: {other.summary}")
    if len(rows) and len(table[table["severity"] == "error"]) > 1:
        wrong.append(f"more than was planted: {result.summary}")
    return wrong, result


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name)
def test_a_planted_fault_is_found_where_it_stands(planted: Planted, schema: Tables) -> None:
    """File and line are named, the other checks say nothing, and no value of a secret is shown."""
    wrong, result = found(planted, schema)
    assert not wrong, f"{wrong}\n{result.table.to_string() if result.table is not None else ''}"


@pytest.mark.parametrize("name", SOUND)
def test_sound_sources_are_quiet(name: str, schema: Tables) -> None:
    """Neither an error nor a doubt."""
    for check, result in judged(encoded(SOUND[name]), schema).items():
        assert result.verdict in (Verdict.PASS, Verdict.INCONCLUSIVE), f"{check}: {result.summary}"
        assert result.verdict is Verdict.PASS or "nothing to judge" in result.summary, f"{check}: {result.summary}"


def test_there_are_enough_of_them(schema: Tables, capsys: pytest.CaptureFixture[str]) -> None:
    """At least 40 faults of every kind and 30 sound variants; prints what was found."""
    assert len(PLANTED) >= 40
    assert len(SOUND) >= 30
    rows = []
    for check in dict.fromkeys(planted.check for planted in PLANTED):
        of_check = [planted for planted in PLANTED if planted.check == check]
        missed = [planted.name for planted in of_check if found(planted, schema)[0]]
        rows.append(
            {"check": f"audit.{check}", "planted": len(of_check), "found": len(of_check) - len(missed), "missed": ", ".join(missed)}
        )
    table = pd.DataFrame(rows)
    with capsys.disabled():
        print(f"\n{table.to_string(index=False)}\n{len(SOUND)} sound variants")
    assert table["missed"].eq("").all()


def test_no_value_of_a_credential_is_in_the_table() -> None:
    """Neither the uses nor any result hold what was found, also where it is written to a column."""
    for planted in PLANTED:
        if planted.check != "secrets":
            continue
        text = planted.files["f/index.ts"]
        values = re.findall(r"[A-Za-z0-9_./@:-]{20,}", re.sub(r"import .*|Deno\.serve.*", "", text))
        written = f'{text}\nawait admin.from("users").insert({{ token: "{values[-1] if values else "x"}" }}).eq("a", "b");'
        uses = audit.read({"f/index.ts": written.encode()})
        shown = uses.to_csv() + str(audit.secrets(uses).table.to_csv())  # type: ignore[union-attr]
        assert not [value for value in values if value in shown], planted.name


def test_the_embedded_clinic_has_no_fault(schema: Tables) -> None:
    """Both versions of its functions; what is doubtful of them is that a variable is read which the release does not list."""
    listed = {"required": [*PLATFORM[:2], "FIREBASE_PROJECT_ID", "FIREBASE_ADMIN_KEY", "AWS_REGION"], "injected": PLATFORM[:2]}
    present = pd.DataFrame({"name": ["FIREBASE_PROJECT_ID", "FIREBASE_ADMIN_KEY", "AWS_REGION"]})
    for folder in ("functions", "functions_previous"):
        files = {str(path.relative_to(CLINIC / folder)): path.read_bytes() for path in sorted((CLINIC / folder).rglob("*.ts"))}
        uses = audit.read(files)
        assert set(uses["kind"]) <= {"file", "handler", "answer", "variable", "table", "select", "filter", "field", "routine", "argument"}
        results = [audit.references(uses, *schema.values(), ENUMS), *(check(uses) for check in SIMPLE)]
        assert {result.verdict for result in results} == {Verdict.PASS}, [result.summary for result in results]
        judged_variables = audit.variables(uses, present, optional=["OPENEHR_URL", "TRANSCRIBE_ROLE_ARN"], **listed)
        assert judged_variables.verdict is Verdict.WARN
        assert "error" not in set(judged_variables.table["severity"])  # type: ignore[index]
        tables = set(uses.loc[uses["kind"] == "table", "object"])
        assert tables == {"users", "appointments", "patient_profiles", "soap_notes", "context_snapshots"} | (
            {"app_settings"} if folder == "functions" else set()
        ), "what its helpers are told is read through them"


def test_a_fault_in_the_clinic_is_found_and_its_mending_seen(schema: Tables) -> None:
    """A real change of its sources moves exactly one check, and back."""
    root = CLINIC / "functions"
    listed = ("FIREBASE_PROJECT_ID", "FIREBASE_ADMIN_KEY", "AWS_REGION", "TRANSCRIBE_ROLE_ARN")
    files = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.ts")}
    faults = {
        "references": ("_shared/clinic.ts", b'"patient_profiles"', b'"patient_profile"'),
        "imports": ("get-patient-history/index.ts", b"requireHistory }", b"requireHistories }"),
        "errors": ("_shared/clinic.ts", b"if (response.ok) return answer;", b"return answer;"),
        "authority": ("_shared/clinic.ts", b"Bearer ${caller.token}", b"Bearer ${requireVariable('SUPABASE_SERVICE_ROLE_KEY')}"),
        "secrets": ("_shared/http.ts", b"const UUID", b'const key = "sb_' + b"secret_q8ZkT4nW1vB7xY2cD5fG9h_hJ3kL6m" + b'";\nconst UUID'),
    }
    for check, (path, old, new) in faults.items():
        assert old in files[path]
        broken = files | {path: files[path].replace(old, new)}
        if check == "errors":  # what else looked at the answer goes as well
            kept = broken[path].decode().split("\n")
            first = next(number for number, line in enumerate(kept) if line.strip() == "return answer;")
            broken[path] = "\n".join(kept[: first + 1] + kept[first + 4 :]).encode()
        results = judged(broken, schema, listed=listed)
        failing = {name for name, result in results.items() if result.verdict is Verdict.FAIL}
        assert failing == {check}, {name: result.summary for name, result in results.items()}
    careless = files["_shared/firebase.ts"].replace(b"if (!key || !(await", b"if (!key && !(await")
    assert careless != files["_shared/firebase.ts"]
    service = files["_shared/clinic.ts"].replace(*faults["authority"][1:])
    results = judged(files | {"_shared/firebase.ts": careless, "_shared/clinic.ts": service}, schema, listed=listed)
    assert results["authority"].verdict is Verdict.FAIL
    assert all(result.verdict is not Verdict.FAIL for result in judged(files, schema, listed=listed).values())


SIMPLE = (audit.imports, audit.authority, audit.errors, audit.secrets)
NO_SOURCE: dict[str, dict[str, bytes]] = {
    "nothing": {},
    "no source": {"README.md": b"# read me", "logo.png": b"\x89PNG\0\0"},
}


@pytest.mark.parametrize("name", NO_SOURCE)
def test_no_file_looked_at_is_never_a_pass(name: str, schema: Tables) -> None:
    uses = audit.read(NO_SOURCE[name])
    results = [audit.references(uses, *schema.values(), ENUMS), audit.variables(uses, pd.DataFrame(), required=["A"])]
    for result in (*results, *(check(uses) for check in SIMPLE)):
        assert result.verdict is Verdict.INCONCLUSIVE, result.id


def test_a_schema_that_could_not_be_seen_is_no_fault_of_the_sources(schema: Tables) -> None:
    uses = audit.read(encoded(SOUND["everything, and a count"]))
    none = pd.DataFrame()
    assert audit.references(uses, none, none, none).verdict is Verdict.INCONCLUSIVE
    without = audit.references(uses, schema["relations"], schema["columns"], schema["routines"])
    assert without.verdict is Verdict.PASS


def test_a_source_that_serves_nothing_is_open() -> None:
    """Without a handler nobody's caller was followed; without a query there was no answer to look at."""
    uses = audit.read({"_shared/a.ts": b"export const one = 1;"})
    assert audit.authority(uses).verdict is Verdict.INCONCLUSIVE
    assert audit.errors(uses).verdict is Verdict.INCONCLUSIVE
    assert audit.imports(uses).verdict is Verdict.PASS


ODD: dict[str, tuple[bytes, str]] = {
    "binary": (b"\x7fELF\0\0\0\1" * 10, "binary"),
    "UTF-16": ('const a = "x";'.encode("utf-16"), "binary"),
    "invalid UTF-8": (b'const a = "\xff\xfe\xfa";\nDeno.serve(() => new Response(a));', "UTF-8"),
    "huge": (b"const a = 1;\n" * 90_000, "bytes"),
    "no source at all": (b"{{{{ select * from users <<<< `", "parse"),
    "cut off": (b'Deno.serve(async (req) => { const { data } = await x.from("a").select(`', "parse"),
}


@pytest.mark.parametrize("name", ODD)
def test_a_file_that_cannot_be_read_is_a_finding(name: str) -> None:
    """Not an exception, and not a pass: the other checks leave it open."""
    content, word = ODD[name]
    uses = audit.read({"f/index.ts": content, "g/index.ts": SOUND["a bucket is no table"]["f/index.ts"].encode()})
    result = audit.imports(uses)
    assert result.verdict in (Verdict.FAIL, Verdict.WARN)
    assert any(word in sentence for sentence in result.table["finding"])  # type: ignore[index]
    if name != "invalid UTF-8":
        assert audit.authority(uses).verdict is Verdict.INCONCLUSIVE


def test_what_is_deep_or_large_is_survived() -> None:
    """Sums of thousands of terms, calls in circles, imports in circles, functions that call one another ever more often."""
    deep = "const a = " + " + ".join(['"x"'] * 5000) + ";\n"
    nested = "const b = " + "(" * 3000 + "1" + ")" * 3000 + ";\n"
    chain = "const c = x" + ".y()" * 3000 + ";\n"
    calls = (
        "".join(f"const f{n} = (v) => f{n + 1}(v) + f{n + 1}(v) + f{n + 1}(v);\n" for n in range(40)) + "const f40 = (v) => v;\nf0(1);\n"
    )
    circle = "function g(v) { return h(v); }\nfunction h(v) { return g(v); }\ng(1);\n"
    for text in (deep, nested, chain, calls, circle):
        uses = audit.read({"f/index.ts": f"{text}Deno.serve(() => new Response('ok'));".encode()})
        assert audit.imports(uses).verdict is Verdict.PASS
        assert audit.authority(uses).verdict in (Verdict.PASS, Verdict.INCONCLUSIVE)
    round_about = {
        "a.ts": b'import { b } from "./b.ts";\nexport const a = () => b();\nexport * from "./b.ts";',
        "b.ts": b'import { a } from "./a.ts";\nexport const b = () => a();\nexport * from "./a.ts";',
        "f/index.ts": b'import { a, b } from "../a.ts";\nDeno.serve(() => new Response(String([a(), b()])));',
    }
    assert audit.imports(audit.read(round_about)).verdict is Verdict.PASS


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_damage_is_survived(data: st.DataObject) -> None:
    """Sources cut, joined and scrambled never raise, and never turn a fault of reading into a pass."""
    texts = [*(text for files in SOUND.values() for text in files.values()), *(t for p in PLANTED for t in p.files.values())]
    one, other = data.draw(st.sampled_from(texts)), data.draw(st.sampled_from(texts))
    start, stop = sorted((data.draw(st.integers(0, len(one))), data.draw(st.integers(0, len(one)))))
    damaged = one[:start] + data.draw(st.sampled_from(["", "{", "`", "/*", "}", '"', other])) + one[stop:]
    uses = audit.read({"f/index.ts": damaged.encode(), "deno.json": other[: stop - start].encode()})
    assert list(uses.columns) == list(COLUMNS)
    assert not uses.isna().any().any()
    for check in SIMPLE:
        assert check(uses).verdict is not Verdict.ERROR


MORE_CHECKS = (
    "kind in ('a', 'b')", "kind <> all (array['a', 'b'])", "kind = any ('{a,b}'::text[])", "not (kind = 'a' or kind is null)",
    "kind is not null and kind <> ''", "length(kind) > 1", "kind::text = 'a'::text", "number between 1 and 10",
    "number not between 1 and 10",
    "number > 0 and number % 2 = 0", "number is null or number >= 5", "kind like 'a%'", "(kind = 'a') = (number is not null)",
    "kind not in ('b') or number in (1, 2)", "coalesce(kind, 'x') = 'x'", "kind ~ '^[a-z]+$'", "number <> -1", "(kind = 'a') is true",
    "case when kind = 'a' then number = 1 else true end", "kind in ('A', 'b') and lower(kind) = 'b'",
)  # fmt: skip


def test_a_check_is_judged_as_the_server_does() -> None:
    """What the evaluation of a CHECK is sure of is what PostgreSQL answers, for every row of a grid; it may leave things open."""
    kinds: tuple[str | None, ...] = ("a", "b", "A", "", "ab", "{a,b}", None)
    numbers: tuple[int | None, ...] = (-1, 0, 1, 2, 5, 10, 11, None)
    sure = total = 0
    with bare(18).fresh() as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        for number, text in enumerate(MORE_CHECKS):
            connection.execute(f"create table t{number} (kind text, number integer, constraint c{number} check ({text}))".encode())
            shown = connection.execute("select pg_get_constraintdef(oid) from pg_constraint where conname = %s", [f"c{number}"]).fetchone()
            assert shown is not None
            condition = parsed(shown[0])
            assert condition is not None, shown[0]
            for kind, count in itertools.product(kinds, numbers):
                row = {"kind": kind, "number": None if count is None else float(count)}
                told = evaluate(condition, row)
                expression = shown[0].removeprefix("CHECK ").replace("%", "%%").encode()
                query = b"select " + expression + b" from (select %s::text as kind, %s::integer as number)"
                answer = connection.execute(query, [kind, count]).fetchone()
                assert answer is not None
                total += 1
                if told is not UNKNOWN:
                    sure += 1
                    assert told == answer[0], f"{shown[0]} for {row}: {told}, the server says {answer[0]}"
    print(f"{sure} of {total} sure")
    assert sure > total * 0.6, f"{sure} of {total}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id, a:b, c::text, d->>e, *", [("id", ""), ("b", ""), ("c", ""), ("d", "")]),
        ("x:users!fk!inner(id, y:z(*)), count()", [("users", "x")]),
        ('"odd name", n:"other", amount.sum()', [("odd name", ""), ("other", ""), ("amount", "")]),
        (f"id, {HOLE}, a{HOLE}(b)", [("id", "")]),
        ("...users(id),", [("users", "users")]),
        ("", []),
    ],
)
def test_what_is_selected_is_taken_apart(text: str, expected: list[tuple[str, str]]) -> None:
    assert [(each.name, each.alias) for each in selected(text)] == expected


def test_conditions_are_taken_apart() -> None:
    text = 'a.eq.1,and(b.not.is.null,or(c.in.(1,2),d->>e.ilike."%x,y%")),child.f.gte.2'
    assert [(name, operator) for name, operator, _, _ in conditions(text)] == [
        ("a", "eq"), ("b", "not"), ("c", "in"), ("d->>e", "ilike"), ("child.f", "gte"),
    ]  # fmt: skip
    assert [text[offset : offset + 1] for _, _, _, offset in conditions(text)] == ["a", "b", "c", "d", "c"]


def test_the_layout_of_the_files_does_not_matter() -> None:
    """A release's folder, what the platform hands out, a function that is called test: the same findings, of the same function."""
    files = next(each for each in PLANTED if each.name == "service role in a helper of another file").files
    for prefix, slug in (("", "f"), ("supabase/functions/", "f"), ("f/functions/", "f"), ("f\\", "f"), ("./", "f")):
        table = audit.authority(audit.read({f"{prefix}{path}": text.encode() for path, text in files.items()})).table
        assert table is not None
        assert len(table) == 1
        assert table["finding"][0].startswith(f"{slug} uses the table app_settings"), prefix
    moved = {path.replace("f/", "test/"): text.encode() for path, text in files.items()}
    assert audit.authority(audit.read(moved)).verdict is Verdict.FAIL
    renamed = {path.replace("f/index.ts", "f/server.ts"): text.encode() for path, text in files.items()}
    assert audit.authority(audit.read(renamed)).verdict is Verdict.FAIL


def test_what_the_release_accepts_is_a_warning() -> None:
    planted = next(each for each in PLANTED if each.name == "accounts of others")
    uses = audit.read(encoded(planted.files))
    subject = audit.authority(uses).table["object"][0]  # type: ignore[index]
    assert audit.authority(uses).verdict is Verdict.FAIL
    assert audit.authority(uses, accepted=[subject]).verdict is Verdict.WARN
    assert audit.authority(uses, accepted=["f/index.ts"]).verdict is Verdict.WARN
    assert audit.authority(uses, accepted=["g/index.ts"]).verdict is Verdict.FAIL


def test_the_audit_of_many_files_is_quick() -> None:
    """A hundred functions in a few seconds."""
    texts = list(SOUND.values())
    files = {f"fn{number}/{path}": text.encode() for number in range(100) for path, text in texts[number % len(texts)].items()}
    started = time.perf_counter()
    uses = audit.read(files)
    taken = time.perf_counter() - started
    print(f"{len(files)} files in {taken:.1f} s, {len(uses)} uses")
    assert taken < 30
