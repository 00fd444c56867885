"""Which objects of the snapshot are gone, which are other than they were, and what of the dump brings the first back."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from opsnb.actions.snapshot.kept import Kept
from opsnb.actions.snapshot.rehearsing import OF_THE_SERVER
from opsnb.checks.drift.comparing import ADDED, CHANGED, REMOVED, Catalogue, Change, compare
from opsnb.evidence import baseline
from opsnb.sources.backup import Entry

_SHAPE = ("type", "columns", "generated", "identity")
_ROW_SECURITY = ("rls", "force_rls")
_NOT_SCHEMA = ("TABLE DATA", "SCHEMA", "COMMENT")
_LATER = ("FK CONSTRAINT", "SEQUENCE SET")
_KINDS = {
    "table": ("TABLE",), "view": ("VIEW",), "materialised view": ("MATERIALIZED VIEW",), "index": ("INDEX",), "policy": ("POLICY",),
    "trigger": ("TRIGGER",), "function": ("FUNCTION", "PROCEDURE"), "constraint": ("CONSTRAINT", "FK CONSTRAINT", "CHECK CONSTRAINT"),
    "sequence": ("SEQUENCE",), "type": ("TYPE",), "enum": ("TYPE",), "domain": ("DOMAIN",), "rule": ("RULE",),
    "row security": ("ROW SECURITY",),
}  # fmt: skip


def missing_objects(kept: Kept, now: pd.DataFrame) -> tuple[list[str], list[str]]:
    """(objects of the snapshot that are gone, tables whose columns are other than they were); ``kind name`` each."""
    changes = _changes(kept, now)
    removed = [member for each in changes if each.change == REMOVED for member in (each, *each.with_it)]
    gone = list(dict.fromkeys(f"{each.kind} {each.object}" for each in removed if each.kind in _KINDS))
    gone += [f"row security {each.object}" for each in changes if each.kind == "table" and each.what in _ROW_SECURITY and each.was]
    return gone, [f"{each.kind} {each.object}" for each in changes if _other_shape(each)]


def differing_objects(kept: Kept, now: pd.DataFrame) -> list[str]:
    """Everything of the snapshot's schemas that is gone or other than it was; what came since is left alone."""
    return [
        f"{each.kind} {each.object} ({each.change} {each.what})".replace(" )", ")") for each in _changes(kept, now) if each.change != ADDED
    ]


def _changes(kept: Kept, now: pd.DataFrame) -> list[Change]:
    was = baseline.read(kept.folder / "catalogue.jsonl")
    return compare(Catalogue.of(was.table), Catalogue.of(now), but=OF_THE_SERVER)


def _other_shape(change: Change) -> bool:
    """Whether rows of then no longer fit: a column that went, came or is of another type."""
    return change.kind == "column" and (change.change != CHANGED or change.what in _SHAPE)


def entries_of(entries: Sequence[Entry], gone: Sequence[str]) -> tuple[list[Entry], list[Entry]]:
    """What of the dump brings *gone* back: before the rows, and after them (foreign keys, where sequences stood)."""
    chosen = []
    for entry in entries:
        if entry.kind in _NOT_SCHEMA:
            continue
        for each in gone:
            kind, name = _split(each)
            if (kind == "table" and _of_table(entry, name)) or (entry.kind in _KINDS.get(kind, ()) and _named(entry, name)):
                chosen.append(entry)
                break
    return [each for each in chosen if each.kind not in _LATER], [each for each in chosen if each.kind in _LATER]


def _split(text: str) -> tuple[str, str]:
    kind = next(kind for kind in sorted(_KINDS, key=len, reverse=True) if text.startswith(f"{kind} "))
    return kind, text[len(kind) + 1 :]


def _of_table(entry: Entry, table: str) -> bool:
    """Whether *entry* is the table, or belongs to it."""
    about = entry.name[0] if entry.kind == "ACL" and len(entry.name) > 2 else ""
    name = entry.name[1] if about else entry.name[0]
    if entry.kind.startswith("SEQUENCE") or about == "SEQUENCE":  # of its serial and identity columns, as the server names them
        return f"{entry.schema}.{name}".startswith(table.replace('"', "") + "_")
    return f"{entry.schema}.{name}" == table.replace('"', "")


def _named(entry: Entry, name: str) -> bool:
    """Whether *entry* is the object that the catalogue calls *name*: every word of the one is in the other."""
    plain = name.replace('"', "")
    words = " ".join(entry.name[:-1])
    return plain.startswith(f"{entry.schema}.") and all(word.strip('"').partition("(")[0] in plain for word in words.split())
