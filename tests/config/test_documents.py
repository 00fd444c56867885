"""What YAML makes of a parameter file, and what it must not: dates, octals, Norway, tags, endless aliases."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_project import Project

from opsnb.config import load_environment
from opsnb.config.documents import MAX_VALUES

LOCAL, RELEASE = "environments/local", "releases/patient-history"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "expected keys and values at the top, found nothing"),
        ("# only a comment\n", "found nothing"),
        ("- a\n- b\n", "found a list"),
        ("text", "found a single value"),
        ("a: [1\n", "YAML: expected readable YAML"),
        ("a: b\n\tc: d\n", "YAML: expected readable YAML"),
        ("a: 1\n---\nb: 2\n", "expected readable YAML"),
        ("a: \x01\n", "a character in it that YAML does not allow"),
        ("a: !!int many\n", "leave tags such as !!int out"),
        ("a: !!python/object:os.system x\n", "YAML: expected readable YAML"),
        ("a: &a [*a]\n", "a value that does not hold itself"),
        ("? [a, b]\n: c\n", "YAML: expected readable YAML"),
        ("a: " + "[" * 3000, "nested too deeply"),
    ],
)
def test_what_is_no_parameter_file(text: str, expected: str, project: Project) -> None:
    project.path(LOCAL).write_text(text, encoding="utf-8")
    message = project.refused(LOCAL)
    assert message.startswith("parameters/environments/local.yaml")
    assert expected in message
    assert len(message.splitlines()) == 1


def test_aliases_that_multiply(project: Project) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    project.path(LOCAL).write_text("\n".join(lines), encoding="utf-8")
    assert f"at most {MAX_VALUES:,} values" in project.refused(LOCAL)


def test_files_that_cannot_be_read(project: Project) -> None:
    project.path(LOCAL).write_bytes("name: Zürich".encode("latin-1"))
    assert "expected text in UTF-8" in project.refused(LOCAL)
    project.path(LOCAL).write_bytes(b"\xef\xbb\xbf" + Path(__file__).parents[2].joinpath(f"parameters/{LOCAL}.yaml").read_bytes())
    assert load_environment("local", project.root).name == "local", "a byte-order mark is no mistake"


@pytest.mark.parametrize("word", ["no", "off", "yes", "on", "y", "NO", "012", "0x10", "1_000", "12:30:45", "2026-01-17", "1.2.3"])
def test_text_stays_text(word: str, project: Project) -> None:
    """Norway, octals, clock times and dates: what is no plain number and not true or false is text."""
    project.change(LOCAL, "region: eu-central-1", f"region: {word}")
    assert load_environment("local", project.root).region == word


@pytest.mark.parametrize("word", ["012", "0x10", "1_000", "no", "1:30", "2026-01-17"])
def test_text_is_no_number(word: str, project: Project) -> None:
    project.change(LOCAL, "log_delay_s: 0", f"log_delay_s: {word}")
    assert "expected a number" in project.refused(LOCAL)


@pytest.mark.parametrize(("word", "number"), [("7", 7), ("+7", 7), ("0.25", 0.25), (".5", 0.5), ("1e2", 100), ("5.", 5), ("1.5e1", 15)])
def test_numbers_are_numbers(word: str, number: float, project: Project) -> None:
    project.change(LOCAL, "log_delay_s: 0", f"log_delay_s: {word}")
    assert load_environment("local", project.root).log_delay_s == number


@pytest.mark.parametrize("word", ["yes", "on", "True", "1"])
def test_only_true_and_false_are_truth_values(word: str, project: Project) -> None:
    text = project.path(RELEASE).read_text(encoding="utf-8").replace("verify_jwt: true", f"verify_jwt: {word}")
    project.path(RELEASE).write_text(text, encoding="utf-8")
    message = project.refused(RELEASE)
    assert message.count("verify_jwt") == 4
    assert message.count("expected true or false") == 4
