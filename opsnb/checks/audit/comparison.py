"""What the sources use of the schema, held against the schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from opsnb.checks.audit.catalogue import Catalogue, Table
from opsnb.checks.audit.selects import Selected, column, conditions, orders, selected
from opsnb.checks.audit.values import HOLE

_NAME = "Correct the name, or deploy the migration that makes it."
_VALUE = "Write a value that the column takes, or deploy the migration that lets it."
_KEY = "Name what is embedded as the schema calls it, and the foreign key where there are several."
_EMBEDDED = dict[str, "Table | None"]


def judge(uses: pd.DataFrame, schema: Catalogue) -> list[dict[str, Any]]:
    """A row (severity, rule, file, line, object, finding, fix) for each use that the schema does not bear."""
    rows: list[dict[str, Any]] = []
    asked = uses[uses["query"] != 0]
    for _, query in asked.groupby("query", sort=False):
        rows += _Query(query.to_dict("records"), schema).findings()
    unique = {json.dumps(each, sort_keys=True): each for each in rows}
    return list(unique.values())


class _Query:
    """One query of the sources."""

    def __init__(self, uses: list[dict[Any, Any]], schema: Catalogue) -> None:
        self.uses = uses
        self.schema = schema
        self.first = first = next(use for use in uses if use["kind"] in ("table", "routine"))
        self.table: Table = (str(first["schema"]), str(first["object"]))
        self.embedded: _EMBEDDED = {}
        self.refused: dict[tuple[Any, str], str] = {}

    def findings(self) -> Iterator[dict[str, Any]]:
        first, (schema, name) = self.first, self.table
        known = self.schema.routines if first["kind"] == "routine" else self.schema.relations
        if schema not in self.schema.schemas:
            yield _row(first, "note", "schema not read", f"{schema}.{name}", f"the schema {schema} was not read: nothing of it is judged",
                       "Name it among the release's schemas.")  # fmt: skip
        elif self.table not in known:
            what = "function" if first["kind"] == "routine" else "table or view"
            rule = "missing routine" if first["kind"] == "routine" else "missing table"
            near = self.schema.like(name, {key: 0 for key in known if key[0] == schema})
            yield _row(first, "error", rule, f"{schema}.{name}", f"there is no {what} {schema}.{name}{near}", _NAME)
        elif first["kind"] == "routine":
            yield from self._arguments()
        else:
            for use in self.uses:
                if use["kind"] == "select":
                    yield from self._selected(use, selected(str(use["value"])), self.table, "")
            for use in self.uses:
                yield from self._of_use(use)

    def _of_use(self, use: Mapping[Any, Any]) -> Iterator[dict[str, Any]]:
        value = str(use["value"])
        if use["kind"] == "filter":
            yield from self._named(use, str(use["name"]))
            yield from self._never(use)
        elif use["kind"] == "logic":
            for name, operator, written, offset in conditions(value):
                at = _at(use, offset)
                yield from self._named(at, f"{use['name']}.{name}" if use["name"] else name)
                if HOLE not in written:
                    yield from self._never({**at, "name": name, "operation": operator, "value": json.dumps(written)})
        elif use["kind"] == "order":
            for name, offset in orders(value):
                inside, opening, rest = name.partition("(")
                path = f"{inside}.{rest.rstrip(')')}" if opening else f"{use['name']}.{name}" if use["name"] else name
                yield from self._named(_at(use, offset), path)
        elif use["kind"] == "conflict":
            for name, offset in orders(value):
                yield from self._column(_at(use, offset), self.table, name)
        elif use["kind"] == "field":
            yield from self._column(use, self.table, str(use["name"]))
            yield from self._refused(use)

    def _arguments(self) -> Iterator[dict[str, Any]]:
        said = [use for use in self.uses if use["kind"] == "argument"]
        overloads = self.schema.routines[self.table]
        names = {str(use["name"]) for use in said}
        if None in overloads or any(names <= each for each in overloads if each is not None):
            return
        best = max((each for each in overloads if each is not None), key=lambda each: len(each & names))
        for use in said:
            if use["name"] not in best:
                near = f"; it takes {', '.join(sorted(best))}" if best else "; it takes none"
                yield _row(use, "error", "missing argument", f"{'.'.join(self.table)}({use['name']})",
                           f"the function {'.'.join(self.table)} has no argument {use['name']}{near}", _NAME)  # fmt: skip

    def _selected(self, use: Mapping[Any, Any], parts: list[Selected], table: Table, above: str) -> Iterator[dict[str, Any]]:
        for part in parts:
            at = _at(use, part.offset)
            if part.children is None:
                yield from self._column(at, table, part.name)
                continue
            target, wrong = self.schema.embedded(table, part.name, part.hints)
            if wrong:
                severity = "error"
                yield _row(at, severity, "missing relationship", f"{'.'.join(table)}({part.name})", wrong, _KEY)
            for name in (part.alias, part.name):
                self.embedded[f"{above}{name}"] = target
            if target is not None:
                yield from self._selected(use, list(part.children), target, f"{above}{part.alias}.")
            else:
                self._unknown(part, f"{above}{part.alias}.")

    def _unknown(self, part: Selected, above: str) -> None:
        for child in part.children or ():
            if child.children is not None:
                self.embedded[f"{above}{child.alias}"] = None
                self._unknown(child, f"{above}{child.alias}.")

    def _named(self, use: Mapping[Any, Any], path: str) -> Iterator[dict[str, Any]]:
        """A column that may stand behind the name of an embedded table."""
        head = path.partition("->")[0]
        if HOLE in head or '"' in head:
            return
        above, dot, _ = head.rpartition(".")
        name = path[len(above) + 1 :] if dot else path
        if not above:
            yield from self._column(use, self.table, column(name))
        elif above in self.embedded:
            target = self.embedded[above]
            if target is not None:
                yield from self._column(use, target, column(name))
        elif above.rpartition(".")[2] != self.table[1] and not any(
            each["kind"] == "select" and HOLE in each["value"] for each in self.uses
        ):
            yield _row(use, "error", "missing relationship", path, f"{above} is not among what is selected, so nothing of it can be asked",
                       _KEY)  # fmt: skip

    def _column(self, use: Mapping[Any, Any], table: Table, name: str) -> Iterator[dict[str, Any]]:
        columns = self.schema.columns.get(table, {})
        if not columns or name in columns or not name or name == "*" or HOLE in name:
            return
        if table in self.schema.relations and (table[0], name) in self.schema.routines:
            return  # a computed column
        yield _row(use, "error", "missing column", f"{'.'.join(table)}.{name}",
                   f"{'.'.join(table)} has no column {name}{self.schema.like(name, set(columns))}", _NAME)  # fmt: skip

    def _refused(self, use: Mapping[Any, Any]) -> Iterator[dict[str, Any]]:
        """A literal that the column does not take."""
        if not use["value"]:
            return
        name, value = str(use["name"]), _literal(str(use["value"]))
        subject = f"{'.'.join(self.table)}.{name}"
        said = self.schema.columns.get(self.table, {}).get(name)
        if value is None and said is not None and said.not_null:
            yield _row(use, "error", "refused value", subject, f"null is written to {subject}, which takes none", _VALUE)
            return
        allowed = self.schema.values_of(self.table, name)
        if isinstance(value, str) and allowed and value not in allowed:
            yield _row(use, "error", "refused value", subject, f"a value is written to {subject} that its type does not have: "
                       f"it has {', '.join(allowed)}", _VALUE)  # fmt: skip
            return
        row: dict[str, Any] = {}
        for other in self.uses:
            if other["kind"] == "field" and other["record"] == use["record"] and other["value"] and other["name"] != name:
                several = sum(
                    each["kind"] == "field" and each["record"] == use["record"] and each["name"] == other["name"] for each in self.uses
                )
                if several == 1:
                    row[str(other["name"])] = _literal(str(other["value"]))
        if isinstance(value, list | dict):
            return
        check = self.schema.refusal(self.table, name, {**row, name: value})
        # two columns of one record that do not go together are one finding
        if check and self.refused.setdefault((use["record"], check), name) == name:
            yield _row(
                use, "error", "refused value", subject, f"the value written to {subject} is refused by the constraint {check}", _VALUE
            )

    def _never(self, use: Mapping[Any, Any]) -> Iterator[dict[str, Any]]:
        """A filter for a value that no row can have."""
        operator, name = str(use["operation"]), str(use["name"])
        if operator not in ("eq", "in") or not use["value"] or "." in name:
            return
        value = _literal(str(use["value"]))
        subject = f"{'.'.join(self.table)}.{name}"
        for each in value if isinstance(value, list) else [value]:
            allowed = self.schema.values_of(self.table, name)
            if not isinstance(each, str):
                continue
            if operator == "in" and not isinstance(value, list):
                return
            if allowed and each not in allowed:
                yield _row(use, "error", "refused value", subject, f"{subject} is compared with a value that its type does not have: "
                           f"it has {', '.join(allowed)}", _VALUE)  # fmt: skip
            elif check := self.schema.refusal(self.table, name, {name: each}):
                yield _row(use, "warning", "impossible filter", subject, f"no row can have this value in {subject}: the constraint {check} "
                           "refuses it, so nothing is ever found", _VALUE)  # fmt: skip


def _literal(written: str) -> Any:
    value = json.loads(written)
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _at(use: Mapping[Any, Any], offset: int) -> dict[Any, Any]:
    """The use, where the part of its text at *offset* stands."""
    text, file, line = str(use["value"]), str(use["file"]), int(use["line"])
    start = 0
    for begin, there, number in json.loads(str(use["places"]) or "[]"):
        if begin <= offset:
            start, file, line = begin, there, number
    return {**use, "file": file, "line": line + text.count("\n", start, offset)}


def _row(use: Mapping[Any, Any], severity: str, rule: str, subject: str, sentence: str, fix: str) -> dict[str, Any]:
    place = {"file": str(use["file"]), "line": int(use["line"])}
    return {"severity": severity, "rule": rule, **place, "object": subject, "finding": sentence, "fix": fix}
