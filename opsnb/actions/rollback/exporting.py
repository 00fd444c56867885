"""The re-creation list: every row that came or changed since T0, encrypted, before anything goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opsnb.evidence import sealed
from opsnb.evidence.deployments import STAMP, Deployment
from opsnb.sources import backup

EXPORT = "rows-since-T0"
Name = tuple[str, str]


def export(
    deployment: Deployment, recipient: str, rewinding: Any, differences: Sequence[backup.Difference], new: Sequence[Name] = ()
) -> Path:
    """Writes what would be lost of *differences*, and every row of the tables that are *new* since T0; never over an earlier one."""
    place = deployment.folder / "actions" / f"{datetime.now(UTC).strftime(STAMP)}-{EXPORT}.jsonl.age"
    place.parent.mkdir(exist_ok=True)
    content = b"".join(line for each in differences for line in rewinding.export(each))
    content += b"".join(line for table in new for line in rewinding.everything(*table))
    sealed.write_sealed(sealed.seal(place, content, recipient))
    return place


def counts(differences: Sequence[backup.Difference], new: Mapping[Name, int]) -> dict[str, dict[str, int]]:
    """Table → how many rows go, change and come back; *new*: table that came since T0 → its rows."""
    found = {each.table: {"gone": len(each.added), "changed": len(each.changed), "back": len(each.lost)} for each in differences}
    return found | {f"{schema}.{name}": {"gone": rows, "changed": 0, "back": 0} for (schema, name), rows in new.items() if rows}
