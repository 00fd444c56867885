"""Secrets and patients: every value × disguise × place, every notebook giving secrets away, every fault with real names in the database.

``python -m tests.campaigns.leaving [RUNS]``: how often each notebook runs to its end, and how often it fails, 10 each by default. Must
hold: nothing survives in what was archived, collected or sent.
"""

from __future__ import annotations

import itertools
import re
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "evidence"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "execution"))
import test_leaks as corpus
from harness import REPOSITORY, make_home, run_opsnb
from test_no_secret_leaves import GIVES_AWAY, RAISES, spoil, survivors

from opsnb.evidence import leaks
from opsnb.local.faults import FAULTS

NOTEBOOKS = sorted(path.stem for path in (REPOSITORY / "notebooks").glob("*.ipynb"))
TEXTS = (".html", ".ipynb", ".json", ".jsonl", ".md", ".csv", ".txt", ".parquet", ".log", ".zst", ".gz")


def values() -> tuple[int, int]:
    """The corpus: (cases, survivors)."""
    cases = list(itertools.product(corpus.VALUES, corpus.DISGUISES, corpus.PLACES))
    left = 0
    for name, disguise, place in cases:
        with tempfile.TemporaryDirectory() as folder:
            hidden = corpus.DISGUISES[disguise](corpus.VALUES[name])
            corpus.PLACES[place](Path(folder), f"it is {hidden} here")
            found = leaks.clean_folder(Path(folder), corpus.SECRETS)
            (path,) = Path(folder).iterdir()
            left += not found or hidden in leaks._text(path) or bool(leaks.scan_folder(Path(folder), corpus.SECRETS))
    return len(cases), left


def notebooks(home: Path, runs: int) -> dict[str, tuple[int, int]]:
    """Notebook → (runs, runs after which something was left)."""
    told = {}
    for notebook in NOTEBOOKS:
        path = home / "notebooks" / f"{notebook}.ipynb"
        original = path.read_text(encoding="utf-8")
        bad = 0
        for turn in range(2 * runs):
            ways = list(GIVES_AWAY.values()) if turn < runs else list(RAISES.values())
            path.write_text(original, encoding="utf-8")
            spoil(home, notebook, ways[turn % len(ways)])
            run_opsnb("run", "local", "--phase", notebook.partition("_")[2], root=home, timeout_s=300)
            bad += bool(survivors(home))
            shutil.rmtree(home / "reports", ignore_errors=True)
        path.write_text(original, encoding="utf-8")
        told[notebook] = (2 * runs, bad)
        print(f"  {notebook}: {2 * runs} runs, {bad} with something left", flush=True)
    return told


def people(home: Path) -> frozenset[str]:
    """Every patient's name, mailbox, record number and telephone number, lower-case."""
    dsn = (home / ".opsnb" / "local" / "run" / "write_dsn").read_text().strip()
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "select u.full_name, u.email, p.medical_record_number, p.phone "
            "from public.users u join public.patient_profiles p on p.user_id = u.id"
        ).fetchall()
    return frozenset(str(value).lower() for row in rows for value in row if value)


def patients_in(folder: Path, known: frozenset[str]) -> Counter[str]:
    """Files below *folder* that hold something of a patient → how many different things."""
    hits: Counter[str] = Counter()
    for path in folder.rglob("*"):
        if not path.is_file() or path.name == "plotly.min.js" or path.suffix == ".age":
            continue
        text = leaks._text(path).lower()
        words = re.findall(r"[\w.+@-]+", text)
        pairs = {" ".join(pair) for size in (1, 2, 3, 4) for pair in zip(*(words[at:] for at in range(size)), strict=False)}
        if found := pairs & known:
            hits[f"{path.parent.name}/{path.name}"] += len(found)
    return hits


def faults(home: Path, known: frozenset[str]) -> dict[str, Counter[str]]:
    """Fault → what was found of patients in everything it left: the archive, collected logs, notices."""
    told = {}
    for name in sorted(FAULTS):
        run_opsnb("local", "fault", name, root=home)
        run_opsnb("run", "local", root=home, timeout_s=400)
        run_opsnb("logs", "collect", "local", root=home, timeout_s=200)
        told[name] = patients_in(home / "reports", known)
        notices = home / ".opsnb" / "local" / "notices.jsonl"
        if notices.is_file() and any(each in notices.read_text(encoding="utf-8").lower() for each in known):
            told[name]["notices.jsonl"] += 1
        print(f"  {name}: {sum(told[name].values()) or 'nothing'}", flush=True)
        shutil.rmtree(home / "reports", ignore_errors=True)
        run_opsnb("local", "reset", root=home, timeout_s=300)
    return told


def main(runs: int = 10, *, with_faults: bool = True) -> int:
    """Prints the table; 1 where something survived."""
    cases, left = values()
    with tempfile.TemporaryDirectory(prefix="opsnb-secrets-", ignore_cleanup_errors=True) as folder:
        home = make_home(Path(folder) / "home")
        (home / "notebooks").unlink()
        shutil.copytree(REPOSITORY / "notebooks", home / "notebooks")
        assert run_opsnb("local", "up", root=home, timeout_s=300).code == 0
        try:
            known = people(home)
            assert len(known) > 3000, "the clinic has no patients to be found"
            of_notebooks = notebooks(home, runs)
            of_faults = faults(home, known) if with_faults else {}
        finally:
            run_opsnb("local", "down", root=home)
    print("\nwhat must not leave\n")
    print("| what | cases | survivors |\n|---|---|---|")
    print(f"| value × disguise × place | {cases} | {left} |")
    ran, bad = sum(ran for ran, _ in of_notebooks.values()), sum(bad for _, bad in of_notebooks.values())
    print(f"| runs of {len(of_notebooks)} notebooks that give secrets away | {ran} | {bad} |")
    hits = sum(sum(found.values()) for found in of_faults.values())
    print(f"| faults, {len(known)} facts about patients looked for in all they left | {len(of_faults)} | {hits} |")
    for name, found in of_faults.items():
        for place, number in found.items():
            print(f"- {name}: {place} holds {number}")
    return int(left + bad + hits > 0)


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10))
