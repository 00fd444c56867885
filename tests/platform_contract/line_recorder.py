"""A door in front of the local platform that hands everything through and keeps what was said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
from platform_description import Exchange

_OF_THE_LINE = ("transfer-encoding", "connection", "content-length", "date", "server", "content-encoding")


@contextmanager
def recording(platform_url: str) -> Iterator[tuple[str, list[Exchange]]]:
    """Yields the address to use in the place of *platform_url*, and the list every exchange is appended to."""
    kept: list[Exchange] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _hand_through(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            told = {name.lower(): value for name, value in self.headers.items()}
            sent = {name: value for name, value in told.items() if name not in ("host", *_OF_THE_LINE)}
            answer = client.request(self.command, platform_url + self.path, content=body, headers=sent)
            headers = {name.lower(): value for name, value in answer.headers.items()}
            kept.append(Exchange(self.command, self.path, told, body, answer.status_code, headers, answer.content))
            self.send_response(answer.status_code)
            for name, value in headers.items():
                if name not in _OF_THE_LINE:
                    self.send_header(name, value)
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _hand_through  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with httpx.Client(timeout=60, trust_env=False) as client, ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", kept
        finally:
            server.shutdown()
            thread.join(10)
