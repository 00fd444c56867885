"""Every item of the runbook is here, in our own words, and finds its phase."""

from __future__ import annotations

import csv
import re
from difflib import SequenceMatcher
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsnb.errors import UsageError
from opsnb.runbook import ITEMS, NOTEBOOKS, PHASES, items_of, notebook_of, phase_named

REPOSITORY = Path(__file__).parents[1]
GIVEN = REPOSITORY.parent / "shared" / "runbook" / "items.csv"
given_items = pytest.mark.skipif(not GIVEN.is_file(), reason="the list of items is not beside this checkout")


@given_items
def test_the_items_are_those_given() -> None:
    """Ids in their order, with phase, kind and threshold."""
    with GIVEN.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["id"], row["phase"], row["kind"], row["threshold"]) for row in rows] == [
        (item.id, item.phase, item.kind, item.threshold) for item in ITEMS.values()
    ]


@given_items
def test_the_texts_are_our_own() -> None:
    """No text is copied, nor a copy with a word changed."""
    with GIVEN.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            theirs, ours = row["what must be shown"].lower(), ITEMS[row["id"]].text.lower()
            assert ours != theirs, row["id"]
            assert SequenceMatcher(None, ours, theirs).ratio() < 0.9, f"{row['id']}: {ours}"


def test_every_item_can_be_shown() -> None:
    """A sentence of its own, a known kind, and a reason exactly where nothing judges it."""
    assert len({item.text for item in ITEMS.values()}) == len(ITEMS)
    shown = {"check": "check", "act": "action", "journey": "journey", "attest": "attestation"}
    for key, item in ITEMS.items():
        assert key == item.id
        assert item.phase in PHASES
        assert item.shown_as == shown[item.kind]
        assert re.match(r"[A-Z\"'].*[^.]$", item.text), "a line of a list: a capital, no full stop"
        assert item.automated is not bool(item.why_not), item.id
        assert not item.why_not or item.why_not.endswith(".")


def test_everything_but_what_only_a_person_can_say_is_automated() -> None:
    """Every other line of the runbook ends in a check, an action or a journey."""
    assert {item.id for item in ITEMS.values() if not item.automated} == {item.id for item in ITEMS.values() if item.kind == "attest"}


def test_phases_and_notebooks() -> None:
    assert PHASES == (
        "checklist",
        "snapshot",
        "functions",
        "cleanup",
        "environment",
        "schema",
        "rls",
        "window",
        "verify",
        "monitor",
        "rollback",
        "signoff",
    )
    assert [notebook_of(phase) for phase in PHASES] == sorted(NOTEBOOKS.values())
    assert {path.stem for path in (REPOSITORY / "notebooks").glob("*.ipynb")} == set(NOTEBOOKS.values())
    assert [item for phase in PHASES for item in items_of(phase)] == sorted(ITEMS.values(), key=lambda item: PHASES.index(item.phase))
    assert all(items_of(phase) for phase in PHASES)
    assert items_of("nothing") == []


@pytest.mark.parametrize("phase", PHASES)
def test_a_phase_has_several_names(phase: str) -> None:
    notebook = notebook_of(phase)
    number = notebook[:2]
    for text in (phase, phase.upper(), f" {phase} ", number, str(int(number)), notebook, f"{notebook}.ipynb"):
        assert phase_named(text) == phase


@pytest.mark.parametrize(
    ("text", "near"),
    [("rsl", "rls"), ("shema", "schema"), ("sign-off", "signoff"), ("05_shema", "schema"), ("verfy", "verify"), ("monitoring", "monitor")],
)
def test_a_slip_names_the_nearest(text: str, near: str) -> None:
    with pytest.raises(UsageError, match=rf"no phase '{text}' \(did you mean {near}\?\); there are: checklist, .*signoff"):
        phase_named(text)


@given(st.text(max_size=20))
def test_any_other_text_is_refused(text: str) -> None:
    """Either a phase, or one message that lists them all."""
    try:
        assert phase_named(text) in PHASES
    except UsageError as error:
        assert all(phase in str(error) for phase in PHASES)


@pytest.mark.parametrize("text", ["", "12", "-1", "005", "99_rls"])
def test_what_is_no_phase(text: str) -> None:
    with pytest.raises(UsageError, match="no phase"):
        phase_named(text)
