"""A deadline for a whole conversation: a time-out that starts again with every byte is none against a server that drips."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx

_now = threading.local()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """No single wait for a server watched by `watch`, in this thread, lasts beyond *seconds* from now; httpx raises its time-outs."""
    _now.ends = time.monotonic() + seconds
    try:
        yield
    finally:
        del _now.ends


def watch(client: httpx.Client) -> None:
    """Makes every connection *client* opens keep to `within`."""
    # httpx builds its pools itself and hands no network backend through: this is the one place that looks inside it
    for transport in {id(each): each for each in (client._transport, *client._mounts.values())}.values():
        pool = getattr(transport, "_pool", None)
        if isinstance(pool, httpcore.ConnectionPool):
            pool._network_backend = _Backend(pool._network_backend)


def _left(timeout: float | None) -> float | None:
    ends: float | None = getattr(_now, "ends", None)
    if ends is None:
        return timeout
    left = max(0.001, ends - time.monotonic())
    return left if timeout is None else min(timeout, left)


class _Backend(httpcore.NetworkBackend):
    def __init__(self, inner: httpcore.NetworkBackend) -> None:
        self._inner = inner

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:  # fmt: skip
        return _Stream(self._inner.connect_tcp(host, port, _left(timeout), local_address, socket_options))

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:  # fmt: skip
        return _Stream(self._inner.connect_unix_socket(path, _left(timeout), socket_options))

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._in_time(httpcore.ReadTimeout)
        return self._inner.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._in_time(httpcore.WriteTimeout)
        self._inner.write(buffer, _left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, _left(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

    @staticmethod
    def _in_time(late: type[Exception]) -> None:
        ends = getattr(_now, "ends", None)
        if ends is not None and time.monotonic() >= ends:
            raise late
