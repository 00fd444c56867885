"""When a person is told: the rules of the alerts, and the hours in which only what is urgent may wake somebody."""

from __future__ import annotations

from datetime import datetime, time
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from opsnb.config.limits import Model, NotNegative, Positive, Share
from opsnb.config.schema import once

Severity = Literal["critical", "warning"]
_CLOCK = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"


class BurnWindow(Model):
    """Breached where the error budget burns *factor* times too fast over both windows: the long one proves it, the short one ends it."""

    long_minutes: Positive
    short_minutes: Positive
    factor: Positive

    @model_validator(mode="after")
    def _short_is_shorter(self) -> Self:
        if self.short_minutes >= self.long_minutes:
            raise ValueError("short_minutes shorter than long_minutes")
        return self


class AlertRule(Model):
    """One rule, over what a check measures: breached above `limit`, or, with `burn`, where the budget 1 - `objective` burns too fast.

    `for_minutes`: breached so long before anybody is told; `good_minutes`: good so long before it counts as over; `remind_minutes`: told
    again so often while it lasts; `silent_minutes`: so long without a measurement is told too (0: never). No measurement is neither
    a breach nor an end of one.
    """

    name: str
    check: str
    limit: Positive | None = None
    objective: Share | None = None
    burn: tuple[BurnWindow, ...] = ()
    severity: Severity = "critical"
    for_minutes: NotNegative = 0
    good_minutes: NotNegative = 0
    remind_minutes: Positive = 240
    silent_minutes: NotNegative = 0

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if bool(self.burn) == (self.limit is not None):
            raise ValueError("either limit, or objective with burn")
        if bool(self.burn) != (self.objective is not None) or self.objective == 1:
            raise ValueError("an objective below 1 beside burn")
        return self


class QuietHours(Model):
    """From `begins` to `ends` (HH:MM, in `zone`) only severities that are not `held` are sent; the others wait until it ends."""

    begins: Annotated[str, Field(pattern=_CLOCK)]
    ends: Annotated[str, Field(pattern=_CLOCK)]
    zone: str = "UTC"
    held: tuple[Severity, ...] = ("warning",)

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            raise ValueError("a zone like Europe/Berlin, or UTC") from None
        return zone

    def hold(self, severity: str, moment: datetime) -> bool:
        """Whether a message of *severity* waits at *moment*."""
        if severity not in self.held:
            return False
        clock = moment.astimezone(ZoneInfo(self.zone)).time()
        begins, ends = time.fromisoformat(self.begins), time.fromisoformat(self.ends)
        return begins <= clock < ends if begins <= ends else clock >= begins or clock < ends


class Alerts(Model):
    """The rules of a release, and its quiet hours."""

    rules: tuple[AlertRule, ...] = ()
    quiet: QuietHours | None = None

    @field_validator("rules")
    @classmethod
    def _each_once(cls, rules: tuple[AlertRule, ...]) -> tuple[AlertRule, ...]:
        once([rule.name for rule in rules])
        return rules
