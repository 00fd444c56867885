"""A journey: the way a user takes through the public doors, as a release describes it. No code of opsnb knows the names in it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from opsnb.config.limits import Count, Model
from opsnb.config.schema import ItemId, once

Kind = Literal["boolean", "string", "number", "object", "array", "null", "any"]


class Expectation(Model):
    """A good answer: `status`; `fields`: JSON pointer → value or, as ``type:string``, its type; `contains`: texts anywhere in it."""

    status: Count = 200
    fields: dict[str, Any] = Field(default_factory=dict)
    contains: tuple[str, ...] = ()


class JourneyStep(Model):
    """One request. ``{name}`` is filled from the environment's probe_values, from what earlier steps took, and ``{mark}`` (this journey's).

    `door`: functions (the path is the function's name) or rest (a path below /rest/v1). `take`: name → JSON pointer into the answer.
    `times`: asked so often one after the other, with equal answers. `others`: bodies that are asked at the same time as `body`.
    """

    name: str
    door: Literal["functions", "rest"] = "functions"
    method: Literal["GET", "POST", "PATCH", "DELETE"] = "POST"
    path: str
    body: Any = None
    expect: Expectation = Expectation()
    take: dict[str, str] = Field(default_factory=dict)
    times: Annotated[int, Field(strict=True, ge=1, le=5)] = 1
    others: tuple[Any, ...] = ()
    items: tuple[ItemId, ...] = ()


class Prepared(Model):
    """A row that is made before the journey, over the writing connection, and removed after it; its key is known as ``{name}``."""

    name: str
    table: str
    key: str = "id"
    row: dict[str, str]


class PutBack(Model):
    """Columns that the journey changes and that are put back as they were: those of the rows that *where* names."""

    table: str
    columns: tuple[str, ...] = Field(min_length=1)
    where: dict[str, str] = Field(min_length=1)


class Trace(Model):
    """Rows that the journey leaves, to be removed: those whose *column* has one of the values *of* (names that were taken or made)."""

    table: str
    column: str
    of: tuple[str, ...] = Field(min_length=1)


class JourneySpec(Model):
    """The whole of it: `prepare`, the `steps`, and what is removed (`traces`, children first) and put back afterwards."""

    prepare: tuple[Prepared, ...] = ()
    steps: tuple[JourneyStep, ...] = Field(min_length=1)
    traces: tuple[Trace, ...] = ()
    put_back: tuple[PutBack, ...] = ()

    @field_validator("steps")
    @classmethod
    def _each_once(cls, steps: tuple[JourneyStep, ...]) -> tuple[JourneyStep, ...]:
        once([step.name for step in steps])
        return steps
