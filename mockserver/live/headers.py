"""Headers that pass between a client and an endpoint: those of one list each way, and no others.

What a client sends beside them (cookies, keys of others, traces of its own) is no affair of the endpoint's,
and what an endpoint sends beside them none of the client's. Names as observed on the service's hosts and in
its reference (2025 and 2026), and those that the SDKs send and read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

__all__ = ["passed_down", "passed_up"]

Pairs = list[tuple[bytes, bytes]]

_UP = frozenset(
    {
        *(b"accept", b"accept-language", b"content-encoding", b"content-type"),
        *(b"idempotency-key", b"user-agent", b"originator"),
    }
)
_UP_PREFIXES = (b"x-dashscope-", b"x-stainless-", b"openai-")

_DOWN = frozenset(
    {
        *(b"cache-control", b"content-encoding", b"content-language", b"content-length", b"content-type"),
        *(b"date", b"retry-after", b"retry-after-ms", b"server", b"vary", b"x-request-id", b"x-should-retry"),
        *(b"req-arrive-time", b"req-cost-time", b"resp-start-time", b"x-envoy-upstream-service-time"),
    }
)
_DOWN_PREFIXES = (b"x-dashscope-", b"x-ratelimit-", b"openai-")


def passed_up(headers: Iterable[tuple[bytes, bytes]], also: Collection[bytes] = ()) -> Pairs:
    """What of a request's headers goes on to the endpoint; `also` names more of them, in lower case."""
    return [
        (name, value)
        for name, value in headers
        if name in _UP or name in also or name.startswith(_UP_PREFIXES)
    ]


def passed_down(headers: Iterable[tuple[bytes, bytes]], also: Collection[bytes] = ()) -> Pairs:
    """What of an answer's headers goes on to the client, names in lower case."""
    lowered = ((name.lower(), value) for name, value in headers)
    return [
        (name, value)
        for name, value in lowered
        if name in _DOWN or name in also or name.startswith(_DOWN_PREFIXES)
    ]
