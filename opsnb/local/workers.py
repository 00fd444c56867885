"""One warm Deno process per edge function, started from the bundle that was uploaded.

A worker belongs to a function and a generation of the store: a deployment or a changed secret retires it
once its last request is answered. It may read its own source, reach the daemon and nothing else, and sees
only the variables it was given.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opsnb.local.store import Deployment

RUNTIME = Path(__file__).parent / "runtime" / "main.ts"
BOOT_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 2.0
MEMORY_MB = 256
LONGEST_LINE_BYTES = 1 << 20


class BootError(Exception):
    """A bundle could not be started; the text says why and is meant for the function's log, not for the caller."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something a worker said or that happened to it: a row of function_logs."""

    message: str
    level: str = "log"
    event_type: str = "Log"
    execution_id: str = ""


Report = Callable[[Deployment, Event], None]


def find_deno() -> Path:
    """The Deno binary of the `deno` wheel; raises FileNotFoundError where it is not installed."""
    try:
        import deno

        return Path(deno.find_deno_bin())
    except (ImportError, AttributeError):
        found = Path(sysconfig.get_path("scripts")) / "deno"
        if not found.exists():
            raise FileNotFoundError(f"{found} does not exist: install opsnb[local], which brings Deno") from None
        return found


class Worker:
    """A running process of one deployment. Use it through `Workers`."""

    def __init__(self, deployment: Deployment, generation: int, process: asyncio.subprocess.Process, report: Report) -> None:
        self.deployment = deployment
        self.generation = generation
        self.key = secrets.token_urlsafe(24)
        self.port = 0
        self.in_flight = 0
        self._process = process
        self._report = report
        self._retiring = False
        self._failure = ""
        self._ready = asyncio.Event()
        self._ended = asyncio.create_task(self._follow())

    @property
    def alive(self) -> bool:
        """Whether the process runs and is not about to stop."""
        return not self._ended.done() and self._process.returncode is None and not self._retiring

    async def exit_code(self, patience_s: float = 1.0) -> int | None:
        """The code the process ended with (negative: the signal); None where it still runs after *patience_s*."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await asyncio.shield(self._ended)
        return self._process.returncode

    async def boot(self, settings: Mapping[str, Any], timeout_s: float) -> None:
        """Hands over *settings* and waits until the function listens; raises BootError."""
        started = time.perf_counter()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({**settings, "key": self.key}).encode() + b"\n")
        try:
            async with asyncio.timeout(timeout_s):
                await self._process.stdin.drain()
                await self._ready.wait()
        except TimeoutError:
            self._failure = f"the function did not listen within {timeout_s:g} s"
        except ConnectionError:
            await self._ended
        if not self.port:
            await self.stop()
            raise BootError(self._failure or "the process ended before the function listened")
        self._report(self.deployment, Event(f"booted (time: {(time.perf_counter() - started) * 1000:.0f}ms)", event_type="Boot"))

    @contextlib.contextmanager
    def request(self) -> Iterator[None]:
        """Counts a request; the last one of a retired worker stops it."""
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1
            if self._retiring and not self.in_flight:
                self._close_stdin()

    def retire(self) -> None:
        """Stops the process as soon as nothing is in flight."""
        self._retiring = True
        if not self.in_flight:
            self._close_stdin()

    async def stop(self) -> None:
        """Stops the process now, by force where it does not obey."""
        self._retiring = True
        self._close_stdin()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await asyncio.shield(self._ended)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._ended

    def _close_stdin(self) -> None:
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.close()

    async def _follow(self) -> None:
        """Reads what the process says until it ends, and tells how it ended."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        await asyncio.gather(self._lines(self._process.stdout, self._said), self._lines(self._process.stderr, self._complained))
        code = await self._process.wait()
        if self.port and not self._retiring:
            self._report(self.deployment, Event(f"the worker ended unexpectedly (exit code {code})", "error", "WorkerCrash"))
        elif self.port:
            self._report(self.deployment, Event("shutdown", event_type="Shutdown"))
        self._close_stdin()
        self._ready.set()

    async def _lines(self, stream: asyncio.StreamReader, take: Callable[[str], None]) -> None:
        while True:
            try:
                line = await stream.readline()
            except ValueError:  # longer than the limit: what was read of it is dropped
                continue
            if not line:
                return
            if text := line.decode(errors="replace").rstrip("\r\n"):
                take(text)

    def _said(self, text: str) -> None:
        try:
            said = json.loads(text)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            self._report(self.deployment, Event(text))
        elif said.get("key") == self.key and isinstance(said.get("ready"), int):
            self.port = said["ready"]
            self._ready.set()
        elif said.get("key") == self.key and "failed" in said:
            self._failure = str(said["failed"])
        elif {"level", "event_message", "event_type", "execution_id"} <= said.keys():
            event = Event(str(said["event_message"]), str(said["level"]), str(said["event_type"]), str(said["execution_id"]))
            self._report(self.deployment, event)
        else:
            self._report(self.deployment, Event(text))

    def _complained(self, text: str) -> None:
        self._report(self.deployment, Event(text, "error"))


class Workers:
    """All workers of one target. *folder* keeps Deno's caches, *base_url* is the daemon's own address."""

    def __init__(
        self,
        folder: Path,
        base_url: str,
        environment: Callable[[], Mapping[str, str]],
        report: Report,
        *,
        boot_timeout_s: float = BOOT_TIMEOUT_S,
    ) -> None:
        self._folder = folder
        self._base_url = base_url.rstrip("/") + "/"
        self._environment = environment
        self._report = report
        self._boot_timeout_s = boot_timeout_s
        self._workers: dict[str, Worker] = {}
        self._retired: set[Worker] = set()
        self._locks: dict[str, asyncio.Lock] = {}

    async def get(self, deployment: Deployment, generation: int) -> Worker:
        """The worker of *deployment*, started where it does not run; raises BootError."""
        async with self._locks.setdefault(deployment.slug, asyncio.Lock()):
            worker = self._workers.get(deployment.slug)
            if worker is not None and worker.alive and worker.generation >= generation:
                return worker
            if worker is not None:
                self._retire(worker)
            started = await self._start(deployment, generation)
            self._workers[deployment.slug] = started
            return started

    def running(self) -> dict[str, int]:
        """Process ids of the workers that answer requests, by slug."""
        return {slug: worker._process.pid for slug, worker in sorted(self._workers.items()) if worker.alive}

    async def close(self) -> None:
        """Stops every worker; the object can be used again afterwards."""
        workers = [*self._workers.values(), *self._retired]
        self._workers.clear()
        self._retired.clear()
        await asyncio.gather(*(worker.stop() for worker in workers))

    def _retire(self, worker: Worker) -> None:
        self._workers.pop(worker.deployment.slug, None)
        worker.retire()
        self._retired = {other for other in self._retired if not other._ended.done()} | {worker}

    async def _start(self, deployment: Deployment, generation: int) -> Worker:
        cache = self._folder / "deno"
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command(deployment),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=LONGEST_LINE_BYTES,
                cwd=deployment.source_dir,  # what `--allow-read=.` means: a path of its own could hold a comma
                # nothing of the daemon's own environment: a function sees its variables, Deno its cache
                env={"DENO_DIR": str(cache), "DENO_NO_UPDATE_CHECK": "1", "DENO_NO_PACKAGE_JSON": "1", "NO_COLOR": "1"},
                start_new_session=True,
            )
        except OSError as error:
            self._report(deployment, Event(f"worker boot error: Deno could not be started: {error.strerror}", "error", "BootFailure"))
            raise BootError("Deno could not be started") from error
        worker = Worker(deployment, generation, process, self._report)
        settings = {"entrypoint": deployment.entrypoint.resolve().as_uri(), "environment": dict(self._environment()), "url": self._base_url}
        try:
            await worker.boot(settings, self._boot_timeout_s)
        except BootError as error:
            self._report(deployment, Event(f"worker boot error: {error}", "error", "BootFailure"))
            raise
        except BaseException:
            await worker.stop()
            raise
        return worker

    def _command(self, deployment: Deployment) -> list[str]:
        address = self._base_url.split("//", 1)[-1].rstrip("/")
        command = [
            str(find_deno()), "run", "--quiet", "--no-prompt", "--no-remote", "--no-npm", "--cached-only", "--no-config", "--no-lock",
            f"--allow-net=127.0.0.1:0,{address}", "--allow-read=.", f"--v8-flags=--max-old-space-size={MEMORY_MB}",
        ]  # fmt: skip
        if deployment.import_map_path:
            command.append(f"--import-map={deployment.source_dir / deployment.import_map_path}")
        return [*command, str(RUNTIME)]
