"""Functions are kept whole before they are replaced, and nothing that was changed since is deployed again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import Ended

from opsnb.actions import functions_archive
from opsnb.errors import ActionRefused, SourceError
from opsnb.evidence import deployments

pytestmark = pytest.mark.target


@pytest.fixture(scope="module")
def place(target: Path, opsnb: Callable[..., Ended]) -> Path:
    ended = opsnb("functions", "archive", "local")
    assert ended.code == 0, ended
    deployment = deployments.named(target / "reports", "local")
    return next(deployment.folder.glob("archives/2*"))


def test_every_function_is_kept_whole(target: Path, place: Path) -> None:
    said = json.loads((place / "manifest.json").read_text())
    assert set(said["functions"]) >= {"get-patient-history", "update-patient-medical-record"}
    for slug, about in said["functions"].items():
        source = functions_archive.read(place, slug)
        assert source.entrypoint in source.files and source.files
        assert source.version == about["version"]
        assert about["bundle_sha256"]
    table = functions_archive.archived(target / "reports", "local").table
    assert bool(table["whole"].all()) and set(table["slug"]) == set(said["functions"])
    assert [path.name for path in place.parent.iterdir()] == [place.name]  # nothing half-made beside it


def test_a_changed_or_missing_file_is_refused_by_name(target: Path, place: Path) -> None:
    said = json.loads((place / "manifest.json").read_text())
    slug, about = next(iter(said["functions"].items()))
    path = place / about["folder"] / "source" / next(iter(about["files"]))
    content = path.read_bytes()
    path.write_bytes(content + b" ")
    with pytest.raises(ActionRefused, match="is not the file that was archived"):
        functions_archive.read(place, slug)
    table = functions_archive.archived(target / "reports", "local").table.set_index("slug")
    assert not table.loc[slug, "whole"]
    path.unlink()
    with pytest.raises(ActionRefused, match="is missing"):
        functions_archive.read(place, slug)
    path.write_bytes(content)
    assert functions_archive.read(place, slug).files
    with pytest.raises(ActionRefused, match="holds no function"):
        functions_archive.read(place, "never-was")


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "a/../../b", "", "a\0b"])
def test_paths_cannot_leave_the_archive(path: str) -> None:
    with pytest.raises(SourceError, match="leaves its folder"):
        functions_archive._safe(path, "slug")
