"""The places of a record that a schema speaks of, as relations of one query: how each is reached and what breaks its rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from psycopg import sql

Part = sql.Composable


@dataclass(frozen=True)
class Rule:
    """One rule of a schema: the JSON pointer of its keyword, the keyword, and in words which values of a record it speaks of."""

    rule: str
    keyword: str
    where: str


@dataclass(frozen=True)
class Step:
    """How a place is reached from the value above it: `value`, from `source` if that is not nothing, where `condition` holds."""

    value: Callable[[Part], Part]
    source: Callable[[Part], Part] | None = None
    condition: Callable[[Part], Part] | None = None


@dataclass
class Place:
    """Values of a record a schema speaks of: how they are reached, what breaks each rule, and the places below."""

    step: Step
    rules: list[tuple[Rule, Callable[[Part], Part]]] = field(default_factory=list)
    below: list[Place] = field(default_factory=list)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to judge, here and below."""
        return not self.rules and all(place.idle for place in self.below)


def made(template: str, **parts: Part) -> Part:
    """*template* with its ``{names}`` filled in."""
    return sql.SQL(template).format(**parts)  # templates are written in this package, never read


def number(value: int) -> Part:
    """A whole number."""
    return sql.SQL(str(int(value)))


def any_of(parts: list[Part]) -> Part:
    """Whether one of *parts* holds."""
    return made("({parts})", parts=sql.SQL(" or ").join(parts)) if parts else sql.SQL("false")


def count(place: Place, name: str, parts: list[Part], counts: list[Part], rules: list[Rule]) -> None:
    """Adds to *counts* how often each rule of *place* (the relation *name*) is broken per record, and to *parts* the places below."""
    here = sql.SQL("here.value")
    if place.rules:
        first = len(rules)
        rules.extend(rule for rule, _ in place.rules)
        broken = [
            made("pg_catalog.count(*) filter (where {broken}) as {name}", broken=broken(here), name=sql.Identifier(f"b{first + at}"))
            for at, (_, broken) in enumerate(place.rules)
        ]
        pairs = [made("({at}, {name})", at=number(first + at), name=sql.Identifier(f"b{first + at}")) for at in range(len(broken))]
        counts.append(made(
            "select counted.number, each.rule, counted.seen, each.broken\n"
            "from (select here.number, pg_catalog.count(*) as seen, {broken} from {name} as here group by here.number) as counted\n"
            "cross join lateral (values {pairs}) as each (rule, broken)",
            broken=sql.SQL(",\n  ").join(broken), name=sql.Identifier(name), pairs=sql.SQL(", ").join(pairs),
        ))  # fmt: skip
    for below in place.below:
        if below.idle:
            continue
        of = f"p{len(parts)}"
        parts.append(made(
            "{of} as (select here.number, {value} as value from {name} as here{source}{condition})",
            of=sql.Identifier(of), name=sql.Identifier(name), **_reached(below.step, here, "cross join lateral"),
        ))  # fmt: skip
        count(below, of, parts, counts, rules)


def _reached(step: Step, x: Part, joined: str) -> dict[str, Part]:
    source = made(f" {joined} {{source}}", source=step.source(x)) if step.source else sql.SQL("")
    condition = made(" where {condition}", condition=step.condition(x)) if step.condition else sql.SQL("")
    return {"value": step.value(x), "source": source, "condition": condition}


def breaks(place: Place, x: Part, depth: int = 0) -> Part:
    """Whether *x* breaks any rule of *place* or below."""
    found = [broken(x) for _, broken in place.rules]
    value = f"d{depth}"
    for below in place.below:
        if not below.idle:
            inner = breaks(below, made("{d}.value", d=sql.Identifier(value)), depth + 1)
            reached = _reached(below.step, x, "from")
            found.append(made(
                "exists (select from (select {value} as value{source}{condition}) as {d} where {inner})",
                d=sql.Identifier(value), inner=inner, **reached,
            ))  # fmt: skip
    return any_of(found)
