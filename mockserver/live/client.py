"""An HTTP client for live endpoints that keeps the raw bytes of a reply, their times and how it ended."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mockserver import __version__
from mockserver.errors import EventTooLarge
from mockserver.live.background import BackgroundWorker
from mockserver.live.connections import CONNECT_TIMEOUT
from mockserver.live.endpoint import Endpoint, stays_below_base_path
from mockserver.live.spending import Spending, spending_of_reply
from mockserver.wire import json, sse
from mockserver.wire.redaction import mask_reply

if TYPE_CHECKING:
    import httpx

__all__ = [
    "LEAVE_OUT_RESPONSES",
    "Client",
    "Interaction",
    "LiveRequest",
    "ReplyEnd",
    "Timeouts",
    "not_found_message",
    "refused_key_message",
    "unreachable_message",
    "unreachable_reason",
]

#: What to do about a base URL that names the create endpoint.
LEAVE_OUT_RESPONSES = "leave /responses out of --base-url"

#: Maximum number of bytes of a reply to read.
MAX_REPLY_BYTES = 32 << 20

#: Maximum number of chunks of a reply to read: each has a time of its own, whatever its size.
MAX_REPLY_CHUNKS = 200_000


class ReplyEnd(StrEnum):
    """How a reply ended."""

    COMPLETE = "complete"
    STOPPED = "stopped by us"
    CUT = "cut"
    STALLED = "stalled"
    TIMED_OUT = "timed out"
    TOO_LONG = "too long"
    UNREACHABLE = "unreachable"
    NOT_SENT = "not sent"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Time limits of a reply, in seconds."""

    total: float = 120.0
    """From the request to the last byte."""
    stall: float = 30.0
    """Between two chunks of the body."""


@dataclass(frozen=True, slots=True)
class LiveRequest:
    """One request to send."""

    body: Any = None
    """A JSON value, or raw bytes; None: no body."""
    method: str = "POST"
    path: str = "/responses"
    """Relative to the base URL."""
    api_key: str | None = ""
    """A key to send instead of the endpoint's; None: no key; "": the endpoint's."""
    headers: Mapping[str, str] = field(default_factory=dict)
    stop_after_events: int | None = None
    """Disconnect after this many events."""
    expected_tokens: int = 0
    """Expected cost in tokens."""

    @property
    def streamed(self) -> bool:
        """Whether the request asks for a stream."""
        return isinstance(self.body, dict) and self.body.get("stream") is True

    @property
    def content(self) -> bytes:
        """The body's bytes."""
        if self.body is None:
            return b""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body)


@dataclass(frozen=True)
class Interaction:
    """A request and its reply, without the API key."""

    request: LiveRequest
    url: str
    status: int | None
    """None if no reply began."""
    headers: Mapping[str, str]
    """By lower-case name."""
    chunks: tuple[tuple[float, bytes], ...]
    """The chunks of the body, each with the seconds from the request to its arrival."""
    end: ReplyEnd
    detail: str
    """Details of an end other than `COMPLETE`."""
    duration: float
    """Seconds from the request to the end of the reply."""

    @cached_property
    def body(self) -> bytes:
        """The whole body."""
        return b"".join(data for _, data in self.chunks)

    @cached_property
    def value(self) -> Any:
        """The body's JSON value; None if it is not JSON."""
        return json.loads_or_none(self.body)

    @cached_property
    def frames(self) -> tuple[sse.Frame, ...]:
        """The frames of a stream that arrived."""
        return sse.decode_frames(self.body)

    @cached_property
    def events(self) -> tuple[Any, ...]:
        """The events of a stream in order; None stands for one that is not JSON."""
        texts = (frame.data for frame in self.frames if frame.data is not None)
        return tuple(json.loads_or_none(text) for text in texts if text.strip() != sse.DONE_DATA)

    @property
    def is_stream(self) -> bool:
        """Whether the body holds events, whatever the request asked for."""
        return any(isinstance(event, dict) for event in self.events) and not isinstance(self.value, dict)

    @property
    def response(self) -> dict[str, Any] | None:
        """The final response object, streamed or not; None if there is none."""
        if isinstance(self.value, dict):
            return self.value if self.value.get("object") == "response" or "output" in self.value else None
        for event in reversed(self.events):
            if isinstance(event, dict) and isinstance(event.get("response"), dict):
                response: dict[str, Any] = event["response"]
                return response
        return None

    @property
    def output(self) -> list[dict[str, Any]]:
        """The items of the final response."""
        output = (self.response or {}).get("output")
        return [item for item in output if isinstance(item, dict)] if isinstance(output, list) else []

    @property
    def tokens(self) -> int:
        """The cost in tokens: from `usage`, or the expected cost if the reply has none."""
        usage = (self.response or {}).get("usage")
        total = usage.get("total_tokens") if isinstance(usage, dict) else None
        if isinstance(total, int) and total >= 0:
            return total
        return 0 if self.status is None or self.status >= 400 else self.request.expected_tokens

    @property
    def spending(self) -> Spending:
        """The counts that a bill consists of."""
        usage = (self.response or {}).get("usage")
        return spending_of_reply(usage, self.output, len(self.request.content), self.tokens)

    @property
    def time_to_first_byte(self) -> float | None:
        """Seconds to the first chunk of the body."""
        return self.chunks[0][0] if self.chunks else None

    @cached_property
    def time_to_first_token(self) -> float | None:
        """Seconds to the first delta of a stream."""
        decoder = sse.Decoder()
        for at, data in self.chunks:
            try:
                frames: Sequence[sse.Frame] = decoder.feed(data)
            except EventTooLarge as error:
                return at if _has_delta(error.frames) else None
            if _has_delta(frames):
                return at
        return None

    @property
    def longest_gap(self) -> float | None:
        """The longest silence between two chunks, in seconds."""
        times = [at for at, _ in self.chunks]
        return max((later - at for at, later in itertools.pairwise(times)), default=None)


def _has_delta(frames: Iterable[sse.Frame]) -> bool:
    return any(frame.data is not None and '.delta"' in frame.data for frame in frames)


def unreachable_reason(endpoint: Endpoint) -> str:
    """Why no connection to the endpoint is possible; empty if it is. Sends no request."""
    reasons: list[str] = []
    worker = BackgroundWorker("connection")
    worker.submit(lambda: reasons.append(_connection_error(endpoint)))
    # The time-out of a socket is for each read, and a handshake has many.
    worker.wait(CONNECT_TIMEOUT)
    worker.close()
    return reasons[0] if reasons else f"no connection within {CONNECT_TIMEOUT:g} s"


def _connection_error(endpoint: Endpoint) -> str:
    try:
        endpoint.connection.try_connection(urlsplit(endpoint.base_url))
    except OSError as error:
        return error.strerror or str(error)
    return ""


def refused_key_message(endpoint: Endpoint) -> str:
    """The error message if the endpoint answers with 401, with the remedy."""
    return (
        f"{endpoint.base_url} refuses the key in {endpoint.api_key_env} (HTTP status 401); "
        "check that the key belongs to that region"
    )


def not_found_message(endpoint: Endpoint, path: str, reason: str) -> str:
    """The error message if the endpoint answers with 404, with the remedy."""
    reason = f": {reason.rstrip('.')}" if reason else ""
    remedy = (
        LEAVE_OUT_RESPONSES
        if endpoint.base_url.endswith("/responses")
        else "check the path of --base-url, and --model"
    )
    return f"{endpoint.base_url}{path} was not found (HTTP status 404{reason}); {remedy}"


def unreachable_message(endpoint: Endpoint, reason: str) -> str:
    """The error message if no connection is possible, with the remedy."""
    reason = endpoint.redact(reason)
    hint = endpoint.connection.hint(reason) or "; check the host and port of --base-url"
    return f"cannot reach the endpoint {endpoint.base_url}: {reason}{hint}"


class Client:
    """Sends requests to one endpoint. Follows no redirects and never retries.

    An event loop in a thread of its own does so: only there can a time limit end whatever the endpoint keeps
    waiting for, such as a head that comes byte by byte.
    """

    def __init__(
        self, endpoint: Endpoint, timeouts: Timeouts, clock: Callable[[], float] = time.monotonic
    ) -> None:
        import httpx
        from anyio.from_thread import start_blocking_portal

        self._endpoint = endpoint
        self._timeouts = timeouts
        self._clock = clock
        self._http = httpx.AsyncClient(
            **endpoint.connection.httpx_options(),
            headers={"accept-encoding": "identity", "user-agent": f"responses-mockserver/{__version__}"},
        )
        self._thread = ExitStack()
        self._portal = self._thread.enter_context(start_blocking_portal())

    def close(self) -> None:
        """Close the connections, also that of a request that was interrupted."""
        self._portal.call(self._http.aclose)
        self._portal.call(self._portal.stop, True)
        self._thread.close()

    def send(self, request: LiveRequest) -> Interaction:
        """Send a request and read the reply to its end or to a limit. Never raises for what the endpoint does."""
        reader = _ReplyReader(self._http, self._endpoint, self._timeouts, self._clock, request)
        return self._portal.call(reader.read)


class _ReplyReader:
    """The state of one reply while it is read."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        endpoint: Endpoint,
        timeouts: Timeouts,
        clock: Callable[[], float],
        request: LiveRequest,
    ) -> None:
        self._http = http
        self._endpoint = endpoint
        self._timeouts = timeouts
        self._clock = clock
        self._request = request
        self._chunks: list[tuple[float, bytes]] = []
        self._status: int | None = None
        self._headers: Mapping[str, str] = {}
        self._start = clock()

    async def read(self) -> Interaction:
        end, detail = await self._read_within_limits()
        return Interaction(
            self._request,
            self._endpoint.base_url + self._request.path,
            self._status,
            self._headers,
            self._redacted_chunks(),
            end,
            self._endpoint.redact(detail),
            self._clock() - self._start,
        )

    async def _read_within_limits(self) -> tuple[ReplyEnd, str]:
        """How the reply ended, with details."""
        import httpx

        if not stays_below_base_path(self._request.path):
            return ReplyEnd.NOT_SENT, "the path could leave the base path"
        try:
            async with asyncio.timeout(self._timeouts.total):
                return await self._read(), ""
        except TimeoutError:
            return ReplyEnd.TIMED_OUT, f"no complete reply within {self._timeouts.total:g} s"
        except (
            httpx.ConnectError,
            httpx.ConnectTimeout,
            httpx.ProxyError,
            httpx.UnsupportedProtocol,
        ) as error:
            return ReplyEnd.UNREACHABLE, str(error)
        except httpx.TimeoutException:
            end = ReplyEnd.TIMED_OUT if self._status is None else ReplyEnd.STALLED
            return end, f"no data for {self._clock() - self._start - self._last_chunk_at:.1f} s"
        except httpx.HTTPError as error:
            return ReplyEnd.CUT, f"{type(error).__name__}: {error}"

    @property
    def _last_chunk_at(self) -> float:
        return self._chunks[-1][0] if self._chunks else 0.0

    async def _read(self) -> ReplyEnd:
        request = self._build_request()
        response = await self._http.send(request, stream=True)
        try:
            self._status = response.status_code
            self._headers = {
                name.lower(): self._endpoint.redact(each) for name, each in response.headers.items()
            }
            # The transport reads this object before each read: from here on the limit is on silence.
            request.extensions["timeout"]["read"] = self._timeouts.stall
            return await self._read_body(response.aiter_raw())
        finally:
            await response.aclose()

    def _build_request(self) -> httpx.Request:
        request, timeouts = self._request, self._timeouts
        headers = {**request.headers}
        if request.body is not None:
            headers.setdefault("content-type", "application/json")
        if request.api_key is not None:
            headers["authorization"] = f"Bearer {request.api_key or self._endpoint.api_key}"
        timeout = {
            "connect": CONNECT_TIMEOUT,
            "read": None,  # until the head is there, the limit is on the whole reply
            "write": timeouts.stall,
            "pool": timeouts.stall,
        }
        return self._http.build_request(
            request.method,
            self._endpoint.base_url + request.path,
            content=request.content if request.body is not None else None,
            headers=headers,
            extensions={"timeout": timeout},
        )

    async def _read_body(self, chunks: AsyncIterator[bytes]) -> ReplyEnd:
        size, events = 0, 0
        async for data in chunks:
            at = self._clock() - self._start
            self._chunks.append((at, data))
            size += len(data)
            events += data.count(b"\n\n")
            if self._request.stop_after_events is not None and events >= self._request.stop_after_events:
                return ReplyEnd.STOPPED
            if size > MAX_REPLY_BYTES or len(self._chunks) > MAX_REPLY_CHUNKS:
                return ReplyEnd.TOO_LONG
            if at > self._timeouts.total:
                return ReplyEnd.TIMED_OUT
        return ReplyEnd.COMPLETE

    def _redacted_chunks(self) -> tuple[tuple[float, bytes], ...]:
        """The chunks without the API key, however the endpoint writes it."""
        keys = (*self._endpoint.secrets, self._request.api_key or "")
        chunks = mask_reply([data for _, data in self._chunks], keys)
        return tuple((at, data) for (at, _), data in zip(self._chunks, chunks, strict=True))
