"""How an engine and the notebook it runs find each other's files.

The runner names the run's folder beforehand (OPSNB_RUN_DIR). Plain ``papermill --engine opsnb`` does not know
it: only the notebook, once it has found its deployment, does. It leaves the folder's name beside the journal, and the
engine files journal, notebook and report there when the notebook has ended.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from opsnb.config import child_environment, find_root, settings
from opsnb.errors import OpsnbError
from opsnb.execution.journal import JOURNAL_NAME
from opsnb.execution.reporting import publish

POINTER_SUFFIX = ".run"


@dataclass(frozen=True)
class Handover:
    """Where the journal of one execution is, and whether a runner named the run's folder."""

    journal: Path
    run_folder: Path | None

    @classmethod
    def beside(cls, output_path: str | None) -> Handover:
        """The journal lies in the run's folder where a runner named one, else beside the output notebook."""
        run_folder = settings().run_dir
        if run_folder is not None:
            return cls(run_folder / JOURNAL_NAME, run_folder)
        output = Path(output_path or "notebook.ipynb").absolute()
        return cls(output.with_suffix(".journal.jsonl"), None)

    @property
    def pointer(self) -> Path:
        """The notebook writes the name of its run folder here."""
        return self.journal.with_name(self.journal.name + POINTER_SUFFIX)

    def kernel_environment(self) -> dict[str, str]:
        """The process environment of the kernel: ours, and where the journal is."""
        self.pointer.unlink(missing_ok=True)
        return child_environment(OPSNB_JOURNAL=str(self.journal))

    def file_evidence(self, output_path: str | None, environment: str) -> None:
        """Files journal, notebook and report in the folder the notebook named; nothing where the runner does so."""
        if self.run_folder is not None or not self.pointer.is_file():
            return
        folder = Path(self.pointer.read_text(encoding="utf-8"))
        self.pointer.unlink()
        if not folder.is_dir() or output_path is None:
            return
        shutil.copyfile(self.journal, folder / JOURNAL_NAME)
        shutil.copyfile(output_path, folder / "notebook.ipynb")
        try:
            publish(folder, environment, find_root())
        except OpsnbError as error:
            (folder / "report.error.txt").write_text(f"{error}\n", encoding="utf-8")
