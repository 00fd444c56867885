"""Two catalogues, object by object: what was added, removed or changed. Texts are compared first; only what differs is read as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from opsnb.errors import SourceNonsense

SERVER = "server"
ADDED, REMOVED, CHANGED = "added", "removed", "changed"
Key = tuple[str, str]
Properties = Mapping[str, Any]

_NAME = r'(?:"(?:[^"]|"")*"|[^".:\s]+)'
_RELATION = re.compile(rf"{_NAME}\.{_NAME}")
_SCHEMA = re.compile(_NAME)
_QUALIFIER = re.compile(rf"({_NAME})\.")
_OF_RELATIONS = ("column", "constraint", "trigger", "rule", "policy")
_RELATIONS = ("table", "view", "materialised view", "domain")
_REGARDLESS = ("inherited",)
# before 16, a view of one table names it before every column; from 17 on there is a privilege more
_UNQUALIFIED_FROM, _MAINTAIN_FROM = 16, 17


@dataclass(frozen=True)
class Catalogue:
    """One side: what each object is (JSON text), and the server it was read from."""

    objects: Mapping[Key, str]
    server: Properties

    @classmethod
    def of(cls, table: pd.DataFrame) -> Catalogue:
        """From a table as `opsnb.sources.catalogue.read` answers; SourceNonsense where the row of the server is missing."""
        kinds, names, texts = (table[name].tolist() for name in ("kind", "object", "properties"))
        objects = dict(zip(zip(kinds, names, strict=True), texts, strict=True))
        told = [key for key in objects if key[0] == SERVER] if SERVER in kinds[:1] else [(k, n) for k, n in objects if k == SERVER]
        if len(told) != 1:
            raise SourceNonsense("the catalogue does not say which server it was read from")
        return cls(objects, _read(objects.pop(told[0])))

    @property
    def major(self) -> int:
        """The server's major version; 0 where it is not told."""
        number = self.server.get("number")
        return number // 10000 if isinstance(number, int) else 0

    def properties(self, key: Key) -> Properties:
        """What the object is; empty where there is none."""
        return _read(self.objects[key]) if key in self.objects else {}


@dataclass
class Change:
    """One difference: an object that came or went, or one property of one that stayed (`what`)."""

    kind: str
    object: str
    change: str
    what: str = ""
    was: Any = None
    is_: Any = None
    before: Properties = field(default_factory=dict)
    after: Properties = field(default_factory=dict)
    with_it: list[Change] = field(default_factory=list)
    """What came, went or changed with it, and is not told again."""


def compare(baseline: Catalogue, catalogue: Catalogue, *, but: frozenset[str] = frozenset()) -> list[Change]:
    """Every difference, without those of the kinds *but*; what belongs to an object that came or went is told with it."""
    was, is_ = baseline.objects, catalogue.objects
    other = [(key, text, was.get(key)) for key, text in is_.items() if was.get(key) != text]
    changes = [Change(*key, ADDED, after=_read(text)) for key, text, before in other if before is None]
    if len(was) + len(changes) != len(is_):  # else every object of then is among those of now
        changes += [Change(*key, REMOVED, before=_read(text)) for key, text in was.items() if key not in is_]
    for key, text, before in other:
        if before is not None:
            changes += _changed(key, _read(before), _read(text), (baseline.major, catalogue.major))
    changes = sorted((change for change in changes if change.kind not in but), key=lambda each: (each.object, each.kind, each.what))
    return _inherited_told_once(_members_told_once(_known_roles(changes)), baseline, catalogue)


def _read(text: str) -> dict[str, Any]:
    try:
        said = json.loads(text)
    except (TypeError, ValueError):
        said = None
    if not isinstance(said, dict):
        raise SourceNonsense("an object of the catalogue has properties that are no JSON object")
    return said


def _changed(key: Key, before: dict[str, Any], after: dict[str, Any], majors: tuple[int, int]) -> list[Change]:
    found = []
    for name in [*before, *(name for name in after if name not in before)]:
        one, other = before.get(name), after.get(name)
        if one == other or name in _REGARDLESS:
            continue
        if name == "grants":
            found += _grants(key, one or {}, other or {}, before, after, majors)
        elif not (name == "definition" and key[0] in ("view", "materialised view", "rule") and _same_text(str(one), str(other), majors)):
            found.append(Change(*key, CHANGED, name, one, other, before, after))
    return found


def _grants(
    key: Key, was: Properties, is_: Properties, before: Properties, after: Properties, majors: tuple[int, int]
) -> list[Change]:  # fmt: skip
    """One change per role whose privileges differ; MAINTAIN is none where only one of the servers has it."""
    crossed = min(majors) < _MAINTAIN_FROM <= max(majors)

    def held(grants: Properties, role: str) -> str | None:
        words = grants.get(role)
        if not isinstance(words, str) or not crossed:
            return words
        return ", ".join(word for word in words.split(", ") if not word.startswith("maintain")) or None

    roles = [*was, *(role for role in is_ if role not in was)]
    pairs = [(role, held(was, role), held(is_, role)) for role in roles]
    return [Change(*key, CHANGED, f"grants to {role}", one, other, before, after) for role, one, other in pairs if one != other]


def _same_text(was: str, is_: str, majors: tuple[int, int]) -> bool:
    """Whether two definitions differ only in naming their one table before its columns, as servers of other versions do.

    Those also call a table that is itself called old or new by another name.
    """
    if not min(majors) < _UNQUALIFIED_FROM <= max(majors):
        return False
    words = set(_QUALIFIER.findall(was)) | set(_QUALIFIER.findall(is_))

    def without(text: str, word: str) -> str:
        bare = re.sub(rf"(?<![\w\".]){re.escape(word)}\.(?=[\w\"])", "", text)
        return bare.replace(f" {word}", "") if word in ("old_1", "new_1") else bare

    return any(without(was, word) == without(is_, word) for word in words)


def _known_roles(changes: list[Change]) -> list[Change]:
    """Roles are read where something names them: one that is named no more did not go, and a new one is told with its grant."""
    return [
        change
        for change in changes
        if change.kind != "role"
        or change.change == CHANGED
        or (change.change == ADDED and (change.after.get("bypasses_rls") or change.after.get("superuser")))
    ]


def _parents(change: Change) -> list[Key]:
    """What a change of the same sort would make this one needless to tell."""
    said = change.before or change.after
    if change.kind in _OF_RELATIONS:
        names = _RELATION.findall(change.object)[:1]
    elif change.kind in ("index", "published table"):
        names = [str(said.get("table", ""))]
    elif change.kind == "sequence":
        owned_by = str(said.get("owned_by", ""))
        names = [*_RELATION.findall(owned_by)[:1], owned_by]
    else:
        names = []
    parents = [(kind, name) for name in names if name for kind in (*_RELATIONS, "column")]
    if change.kind == "published table":
        parents.append(("publication", change.object.partition(": ")[0]))
    if change.change == REMOVED and change.kind == "table":
        parents += [("table", name) for name in str(said.get("partition_of", "")).split(", ") if name]
    if change.change == REMOVED and change.kind != "schema":
        parents += [("schema", name) for name in _SCHEMA.findall(change.object)[:1]]
    return parents


def _members_told_once(changes: list[Change]) -> list[Change]:
    """What came or went with its table, column, publication or (only: went) schema is kept with that."""
    whole = {(change.kind, change.object): change for change in changes if change.change != CHANGED}
    kept = []
    for change in changes:
        parents = [] if change.change == CHANGED else [whole[key] for key in _parents(change) if key in whole]
        holder = next((parent for parent in parents if parent.change == change.change and parent is not change), None)
        if holder is None:
            kept.append(change)
        else:
            holder.with_it.append(change)
    return kept


def _inherited_told_once(changes: list[Change], baseline: Catalogue, catalogue: Catalogue) -> list[Change]:
    """A change that a partition or a child table has from its parent is kept with the parent's."""
    told = {(change.kind, change.object, change.change, change.what): change for change in changes}
    kept = []
    for change in changes:
        holder = None
        said = change.after or change.before
        if change.kind in ("column", "trigger") and said.get("inherited"):
            own = _RELATION.findall(change.object)[0]
            for side in (catalogue, baseline):
                table = side.properties(("table", own))
                for parent in f"{table.get('partition_of', '')}, {table.get('inherits', '')}".split(", "):
                    same = (change.kind, parent + change.object[len(own):], change.change, change.what)  # fmt: skip
                    holder = holder or (told.get(same) if parent else None)
        if holder is None:
            kept.append(change)
        else:
            holder.with_it.append(change)
    return kept
