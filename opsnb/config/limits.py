"""The base of every parameter model, its numbers, and the limits."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# Strict: text, true and infinity are no numbers, whatever they could be read as.
Number = Annotated[float, Field(strict=True)]
Positive = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(strict=True, gt=0, le=1)]
Count = Annotated[int, Field(strict=True, gt=0)]
YesNo = Annotated[bool, Field(strict=True)]


class Model(BaseModel):
    """Frozen; an unknown key is a mistake, and no error repeats the value it is about."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Limits(Model):
    """What is still good. Shares are 0 to 1; every other unit is in the name.

    Worse than before the deployment: *worse_error_rate* is what the share of failing calls may rise by (0.01: one call more in a
    hundred), *slower_share* what response times may grow by (0.5: half as long again).
    """

    deployed_within_h: Positive = 24
    window_minutes: Positive = 5
    window_response_s: Positive = 5
    verify_response_s: Positive = 2
    verify_minutes: Positive = 30
    merge_query_s: Positive = 1
    verify_error_rate: Share = 0.01
    collected_minutes: Positive = 60
    usage_people: Positive = 1
    usage_within_h: Positive = 12
    worse_error_rate: Share = 0.01
    slower_share: Positive = 0.5
    growth_mb: Positive = 100
    trend_days: Positive = 2
    trend_points: Positive = 6
    trend_hours: Positive = 2
    disk_days: Positive = 7
    deadlocks: NotNegative = 0
    cache_hit_share: Share = 0.9
    bloat_share: Share = 0.5
    pool_used_share: Share = 0.8
    runaway_query_s: Positive = 60
    stuck_query_s: Positive = 300
    alert_error_rate: Share = 0.05
    alert_response_s: Positive = 5
    alert_pool_share: Share = 0.8
    hour_0_4_error_rate: Share = 0.02
    database_response_ms: Positive = 500
    hour_4_12_success_rate: Share = 0.98
    hour_12_24_success_rate: Share = 0.99
    backup_age_h: Positive = 24
    rollback_minutes: Positive = 10
    zero_limit_minimum_calls: Positive = 20
    memory_available_share: Share = 0.1
