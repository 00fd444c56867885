"""What a release says of its way back: where the app's new behaviour is switched off, and whom to tell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from opsnb.config.limits import Model, Positive
from opsnb.config.references import Reference, TextOrReference, UrlOrReference

_SENSITIVE = ("authorization", "cookie", "apikey", "api-key", "token", "secret")


def _headers(headers: dict[str, Reference | str]) -> dict[str, Reference | str]:
    for name, value in headers.items():
        if isinstance(value, str) and any(part in name.lower() for part in _SENSITIVE):
            raise ValueError(f"a reference, env:NAME or file:PATH, for {name}: a secret never stands in a parameter file")
    return headers


Headers = Annotated[dict[str, TextOrReference], AfterValidator(_headers)]


class Switch(Model):
    """Where the app's new behaviour is switched off: columns of the rows that *where* names (texts). JSON columns take JSON as text."""

    table: str
    set: dict[str, str] = Field(min_length=1)
    where: dict[str, str] = Field(min_length=1)


class CallProof(Model):
    """What tells that the feature is off: a GET of *url*, whose JSON has *equals* at *field* (keys joined by dots)."""

    url: UrlOrReference
    field: str
    equals: Any


class CallSwitch(Model):
    """A service of feature flags: one request that switches the behaviour off. Without *proof* nobody knows whether it did."""

    url: UrlOrReference
    method: Literal["PUT", "PATCH", "POST", "DELETE"] = "PUT"
    headers: Headers = Field(default_factory=dict)
    body: Any = None
    status: tuple[int, ...] = (200, 201, 202, 204)
    proof: CallProof | None = None
    timeout_s: Positive = 10


class CommandSwitch(Model):
    """A program that switches the behaviour off, with its arguments (no shell). *proof*: one that ends with 0 where it is off."""

    run: tuple[str, ...] = Field(min_length=1)
    proof: tuple[str, ...] = ()
    timeout_s: Positive = 60


class RollbackSpec(Model):
    """How a rollback goes. `switch`, `call` or `command`: the feature's; none where a person switches it off.

    `message`: of `announcements`, for people.
    """

    switch: Switch | None = None
    call: CallSwitch | None = None
    command: CommandSwitch | None = None
    message: str = ""

    @model_validator(mode="after")
    def _one(self) -> RollbackSpec:
        given = [name for name in ("switch", "call", "command") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"one of switch, call and command; {' and '.join(given)} are given")
        return self

    def references(self) -> Iterator[tuple[str, Reference]]:
        """Every secret that switching off needs, with the key it stands at."""
        for name, value in (self.call.headers if self.call else {}).items():
            if isinstance(value, Reference):
                yield f"actions.rollback.call.headers.{name}", value
