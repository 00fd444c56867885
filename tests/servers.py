"""Servers that are no good: one that takes every call and never answers, one that answers everybody the same thing."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silent() -> Iterator[int]:
    """Accepts and never answers; yields the port."""
    with _serving(None) as port:
        yield port


@contextmanager
def answering(body: bytes, kind: str, status: str = "200 OK") -> Iterator[int]:
    """Answers whatever is asked over HTTP with *body*, and whoever does not speak HTTP too; yields the port."""
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    with _serving(head.encode() + body) as port:
        yield port


@contextmanager
def _serving(answer: bytes | None) -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    kept: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            kept.append(connection)
            if answer is not None:
                threading.Thread(target=_reply, args=(connection, answer), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
        for connection in kept:
            connection.close()


def _request(connection: socket.socket) -> None:
    """Reads a whole HTTP request, or whatever comes first of anything else: who answers earlier may be taken for one who broke off."""
    read = connection.recv(65536)
    while read[:4].isalpha() and b"\r\n\r\n" not in read and (more := connection.recv(65536)):
        read += more
    head, _, body = read.partition(b"\r\n\r\n")
    length = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    while len(body) < length and (more := connection.recv(65536)):
        body += more


def _reply(connection: socket.socket, answer: bytes) -> None:
    with contextlib.suppress(OSError):
        connection.settimeout(20)
        _request(connection)
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
