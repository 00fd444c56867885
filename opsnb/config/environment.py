"""Where a release goes: the model of parameters/environments/*.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, ValidationInfo, field_validator

from opsnb.config.limits import Model, NotNegative, Number, Positive, YesNo
from opsnb.config.references import Reference, TextOrReference, UrlOrReference
from opsnb.config.release import Support


def _table_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_]\w*\.[A-Za-z_]\w*", name, flags=re.ASCII):
        raise ValueError("database.table, in letters, digits and _")
    return name


class PostgresSpec(Model):
    """Session mode or direct (port 5432): the transaction pooler keeps no session settings. Time-outs in ms and s.

    `write_probes`: whether access may be proved by writing too, under savepoints that are rolled back (over `write_dsn`).
    `proof_budget_s`: how long a phase may spend proving access; what it cuts is not measured.
    """

    dsn: Reference
    write_dsn: Reference | None = None
    statement_timeout_ms: Positive = 5000
    lock_timeout_ms: Positive = 50
    connect_timeout_s: Positive = 5
    write_probes: YesNo = False
    proof_budget_s: Positive = 60


class EncryptionSpec(Model):
    """age keys: *recipient* (``age1…``) is what kept data is encrypted to, *identity* what opens it again."""

    recipient: TextOrReference
    identity: Reference | None = None


class BackupSpec(Model):
    """How a snapshot's dump is taken and rehearsed. Time-outs in s.

    `dsn`: a role that may read everything and bypasses RLS; without it `postgres.dsn`. `programs`: the folder of pg_dump and pg_restore,
    where they are not found by themselves. `schemas`: those that are dumped; none named: the release's, and all others that are the
    project's own. `schema_only`: schemas of the platform whose definitions a restored copy needs, not their rows.
    `restorable_wait_s`: how long is waited for the platform's latest restorable moment to pass the snapshot's, `restore_wait_s` until a
    restored project is up again. `scratch`: a folder with
    room for the dump, unencrypted for as long as it is made; its owner alone can read it.
    """

    dsn: Reference | None = None
    programs: str = ""
    schemas: tuple[str, ...] = ()
    schema_only: tuple[str, ...] = ("auth",)
    jobs: Annotated[int, Field(strict=True, ge=1, le=32)] = 2
    timeout_s: Positive = 3600
    table_timeout_s: Positive = 60
    restorable_wait_s: NotNegative = 300
    restore_wait_s: Positive = 3600
    scratch: str = ""


class PlatformSpec(Model):
    """The platform's management API. `scratch_function`: a rehearsal may deploy a function under a name of its own, and remove it."""

    url: UrlOrReference
    access_token: Reference
    timeout_s: Positive = 10
    scratch_function: YesNo = False


class ClickHouseSpec(Model):
    """A ClickHouse server whose *table* (``database.table``) holds what the platform's ``logs`` does, under the same column names."""

    url: UrlOrReference
    user: str = "default"
    password: Reference | None = None
    table: Annotated[str, AfterValidator(_table_name)] = "default.logs"
    timeout_s: Positive = 30


class LogsSpec(Model):
    """Where logs are asked instead of the platform: of a ClickHouse server, or (`archive`) of what `opsnb logs collect` keeps.

    A run brings the archive up to its own time first; logs that it does not keep are asked of the platform.
    """

    archive: YesNo = False
    clickhouse: ClickHouseSpec | None = None

    @field_validator("clickhouse", mode="after")
    @classmethod
    def _one_of_them(cls, said: ClickHouseSpec | None, info: ValidationInfo) -> ClickHouseSpec | None:
        if said is not None and info.data.get("archive"):
            raise ValueError("either this or archive: true; logs are asked in one place")
        return said


class FunctionsSpec(Model):
    """The functions gateway, and the test caller: the anon key in Authorization, the caller's token in *caller_header*.

    *other_caller_token*: of a signed-in user who has nothing to do with what the probes ask for; every function must refuse them.
    *probes_at_most*: how many probes a phase may add where callers are too few to judge a rate; 0: none.
    """

    url: UrlOrReference
    anon_key: Reference
    caller_token: Reference | None = None
    other_caller_token: Reference | None = None
    caller_header: str = "x-firebase-token"
    timeout_s: Positive = 30
    probes_at_most: Annotated[int, Field(strict=True, ge=0, le=2000)] = 0


class MetricsSpec(Model):
    """The metrics endpoint (Prometheus text, Basic auth)."""

    url: UrlOrReference
    user: str = "service_role"
    password: Reference


class FirebaseSpec(Model):
    """Where the identity provider's keys are, and a token of the test caller."""

    jwks_url: UrlOrReference
    token: Reference | None = None


class OpenehrSpec(Model):
    """An openEHR server the release talks to."""

    url: UrlOrReference


class AwsSpec(Model):
    """An AWS role the functions assume."""

    region: str
    role_arn: Reference | None = None


class WindowSpec(Model):
    """How long and how often the window phase probes."""

    probe_seconds: Positive = 300
    probe_interval_s: Positive = 5

    @field_validator("probe_interval_s")
    @classmethod
    def _several_probes(cls, interval: float, info: ValidationInfo) -> float:
        if interval > info.data.get("probe_seconds", interval):
            raise ValueError("no more than probe_seconds, or nothing is probed")
        return interval


class BaselineSpec(Model):
    """The time before the deployment that errors and response times are compared with.

    It ends *gap_minutes* before the deployment was opened, and is *minutes* long; without that as long as what is compared. A day at most:
    longer the platform's logs answer for no sum.
    """

    minutes: Annotated[float, Field(strict=True, gt=0, le=1440)] | None = None
    gap_minutes: NotNegative = 0


def _project_ref(ref: str) -> str:
    if not re.fullmatch(r"[a-z]{20}", ref):
        raise ValueError("the 20 lower-case letters by which the platform names the project")
    return ref


class Environment(Model):
    """One environment: one release's connections, windows and the limits it overrides. `name` is the file's.

    Only `postgres` must be there: what is asked of a system that is not named is NOT_APPLICABLE. `variable_values`: variables of the
    functions whose value the operator holds too, by reference; compared by digest. `differs_from`: the environment whose secrets must be
    others than this one's, where the release says so. `notify`: Apprise URLs that announcements go to, `on_call` those that alerts go to;
    `heartbeat`: the URL of a dead man's switch (Healthchecks) that is told that the monitoring lives.
    `retention_years`: how long the archive is kept after the last word in it (`opsnb retention`).
    `never_shown`: what no page may hold, by reference or as text, such as the name of a synthetic patient planted to prove it.
    """

    name: str = ""
    release: str
    project_ref: Annotated[str, AfterValidator(_project_ref)] | None = None
    region: str = ""
    postgres: PostgresSpec
    platform: PlatformSpec | None = None
    logs: LogsSpec = LogsSpec()
    functions: FunctionsSpec | None = None
    metrics: MetricsSpec | None = None
    firebase: FirebaseSpec | None = None
    openehr: OpenehrSpec | None = None
    aws: AwsSpec | None = None
    encryption: EncryptionSpec | None = None
    backup: BackupSpec = BackupSpec()
    probe_values: dict[str, TextOrReference] = Field(default_factory=dict)
    variable_values: dict[str, Reference] = Field(default_factory=dict)
    differs_from: str = ""
    window: WindowSpec = WindowSpec()
    baseline_window: BaselineSpec = BaselineSpec()
    log_delay_s: NotNegative = 90
    notify: tuple[Reference, ...] = ()
    on_call: tuple[Reference, ...] = ()
    heartbeat: Reference | None = None
    never_shown: tuple[TextOrReference, ...] = ()
    limits: dict[str, Number] = Field(default_factory=dict)
    support: Support | None = None
    phase_deadline_s: Positive = 900
    retention_years: Annotated[float, Field(ge=1, le=100)] = 6
    autostart: Literal["local"] | None = None

    @field_validator("platform")
    @classmethod
    def _of_a_project(cls, said: PlatformSpec | None, info: ValidationInfo) -> PlatformSpec | None:
        if said is not None and "project_ref" in info.data and info.data["project_ref"] is None:
            raise ValueError("a project_ref beside it: the platform is asked about one project")
        return said

    @field_validator("functions", "metrics")
    @classmethod
    def _of_the_same_project(cls, said: Self, info: ValidationInfo) -> Self:
        # two projects mixed up in one file would prove one of them with the answers of the other
        url, ref = getattr(said, "url", None), info.data.get("project_ref")
        host = urlsplit(url).hostname or "" if isinstance(url, str) else ""
        if ref and host.endswith(".supabase.co") and host != f"{ref}.supabase.co":
            raise ValueError(f"a url of the project {ref}; this one is another project's")
        return said

    def references(self) -> Iterator[tuple[str, Reference]]:
        """Every reference of this environment with the key it stands at; contacts are left out: they are asked for late."""
        yield from _references(self, "")


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
    elif isinstance(value, tuple):
        for place, each in enumerate(value, 1):
            yield from _references(each, f"{key}.{place}")
