"""Requests that were read before, by their bytes: load tests send the same ones again and again."""

from __future__ import annotations

from typing import Any, NamedTuple

from mockserver.contract.bodies.requests import RequestChecker
from mockserver.contract.findings import Finding
from mockserver.server.request_facts import RequestFacts

__all__ = ["MAX_PARSED_BYTES", "ParsedRequest", "ParsedRequests"]

#: Bytes of a body that is kept; longer ones seldom come twice.
MAX_PARSED_BYTES = 4096
_MAX_ENTRIES = 512


class ParsedRequest(NamedTuple):
    """A valid request, read."""

    body: dict[str, Any]
    """Shared by all requests with these bytes: code of a test gets a copy."""
    findings: tuple[Finding, ...]
    facts: RequestFacts
    digest: bytes
    """Digest of the request, with its path."""


class ParsedRequests:
    """The requests of a session that came at least twice, as its profile reads them."""

    __slots__ = ("_by_bytes", "_checker", "_seen")

    def __init__(self) -> None:
        self._by_bytes: dict[tuple[str, bytes], ParsedRequest] = {}
        self._seen: set[int] = set()
        self._checker: RequestChecker | None = None

    def get(self, path: str, raw_body: bytes, checker: RequestChecker) -> ParsedRequest | None:
        """What was read before; None if it has to be read."""
        if self._checker is not checker:  # other settings of the profile, or other models
            self._checker = checker
            self._by_bytes.clear()
            self._seen.clear()
        return self._by_bytes.get((path, raw_body))

    def add(self, path: str, raw_body: bytes, request: ParsedRequest) -> None:
        """Keep what was read, from the second time on."""
        key = (path, raw_body)
        number = hash(key)
        if number not in self._seen:
            if len(self._seen) >= 8 * _MAX_ENTRIES:
                self._seen.clear()
            self._seen.add(number)
            return
        if len(self._by_bytes) >= _MAX_ENTRIES:
            self._by_bytes.clear()
        self._by_bytes[key] = request
