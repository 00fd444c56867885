"""What the checks of errors and of the window do with the function logs first: name the functions, tell callers from probes, pool."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pandas as pd

from opsnb.checks.numbers import CONFIDENCE, Rate, percent, rate
from opsnb.checks.tables import counted, findings, known, some
from opsnb.errors import SourceNonsense
from opsnb.verdicts import Outcome, Verdict, failed

COUNTS = ("n", "n_5xx", "n_no_status", "n_401", "n_401_platform", "n_403", "n_slow", "n_untimed")


def slugs(functions: pd.DataFrame, names: Iterable[str]) -> dict[str, str]:
    """Function id → slug of those of *names* that are deployed; the logs know ids only."""
    wanted = set(names)
    if functions.empty:
        return {}
    known(functions, "slug", "id")
    return {str(row.id): str(row.slug) for row in functions.itertuples() if row.slug in wanted}


def of_functions(table: pd.DataFrame, functions: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """The rows of a log table that belong to the functions *names*, with their slug as first column `function`."""
    if table.empty:
        return table
    known(table, "function_id")
    by_id = slugs(functions, names)
    rows = table[table["function_id"].isin(list(by_id))]
    rows = rows.assign(function=rows["function_id"].map(by_id)).drop(columns="function_id")
    return rows[["function", *(column for column in rows.columns if column != "function")]].reset_index(drop=True)


def tally(calls: pd.DataFrame, functions: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """One row per function of *names*, also the uncalled ones: the counts of callers, and those of our probes as `probes_*`.

    *calls* is the log statement `function_calls`. Raises SourceNonsense where a count is missing.
    """
    wanted = sorted(set(names))
    columns = ["function", *COUNTS, "p50_ms", "p95_ms", "max_ms", *(f"probes_{count}" for count in COUNTS)]
    rows = of_functions(calls, functions, wanted)
    known(rows, "caller", *COUNTS)
    out = []
    for name in wanted:
        row: dict[str, object] = {"function": name, "p50_ms": None, "p95_ms": None, "max_ms": None}
        for caller, prefix in (("caller", ""), ("probe", "probes_")):
            part = rows[(rows["function"] == name) & (rows["caller"] == caller)] if not rows.empty else rows
            if len(part) > 1:
                raise SourceNonsense(f"{name} has {len(part)} rows of one kind of caller; expected one")
            row |= {prefix + count: int(part[count].iloc[0]) if len(part) else 0 for count in COUNTS}
            if caller == "caller" and len(part):
                row |= {column: part[column].iloc[0] for column in ("p50_ms", "p95_ms", "max_ms") if column in part.columns}
        out.append(row)
    return findings(out, columns)


def total(counts: pd.DataFrame, *columns: str, probes: bool = True) -> int:
    """The sum of *columns* over all functions, with our own probes unless *probes* is off."""
    wanted = [name for column in columns for name in ([column, f"probes_{column}"] if probes else [column])]
    return int(counts[wanted].to_numpy().sum()) if len(counts) else 0


def is_alive(seen: pd.DataFrame) -> bool:
    """Whether the log statement `probe_seen` found the marked probe."""
    known(seen, "n")
    return not seen.empty and int(seen["n"].sum()) > 0


def without_probes(counts: pd.DataFrame, *bad: str) -> str:
    """Both figures: what our own probes added, which is not judged."""
    probes, errors = int(counts["probes_n"].sum()), sum(int(counts[f"probes_{column}"].sum()) for column in bad)
    return f"Our own {counted(probes, 'probe')} ({errors} bad) are not counted."


def judged_apart(counts: pd.DataFrame, bad: Callable[[pd.DataFrame], pd.Series], limit: float) -> tuple[pd.DataFrame, list[Rate]]:
    """*counts* with the columns `bad`, `rate` and `verdict`, and the rates of functions that are over *limit* on their own.

    The confidence is shared among the functions (Bonferroni), so that many quiet functions do not raise a false alarm.
    """
    numbers = bad(counts).astype("int64")
    confidence = 1 - (1 - CONFIDENCE) / max(1, len(counts))
    rates = [rate(int(k), int(n), limit, confidence=confidence) for k, n in zip(numbers, counts["n"], strict=True)]
    shown = counts.assign(
        bad=numbers,
        rate=[each.k / each.n if each.n else float("nan") for each in rates],
        verdict=[str(each.verdict) for each in rates],
    )
    return shown, [each for each in rates if each.verdict is Verdict.FAIL]


def with_single_failures(pooled: Outcome, shown: pd.DataFrame, limit: float, what: str) -> Outcome:
    """*pooled*, unless one function alone is over *limit* while the others hide it: then FAIL, naming it."""
    over = shown[shown["verdict"] == Verdict.FAIL]
    if pooled.verdict is Verdict.FAIL or over.empty:
        return pooled
    worst = [f"{row.function} ({counted(int(row.bad), what)} in {counted(int(row.n), 'call')})" for row in over.itertuples()]  # type: ignore[arg-type]
    return failed(
        f"{some(worst)} alone: over {percent(limit)} whatever the others answer. All together: {pooled.summary}",
        table=shown, measured=pooled.measured, limit=pooled.limit,
    )  # fmt: skip
