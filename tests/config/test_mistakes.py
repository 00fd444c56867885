"""Every kind of mistake in a parameter file is told with file, line, key, value and expectation; no secret is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from config_project import Project
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opsnb.config import Limits, load_environment, load_release
from opsnb.config.mistakes import is_secret, nearest, shown_value
from opsnb.errors import ConfigError, UsageError

LOCAL, PRODUCTION, RELEASE = "environments/local", "environments/production", "releases/patient-history"
REFERENCE = "expected a reference, env:NAME or file:PATH (a value itself never stands in a parameter file)"

# file, passage, replacement, what the message says after "file:line: "
WRONG = {
    "unknown key": (
        LOCAL,
        "autostart: local",
        "autostrat: local",
        "autostrat: expected a known key; 'autostrat' (did you mean autostart?) is none",
    ),
    "unknown nested key": (LOCAL, "  dsn: file", "  dns: file", "postgres.dns: expected a known key; 'dns' (did you mean dsn?) is none"),
    "unknown key like none": (
        LOCAL,
        "log_delay_s: 0",
        "zzz: 0",
        "zzz: expected a known key; 'zzz' is none. There are: release, project_ref,",
    ),
    "unknown key of a table": (
        RELEASE,
        "    users:\n      required_columns: [id",
        "    users:\n      required_colums: [id",
        "schema.tables.users.required_colums: expected a known key; 'required_colums' (did you mean required_columns?)",
    ),
    "unknown key in a list": (
        RELEASE,
        "values: [9badb5d0",
        "value: [9badb5d0",
        "cleanup.records.2.value: expected a known key; 'value' (did you mean values?)",
    ),
    "the model's own spelling": (RELEASE, "\nschema:\n", "\nschema_:\n", "schema_: expected a known key; 'schema_' (did you mean schema?)"),
    "unknown limit": (
        LOCAL,
        "runaway_query_s: 3",
        "runaway_querys: 3",
        "limits.runaway_querys: expected a known key; 'runaway_querys' (did you mean runaway_query_s?)",
    ),
    "unknown limit of a release": (
        RELEASE,
        "  growth_mb: 100",
        "  growth_gb: 1",
        "limits.growth_gb: expected a known key; 'growth_gb' (did you mean growth_mb?)",
    ),
    "unknown identity": (
        RELEASE,
        "patient: all, provider: all",
        "patients: all, provider: all",
        "access.app_settings.select.patients: expected a known key; 'patients' (did you mean patient?)",
    ),
    "missing key": (LOCAL, "release: patient-history\n", "", "release: expected a value; this key is required"),
    "missing nested key": (
        LOCAL,
        "  url: file:.opsnb/local/run/platform_url\n",
        "",
        "platform.url: expected a value; this key is required",
    ),
    "a literal where a reference is due": (LOCAL, "dsn: file:.opsnb/local/run/dsn", "dsn: hunter", f"postgres.dsn: {REFERENCE}"),
    "a number where a reference is due": (
        LOCAL,
        "access_token: file:.opsnb/local/run/access_token",
        "access_token: 123456",
        f"platform.access_token: {REFERENCE}",
    ),
    "half a reference": (
        LOCAL,
        "patient_id: 5e000000-0000-4000-8000-000000000001",
        "patient_id: 'env: PATIENT'",
        f"probe_values.patient_id: {REFERENCE}",
    ),
    "a number where text is due": (
        LOCAL,
        "patient_id: 5e000000-0000-4000-8000-000000000001",
        "patient_id: 4711",
        "probe_values.patient_id: expected text, or a reference",
    ),
    "a phone number": (
        LOCAL,
        "reach: service-desk@example.org",
        "reach: 4930123456",
        "support.normal.0.reach: expected text, or a reference",
    ),
    "no URL": (
        PRODUCTION,
        "https://api.supabase.com",
        "api",
        "platform.url: expected a URL (https://…, without user and password) or a reference",
    ),
    "another project's URL": (
        PRODUCTION,
        "url: https://noaeltglphdlkbflipit.supabase.co/functions/v1",
        "url: https://aaaaaaaaaaaaaaaaaaaa.supabase.co/functions/v1",
        "functions: expected a url of the project noaeltglphdlkbflipit; this one is another project's",
    ),
    "a wrong project": (
        LOCAL,
        "project_ref: localclinicopsnbdemo",
        "project_ref: local",
        "project_ref = 'local': expected the 20 lower-case letters",
    ),
    "text for a number": (LOCAL, "log_delay_s: 0", "log_delay_s: soon", "log_delay_s = 'soon': expected a number"),
    "true for a number": (LOCAL, "timeout_s: 15", "timeout_s: true", "functions.timeout_s = True: expected a number"),
    "infinity": (LOCAL, "phase_deadline_s: 120", "phase_deadline_s: .inf", "phase_deadline_s = inf: expected a finite number"),
    "no number at all": (LOCAL, "phase_deadline_s: 120", "phase_deadline_s: .nan", "phase_deadline_s = nan: expected a"),
    "too small": (LOCAL, "probe_seconds: 6", "probe_seconds: 0", "window.probe_seconds = 0: expected a number greater than 0"),
    "negative": (LOCAL, "log_delay_s: 0", "log_delay_s: -1", "log_delay_s = -1: expected a number of at least 0"),
    "percent for a share": (
        RELEASE,
        "verify_error_rate: 0.01",
        "verify_error_rate: 2",
        "limits.verify_error_rate = 2: expected a number of at most 1",
    ),
    "a limit that is text": (LOCAL, "runaway_query_s: 3", "runaway_query_s: long", "limits.runaway_query_s = 'long': expected a number"),
    "a limit of true": (LOCAL, "runaway_query_s: 3", "runaway_query_s: true", "limits.runaway_query_s = True: expected a number"),
    "an endless limit": (LOCAL, "runaway_query_s: 3", "runaway_query_s: .inf", "limits.runaway_query_s = inf: expected a finite number"),
    "a version with its letter": (
        RELEASE,
        "    version: 11",
        "    version: v11",
        "functions.create-context-snapshot.version = 'v11': expected a whole number",
    ),
    "half a version": (
        RELEASE,
        "    version: 11",
        "    version: 11.5",
        "functions.create-context-snapshot.version = 11.5: expected a whole number",
    ),
    "not among the possible": (
        RELEASE,
        "method: POST\n      body: { soap",
        "method: PSOT\n      body: { soap",
        "update-patient-medical-record.request.method = 'PSOT': expected 'GET', 'POST'",
    ),
    "a system whose variable is not listed": (
        RELEASE,
        "  variable: OPENEHR_URL",
        "  variable: EHR_URL",
        "openehr: expected a variable that stands in variables.required or optional; EHR_URL does not",
    ),
    "a public value that must differ": (
        RELEASE,
        "differ: [FIREBASE_ADMIN_KEY]",
        "differ: [AWS_REGION]",
        "variables.differ: expected names of required or optional that are neither injected nor public; AWS_REGION is none",
    ),
    "a JSON type that is none": (
        RELEASE,
        "hasHistory: { type: boolean }",
        "hasHistory: { type: bool }",
        "get-patient-history.response.json_schema: expected one or more of array, boolean, integer, null, number, object, string for type "
        "/properties/hasHistory",
    ),
    "a keyword that would be passed over": (
        RELEASE,
        "hasHistory: { type: boolean }",
        "hasHistory: { tpye: boolean }",
        "get-patient-history.response.json_schema: expected a keyword of JSON Schema /properties/hasHistory; 'tpye' (did you mean type?)",
    ),
    "a format nobody judges": (
        RELEASE,
        "soapNoteId: { type: string, format: uuid }",
        "soapNoteId: { type: string, format: email }",
        "expected one of date, date-time, uuid for format /properties/soapNoteId",
    ),
    "a reference to elsewhere": (
        RELEASE,
        "hasHistory: { type: boolean }",
        "hasHistory: { $ref: 'https://example.org/schema' }",
        "expected a place of this schema that is there, such as #/$defs/name, for $ref /properties/hasHistory",
    ),
    "a schema in a file that is not there": (
        RELEASE,
        'soapNoteId: "{soap_note_id}", dryRun: true }\n    response:\n      status: 200\n      json_schema:',
        'soapNoteId: "{soap_note_id}", dryRun: true }\n    response:\n      status: 200\n      json_schema: gone.json\n    old:',
        "expected a file that can be read beside the release; gone.json cannot",
    ),
    "a word for keys": (
        LOCAL,
        "window:\n  probe_seconds: 6",
        "window: short\nzindow:\n  probe_seconds: 6",
        "window = 'short': expected keys and values",
    ),
    "a word for a list": (RELEASE, "api_roles: [anon, authenticated]", "api_roles: anon", "api_roles = 'anon': expected a list"),
    "an item that is none": (
        RELEASE,
        "{ items: [S5-3] }",
        "{ items: [5-3] }",
        "soap_subjective_allergies.items.0 = '5-3': expected an item of the runbook, such as S6-5",
    ),
    "a column without its table": (
        RELEASE,
        "public.users.firebase_uid",
        "firebase_uid",
        "identity.subject_column = 'firebase_uid': expected a column with its schema and table",
    ),
    "an expression with a bare %": (
        RELEASE,
        "patient: all, provider: user_id = %(user_id)s }",
        "patient: id like 'a%', provider: none }",
        "access.medical_provider_profiles.select.patient: expected `none`, `all`, or an SQL expression in which %(user_id)s is the caller",
    ),
    "a period that runs backwards": (
        RELEASE,
        "from_hours: 4, to_hours: 12",
        "from_hours: 4, to_hours: 2",
        "monitoring.1.to_hours = 2: expected hours after from_hours",
    ),
    "a period twice": (
        RELEASE,
        "name: hours 4 to 12",
        "name: hours 0 to 4",
        "monitoring: expected each name once; hours 0 to 4 is given twice",
    ),
    "a value of no variable": (
        RELEASE,
        "    AWS_REGION: eu-central-1",
        "    AWS_REGOIN: eu-central-1",
        "variables.public_values: expected names that stand in required, injected or optional; AWS_REGOIN does not",
    ),
    "probes further apart than the window": (
        LOCAL,
        "probe_interval_s: 0.5",
        "probe_interval_s: 7",
        "window.probe_interval_s = 7: expected no more than probe_seconds",
    ),
    "a name of its own": (
        LOCAL,
        "release: patient-history",
        "name: staging\nrelease: patient-history",
        "name: expected no such key: the environment is called like its file, local",
    ),
    "a key twice": (
        LOCAL,
        "  caller_header: x-firebase-token",
        "  timeout_s: 15",
        "functions.timeout_s: expected each key once; it already stands in line ",
    ),
    "a number for a key": (
        RELEASE,
        "    FIREBASE_PROJECT_ID: medzen-bf20e",
        "    404: medzen-bf20e",
        "variables.public_values.404: expected a key that is text; put it in quotes",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_told(case: str, project: Project) -> None:
    """File and line of the mistake itself (of what should hold it, where a key is missing), key, value, expectation."""
    name, old, new, expected = WRONG[case]
    line = project.change(name, old, new)
    told = [each for each in project.refused(name).splitlines() if expected in each]
    assert len(told) == 1, project.refused(name)
    where = re.match(rf"parameters/{name}\.yaml(?::(\d+))?: ([^:= ]+)", told[0])
    assert where is not None
    keys = [each for each in where[2].split(".") if not each.isdigit()]
    if "this key is required" in expected:  # it stands in no line: the key that should hold it does
        keys.pop()
    if not keys:
        assert where[1] is None
        return
    lines = project.path(name).read_text(encoding="utf-8").splitlines()
    assert f"{keys[-1]}:" in lines[int(where[1]) - 1], told[0]
    assert int(where[1]) <= line + 9, told[0]


def test_several_mistakes_are_told_at_once_in_the_order_of_the_file(project: Project) -> None:
    lines = [
        project.change(LOCAL, "autostart: local", "autostrat: local"),
        project.change(LOCAL, "  timeout_s: 15", "  timeout_s: long"),
        project.change(LOCAL, "log_delay_s: 0", "log_delay_s: -1"),
        project.change(LOCAL, "runaway_query_s: 3", "runaway: 3"),
    ]
    told = project.refused(LOCAL).splitlines()
    assert [int(each.split(":")[1]) for each in told] == lines


SCHEMA_OF_THE_NOTE = 'soapNoteId: "{soap_note_id}", dryRun: true }\n    response:\n      status: 200\n      json_schema:'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"required": ["success"], "properties": {"success": {"const": true}}}', None),
        ("[]", "expected a JSON object; note.json holds something else"),
        ("{'required': []}", "expected JSON in UTF-8; note.json is none"),
        ("{}", "expected a JSON Schema (keys and values), or the name of a .json file beside the release"),
        ('{"requierd": ["success"]}', "expected a keyword of JSON Schema at its top; 'requierd' (did you mean required?) is none"),
    ],
)
def test_a_schema_in_a_file_beside_the_release(text: str, expected: str | None, project: Project) -> None:
    """It is judged as if it stood in the release itself."""
    project.change(RELEASE, SCHEMA_OF_THE_NOTE, SCHEMA_OF_THE_NOTE + " note.json\n    request_before:")
    released = project.path(RELEASE)
    lines = released.read_text(encoding="utf-8").splitlines()
    begins = lines.index("    request_before:")
    ends = next(number for number in range(begins + 1, len(lines)) if not lines[number].startswith("      "))
    released.write_text("\n".join([*lines[:begins], *lines[ends:], ""]), encoding="utf-8")
    (released.parent / "note.json").write_text(text, encoding="utf-8")
    if expected is None:
        schema = load_release("patient-history", project.root).functions["update-patient-medical-record"].response.json_schema
        assert schema == {"required": ["success"], "properties": {"success": {"const": True}}}
    else:
        assert f"functions.update-patient-medical-record.response.json_schema: {expected}" in project.refused(RELEASE)
    for name in ("../note.json", "note.yaml"):
        released.write_text(released.read_text(encoding="utf-8").replace("note.json", name), encoding="utf-8")
        assert "expected the name of a .json file in the release's own folder" in project.refused(RELEASE)
        released.write_text(released.read_text(encoding="utf-8").replace(name, "note.json"), encoding="utf-8")


def test_both_of_two_equal_keys_are_named(project: Project) -> None:
    first = project.change(LOCAL, "log_delay_s: 0", "log_delay_s: 1")
    with project.path(LOCAL).open("a", encoding="utf-8") as file:
        file.write("log_delay_s: 2\n")
    last = len(project.path(LOCAL).read_text(encoding="utf-8").splitlines())
    assert f"local.yaml:{last}: log_delay_s: expected each key once; it already stands in line {first}" in project.refused(LOCAL)


SECRETS = {
    "a token": "sbp_0123456789abcdef0123456789abcdef01234567",
    "a password": "Tr0ub4dor",
    "a short word": "hunter",
    "digits": "4711471147",
    "a DSN": "postgresql://postgres:Tr0ub4dor@db.example.org:5432/postgres",
    "a JWT": "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.c2lnbmF0dXJl",
    "an alias by accident": "*Tr0ub4dor",
    "a tag by accident": "!Tr0ub4dor",
    "an anchor by accident": "&Tr0ub4dor",
    "a directive by accident": "%Tr0ub4dor",
    "no scalar at all": "@Tr0ub4dor",
    "a mapping by accident": "Tr0ub4: dor",
    "a list": "[Tr0ub4dor, hunter]",
    "an open quote": '"Tr0ub4dor',
}


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "passage",
    [
        "dsn: file:.opsnb/local/run/dsn",
        "url: file:.opsnb/local/run/functions_url",
        "anon_key: file:.opsnb/local/run/anon_key",
        "region: eu-central-1",
    ],
)
def test_no_message_shows_a_secret(secret: str, passage: str, project: Project) -> None:
    """A literal secret is refused, whatever YAML makes of it, and no part of it is repeated."""
    value = SECRETS[secret]
    line = project.change(LOCAL, passage, f"{passage.split(':')[0]}: {value}")
    if passage.startswith("region") and secret in ("a token", "a DSN", "a JWT"):
        assert f"local.yaml:{line}: region: {REFERENCE}; this looks like a credential" in project.refused(LOCAL)
    elif passage.startswith("region") and secret in ("a password", "a short word"):
        load_environment("local", project.root)  # nothing tells it from a region
        return
    message = project.refused(LOCAL)
    assert "local.yaml" in message
    shown = message.replace("dsn", "").replace("anon_key", "")
    for part in re.findall(r"[A-Za-z0-9]{4,}", value):
        if part not in ("postgres", "postgresql", "example", "5432"):
            assert part not in shown


def test_a_secret_for_a_key_is_not_shown(project: Project) -> None:
    project.change(LOCAL, "log_delay_s: 0", "sbp_0123456789abcdef0123456789abcdef01234567: 0")
    assert "sbp_" not in project.refused(LOCAL)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
def test_whatever_stands_for_a_reference_stays_unseen(project: Project, text: str) -> None:
    """Any printable value, quoted as YAML wants it, in the place of a secret."""
    shipped = Path(__file__).parents[2] / "parameters" / "environments" / "local.yaml"
    before = shipped.read_text(encoding="utf-8")
    if re.match(r"(env|file):", text) or text.lower() in before.lower() or text.lower() in REFERENCE.lower():
        return
    quoted = text.replace("'", "''")
    project.path(LOCAL).write_text(
        before.replace("password: file:.opsnb/local/run/metrics_password", f"password: '{quoted}'"), encoding="utf-8"
    )
    assert text not in project.refused(LOCAL)


def test_unknown_names_list_those_there_are(project: Project) -> None:
    with pytest.raises(
        UsageError, match=r"no environment 'prodution' \(did you mean production\?\); there are: local, production \(in .*environments\)"
    ):
        load_environment("prodution", project.root)
    with pytest.raises(UsageError, match="no release 'zzz'; there are: patient-history"):
        load_release("zzz", project.root)
    with pytest.raises(UsageError, match=r"no environment .local.yaml. .did you mean local"):
        load_environment("local.yaml", project.root)
    for file in project.path(LOCAL).parent.iterdir():
        file.unlink()
    with pytest.raises(UsageError, match="there are: none"):
        load_environment("local", project.root)


@pytest.mark.parametrize("name", ["../environments/local", "/etc/passwd", "", ".hidden", "a/b", "a\0b", "sbp_0123456789abcdef"])
def test_a_name_is_no_path(name: str, project: Project) -> None:
    with pytest.raises(UsageError, match="there are: local, production") as caught:
        load_environment(name, project.root)
    assert "0123456789abcdef" not in str(caught.value).replace(str(project.root), "")


@given(st.sampled_from(list(Limits.model_fields)), st.data())
def test_a_slip_of_the_finger_finds_its_key(key: str, data: st.DataObject) -> None:
    """One character left out, doubled or changed, or the case of the word: the key itself is the nearest, or one as near."""
    place = data.draw(st.integers(0, len(key) - 1))
    typed = data.draw(
        st.sampled_from(
            [key[:place] + key[place + 1 :], key[:place] + key[place] + key[place:], key[:place] + "q" + key[place + 1 :], key.upper()]
        )
    )
    found = nearest(typed, list(Limits.model_fields))
    assert found in Limits.model_fields
    assert found == key or sum(a != b for a, b in zip(found, key, strict=False)) <= 8


@given(st.text(max_size=12).filter(lambda text: not set(text.lower()) & set("abcdefghijklmnopqrstuvwxyz_0123456789")))
def test_what_is_like_no_key_finds_none(typed: str) -> None:
    assert nearest(typed, list(Limits.model_fields)) == ""


@given(
    st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.lists(st.text()), st.dictionaries(st.text(), st.text()))
)
def test_what_is_shown_is_short_and_plain(value: object) -> None:
    shown = shown_value(value)
    assert shown in ("", repr(value))
    assert not isinstance(value, str) or len(shown) <= 26
    assert shown_value(value, "access_token") == shown_value(value, "dsn") == ""


@pytest.mark.parametrize(
    "text", ["pk_appointments", "the password is elsewhere", "https://example.org/a@b", "soap_notes", "task-list-of-the-clinical-team", ""]
)
def test_what_is_no_credential(text: str) -> None:
    assert not is_secret(text)


def test_a_mistake_is_a_usage_error(project: Project) -> None:
    """Exit code 2, and a sentence instead of a traceback in a notebook."""
    project.change(LOCAL, "log_delay_s: 0", "log_delay_s: -1")
    with pytest.raises(UsageError) as caught:
        load_environment("local", project.root)
    assert isinstance(caught.value, ConfigError)
    assert caught.value._render_traceback_() == [f"ConfigError: {caught.value}"]
