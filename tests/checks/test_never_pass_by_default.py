"""There is no way to PASS by default: a property of every check in opsnb.verdicts.CHECKS, found by looking, not by a list.

A check whose `empty` sentence starts with ``PASS:`` declares that an empty table is the healthy answer; any other check must not pass
on one, and one whose sentence starts with another verdict must give exactly that verdict.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import types
import typing
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import opsnb.checks
from opsnb.errors import SourceDenied, SourceError, SourceNonsense, SourceTimeout
from opsnb.facts import Facts
from opsnb.verdicts import CHECKS, Check, Gate, Outcome, Verdict, gate

for module in pkgutil.iter_modules(opsnb.checks.__path__):
    importlib.import_module(f"opsnb.checks.{module.name}")

ALL_IDS = sorted(CHECKS)

EXPECTATIONS: dict[tuple[str, str], Any] = {
    ("schema.record_columns", "expected"): {"id": "uuid"},
    ("access.stranger", "today"): date(2026, 11, 23),
    ("access.no_excess", "today"): date(2026, 11, 23),
    ("access.no_excess", "select"): {"records": {"patient": "none"}},
    ("access.matrix", "select"): {"patient": "user_id = 1", "anon": "none"},
}
"""Where a value made from the annotation would not be a sensible expectation: (check, keyword) → value."""


MOMENT = pd.Timestamp("2026-01-01", tz="UTC")


def declared(check: Check) -> Verdict | None:
    """The verdict an empty first table has by the check's own sentence, where it names one."""
    word = check.empty.partition(":")[0]
    return Verdict(word) if word in set(Verdict) else None


def made(annotation: Any) -> Any:
    """A value of *annotation*, neutral: one name, a small number."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (types.UnionType, typing.Union):
        return made(next(part for part in arguments if part is not type(None)))
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return {made(arguments[0]): made(arguments[1])}
    if origin is tuple:
        return tuple(made(part) for part in arguments if part is not Ellipsis)
    if origin is not None and isinstance(origin, type):
        return origin([made(arguments[0])]) if origin in (set, frozenset, list) else [made(arguments[0])]
    simple = {str: "a", int: 1, float: 0.5, bool: True, Any: "a", pd.Timestamp: MOMENT, datetime: MOMENT}
    if annotation in simple:
        return simple[annotation]
    if inspect.isclass(annotation) and issubclass(annotation, pd.DataFrame):
        return pd.DataFrame()
    if getattr(annotation, "_is_protocol", False):
        properties = {name: value.fget for name, value in vars(annotation).items() if isinstance(value, property)}
        return types.SimpleNamespace(**{name: made(typing.get_type_hints(getter)["return"]) for name, getter in properties.items()})
    pytest.fail(f"no example of {annotation}: add one to EXPECTATIONS")


def expectations(check: Check) -> dict[str, Any]:
    """The keywords a check must be given."""
    hints = typing.get_type_hints(check.judge, localns={"datetime": datetime})
    made_for: dict[str, Any] = {}
    for name, parameter in inspect.signature(check.judge).parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty:
            made_for[name] = EXPECTATIONS[check.id, name] if (check.id, name) in EXPECTATIONS else made(hints[name])
    return made_for


def table_count(check: Check) -> int:
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(parameter.kind in positional for parameter in inspect.signature(check.judge).parameters.values())


def asked(check: Check, columns: dict[str, list[None]]) -> Outcome | Exception:
    try:
        return check.judge(*[pd.DataFrame(columns) for _ in range(table_count(check))], **expectations(check))
    except Exception as error:
        return error


def columns_of(check: Check) -> set[str]:
    """The columns a check reads, learnt from what it misses."""
    columns: set[str] = set()
    for _ in range(60):
        outcome = asked(check, {name: [None, None] for name in sorted(columns)} or {"_": [None, None]})
        if isinstance(outcome, SourceNonsense):
            found = re.findall(r"no column (\w+)", str(outcome))
        elif isinstance(outcome, KeyError):
            found = re.findall(r"'(\w+)'", str(outcome))
        elif isinstance(outcome, AttributeError):
            found = re.findall(r"has no attribute '(\w+)'", str(outcome))
        else:
            break
        if not set(found) - columns:
            break
        columns |= set(found)
    return columns


IDS = [id for id in ALL_IDS if table_count(CHECKS[id])]
WITHOUT_TABLES = sorted(set(ALL_IDS) - set(IDS))


@pytest.mark.parametrize("id", WITHOUT_TABLES)
def test_expectations_alone_never_pass_by_default(id: str) -> None:
    """A check that compares its expectations only does not pass when they are missing, one by one or all."""
    check = CHECKS[id]
    keywords = expectations(check)
    assert keywords
    for missing in [*([name] for name in keywords), list(keywords)]:
        assert check(**{**keywords, **dict.fromkeys(missing)}).verdict is not Verdict.PASS


@pytest.mark.parametrize("id", IDS)
def test_a_source_that_failed_is_error(id: str) -> None:
    """Facts with an error are ERROR, whatever the check, and the reason is in the summary."""
    check = CHECKS[id]
    for kind in (SourceError, SourceTimeout, SourceDenied, SourceNonsense):
        facts = [Facts("postgres", "select 1", 0.1, error=kind("did not answer")) for _ in range(table_count(check))]
        result = check(*facts, **expectations(check))
        assert result.verdict is Verdict.ERROR
        assert "did not answer" in result.summary


@pytest.mark.parametrize("id", IDS)
def test_one_failed_source_of_several_is_error(id: str) -> None:
    """A check of several tables is ERROR when the last one could not be had."""
    check = CHECKS[id]
    whole = [Facts("postgres", "select 1", 0.1, answer=pd.DataFrame()) for _ in range(table_count(check) - 1)]
    assert check(*whole, Facts("logs", "select 2", 0.1), **expectations(check)).verdict is Verdict.ERROR


@pytest.mark.parametrize("id", IDS)
def test_an_exception_is_error(id: str) -> None:
    """A table that is none makes a check raise, and that is ERROR without the exception's text."""
    check = CHECKS[id]

    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("Jane Doe")

    broken = [Broken() for _ in range(table_count(check))]
    result = check(*broken, **expectations(check))  # type: ignore[arg-type]
    assert result.verdict is Verdict.ERROR
    assert "Jane" not in result.summary


@pytest.mark.parametrize("id", IDS)
def test_empty_is_what_the_check_declares(id: str) -> None:
    """An empty table passes only where the check's sentence says so, and gives the verdict the sentence names."""
    check = CHECKS[id]
    result = check(*[pd.DataFrame() for _ in range(table_count(check))], **expectations(check))
    columns = columns_of(check)
    shaped = check(*[pd.DataFrame({name: [] for name in columns}) for _ in range(table_count(check))], **expectations(check))
    for verdict in (result.verdict, shaped.verdict):
        if declared(check) is not Verdict.PASS:
            assert verdict is not Verdict.PASS, f"{id} passes on nothing; its sentence: {check.empty}"
        if declared(check) not in (None, Verdict.PASS):  # PASS is allowed there, not required: it may need another table
            assert verdict is declared(check) or verdict is Verdict.ERROR, f"{id}: {verdict}; its sentence: {check.empty}"
    assert check.empty.strip()


@pytest.mark.parametrize("id", IDS)
def test_nulls_never_pass(id: str) -> None:
    """Rows without a value are no measurement."""
    check = CHECKS[id]
    columns = columns_of(check)
    assert columns, f"{id} reads no column"
    for dtype in (object, "float64", "Int64", "string", "boolean"):
        tables = [pd.DataFrame({name: pd.array([None] * 3, dtype=dtype) for name in sorted(columns)}) for _ in range(table_count(check))]
        result = check(*tables, **expectations(check))
        assert result.verdict is not Verdict.PASS, f"{id} passes on nulls of {dtype}: {result.summary}"


@pytest.mark.parametrize("id", ALL_IDS)
def test_a_check_is_finished(id: str) -> None:
    """Every check says what to do, documents its tables, and takes its expectations as keywords."""
    check = CHECKS[id]
    assert re.fullmatch(r"[a-z_]+\.[a-z_0-9]+", id)
    assert check.title
    assert check.fix.endswith(".")
    assert check.__doc__
    assert all(re.fullmatch(r"[A-Z0-9]+-[0-9.]+", item) for item in check.items)


def test_a_table_that_passes_is_not_ruled_out() -> None:
    """The property can fail: a check that passes on anything would be seen."""
    careless = Check("x.careless", "Careless", (), "Nothing.", "ERROR: nothing", lambda table: Outcome(Verdict.PASS, "fine"))
    assert careless(pd.DataFrame()).verdict is Verdict.PASS


@given(st.lists(st.sampled_from(Verdict)), st.integers(0, 3))
def test_gate_is_the_worst(verdicts: list[Verdict], open_attestations: int) -> None:
    """Any FAIL fails, else any ERROR is unmeasured, else anything open holds; nothing measured never passes."""
    joined = gate(verdicts, open_attestations=open_attestations)
    assert (joined is Gate.FAILED) == (Verdict.FAIL in verdicts)
    if joined is Gate.PASSED:
        assert verdicts
        assert not open_attestations
        assert set(verdicts) <= {Verdict.PASS, Verdict.WARN, Verdict.NOT_APPLICABLE}
    assert joined is gate(reversed(verdicts), open_attestations=open_attestations), "the order does not matter"


_SEVERITY = [Gate.PASSED, Gate.HELD, Gate.UNMEASURED, Gate.FAILED]


@given(st.lists(st.sampled_from(Verdict), min_size=1), st.sampled_from(Verdict))
def test_gate_never_improves_by_a_result(verdicts: list[Verdict], more: Verdict) -> None:
    """Another result may worsen a gate, never mend it."""
    assert _SEVERITY.index(gate([*verdicts, more])) >= _SEVERITY.index(gate(verdicts))
