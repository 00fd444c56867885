"""Chromium without a network, and what it made of a page."""

from __future__ import annotations

import html
import os
import re
import shutil
import socketserver
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
NEEDED = [pytest.mark.browser, pytest.mark.skipif(BROWSER is None, reason="Chromium is not installed")]

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-extensions", "--enable-logging=stderr",
    "--hide-scrollbars", "--proxy-bypass-list=<-loopback>", "--virtual-time-budget=8000",
)  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """What a browser made of a page: its elements afterwards, and what it complained of."""

    dom: str
    console: tuple[str, ...]
    title: str
    requests: tuple[str, ...]


# what the browser asks for on its own account, whatever the page
BROWSERS_OWN = re.compile(r"(?:^|[ /.])(?:google|googleapis|gstatic|gvt1)\.com[:/ ]")


@contextmanager
def no_network() -> Iterator[tuple[int, list[str]]]:
    """A proxy that answers nothing and keeps the first line of every request: the only way out the browser has."""
    asked: list[str] = []

    class Refuse(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            asked.append(self.rfile.readline(2000).decode("latin-1").strip())

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Refuse) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1], asked
        finally:
            server.shutdown()
            thread.join()


def browse(page: Path, *flags: str) -> Seen:
    assert BROWSER is not None
    with tempfile.TemporaryDirectory(prefix="opsnb-browser-", ignore_cleanup_errors=True) as profile, no_network() as (port, asked):
        ended = subprocess.run(
            [BROWSER, *FLAGS, f"--proxy-server=127.0.0.1:{port}", f"--user-data-dir={profile}", *flags, "--dump-dom", page.as_uri()],
            capture_output=True, text=True, timeout=120, env={**os.environ, "HOME": profile}, check=False,
        )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-2000:]
    title = re.search(r"<title>(.*?)</title>", ended.stdout, re.S)
    return Seen(
        dom=ended.stdout,
        console=tuple(line for line in ended.stderr.splitlines() if "CONSOLE" in line),
        title=html.unescape(title.group(1)) if title else "",
        requests=tuple(line for line in asked if not BROWSERS_OWN.search(line)),
    )


def without_policy(page: str) -> str:
    """*page* without its Content-Security-Policy, which forbids the scripts that measure it."""
    return re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
