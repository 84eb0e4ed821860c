"""The headers whose values are shown in journals and reports; of all others only the name is shown.

A header that is not listed may hold a credential: gateways and MCP servers give theirs names of their own. Also left
out are those that identify an account or a person (`openai-organization`, `openai-project`, `x-forwarded-for`), URLs
of other pages (`referer`), and `tracestate`, whose content is the tracer's own.
"""

from __future__ import annotations

__all__ = ["is_public_header"]

_PUBLIC_HEADERS = frozenset(
    {
        # Fields of HTTP (RFC 9110, 9111 and 9112) and of browsers (Fetch) that describe the message.
        *("accept", "accept-charset", "accept-encoding", "accept-language", "accept-ranges", "age", "allow"),
        *("cache-control", "connection", "content-encoding", "content-language", "content-length"),
        *("content-range", "content-type", "date", "dnt", "etag", "expect", "expires", "host", "keep-alive"),
        *("last-modified", "location", "max-forwards", "origin", "pragma", "priority", "range"),
        *("retry-after", "server", "te", "trailer", "transfer-encoding", "upgrade"),
        *("upgrade-insecure-requests", "user-agent", "vary"),
        # Identify a request, not who sent it.
        *("idempotency-key", "traceparent", "x-correlation-id", "x-request-id"),
        # Of the service, its gateways and the SDKs (observed in 2025 and 2026).
        *("openai-beta", "openai-processing-ms", "openai-version", "originator", "req-arrive-time"),
        *("req-cost-time", "resp-start-time", "retry-after-ms", "x-accel-buffering"),
        *("x-dashscope-async", "x-dashscope-session-cache", "x-dashscope-sse"),
        *("x-envoy-upstream-service-time", "x-should-retry"),
        # Of the mock server.
        *("x-mock-delay", "x-mock-fault", "x-mock-scenario", "x-mock-session"),
    }
)
_PUBLIC_PREFIXES = ("access-control-", "sec-ch-", "sec-fetch-", "x-ratelimit-", "x-stainless-")


def is_public_header(name: str) -> bool:
    """Whether the value of a header, named in any case, can be shown."""
    lowered = name.lower()
    return lowered in _PUBLIC_HEADERS or lowered.startswith(_PUBLIC_PREFIXES)
