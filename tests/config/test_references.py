"""References: what is one, what it leads to, and that nothing shows the value."""

from __future__ import annotations

import copy
import pickle
import re
from pathlib import Path

import pytest
from config_project import Project
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr, ValidationError

from opsnb.config import Reference, load_environment, require_references, text_of
from opsnb.errors import ReferenceError_, UsageError

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,30}", fullmatch=True)
PATHS = st.from_regex(r"[A-Za-z0-9_.~/-]([A-Za-z0-9_. ~/-]{0,30}[A-Za-z0-9_.~/-])?", fullmatch=True)


@given(st.one_of(NAMES.map("env:{}".format), PATHS.map("file:{}".format)))
def test_what_is_a_reference(text: str) -> None:
    reference = Reference(text)
    assert str(reference) == text
    assert repr(reference) == f"Reference({text!r})"
    assert reference == Reference(text)
    assert len({reference, Reference(text)}) == 1


@given(st.text(max_size=60).filter(lambda text: not re.match(r"(env|file):", text)))
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="a reference, env:NAME or file:PATH") as caught:
        Reference(text)
    assert str(caught.value) == "a reference, env:NAME or file:PATH (a value itself never stands in a parameter file)"


@pytest.mark.parametrize(
    "text", ["env:", "file:", "env:1X", "env:A B", "env: X", "file: x", "file:x ", "file:a\nb", "file:a\0b", "ENV:X", 5, None]
)
def test_what_is_nearly_one(text: str) -> None:
    with pytest.raises(ValueError, match="a reference"):
        Reference(text)


@given(
    value=st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1, max_size=40).filter(lambda text: text.strip("\n"))
)
def test_a_file_loses_one_newline_and_nothing_else(value: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.getbasetemp()
    (root / "secret").write_bytes((value + "\n").encode())
    assert Reference("file:secret").text(root) == value


def test_resolving(project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPSNB_TEST_VALUE", "one two")
    value = Reference("env:OPSNB_TEST_VALUE").resolve()
    assert isinstance(value, SecretStr)
    assert value.get_secret_value() == "one two"
    (tmp_path / "absolute").write_text("three", encoding="utf-8")
    assert Reference(f"file:{tmp_path}/absolute").text(project.root) == "three"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Reference("file:~/absolute").text(project.root) == "three"
    (project.root / "relative").write_bytes(b"four\r\n")
    assert Reference("file:relative").text(project.root) == "four"
    monkeypatch.chdir(project.root)
    assert Reference("file:relative").text() == "four", "relative to the project, where no root is given"


def test_a_reference_that_leads_to_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every message names the reference and what to do; none shows what was found."""
    root = project.root
    monkeypatch.delenv("OPSNB_TEST_VALUE", raising=False)
    (root / "empty").write_text("\n", encoding="utf-8")
    (root / "binary").write_bytes(b"\xff\xfesecret")
    cases = {
        "env:OPSNB_TEST_VALUE": "env:OPSNB_TEST_VALUE: the environment variable OPSNB_TEST_VALUE is not set; set it",
        "file:missing": "file:missing: .* cannot be read .No such file.*; write the value there",
        "file:empty": "file:empty: .* is empty; write the value there",
        "file:binary": "file:binary: .* cannot be read .it is not text in UTF-8",
        "file:parameters": "file:parameters: .* cannot be read .Is a directory",
        "file:~nobody-of-that-name/x": "there is no such home folder",
    }
    for text, message in cases.items():
        with pytest.raises(ReferenceError_, match=message) as caught:
            Reference(text).resolve(root)
        assert "secret" not in str(caught.value)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
    monkeypatch.setenv("OPSNB_TEST_VALUE", "")
    with pytest.raises(ReferenceError_, match="is empty"):
        Reference("env:OPSNB_TEST_VALUE").resolve(root)


def test_copies() -> None:
    reference = Reference("env:OPSNB_TEST_VALUE")
    assert copy.deepcopy(reference) == pickle.loads(pickle.dumps(reference)) == reference


def test_in_a_model() -> None:
    class Door(BaseModel):
        dsn: Reference

    door = Door.model_validate({"dsn": "env:DSN"})
    assert door.model_dump_json() == '{"dsn":"env:DSN"}'
    with pytest.raises(ValidationError, match="a reference, env:NAME or file:PATH"):
        Door.model_validate({"dsn": 5})


def test_text_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSNB_TEST_VALUE", "referred to")
    assert text_of(Reference("env:OPSNB_TEST_VALUE")) == "referred to"
    assert text_of("plain") == "plain"


def test_all_missing_references_are_told_at_once(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """One message with every key; a reference used twice is told once. Contacts are asked for late, by their check."""
    environment = load_environment("production", project.root)
    for _, reference in environment.references():
        monkeypatch.delenv(str(reference).removeprefix("env:"), raising=False)
    with pytest.raises(UsageError) as caught:
        require_references(environment, project.root)
    message = str(caught.value)
    assert message.startswith("environment production: references that lead to nothing:\n  postgres.dsn: env:OPSNB_PRODUCTION_DSN:")
    assert "functions.caller_token, firebase.token: env:OPSNB_PRODUCTION_CALLER_TOKEN" in message
    assert "probe_values.patient_id: env:" in message
    assert "OPSNB_CONTACT" not in message
    assert "WRITE_DSN" not in message, "who only reads does not hold it"
    for _, reference in environment.references():
        if "WRITE" not in str(reference):
            monkeypatch.setenv(str(reference).removeprefix("env:"), "value")
    require_references(environment, project.root)


def test_a_local_target_that_never_ran(project: Project) -> None:
    with pytest.raises(UsageError, match=r"postgres.dsn: file:.opsnb/local/run/dsn(.|\n)*opsnb local up"):
        require_references(load_environment("local", project.root), project.root)
