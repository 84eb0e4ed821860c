"""Headers that pass between a client and an endpoint: those of one list each way, and no others.

What a client sends beside them (cookies, keys of others, traces of its own) is no affair of the endpoint's,
and what an endpoint sends beside them none of the client's. Names as observed on the service's hosts and in
its reference (2025 and 2026), and those that the SDKs send and read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

__all__ = ["forwarded_reply_headers", "forwarded_request_headers"]

RawHeaders = list[tuple[bytes, bytes]]

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


def forwarded_request_headers(
    headers: Iterable[tuple[bytes, bytes]], extra: Collection[bytes] = ()
) -> RawHeaders:
    """What of a request's headers goes on to the endpoint; `also` names more of them, in lower case."""
    return [
        (name, value)
        for name, value in headers
        if name in _REQUEST_HEADERS or name in extra or name.startswith(_REQUEST_HEADER_PREFIXES)
    ]


def forwarded_reply_headers(
    headers: Iterable[tuple[bytes, bytes]], extra: Collection[bytes] = ()
) -> RawHeaders:
    """What of an answer's headers goes on to the client, names in lower case."""
    lowered = ((name.lower(), value) for name, value in headers)
    return [
        (name, value)
        for name, value in lowered
        if name in _REPLY_HEADERS or name in extra or name.startswith(_REPLY_HEADER_PREFIXES)
    ]
