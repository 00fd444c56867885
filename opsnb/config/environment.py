"""Where a release goes: the model of parameters/environments/*.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, field_validator

from opsnb.config.references import Reference
from opsnb.config.release import Model, Positive, Support


class PostgresSpec(Model):
    """Session mode or direct (port 5432): the transaction pooler keeps no session settings. Time-outs in ms and s."""

    dsn: Reference
    write_dsn: Reference | None = None
    statement_timeout_ms: Positive = 5000
    lock_timeout_ms: Positive = 50
    connect_timeout_s: Positive = 5


class PlatformSpec(Model):
    """The platform's management API."""

    url: Reference | str
    access_token: Reference
    timeout_s: Positive = 10

    _url = field_validator("url", mode="before")(lambda value: url_or_reference(value))


class FunctionsSpec(Model):
    """The functions gateway, and the test caller: the anon key in Authorization, the caller's token in *caller_header*."""

    url: Reference | str
    anon_key: Reference
    caller_token: Reference | None = None
    caller_header: str = "x-firebase-token"
    timeout_s: Positive = 30

    _url = field_validator("url", mode="before")(lambda value: url_or_reference(value))


class MetricsSpec(Model):
    """The metrics endpoint (Prometheus text, Basic auth)."""

    url: Reference | str
    user: str = "service_role"
    password: Reference

    _url = field_validator("url", mode="before")(lambda value: url_or_reference(value))


class FirebaseSpec(Model):
    """Where the identity provider's keys are, and a token of the test caller."""

    jwks_url: Reference | str
    token: Reference | None = None

    _url = field_validator("jwks_url", mode="before")(lambda value: url_or_reference(value))


class OpenehrSpec(Model):
    """An openEHR server the release talks to."""

    url: Reference | str

    _url = field_validator("url", mode="before")(lambda value: url_or_reference(value))


class AwsSpec(Model):
    """An AWS role the functions assume."""

    region: str
    role_arn: Reference | None = None


class WindowSpec(Model):
    """How long and how often the window phase probes."""

    probe_seconds: Positive = 300
    probe_interval_s: Positive = 5


class Environment(Model):
    """One environment: one release's connections, windows and the limits it overrides."""

    name: str = ""
    release: str
    project_ref: Annotated[str, Field(pattern=r"^[a-z]{20}$")]
    region: str = ""
    postgres: PostgresSpec
    platform: PlatformSpec
    functions: FunctionsSpec
    metrics: MetricsSpec | None = None
    firebase: FirebaseSpec | None = None
    openehr: OpenehrSpec | None = None
    aws: AwsSpec | None = None
    probe_values: dict[str, Reference | str] = {}
    window: WindowSpec = WindowSpec()
    log_delay_s: Annotated[float, Field(ge=0)] = 90
    limits: dict[str, float] = {}
    support: Support | None = None
    phase_deadline_s: Positive = 900
    autostart: Literal["local"] | None = None

    @field_validator("probe_values", mode="before")
    @classmethod
    def _probe_values(cls, values: Any) -> Any:
        return {key: as_reference(value) for key, value in values.items()} if isinstance(values, dict) else values

    def references(self) -> Iterator[tuple[str, Reference]]:
        """Every reference of this environment with the key it stands at; contacts are left out: they are asked for late."""
        yield from _references(self, "")


def as_reference(value: object) -> object:
    """Text that is a reference becomes one."""
    return Reference(value) if isinstance(value, str) and re.match(r"(env|file):", value) else value


def url_or_reference(value: object) -> object:
    """A URL in plain, or a reference to one."""
    converted = as_reference(value)
    if isinstance(converted, Reference) or (isinstance(value, str) and re.match(r"https?://[^\s/@]+(/\S*)?$", value)):
        return converted
    raise ValueError("a URL (https://…, without user or password) or a reference, env:NAME or file:PATH")


def text_of(value: Reference | str, root: Path | None = None) -> str:
    """The value of what is a reference or plain text; for what is no secret."""
    return value.text(root) if isinstance(value, Reference) else value


def _references(value: object, key: str) -> Iterator[tuple[str, Reference]]:
    if isinstance(value, Reference):
        yield key, value
    elif isinstance(value, Support):
        return
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _references(getattr(value, name), f"{key}.{name}" if key else name)
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from _references(each, f"{key}.{name}")
