"""The rehearsal's last step: an archived function deployed under a name of its own, compared by hash, and removed."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from opsnb.actions import functions_archive
from opsnb.config import Environment, load_release, text_of
from opsnb.errors import OpsnbError
from opsnb.evidence.deployments import Deployment
from opsnb.evidence.manifest import source_hash
from opsnb.sources import Absent, Doors
from opsnb.sources.deploying import Deploying

SCRATCH = "opsnb-rehearsal"
"""Nobody calls it: it asks for a token, and is there for seconds."""


@dataclass
class Redeployed:
    """What became of it. `same` None: it was not tried, and `why` says why; `left`: it could not be removed again."""

    function: str = ""
    seconds: float | None = None
    same: bool | None = None
    why: str = ""
    left: bool = False

    @property
    def record(self) -> dict[str, Any]:
        """For the rehearsal's record."""
        return asdict(self)


def redeploy(environment: Environment, deployment: Deployment, root: Path) -> Redeployed:
    """Deploys the largest archived function as `SCRATCH`, reads it back, removes it; where the environment allows it."""
    platform, project = environment.platform, environment.project_ref
    if platform is None or project is None:
        return Redeployed(why="the environment names no platform")
    if not platform.scratch_function:
        return Redeployed(why="the environment does not allow it (platform.scratch_function)")
    try:
        found = {slug: functions_archive.read(place, slug) for slug, place in _archived(deployment).items()}
    except OpsnbError as error:
        return Redeployed("a function", same=False, why=str(error))
    if not found:
        return Redeployed(why="no function was archived (opsnb functions archive)")
    source = max(found.values(), key=lambda each: sum(map(len, each.files.values())))
    said = Redeployed(source.slug)
    doors = Doors(environment, load_release(environment.release, root), phase="rehearse", root=root)
    deploying = Deploying(text_of(platform.url, root), project, platform.access_token.resolve(root))
    began = time.monotonic()
    try:
        deploying.deploy(SCRATCH, source.files, entrypoint=source.entrypoint, verify_jwt=True, import_map=source.import_map)
        live = "" if isinstance(doors.platform, Absent) else _live(doors)
        said.seconds, said.same = round(time.monotonic() - began, 3), live == source.sha256
    except OpsnbError as error:
        said.same, said.why = False, str(error)
    finally:
        try:
            deploying.delete(SCRATCH)
        except OpsnbError:
            said.left = said.seconds is not None
        deploying.close()
        with suppress(OpsnbError):
            doors.close()
    return said


def _archived(deployment: Deployment) -> dict[str, Path]:
    return functions_archive.before(deployment.folder.parent.parent, deployment)


def _live(doors: Doors) -> str:
    table = doors.platform.function_source(SCRATCH).table
    return source_hash((str(row.path), str(row.sha256)) for row in table.itertuples(index=False))
