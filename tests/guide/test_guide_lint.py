"""``opsnb lint``: what is wrong with a runbook is found on its line; a sound one is left alone; hostile text is text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from clusters import bare
from harness import Ended, make_home, run_opsnb
from hypothesis import given
from hypothesis import strategies as st

from opsnb.guide import boxes, commands, document, grammar, limits, reading, statements
from opsnb.guide.findings import Finding

SOUND = Path(__file__).with_name("sound.md")
SHARED = Path(__file__).resolve().parents[3] / "shared" / "runbook" / "guide.md"


def found(text: str) -> list[Finding]:
    guide = document.parse(text)
    sorted_boxes = boxes.sort(guide)
    return [*commands.judge(guide), *statements.judge(guide), *limits.judge(guide), *boxes.judge(sorted_boxes)]


def rules(text: str) -> dict[int, set[str]]:
    told: dict[int, set[str]] = {}
    for finding in found(text):
        told.setdefault(finding.line, set()).add(finding.rule)
    return told


def shell(*lines: str) -> str:
    return "\n".join(("# Title", "", "```bash", *lines, "```"))


def sql(*lines: str) -> str:
    return "\n".join(("# Title", "", "```sql", *lines, "```"))


def test_a_sound_runbook_is_left_alone() -> None:
    judged = reading.judge(SOUND)
    assert not judged.findings, judged.findings
    assert (judged.commands, judged.statements) == (4, 4)
    assert {box.kind for box in judged.boxes} == {"check", "attestation"}


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("npx supabase functions logs x --tail --project-ref y", "unknown-command"),
        ("supabase db remote list --project-ref y", "unknown-command"),
        ("supabase nonsense", "unknown-command"),
        ("SUPABASE_ACCESS_TOKEN=x npx supabase db remote list", "unknown-command"),
        ("cd app && supabase functions logs all > /var/log/x", "unknown-command"),
        ("supabase db pull --db-only", "unknown-flag"),
        ("supabase db pull --schema-only", "unknown-flag"),
        ("supabase migration list --project-ref y", "unknown-flag"),
        ("supabase functions deploy x --version v3", "unknown-flag"),
        ("supabase functions deploy --prune", "changes-more"),
        ("supabase db pull", "changes-more"),
        ("psql service=x -f a.sql", "goes-on-after-errors"),
        ("psql service=x -v ON_ERROR_STOP=1 -f a.sql", "half-done"),
        ("psql postgresql://u:p@h:6543/x -c 'select 1'", "transaction-pooler"),
        ("psql postgresql://u:p@h:5432/x -c 'select 1'", "password-in-sight"),
        ("curl -X POST https://x.supabase.co/functions/v1/f -d '{}'", "refused"),
        ("curl https://example.org/health", "cannot-fail"),
        ("make deploy || true", "cannot-fail"),
        ("cat log | grep -E 'ERROR|FATAL'", "cannot-fail"),
        ("tail -f /var/log/x", "never-ends"),
        ("# Dashboard: press Restore", "nothing-runs"),
        ("AWS_REGION=eu-central-1", "nothing-runs"),
    ],
)
def test_commands(line: str, rule: str) -> None:
    """Each on its line, alone, and after a line of another command."""
    assert rule in rules(shell(line)).get(4, set())
    if rule != "nothing-runs":
        assert rule in rules(shell("true", line))[5]


@pytest.mark.parametrize(
    "line",
    [
        "supabase functions list --project-ref x -o json",
        "npx supabase secrets list --project-ref=x",
        "supabase db dump --linked -f schema.sql --data-only",
        "supabase backups restore -t 1700000000 --project-ref x",
        "supabase branches create x --anything",
        "supabase --version",
        "curl -sSf https://example.org/health",
        "curl -H 'authorization: Bearer x' -w '%{http_code}' https://x.supabase.co/functions/v1/f",
        "psql service=x -1 -v ON_ERROR_STOP=1 -f a.sql",
        "! grep -q ERROR log",
        "if cat log | grep ERROR; then exit 1; fi",
        "echo 'supabase functions logs'",
    ],
)
def test_commands_that_are_sound(line: str) -> None:
    assert not rules(shell(line))


def test_a_command_over_several_lines_stands_on_its_first() -> None:
    text = shell("supabase functions deploy x \\", "  --project-ref y \\", "  --version v3  # the one before", "true")
    assert rules(text) == {4: {"unknown-flag"}}


def test_sql_in_a_here_document_is_read_as_sql() -> None:
    text = shell("cat > a.sql << 'EOF'", "DELETE FROM a WHERE id = ';';", "DELETE FROM b;", "EOF", "supabase nonsense")
    assert rules(text) == {5: {"half-done"}, 8: {"unknown-command"}}


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("select jsonb_object_keys(doc) from t limit 5;", "multiplies-rows"),
        ("select jsonb_array_length(doc -> 'a') > 0 from t where exists (select 1);", "raises-on-malformed"),
        ("select count(*) from t;", "cannot-fail"),
        ("select name from t where name = 'x';", "cannot-fail"),
        ("selec 1;", "sql-unreadable"),
        ("delete from t where id = 1;", "half-done"),
    ],
)
def test_statements(statement: str, rule: str) -> None:
    assert rule in rules(sql("-- a comment; with a semicolon", statement))[5]


def test_limits_of_one_quantity_that_differ() -> None:
    text = "# Go (within 10 minutes)\n\n**Time: 8 minutes**\n\n- [ ] Error rate < 1%\n\n**Time: 5 minutes**\n\n- [ ] Success rate > 98%\n"
    told = rules(text)
    assert told[5] == {"limits-differ"} and told[1] == {"times-do-not-add-up"}
    assert not rules("- [ ] Error rate < 2%\n- [ ] Success rate > 98%\n"), "the same limit, said twice"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Medical directors have reviewed the system", "attestation"),
        ("No recent error deployments", "impossible"),
        ('All 4 functions show as "yes" under Active', "impossible"),
        ("All test records deleted", "action"),
        ("Error rate < 1%", "check"),
        ("`soap_notes` exists", "check"),
    ],
)
def test_boxes(text: str, kind: str) -> None:
    (box,) = boxes.sort(document.parse(f"- [ ] {text}\n"))
    assert box.kind == kind and box.why


def test_a_box_without_a_threshold() -> None:
    assert rules("- [ ] Performance stable\n- [ ] Response time < 2 seconds\n") == {1: {"no-threshold"}}


@given(st.text(max_size=300))
def test_any_text_is_read(text: str) -> None:
    """Unclosed fences and quotes, anything: findings or none, never an exception; lines are lines of the file."""
    lines = text.count("\n") + text.count("\r") + 2
    for wrapped in (text, shell(text), sql(text), f"- [ ] {text}"):
        for finding in found(wrapped):
            assert 1 <= finding.line <= lines + 5 and finding.sentence


@given(st.lists(st.sampled_from(["supabase", "db", "functions", "--x", "-f", "list", "pull", "=", "--linked", ""]), max_size=6))
def test_any_words_are_understood(words: list[str]) -> None:
    told = grammar.understand(words)
    assert not (told.command and told.unknown_command)


def lint(path: Path, *words: str, root: Path) -> Ended:
    return run_opsnb("lint", str(path), *words, root=root)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"\xff\xfe\x00", "not text in UTF-8"), (b"a\x00b", "NUL bytes"), (b"x" * 5_000_001, "at most"), (None, "cannot be read")],
)
def test_what_is_no_runbook_is_refused_in_words(tmp_path: Path, content: bytes | None, said: str) -> None:
    place = tmp_path / "guide.md"
    if content is not None:
        place.write_bytes(content)
    ended = lint(place, root=make_home(tmp_path / "home"))
    assert ended.code == 2 and said in " ".join(ended.err.split()) and "Traceback" not in ended.err


def test_strangers_text_moves_no_terminal(tmp_path: Path) -> None:
    place = tmp_path / "guide.md"
    place.write_text("- [ ] stable \x1b[31mred [bold]x[/bold] \u202eright\n")
    ended = lint(place, root=make_home(tmp_path / "home"))
    assert ended.code == 1 and "\x1b" not in ended.out and "\u202e" not in ended.out and "[bold]x[/bold]" in ended.out


def test_sql_is_prepared_on_the_target_and_never_run(tmp_path: Path) -> None:
    import psycopg
    import yaml

    root = make_home(tmp_path / "home")
    guide = tmp_path / "guide.md"
    guide.write_text(
        sql(
            "begin;",
            "delete from public.things;",
            "commit;",
            "select count(*) = 3 from public.things;",
            "select 1 = missing from public.things;",
        )
    )
    with bare(18).fresh() as dsn:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("create table public.things (id int); insert into public.things values (1), (2), (3)")
        (root / "dsn").write_text(dsn)
        said = {"release": "patient-history", "postgres": {"dsn": "file:dsn"}}
        (root / "parameters" / "environments" / "mine.yaml").write_text(yaml.safe_dump(said))
        ended = lint(guide, "--env", "mine", "--json", root=root)
        with psycopg.connect(dsn) as connection:
            assert connection.execute("select count(*) from public.things").fetchone() == (3,)
    told = json.loads(ended.out)
    refused = [finding for finding in told["findings"] if finding["rule"] == "sql-refused"]
    assert [finding["line"] for finding in refused] == [8] and "42703" in refused[0]["sentence"]
    assert told["target"] == "mine"


@pytest.mark.skipif(not SHARED.is_file(), reason="the runbook that opsnb was made for is not here")
def test_the_runbook_it_was_made_for() -> None:
    """Everything that is known not to exist or to work in it, by line."""
    told: dict[int, set[str]] = {}
    for finding in reading.judge(SHARED).findings:
        told.setdefault(finding.line, set()).add(finding.rule)
    for line, rule in {
        7: "promise-not-measured", 46: "nothing-runs", 53: "unknown-flag", 58: "impossible", 70: "compared-by-eye", 78: "impossible",
        80: "impossible", 96: "half-done", 116: "goes-on-after-errors", 132: "nothing-runs", 154: "unknown-command", 185: "unknown-flag",
        197: "impossible", 219: "unknown-command", 226: "unknown-command", 234: "limits-differ", 245: "refused", 266: "multiplies-rows",
        288: "unknown-command", 295: "limits-differ", 327: "nothing-runs", 359: "unknown-command", 362: "never-ends", 388: "unknown-flag",
        397: "refused", 408: "nothing-runs", 416: "cannot-fail", 463: "no-threshold",
    }.items():  # fmt: skip
        assert rule in told.get(line, set()), f"line {line}: {rule}; found {told.get(line)}"
    assert "transaction-pooler" in told[116] and "raises-on-malformed" in told[266]
    assert 21 not in told, "this command exists"
