"""What strangers write, on every page, in a browser: shown as text, and nothing runs.

``python -m tests.campaigns.hostile``. Each kind of content stands in each place at once: names and definitions of policies, tables,
functions and comments, log lines and their attributes, a notebook's parameter, statements of persons with their names, and the reason of an
accepted risk. Every page of the archive and the sign-off is then opened in Chromium without a network.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import nbformat
import psycopg
from psycopg import sql

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "evidence"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "browser"))
from harness import REPOSITORY, make_home, run_opsnb
from test_reports import browse

RAN = "document.title='owned'"
CONTENTS = {
    "script": f"</script><script>{RAN}</script>",
    "event handler": f'"><img src=x onerror="{RAN}">',
    "data: link": f'<a id=hostile href="data:text/html,<script>{RAN}</script>">x</a>[x](javascript:{RAN.replace(chr(39), "")})',
    "style": "</style><style>*{display:none}</style><base href=//x.example/>",
    "ANSI": "\x1b[31mred\x1b]0;owned\x07\x1b[2J",
    "right to left": "abc\u202etxt.exe\u2066x",
    "10 MB line": "A" * 10_000_000 + f"<img src=x onerror={RAN}>",
    "invalid UTF-8": b"\xff\xfe<img src=x onerror=document.title='owned'>\xc3\x28".decode("utf-8", "surrogateescape"),
}
NAMED = {kind: text[:60] for kind, text in CONTENTS.items() if kind not in ("10 MB line", "invalid UTF-8")}
"""What fits a name in Postgres."""
PHASES = ("functions", "cleanup", "environment", "schema", "rls", "verify", "signoff")


@dataclass(frozen=True)
class Page:
    """One page in the browser: how big, whether what it was told to show is there, and everything wrong with it."""

    name: str
    megabytes: float
    wrong: tuple[str, ...]


def plant(home: Path) -> int:
    """Puts everything everywhere; how many places × kinds."""
    count = 0
    dsn = (home / ".opsnb" / "local" / "run" / "write_dsn").read_text().strip()
    with psycopg.connect(dsn, autocommit=True) as connection:
        for kind, text in NAMED.items():
            name = sql.Identifier(text)
            literal = sql.Literal(CONTENTS[kind])
            for statement in (
                sql.SQL("create policy {} on public.appointments for select to authenticated using (patient_id::text = {})"),
                sql.SQL("create table public.{} (id int, note text default {})"),
                sql.SQL("create function public.{}() returns text language sql security definer as {}"),
                sql.SQL("create policy {} on public.soap_notes for select to anon using ({} = 'x' or true)"),
            ):
                body = sql.Literal(f"select {literal.as_string(connection)}") if b"function" in statement.as_bytes(None) else literal
                connection.execute(statement.format(name, body))
                count += 1
    run_opsnb("local", "down", root=home)
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}"
    with (home / ".opsnb" / "local" / "logs" / "function_logs.jsonl").open("a", encoding="utf-8", errors="surrogateescape") as log:
        for text in CONTENTS.values():
            attributes = {
                "function_id": text[:200], "level": "error", "event_type": "UncaughtException", "execution_id": text[:100],
                "deployment_id": text[:50], "region": text[:50], "served_by": text[:50], "version": "1",
            }  # fmt: skip
            row = {
                "id": str(uuid.uuid4()), "timestamp": now, "event_message": text, "severity_text": "ERROR", "source": "function_logs",
                "log_attributes": attributes,
            }  # fmt: skip
            log.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 2
    assert run_opsnb("local", "up", root=home, timeout_s=300).code == 0
    return count


def said_by_persons(home: Path) -> int:
    """Statements and an accepted risk in hostile words; by file, as a process's words cannot hold them."""
    kinds = [kind for kind in CONTENTS if kind not in ("10 MB line", "invalid UTF-8")]
    items = ("PRE-1.1", "PRE-1.2", "PRE-1.3", "POST-4.2")
    count = 0
    for kind in kinds:
        for item in items:
            ended = run_opsnb(
                "attest", "local", item, "--by", NAMED[kind].replace("\x00", ""), "--role", NAMED[kind], "--statement", CONTENTS[kind],
                root=home,
            )  # fmt: skip
            count += 3 * (ended.code == 0)
    ended = run_opsnb(
        "accept", "local", "access.grants_beyond_rls", "--by", CONTENTS["script"], "--role", "DBA", "--reason", CONTENTS["event handler"],
        "--expires", "2099-12-31", root=home,
    )  # fmt: skip
    return count + 2 * (ended.code == 0)


def spoil_parameter(home: Path) -> int:
    """A notebook's own output and a parameter of every kind."""
    path = home / "notebooks" / "05_schema.ipynb"
    made = nbformat.read(path, 4)
    (cell,) = (cell for cell in made.cells if "parameters" in cell.metadata.get("tags", []))
    texts = [text for kind, text in CONTENTS.items() if kind != "invalid UTF-8"]
    cell.source += f"\nnote = {texts[:-1]!a}"
    setup = [cell for cell in made.cells if cell.cell_type == "code"][1]
    setup.source = f"for each in {texts!a}:\n    print(each)\n{setup.source}"
    nbformat.write(made, path)
    return 2 * len(texts)


def look(page: Path) -> Page:
    """Opens *page* as a person does."""
    seen = browse(page)
    wrong = []
    if "owned" in seen.title:
        wrong.append("a script of a stranger ran")
    if seen.console:
        wrong.append(f"the console: {seen.console[0][:120]}")
    if seen.requests:
        wrong.append(f"it asked for {seen.requests[0][:80]}")
    markup = ("<img src=x", "<base ", '<a id="hostile"', "<a id=hostile", 'href="javascript:', "<style>*{display", "\x1b", "\u202e")
    wrong += [f"markup of a stranger: {bad!r}" for bad in markup if bad in seen.dom.lower()]
    return Page(page.name if page.parent.name.count("T") == 0 else page.parent.parent.name, page.stat().st_size / 1e6, tuple(wrong))


@contextmanager
def home_of_strangers() -> Iterator[Path]:
    """A home with its own target and notebooks."""
    with tempfile.TemporaryDirectory(prefix="opsnb-hostile-", ignore_cleanup_errors=True) as folder:
        home = make_home(Path(folder) / "home")
        (home / "notebooks").unlink()
        shutil.copytree(REPOSITORY / "notebooks", home / "notebooks")
        assert run_opsnb("local", "up", root=home, timeout_s=300).code == 0
        try:
            yield home
        finally:
            run_opsnb("local", "down", root=home)


def main() -> int:
    """Prints the table; 1 where anything ran or was taken for markup."""
    if shutil.which("chromium") is None:
        print("hostile content: Chromium is not installed, nothing was looked at")
        return 1
    with home_of_strangers() as home:
        planted = plant(home) + spoil_parameter(home)
        words = [word for phase in PHASES for word in ("--phase", phase)]
        run_opsnb("run", "local", *words, root=home, timeout_s=300)
        planted += said_by_persons(home)
        run_opsnb("run", "local", "--phase", "signoff", root=home, timeout_s=300)
        run_opsnb("logs", "collect", "local", root=home, timeout_s=120)
        pages = [look(path) for path in sorted((home / "reports").rglob("*.html"))]
        shown = sum("onerror" in path.read_text(encoding="utf-8", errors="replace") for path in (home / "reports").rglob("*.html"))
    print(f"\nhostile content: {len(CONTENTS)} kinds, {planted} plantings; {len(pages)} pages in Chromium, {shown} show it\n")
    print("| page | MB | wrong |\n|---|---|---|")
    for page in pages:
        print(f"| {page.name} | {page.megabytes:.2f} | {'; '.join(page.wrong) or 'nothing'} |")
    return int(any(page.wrong for page in pages) or shown < 3)


if __name__ == "__main__":
    raise SystemExit(main())
