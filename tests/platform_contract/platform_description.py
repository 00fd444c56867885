"""The published description of the management API: which operation a request is, and what is wrong with it or with its answer."""

from __future__ import annotations

import email.parser
import email.policy
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import jsonschema
import pytest

BEYOND: dict[int, str] = {
    400: "an input that is refused: recorded of restore-pitr before its description had it, and answered by every operation that validates",
    404: "a project, function or integration that is not there: the description lists it for some operations only",
    501: "the local target alone: an operation it does not have",
}
"""Statuses of the local platform that the description does not list for every operation, and why they may come all the same."""
ERROR_BODY = {"type": "object", "required": ["message"], "properties": {"message": {"type": "string", "minLength": 1}}}


@dataclass(frozen=True)
class Exchange:
    """One request and its answer, as they went over the line."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    status: int
    answer_headers: dict[str, str]
    answer: bytes


@dataclass(frozen=True)
class Operation:
    """One operation of the description."""

    method: str
    template: str
    said: dict[str, Any]
    parameters: tuple[tuple[str, str], ...] = ()
    """Of the path: name, value."""

    @property
    def name(self) -> str:
        return f"{self.method} {self.template}"


class Description:
    """The OpenAPI document at *path*."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read: dict[str, Any] = json.loads(path.read_bytes())

    @property
    def operations(self) -> list[Operation]:
        return [
            Operation(method.upper(), template, said)
            for template, methods in self._read["paths"].items()
            for method, said in methods.items()
            if method != "parameters"
        ]

    def operation(self, method: str, path: str) -> Operation | None:
        """What *method* *path* is; a fixed step goes before a parameter (``deploy`` is no slug)."""
        found = []
        for each in self.operations:
            names = re.findall(r"\{(\w+)\}", each.template)
            matched = re.fullmatch(re.sub(r"\\\{\w+\\\}", "([^/]+)", re.escape(each.template)), path)
            if matched and each.method == method:
                values = tuple(zip(names, map(unquote, matched.groups()), strict=True))
                found.append(Operation(each.method, each.template, each.said, values))
        return min(found, key=lambda each: len(each.parameters), default=None)

    def wrong_request(self, one: Exchange) -> Iterator[str]:
        """What of the request the description does not have."""
        path, _, query = one.target.partition("?")
        operation = self.operation(one.method, path)
        if operation is None:
            yield f"{one.method} {path}: no such operation"
            return
        said = {(each["in"], each["name"]): each for each in operation.said.get("parameters", [])}
        given: dict[str, list[str]] = {}
        for name, value in parse_qsl(query, keep_blank_values=True):
            given.setdefault(name, []).append(value)
        yield from (f"{operation.name}: {name} is required" for (place, name), each in said.items()
                    if place == "query" and each.get("required") and name not in given)  # fmt: skip
        for name, texts in given.items():
            if ("query", name) not in said:
                yield f"{operation.name}: no query parameter {name}"
                continue
            schema = said["query", name]["schema"]
            many = schema.get("type") == "array"
            if not many and len(texts) > 1:
                yield f"{operation.name}: {name} is given {len(texts)} times"
            value = [_typed(text, schema["items"]) for text in texts] if many else _typed(texts[0], schema)
            yield from self._against(value, schema, f"{operation.name}: {name}")
        for name, text in operation.parameters:
            yield from self._against(text, said["path", name]["schema"], f"{operation.name}: {name}")
        yield from self._wrong_body(operation, one)

    def _wrong_body(self, operation: Operation, one: Exchange) -> Iterator[str]:
        kinds = operation.said.get("requestBody", {}).get("content", {})
        kind = one.headers.get("content-type", "").partition(";")[0]
        if not kinds or not one.body:
            if bool(kinds) != bool(one.body):
                yield f"{operation.name}: {'a body is expected' if kinds else 'no body is expected'}"
            return
        if kind not in kinds:
            yield f"{operation.name}: a body of {kind or 'no type'}, expected {' or '.join(kinds)}"
        elif kind == "application/json":
            yield from self._against(json.loads(one.body), kinds[kind]["schema"], f"{operation.name}: body")
        elif kind == "multipart/form-data":
            yield from self._against(_fields(one), kinds[kind]["schema"], f"{operation.name}: body")

    def wrong_answer(self, one: Exchange) -> Iterator[str]:
        """What of the answer the description does not have."""
        path = one.target.partition("?")[0]
        operation = self.operation(one.method, path)
        if operation is None:
            yield f"{one.method} {path}: no such operation"
            return
        where = f"{operation.name}: {one.status}"
        said = operation.said["responses"].get(str(one.status))
        if said is None and one.status not in BEYOND:
            yield f"{where} is not described"
            return
        kinds = {"application/json": {"schema": ERROR_BODY}} if said is None else said.get("content", {})
        kind = one.answer_headers.get("content-type", "").partition(";")[0]
        if not kinds:
            if one.answer:
                yield f"{where}: a body, and none is described"
        elif kind not in kinds:
            yield f"{where}: a body of {kind or 'no type'}, expected {' or '.join(kinds)}"
        elif kind == "application/json":
            yield from self._against(json.loads(one.answer, parse_constant=_no_number), kinds[kind]["schema"], where)
        for name in (said or {}).get("headers", {}):
            if not re.fullmatch(r"\d+", one.answer_headers.get(name.lower(), "")):
                yield f"{where}: the header {name} is no number"

    def _against(self, value: Any, schema: dict[str, Any], where: str) -> Iterator[str]:
        validator = jsonschema.Draft202012Validator({**_plain(schema), "$defs": self._schemas})
        for error in validator.iter_errors(value):
            yield f"{where}: {error.json_path}: {error.message[:300]}"

    @cached_property
    def _schemas(self) -> Any:
        return _plain(self._read["components"]["schemas"])


def description() -> Description:
    """The description beside this checkout, or at OPSNB_TEST_DESCRIPTION; skips where there is none."""
    named = os.environ.get("OPSNB_TEST_DESCRIPTION", "")
    beside = [folder.parent / "shared" / "supabase" / "management-api.json" for folder in Path(__file__).resolve().parents]
    path = next((each for each in ([Path(named)] if named else beside) if each.is_file()), None)
    if path is None:
        why = "the published description (shared/supabase/management-api.json) is not beside this checkout"
        pytest.skip(f"{why}; OPSNB_TEST_DESCRIPTION may name it")
    return Description(path)


def _plain(node: Any) -> Any:
    """OpenAPI 3.0 as JSON Schema: references, nullable, a boolean exclusiveMinimum."""
    if isinstance(node, list):
        return [_plain(each) for each in node]
    if not isinstance(node, dict):
        return node
    made = {key: _plain(value) for key, value in node.items() if key not in ("nullable", "exclusiveMinimum", "exclusiveMaximum")}
    if isinstance(made.get("$ref"), str):
        made["$ref"] = made["$ref"].replace("#/components/schemas/", "#/$defs/")
    for name in ("Minimum", "Maximum"):
        if node.get(f"exclusive{name}") is True:
            made[f"exclusive{name}"] = made.pop(name.lower())
    return {"anyOf": [{"type": "null"}, made]} if node.get("nullable") is True else made


def _typed(text: str, schema: dict[str, Any]) -> Any:
    """A text of a query as what its schema says it is, as it stands where it is not."""
    match schema.get("type"):
        case "integer" if re.fullmatch(r"-?\d+", text):
            return int(text)
        case "number" if re.fullmatch(r"-?\d+(\.\d+)?", text):
            return float(text)
        case "boolean" if text in ("true", "false"):
            return text == "true"
    return text


def _fields(one: Exchange) -> dict[str, Any]:
    """A multipart form: a part of JSON as JSON, files of one name as a list of texts."""
    raw = b"content-type: " + one.headers["content-type"].encode() + b"\r\n\r\n" + one.body
    made: dict[str, Any] = {}
    for part in email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(raw).iter_parts():
        name, content = str(part.get_param("name", header="content-disposition")), part.get_payload(decode=True)
        if name == "metadata":
            made[name] = json.loads(content)
        else:
            made.setdefault(name, []).append(content.decode("latin-1"))
    return made


def _no_number(text: str) -> Any:
    raise AssertionError(f"{text} is not JSON")
