"""Names of people are found however they are written, and nothing else is taken for one."""

from __future__ import annotations

import html
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsnb.evidence import leaks
from opsnb.evidence.people import People

KNOWN = (
    "Anna Ek",
    "Zoë van den Berg",
    "Conor O'Brien",
    "MRN-004711",
    "+46 70 174 06 05",
    "anna.ek@example.org",
    "Jörg Müller-Lüdenscheidt",
)
WRITTEN = [
    "Anna Ek", "ANNA EK", "Ek, Anna", "anna  ek", "anna.ek", "“Anna Ek”:", "zoë van den berg", "Berg, Zoë van den", "Conor O&#39;Brien",
    "Conor O’Brien", "mrn-004711", "MRN 004711", "+46 (70) 174-06-05", "anna.ek@example.org", "Jörg&nbsp;Müller-Lüdenscheidt",
]  # fmt: skip
NOBODY = [
    "Anna", "Ek", "annaek", "Anna. The next word is Ek", "<b>Anna</b><i>Ek</i>", "Anna, Bo, Ek", "MRN-0047119", "mrn 4711",
    "46, 70, 174, 06, 05", "461701740605", "bo.ek@example.org", "Ekanna", "JoannaEk", "the berg", "brien", "",
]  # fmt: skip


@pytest.mark.parametrize("text", WRITTEN)
def test_however_it_is_written(text: str) -> None:
    known = People(KNOWN)
    assert known.found(f"Error: no visit of {text} (line 4)")
    cleaned = known.cleaned(f"Error: no visit of {text} (line 4)", "[x]")
    assert "[x]" in cleaned and cleaned.startswith("Error: no visit of ") and cleaned.endswith("(line 4)") and not known.found(cleaned)


@pytest.mark.parametrize("text", NOBODY)
def test_nobody(text: str) -> None:
    assert not People(KNOWN).found(text) and People(KNOWN).cleaned(text, "[x]") == text


@pytest.mark.parametrize("value", ["Anna", "May", "42", "2026-01-17", "A B", "", " ", "yes no", "é"])
def test_what_says_nothing_of_anybody_is_not_looked_for(value: str) -> None:
    assert len(People([value])) == (1 if value == "2026-01-17" else 0)  # eight digits may be an identifier


def test_whoever_is_called_like_a_heading() -> None:
    """A person with the name of something on every page would take it out of every page."""
    known = People(["Patient History", "Anna Ek"], but="<h1>Patient history: functions</h1>")
    assert len(known) == 1 and not known.found("Patient History") and known.found("Anna Ek")


def test_nothing_of_it_is_shown() -> None:
    assert repr(People(KNOWN)) == f"People({len(KNOWN)} known)" and "Anna" not in str(vars(leaks.Secrets({}, known=People(["Anna Ek"]))))


words = st.text(st.characters(categories=["Ll", "Lu"], max_codepoint=0x17F, exclude_characters="ßİıŉſǰ"), min_size=3, max_size=12)


@given(st.lists(words, min_size=2, max_size=4), st.text(max_size=40), st.text(max_size=40))
def test_any_name_in_any_text(name: list[str], before: str, behind: str) -> None:
    """Found in any case, escaped for a page, with any space between its words; and gone once cleaned."""
    value = " ".join(name)
    known = People([value])
    for text in (value, value.upper(), value.lower(), html.escape(value), value.replace(" ", "\t"), value.replace(" ", "\u00a0")):
        whole = f"{before} {text} {behind}"
        assert known.found(whole)
        assert not known.found(known.cleaned(whole, "[x]"))


@given(st.text(max_size=300))
def test_nothing_known_changes_nothing(text: str) -> None:
    assert People().cleaned(text, "[x]") == text and not People().found(text)


def test_in_files(tmp_path: Path) -> None:
    """Named by kind, never by value; taken out of JSON, tables' texts and pages."""
    secrets = leaks.Secrets({}, known=People(KNOWN))
    (tmp_path / "a.json").write_text(json.dumps({"log": "no visit of Zoë van den Berg"}))
    (tmp_path / "b.html").write_text("<p>no visit of Anna Ek</p>")
    (tmp_path / "c.txt").write_text("nothing")
    found = leaks.clean_folder(tmp_path, secrets)
    assert [(leak.place, leak.what, leak.kind) for leak in found] == [
        ("a.json", leaks.SOMEBODY, "known"),
        ("b.html", leaks.SOMEBODY, "known"),
    ]
    assert not leaks.scan_folder(tmp_path, secrets)
    assert json.loads((tmp_path / "a.json").read_text()) == {"log": "no visit of [taken out: somebody in the database]"}
