"""A small HTTP server on the loopback address that answers as it is told, byte by byte, and counts what it is asked."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Line:
    """One connection, and what was asked on it."""

    connection: socket.socket
    asked: Asked
    good: bytes
    """The body of a good answer to it."""
    kind: str
    """The good answer's content type."""
    over: threading.Event
    """Set when the test is over."""

    def say(self, raw: bytes) -> None:
        """Sends *raw* as it is."""
        self.connection.sendall(raw)

    def answer(self, status: str = "200 OK", body: bytes | None = None, *headers: str, kind: str = "") -> None:
        """A whole answer; the good body where none is given."""
        content = self.good if body is None else body
        about = (f"content-type: {kind or self.kind}", f"content-length: {len(content)}", "connection: close")
        lines = [f"HTTP/1.1 {status}", *about, *headers]
        self.say("\r\n".join(lines).encode() + b"\r\n\r\n" + content)

    def head(self, length: int) -> None:
        """A good head that promises *length* bytes."""
        self.say(f"HTTP/1.1 200 OK\r\ncontent-type: {self.kind}\r\ncontent-length: {length}\r\n\r\n".encode())

    def drip(self, piece: bytes) -> None:
        """Sends *piece* every 50 ms until nobody listens."""
        while not self.over.wait(0.05):
            self.say(piece)

    def flood(self, piece: bytes) -> None:
        """Sends *piece* as fast as it is taken, until nobody listens."""
        while not self.over.is_set():
            self.say(piece)

    def hang(self) -> None:
        """Says nothing more."""
        self.over.wait(30)

    def reset(self) -> None:
        """Ends the connection with RST."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


Way = Callable[[Line], None]


@dataclass
class Saboteur:
    """Where it listens and what it was asked."""

    port: int = 0
    requests: list[Asked] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def count(self, method: str) -> int:
        """How many requests of *method* arrived."""
        return sum(each.method == method for each in self.requests)


@contextmanager
def answering_badly(way: Way, good: Callable[[str], tuple[bytes, str]]) -> Iterator[Saboteur]:
    """Serves *way* to everyone; *good*: path → body and content type of the good answer."""
    over, told = threading.Event(), Saboteur()
    opened: list[socket.socket] = []

    def hold(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.settimeout(30)
            asked = _read(connection)
            if asked is None:
                return
            told.requests.append(asked)
            way(Line(connection, asked, *good(asked.target.partition("?")[0]), over))
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(1)
            while connection.recv(65536):
                pass

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                opened.append(connection)
                threading.Thread(target=hold, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        told.port = listener.getsockname()[1]
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield told
        finally:
            over.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            for each in opened:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()


def _read(connection: socket.socket) -> Asked | None:
    """A whole request; None where nobody asks."""
    read = b""
    while b"\r\n\r\n" not in read:
        more = connection.recv(65536)
        if not more:
            return None
        read += more
    head, _, body = read.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)) and (more := connection.recv(65536)):
        body += more
    return Asked(method, target, headers, body)
