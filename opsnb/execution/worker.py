"""One phase in a process of its own: execute the notebook, then write its report.

Forked by `opsnb.execution.forkserver`, or started as ``python -m opsnb.execution.worker`` with one JSON object on standard input.
A process of its own, so that a deadline can end it whatever it hangs in, and papermill's change of folder disturbs nobody.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import logging
import signal
import sys
from pathlib import Path
from typing import Any

from opsnb.errors import OpsnbError

_PR_SET_PDEATHSIG = 1


def execute(order: dict[str, Any]) -> None:
    """Runs the notebook of *order* through papermill with the engine ``opsnb``; a raising cell is not an error here."""
    skip_unused_grammar()
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    from opsnb.evidence import archive, deployments, signoff
    from opsnb.execution.reporting import publish
    from opsnb.execution.whole import keep_whole
    from opsnb.runbook import PHASES

    folder = Path(order["folder"])
    reason = ""
    keep_whole(folder / "notebook.ipynb")
    try:
        papermill.execute_notebook(
            order["notebook"],
            folder / "notebook.ipynb",
            parameters=order["parameters"],
            engine_name="opsnb",
            kernel_name="python3",
            progress_bar=False,
            cwd=order["root"],
            deadline_s=order["deadline_s"],
        )
    except PapermillExecutionError as error:
        reason = f"The cell {error.exec_count} raised {error.ename}: {error.evalue}" if error.ename else str(error.ename)
    except CellTimeoutError:
        reason = f"The phase did not end within its deadline of {order['deadline_s']:g} s."
    except DeadKernelError:
        reason = "The kernel died."
    archive.complete_run(folder, phase=order["phase"], deployment_folder=Path(order["deployment_folder"]), reason=reason)
    publish(folder, order["parameters"]["environment"], Path(order["root"]))
    if order["phase"] == "signoff":
        # here rather than in the runner: all that it takes is imported
        signoff.render_signoff(deployments.read_deployment(Path(order["deployment_folder"])), phases=PHASES)


def skip_unused_grammar() -> None:
    """The jsonschema package loads this grammar for a format nobody here uses; it takes a second to build."""
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]


def end_with_parent() -> None:
    """Ends this process when the one that started it is killed: whoever takes over must not find a run still at work. Linux only."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def run(order: dict[str, Any]) -> int:
    """Executes *order*; a failure of our own is one sentence on standard error, and exit code 1."""
    logging.getLogger("papermill").setLevel(logging.ERROR)
    try:
        execute(order)
    except OpsnbError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def main() -> int:
    """Reads the order from standard input."""
    end_with_parent()
    return run(json.load(sys.stdin))


if __name__ == "__main__":
    raise SystemExit(main())
