"""Files for schedulers: each calls ``opsnb monitor ENV`` every few minutes, which does what is due and nothing else."""

from __future__ import annotations

import difflib
import re
import shlex
import shutil
import sys
from functools import cache
from pathlib import Path

import jinja2

from opsnb.errors import UsageError
from opsnb.evidence.safe import write_atomic
from opsnb.execution.notebooks import notebook_path
from opsnb.execution.runner import GRACE_S
from opsnb.watching.service import PHASE, known_environment

EVERY_MINUTES = 5
"""How often a scheduler looks: a run is at most this late."""

FILES = {
    "cron": {"{name}.cron": "cron.j2"},
    "systemd": {"{name}.service": "systemd.service.j2", "{name}.timer": "systemd.timer.j2"},
    "kubernetes": {"{name}.yaml": "kubernetes.yaml.j2"},
    "airflow": {"{module}.py": "airflow.py.j2"},
    "github": {"{name}.yml": "github.yml.j2"},
}


def files(environment_name: str, scheduler: str, *, root: Path) -> dict[str, str]:
    """File name → content, for *scheduler*. Raises UsageError for a scheduler or an environment that is not known."""
    if scheduler not in FILES:
        near = difflib.get_close_matches(scheduler, FILES, n=1)
        raise UsageError(f"--for {scheduler}: expected one of {', '.join(FILES)}" + (f"; did you mean {near[0]}?" if near else ""))
    environment = known_environment(environment_name, root)
    name = f"opsnb-monitor-{re.sub('[^a-z0-9]+', '-', environment.name.lower()).strip('-')}"[:52].rstrip("-")
    words = {
        "name": name,
        "module": re.sub("[^a-z0-9]+", "_", name),
        "environment": environment.name,
        "root": str(root),
        "opsnb": str(program()),
        "notebook": str(notebook_path(root, PHASE)),
        "options": " --notify" if environment.on_call or environment.heartbeat else "",
        "every": EVERY_MINUTES,
        # a phase ends by its own deadline; this is for a machine that hangs
        "timeout_s": round(environment.phase_deadline_s + GRACE_S + 60),
    }
    return {file.format(**words): _templates().get_template(template).render(words) for file, template in FILES[scheduler].items()}


def write(path: Path, content: str) -> Path:
    """Writes one of the files; UsageError where it cannot be written."""
    write_atomic(path, content)
    return path


def program() -> Path:
    """``opsnb`` as a scheduler must call it: the one of this Python, else the one found on the path."""
    own = Path(sys.executable).with_name("opsnb")
    found = shutil.which("opsnb")
    return own if own.is_file() or found is None else Path(found)


@cache
def _templates() -> jinja2.Environment:
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("opsnb.watching", "templates"),
        autoescape=False,  # noqa: S701  (no HTML: shell, units, YAML and Python, quoted by the filters)
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters |= {"shell": shlex.quote, "cron": _cron, "unit": _unit, "text": _text}
    return templates


def _cron(words: str) -> str:
    """A shell word in a crontab, where a bare % ends the command."""
    return shlex.quote(words).replace("%", r"\%")


def _unit(words: str) -> str:
    """A word of a systemd unit: quoted, with its specifiers and variables taken literally."""
    escaped = words.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def _text(words: object) -> str:
    """A string of Python, and of YAML."""
    import json

    return json.dumps(str(words))
