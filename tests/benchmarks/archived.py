"""Gates over 10,000,000 archived log lines against grep over the same lines: what `opsnb logs query --archive` and the checks ask.

``python -m tests.benchmarks.archived``. grep reads the lines as text, uncompressed and cached, in the form `opsnb logs search --json`
prints them; the gates read the archive. Each way is a process of its own, timed whole, in turn.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent))
from kept import keep

from opsnb.collecting.archive import Archive
from opsnb.collecting.collect import COLUMNS

N = 5
LINES, HOURS = 10_000_000, 24
DAY = datetime(2026, 1, 1, tzinfo=UTC)
WORDS = "ERROR|FATAL|merge_soap"
LIMIT, MEMORY_LIMIT = 2.0, 2 * 1024**3
FUNCTIONS = ("create-context-snapshot", "generate-soap-draft-v2", "get-patient-history", "update-patient-medical-record")
TEXTS = (
    ("merge_soap ended in <id> ms", "info", "merge_soap", 0.03), ("ERROR reading <id>: <text>", "error", "ERROR", 0.002),
    ("FATAL: no connection to <id>", "fatal", "FATAL", 0.0002), ("history read for <id> in <id> ms", "info", "", 0.2),
    *((f"step {number} of the draft for <id> ended in <id> ms", "info", "", (1 - 0.2322) / 20) for number in range(20)),
)  # fmt: skip
GATES = """
import json, resource, sys
from datetime import datetime, timedelta
from pathlib import Path
from opsnb.checks import errors
from opsnb.sources.kept_logs import KeptLogs
from opsnb.sources.logs import Logs
import pandas as pd
start = datetime.fromisoformat(sys.argv[2])
logs = Logs(KeptLogs(Path(sys.argv[1]), only_kept=True), longest=None)
calls = logs.query("function_calls", start, start + timedelta(hours=24), slow_ms=5000.0)
words = logs.query("key_events", start, start + timedelta(hours=24), words=["ERROR", "FATAL", "merge_soap"])
names = sorted(set(calls.table["function_id"]))
functions = pd.DataFrame({"id": names, "slug": names})
rate = errors.rate(calls.table, functions, names=names, limit=0.01, period="the day")
slow = errors.alert_response(calls.table, functions, names=names, limit_s=5.0)
print(json.dumps({"verdicts": [rate.verdict, slow.verdict], "n": int(calls.table["n"].sum()), "found": int(words.table["n"].sum()),
    "bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
"""


def make(folder: Path, text: Path, lines: int) -> None:
    """An archive of *lines* over a day, and the same lines as text."""
    dice = np.random.default_rng(7)
    kept = Archive(folder)
    with text.open("w", encoding="utf-8") as file:
        for hour in range(HOURS):
            since = DAY + timedelta(hours=hour)
            table = _hour(dice, since, lines // HOURS)
            kept.add(table, since, since + timedelta(hours=1))
            shown = table.assign(timestamp=table["timestamp"].astype(str))
            file.write(shown.to_json(orient="records", lines=True))


def _hour(dice: np.random.Generator, since: datetime, lines: int) -> pd.DataFrame:
    calls = dice.random(lines) < 0.4
    kind = dice.choice(len(TEXTS), lines, p=[each[3] for each in TEXTS])
    words = [np.array([each[place] for each in TEXTS], dtype=object) for place in range(3)]
    moments = pd.Timestamp(since) + pd.to_timedelta(np.sort(dice.integers(0, 3_600_000_000, lines)), unit="us")
    hexes = dice.bytes(16 * lines).hex()
    ids = [f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}" for h in (hexes[at : at + 32] for at in range(0, 32 * lines, 32))]
    function = np.array(FUNCTIONS, dtype=object)[dice.integers(0, len(FUNCTIONS), lines)]
    said: dict[str, Any] = {
        "id": ids, "timestamp": moments, "log": np.where(calls, "function_edge_logs", "function_logs"), "function_id": function,
        "function": function, "execution_id": [ids[number // 3 * 3] for number in range(lines)],
        "level": np.where(calls, "", words[1][kind]), "event_type": np.where(calls, "", "Log"), "method": np.where(calls, "POST", ""),
        "search": np.where(calls & (dice.random(lines) < 0.001), "opsnb_probe=bench", ""), "error_code": "",
        "status": np.where(calls, np.where(dice.random(lines) < 0.004, "500", "200"), ""),
        "ms": np.where(calls, np.char.mod("%.1f", dice.lognormal(5, 0.7, lines)), ""), "text": np.where(calls, "", words[0][kind]),
        "events": np.where(calls, "", words[2][kind]),
    }  # fmt: skip
    return pd.DataFrame(said, columns=list(COLUMNS))


def measure(lines: int = LINES, n: int = N) -> dict[str, Any]:
    """Medians of *n*: grep_s, gates_s, their ratio, and the most memory the gates took; with what each found."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, text = Path(scratch) / "kept", Path(scratch) / "lines.jsonl"
        make(folder, text, lines)
        grep, gates = [], []
        environment = {**os.environ, "LC_ALL": "C"}
        for _ in range(n):
            began = time.perf_counter()
            ended = subprocess.run(["grep", "-cE", WORDS, str(text)], capture_output=True, text=True, check=True, env=environment)
            grep.append(time.perf_counter() - began)
            began = time.perf_counter()
            told = subprocess.run([sys.executable, "-c", GATES, str(folder), DAY.isoformat()], capture_output=True, text=True, check=True)
            gates.append(time.perf_counter() - began)
        said = json.loads(told.stdout)
        sizes = sum(path.stat().st_size for path in folder.rglob("*.parquet")), text.stat().st_size
    assert said["found"] == int(ended.stdout), (said, ended.stdout)  # what is timed is also right
    assert said["verdicts"] == ["PASS", "PASS"] and said["n"] > 0.39 * lines, said
    seconds = statistics.median(grep), statistics.median(gates)
    return {"grep_s": seconds[0], "gates_s": seconds[1], "ratio": seconds[1] / seconds[0], "bytes": said["bytes"], "sizes": sizes, "n": n}


def main() -> int:
    """Prints the figures; exit code 1 where one is over its limit."""
    told = measure()
    kept, text = told["sizes"]
    print(f"gates over {LINES:,} archived lines ({kept / 1e6:,.0f} MB; as text {text / 1e6:,.0f} MB), n = {told['n']}, medians")
    print(f"  grep -cE '{WORDS}'   {told['grep_s']:6.2f} s")
    print(f"  gates                           {told['gates_s']:6.2f} s   {told['ratio']:.2f} x grep (at most {LIMIT:g})")
    print(f"  their memory                    {told['bytes'] / 1024**3:6.2f} GiB (at most {MEMORY_LIMIT / 1024**3:g})")
    keep(
        {"archive: gates / grep": (told["ratio"], LIMIT), "archive: memory, GiB": (told["bytes"] / 1024**3, MEMORY_LIMIT / 1024**3)},
        n=told["n"],
    )
    return int(told["ratio"] > LIMIT or told["bytes"] > MEMORY_LIMIT)


if __name__ == "__main__":
    raise SystemExit(main())
