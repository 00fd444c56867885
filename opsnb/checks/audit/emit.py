"""Queries and answers as rows: what of the schema they use, and whether anybody looks how they went."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from opsnb.checks.audit.state import State
from opsnb.checks.audit.syntax import Place
from opsnb.checks.audit.table import finding, row
from opsnb.checks.audit.values import HOLE, Answer, Constant, Items, Query, Record, Text, Value, flattened, options, where

_UNSENT = "Await it, or hand it to EdgeRuntime.waitUntil: a query is sent when somebody waits for it."
_LOOK = "Take `error` from the answer and refuse, or use throwOnError: the answer is no exception."
_LOOK_AT_STATUS = "Look at response.ok or response.status before the answer is used: fetch does not throw on 4xx and 5xx."


def of_queries(queries: Iterable[Query]) -> Iterator[dict[str, Any]]:
    """The rows of every query whose table or routine is known by name; the same text is shown once."""
    seen: dict[str, None] = {}
    for query in queries:
        for name, place in _texts(query.table if query.table is not None else query.routine, query.place):
            if HOLE in name or not name:
                continue
            rows = list(_rows(query, name, place))
            key = json.dumps(rows, sort_keys=True)
            if key not in seen:
                seen[key] = None
                yield from ({**each, "query": len(seen), "function": query.function} for each in rows)


def _rows(query: Query, name: str, place: Place) -> Iterator[dict[str, Any]]:
    said = {"schema": query.client.schema, "object": name, "operation": query.operation}
    if query.routine is not None:
        yield row("routine", place, **said)
        for record in (each for given in query.arguments for each in options(given) if isinstance(each, Record)):
            yield from (row("argument", record.places.get(key, place), name=key, **said) for key in record.fields)
        return
    yield row("table", place, **said)
    for value in query.selects:
        for written, at, places in _spread(value, query.place):
            yield row("select", at, value=written, places=places, **said)
    for column, operator, value, at in query.filters:
        for written, there in _texts(column, at):
            yield row("filter", there, name=written, value=_known(value), **{**said, "operation": operator})
    for kind, told in (("logic", query.logic), ("order", query.orders)):
        for value, foreign, at in told:
            of = next((text for text, _ in _texts(foreign, at)), "")
            for written, there, places in _spread(value, at):
                yield row(kind, there, name=of, value=written, places=places, **said)
    for value in query.conflict:
        for written, there, places in _spread(value, query.place):
            yield row("conflict", there, value=written, places=places, **said)
    yield from _written(query, said)


def _written(query: Query, said: dict[str, str]) -> Iterator[dict[str, Any]]:
    records = [each for value in query.writes for each in _records(value)]
    for number, record in enumerate(records, 1):
        for column, value in record.fields.items():
            at = record.places.get(column) or query.place
            alternatives = [(_known(each), where(each, at)) for each in options(value)] or [("", at)]
            for known, there in alternatives:
                place = there if known and len(alternatives) > 1 else at
                yield row("field", place if place.file else query.place, name=column, value=known, record=number, **said)


def _records(value: Value, depth: int = 3) -> Iterator[Record]:
    for each in options(value):
        if isinstance(each, Record):
            yield each
        elif isinstance(each, Items) and depth:
            for item in each.items:
                yield from _records(item, depth - 1)


def _known(value: Value) -> str:
    """A literal as JSON; '' for what is not written in the source."""
    if isinstance(value, Constant):
        number = value.value
        return json.dumps(int(number) if isinstance(number, float) and number.is_integer() else number)
    if isinstance(value, Text) and value.literal is not None:
        return json.dumps(value.literal[:200])
    if isinstance(value, Items) and value.items and not value.open:
        inside = [_known(each) for each in value.items]
        return f"[{', '.join(inside)}]" if all(inside) else ""
    return ""


def _texts(value: Value | None, otherwise: Place) -> Iterator[tuple[str, Place]]:
    """What a text may be, with `HOLE` for what is not known, and where it begins."""
    for each in options(value):
        if isinstance(each, Text):
            pieces = list(flattened(each))
            yield "".join(piece if isinstance(piece, str) else HOLE for piece, _ in pieces), where(each, otherwise)


def _spread(value: Value, otherwise: Place) -> Iterator[tuple[str, Place, str]]:
    """What a text may be, where it begins, and where each of its pieces does: JSON of [offset, file, line]."""
    for each in options(value):
        if not isinstance(each, Text):
            continue
        written, places = "", []
        for piece, place in flattened(each):
            at = place if place.file else otherwise
            places.append([len(written), at.file, at.line])
            written += piece if isinstance(piece, str) else HOLE
        yield written, where(each, otherwise), json.dumps(places)


def of_answers(state: State) -> Iterator[dict[str, Any]]:
    """A row of the kind `unchecked` for each answer whose failure nobody would see, on any of the ways that lead there."""
    by_place: dict[tuple[Place, str], list[Answer]] = {}
    for answer in state.answers:
        by_place.setdefault((answer.place, answer.kind), []).append(answer)
    for (place, kind), answers in by_place.items():
        if kind == "auth" or any(answer.checked for answer in answers):
            continue
        writes, tested = any(answer.writes for answer in answers), all(answer.tested for answer in answers)
        what = _what(answers[0])
        if kind == "fetch":
            severity = "error" if answers[0].query is not None or writes else "warning"
            sentence = f"nobody looks at the status of the answer to {what}"
        else:
            severity = "warning" if tested and not writes else "error"
            sentence = f"nobody looks at the error of {what}"
            sentence += "; a failure looks like nothing found" if not writes else "; a failure looks like success"
        rule = "unchecked answer" if kind == "fetch" else "ignored error"
        yield finding("answer", place, severity, rule, what, sentence, _LOOK_AT_STATUS if kind == "fetch" else _LOOK, answers[0].function)


def unsent(each: dict[str, Any]) -> dict[str, Any]:
    """The row of a query that nobody awaits."""
    place, what = Place(each["file"], each["line"]), each["object"] or "a query"
    sentence = f"the query of {what} is never sent: nothing awaits it"
    return finding("answer", place, "error", "query never sent", what, sentence, _UNSENT, each["function"])


def _what(answer: Answer) -> str:
    query = answer.query
    if query is None:
        return answer.subject or "the request"
    named = query.table if query.table is not None else query.routine
    name = next((text for text, _ in _texts(named, query.place) if HOLE not in text), "")
    verb = (
        "the call of" if query.routine is not None else {"select": "reading", "delete": "deleting from"}.get(query.operation, "writing to")
    )
    return f"{verb} {name}" if name else answer.subject or f"{verb} a table"
