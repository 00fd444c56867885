"""The record of statements: append-only, chained, whole after any kill, and every change of it is seen."""

from __future__ import annotations

import multiprocessing
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from opsnb.evidence import ledger
from opsnb.evidence.ledger import RecordDamaged

NOW = datetime(2026, 1, 17, 22, 4, 5, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "20260117T220405Z-r"
    made.mkdir()
    return made


def said(folder: Path, number: int = 3) -> bytes:
    for index in range(number):
        ledger.append(folder, "attest", {"about": f"PRE-1.{index}", "by": "Åsa ‮ <b>", "n": index}, now=NOW)
    return ledger.path_of(folder).read_bytes()


def test_what_was_added_is_read_in_order(folder: Path) -> None:
    assert ledger.read(folder) == []
    said(folder)
    entries = ledger.read(folder)
    assert [(entry.number, entry.data["n"], entry.at) for entry in entries] == [(n + 1, n, "2026-01-17T22:04:05Z") for n in range(3)]
    assert [entry.previous for entry in entries] == [ledger.genesis(folder.name), entries[0].digest, entries[1].digest]
    assert ledger.head(folder) == entries[-1].digest


def test_every_change_is_seen(folder: Path) -> None:
    """Single bytes changed, removed, put in; lines removed from the middle, moved, doubled: 600 of 600."""
    whole = said(folder, 4)
    lines = whole.splitlines(keepends=True)
    dice = random.Random(7)
    spoilt = [
        lines[1:],
        [*lines[:1], *lines[2:]],
        [lines[1], lines[0], *lines[2:]],
        [*lines, lines[-1]],
        [*lines[:2], lines[0], *lines[2:]],
    ]
    variants = [b"".join(each) for each in spoilt]
    while len(variants) < 600:
        at = dice.randrange(len(whole) - 1)
        kind = dice.choice(["change", "remove", "insert"])
        byte = bytes([dice.choice([value for value in range(256) if value != whole[at]])])
        variants.append(whole[:at] + {"change": byte, "remove": b"", "insert": byte + whole[at : at + 1]}[kind] + whole[at + 1 :])
    for variant in variants:
        ledger.path_of(folder).write_bytes(variant)
        with pytest.raises(RecordDamaged, match="line"):
            ledger.read(folder)
    ledger.path_of(folder).write_bytes(whole)
    assert len(ledger.read(folder)) == 4


def test_a_record_of_another_deployment_does_not_continue_this_one(folder: Path, tmp_path: Path) -> None:
    whole = said(folder)
    other = tmp_path / "20260117T220405Z-other"
    other.mkdir()
    ledger.path_of(other).write_bytes(whole)
    with pytest.raises(RecordDamaged, match="belongs to another deployment"):
        ledger.read(other)
    with pytest.raises(RecordDamaged):
        ledger.append(other, "attest", {}, now=NOW)
    assert ledger.path_of(other).read_bytes() == whole  # nothing is added to what was changed
    assert len(ledger.read(other, name=folder.name)) == 3  # a folder that was only renamed


def test_a_line_cut_short_by_a_kill_is_taken_up_again(folder: Path) -> None:
    whole = said(folder)
    end = whole.rindex(b"\n", 0, -1) + 1
    for cut in range(end, len(whole)):  # the last line was never acknowledged
        ledger.path_of(folder).write_bytes(whole[:cut])
        assert [entry.number for entry in ledger.read(folder)] == [1, 2]
    ledger.append(folder, "attest", {"n": 9}, now=NOW)
    assert [entry.data["n"] for entry in ledger.read(folder)] == [0, 1, 9]


def _many(folder: Path, who: int) -> None:
    for n in range(25):
        ledger.append(folder, "attest", {"who": who, "n": n}, now=NOW)


def test_processes_at_once_add_one_after_the_other(folder: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_many, args=(folder, who)) for who in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    entries = ledger.read(folder)
    assert len(entries) == 100
    assert all([entry.data["n"] for entry in entries if entry.data["who"] == who] == list(range(25)) for who in range(4))
