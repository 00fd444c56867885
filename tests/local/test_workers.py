"""Workers: one warm Deno process per function, with nothing but what it was given."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from opsnb.local.store import Deployment, FunctionStore
from opsnb.local.workers import RUNTIME, BootError, Event, Worker, Workers, find_deno

HELLO = "Deno.serve(() => new Response(String(Deno.pid)));"


class Bench:
    """A store and its workers; `events` is what they reported."""

    def __init__(self, folder: Path, **options: float) -> None:
        self.store = FunctionStore(folder / "store, with a comma")
        self.events: list[Event] = []
        base_url = "http://127.0.0.1:59999"
        self.workers = Workers(folder, base_url, lambda: {"GIVEN": "yes"}, lambda _, event: self.events.append(event), **options)

    def deploy(self, source: str, slug: str = "f", **files: str) -> Deployment:
        sources = {"index.ts": source.encode()} | {name: text.encode() for name, text in files.items()}
        return self.store.deploy(slug, sources, "index.ts")

    async def get(self, deployment: Deployment) -> Worker:
        return await self.workers.get(deployment, self.store.generation)

    async def ask(self, worker: Worker) -> str:
        async with httpx.AsyncClient(trust_env=False) as client:
            with worker.request():
                answer = await client.get(f"http://127.0.0.1:{worker.port}/", headers={"x-opsnb-worker-key": worker.key})
        return answer.text

    def messages(self, event_type: str) -> list[str]:
        return [event.message for event in self.events if event.event_type == event_type]


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., None]:
    def run(scenario: Callable[[Bench], Awaitable[None]], **options: float) -> None:
        async def whole() -> None:
            bench = Bench(tmp_path, **options)
            try:
                await scenario(bench)
            finally:
                await bench.workers.close()

        asyncio.run(whole())

    return run


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def gone(pid: int) -> bool:
    for _ in range(100):
        if not alive(pid):
            return True
        await asyncio.sleep(0.02)
    return False


def test_a_worker_is_started_once_and_kept_warm(run):
    async def scenario(bench: Bench) -> None:
        deployment = bench.deploy(HELLO)
        first, second = await asyncio.gather(bench.get(deployment), bench.get(deployment))
        assert first is second
        assert await bench.ask(first) == await bench.ask(first) == str(bench.workers.running()["f"])
        assert len(bench.messages("Boot")) == 1

    run(scenario)


def test_a_deployment_retires_the_worker_after_its_last_request(run):
    async def scenario(bench: Bench) -> None:
        wait = "await new Promise((r) => setTimeout(r, 300))"
        old = await bench.get(bench.deploy(f"Deno.serve(async () => {{ {wait}; return new Response('old'); }});"))
        pid = bench.workers.running()["f"]
        waiting = asyncio.create_task(bench.ask(old))
        await asyncio.sleep(0.05)
        new = await bench.get(bench.deploy("Deno.serve(() => new Response('new'));"))
        assert await bench.ask(new) == "new"
        assert await waiting == "old"
        assert await gone(pid)

    run(scenario)


def test_a_secret_that_changed_starts_a_new_worker(run):
    async def scenario(bench: Bench) -> None:
        deployment = bench.deploy(HELLO)
        before = await bench.ask(await bench.get(deployment))
        bench.store.set_secrets({"NEW": "value"})
        assert await bench.ask(await bench.get(deployment)) != before

    run(scenario)


def test_a_crash_is_reported_and_mended_by_the_next_request(run):
    async def scenario(bench: Bench) -> None:
        crash = "setTimeout(() => { throw new Error('outside any request'); }, 0)"
        deployment = bench.deploy(f"Deno.serve(() => {{ {crash}; return new Response('ok'); }});")
        worker = await bench.get(deployment)
        assert await bench.ask(worker) == "ok"
        assert await worker.exit_code() == 1
        assert "exit code 1" in bench.messages("WorkerCrash")[0]
        assert "outside any request" in bench.messages("UncaughtException")[0]
        assert await bench.ask(await bench.get(deployment)) == "ok"

    run(scenario)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("this is not TypeScript", "this is not|Expected"),
        ("throw new Error('no configuration');", "no configuration"),
        ("export const nothing = 1;", "neither called Deno.serve"),
        ("import 'https://example.org/remote.ts'; Deno.serve(() => new Response());", "remote"),
        ("import 'npm:left-pad'; Deno.serve(() => new Response());", "npm|Import"),
        ("import '../../secret.ts'; Deno.serve(() => new Response());", "secret|read access|not found"),
        ("Deno.exit(3);", "ended before"),
    ],
)
def test_what_cannot_boot_says_why(run, source, reason):
    async def scenario(bench: Bench) -> None:
        with pytest.raises(BootError, match=reason):
            await bench.get(bench.deploy(source))
        assert len(bench.messages("BootFailure")) == 1
        assert not bench.workers.running()

    run(scenario)


def test_a_function_that_never_listens_is_given_up(run):
    async def scenario(bench: Bench) -> None:
        with pytest.raises(BootError, match=r"did not listen within 0\.5 s"):
            await bench.get(bench.deploy("await new Promise(() => {}); Deno.serve(() => new Response());"))

    run(scenario, boot_timeout_s=0.5)


def test_an_export_is_served_as_the_platform_does(run):
    async def scenario(bench: Bench) -> None:
        assert await bench.ask(await bench.get(bench.deploy("export default { fetch: () => new Response('exported') };"))) == "exported"

    run(scenario)


PROBE = """
async function outcome(attempt: () => unknown): Promise<string> {
  try { return String(await attempt()); } catch (error) { return (error as Error).name; }
}
Deno.serve(async () => Response.json({
  given: Deno.env.get("GIVEN"), foreign: Deno.env.get("PATH") ?? null, all: Object.keys(Deno.env.toObject()),
  set: await outcome(() => Deno.env.set("A", "B")),
  source: await outcome(() => Deno.readTextFileSync("data.txt")),
  file: await outcome(() => Deno.readTextFileSync("/etc/hostname")),
  parent: await outcome(() => Deno.readTextFileSync("../../state.json")),
  write: await outcome(() => Deno.writeTextFileSync("data.txt", "")),
  net: await outcome(() => fetch("http://127.0.0.1:59998/")),
  daemon: await outcome(() => fetch("http://127.0.0.1:59999/")),
  process: await outcome(() => new Deno.Command("/bin/true").outputSync()),
  system: await outcome(() => Deno.hostname()),
}));
"""


def test_a_function_may_do_no_more_than_it_needs(run):
    async def scenario(bench: Bench) -> None:
        told = json.loads(await bench.ask(await bench.get(bench.deploy(PROBE, **{"data.txt": "mine"}))))
        assert told == {
            "given": "yes", "foreign": None, "all": ["GIVEN"], "set": "NotSupported", "source": "mine",
            "file": "NotCapable", "parent": "NotCapable", "write": "NotCapable", "net": "NotCapable",
            "daemon": "TypeError",  # allowed, and nobody listens there
            "process": "NotCapable", "system": "NotCapable",
        }  # fmt: skip

    run(scenario)


def test_nobody_passes_by_the_gateway(run):
    async def scenario(bench: Bench) -> None:
        worker = await bench.get(bench.deploy("Deno.serve((r) => new Response(r.headers.get('x-opsnb-worker-key')));"))
        async with httpx.AsyncClient(trust_env=False) as client:
            for headers in ({}, {"x-opsnb-worker-key": "guess"}):
                assert (await client.get(f"http://127.0.0.1:{worker.port}/", headers=headers)).status_code == 403
        assert await bench.ask(worker) == ""  # and the function never sees the key

    run(scenario)


def test_secrets_are_not_in_the_process_table(run):
    async def scenario(bench: Bench) -> None:
        await bench.get(bench.deploy(HELLO))
        process = Path("/proc") / str(bench.workers.running()["f"])
        assert b"GIVEN" not in (process / "environ").read_bytes() + (process / "cmdline").read_bytes()

    run(scenario)


def test_output_becomes_events(run):
    async def scenario(bench: Bench) -> None:
        source = """
        Deno.serve(() => {
          console.log("plain", { a: 1 }); console.warn("careful"); console.error(new Error("wrong")); console.debug("x".repeat(20000));
          Deno.stdout.writeSync(new TextEncoder().encode('{"level": 1}\\nraw\\n'));
          return new Response();
        });"""
        await bench.ask(await bench.get(bench.deploy(source)))
        await asyncio.sleep(0.1)
        said = [(event.level, event.message.splitlines()[0][:20]) for event in bench.events if event.event_type == "Log"]
        assert said == [
            ("log", "plain { a: 1 }"), ("warning", "careful"), ("error", "Error: wrong"), ("debug", "x" * 20),
            ("log", '{"level": 1}'), ("log", "raw"),
        ]  # fmt: skip
        assert max(len(event.message) for event in bench.events) == 10_000

    run(scenario)


def test_closing_leaves_no_process(run):
    async def scenario(bench: Bench) -> None:
        for slug, source in {"calm": HELLO, "busy": "Deno.serve(() => new Response()); setTimeout(() => { for (;;); }, 50);"}.items():
            await bench.get(bench.deploy(source, slug))
        pids = list(bench.workers.running().values())
        await asyncio.sleep(0.2)
        await bench.workers.close()
        assert len(pids) == 2
        assert not any(map(alive, pids))

    run(scenario)


def test_a_worker_does_not_outlive_the_daemon(tmp_path):
    (tmp_path / "index.ts").write_text(HELLO)
    settings = {"entrypoint": (tmp_path / "index.ts").as_uri(), "environment": {}, "key": "k", "url": "http://127.0.0.1:9/"}
    command = [find_deno(), "run", "--quiet", "--no-prompt", "--allow-net=127.0.0.1:0", "--allow-read=.", RUNTIME]
    with subprocess.Popen(
        command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"DENO_DIR": str(tmp_path / "deno")}
    ) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(json.dumps(settings).encode() + b"\n")
        worker.stdin.flush()
        assert "ready" in json.loads(worker.stdout.readline())
        worker.stdin.close()  # what the kernel does when the daemon is killed
        assert worker.wait(5) == 0
