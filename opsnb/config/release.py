"""What is being deployed: the model of parameters/releases/*.yaml."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from opsnb.config.alerts import Alerts
from opsnb.config.answers import wrong_schema
from opsnb.config.journey import JourneySpec
from opsnb.config.limits import Count, Limits, Model, NotNegative, Positive, YesNo
from opsnb.config.references import TextOrReference
from opsnb.config.rollback import RollbackSpec
from opsnb.config.schema import Accepted, AccessSpec, AttestationRule, Cleanup, IdentitySpec, ItemId, RecordSpec, SchemaSpec, UseSpec, once


class Request(Model):
    """How a function is called to probe it; ``{name}`` in the body is filled from the environment's probe_values."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    body: dict[str, Any] = Field(default_factory=dict)
    headers: dict[str, str] = Field(default_factory=dict)


class Response(Model):
    """What a good answer looks like: status, and the JSON Schema (draft 2020-12) of its body, here or in a file beside the release."""

    status: Count = 200
    json_schema: dict[str, Any] | None = None

    @field_validator("json_schema", mode="before")
    @classmethod
    def _judges(cls, schema: Any) -> Any:
        if schema is not None and (expected := wrong_schema(schema)):
            raise ValueError(expected)
        return schema


class FunctionSpec(Model):
    """One edge function. `version` is the platform's number (11, not v11); a `public` one answers everybody."""

    version: Count
    previous_version: Count | None = None
    verify_jwt: YesNo = True
    public: YesNo = False
    request: Request = Request()
    response: Response = Response()


class Variables(Model):
    """The functions' environment variables, by name; `injected` are set by the platform, `public_values` may be known to all.

    `differ`: those whose value must be another one in every environment (keys, tokens), compared where an environment names `differs_from`.
    """

    required: tuple[str, ...] = ()
    injected: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    public_values: dict[str, str] = Field(default_factory=dict)
    differ: tuple[str, ...] = ()

    @field_validator("differ")
    @classmethod
    def _are_set_and_secret(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        known = {*info.data.get("required", ()), *info.data.get("optional", ())}
        known -= {*info.data.get("injected", ()), *info.data.get("public_values", ())}
        if unknown := sorted(set(names) - known):
            raise ValueError(f"names of required or optional that are neither injected nor public; {unknown[0]} is none")
        return names

    @field_validator("public_values")
    @classmethod
    def _of_known_variables(cls, values: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        known = {*info.data.get("required", ()), *info.data.get("injected", ()), *info.data.get("optional", ())}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"names that stand in required, injected or optional; {unknown[0]} does not")
        return values


class OpenehrRule(Model):
    """The openEHR server the functions talk to is asked (GET *path*): its answer has one of *statuses*; *variable* holds its address.

    It is asked without credentials: an answer that asks for them is reached all the same.
    """

    variable: str
    path: str = ""
    statuses: Annotated[tuple[Count, ...], Field(min_length=1)] = (200, 401, 403)


class AwsRule(Model):
    """The role of AWS that *variable* holds: judged by its shape, looked up (get_role), or assumed with the operator's credentials."""

    variable: str
    ask: Literal["shape", "get_role", "assume_role"] = "get_role"


class Links(Model):
    """Folders of the project, relative to its root, and further documents by name."""

    functions: str = ""
    previous_functions: str = ""
    migrations: str = ""
    documents: dict[str, str] = Field(default_factory=dict)


class Action(Model):
    """The phases that must have ended without FAIL and ERROR before the action may be applied."""

    needs: tuple[str, ...] = ()


class Actions(Model):
    """What each action needs."""

    cleanup: Action = Action()
    rollback: RollbackSpec = RollbackSpec()


class Period(Model):
    """One stretch of the monitoring schedule."""

    name: str
    from_hours: NotNegative
    to_hours: Positive
    every_minutes: Positive
    items: tuple[ItemId, ...] = ()

    @field_validator("to_hours")
    @classmethod
    def _forwards(cls, to_hours: float, info: ValidationInfo) -> float:
        if to_hours <= info.data.get("from_hours", 0):
            raise ValueError("hours after from_hours")
        return to_hours


GUIDE_SCHEDULE = (
    Period(name="hours 0 to 4", from_hours=0, to_hours=4, every_minutes=30),
    Period(name="hours 4 to 12", from_hours=4, to_hours=12, every_minutes=60),
    Period(name="hours 12 to 24", from_hours=12, to_hours=24, every_minutes=240),
)
"""The guide's schedule, for a release that names none: 8 + 8 + 3 runs, each at the end of its interval."""


class Contact(Model):
    """Who to call. Name and reach are text, or references where they are nobody's business but the operator's.

    A template's ``[Name]`` loads: that nobody is named yet is a finding of a check, not a mistake in a file.
    """

    role: str
    name: TextOrReference
    reach: TextOrReference


class Support(Model):
    """The support matrix: who to call in each of its three periods."""

    deployment_hour: tuple[Contact, ...] = ()
    first_24_hours: tuple[Contact, ...] = ()
    normal: tuple[Contact, ...] = ()

    @property
    def periods(self) -> dict[str, tuple[Contact, ...]]:
        """Period → contacts."""
        return {"deployment_hour": self.deployment_hour, "first_24_hours": self.first_24_hours, "normal": self.normal}


class Release(Model):
    """One release; `name` is the file's. No code of opsnb knows the names in it.

    `public` are relations and functions (``schema.name``) that anybody may read or call; `accepted` are findings that are meant so.
    `not_applicable` are items of the runbook that this release does not have, each with the reason; they stay outside the gate.
    `personal_data` are columns that say who somebody is, by table (``schema.name``): what stands in them is looked for in everything a run
    leaves, and taken out; ``first_name last_name`` joins two columns to one name.
    `attestations` are the runbook's items whose statements need more than a name; `acceptable_failures` the checks whose FAIL a named
    person may accept (`opsnb accept`).
    """

    name: str = ""
    title: str
    guide_minutes: dict[str, Positive] = Field(default_factory=dict)
    functions: dict[str, FunctionSpec] = Field(default_factory=dict)
    schema_: SchemaSpec = Field(alias="schema")
    access: dict[str, AccessSpec] = Field(default_factory=dict)
    api_roles: tuple[str, ...] = ("anon", "authenticated")
    public: tuple[str, ...] = ()
    personal_data: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    accepted: tuple[Accepted, ...] = ()
    not_applicable: dict[ItemId, Annotated[str, Field(min_length=10)]] = Field(default_factory=dict)
    attestations: dict[ItemId, AttestationRule] = Field(default_factory=dict)
    acceptable_failures: tuple[str, ...] = ()
    identity: IdentitySpec | None = None
    variables: Variables = Variables()
    openehr: OpenehrRule | None = None
    aws: AwsRule | None = None
    cleanup: Cleanup = Cleanup()
    record: RecordSpec | None = None
    usage: tuple[UseSpec, ...] = ()
    counted_tables: tuple[str, ...] = ()
    links: Links = Links()
    actions: Actions = Actions()
    limits: Limits = Limits()
    monitoring: tuple[Period, ...] = GUIDE_SCHEDULE
    alerts: Alerts = Alerts()
    support: Support = Support()
    announcements: dict[str, str] = Field(default_factory=dict)
    journey: JourneySpec | None = None
    key_events: tuple[str, ...] = ()
    services: tuple[str, ...] = ("db", "rest")

    @field_validator("openehr", "aws")
    @classmethod
    def _of_a_variable(cls, rule: OpenehrRule | AwsRule | None, info: ValidationInfo) -> OpenehrRule | AwsRule | None:
        variables = info.data.get("variables")
        if rule is not None and variables is not None and rule.variable not in (*variables.required, *variables.optional):
            raise ValueError(f"a variable that stands in variables.required or optional; {rule.variable} does not")
        return rule

    @field_validator("monitoring")
    @classmethod
    def _each_once(cls, periods: tuple[Period, ...]) -> tuple[Period, ...]:
        once([period.name for period in periods])
        in_order = sorted(periods, key=lambda period: period.from_hours)
        for earlier, later in pairwise(in_order):
            if later.from_hours < earlier.to_hours:
                raise ValueError(f"periods that do not overlap; {later.name} begins before {earlier.name} has ended")
        return periods

    @property
    def public_functions(self) -> tuple[str, ...]:
        """The functions that answer everybody."""
        return tuple(slug for slug, said in self.functions.items() if said.public)

    @property
    def function_versions(self) -> dict[str, int]:
        """Function → the version this release deploys."""
        return {slug: said.version for slug, said in self.functions.items()}

    @property
    def usage_names(self) -> tuple[str, ...]:
        """What counts as use, by name."""
        return tuple(use.name for use in self.usage)

    @property
    def accepted_objects(self) -> tuple[str, ...]:
        """The objects of which a finding is accepted."""
        return tuple(each.object for each in self.accepted)

    @property
    def subject_column(self) -> str:
        """Where the database keeps the callers' subjects; empty where it names no identity provider."""
        return self.identity.subject_column if self.identity else ""

    @property
    def subject_is_uuid(self) -> bool:
        """Whether the callers' subjects are UUIDs; where it names no identity provider they are the platform's own, which are."""
        return self.identity.subject_is_uuid if self.identity else True

    @property
    def issuer(self) -> str:
        """Who issues the tokens of its users; empty where it names no identity provider."""
        return self.identity.issuer if self.identity else ""

    @property
    def audience(self) -> str:
        """For whom they are issued; empty where it names no identity provider."""
        return self.identity.project_id if self.identity else ""

    @property
    def access_select(self) -> dict[str, dict[str, str]]:
        """Table → identity → what it may see."""
        return {table: {str(identity): expression for identity, expression in said.select.items()} for table, said in self.access.items()}
