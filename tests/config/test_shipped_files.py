"""The parameter files of this repository: complete, of one mind with the runbook, the guide and the local target's sources."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from config_project import REPOSITORY, Project
from pydantic import ValidationError

from opsnb.config import Environment, Limits, Reference, Release, effective_limits, load_environment, load_release
from opsnb.errors import UsageError
from opsnb.runbook import ITEMS, PHASES

GUIDE = REPOSITORY.parent / "shared" / "runbook" / "guide.md"
CLINIC = REPOSITORY / "opsnb" / "local" / "clinic" / "supabase"
JOBS = sorted((REPOSITORY / "parameters" / "jobs").glob("*.yaml"))
guide = pytest.mark.skipif(not GUIDE.is_file(), reason="the guide is not beside this checkout")


@pytest.fixture(scope="module")
def release() -> Release:
    return load_release("patient-history", REPOSITORY)


@pytest.fixture(scope="module", params=["local", "production"])
def environment(request: pytest.FixtureRequest) -> Environment:
    return load_environment(request.param, REPOSITORY)


def test_models_are_frozen(release: Release, environment: Environment) -> None:
    for model, name in ((release, "title"), (environment, "region"), (environment.postgres, "dsn"), (release.limits, "growth_mb")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(model, name, None)


def test_the_file_names_them(release: Release, environment: Environment) -> None:
    assert release.name == "patient-history"
    assert environment.name in ("local", "production")
    assert environment.release == release.name


def test_production_holds_references_only() -> None:
    """Everything that is nobody's business but the operator's is a reference to the process environment."""
    production = load_environment("production", REPOSITORY)
    references = dict(production.references())
    assert {
        "postgres.dsn",
        "postgres.write_dsn",
        "platform.access_token",
        "functions.anon_key",
        "functions.caller_token",
        "metrics.password",
    } <= set(references)
    assert {str(reference).partition(":")[0] for reference in references.values()} == {"env"}
    assert all(isinstance(value, Reference) for value in production.probe_values.values())
    assert production.support is not None
    for contacts in production.support.periods.values():
        assert all(isinstance(contact.name, Reference) and isinstance(contact.reach, Reference) for contact in contacts)
    assert production.autostart is None, "nothing starts a production"


def test_local_refers_to_files_of_the_target() -> None:
    """The local target hands its addresses and keys over in files; its people are role mailboxes under example.org."""
    local = load_environment("local", REPOSITORY)
    assert all(str(reference).startswith("file:.opsnb/local/run/") for _, reference in local.references())
    assert local.support is not None
    for contacts in local.support.periods.values():
        assert all(str(contact.reach).endswith("@example.org") for contact in contacts)


def test_both_environments_can_fill_every_request(release: Release, environment: Environment) -> None:
    wanted = set(re.findall(r"\{(\w+)\}", json.dumps([spec.request.body for spec in release.functions.values()])))
    assert wanted
    assert wanted <= set(environment.probe_values)


def test_support_has_the_three_periods_and_roles(release: Release, environment: Environment) -> None:
    """The environment's matrix has the roles of the release's template, which nobody has filled in."""
    assert environment.support is not None
    roles = {period: [contact.role for contact in contacts] for period, contacts in release.support.periods.items()}
    assert roles == {period: [contact.role for contact in contacts] for period, contacts in environment.support.periods.items()}
    assert [len(each) for each in roles.values()] == [3, 2, 2]
    assert release.support.normal[0].name == "[Name]", "a template's name loads: it is a finding of a check"


def test_items_and_phases_are_those_of_the_runbook(release: Release) -> None:
    said = yaml.safe_load((REPOSITORY / "parameters" / "releases" / "patient-history.yaml").read_text(encoding="utf-8"))
    items = set(re.findall(r"'((?:PRE|S\d|H\d+|POST|MON|WIN|RB|SO|CT)-[\d.]+)'", repr(said)))
    assert {f"S5-{number}" for number in (1, 2, 3, 4, 5, 6, 7, 9)} | {"S6-1", "S6-2", "S6-3"} <= items <= set(ITEMS)
    assert set(release.guide_minutes) <= set(PHASES)
    assert set(release.actions.cleanup.needs) <= set(PHASES)


def test_the_monitoring_covers_the_day(release: Release) -> None:
    periods = [(period.from_hours, period.to_hours, period.every_minutes) for period in release.monitoring]
    assert periods == [(0, 4, 30), (4, 12, 60), (12, 24, 240)]
    assert [item for period in release.monitoring for item in period.items] == [item for item in ITEMS if re.match(r"H\d", item)]


def test_the_release_spells_out_every_limit(release: Release) -> None:
    """An operator who copies the file sees every limit there is; the defaults are the guide's."""
    said = yaml.safe_load((REPOSITORY / "parameters" / "releases" / "patient-history.yaml").read_text(encoding="utf-8"))["limits"]
    assert set(said) == set(Limits.model_fields)
    assert release.limits == Limits()


def test_limits_override_each_other() -> None:
    release, local = load_release("patient-history", REPOSITORY), load_environment("local", REPOSITORY)
    limits = effective_limits(release, local, growth_mb=None, verify_response_s=1)
    assert (limits.growth_mb, limits.runaway_query_s, limits.verify_response_s) == (100, 3, 1)
    assert effective_limits(release, local, runaway_query_s=5).runaway_query_s == 5
    assert effective_limits(release, load_environment("production", REPOSITORY)).runaway_query_s == 60


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"growth_gb": 1}, r"no limit 'growth_gb' \(did you mean growth_mb\?\); there are: deployed_within_h, "),
        ({"growth_gb": None}, "no limit 'growth_gb'"),
        ({"verify_error_rate": 1.5}, "parameters: verify_error_rate = 1.5: expected a number of at most 1"),
        ({"growth_mb": "many"}, "parameters: growth_mb = 'many': expected a number"),
        ({"growth_mb": True}, "expected a number"),
        ({"growth_mb": float("inf")}, "expected a finite number"),
    ],
)
def test_limits_given_wrongly(values: dict[str, float], message: str) -> None:
    release, local = load_release("patient-history", REPOSITORY), load_environment("local", REPOSITORY)
    with pytest.raises(UsageError, match=message):
        effective_limits(release, local, **values)


def test_statement_parameters_of_a_release(release: Release) -> None:
    """What the notebooks hand to statements and checks."""
    schema = release.schema_
    assert set(schema.asked_tables) == {
        "soap_notes",
        "soap_subjective_allergies",
        "soap_plan_medication",
        "soap_assessment_problem_list",
        "soap_objective_vital_signs",
    }
    (further,) = schema.further_tables.values()
    assert (further.count, further.beyond) == (8, tuple(schema.tables))
    assert schema.pattern_counts == {further.like: 8}
    (merge,) = schema.routines.values()
    assert (merge.arguments, merge.returns, merge.items) == (("uuid",), "jsonb", ("S5-9",))
    assert ("public.users", "firebase_uid") in zip(schema.required["tables"], schema.required["columns"], strict=True)
    assert release.access_select["medical_provider_profiles"]["patient"] == "all"
    assert next(iter(release.cleanup.triples))[:2] == ("public.soap_notes", "id")


def test_links_lead_somewhere(release: Release) -> None:
    for folder in (release.links.functions, release.links.previous_functions, release.links.migrations):
        assert (REPOSITORY / folder).is_dir()
    for folder in (release.links.functions, release.links.previous_functions):
        assert {path.parent.name for path in (REPOSITORY / folder).glob("*/index.ts")} == set(release.functions)


def test_requests_and_fields_are_those_of_the_functions(release: Release) -> None:
    """Each function's source reads what its probe sends, honours the dry run, and its header lists the fields it answers."""
    for slug, spec in release.functions.items():
        source = (CLINIC / "functions" / slug / "index.ts").read_text(encoding="utf-8")
        header = "".join(line.lstrip("/ ") + "\n" for line in source.splitlines() if line.startswith("//"))
        answer = re.search(r"Answer: \{ (.*?) \}[.;]", re.sub(r"(?<!Answer): \{[^}]*\}", "", header), re.DOTALL)
        assert answer is not None
        assert spec.response.json_schema is not None
        assert (
            set(re.split(r",\s*", answer[1])) == set(spec.response.json_schema["properties"]) == set(spec.response.json_schema["required"])
        )
        assert set(re.findall(r'requireId\(body, "(\w+)"\)', source)) | {"dryRun"} == set(spec.request.body)
        assert spec.request.body["dryRun"] is True
        assert "isDryRun(body)" in source


def test_tables_are_those_of_the_migrations(release: Release) -> None:
    """Named and further tables, columns and the access matrix, against the migrations the local target applies."""
    sql = "\n".join(path.read_text(encoding="utf-8") for path in sorted((CLINIC / "migrations").glob("*.sql")))
    created = dict(re.findall(r"create table public\.(\w+) \((.*?)\n\);", sql, re.DOTALL))
    further = [name for name in created if name.startswith("soap_") and name not in release.schema_.tables]
    assert set(release.schema_.tables) | set(further) == set(created)
    assert len(further) == release.schema_.patterns[0].count
    assert set(release.access) == {*created, "storage.objects"}
    for table, spec in release.schema_.tables.items():
        for column in {*spec.columns, *spec.required_columns}:
            assert re.search(rf"^\s+{column} ", created[table], re.MULTILINE), f"{table}.{column}"
    for record in release.cleanup.records:
        assert re.search(rf"^\s+{record.key} uuid", created[record.table.removeprefix("public.")], re.MULTILINE)


def test_the_record_schema_is_one(release: Release) -> None:
    assert release.record is not None
    schema = release.record.json_schema
    jsonschema.Draft202012Validator.check_schema(schema)
    judge = jsonschema.Draft202012Validator(schema)
    default = re.search(
        r"cumulative_medical_record jsonb not null default '([^']*)'",
        (CLINIC / "migrations" / "20260117000000_identity_and_profiles.sql").read_text(),
    )
    assert default is not None
    assert judge.is_valid(json.loads(default[1])), "an empty record has its shape"
    assert not judge.is_valid({"conditions": {}, "medications": [], "allergies": [], "vital_signs": []})
    assert not judge.is_valid([])


@guide
def test_the_guide_and_the_release_agree(release: Release) -> None:
    """Versions, project, minutes and the deletions of the clean-up in their order."""
    text = GUIDE.read_text(encoding="utf-8")
    versions = {name: int(version) for name, version in re.findall(r"^([a-z0-9-]+)\s+v(\d+)\s+yes", text, re.MULTILINE)}
    assert {slug: spec.version for slug, spec in release.functions.items()} == versions
    assert all(spec.previous_version == spec.version - 1 for spec in release.functions.values())
    production = load_environment("production", REPOSITORY)
    assert production.project_ref in text
    assert f"aws-0-{production.region}.pooler" in text
    deletions = re.findall(r"DELETE FROM ([\w.]+)\s+WHERE (\w+) (?:IN \(|= )(.*?)\)?;", text, re.DOTALL)
    assert [(table, key, tuple(re.findall(r"'([0-9a-f-]{36})'", values))) for table, key, values in deletions] == list(
        release.cleanup.triples
    )
    minutes = dict(
        zip(
            ("snapshot", "functions", "cleanup", "environment", "schema", "rls"),
            map(int, re.findall(r"### Step.*?\n\*\*Time: (\d+) min", text)),
            strict=True,
        )
    )
    assert minutes.items() <= release.guide_minutes.items()
    for name in (
        "SUPABASE_URL",
        "SUPABASE_ANON_KEY",
        "FIREBASE_PROJECT_ID",
        "FIREBASE_ADMIN_KEY",
        "OPENEHR_URL",
        "AWS_REGION",
        "TRANSCRIBE_ROLE_ARN",
    ):
        assert name in (*release.variables.required, *release.variables.optional)
    for name, value in release.variables.public_values.items():
        assert f"{name}={value}\n" in text
    assert f'grep -E "{"|".join(release.key_events)}"' in text
    matrix = text[text.index("## Support Contact Matrix") :]
    roles = [contact.role for contacts in release.support.periods.values() for contact in contacts]
    assert re.findall(r"^- ([\w ]+): \[Name\]", matrix, re.MULTILINE) == roles


@pytest.mark.parametrize("job", JOBS, ids=lambda path: path.stem)
def test_jobs_fit_their_notebook(job: Path, project: Project) -> None:
    """Flat, for a notebook that exists, and every name in it is a parameter of that notebook of a fitting kind."""
    text = job.read_text(encoding="utf-8")
    named = re.search(r"notebooks/(\w+)\.ipynb .*--engine opsnb -f parameters/jobs/(\S+)", text)
    assert named is not None, "the first line says how the job is run"
    assert named[2] == job.name
    values = yaml.safe_load(text)
    cells = json.loads((REPOSITORY / "notebooks" / f"{named[1]}.ipynb").read_text(encoding="utf-8"))["cells"]
    (cell,) = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    known = {
        node.target.id: node
        for node in ast.walk(ast.parse("".join(cell["source"])))
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    assert set(values) <= set(known)
    assert "environment" in values
    assert "apply" not in values and "confirm" not in values, "a job that acts is started by a person"
    environment = load_environment(values["environment"], project.root)
    limits = {name: value for name, value in values.items() if name in Limits.model_fields}
    effective_limits(load_release(environment.release, project.root), environment, **limits)
