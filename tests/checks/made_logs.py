"""Small made tables of the log statements, for the checks that read them."""

from __future__ import annotations

from typing import Any

import pandas as pd

NAMES = ["read", "write"]
FUNCTIONS = pd.DataFrame({"slug": ["read", "write", "foreign"], "id": ["f1", "f2", "f3"]})
SEEN = pd.DataFrame({"function_id": ["f1"], "status": [200], "n": [1]})
UNSEEN = SEEN.iloc[:0]


def calls(*rows: dict[str, Any]) -> pd.DataFrame:
    zero = {"n_2xx": 0, "n_4xx": 0, "n_5xx": 0, "n_no_status": 0, "n_401": 0, "n_401_platform": 0, "n_403": 0, "n_slow": 0, "n_untimed": 0}
    base = {"caller": "caller", **zero, "p50_ms": 80.0, "p95_ms": 200.0, "max_ms": 900.0}
    return pd.DataFrame([{**base, **row} for row in rows])
