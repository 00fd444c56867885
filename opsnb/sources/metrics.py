"""The door to the metrics endpoint: Prometheus text over Basic auth, read tolerantly."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable

import httpx
import pandas as pd
from pydantic import SecretStr

from opsnb.errors import SourceNonsense
from opsnb.facts import asked
from opsnb.sources.http import Http

SOURCE = "metrics"
_SAMPLE = re.compile(r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>.*)\})?\s+(?P<value>\S+)(?:\s+-?\d+)?")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(.)")


class Metrics:
    """One project's metrics endpoint."""

    def __init__(
        self, url: str, *, user: str, password: SecretStr, timeout_s: float = 10, transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        auth = (user, password.get_secret_value())
        self._http = Http(url, source=SOURCE, auth=auth, timeout_s=timeout_s, transport=transport, sleep=sleep)

    @asked(SOURCE)
    def samples(self) -> tuple[str, pd.DataFrame]:
        """One row per sample: name, labels (JSON text), value (may be NaN). SourceNonsense where not a single line is a sample."""
        response = self._http.get("")
        text = response.text
        if "\0" in text or not text.endswith("\n"):
            raise SourceNonsense("the metrics endpoint's answer is cut off or no text", source=SOURCE, question="GET metrics")
        table = parse(text)
        if table.empty:
            raise SourceNonsense("the metrics endpoint answered no sample", source=SOURCE, question="GET metrics")
        return "GET metrics", table

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()


def parse(text: str) -> pd.DataFrame:
    """Prometheus text as a table; a repeated label keeps its last value, a line that is no sample is passed over.

    A series that comes twice comes once here; with two values it has none (NaN), because nobody knows which of them holds.
    """
    rows = []
    for line in text.split("\n"):  # a label may hold what else ends a line
        matched = None if line.startswith("#") else _SAMPLE.fullmatch(line.strip())
        if matched is None:
            continue
        try:
            value = float(matched["value"])
        except ValueError:
            continue  # "temporarily unavailable" is two words, and no sample
        labels = {name: _ESCAPE.sub(_unescaped, text) for name, text in _LABEL.findall(matched["labels"] or "")}
        rows.append((matched["name"], json.dumps(labels, sort_keys=True), value))
    table = pd.DataFrame(rows, columns=["name", "labels", "value"]).astype({"value": "float64"}).drop_duplicates(ignore_index=True)
    table.loc[table.duplicated(["name", "labels"], keep=False), "value"] = float("nan")
    return table.drop_duplicates(["name", "labels"], ignore_index=True)


def _unescaped(found: re.Match[str]) -> str:
    return "\n" if found[1] == "n" else found[1]
