"""What the members of a value are."""

from __future__ import annotations

from opsnb.checks.audit.doors import Doors, refined
from opsnb.checks.audit.syntax import Place
from opsnb.checks.audit.values import (
    NONE,
    Address,
    Answer,
    Bound,
    Choice,
    Client,
    Constant,
    Function,
    Items,
    Known,
    Labels,
    Part,
    Record,
    Request,
    Text,
    Value,
    either,
    labels_of,
    options,
)

_OUTCOME = ("error", "status", "statusText", "ok")
_ENVIRONMENTS = ("process.env", "Deno.env.object", "import.meta.env")


class Members(Doors):
    """Reads members of values."""

    def exported(self, path: str, name: str) -> Value:
        """What the file *path* exports as *name*."""
        raise NotImplementedError

    def member(self, value: Value, name: str, place: Place) -> Value:
        """``value.name``."""
        if isinstance(value, Choice):
            return either([self.member(each, name, place) for each in value.options], value.labels)
        if isinstance(value, Record):
            return self._field(value, name)
        if isinstance(value, Known):
            return self._known(value, name, place)
        if isinstance(value, Client):
            return Bound(value.labels, value, (name,))
        if isinstance(value, Bound):
            return Bound(value.labels, value.of, (*value.path, name))
        if isinstance(value, Answer):
            return self._of_answer(value, name)
        if isinstance(value, Part):
            return Part(refined(value.labels, name), value.answer, value.error)
        if isinstance(value, Request):
            return self._of_request(value, name)
        if isinstance(value, Address) and name == "searchParams":
            return value.params
        return Value(refined(labels_of(value), name))

    def _field(self, value: Record, name: str) -> Value:
        if name in value.fields:
            found = value.fields[name]
            if value.labels and not isinstance(found, Function):
                return either([found], value.labels) if value.labels - found.labels else found
            return found
        return Value(refined(value.labels, name)) if value.open or value.instance else Constant(value.labels, None)

    def _known(self, value: Known, name: str, place: Place) -> Value:
        if value.path in _ENVIRONMENTS:
            return self.read_variable(Text(NONE, ((name, place),)), place)
        if value.path.startswith("module:"):
            return self.exported(value.path[7:], name)
        return Known(value.labels, f"{value.path}.{name}")

    def _of_answer(self, answer: Answer, name: str) -> Value:
        who = frozenset(label for label in answer.labels if not label.startswith("auth"))
        if name in _OUTCOME:
            truth: Labels = NONE
            if answer.auth:
                truth = frozenset({"auth+"} if name == "ok" else {"auth-"} if name == "error" else {"auth+", "auth-"})
            return Part(truth, answer, error=True)
        if name in ("headers", "url", "redirected", "type"):
            return Value(who)
        return Part(who | ({"auth+"} if answer.auth else NONE), answer)

    def _of_request(self, request: Request, name: str) -> Value:
        if name == "headers":
            return Bound(frozenset({"caller"}), request, ("headers",))
        if name in ("url", "body"):
            return Value(frozenset({"request"}))
        if name == "method":
            return Value(frozenset({"method"}))
        return Value(request.labels if name == "signal" else frozenset({"request"}))

    def indexed(self, value: Value, index: Value, place: Place) -> Value:
        """``value[index]``."""
        if isinstance(value, Choice):
            return either([self.indexed(each, index, place) for each in value.options], value.labels)
        names = [each.literal for each in options(index) if isinstance(each, Text) and each.literal is not None]
        if names:
            return either([self.member(value, name, place) for name in names])
        if isinstance(value, Known) and value.path in _ENVIRONMENTS:
            return self.read_variable(index, place)
        if isinstance(value, Items):
            number = index.value if isinstance(index, Constant) else None
            if isinstance(number, int | float) and int(number) < len(value.items) and not value.open:
                return value.items[int(number)]
            return either(value.items, value.labels) if value.items else Value(value.labels)
        if isinstance(value, Record):
            return either(value.fields.values(), value.labels) if value.fields else Value(value.labels)
        if isinstance(value, Part):
            return value
        return Value(labels_of(value) | labels_of(index))
