"""The journal: what was asked and answered, bounded and free of keys."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from mockserver.contract.check import text_findings
from mockserver.contract.findings import Finding
from mockserver.wire import json, redaction

__all__ = ["About", "Entry", "Journal", "Sent", "secrets_of"]


Headers: TypeAlias = Sequence[tuple[bytes, bytes]]


class Sent(NamedTuple):
    """A request as it came, and the accepted keys: not to be shown before it is redacted."""

    method: str
    path: str
    headers: Headers
    authorization: bytes
    keys: tuple[str, ...]


@lru_cache(maxsize=64)
def secrets_of(authorization: bytes, keys: tuple[str, ...]) -> tuple[str, ...]:
    """What must not be written down of a request: the accepted keys, and whatever was presented as one.

    A presented key may be wrong, or of another scheme: it is a key to something all the same.
    """
    presented = authorization.decode("latin-1").rpartition(" ")[2]
    return (*keys, presented) if presented else keys


class About(NamedTuple):
    """What is known of an answer beside its bytes."""

    request_id: str
    model: str = ""
    prompt: str = ""
    exchange: str | None = None
    judged: tuple[Finding, ...] = ()
    ignored: tuple[str, ...] = ()
    detail: str = ""
    answered: tuple[Finding, ...] = ()
    """What the contract says of an answer that was not the mock's own."""
    after: str | None = None
    """Name of what answered the turn before."""
    turn: int = 1
    refusal: str = ""
    """"unplanned" or "refused" (no call of the API at all) where the mock would not answer; else empty."""


class Entry:
    """One request and its answer.

    What was sent is kept as it came and redacted when it is read: few entries ever are.
    """

    __slots__ = ("about", "at", "body", "left", "reply", "sent", "status", "stream")

    def __init__(
        self,
        at: float,
        sent: Sent,
        body: bytes,
        status: int,
        reply: tuple[bytes, ...],
        stream: bool,
        about: About,
    ) -> None:
        self.at = at
        """Seconds since the epoch, by the session's clock."""
        self.sent = sent
        self.body = body
        """The request's body, whole."""
        self.status = status
        self.reply = reply
        """The reply's body, in the pieces it was sent in: one event each in a stream."""
        self.stream = stream
        self.about = about
        self.left = False
        """Whether the client went away in the middle of an answer that came slowly."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be written down."""
        return secrets_of(self.sent.authorization, self.sent.keys)

    @property
    def method(self) -> str:
        return self.sent.method

    @property
    def path(self) -> str:
        return redaction.redact(self.sent.path, self.secrets)

    @property
    def headers(self) -> dict[str, str]:
        """Request headers with values that may be kept."""
        return redaction.safe_headers(self.sent.headers, self.secrets)

    @property
    def request_id(self) -> str:
        return self.about.request_id

    @property
    def model(self) -> str:
        return self.about.model

    @property
    def prompt(self) -> str:
        """Text of the last user message, as far as it can be told."""
        return self.about.prompt

    @property
    def exchange(self) -> str | None:
        """Name of the exchange, or of the planned reply, that answered."""
        return self.about.exchange

    @property
    def ignored(self) -> tuple[str, ...]:
        """Parameters that the profile does not process."""
        return self.about.ignored

    @property
    def answered(self) -> tuple[Finding, ...]:
        """What the contract says of the answer, where it is a live endpoint's."""
        return self.about.answered

    @property
    def refusal(self) -> str:
        """Why the mock would not answer: "unplanned", or "refused" for what is no call of the API at all."""
        return self.about.refusal

    @property
    def detail(self) -> str:
        """More about an error than the client was told."""
        return redaction.redact(self.about.detail, self.secrets) if self.about.detail else ""

    @property
    def judged(self) -> tuple[Finding, ...]:
        """What the contract says of the request's value."""
        return self.about.judged

    @property
    def findings(self) -> list[Finding]:
        """What the contract says of the request, its text included (a name that is there twice)."""
        return [*text_findings(self.body), *self.judged]

    @property
    def json(self) -> Any:
        """The request's body as a value; InvalidJSON where it is none."""
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"<{self.method} {self.path} {self.status} {self.request_id}>"


class Journal:
    """The latest entries: at most 1,000, and 64 MiB of bodies in all."""

    MAX_ENTRIES = 1000
    MAX_BYTES = 64 << 20

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._sizes: deque[int] = deque()
        self._bytes = 0
        self.leaving: Callable[[Entry], None] | None = None
        """Is told every entry that leaves, for want of room or at a reset."""

    def add(self, entry: Entry) -> None:
        """Append an entry, dropping the oldest where there is no room; one too large alone is not kept."""
        size = len(entry.body) + sum(map(len, entry.reply))
        if size > self.MAX_BYTES:
            self._tell(entry)
            return
        self._entries.append(entry)
        self._sizes.append(size)
        self._bytes += size
        while len(self._sizes) > self.MAX_ENTRIES or self._bytes > self.MAX_BYTES:
            self._tell(self._entries.popleft())
            self._bytes -= self._sizes.popleft()

    def clear(self) -> None:
        while self._entries:
            self._tell(self._entries.popleft())
        self._sizes.clear()
        self._bytes = 0

    def _tell(self, entry: Entry) -> None:
        if self.leaving is not None:
            self.leaving(entry)

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
