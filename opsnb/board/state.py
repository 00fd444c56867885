"""What the board shows: counts of the probes so far, how full the pools are, downtime, time left. No body, no address, no value."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from opsnb.checks.window import down_so_far

WATCHING, ENDED, CUT_SHORT = "watching", "ended", "cut short"
LATELY = 24
"""How many of a function's newest probes are drawn."""
_BARS = "▁▂▃▄▅▆▇█"
LOST = "×"
COUNTED = ("5xx", "403", "401", "time-outs", "no answer", "slow")
"""What is counted per function: answers, calls that were given up, calls that never arrived, calls over the limit."""


@dataclass(frozen=True)
class Line:
    """One function: its newest answer, its counts (COUNTED), its newest probes as bars."""

    function: str
    status: str
    seconds: float
    calls: int
    counts: tuple[int, ...]
    lately: str


@dataclass(frozen=True)
class Board:
    """What is known at one moment of the window. Times in seconds; `pools` a sentence, '' while nobody said."""

    at: str
    lines: tuple[Line, ...]
    down_s: float
    allowed_s: float
    left_s: float
    window_s: float
    slow_s: float
    pools: str = ""
    state: str = WATCHING

    def total(self, what: str) -> int:
        """The sum of one of COUNTED."""
        return sum(line.counts[COUNTED.index(what)] for line in self.lines)

    @property
    def troubled(self) -> bool:
        """Whether anything but good answers in time was met."""
        return self.down_s > 0 or any(self.total(what) for what in COUNTED)

    @property
    def heading(self) -> str:
        """One line: time left (or how it ended), downtime against what is allowed, what was counted, the pools."""
        watched = self.window_s - self.left_s
        left = {WATCHING: f"{clock(self.left_s)} left", ENDED: f"ended, {clock(watched)} watched"}.get(
            self.state, f"CUT SHORT after {clock(watched)} of {clock(self.window_s)}"
        )
        counted = " · ".join(f"{self.total(what)} {self.named(what)}" for what in COUNTED)
        down = f"downtime {self.down_s:.1f} s of {self.allowed_s:g} s"
        return " · ".join(filter(None, (left, down, counted, self.pools)))

    def named(self, what: str) -> str:
        """*what* as a heading: the limit is part of the name."""
        return f"over {self.slow_s:g} s" if what == "slow" else what

    def table(self) -> pd.DataFrame:
        """One row per function, as it is shown."""
        rows = []
        for line in self.lines:
            counts = {self.named(what): count for what, count in zip(COUNTED, line.counts, strict=True)}
            seconds = f"{line.seconds:.2f}"
            rows.append({
                "function": line.function, "last": line.status, "s": seconds, "calls": line.calls, **counts, "lately": line.lately,
            })  # fmt: skip
        return pd.DataFrame(rows)

    def text(self) -> str:
        """The board as JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    def ended(self, cut_short_s: float | None) -> Board:
        """The final state."""
        if cut_short_s is None:
            return replace(self, state=ENDED, left_s=0.0)
        return replace(self, state=CUT_SHORT, left_s=max(0.0, self.window_s - cut_short_s))


def read_text(text: str) -> Board | None:
    """A board from its JSON; None for anything else: whoever looks on must not fail for a file that is half there."""
    try:
        found = json.loads(text)
        lines = tuple(Line(**{**line, "counts": tuple(int(n) for n in line["counts"])}) for line in found.pop("lines"))
        board = Board(lines=lines, **found)
        if datetime.fromisoformat(board.at).tzinfo is None:
            return None
        _ = board.heading, board.table()
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return None
    return board


def read_off(
    probes: pd.DataFrame, *, statuses: Mapping[str, int], left_s: float, window_s: float, allowed_s: float, slow_s: float, pools: str = ""
) -> Board:
    """The board for the *probes* so far (PROBE_COLUMNS, in order of time); *statuses*: function → the status of a good answer."""
    down = [
        down_so_far(probes, names=[name for name, each in statuses.items() if each == status], status=status)
        for status in set(statuses.values())
    ]
    lines = tuple(_line(name, probes[probes["function"] == name], status, slow_s) for name, status in statuses.items())
    return Board(
        datetime.now(UTC).isoformat(), lines, down_s=float(max(down, default=0.0)), allowed_s=float(allowed_s), left_s=float(left_s),
        window_s=float(window_s), slow_s=float(slow_s), pools=pools,
    )  # fmt: skip


def _line(name: str, rows: pd.DataFrame, good: int, slow_s: float) -> Line:
    if rows.empty:
        return Line(name, "…", 0.0, 0, (0,) * len(COUNTED), "")
    status, seconds = rows["status"].astype("int64"), rows["seconds"].astype("float64")
    timed_out = (status == 0) & (rows["error_code"] == "SourceTimeout")
    counted = (status >= 500, status == 403, status == 401, timed_out, (status == 0) & ~timed_out, seconds > slow_s)
    newest = _word(int(status.iloc[-1]), bool(timed_out.iloc[-1]))
    bars = _lately(status.tolist()[-LATELY:], seconds.tolist()[-LATELY:], good, slow_s)
    return Line(name, newest, float(seconds.iloc[-1]), len(rows), tuple(int(each.sum()) for each in counted), bars)


def _word(status: int, timed_out: bool) -> str:
    return str(status) if status else "time-out" if timed_out else "no answer"


def _lately(statuses: Sequence[int], seconds: Sequence[float], good: int, slow_s: float) -> str:
    """A bar per probe, full at the limit; what was not answered as it should be is a cross."""
    return "".join(
        LOST if status != good else _BARS[min(len(_BARS) - 1, int(len(_BARS) * took / slow_s))]
        for status, took in zip(statuses, seconds, strict=True)
    )


def clock(seconds: float) -> str:
    """Minutes and seconds, as a clock shows them."""
    whole = max(0, round(seconds))
    return f"{whole // 60}:{whole % 60:02d}"


def pools_said(pools: pd.DataFrame) -> str:
    """How full each pool is (pool, used, size, waiting), as a sentence."""
    words: list[str] = []
    for row in pools.to_dict("records"):
        said: dict[Any, Any] = row
        waiting = f", {said['waiting']:.0f} waiting" if said["waiting"] == said["waiting"] and said["waiting"] > 0 else ""
        words.append(f"{said['pool']} pool {said['used']:.0f} of {said['size']:.0f}{waiting}")
    return "; ".join(words) or "pool use not told"
