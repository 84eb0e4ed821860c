"""The journal: what was asked and answered, bounded and free of keys."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

from mockserver.contract.check import text_findings
from mockserver.contract.findings import Finding
from mockserver.wire import json, redaction

__all__ = ["Entry", "Journal"]


class Entry(NamedTuple):
    """One request and its answer."""

    at: float
    """Seconds since the epoch, by the session's clock."""
    method: str
    path: str
    raw_headers: tuple[tuple[bytes, bytes], ...]
    """Those headers whose values may be kept."""
    body: bytes
    """The request's body, whole."""
    status: int
    request_id: str
    reply: tuple[bytes, ...]
    """The reply's body, in the pieces it was sent in: one event each in a stream."""
    stream: bool = False
    model: str = ""
    exchange: str | None = None
    """Name of the exchange that answered."""
    judged: tuple[Finding, ...] = ()
    """What the contract says of the request's value."""
    ignored: tuple[str, ...] = ()
    """Parameters that the profile does not process."""
    detail: str = ""
    """More about an error than the client was told."""

    @property
    def headers(self) -> dict[str, str]:
        """Request headers with values that may be kept."""
        return redaction.safe_headers(self.raw_headers)

    @property
    def findings(self) -> list[Finding]:
        """What the contract says of the request, its text included (a name that is there twice)."""
        return [*text_findings(self.body), *self.judged]

    @property
    def json(self) -> Any:
        """The request's body as a value; InvalidJSON where it is none."""
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"<{self.method} {redaction.redact(self.path)} {self.status} {self.request_id}>"


class Journal:
    """The latest entries: at most 1,000, and 64 MiB of bodies in all."""

    MAX_ENTRIES = 1000
    MAX_BYTES = 64 << 20

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._sizes: deque[int] = deque()
        self._bytes = 0

    def add(self, entry: Entry) -> None:
        """Append an entry, dropping the oldest where there is no room; one too large alone is not kept."""
        size = len(entry.body) + sum(map(len, entry.reply))
        if size > self.MAX_BYTES:
            return
        self._entries.append(entry)
        self._sizes.append(size)
        self._bytes += size
        while len(self._sizes) > self.MAX_ENTRIES or self._bytes > self.MAX_BYTES:
            self._entries.popleft()
            self._bytes -= self._sizes.popleft()

    def clear(self) -> None:
        self._entries.clear()
        self._sizes.clear()
        self._bytes = 0

    @property
    def last(self) -> Entry:
        """The newest entry; IndexError where there is none."""
        return self._entries[-1]

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, at: int) -> Entry:
        return self._entries[at]

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries))
