"""The door to the functions: calls them as the release says, keeps what the answer is like, never what it holds."""

from __future__ import annotations

import json
import re
import string
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pandas as pd
from pydantic import SecretStr

from opsnb.config import FunctionSpec
from opsnb.errors import SourceError, UsageError
from opsnb.facts import Facts, asked
from opsnb.sources.http import Http, unreached
from opsnb.sources.judging import AT_MOST, answered_at_all, differences

SOURCE = "functions"
MARK = "opsnb_probe"
EXPECTS = "opsnb_expects"
CUT_SHORT = "cut_short"
"""In `extra` of what `Gateway.watch` answers: after how many seconds it was ended early; None where it was not."""
TICK_S = 1.0
AT_ONCE = 4
"""Probes on their way at the same time: enough not to wait for the slowest, few enough to be no load."""
ANOTHER = "another signed-in user"
"""Who has nothing to do with what is asked for."""
NO_OBJECT, NO_FIELD = "not a JSON object", "no declared field"
"""What stands in `error_code` for an answer that is good by its status and cannot be the function's."""
PROBE_COLUMNS = ("at", "function", "status", "seconds", "error_code", "differs", "completed", "mark")
_DTYPES = {
    "at": "datetime64[us, UTC]", "status": "Int64", "seconds": "Float64", "completed": "boolean",
    **dict.fromkeys(("function", "error_code", "differs", "mark"), "string"),
}  # fmt: skip
_OTHER = str.maketrans(string.ascii_letters, string.ascii_letters[1:] + string.ascii_letters[0])
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


class Gateway:
    """The functions gateway as one test caller. Every call carries the mark of this run, and is journalled to *journal*."""

    def __init__(
        self,
        url: str,
        *,
        anon_key: SecretStr,
        caller_token: SecretStr | None = None,
        other_token: SecretStr | None = None,
        caller_header: str = "x-firebase-token",
        timeout_s: float = 30,
        journal: Path | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        key = anon_key.get_secret_value()
        headers = {"authorization": f"Bearer {key}", "apikey": key}
        if caller_token is not None:
            headers[caller_header] = caller_token.get_secret_value()
        base = url.rstrip("/") + "/"
        self._http = Http(base, source=SOURCE, headers=headers, timeout_s=timeout_s, transport=transport)
        self._anonymous = Http(base, source=SOURCE, timeout_s=timeout_s, transport=transport)
        # made when sent: what is kept here would be shown with the object
        self._strangers: dict[str, Callable[[], dict[str, str]]] = {
            "no credentials": dict,
            "the public key alone": lambda: {"authorization": f"Bearer {key}", "apikey": key},
        }
        if caller_token is not None:
            forged = _forged(caller_token.get_secret_value())
            self._strangers["a forged token"] = lambda: {"authorization": f"Bearer {key}", "apikey": key, caller_header: forged}
        if other_token is not None:
            other = other_token.get_secret_value
            self._strangers[ANOTHER] = lambda: {"authorization": f"Bearer {key}", "apikey": key, caller_header: other()}
        self._journal = journal
        self._journalling = threading.Lock()
        self._sleep = sleep
        self._clock = clock
        self.mark = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"

    @asked(SOURCE)
    def probe(self, functions: Mapping[str, FunctionSpec], *, values: Mapping[str, str], times: int = 1) -> tuple[str, pd.DataFrame]:
        """One row per call, each function called *times* times: PROBE_COLUMNS. A call without an answer has status 0.

        SourceError only where not a single call reached the gateway.
        """
        bodies = _bodies(functions, values)
        rows: list[dict[str, Any]] = []
        for _ in range(times):
            rows += self._side_by_side(functions, lambda slug, said: [self._call(slug, said, bodies[slug])])
            if not any(row["completed"] for row in rows):
                break  # nobody answers: another round would say the same, and wait as long again
        return self._answered(functions, rows)

    @asked(SOURCE)
    def watch(
        self, functions: Mapping[str, FunctionSpec], *, values: Mapping[str, str], seconds: float, interval_s: float,
        tick: Callable[[pd.DataFrame, float], bool] = lambda _rows, _left_s: True,
    ) -> tuple[str, pd.DataFrame] | Facts:  # fmt: skip
        """As `probe`, over and over for *seconds*: each function every *interval_s*, or as soon as it answered where that took longer.

        The functions are watched side by side: one that hangs hides nothing of the others. *tick* is handed what is known so far and the
        seconds left, every second, and says whether to go on; a KeyboardInterrupt ends the watch too. `extra` says when (CUT_SHORT).
        """
        bodies = _bodies(functions, values)
        begins, started, stop = self._clock(), time.perf_counter(), threading.Event()
        ends, rows, cut_short = begins + seconds, list[dict[str, Any]](), None
        pause = self._sleep or stop.wait

        def watch_one(slug: str, said: FunctionSpec) -> None:
            first = True
            while first or (self._clock() < ends and not stop.is_set()):
                first, begun = False, self._clock()
                rows.append(self._call(slug, said, bodies[slug]))
                pause(max(0.0, min(begun + interval_s, ends) - self._clock()))

        with ThreadPoolExecutor(max(1, len(functions)), thread_name_prefix="probe") as pool:
            watches = [pool.submit(watch_one, slug, said) for slug, said in functions.items()]
            try:
                if not self._look_on(watches, lambda: tick(_table(rows), max(0.0, ends - self._clock()))):
                    cut_short = self._clock() - begins
            except KeyboardInterrupt:
                cut_short = self._clock() - begins
            finally:
                stop.set()  # whatever ended it: nobody is called any more
        for each in watches:
            each.result()
        if cut_short is not None and cut_short >= seconds:
            cut_short = None  # asked too late to cut anything
        question, table = self._answered(functions, sorted(rows, key=lambda row: row["at"]))
        return Facts(SOURCE, question, time.perf_counter() - started, answer=table, extra={CUT_SHORT: cut_short})

    def _look_on(self, watches: Sequence[Future[None]], go_on: Callable[[], bool]) -> bool:
        """Until the last of *watches* has ended or one could not go on (true), or *go_on* says no (false)."""
        left: set[Future[None]] = set(watches)
        while left:
            done, left = wait(left, timeout=TICK_S)
            if any(each.exception() for each in done):
                return True
            if left and not go_on():
                return False
        return True

    def _side_by_side(
        self, functions: Mapping[str, FunctionSpec], ask: Callable[[str, FunctionSpec], list[dict[str, Any]]], at_once: int = AT_ONCE
    ) -> list[dict[str, Any]]:
        """What *ask* tells of each function, in their order; *at_once* at a time."""
        with ThreadPoolExecutor(at_once, thread_name_prefix="probe") as pool:
            return [row for rows in pool.map(ask, functions.keys(), functions.values()) for row in rows]

    @asked(SOURCE)
    def strangers(self, functions: Mapping[str, FunctionSpec], *, values: Mapping[str, str]) -> tuple[str, pd.DataFrame]:
        """One row per function and way of not being allowed to call it: function, credentials, status (0: no answer).

        The ways: no credentials, the public key alone, the caller's token with another signature, and the token of another signed-in
        user where there is one. The calls are marked as ones that are to be refused, so that the logs' refusals are not taken for
        callers'.
        """
        bodies = _bodies(functions, values)

        def ask(slug: str, said: FunctionSpec) -> list[dict[str, Any]]:
            return [self._refused(slug, said, bodies[slug], way) for way in self._strangers]

        rows = self._side_by_side(functions, ask)
        question = "\n".join(f"{said.request.method} /functions/v1/{slug}?{EXPECTS}=refusal" for slug, said in functions.items())
        if rows and all(row.pop("unreachable") for row in rows):
            why = f"no call reached {self._http.where}; is it running and reachable from here?"
            raise SourceError(why, source=SOURCE, question=question)
        table = pd.DataFrame(rows, columns=["function", "credentials", "status"])
        return question, table.astype({"function": "string", "credentials": "string", "status": "Int64"})

    def _refused(self, slug: str, said: FunctionSpec, body: Any, way: str) -> dict[str, Any]:
        row: dict[str, Any] = {"function": slug, "credentials": way, "status": 0, "unreachable": False}
        credentials = self._strangers[way]()
        own = {name.lower() for name in credentials} | {"authorization", "apikey"}
        headers = {name: value for name, value in said.request.headers.items() if name.lower() not in own}
        sent: dict[str, Any] = {"params": {MARK: self.mark, EXPECTS: "refusal"}, "headers": {**headers, **credentials}}
        if body or said.request.method not in ("GET", "DELETE"):
            sent["json"] = body
        try:
            row["status"] = self._anonymous.request(said.request.method, quote(slug, safe=""), **sent).status_code
        except SourceError as error:
            row["unreachable"] = unreached(error)
        self._note({"at": datetime.now(UTC), **row})
        return row

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()
        self._anonymous.close()

    def _answered(self, functions: Mapping[str, FunctionSpec], rows: list[dict[str, Any]]) -> tuple[str, pd.DataFrame]:
        question = "\n".join(f"{said.request.method} /functions/v1/{slug}?{MARK}={self.mark}" for slug, said in functions.items())
        if rows and all(row["unreachable"] for row in rows):
            where = self._http.where
            raise SourceError(f"no call reached {where}; is it running and reachable from here?", source=SOURCE, question=question)
        return question, _table(rows)

    def _call(self, slug: str, said: FunctionSpec, body: Any) -> dict[str, Any]:
        at = datetime.now(UTC)
        row: dict[str, Any] = {
            "at": at, "function": slug, "status": 0, "error_code": "", "differs": None, "completed": False, "mark": self.mark,
            "unreachable": False,
        }  # fmt: skip
        sent: dict[str, Any] = {"params": {MARK: self.mark}, "headers": said.request.headers}
        if body or said.request.method not in ("GET", "DELETE"):
            sent["json"] = body
        started = time.perf_counter()
        try:
            response = self._http.request(said.request.method, quote(slug, safe=""), **sent)
        except SourceError as error:
            row |= {"error_code": type(error).__name__, "unreachable": unreached(error), "seconds": time.perf_counter() - started}
        else:
            row |= {"status": response.status_code, "completed": True, "error_code": _code(response)}
            row["seconds"] = time.perf_counter() - started  # before the answer is judged, which is our own time
            if response.is_success:
                row |= _compare(self._read(response), said.response.json_schema)
        self._note(row)
        return row

    def _read(self, response: httpx.Response) -> Any:
        """The body; None where it is no JSON."""
        try:
            return self._http.json(response, "")
        except SourceError:
            return None

    def _note(self, row: dict[str, Any]) -> None:
        if self._journal is None:
            return
        line = {"at": row["at"].isoformat(), "function": row["function"], "status": row["status"], "mark": self.mark}
        try:
            with self._journalling, self._journal.open("a", encoding="utf-8") as journal:
                journal.write(json.dumps(line) + "\n")
        except OSError as error:
            why = f"the journal of probes cannot be written ({error.strerror}), so they could not be told from callers; {self._journal}"
            raise SourceError(why, source=SOURCE) from None


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(PROBE_COLUMNS)).astype(_DTYPES)


def _forged(token: str) -> str:
    """*token* with another signature of the same length: everything in it is right but that its issuer never signed it."""
    head, dot, signature = token.rpartition(".")
    return f"{head}{dot}{signature.translate(_OTHER)}" if dot and signature else "forged"


def _code(response: httpx.Response) -> str:
    """What the gateway calls its refusal; '' for anything that is no such name."""
    code = response.headers.get("sb-error-code", "")
    return code if _CODE.fullmatch(code) else ""


def _bodies(functions: Mapping[str, FunctionSpec], values: Mapping[str, str]) -> dict[str, Any]:
    """Every body to send, made before the first is sent."""
    return {slug: _filled(said.request.body, values, slug) for slug, said in functions.items()}


def _compare(body: Any, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """Where an answer's *body* is not what the release declares: '' where it is, None where it declares nothing. No value."""
    if not isinstance(body, dict):
        return {"differs": "$: expected object", "error_code": NO_OBJECT}
    if schema is None:
        return {"differs": None}
    try:
        found = differences(body, schema)
    except RecursionError:
        return {"differs": "$: expected less depth than can be judged"}
    more = [f"and {len(found) - AT_MOST} more"] if len(found) > AT_MOST else []
    foreign = {} if answered_at_all(body, schema) else {"error_code": NO_FIELD}
    return {"differs": "; ".join([*found[:AT_MOST], *more]), **foreign}


def _filled(value: Any, values: Mapping[str, str], slug: str) -> Any:
    """The body with ``{name}`` replaced; UsageError for a name the environment has no probe value of."""
    if isinstance(value, dict):
        return {key: _filled(each, values, slug) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, values, slug) for each in value]
    if isinstance(value, str) and value.startswith("{") and value.endswith("}"):
        name = value[1:-1]
        if name not in values:
            raise UsageError(
                f"the request of the function {slug} needs {{{name}}}: "
                f"the environment's probe_values have {', '.join(sorted(values)) or 'none'}"
            )
        return values[name]
    return value
