"""What is shown says the verdict in words, and no text becomes markup."""

from __future__ import annotations

from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import evidence_sample as sample
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsnb.errors import SourceTimeout
from opsnb.evidence import cells, display, tables
from opsnb.evidence.safe import json_in_html, printable
from opsnb.facts import Facts
from opsnb.verdicts import CheckResult, PhaseReport, Verdict


class _Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not any(name.startswith("on") or name in ("style", "src") for name, _ in attrs)
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("judged", sample.results(), ids=lambda judged: judged.id)
def test_a_card_says_everything(judged: CheckResult) -> None:
    shown = display.result_card(judged)
    parsed = _Tags(shown.html)
    assert parsed.open == []
    for said in (str(judged.verdict).replace("_", " "), judged.id, judged.title, printable(judged.summary), *judged.items):
        assert said in parsed.text
    assert ("What to do:" in parsed.text) == (judged.verdict not in (Verdict.PASS, Verdict.NOT_APPLICABLE))
    assert printable(judged.summary) in shown.text and judged.id in str(shown)
    assert set(shown._repr_mimebundle_()) == {"text/html", "text/plain"}


hostile = st.one_of(st.text(), st.sampled_from([sample.HOSTILE, '" onmouseover="x()', "&lt;b&gt;", "\x00\x1b[31m\u202eevil", "]]>", "-->"]))


@given(hostile, hostile, hostile)
def test_no_text_becomes_markup(name: str, said: str, value: str) -> None:
    table = pd.DataFrame({name: [value, None]})
    judged = CheckResult(name or "x", said, (said,), Verdict.FAIL, value, said, table, question=said, measured=value)
    facts = [Facts(said, value, 0.1, answer=judged.table), Facts(said, value, 0.1, error=SourceTimeout(value))]
    gate = display.gate_html(PhaseReport("p", (judged,), (said,)))
    shown = [display.result_card(judged), gate, display.Note(said), *map(display.facts_html, facts)]
    allowed = {"div", "p", "span", "strong", "code", "details", "summary", "pre", "table", "thead", "tbody", "tr", "th", "td", "a", "br"}
    for each in shown:
        parsed = _Tags(each.html)
        assert set(parsed.tags) <= allowed and parsed.open == []
        assert cells._OURS.match(each._repr_html_()), "the reports would not let it through"
        assert _Tags(cells.own_html(each._repr_html_())).open == []


@given(hostile, st.one_of(st.none(), hostile), st.one_of(st.none(), hostile))
def test_no_name_of_a_difference_becomes_markup(name: str, was: str | None, is_: str | None) -> None:
    table = pd.DataFrame({"severity": [name, "error"], "tree": [f"└─ {name}", "x"], "was": [was, "a"], "is": [is_, None], name or "n": 1})
    shown = display.facts_html(Facts("s", "q", 0.1, answer=table))
    allowed = {"div", "p", "span", "code", "details", "summary", "pre", "table", "thead", "tbody", "tr", "th", "td", "del", "ins"}
    parsed = _Tags(shown.html)
    assert set(parsed.tags) <= allowed and parsed.open == []
    cleaned = _Tags(cells.own_html(shown._repr_html_()))
    assert cleaned.open == [] and cleaned.tags == parsed.tags, "the reports let a difference through as it is"
    display.table_text(table)


words = st.lists(st.sampled_from(("a", "b", " ", "(", "user_id", "=", "true", "'x'", "😀")), max_size=30).map("".join)


@given(words, words)
def test_a_difference_tells_both_sides(was: str, is_: str) -> None:
    """Nothing is lost but the middle of what both have; what is marked as common is in both."""
    one, other = tables.difference(was, is_)
    for parts, whole in ((one, was), (other, is_)):
        shown = "".join(text for text, _ in parts)
        assert shown == whole or " … " in shown
        assert all(part for part, _ in parts)
    common = [[text for text, same in parts if same] for parts in (one, other)]
    if " … " not in "".join(common[0] + common[1]):
        assert "".join(common[0]) == "".join(common[1])
    if was == is_:
        assert all(same for _, same in one + other)


def test_a_difference_is_shown_by_sign_and_line() -> None:
    table = pd.DataFrame(
        [
            ("error", "public.profiles", "(user_id = auth.uid())", "(user_id = auth.uid() OR true)"),
            ("warning", "<b>", "not null", None),
            ("note", "c", float("nan"), "added"),
            ("note", "d", None, None),
        ],
        columns=["severity", "object", "was", "is"],
    )
    html = display.table_html(table)
    assert ">was<" not in html and ">is<" not in html and "&lt;b&gt;" in html
    assert '<span class="opsnb-sign">−</span><code>(user_id = auth.uid())</code>' in html
    assert "(user_id = auth.uid()<ins> OR true</ins>)" in html
    assert "<del>not null</del>" in html and html.count("<del>") == 1 and "<ins>added</ins>" in html
    assert '<span class="opsnb-chip opsnb-fail">✕ error</span>' in html and "▲ warning" in html and "· note" in html
    assert html.count("<tbody>") == 4 and html.count('colspan="2"') == 3
    assert [line.strip() for line in display.table_text(table).splitlines()[1:]] == [
        "error     public.profiles", "− (user_id = auth.uid())", "+ (user_id = auth.uid() OR true)", "warning   <b>", "− not null",
        "note      c", "+ added", "note      d",
    ]  # fmt: skip
    cut = display.table_html(pd.concat([table] * 20), most=50)
    assert "… 30 more" in cut and cut.count("<tbody>") == 50
    assert "No rows." in display.table_html(table.head(0))


def test_a_long_difference_keeps_what_is_around_it() -> None:
    """The middle of what both have is left out; also where only one side has a word, its neighbours stay on both."""
    body = "begin " + "perform pg_catalog.now(); " * 40 + "end"
    one, other = tables.difference(f"set search_path to '' as {body}", f"set search_path to 'public' as {body}")
    assert "".join(text for text, _ in one).startswith("set search_path to '' as begin")
    assert ("public", False) in other and sum(len(text) for text, _ in other) < 150
    far = tables.difference(" ".join(f"a{n}" for n in range(5000)), " ".join(f"b{n}" for n in range(5000)))
    assert all(sum(len(text) for text, _ in side) <= tables.SIDE_SHOWN + 1 for side in far)


def test_a_tree_keeps_its_spaces() -> None:
    table = pd.DataFrame({"tree": ["public.users", "│  └─ public.notes"], "rows": [1, 2]})
    html = display.table_html(table)
    assert '<table class="opsnb-branches">' in html and '<td class="opsnb-tree">│  └─ public.notes</td>' in html
    cleaned = cells.own_html(display.facts_html(Facts("s", "q", 0.1, answer=table)).html)
    assert '<td class="opsnb-tree">│  └─ public.notes</td>' in cleaned
    assert "│  └─ public.notes  2" in display.table_text(table)


@given(st.recursive(hostile, lambda inner: st.lists(inner) | st.dictionaries(hostile, inner)))
def test_json_cannot_end_its_element(value: object) -> None:
    text = json_in_html(value)
    assert not set("<>&\u2028\u2029") & set(text)


def test_a_long_table_says_how_much_more_there_is() -> None:
    html = display.table_html(pd.DataFrame({"n": range(42)}))
    assert html.count("<tr>") == 31
    assert "… 12 more" in html
    assert "No rows." in display.table_html(pd.DataFrame({"n": []}))
    assert "empty table" in display.table_html(pd.DataFrame())


@pytest.mark.parametrize(
    ("value", "column", "text"),
    [
        (None, "", "–"), (float("nan"), "", "–"), (pd.NaT, "", "–"), (pd.NA, "", "–"), (True, "", "yes"), (np.bool_(False), "", "no"),
        (1234567, "", "1,234,567"), (np.int64(5), "", "5"), (0.012345, "", "0.0123"), (1234.56, "", "1,235"), (2.0, "", "2"),
        (123456789, "size_bytes", "123 MB"), (5_500_000_000, "bytes", "5.5 GB"), (12, "bytes", "12 B"), (999_999, "bytes", "1,000 kB"),
        (pd.Timestamp("2026-01-01T10:00:00+02:00"), "", "2026-01-01 08:00:00Z"), (["a", "b"], "", "a, b"), ("x" * 301, "", "x" * 300 + "…"),
    ],
)  # fmt: skip
def test_values_are_written_for_people(value: object, column: str, text: str) -> None:
    assert display.value_text(value, column=column) == text


def test_facts_without_an_answer_say_so_in_words() -> None:
    shown = display.facts_html(Facts("Postgres", "select 1", 1.0, error=SourceTimeout("It did not answer within 2 s.")))
    assert "could not be asked" in shown.html and "did not answer within 2 s" in shown.text
    assert "Traceback" not in shown.html


def test_the_gate_lists_the_worst_first() -> None:
    judged = PhaseReport("schema", tuple(sample.results()), ("PRE-1.1",))
    shown = display.gate_html(judged, seconds=130.0, guide_minutes=5.0, folder=Path("/x/a/b/c/d"))
    places = [shown.text.index(word) for word in ("FAIL ", "ERROR ", "INCONCLUSIVE ", "WARN ", "PASS ", "NOT APPLICABLE ", "PRE-1.1")]
    assert places == sorted(places)
    assert "It took 2.2 min; the guide allows 5 min." in shown.html
    assert "/x/" not in shown.html


def test_the_header_names_the_run() -> None:
    phase = SimpleNamespace(
        name="schema", apply=False, environment=SimpleNamespace(name="local"), deployment=SimpleNamespace(id="D1"),
        release=SimpleNamespace(name="r", title="The Release", guide_minutes={"schema": 5.0}),
    )  # fmt: skip
    bundle = display.phase_header(phase, server_version="PostgreSQL 18.1")
    for said in ("local", "The Release", "D1", "5 min", "Server version", "PostgreSQL 18.1", str(datetime.now(UTC).year)):
        assert said in bundle["text/html"] and said in bundle["text/plain"]


def test_a_terminal_gets_text(capsys: pytest.CaptureFixture[str]) -> None:
    display.register_formatters()
    display.show(PhaseReport("schema", tuple(sample.results())))
    assert "✕ schema: failed." in capsys.readouterr().out


def test_a_notebook_shows_results_facts_and_lists() -> None:
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    try:
        display.register_formatters()
        judged = sample.results()
        show = shell.display_formatter.format
        assert 'id="check-schema-tables-present"' in show(judged[0])[0]["text/html"]
        assert "check-pool-used" in show(judged)[0]["text/html"]
        assert "text/html" not in show([1, 2])[0] and show([1, 2])[0]["text/plain"] == "[1, 2]"
        assert "<table>" in show(Facts("s", "q", 0.1, answer=pd.DataFrame({"a": [1]})))[0]["text/html"]
        assert show(PhaseReport("schema", tuple(judged)))[0] == {"text/plain": "schema: failed"}
    finally:
        InteractiveShell.clear_instance()
