"""Questions about functions: how they answer, what they are made of, what was reviewed."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pandas as pd

from opsnb.actions import functions_archive
from opsnb.board.places import Place
from opsnb.board.watching import Watching
from opsnb.checks import audit
from opsnb.checks.credentials import shape_of
from opsnb.checks.scanner import scan
from opsnb.config import Environment, load_environment, settings, text_of
from opsnb.errors import OpsnbError, ReferenceError_, SourceError, UsageError
from opsnb.evidence import manifest
from opsnb.facts import Facts, asked
from opsnb.questions.base import Base, told
from opsnb.sources import Absent, Doors
from opsnb.sources.gateway import CUT_SHORT


class FunctionQuestions(Base):
    """What a phase can be asked about the release's functions."""

    def probe(self, times: int = 3) -> Facts:
        """Calls every function of the release as it says, *times* times; marked, journalled, bodies not kept."""
        return self.sources.functions.probe(self.release.functions, values=self._probe_values(), times=times)

    def strangers(self) -> Facts:
        """Calls every function as somebody who may not: no credentials, the public key alone, a forged token."""
        return self.sources.functions.strangers(self.release.functions, values=self._probe_values())

    def watch(self, seconds: float | None = None) -> Facts:
        """Calls every function over and over, for *seconds* or as long as the environment says, and shows the live board meanwhile.

        Interrupting the kernel, or ``opsnb window ENV --stop``, ends it early; what is judged then says so (`cut_short`).
        """
        window, functions = self.environment.window, self.release.functions
        lasts = seconds or window.probe_seconds
        asking = partial(
            self.sources.functions.watch, functions, values=self._probe_values(), seconds=lasts, interval_s=window.probe_interval_s
        )
        if isinstance(self.sources.functions, Absent):
            return asking()
        place = Place(self.root, self.environment.name, self.deployment.id)
        statuses = {slug: said.response.status for slug, said in functions.items()}
        limits = {"allowed_s": 60 * self.limits.window_minutes, "slow_s": self.limits.window_response_s}
        with Watching(place, statuses=statuses, window_s=lasts, metrics=self.sources.metrics.samples, **limits) as board:
            probes = asking(tick=board.tick)
            if probes.answer is not None:
                board.end(probes.answer, probes.extra[CUT_SHORT])
        return probes

    def cut_short(self, probes: Facts, seconds: float | None = None) -> str:
        """What a judgement must say of a watch that was ended early, or was asked for less than the environment's window; else ''."""
        after, whole = probes.extra.get(CUT_SHORT), self.environment.window.probe_seconds
        if after is not None:
            return f"The window was cut short after {after:.0f} s: what came then is not known."
        if seconds is not None and seconds < whole:
            return f"Only {seconds:g} s of the window's {whole:g} s were watched: what came then is not known."
        return ""

    def probe_seen(self) -> Facts:
        """Whether a probe of this run arrived in the logs; waits as long as the environment says they are late."""
        if isinstance(self.sources.functions, Absent):
            return self.sources.functions.facts("probe_seen")
        mark = self.sources.functions.mark
        return self.sources.logs.seen(mark, self.minutes_ago(1), deadline_s=max(2.0, self.environment.log_delay_s))

    def watched(self, seconds: float | None = None) -> dict[str, float]:
        """How long and how often `watch` probes: window_s, interval_s."""
        window = self.environment.window
        return {"window_s": seconds or window.probe_seconds, "interval_s": window.probe_interval_s}

    def outcomes(self, probes: Facts) -> Facts:
        """The probes with `ok`: whether each was answered as the release says."""
        if probes.answer is None:
            return probes
        status = {slug: said.response.status for slug, said in self.release.functions.items()}
        return replace(probes, answer=probes.answer.assign(ok=probes.answer["status"] == probes.answer["function"].map(status)))

    def by_function(self, probes: Facts) -> Facts:
        """The probes' response times per function: function, n, p50_ms, p95_ms, max_ms."""
        if probes.answer is None:
            return probes
        milliseconds = probes.answer.assign(ms=probes.answer["seconds"] * 1000).groupby("function", sort=True)["ms"]
        table = milliseconds.agg(n="count", p50_ms="median", p95_ms=lambda ms: ms.quantile(0.95, interpolation="higher"), max_ms="max")
        return replace(probes, answer=table.reset_index())

    def named(self, table: Facts, functions: Facts) -> Facts:
        """A table of the logs with the slug of each function as `function`; the logs know ids only."""
        if table.answer is None:
            return table
        slugs = dict(zip(functions.table["id"], functions.table["slug"], strict=True)) if functions.ok else {}
        ids = table.answer["function_id"]
        return replace(table, answer=table.answer.assign(function=ids.map(slugs).fillna("an unknown function")))

    def variable_values(self) -> Facts:
        """What the values that the environment refers to are like: name, digest, kind, finding; no value."""
        if not self.environment.variable_values:
            return Absent("environment", f"the environment {self.environment.name} names no `variable_values`").facts("variable_values")

        @asked("environment")
        def ask() -> tuple[str, pd.DataFrame]:
            rows = []
            for name, reference in self.environment.variable_values.items():
                try:
                    value = reference.resolve(self.root).get_secret_value()
                except ReferenceError_ as error:
                    raise SourceError(str(error), source="environment") from None
                rows.append(shape_of(name, value, project_id=self.release.audience))
            return f"the shape of {', '.join(self.environment.variable_values)}", pd.DataFrame(rows)

        return ask()

    def other_secrets(self) -> Facts:
        """The digests of the environment `differs_from`: name, digest. `extra` has its name, and why it could not be read."""
        name = self.environment.differs_from
        if not name:
            return Absent("environment", f"the environment {self.environment.name} names no `differs_from`").facts("differs_from")
        if not self.release.variables.differ:
            return self._not_in_release("variables.differ")
        try:
            table, unread = self._secrets_of(load_environment(name, self.root)), ""
        except OpsnbError as error:  # another environment's fault is no error of this one
            table, unread = pd.DataFrame(columns=["name", "digest"]), str(error).partition("\n")[0]
        question = f"the digests of the variables of {name}"
        return Facts("platform", question, 0.0, answer=table, extra={"other": name, "unread": unread})

    def _secrets_of(self, other: Environment) -> pd.DataFrame:
        here, there = self.environment, other
        if there.platform is not None and here.platform is not None:
            asked_there, asked_here = text_of(there.platform.url, self.root), text_of(here.platform.url, self.root)
            if (asked_there, there.project_ref) == (asked_here, here.project_ref):
                raise UsageError(f"{other.name} is the same project as {here.name}, so there is nothing to compare")
        doors = Doors(other, self.release, phase=self.name, root=self.root)
        try:
            return doors.platform.secrets().table[["name", "digest"]]
        finally:
            doors.close()

    def function_archive(self) -> Facts:
        """The kept sources of the functions, one row per function and archive of this environment, newest first; whole ones only."""
        kept = functions_archive.archived(settings().reports_folder(self.root), self.environment.name)
        return Facts(kept.source, kept.question, kept.seconds, answer=kept.table[kept.table["whole"].fillna(False).astype(bool)])

    def function_sources(self) -> Facts:
        """Places in the deployed sources that look like credentials: path, line, kind. `extra` says what was looked at."""
        files: dict[str, bytes] = {}
        scanned: list[str] = []

        @asked("platform")
        def ask() -> tuple[str, pd.DataFrame]:
            for slug in self.release.functions:
                source = self.sources.platform.function_source(slug)
                if isinstance(source.error, SourceError) and "404" in str(source.error):
                    continue  # not deployed: the check says so
                source.table  # noqa: B018  (raises where it could not be had)
                scanned.append(slug)
                files.update({f"{slug}/{path}": content for path, content in source.extra["files"].items()})
            return f"the sources of {', '.join(scanned)}, as deployed", scan(files)

        facts = ask()
        facts.extra.update(files=len(files), names=list(self.release.functions), scanned=scanned)
        return facts

    @asked("release")
    def function_manifest(self) -> tuple[str, pd.DataFrame]:
        """What was reviewed, by hash: function, version, verify_jwt, source_sha256; empty where nothing was captured."""
        place = manifest.find(self.root, self.release.name, self.environment.name)
        if place is None:
            return "no manifest of the functions was captured", pd.DataFrame(columns=["function", "source_sha256"])
        try:
            return f"manifest {place.relative_to(self.root)}", manifest.read(place)
        except UsageError as error:
            raise SourceError(str(error), source="release") from None

    @asked("release")
    def source_uses(self) -> tuple[str, pd.DataFrame] | Facts:
        """What the functions' sources in the release's folder use: tables, columns, variables, imports, the service role …, by line."""
        if not self.release.links.functions:
            return Absent("release", f"the release {self.release.name} names no `links.functions`").facts("source_uses")
        folder = self.root / self.release.links.functions
        if not folder.is_dir():
            raise SourceError(f"{folder}: the release's links.functions is no folder; name the one with its sources", source="release")
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
        return f"the sources in {self.release.links.functions}", audit.read(files)

    def function_hashes(self) -> Facts:
        """What runs, by hash: function, source_sha256; no row for one that is not deployed. Sources are downloaded and dropped."""
        if isinstance(self.sources.platform, Absent):
            return self.sources.platform.facts("function_hashes")

        @asked("platform")
        def ask() -> tuple[str, pd.DataFrame]:
            rows = []
            for slug in self.release.functions:
                source = self.sources.platform.function_source(slug)
                if isinstance(source.error, SourceError) and "404" in str(source.error):
                    continue
                table = source.table
                rows.append((slug, manifest.source_hash(zip(table["path"], table["sha256"], strict=True))))
            question = f"the sources of {', '.join(self.release.functions)}, as deployed"
            return question, pd.DataFrame(rows, columns=["function", "source_sha256"]).astype("string")

        return ask()

    def rollback_targets(self, functions: Facts) -> Facts:
        """Per function: what runs now and the version a rollback would go back to, as the release says."""
        running = dict(zip(functions.answer["slug"], functions.answer["version"], strict=True)) if functions.answer is not None else {}
        rows = [(slug, running.get(slug), said.version, said.previous_version) for slug, said in self.release.functions.items()]
        return told("release", "versions of the release, beside those that run", rows, "function", "runs", "release", "goes back to")
