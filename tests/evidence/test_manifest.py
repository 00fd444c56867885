"""The manifest of reviewed functions is written whole, read back, and refused in words where it is something else."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from opsnb.errors import UsageError
from opsnb.evidence import manifest

AT = datetime(2026, 11, 23, tzinfo=UTC)


def test_a_manifest_is_read_as_written(tmp_path: Path) -> None:
    said = {"a": {"version": 3, "verify_jwt": None, "source_sha256": "0" * 64, "files": {"a/index.ts": "1" * 64}}}
    place = manifest.write(tmp_path / "r.functions.json", said, release="r", environment="e", captured_at=AT)
    table = manifest.read(place)
    assert table["function"].tolist() == ["a"]
    assert table["source_sha256"].tolist() == ["0" * 64]
    assert table["verify_jwt"].isna().all()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "format: expected 1"),
        ('{"format": 2, "functions": {}}', "format: expected 1"),
        ('{"format": 1, "functions": {"a": {"source_sha256": "12"}}}', "functions.a.source_sha256: expected a SHA-256"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    place = tmp_path / "r.functions.json"
    place.write_text(text)
    with pytest.raises(UsageError, match=said) as caught:
        manifest.read(place)
    assert str(place) in str(caught.value)


def test_the_environments_own_manifest_comes_first(tmp_path: Path) -> None:
    assert manifest.find(tmp_path, "r", "e") is None
    general = manifest.write(manifest.path_of(tmp_path, "r"), {}, release="r", environment="x", captured_at=AT)
    assert manifest.find(tmp_path, "r", "e") == general
    own = manifest.write(manifest.path_of(tmp_path, "r", "e"), {}, release="r", environment="e", captured_at=AT)
    assert manifest.find(tmp_path, "r", "e") == own
    assert manifest.find(tmp_path, "r", "other") == general


def test_the_hash_is_of_names_and_contents_in_any_order() -> None:
    files = [("a", "1"), ("b", "2")]
    assert manifest.source_hash(files) == manifest.source_hash(reversed(files))
    assert len({manifest.source_hash(each) for each in (files, [("a", "2"), ("b", "1")], [("a1", ""), ("b", "2")], files[:1])}) == 4
