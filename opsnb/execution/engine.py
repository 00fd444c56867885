"""A papermill engine that tells the truth about what ran.

papermill's own engine marks cells "completed" that never ran when a kernel dies or a cell times out.
This one journals every start and end of a cell (fsynced, so that it survives a kill), gives a phase a
deadline, and leaves cells that never ran as "not run". Registered as the papermill engine ``opsnb``, which papermill imports
itself while it starts: import papermill first where this module is needed.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nbclient.exceptions import CellExecutionError, CellTimeoutError
from nbformat import notebooknode
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, NotebookExecutionManager
from papermill.log import logger
from traitlets.config import Config

from opsnb.config import find_root
from opsnb.errors import UsageError
from opsnb.evidence import leaks
from opsnb.evidence.leaks import Secrets
from opsnb.execution import secrecy
from opsnb.execution.handover import Handover
from opsnb.execution.journal import Journal
from opsnb.execution.pulse import Pulse, memory_mb
from opsnb.execution.reporting import ABOUT_PEOPLE
from opsnb.execution.whole import keep_whole

NOT_RUN = "not run"
INTERRUPTED = "interrupted"
SAVE_EVERY_S = 5.0


class JournalManager(NotebookExecutionManager):  # type: ignore[misc]  # papermill has no types
    """papermill's bookkeeping with a journal, fewer saves and honest final states.

    Cells are journalled with their id: papermill puts cells of its own above one that raised, and moves the numbers.
    """

    def __init__(self, *args: Any, journal: Journal, secrets: Secrets, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.journal = journal
        self.secrets = secrets
        self.kernel_pid: Callable[[], int | None] = lambda: None
        self._saved_at = 0.0

    def save(self, **kwargs: Any) -> None:
        """Saves at most every few seconds: the journal is the record, and saving whole notebooks is half of a long run."""
        if time.monotonic() - self._saved_at >= SAVE_EVERY_S:
            super().save(**kwargs)
            self._saved_at = time.monotonic()

    def notebook_start(self, **kwargs: Any) -> None:
        """Writes the first journal line: how many cells there are to run."""
        cells = sum(cell.cell_type == "code" for cell in self.nb.cells)
        self.journal.write("notebook_start", code_cells=cells)
        super().notebook_start(**kwargs)

    def cell_start(self, cell: Any, cell_index: int | None = None, **kwargs: Any) -> None:
        """Journals the start of a code cell."""
        if cell.cell_type == "code":
            self.journal.write("cell_start", cell=cell_index, id=cell.get("id"))
        super().cell_start(cell, cell_index, **kwargs)

    def cell_complete(self, cell: Any, cell_index: int | None = None, **kwargs: Any) -> None:
        """Journals the end of a code cell with the state it ended in."""
        self._clean(cell, cell_index)
        super().cell_complete(cell, cell_index, **kwargs)
        if cell.cell_type == "code":
            peak = memory_mb(self.kernel_pid(), peak=True)
            self.journal.write("cell_end", cell=cell_index, id=cell.get("id"), status=cell.metadata.papermill["status"], peak_mb=peak)

    def _clean(self, cell: Any, index: int | None) -> None:
        """Takes secrets out of a cell's outputs before anything is saved; which, the journal says."""
        found = list(dict.fromkeys(self.secrets.found(leaks.texts(cell.get("outputs", [])))))
        if found:
            cell["outputs"] = [_node(output) for output in self.secrets.scrubbed(cell["outputs"])]
            self.journal.write("taken_out", cell=index, id=cell.get("id"), what=[f"{name} ({kind})" for name, kind in found])

    def cell_interrupted(self, cell: Any, cell_index: int, error: BaseException) -> None:
        """The cell began and did not end: the kernel died, or the deadline passed."""
        self._clean(cell, cell_index)
        cell.metadata.papermill["status"] = INTERRUPTED
        cell.metadata.papermill["exception"] = True
        self.nb.metadata.papermill["exception"] = True
        self.journal.write("cell_interrupted", cell=cell_index, id=cell.get("id"), reason=type(error).__name__)

    def notebook_complete(self, **kwargs: Any) -> None:
        """Leaves cells that never ran as "not run", then saves."""
        never_ran = [cell for cell in self.nb.cells if cell.metadata.papermill["status"] == self.PENDING]
        for cell in never_ran:
            cell.metadata.papermill["status"] = NOT_RUN
        if any(True for _ in self.secrets.found(leaks.texts(self.nb))):  # parameters are kept in three places
            for cell in self.nb.cells:
                cell["source"] = self.secrets.cleaned(cell["source"])
            self.nb.metadata = _node(self.secrets.scrubbed(self.nb.metadata))
        self._saved_at = 0.0
        super().notebook_complete(**kwargs)
        self.journal.write("notebook_end", not_run=sum(cell.cell_type == "code" for cell in never_ran))


class JournalClient(PapermillNotebookClient):  # type: ignore[misc]  # papermill has no types
    """Runs the cells, journalled, until the deadline."""

    def __init__(self, nb_man: JournalManager, *, deadline_s: float | None, kernel_env: dict[str, str], **kwargs: Any) -> None:
        # ipc sockets: parallel kernels lose races for TCP ports, and loopback TCP is readable by other users. The folder is
        # our own: by default every kernel of one working folder would share the same socket names.
        self._sockets = tempfile.TemporaryDirectory(prefix="opsnb-")
        config = Config()
        config.KernelManager.transport = "ipc"
        config.KernelManager.ip = f"{self._sockets.name}/kernel"
        super().__init__(nb_man, config=config, **kwargs)
        self.timeout_func = self._seconds_left
        self.shutdown_kernel = "immediate"
        self._ends = None if deadline_s is None else time.monotonic() + deadline_s
        self._kernel_env = kernel_env

    def execute(self, **kwargs: Any) -> Any:
        """Starts the kernel with the environment of this run."""
        self.nb_man.kernel_pid = self._pid
        with self._sockets, Pulse(self.nb_man.journal, self._pid):
            return super().execute(env=self._kernel_env, **kwargs)

    def _pid(self) -> int | None:
        pid = getattr(getattr(self.km, "provisioner", None), "pid", None)
        return pid if isinstance(pid, int) else None

    def papermill_execute_cells(self) -> None:
        """Every cell in turn; stops at the first that raises."""
        for index, cell in enumerate(self.nb.cells):
            self.nb_man.cell_start(cell, index)
            try:
                self._require_time(cell)
                self.execute_cell(cell, index)
            except CellExecutionError as error:
                self.nb_man.cell_exception(cell, cell_index=index, exception=error)
                self.nb_man.cell_complete(cell, cell_index=index)
                break
            except BaseException as error:
                self.nb_man.cell_interrupted(cell, index, error)
                raise
            self.nb_man.cell_complete(cell, cell_index=index)

    def _require_time(self, cell: Any) -> None:
        # nbclient gives a cell at least a second: many short ones would run on long after the deadline
        if self._ends is not None and cell.cell_type == "code" and time.monotonic() >= self._ends:
            raise CellTimeoutError("The deadline passed before this cell began.")

    def _seconds_left(self, _cell: Any) -> int | None:
        # nbclient takes None as "no time-out" and whole seconds
        return None if self._ends is None else max(1, round(self._ends - time.monotonic()))


def _node(value: Any) -> Any:
    return notebooknode.from_dict(value)  # type: ignore[no-untyped-call]


def _secrets_of(notebook: Any) -> Secrets:
    """What must not leave, of the environment a notebook was given; shapes alone where it names none."""
    told = notebook.metadata.get("papermill", {})
    name = told.get("parameters", {}).get("environment", "")
    people = not Path(str(told.get("input_path", ""))).stem.endswith(ABOUT_PEOPLE)
    try:
        return secrecy.of_name(str(name), find_root(), people=people) if name else Secrets({}, people=people)
    except UsageError:
        return Secrets({}, people=people)


class JournalEngine(NBClientEngine):  # type: ignore[misc]  # papermill has no types
    """The papermill engine ``opsnb``; plain ``papermill --engine opsnb`` uses it too."""

    @classmethod
    def execute_notebook(
        cls,
        nb: Any,
        kernel_name: str,
        output_path: str | None = None,
        progress_bar: bool = True,
        log_output: bool = False,
        autosave_cell_every: int = 30,
        **kwargs: Any,
    ) -> Any:
        """Executes *nb*, journalling into the folder the output is written to."""
        keep_whole(output_path)
        handover = Handover.beside(output_path)
        journal = Journal(handover.journal)
        manager = JournalManager(
            nb,
            output_path=output_path,
            progress_bar=progress_bar,
            log_output=log_output,
            autosave_cell_every=autosave_cell_every,
            journal=journal,
            secrets=_secrets_of(nb),
        )
        manager.notebook_start()
        try:
            cls.execute_managed_notebook(manager, kernel_name, log_output=log_output, handover=handover, **kwargs)
        finally:
            manager.cleanup_pbar()
            manager.notebook_complete()
            journal.close()
            handover.file_evidence(output_path, str(nb.metadata.get("papermill", {}).get("parameters", {}).get("environment", "")))
        return manager.nb

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: JournalManager,
        kernel_name: str,
        log_output: bool = False,
        stdout_file: Any = None,
        stderr_file: Any = None,
        start_timeout: int = 60,
        execution_timeout: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Runs the kernel; *deadline_s* (or papermill's own *execution_timeout*) bounds the whole notebook, in seconds."""
        deadline_s = kwargs.pop("deadline_s", None) or execution_timeout
        handover = kwargs.pop("handover")
        for unused in ("input_path", "timeout", "startup_timeout"):
            kwargs.pop(unused, None)
        client = JournalClient(
            nb_man,
            deadline_s=deadline_s,
            kernel_env=handover.kernel_environment(),
            startup_timeout=start_timeout,
            kernel_name=kernel_name,
            log=logger,
            log_output=log_output,
            stdout_file=stdout_file,
            stderr_file=stderr_file,
            **kwargs,
        )
        return client.execute()
