"""Secrets in what is archived: every value, in every usual disguise, in every kind of file is found and taken out; what is none stays."""

from __future__ import annotations

import base64
import html
import itertools
import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsnb.evidence import leaks
from opsnb.evidence.leaks import Secrets

VALUES = {
    "postgres.dsn": "postgresql://opsnb_reader:pa$$ w0rd/&<x>'\"@db.example.org:5432/postgres?sslmode=require",
    "postgres.dsn, its password": "pa$$ w0rd/&<x>'\"",
    "platform.access_token": "sbp_0123456789abcdef0123456789abcdef01234567",
    "functions.anon_key": "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiIsInJlZiI6ImFiYyJ9.c2lnbmF0dXJlLW9mLXRoZS1rZXk",
    "notify": "mailto://user:geheim-ähnlich@example.org?to=x",
    "encryption.identity": "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ",
}
SECRETS = Secrets(VALUES)

DISGUISES: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in quotes": lambda value: f"'{value}'",
    "URL": lambda value: quote(value, safe=""),
    "form": quote_plus,
    "JSON": json.dumps,
    "JSON in JSON": lambda value: json.dumps(json.dumps({"a": value})),
    "HTML": html.escape,
    "representation": repr,
    "hex": lambda value: value.encode().hex(),
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "base64, behind something": lambda value: base64.b64encode(b"user:" + value.encode() + b"\n").decode(),
    "base64 of URLs": lambda value: base64.urlsafe_b64encode(b"x" + value.encode()).decode(),
    "split over lines": lambda value: "\n".join(textwrap.wrap(value, 17, break_on_hyphens=False, drop_whitespace=False)),
    "backwards": lambda value: value[::-1],
}  # fmt: skip


def as_text(folder: Path, text: str) -> None:
    (folder / "report.html").write_text(f"<p>before</p>{text}<p>after</p>")


def as_notebook(folder: Path, text: str) -> None:
    outputs = [{"output_type": "stream", "name": "stdout", "text": text.splitlines(keepends=True)}]
    error = {"output_type": "error", "ename": "E", "evalue": text, "traceback": [f"\x1b[31m{text}\x1b[0m"]}
    cell = {"cell_type": "code", "source": ["x = 1"], "outputs": [*outputs, error], "metadata": {"said": text}}
    (folder / "notebook.ipynb").write_text(json.dumps({"cells": [cell], "metadata": {"papermill": {"parameters": {"a": text}}}}))


def as_table(folder: Path, text: str) -> None:
    pd.DataFrame({"n": [1, 2], "text": ["sound", text]}).to_parquet(folder / "table.parquet")


def as_journal(folder: Path, text: str) -> None:
    (folder / "journal.jsonl").write_text(json.dumps({"event": "cell_end", "text": text}) + "\n")


PLACES = {"page": as_text, "notebook": as_notebook, "table": as_table, "journal": as_journal}


@pytest.mark.parametrize(("name", "disguise", "place"), list(itertools.product(VALUES, DISGUISES, PLACES)))
def test_the_corpus(tmp_path: Path, name: str, disguise: str, place: str) -> None:
    """Found, named, taken out, and nothing of it is found a second time."""
    hidden = DISGUISES[disguise](VALUES[name])
    PLACES[place](tmp_path, f"it is {hidden} here")
    found = leaks.clean_folder(tmp_path, SECRETS)
    assert found, f"{name} {disguise} in a {place} was not found"
    assert VALUES[name] not in "".join(leak.sentence for leak in found)
    assert not leaks.scan_folder(tmp_path, SECRETS)
    (file,) = tmp_path.iterdir()
    left = leaks._text(file)
    assert hidden not in left and VALUES[name] not in left and "taken out" in left
    if file.suffix == ".ipynb":
        json.loads(file.read_text())


@pytest.mark.parametrize(
    "text",
    [
        "AKIAIOSFODNN7EXAMPLE", "sb_secret_abcdefghijklmnopqrstuvwxyz", "postgres://someone:hidden@h/x", "https://a:bcd@example.org/",
        "jane.doe@mail.example.org", "+49 151 2345 6789", "(415) 555-0132", "415-555-0132", "078-05-1120", '"date_of_birth": "1980-02-29"',
        "born on 29.2.1980", "DOB: 02/29/1980", "birthdate=1980-02-29",
        "-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----", "sbp_ffffffffffffffffffffffffffffffffffffffff",
    ],
)  # fmt: skip
def test_what_has_the_shape_of_a_secret_needs_no_value(text: str) -> None:
    nothing_known = Secrets({})
    assert list(nothing_known.found(text))
    cleaned = nothing_known.cleaned(f"a {text} b")
    assert "taken out" in cleaned and not list(nothing_known.found(cleaned))


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://opsnb_reader@db.example.org/x", "5 of 5 tables", "https://example.org/a?b=c@d", "sha256 " + "ab" * 32, "eyJ", "",
        "select * from t where a = 'b'", "mailto://example.org", "plotly@2.35", "12:30:15 to 13:30:15", "2026-11-23T20:30:00+00:00",
        "M120 150 2000 1000", "+12.5 ms", "5e000000-0000-4000-8000-000000000001", "reborn 2026-01-01x", "1,000,000 rows", "+55232",
    ],
)  # fmt: skip
def test_what_is_none_is_left_alone(tmp_path: Path, text: str) -> None:
    as_text(tmp_path, text)
    before = (tmp_path / "report.html").read_bytes()
    assert not leaks.clean_folder(tmp_path, SECRETS)
    assert (tmp_path / "report.html").read_bytes() == before


def test_short_values_are_no_secrets() -> None:
    """They stand in too many words to be taken out."""
    assert Secrets({"a": "abc"}).cleaned("abcdef") == "abcdef"


@given(st.text(min_size=12, max_size=60), st.text(max_size=40), st.text(max_size=40))
def test_any_value_is_taken_out_of_any_text(value: str, before: str, behind: str) -> None:
    secrets = Secrets({"it": value})
    assert value not in secrets.cleaned(before + value + behind) or value in leaks.mark("it")


@pytest.mark.parametrize(
    ("dsn", "password"),
    [
        ("postgresql://u:s%40fe%2Fword@h/x", "s@fe/word"),
        ("host=h user=u password='it''s' dbname=x", "it"),
        ("host=h password=plain-word user=u", "plain-word"),
        ("postgresql://u@h/x", ""),
        ("host=h", ""),
    ],
)
def test_the_password_of_a_connection_string_is_one_by_itself(dsn: str, password: str) -> None:
    assert leaks._password(dsn) == password
