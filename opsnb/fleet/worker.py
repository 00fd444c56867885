"""One target in a process of its own: the phases as ``opsnb run`` runs them, told line by line on standard output.

Started as ``python -m opsnb.fleet.worker`` with one JSON object on standard input. A line of output is a phase that ended, so that
whoever has to stop this process knows what was done before.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from opsnb.config import settings
from opsnb.errors import OpsnbError
from opsnb.evidence.results import FILE_NAME
from opsnb.execution import runner
from opsnb.execution.runner import PhaseEnd
from opsnb.execution.worker import end_with_parent


def main() -> int:
    """Reads the order and runs it. An error of ours is a line of the answer, not a failure of the process."""
    end_with_parent()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the phases end, and leave their reports
    order = json.load(sys.stdin)
    if os.getppid() != order["parent"]:  # whoever ordered it was gone before this process could see to end with it
        return 1
    root = Path(order["root"])
    telling = threading.Lock()

    def told(_phase: str, end: PhaseEnd | None) -> None:
        if end is not None:
            with telling:
                _tell(_line(end, settings().reports_folder(root)))

    try:
        runner.run(order["environment"], phases=order["phases"], root=root, progress=told)
    except OpsnbError as error:
        _tell({"error": str(error)})
        return 0
    except KeyboardInterrupt:
        return 1
    _tell({"done": True})
    return 0


def _line(end: PhaseEnd, reports: Path) -> dict[str, Any]:
    deployment = end.folder.parents[1]
    return {
        "deployment": deployment.name,
        "phase": {
            "phase": end.phase, "gate": str(end.gate), "seconds": end.seconds, "sentence": end.sentence,
            "report": (end.folder / "report.html").relative_to(reports).as_posix(), "counts": _counts(end.folder / FILE_NAME),
        },
    }  # fmt: skip


def _counts(results: Path) -> dict[str, int]:
    try:
        kept = json.loads(results.read_text(encoding="utf-8"))
        return dict(Counter(str(result["verdict"]) for result in kept["results"]))
    except (OSError, ValueError, KeyError, TypeError):  # the phase's gate says already that something is wrong with it
        return {}


def _tell(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
