"""Notebooks that give secrets away, run for real: nothing of them is in what was archived, and the journal says what was taken out."""

from __future__ import annotations

import base64
import json
import re
import shutil
from pathlib import Path
from urllib.parse import quote

import nbformat
import psycopg
import pytest
from harness import REPOSITORY, Ended, make_home, run_opsnb

from opsnb.config import load_environment
from opsnb.evidence import leaks
from opsnb.execution.reporting import publish

pytestmark = pytest.mark.target

READ = """
from pathlib import Path as _Path
_run = _Path({run!r})
_dsn, _token = ((_run / name).read_text().strip() for name in ("write_dsn", "access_token"))
"""
GIVES_AWAY = {
    "printed": "print(_dsn, _token)",
    "to the error stream": "import sys; print(_token, file=sys.stderr)",
    "in pieces": "[print(_token[at:at + 9]) for at in range(0, len(_token), 9)]",
    "as base64 of a header": "import base64; print('Basic', base64.b64encode(('x:' + _token).encode()).decode())",
    "in an address": "from urllib.parse import quote; print('https://example.org/?k=' + quote(_dsn, safe=''))",
    "as a page": "from IPython.display import HTML, display; import html; display(HTML('<b>' + html.escape(_dsn) + '</b>'))",
    "as a table": "import pandas as pd; from IPython.display import display; display(pd.DataFrame({'dsn': [_dsn], _token: [1]}))",
    "as hex": "print(_token.encode().hex())",
    "in a warning": "import warnings; warnings.warn(_dsn)",
    "in a log line": "import logging; logging.getLogger('x').error('%s', {'authorization': 'Bearer ' + _token})",
}
RAISES = {
    "message": "raise ValueError(_dsn + _token)",
    "source line of a traceback": "(lambda token: 1 / 0)(_token)",
    "cause": "try:\n    raise KeyError(_dsn)\nexcept KeyError as error:\n    raise RuntimeError(repr(_token)) from error",
    "driver": "import psycopg; psycopg.connect(_dsn.replace('?', 'x?', 1), connect_timeout=1).execute('select ' + _token)",
    "dead kernel": "print(_token, flush=True); import os, time; time.sleep(0.2); os._exit(1)",
}


@pytest.fixture
def leaky(target: Path, tmp_path: Path) -> Path:
    root = make_home(tmp_path / "a home of leaks")
    (root / ".opsnb").symlink_to(target / ".opsnb")
    (root / "notebooks").unlink()
    shutil.copytree(REPOSITORY / "notebooks", root / "notebooks")
    return root


def spoil(home: Path, notebook: str, code: str, *, at: int = 1) -> None:
    """Puts *code* before what code cell number *at* does."""
    path = home / "notebooks" / f"{notebook}.ipynb"
    made = nbformat.read(path, 4)
    cell = [cell for cell in made.cells if cell.cell_type == "code"][at]
    cell.source = READ.format(run=str((home / ".opsnb" / "local" / "run").resolve())) + code + "\n" + cell.source
    nbformat.write(made, path)


def survivors(home: Path) -> list[str]:
    """Places of the archive that still hold one of the values, looked for by other means than the filter's own."""
    run = home / ".opsnb" / "local" / "run"
    values = [(run / name).read_text().strip() for name in ("write_dsn", "access_token")]
    forms = [form.encode() for value in values for form in (value, quote(value, safe=""), value.encode().hex(), value[::-1])]
    forms += [base64.b64encode(b"x:" + value.encode())[4:-4] for value in values]
    return [
        str(path) for path in (home / "reports").rglob("*")
        if path.is_file() and any(form in text for text in (path.read_bytes(), _joined(path)) for form in forms)
    ]  # fmt: skip


def _joined(path: Path) -> bytes:
    """The words of a notebook without the line ends and quotes between them."""
    return leaks._SPLIT.sub("", path.read_text(errors="replace")).encode() if path.suffix in (".ipynb", ".html") else b""


def taken_out(ended: Ended, phase: str) -> list[str]:
    (folder,) = (path for path in (Path(ended.last_line).parent / phase).iterdir() if path.is_dir())
    lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    return [what for line in lines if line["event"] == "taken_out" for what in line["what"]]


def test_whatever_a_notebook_shows(leaky: Path) -> None:
    """All ways at once: the phase is judged as ever, its page shows marks."""
    spoil(leaky, "05_schema", "\n".join(GIVES_AWAY.values()))
    ended = run_opsnb("run", "local", "--phase", "schema", root=leaky)
    assert ended.code == 0, ended
    assert survivors(leaky) == []
    named = taken_out(ended, "schema")
    assert any(what.startswith("postgres.write_dsn") for what in named) and any("access_token" in what for what in named)
    page = next((leaky / "reports").rglob("schema/*/report.html")).read_text(encoding="utf-8")
    assert "[taken out: platform.access_token]" in page


@pytest.mark.parametrize("way", RAISES)
def test_however_a_notebook_ends(leaky: Path, way: str) -> None:
    spoil(leaky, "05_schema", RAISES[way])
    ended = run_opsnb("run", "local", "--phase", "schema", root=leaky)
    assert ended.code == 4, ended
    assert survivors(leaky) == []
    token = (leaky / ".opsnb" / "local" / "run" / "access_token").read_text().strip()
    assert token not in ended.out + ended.err
    told = json.loads(next((leaky / "reports").rglob("schema/*/results.json")).read_text(encoding="utf-8"))
    assert told["gate"] == "unmeasured" and told["unfinished"]


def test_what_the_filter_cannot_mend_is_withheld(leaky: Path) -> None:
    """A file no filter rewrites keeps its secret: the run publishes nothing but where it was."""
    spoil(
        leaky,
        "05_schema",
        "import os; _at = _Path(os.environ['OPSNB_RUN_DIR']) / 'tables' / _token\n_at.parent.mkdir(exist_ok=True); _at.write_text('')",
    )
    ended = run_opsnb("run", "local", "--phase", "schema", root=leaky)
    assert ended.code == 4, ended
    token = (leaky / ".opsnb" / "local" / "run" / "access_token").read_text().strip()
    assert not [path for path in (leaky / "reports").rglob("*") if token in path.name]
    page = next((leaky / "reports").rglob("schema/*/report.html")).read_text(encoding="utf-8")
    assert "Withheld" in page and "platform.access_token" in page and token not in page


def test_whoever_the_database_knows(leaky: Path) -> None:
    """Names of patients in a table and in a warning, a record number: gone, and the page says so."""
    with psycopg.connect((leaky / ".opsnb" / "local" / "run" / "write_dsn").read_text().strip()) as connection:
        asked = "select u.full_name, p.medical_record_number from public.users u join public.patient_profiles p on p.user_id = u.id limit 3"
        people = connection.execute(asked).fetchall()
    names = [name for name, _ in people]
    spoil(
        leaky,
        "05_schema",
        f"import pandas as pd, warnings; from IPython.display import display; display(pd.DataFrame({{'who': {names!r}}}))\n"
        f"warnings.warn({f'no visit of {names[1].upper()}!'!r}); print({people[2][1].lower()!r})",
    )
    ended = run_opsnb("run", "local", "--phase", "schema", root=leaky)
    assert ended.code == 0, ended
    left = [path for path in (leaky / "reports").rglob("*") if path.is_file() and path.name != "plotly.min.js"]
    for number, word in enumerate((*names, people[2][1])):
        assert (number, [path for path in left if word.lower().encode() in path.read_bytes().lower()]) == (number, [])
    assert "somebody in the database (known)" in taken_out(ended, "schema")
    page = next((leaky / "reports").rglob("schema/*/report.html")).read_text(encoding="utf-8")
    assert "[taken out: somebody in the database]" in page
    assert re.search(r"[\d,]{4,} names and identifiers were read, and none of them stands here", page)


def test_columns_that_cannot_be_read(leaky: Path) -> None:
    """The page says what was not compared, and why: the run is judged as ever."""
    release = leaky / "parameters" / "releases" / "patient-history.yaml"
    assert "public.users: [full_name, email]" in release.read_text()
    release.write_text(release.read_text().replace("public.users: [full_name, email]", "public.users: [full_name, nickname]"))
    assert run_opsnb("run", "local", "--phase", "schema", root=leaky).code == 0
    page = next((leaky / "reports").rglob("schema/*/report.html")).read_text(encoding="utf-8")
    assert "public.users (full_name, nickname) could not be read: a column that was asked for does not exist" in page
    assert re.search(r"[\d,]{4,} names and identifiers were read", page), "those of the other table"


@pytest.mark.campaign
@pytest.mark.parametrize("notebook", sorted(path.stem for path in (REPOSITORY / "notebooks").glob("*.ipynb")))
def test_every_notebook(leaky: Path, notebook: str) -> None:
    """Ten runs that end and ten that fail of each."""
    phase = notebook.partition("_")[2]
    original = (leaky / "notebooks" / f"{notebook}.ipynb").read_text()
    for turn in range(20):
        (leaky / "notebooks" / f"{notebook}.ipynb").write_text(original)
        fails = turn >= 10
        code = list(RAISES.values())[turn % len(RAISES)] if fails else list(GIVES_AWAY.values())[turn % len(GIVES_AWAY)]
        spoil(leaky, notebook, code)
        run_opsnb("run", "local", "--phase", phase, root=leaky, OPSNB_LOCAL_AUTOSTART="0")
        assert survivors(leaky) == [], f"{notebook}: {code}"


def test_an_ordinary_run_is_left_as_it_is(target: Path) -> None:
    """The filter must not eat what pages are for: a sound run has no mark in it, and nothing is found."""
    ended = run_opsnb("run", "local", "--phase", "environment", "--phase", "functions", root=target)
    folder = Path(ended.last_line).parent
    secrets = leaks.of_environment(load_environment("local", target), target)
    assert len(secrets._values) >= 8
    assert [leak for phase in ("environment", "functions") for leak in leaks.scan_folder(folder / phase, secrets)] == []
    assert not [path for path in folder.rglob("*") if path.is_file() and b"[taken out:" in path.read_bytes()]
    assert (folder / "index.html").stat().st_size


def test_records_that_contradict_each_other(target: Path, tmp_path: Path) -> None:
    """A journal without the end of a cell that the notebook calls completed: the page says ERROR, and why."""
    ended = run_opsnb("run", "local", "--phase", "schema", root=target)
    *_, made = sorted(path for path in (Path(ended.last_line).parent / "schema").iterdir() if path.is_dir())
    folder = tmp_path / "reports" / "local" / "a-deployment" / "schema" / made.name
    shutil.copytree(made, folder)
    lines = (folder / "journal.jsonl").read_text().splitlines(keepends=True)
    last = max(number for number, line in enumerate(lines) if '"cell_end"' in line)
    (folder / "journal.jsonl").write_text("".join(lines[:last] + lines[last + 1 :]))
    publish(folder, "local", target)
    told = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert "contradict each other" in told["unfinished"] and {each["verdict"] for each in told["results"]} == {"ERROR"}
    assert "contradict each other" in (folder / "report.html").read_text(encoding="utf-8")
