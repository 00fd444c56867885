"""``opsnb journey``: walks the way a user takes, through the public doors, as the release describes it; then removes every trace.

What the doors answer stays in memory: the record holds statuses, times, which expectation held, and digests. Before anything is made, a
record says which rows would be traces; a journey that was killed is cleaned up from it (``--clean``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opsnb.actions import record as records
from opsnb.actions.cleanup.action import require_confirmed
from opsnb.config import Environment, Release, load_environment, load_release, require_references, settings, text_of
from opsnb.config.journey import JourneySpec, JourneyStep
from opsnb.errors import ActionFailed, ActionRefused, OpsnbError, UsageError
from opsnb.evidence import deployments, sealed
from opsnb.evidence.deployments import STAMP, Deployment
from opsnb.evidence.safe import write_atomic
from opsnb.sources.walking import Answer, Walker
from opsnb.sources.writing.traces import Traces

ACTION = "journey"
Progress = Callable[[str], None]
_TYPES: dict[str, tuple[type, ...]] = {
    "boolean": (bool,), "string": (str,), "number": (int, float), "object": (dict,), "array": (list,), "null": (type(None),),
    "any": (object,),
}  # fmt: skip


@dataclass
class Journey:
    """The action, for one environment and deployment."""

    environment: Environment
    release: Release
    deployment: Deployment
    spec: JourneySpec
    root: Path
    names: dict[str, str] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def open(cls, environment: str, *, root: Path, deployment: str = "") -> Journey:
        """Loads everything that is needed; UsageError where the release describes no journey or the environment cannot walk it."""
        loaded = load_environment(environment, root)
        release = load_release(loaded.release, root)
        if release.journey is None:
            raise UsageError(f"release {release.name}: it describes no `journey`")
        if loaded.functions is None or loaded.postgres.write_dsn is None:
            raise UsageError(f"environment {loaded.name}: a journey needs `functions`, and postgres.write_dsn to remove its traces")
        require_references(loaded, root)
        now = datetime.now(UTC)
        found = deployments.find_or_open(settings().reports_folder(root), loaded.name, release.name, identifier=deployment, now=now)
        return cls(loaded, release, found, release.journey, root)

    def plan(self) -> list[tuple[str, str]]:
        """What would be done, in order: (step, what)."""
        steps = [(f"make {each.name}", f"a row of {each.table}") for each in self.spec.prepare]
        for step in self.spec.steps:
            often = f", {step.times} times, equal answers" if step.times > 1 else f", {1 + len(step.others)} at once" if step.others else ""
            steps.append((step.name, f"{step.method} {step.door}/{step.path.partition('?')[0]}{often}"))
        steps += [("remove traces", ", ".join(dict.fromkeys(each.table for each in self.spec.traces)) or "none")]
        return [*steps, *(("put back", f"{', '.join(each.columns)} of {each.table}") for each in self.spec.put_back)]

    def apply(self, *, confirm: str, progress: Progress = lambda _: None) -> dict[str, Any]:
        """Walks it and removes every trace, whatever happened; the record. ActionFailed where a trace could not be removed."""
        require_confirmed(self.environment.name, confirm)
        if self.environment.encryption is None and self.spec.put_back:
            raise ActionRefused("encryption.recipient is not named: what is put back is kept encrypted until then. Nothing was changed.")
        started = datetime.now(UTC)
        self.names = {"mark": f"opsnb-{started:%Y%m%d%H%M%S}"}
        for name, value in self.environment.probe_values.items():
            self.names[name] = text_of(value, self.root)
        traces = self._traces()
        try:
            kept = [traces.kept(_table(each.table), each.columns, self._filled(each.where)) for each in self.spec.put_back]
            self._keep(kept, started)
            failed = ""
            try:
                self._walk(traces, progress)
            except OpsnbError as error:
                failed = str(error)
            finally:
                removed, left = self._clean(traces, kept, progress)
        finally:
            traces.close()
        record = {
            "action": ACTION, "started_at": started.isoformat(), "ended_at": datetime.now(UTC).isoformat(), "mark": self.names["mark"],
            "steps": self.rows, "broken_off": failed, "removed": removed, "left": left,
        }  # fmt: skip
        records.file_action(self.deployment, ACTION, record, at=started)
        self._open_record(started).unlink(missing_ok=True)
        if any(left.values()):
            raise ActionFailed(
                f"{sum(left.values())} traces of the journey are left: {', '.join(name for name, rows in left.items() if rows)}."
            )
        return record

    # ── walking ──
    def _walk(self, traces: Traces, progress: Progress) -> None:
        for each in self.spec.prepare:
            progress(f"make {each.name}")
            self.names[each.name] = traces.make(_table(each.table), self._filled(each.row), each.key)
            self._note()
        walker = self._walker()
        try:
            for step in self.spec.steps:
                progress(step.name)
                self._take_step(step, walker)
        finally:
            walker.close()

    def _take_step(self, step: JourneyStep, walker: Walker) -> None:
        """One step: asks, compares with what is expected, takes what later steps need. Nothing is asked again that may have been done."""
        path = str(self._fill(step.path))
        if step.others:
            answers = walker.ask_at_once(step.door, step.method, path, [self._fill(body) for body in (step.body, *step.others)])
        else:
            answers = []
            for _ in range(step.times):
                answers.append(walker.ask(step.door, step.method, path, self._fill(step.body)))
                if not answers[-1].sent:
                    break
        wrong = list(dict.fromkeys(text for answer in answers for text in self._judge(step, answer)))
        if step.times > 1 and not wrong and len({answer.digest for answer in answers}) > 1:
            wrong.append("the same request was answered otherwise the second time")
        self.rows.append(
            {"step": step.name, "door": f"{step.method} {step.door}/{step.path.partition('?')[0]}", "requests": len(answers),
             "status": [answer.status for answer in answers], "seconds": round(max(answer.seconds for answer in answers), 3),
             "wrong": wrong, "items": list(step.items), "kind": "again" if step.times > 1 else "at once" if step.others else "step"}
        )  # fmt: skip
        if wrong and any(not answer.sent for answer in answers):
            raise ActionFailed(f"{step.name}: no answer came, so what was done is not known; the journey ends here.")
        for name, pointer in step.take.items():
            found = _at(answers[-1].body, pointer)
            if found is None:
                raise ActionFailed(f"{step.name}: the answer has nothing at {pointer}, which later steps need; the journey ends here.")
            self.names[name] = str(found)
            self._note()

    def _judge(self, step: JourneyStep, answer: Answer) -> list[str]:
        """Which expectations do not hold, in words that hold nothing of the answer."""
        if not answer.sent:
            return ["no answer"]
        wrong = [] if answer.status == step.expect.status else [f"status {answer.status}, expected {step.expect.status}"]
        for pointer, expected in step.expect.fields.items():
            found = _at(answer.body, pointer)
            if isinstance(expected, str) and expected.startswith("type:"):
                kind = expected.removeprefix("type:")
                good = isinstance(found, _TYPES[kind]) and not (kind == "number" and isinstance(found, bool))
                wrong += [] if good and (found is not None or kind in ("null", "any")) else [f"{pointer} is no {kind}"]
            elif found != self._fill(expected):
                wrong.append(f"{pointer} is not what was expected")
        text = json.dumps(answer.body, ensure_ascii=False)
        return wrong + [f"the answer does not hold {named!r}" for named in step.expect.contains if str(self._fill(named)) not in text]

    def _fill(self, value: Any) -> Any:
        """*value* with every {name} filled; UsageError for one nobody knows."""
        if isinstance(value, str):
            return re.sub(r"\{(\w+)\}", lambda found: _known(self.names, found[1]), value)
        if isinstance(value, Mapping):
            return {key: self._fill(each) for key, each in value.items()}
        return [self._fill(each) for each in value] if isinstance(value, Sequence) else value

    def _filled(self, values: Mapping[str, str]) -> dict[str, str]:
        return {name: str(self._fill(value)) for name, value in values.items()}

    # ── traces ──
    def _clean(self, traces: Traces, kept: list[list[dict[str, Any]]], progress: Progress) -> tuple[dict[str, int], dict[str, int]]:
        """Puts back and removes; (rows removed per table, rows left per table)."""
        progress("removing traces")
        for said, old in zip(self.spec.put_back, kept, strict=True):
            for each in old:
                traces.put_back(_table(said.table), each, self._filled(said.where))
        removed: dict[str, int] = {}
        left: dict[str, int] = {}
        for trace in self.spec.traces:
            values = [self.names[name] for name in trace.of if name in self.names]
            key = f"{trace.table}.{trace.column}"
            removed[key] = traces.remove(_table(trace.table), trace.column, values)
        for made in reversed(self.spec.prepare):
            if made.name in self.names:
                removed[f"{made.table}.{made.name}"] = traces.remove(_table(made.table), made.key, [self.names[made.name]])
                left[f"{made.table}.{made.name}"] = traces.count(_table(made.table), made.key, [self.names[made.name]])
        for trace in self.spec.traces:
            values = [self.names[name] for name in trace.of if name in self.names]
            left[f"{trace.table}.{trace.column}"] = traces.count(_table(trace.table), trace.column, values)
        for said, old in zip(self.spec.put_back, kept, strict=True):
            now = traces.kept(_table(said.table), said.columns, self._filled(said.where))
            left[f"{said.table} as before"] = sum(was != is_ for was, is_ in zip(old, now, strict=False)) + abs(len(old) - len(now))
        return removed, left

    def clean(self, *, confirm: str) -> dict[str, int]:
        """Removes what a journey that was killed left: rows removed per table; nothing where none was."""
        require_confirmed(self.environment.name, confirm)
        done: dict[str, int] = {}
        for path in sorted((self.deployment.folder / "actions").glob(f"*-{ACTION}.open.json")):
            said = json.loads(path.read_text(encoding="utf-8"))
            self.names = {str(name): str(value) for name, value in said["names"].items()}
            identity = self.environment.encryption.identity if self.environment.encryption else None
            kept: list[list[dict[str, Any]]] = [[] for _ in self.spec.put_back]
            image = path.with_name(path.name.replace(".open.json", ".age"))
            if image.is_file() and identity is not None:
                kept = json.loads(sealed.read_sealed(image, identity.resolve(self.root).get_secret_value()))
            traces = self._traces()
            try:
                removed, left = self._clean(traces, kept, lambda _: None)
            finally:
                traces.close()
            if any(left.values()):
                raise ActionFailed(f"{sum(left.values())} traces are left: {', '.join(name for name, rows in left.items() if rows)}.")
            path.unlink()
            for name, rows in removed.items():
                done[name] = done.get(name, 0) + rows
        return done

    def _keep(self, kept: list[list[dict[str, Any]]], started: datetime) -> None:
        """Before anything is made: the values to put back, encrypted, and a record that the journey is open."""
        folder = self.deployment.folder / "actions"
        folder.mkdir(exist_ok=True)
        self._started = started
        if self.environment.encryption is not None:
            recipient = sealed.require_recipient(text_of(self.environment.encryption.recipient, self.root))
            place = folder / f"{started.strftime(STAMP)}-{ACTION}.age"
            sealed.write_sealed(sealed.seal(place, json.dumps(kept).encode(), recipient))
        self._note()

    def _note(self) -> None:
        """The keys that are known so far: identifiers of synthetic rows, no more."""
        write_atomic(self._open_record(self._started), json.dumps({"names": self.names}, indent=1) + "\n")

    def _open_record(self, started: datetime) -> Path:
        return self.deployment.folder / "actions" / f"{started.strftime(STAMP)}-{ACTION}.open.json"

    def _traces(self) -> Traces:
        dsn = self.environment.postgres.write_dsn
        assert dsn is not None
        return Traces(dsn.resolve(self.root), phase=ACTION)

    def _walker(self) -> Walker:
        said = self.environment.functions
        assert said is not None
        token = said.caller_token.resolve(self.root) if said.caller_token else None
        return Walker(
            text_of(said.url, self.root), anon_key=said.anon_key.resolve(self.root), caller_token=token, caller_header=said.caller_header,
            timeout_s=said.timeout_s,
        )  # fmt: skip


def _table(name: str) -> tuple[str, str]:
    schema, _, table = name.rpartition(".")
    return schema or "public", table


def _known(names: Mapping[str, str], name: str) -> str:
    if name not in names:
        raise UsageError(f"journey: nothing is called {{{name}}}; known are {', '.join(sorted(names))}")
    return names[name]


def _at(body: Any, pointer: str) -> Any:
    """What stands at a JSON pointer; None where there is nothing."""
    for part in (each.replace("~1", "/").replace("~0", "~") for each in pointer.split("/")[1:]):
        if isinstance(body, Mapping) and part in body:
            body = body[part]
        elif isinstance(body, list) and part.isdigit() and int(part) < len(body):
            body = body[int(part)]
        else:
            return None
    return body
