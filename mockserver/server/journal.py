"""The journal: what was asked and answered, bounded and free of keys."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from mockserver.contract.check import check_json_text
from mockserver.contract.findings import Finding
from mockserver.wire import json, redaction

__all__ = ["About", "Entry", "Journal", "Sent", "Shelf", "secrets_of"]


Headers: TypeAlias = Sequence[tuple[bytes, bytes]]


class Sent(NamedTuple):
    """A request as it came, and the accepted keys: not to be shown before it is redacted."""

    method: str
    path: str
    headers: Headers
    authorization: bytes
    keys: tuple[str, ...]
    session: str = ""
    """Name of the session that answered."""


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

    __slots__ = ("about", "at", "body", "left", "left_out", "reply", "sent", "status", "stream", "times")

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
        """When the request came, in seconds since the epoch, by the session's clock."""
        self.sent = sent
        self.body = body
        """The request's body, whole."""
        self.status = status
        self.reply = reply
        """The reply's body, in the pieces it was sent in: one event each in a stream."""
        self.stream = stream
        self.about = about
        self.left = False
        """Whether the client went away before it had the whole answer, as far as a server is told.

        It is where the connection ended before all was sent, or was reset behind it. A client that takes no
        more, but closes in order once all is in the machine's buffers, is told from no other.
        """
        self.left_out = 0
        """Bytes of bodies that were too many to keep: request and answer were judged, and are not here."""
        self.times: tuple[float | None, float | None] | None = None
        """When the first byte of the body was sent and when the last, None: not yet; of an answer that is
        sent at once there is nothing to tell."""

    @property
    def first_byte(self) -> float | None:
        """When the first byte of the answer's body was sent, by the session's clock; None: never (yet)."""
        return self.at if self.times is None else self.times[0]

    @property
    def end(self) -> float | None:
        """When the answer ended, for whatever reason, by the session's clock; None: it has not."""
        return self.at if self.times is None else self.times[1]

    @property
    def session(self) -> str:
        """Name of the session that answered."""
        return self.sent.session

    def leave_out(self, size: int) -> None:
        """Judge what is there now, and keep the verdict without the bodies."""
        self.about = self.about._replace(judged=tuple(self.findings))
        self.body, self.reply, self.left_out = b"", (), size

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
        return list(self.judged) if self.left_out else [*check_json_text(self.body), *self.judged]

    @property
    def json(self) -> Any:
        """The request's body as a value; InvalidJSON where it is none."""
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"<{self.method} {self.path} {self.status} {self.request_id}>"


class Shelf:
    """The room that the journals of a server share: 64 MiB of bodies in all."""

    def __init__(self) -> None:
        self.bytes = 0
        self.journals: list[Journal] = []

    def make_room(self, newest: Journal) -> None:
        """Drop the oldest entries of whichever journal takes most room, but the one that has just come."""
        while self.bytes > Journal.MAX_BYTES:
            others = (each for each in self.journals if len(each) > (each is newest))
            max(others, key=lambda each: each.bytes).drop()


class Journal:
    """The latest entries of a session: at most 1,000, and 64 MiB of bodies in all sessions of a server."""

    MAX_ENTRIES = 1000
    MAX_BYTES = 64 << 20

    def __init__(self, shelf: Shelf | None = None) -> None:
        self._entries: deque[Entry] = deque()
        self._sizes: deque[int] = deque()
        self._shelf = shelf or Shelf()
        self._shelf.journals.append(self)
        self.bytes = 0
        """Bytes of the bodies that are kept."""
        self.dropped = 0
        """Entries that there were before the first, since the last reset."""
        self.leaving: Callable[[Entry], None] | None = None
        """Is told every entry that leaves, for want of room or at a reset."""

    def again(self) -> Journal:
        """A journal for another session, on the same shelf, that tells the same what leaves."""
        other = Journal(self._shelf)
        other.leaving = self.leaving
        return other

    def add(self, entry: Entry) -> None:
        """Append an entry, dropping the oldest where there is no room; of one too large alone, the bodies."""
        size = len(entry.body) + sum(map(len, entry.reply))
        if size > self.MAX_BYTES:
            entry.leave_out(size)
            size = 0
        self._entries.append(entry)
        self._sizes.append(size)
        self.bytes += size
        self._shelf.bytes += size
        if len(self._sizes) > self.MAX_ENTRIES:
            self.drop()
        if self._shelf.bytes > self.MAX_BYTES:
            self._shelf.make_room(self)

    def drop(self) -> None:
        """Let the oldest entry go."""
        entry, size = self._entries.popleft(), self._sizes.popleft()
        self.bytes -= size
        self._shelf.bytes -= size
        self.dropped += 1
        if self.leaving is not None:
            self.leaving(entry)

    def clear(self) -> None:
        """Let all entries go; numbers begin anew."""
        while self._entries:
            self.drop()
        self.dropped = 0

    def close(self) -> None:
        """Let all entries go, and the place on the shelf; what still comes takes none of its room."""
        self.clear()
        self._shelf.journals.remove(self)
        self._shelf = Shelf()
        self._shelf.journals.append(self)

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
