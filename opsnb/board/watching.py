"""Keeps the board while a window is watched: reads the probes off, asks how full the pools are, shows both, hears the request to end."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
from plotly.graph_objects import Figure

from opsnb import charts
from opsnb.board.places import Place
from opsnb.board.state import Board, pools_said, read_off
from opsnb.checks.health import pools
from opsnb.errors import OpsnbError
from opsnb.evidence.display import MARK, Shown
from opsnb.evidence.safe import escape
from opsnb.evidence.svg import figure_svg
from opsnb.evidence.tables import table_html, table_text
from opsnb.facts import Facts

POOLS_S = 5.0


class Watching:
    """The board of one watch. Use as a context around it, `tick` as its tick, and tell its `end`."""

    def __init__(
        self, place: Place, *, statuses: Mapping[str, int], window_s: float, allowed_s: float, slow_s: float, metrics: Callable[[], Facts]
    ) -> None:
        self._place, self._metrics = place, metrics
        self._said: dict[str, Any] = {"statuses": dict(statuses), "window_s": window_s, "allowed_s": allowed_s, "slow_s": slow_s}
        self._pools, self._over = "", threading.Event()
        self._shown: Any = None
        # a metrics endpoint that hangs holds up neither the probes nor the board
        self._asking = threading.Thread(target=self._ask_pools, name="pools", daemon=True)

    def __enter__(self) -> Watching:
        self._place.clear()
        self._asking.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._asking.join(1.0)
        self._place.clear()

    def tick(self, probes: pd.DataFrame, left_s: float) -> bool:
        """Shows what is known now; whether to go on."""
        self._show(read_off(probes, left_s=left_s, pools=self._pools, **self._said), probes)
        return not self._place.stop_asked()

    def end(self, probes: pd.DataFrame, cut_short_s: float | None) -> None:
        """The final state, which is the one that stays."""
        self._show(read_off(probes, left_s=0.0, pools=self._pools, **self._said).ended(cut_short_s), None)

    def _show(self, board: Board, probes: pd.DataFrame | None) -> None:
        """Without *probes* there is no picture: at the end the notebook draws it whole, and the report keeps that one."""
        self._place.put(board)
        kernel = sys.modules.get("IPython")
        if kernel is None or kernel.get_ipython() is None:
            return
        shown = page(board, "" if probes is None else figure_svg(self._chart(probes).to_plotly_json()))
        if self._shown is None:
            self._shown = kernel.display.display(shown, display_id=True)
        else:
            self._shown.update(shown)

    def _chart(self, probes: pd.DataFrame) -> Figure:
        good = probes["status"] == probes["function"].map(self._said["statuses"])
        return charts.window_timeline(probes.assign(ok=good.fillna(False)), limit_s=self._said["slow_s"])

    def _ask_pools(self) -> None:
        while not self._over.is_set():
            self._pools = _pools_now(self._metrics)
            self._over.wait(POOLS_S)


def _pools_now(metrics: Callable[[], Facts]) -> str:
    try:
        facts = metrics()
        return pools_said(pools(facts.table)) if facts.ok else "pool use not known"
    except OpsnbError:
        return "pool use not known"


def page(board: Board, picture: str = "") -> Shown:
    """The board for a notebook and its report; *picture*: the probes so far as an <svg>."""
    table = board.table().drop(columns="lately", errors="ignore")  # the picture's work, where there can be one
    words = f"<p><strong>The window</strong>: {escape(board.heading)}</p>"
    return Shown(f'{MARK} opsnb-card">{words}{picture}{table_html(table)}</div>', f"The window: {board.heading}\n{table_text(table)}")
