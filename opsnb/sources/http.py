"""HTTP as every door uses it: time-outs, plain sentences for what goes wrong, no redirects, nothing logged."""

from __future__ import annotations

import json
import logging
import math
import re
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from opsnb.errors import SourceDenied, SourceError, SourceNonsense, SourceTimeout, UsageError
from opsnb.sources import deadline

RETRY_STATUS = (502, 503, 504)
RETRIES = 2
LIMITED = 4
"""How often a GET is asked again because of a rate limit."""
LONGEST_WAIT_S = 65.0
"""How long a GET waits for rate limits in all: the platform's are per minute."""
PATIENCE, GIVEN_UP_S = 2, 30.0
"""After so many GETs in a row without an answer in time, none is sent for so long."""
LARGEST_BODY = 64 * 1024 * 1024
"""Bytes; a bundle of functions may have 20 MB."""
_CONNECT_S = 5.0
_PIECE = 1024 * 1024
_HEADER = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")

_PERMISSION = re.compile(r"(?=.{1,60}$)[a-z]+(?:[_:.-][a-z]+)*")

_OF_THE_LINE = ("content-encoding", "content-length", "transfer-encoding")
"""Headers about a body as it was sent, not as it was read."""

# these libraries log every address they ask, and with it what was asked
for _library in ("httpx", "httpcore"):
    logging.getLogger(_library).setLevel(logging.WARNING)


class Http:
    """One client for one system. *headers* and *auth* go with every request and are never shown.

    *timeout_s* is for a whole answer, not for each piece of it. *sleep* and *clock* (seconds) are injected by tests.
    """

    def __init__(
        self,
        base_url: str,
        *,
        source: str,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout_s: float = 10,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.source = source
        self._base = base_url
        self._timeout_s = timeout_s
        self._sleep = sleep
        self._clock = clock
        self._timeouts = 0
        self._given_up_until = -math.inf
        try:
            url = httpx.URL(base_url)
        except httpx.InvalidURL:
            raise UsageError(f"{source}: the address is no URL; look at the environment's file") from None
        if not all(_HEADER.fullmatch(value) for value in (headers or {}).values()):
            raise UsageError(
                f"{source}: a key or token holds what no header may (a line break, a letter beyond ASCII); look at its reference"
            )
        self.where = f"{url.host}:{url.port}" if url.port else url.host
        """Host and port, for sentences."""
        direct: dict[str, None] = {f"all://{host}": None for host in ("127.0.0.1", "localhost", "[::1]")}
        self._client = httpx.Client(
            headers={"user-agent": "opsnb", **(headers or {})}, auth=auth, follow_redirects=False, transport=transport,
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_S)),
            mounts=None if transport else direct,  # a proxy cannot reach what listens on this machine
        )  # fmt: skip
        deadline.watch(self._client)

    def get(self, path: str, *, params: Any = None, headers: dict[str, str] | None = None, missing: str = "") -> httpx.Response:
        """A GET and its good answer; asked again on broken connections and 502 to 504, a rate limit is waited for.

        Raises SourceError for any other; *missing* says in words what a 404 means here.
        """
        question = f"GET {path}"
        retries, limited, waited = 0, 0, 0.0
        if self._clock() < self._given_up_until:
            raise SourceTimeout(
                f"{self.where} did not answer {PATIENCE} times in a row; not asked again yet", source=self.source, question=question
            )  # fmt: skip
        while True:
            try:
                response = self.request("GET", path, params=params, headers=headers)
            except SourceTimeout:
                # it was given its time; a phase asks many questions, and would spend its deadline on one system that is gone
                self._timeouts += 1
                if self._timeouts >= PATIENCE:
                    self._given_up_until = self._clock() + GIVEN_UP_S
                raise
            except SourceNonsense:
                raise
            except SourceError:
                if retries == RETRIES:
                    raise
                response = None
            else:
                self._timeouts = 0
            if response is not None and response.status_code == 429:
                reset = _to_wait(response, limited)
                if limited < LIMITED and waited + reset <= LONGEST_WAIT_S:
                    limited += 1
                    waited += reset
                    self._sleep(reset)
                    continue
            if response is not None and (response.status_code not in RETRY_STATUS or retries == RETRIES):
                return self._good(response, question, missing)
            self._sleep(0.2 * 2**retries)
            retries += 1

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request, once, whatever its status; SourceError where no whole answer came in time."""
        question = f"{method} {path}"
        where = {"source": self.source, "question": question}
        ends = self._clock() + self._timeout_s
        begun = False
        try:
            # joined as text: httpx would add a slash to a base that is a whole address
            with deadline.within(self._timeout_s), self._client.stream(method, self._base + path, **options) as response:
                if response.is_closed:
                    return response  # a transport may answer whole
                begun = True
                body = bytearray()
                for piece in _unpacked(response):  # decoded: a small body may be a large one packed
                    body += piece
                    if self._clock() > ends:
                        raise SourceTimeout(f"{self.where} did not end its answer within {self._timeout_s:g} s", **where)
                    if len(body) > LARGEST_BODY:
                        raise SourceNonsense(f"{self.where} answered more than {LARGEST_BODY // 1024**2} MB", **where)
                kept = [(name, value) for name, value in response.headers.multi_items() if name not in _OF_THE_LINE]
                return httpx.Response(response.status_code, headers=kept, content=bytes(body), request=response.request, extensions={})
        except httpx.ConnectTimeout:
            seconds = min(self._timeout_s, _CONNECT_S)
            raise SourceTimeout(f"{self.where} took no connection within {seconds:g} s; is it reachable from here?", **where) from None
        except httpx.TimeoutException:
            did_not = "end its answer" if begun else "answer"
            raise SourceTimeout(f"{self.where} did not {did_not} within {self._timeout_s:g} s", **where) from None
        except httpx.ConnectError as error:
            raise SourceError(self._unreached(error), **where) from None
        except httpx.DecodingError:
            raise SourceNonsense(f"{self.where} answered a body that is not encoded as it says", **where) from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError):  # the last is of a host such as a..b
            raise SourceError("the address is no URL of http or https; look at the environment's file", **where) from None
        except httpx.RemoteProtocolError:
            raise SourceError(f"{self.where} broke off, or does not speak HTTP", **where) from None
        except httpx.HTTPError as error:
            raise SourceError(f"{self.where} broke off the conversation ({type(error).__name__})", **where) from None

    def json(self, response: httpx.Response, question: str) -> Any:
        """The body as JSON; SourceNonsense where it is none, names a key of an object twice, or a number JSON does not have."""
        try:
            # as UTF-8, which JSON is: Python would guess UTF-16 as well
            return json.loads(response.content.decode("utf-8-sig"), parse_constant=_no_number, object_pairs_hook=_once)
        except (ValueError, RecursionError):
            raise SourceNonsense(f"{self.where} answered something that is not JSON", source=self.source, question=question) from None

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def _unreached(self, error: httpx.ConnectError) -> str:
        text = str(error).lower()
        if "certificate" in text or "ssl" in text:
            return f"{self.where}: its certificate is not trusted here, or it does not speak TLS"
        if "name or service not known" in text or "getaddrinfo" in text or "resolution" in text or "nodename" in text:
            return f"the host of {self.where} is not known; look at the address in the environment's file"
        return f"nothing answers at {self.where}; is it running and reachable from here?"

    def _good(self, response: httpx.Response, question: str, missing: str) -> httpx.Response:
        """The response where it is a good one; SourceError in words where it is not."""
        status = response.status_code
        if status == 200:
            return response
        where = {"source": self.source, "question": question}
        if 200 <= status < 300:  # accepted for later, without content, a part of it
            raise SourceNonsense(f"{self.where} answered {status}, which is not the whole answer", **where)
        if status == 401:
            raise SourceDenied(f"{self.where} does not know the token (401); it may have expired", **where)
        if status == 402:
            raise SourceDenied(f"{self.where} says that the plan does not include this (402)", **where)
        if status == 403:
            raise SourceDenied(f"{self.where} refuses this token (403){_lacking(response)}", **where)
        if status == 404:
            raise SourceError(f"{self.where} does not have this (404)" + (f": {missing}" if missing else ""), **where)
        if status == 429:
            raise SourceError(f"{self.where} limits how often it may be asked (429); try again in a minute", **where)
        if status < 400:
            raise SourceNonsense(f"{self.where} sends elsewhere ({status}); name the final URL", **where)
        raise SourceError(f"{self.where} answered {status}", **where)


def unreached(error: SourceError) -> bool:
    """Whether *error* of `Http.request` says that no connection came about, so that nothing was asked."""
    # "from None" hides the cause from readers, not from us
    return isinstance(error.__context__, httpx.ConnectError | httpx.ConnectTimeout)


def _lacking(response: httpx.Response) -> str:
    """Which permissions a refusal names."""
    try:
        told = json.loads(response.content)
    except (ValueError, RecursionError):
        return ""
    names = told.get("missing_permissions") if isinstance(told, dict) else None
    # only what looks like the name of a permission: whatever else stands there may be a quotation
    good = [name for name in names if isinstance(name, str) and _PERMISSION.fullmatch(name)] if isinstance(names, list) else []
    return f"; the token lacks {', '.join(good)}" if good else ""


def _unpacked(response: httpx.Response) -> Iterator[bytes]:
    """The body's pieces, decoded; httpx.DecodingError where a packed one ends before its end, which httpx itself lets pass."""
    if response.headers.get("content-encoding", "").strip().lower() != "gzip":
        yield from response.iter_bytes()
        return
    unpacking = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        for piece in response.iter_raw():
            left = piece
            while left and not unpacking.eof:
                yield unpacking.decompress(left, _PIECE)
                left = unpacking.unconsumed_tail
    except zlib.error:
        raise httpx.DecodingError("not gzip", request=response.request) from None
    if not unpacking.eof or unpacking.unused_data:
        raise httpx.DecodingError("no end, or more than one", request=response.request)


def _no_number(_: str) -> Any:
    """NaN and Infinity, which Python reads and JSON does not have: a comparison with either is never over a limit."""
    raise ValueError


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; ValueError where a key comes twice, because nobody knows which of the two is meant."""
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError
    return made


def _to_wait(response: httpx.Response, limited: int) -> float:
    """How long a rate limit asks to wait (s); a second, and twice as long each time, where it does not say."""
    for name in ("x-ratelimit-reset", "retry-after"):
        try:
            seconds = float(response.headers.get(name, ""))
        except ValueError:
            continue  # Retry-After may be a date, by a clock that is not ours
        if math.isfinite(seconds) and seconds > 0:
            return max(0.1, seconds)
    return float(2**limited)
