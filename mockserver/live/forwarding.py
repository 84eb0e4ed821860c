"""Forward a request to an endpoint and pass its reply on, piece by piece.

Nothing is buffered, retried or redirected, and only listed headers pass. If clients have a key of their own, the
endpoint's key is masked in what it sends back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from starlette.types import Message, Receive

from mockserver.live.client import Timeouts
from mockserver.live.endpoint import Endpoint
from mockserver.live.key_filters import ByteFilter, KeyFilter, StreamKeyFilter, key_pattern
from mockserver.live.pass_through import Failure, PassThroughExchange, run_until_disconnect
from mockserver.server.errors import ApiError
from mockserver.server.http.request_body import NO_BODY, BodyStart, stream_body

if TYPE_CHECKING:
    import httpx

__all__ = ["NO_RETRY", "Forwarder"]

#: Clients must not retry the relay's own errors.
NO_RETRY = ((b"x-should-retry", b"false"),)

_Headers = list[tuple[bytes, bytes]]

# Headers that pass, in each direction. All others (cookies, other keys, traces) stay on their side. The names are
# those observed on the service's hosts and in its reference (2025 and 2026), and those that the SDKs use.
_REQUEST_HEADERS = frozenset(
    {
        *(b"accept", b"accept-language", b"content-encoding", b"content-type"),
        *(b"idempotency-key", b"user-agent", b"originator"),
    }
)
_REQUEST_HEADER_PREFIXES = (b"x-dashscope-", b"x-stainless-", b"openai-")

_REPLY_HEADERS = frozenset(
    {
        *(b"cache-control", b"content-encoding", b"content-language", b"content-length", b"content-type"),
        *(b"date", b"retry-after", b"retry-after-ms", b"server", b"vary", b"x-request-id", b"x-should-retry"),
        *(b"req-arrive-time", b"req-cost-time", b"resp-start-time", b"x-envoy-upstream-service-time"),
    }
)
_REPLY_HEADER_PREFIXES = (b"x-dashscope-", b"x-ratelimit-", b"openai-")

#: Codings of replies that are decoded to find the key in them.
_READABLE_CODINGS = ("identity", "gzip", "deflate")

#: Connections to the endpoint that stay open for later requests.
_MAX_IDLE_CONNECTIONS = 20


class Forwarder:
    """Sends the requests of clients to an endpoint, over connections that stay open."""

    def __init__(
        self,
        endpoint: Endpoint,
        timeouts: Timeouts,
        *,
        clients_have_key: bool,
        pass_redirects: bool,
        extra_headers: Collection[bytes],
    ) -> None:
        """`clients_have_key`: clients send the endpoint's key. `extra_headers` pass too, named in lower case."""
        self._endpoint = endpoint
        self._timeouts = timeouts
        self._clients_have_key = clients_have_key
        self._pass_redirects = pass_redirects
        self._extra_headers = extra_headers
        self._http: httpx.AsyncClient | None = None

    def warm_up(self) -> None:
        """Load the HTTP client, so that the first request does not wait for it."""
        self._http_client()

    async def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.aclose()

    async def forward(self, pass_through: PassThroughExchange, receive: Receive) -> None:
        """Send a request to the endpoint, and its reply to the client. Raises ApiError."""
        body = _ForwardedBody(pass_through.body_start, receive)
        request = self._http_client().build_request(
            pass_through.scope["method"],
            f"{self._endpoint.base_url}{pass_through.path}",
            headers=self._request_headers(pass_through),
            content=body.content,
            extensions={
                "timeout": {"connect": 10.0, "read": self._timeouts.total, "write": 30.0, "pool": 30.0}
            },
        )
        pass_through.body_start = NO_BODY  # what was decoded is kept, and the rest only until it is forwarded
        await run_until_disconnect(pass_through, self._pass_on(pass_through, request), body.receive_after_it)
        await pass_through.finish()

    async def _pass_on(self, pass_through: PassThroughExchange, request: httpx.Request) -> None:
        """Send the request, and pass the reply on. Raises ApiError."""
        import httpx

        try:
            response = await self._http_client().send(request, stream=True)
        except httpx.HTTPError as error:
            reason = self._failure_reason(error, pass_through.endpoint_key)
            raise _fail(pass_through, f"The endpoint did not reply: {reason}") from None
        try:
            if response.is_redirect and not self._pass_redirects:
                raise _fail(pass_through, "The endpoint redirects; redirects are not followed.")
            self._require_readable(response)
            request.extensions["timeout"]["read"] = self._timeouts.stall
            await pass_through.send_head(response.status_code, self._reply_headers(response, pass_through))
            with suppress(httpx.HTTPError):
                await pass_through.send_chunks(self._reply_chunks(response))
        finally:
            await response.aclose()

    def _failure_reason(self, error: httpx.HTTPError, key: str) -> str:
        """Why the endpoint did not reply, without the key, and what to do about it."""
        import httpx

        reason = replace(self._endpoint, api_key=key).redact(str(error)) or type(error).__name__
        is_about_connecting = isinstance(error, httpx.ConnectError | httpx.ProxyError)
        return reason + self._endpoint.connection.hint(reason) if is_about_connecting else reason

    def _http_client(self) -> httpx.AsyncClient:
        if self._http is None:
            import httpx

            # No limit: every client has a connection of its own, and httpx's default is 100 for all of them.
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=_MAX_IDLE_CONNECTIONS)
            self._http = httpx.AsyncClient(**self._endpoint.connection.httpx_options(), limits=limits)
        return self._http

    def _request_headers(self, pass_through: PassThroughExchange) -> _Headers:
        headers = _forwarded_request_headers(pass_through.scope["headers"], self._extra_headers)
        key = (b"authorization", f"Bearer {pass_through.endpoint_key}".encode())
        headers += [key, (b"accept-encoding", b"identity")]
        if not pass_through.body_start.has_ended:
            # The length of a body that is passed on piece by piece; without it, httpx sends chunks.
            headers += [each for each in pass_through.scope["headers"] if each[0] == b"content-length"]
        return headers

    def _reply_headers(self, response: httpx.Response, pass_through: PassThroughExchange) -> _Headers:
        headers = _forwarded_reply_headers(response.headers.raw, self._extra_headers)
        if self._clients_have_key:
            return headers
        key = key_pattern(pass_through.endpoint_key)
        left_out = (b"content-encoding", b"content-length") if _content_coding(response) != "identity" else ()
        return [(name, value) for name, value in headers if name not in left_out and not key.search(value)]

    def _require_readable(self, response: httpx.Response) -> None:
        """Raise ApiError if the key could not be found in a compressed reply to a client with another key."""
        coding = _content_coding(response)
        if self._clients_have_key or coding in _READABLE_CODINGS:
            return
        message = f"The endpoint compressed its reply ({coding}) although the request did not allow it."
        raise ApiError(502, "BadGateway", message, headers=NO_RETRY)

    def _reply_chunks(self, response: httpx.Response) -> AsyncIterator[bytes]:
        """The chunks as they arrive; without the key, if the client has another one."""
        if self._clients_have_key:
            return response.aiter_raw()
        chunks = response.aiter_raw() if _content_coding(response) == "identity" else response.aiter_bytes()
        is_stream = response.headers.get("content-type", "").startswith("text/event-stream")
        key_filter = (StreamKeyFilter if is_stream else KeyFilter)(self._endpoint.api_key)
        return _filtered(chunks, key_filter)


def _forwarded_request_headers(
    headers: Iterable[tuple[bytes, bytes]], extra: Collection[bytes] = ()
) -> _Headers:
    """The request headers that go to the endpoint; `extra` names more of them, in lower case."""
    return [
        (name, value)
        for name, value in headers
        if name in _REQUEST_HEADERS or name in extra or name.startswith(_REQUEST_HEADER_PREFIXES)
    ]


def _forwarded_reply_headers(
    headers: Iterable[tuple[bytes, bytes]], extra: Collection[bytes] = ()
) -> _Headers:
    """The reply headers that go to the client, with lower-case names."""
    lowered = ((name.lower(), value) for name, value in headers)
    return [
        (name, value)
        for name, value in lowered
        if name in _REPLY_HEADERS or name in extra or name.startswith(_REPLY_HEADER_PREFIXES)
    ]


def _fail(pass_through: PassThroughExchange, message: str) -> ApiError:
    """Note that the endpoint was not reached, and return the error for the client."""
    pass_through.failure = Failure("unreachable", message)
    return ApiError(502, "BadGateway", message, headers=NO_RETRY)


def _content_coding(response: httpx.Response) -> str:
    return str(response.headers.get("content-encoding") or "identity").strip().lower()


async def _filtered(chunks: AsyncIterator[bytes], key_filter: ByteFilter) -> AsyncIterator[bytes]:
    """The chunks with the key masked, in case the endpoint sends it back, whole or in pieces."""
    try:
        async for chunk in chunks:
            if passed := key_filter.feed(chunk):
                yield passed
    except Exception:  # a reply that is cut is passed on up to its last byte
        if rest := key_filter.finish():
            yield rest
        raise
    if rest := key_filter.finish():
        yield rest


class _ForwardedBody:
    """A request's body as the client sent it; in pieces if it is too large to keep."""

    def __init__(self, start: BodyStart, receive: Receive) -> None:
        self._start = start
        self._receive = receive
        self._ended = asyncio.Event()
        if start.has_ended:
            self._ended.set()

    @property
    def content(self) -> bytes | AsyncIterator[bytes] | None:
        """The content of the request to the endpoint."""
        return (self._start.data or None) if self._start.has_ended else self._pieces()

    async def _pieces(self) -> AsyncIterator[bytes]:
        async for piece in stream_body(self._start, self._receive):
            yield piece
        self._ended.set()

    async def receive_after_it(self) -> Message:
        """Receive what comes after the body: the client's disconnect."""
        await self._ended.wait()
        return await self._receive()
