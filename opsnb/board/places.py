"""Where a board lies while its window is watched, and the request to end it. Beside the archive, never in it."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from opsnb.board.state import Board, read_text
from opsnb.errors import UsageError
from opsnb.evidence.safe import write_atomic

FOLDER = Path(".opsnb") / "window"
STALE = timedelta(seconds=15)
"""A board older than this is that of a watch that was killed."""


class Place:
    """The board of one deployment, as files. Whoever watches writes it; what cannot be written disturbs no watch."""

    def __init__(self, root: Path, environment: str, deployment: str) -> None:
        folder = root / FOLDER / environment
        self._board, self._stop = folder / f"{deployment}.json", folder / f"{deployment}.stop"

    def put(self, board: Board) -> None:
        """Shows *board* to whoever looks on."""
        with contextlib.suppress(UsageError):
            write_atomic(self._board, board.text(), 0o600)

    def stop_asked(self) -> bool:
        """Whether somebody asked that the watch end."""
        return self._stop.is_file()

    def clear(self) -> None:
        """Takes board and request away: before a watch, for what an earlier one left counts for nothing, and after it."""
        for path in (self._board, self._stop):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def look(self) -> Board | None:
        """The board as it is now; None where no window is watched."""
        try:
            board = read_text(self._board.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if board is None or datetime.now(UTC) - datetime.fromisoformat(board.at) > STALE:
            return None
        return board

    def ask_to_stop(self) -> None:
        """Asks whoever watches to end. UsageError where the request cannot be written."""
        write_atomic(self._stop, f"{datetime.now(UTC).isoformat()}\n", 0o600)


def under_way(root: Path, environment: str) -> list[Place]:
    """The windows of *environment* that are watched now."""
    found = (Place(root, environment, path.stem) for path in sorted((root / FOLDER / environment).glob("*.json")))
    return [place for place in found if place.look() is not None]


def boards_now(root: Path, environment: str) -> list[Board]:
    """The boards of the windows of *environment* that are watched now."""
    return [board for place in under_way(root, environment) if (board := place.look()) is not None]
