"""The baseline file: what is written is read again to the letter, and a file that was touched says where."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsnb.errors import SourceDenied, UsageError
from opsnb.evidence import baseline
from opsnb.facts import Facts

AT = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
ROWS = [
    ("server", "PostgreSQL", '{"version": "18.1", "number": 180001, "schemas": "all", "not_read": {}}'),
    ("policy", 'clinic."a, ""is"" b": x', '{"using": "(a = \'{\\"is\\": 1}\'::jsonb)"}'),
    ("table", "clinic.notes", '{"owner": "postgres", "rls": true}'),
    ("view", "clinic.“quoted”\u2028line", '{"definition": " SELECT 1\\n   FROM x"}'),
]


def facts(rows: list[tuple[str, str, str]]) -> Facts:
    return Facts("postgres", "select", 0.1, answer=pd.DataFrame(rows, columns=list(baseline.COLUMNS), dtype="str"))


def written(path: Path, rows: list[tuple[str, str, str]] = ROWS) -> Path:
    return baseline.write(path, facts(rows), environment="production", release="r", captured_at=AT, server_version="18.1")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "deep" / "r.baseline.jsonl")
    lines = path.read_text(encoding="utf-8").split("\n")
    assert len(lines) == len(ROWS) + 2
    assert all(json.loads(line) for line in lines[:-1])
    assert json.loads(lines[3]) == {"object": "clinic.notes", "kind": "table", "is": {"owner": "postgres", "rls": True}}
    read = baseline.read(path)
    assert [tuple(row) for row in read.table.itertuples(index=False)] == ROWS
    assert read.extra["environment"] == "production"
    assert read.extra["captured_at"] == "2026-11-20T10:00:00Z"
    assert read.extra["server_version"] == "18.1"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [each.name for each in path.parent.iterdir()] == [path.name], "nothing temporary is left"


@given(st.lists(st.tuples(st.sampled_from(["table", "policy"]), st.text(), st.text()), min_size=1))
def test_any_name_and_text_comes_back(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]]) -> None:
    rows = [(kind, name, json.dumps({"using": text}, ensure_ascii=False)) for kind, name, text in rows]
    if any("\ud800" <= letter <= "\udfff" for row in rows for text in row for letter in text):
        return  # no text of a database in UTF-8
    path = written(tmp_path_factory.getbasetemp() / "any.jsonl", rows)
    read = [tuple(row) for row in baseline.read(path).table.itertuples(index=False)]
    assert sorted(read) == sorted(rows)
    assert [name for _, name, _ in read] == sorted(name for _, name, _ in rows)


@pytest.mark.parametrize(
    ("damage", "line", "says"),
    [
        (lambda text: text[: len(text) // 2], None, "expected a JSON object"),
        (lambda text: "\n".join(text.split("\n")[:-2]) + "\n", 1, "sha256: expected that of the 4 lines that were captured; 3 follow"),
        (lambda text: text.replace('"rls": true', '"rls": false'), 1, "sha256: expected"),
        (lambda text: text.replace('"kind": "table"', '"kind": 1'), 4, "expected an object of the catalogue: object, kind, is"),
        (lambda text: text.replace('"is": {"owner"', '"is" {"owner"'), 4, "expected a JSON object"),
        (lambda text: text.replace('"format": 1', '"format": 2'), 1, "format: expected 1"),
        (lambda text: text + "<<<<<<< HEAD\n", 6, "expected a JSON object"),
        (lambda text: "", 1, "expected a JSON object"),
        (lambda text: "[]\n", 1, "expected a JSON object"),
        (lambda text: text.replace("\n", "\r\n"), 1, "sha256"),
    ],
)
def test_a_damaged_file_says_where(tmp_path: Path, damage: object, line: int | None, says: str) -> None:
    path = written(tmp_path / "r.jsonl")
    path.write_bytes(damage(path.read_bytes().decode()).encode())  # type: ignore[operator]
    with pytest.raises(UsageError) as raised:
        baseline.read(path)
    assert says in str(raised.value)
    assert str(raised.value).startswith(f"{path}:{line}" if line else f"{path}:")
    assert "opsnb schema capture ENV" in str(raised.value)


def test_no_file_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        baseline.read(tmp_path / "none.jsonl")
    (tmp_path / "binary.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="expected UTF-8"):
        baseline.read(tmp_path / "binary.jsonl")


def test_nothing_is_written_of_nothing(tmp_path: Path) -> None:
    """Neither of an answer that never came, nor of an empty one; what was there stays."""
    path = written(tmp_path / "r.jsonl")
    before = path.read_bytes()
    with pytest.raises(SourceDenied):
        denied = Facts("postgres", "select", 0.1, error=SourceDenied("no"))
        baseline.write(path, denied, environment="e", release="r", captured_at=AT, server_version="18")
    with pytest.raises(UsageError, match="no object"):
        written(path, [])
    assert path.read_bytes() == before


def test_an_environment_may_have_its_own(tmp_path: Path) -> None:
    assert baseline.find(tmp_path, "r", "production") is None
    common = written(baseline.path_of(tmp_path, "r"))
    assert common == tmp_path / "parameters" / "releases" / "r.baseline.jsonl"
    assert baseline.find(tmp_path, "r", "production") == common
    own = written(baseline.path_of(tmp_path, "r", "production"))
    assert baseline.find(tmp_path, "r", "production") == own
    assert baseline.find(tmp_path, "r", "local") == common
