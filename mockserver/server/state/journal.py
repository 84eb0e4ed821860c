"""The journal: what was asked and answered, bounded and free of keys."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from mockserver.contract.check import check_json_text
from mockserver.contract.findings import Finding
from mockserver.wire import json, redaction

__all__ = ["Entry", "EntryDetails", "Journal", "JournalQuota", "RequestHead", "request_secrets"]


Headers: TypeAlias = Sequence[tuple[bytes, bytes]]


class RequestHead(NamedTuple):
    """A request as it came, and the accepted keys: not to be shown before it is redacted."""

    method: str
    path: str
    headers: Headers
    authorization: bytes
    accepted_keys: tuple[str, ...]
    session: str = ""
    """Name of the session that answered."""


@lru_cache(maxsize=64)
def request_secrets(authorization: bytes, accepted_keys: tuple[str, ...]) -> tuple[str, ...]:
    """What must not be written down of a request: the accepted keys, and whatever was presented as one.

    A presented key may be wrong, or of another scheme: it is a key to something all the same.
    """
    presented = authorization.decode("latin-1").rpartition(" ")[2]
    return (*accepted_keys, presented) if presented else accepted_keys


class EntryDetails(NamedTuple):
    """What is known of an answer beside its bytes."""

    request_id: str
    model: str = ""
    prompt: str = ""
    stub_name: str | None = None
    request_findings: tuple[Finding, ...] = ()
    ignored: tuple[str, ...] = ()
    error_detail: str = ""
    reply_findings: tuple[Finding, ...] = ()
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

    __slots__ = (
        "at",
        "body",
        "details",
        "left",
        "left_out",
        "reply",
        "request_head",
        "send_times",
        "status",
        "stream",
    )

    def __init__(
        self,
        at: float,
        request_head: RequestHead,
        body: bytes,
        status: int,
        reply: tuple[bytes, ...],
        stream: bool,
        details: EntryDetails,
    ) -> None:
        self.at = at
        """When the request came, in seconds since the epoch, by the session's clock."""
        self.request_head = request_head
        self.body = body
        """The request's body, whole."""
        self.status = status
        self.reply = reply
        """The reply's body, in the pieces it was sent in: one event each in a stream."""
        self.stream = stream
        self.details = details
        self.left = False
        """Whether the client went away before it had the whole answer, as far as a server is told.

        It is where the connection ended before all was sent, or was reset behind it. A client that takes no
        more, but closes in order once all is in the machine's buffers, is told from no other.
        """
        self.left_out = 0
        """Bytes of bodies that were too many to keep: request and answer were judged, and are not here."""
        self.send_times: tuple[float | None, float | None] | None = None
        """When the first byte of the body was sent and when the last, None: not yet; of an answer that is
        sent at once there is nothing to tell."""

    @property
    def first_byte(self) -> float | None:
        """When the first byte of the answer's body was sent, by the session's clock; None: never (yet)."""
        return self.at if self.send_times is None else self.send_times[0]

    @property
    def end(self) -> float | None:
        """When the answer ended, for whatever reason, by the session's clock; None: it has not."""
        return self.at if self.send_times is None else self.send_times[1]

    @property
    def session(self) -> str:
        """Name of the session that answered."""
        return self.request_head.session

    def omit_bodies(self, size: int) -> None:
        """Judge what is there now, and keep the verdict without the bodies."""
        self.details = self.details._replace(request_findings=tuple(self.findings))
        self.body, self.reply, self.left_out = b"", (), size

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be written down."""
        return request_secrets(self.request_head.authorization, self.request_head.accepted_keys)

    @property
    def method(self) -> str:
        return self.request_head.method

    @property
    def path(self) -> str:
        return redaction.redact(self.request_head.path, self.secrets)

    @property
    def headers(self) -> dict[str, str]:
        """Request headers with values that may be kept."""
        return redaction.redact_headers(self.request_head.headers, self.secrets)

    @property
    def request_id(self) -> str:
        return self.details.request_id

    @property
    def model(self) -> str:
        return self.details.model

    @property
    def prompt(self) -> str:
        """Text of the last user message, as far as it can be told."""
        return self.details.prompt

    @property
    def exchange(self) -> str | None:
        """Name of the exchange, or of the planned reply, that answered."""
        return self.details.stub_name

    @property
    def ignored(self) -> tuple[str, ...]:
        """Parameters that the profile does not process."""
        return self.details.ignored

    @property
    def reply_findings(self) -> tuple[Finding, ...]:
        """What the contract says of the answer, where it is a live endpoint's."""
        return self.details.reply_findings

    @property
    def refusal(self) -> str:
        """Why the mock would not answer: "unplanned", or "refused" for what is no call of the API at all."""
        return self.details.refusal

    @property
    def detail(self) -> str:
        """More about an error than the client was told."""
        return redaction.redact(self.details.error_detail, self.secrets) if self.details.error_detail else ""

    @property
    def request_findings(self) -> tuple[Finding, ...]:
        """What the contract says of the request's value."""
        return self.details.request_findings

    @property
    def findings(self) -> list[Finding]:
        """What the contract says of the request, its text included (a name that is there twice)."""
        return (
            list(self.request_findings)
            if self.left_out
            else [*check_json_text(self.body), *self.request_findings]
        )

    @property
    def json(self) -> Any:
        """The request's body as a value; InvalidJSON where it is none."""
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"<{self.method} {self.path} {self.status} {self.request_id}>"


class JournalQuota:
    """The room that the journals of a server share: 64 MiB of bodies in all."""

    def __init__(self) -> None:
        self.used_bytes = 0
        self.journals: list[Journal] = []

    def free_space(self, newest: Journal) -> None:
        """Drop the oldest entries of whichever journal takes most room, but the one that has just come."""
        while self.used_bytes > Journal.MAX_BYTES:
            others = (each for each in self.journals if len(each) > (each is newest))
            max(others, key=lambda each: each.body_bytes).drop_oldest()


class Journal:
    """The latest entries of a session: at most 1,000, and 64 MiB of bodies in all sessions of a server."""

    MAX_ENTRIES = 1000
    MAX_BYTES = 64 << 20

    def __init__(self, quota: JournalQuota | None = None) -> None:
        self._entries: deque[Entry] = deque()
        self._sizes: deque[int] = deque()
        self._quota = quota or JournalQuota()
        self._quota.journals.append(self)
        self.body_bytes = 0
        """Bytes of the bodies that are kept."""
        self.dropped_count = 0
        """Entries that there were before the first, since the last reset."""
        self.on_removed: Callable[[Entry], None] | None = None
        """Is told every entry that leaves, for want of room or at a reset."""

    def for_new_session(self) -> Journal:
        """A journal for another session, on the same shelf, that tells the same what leaves."""
        other = Journal(self._quota)
        other.on_removed = self.on_removed
        return other

    def add(self, entry: Entry) -> None:
        """Append an entry, dropping the oldest where there is no room; of one too large alone, the bodies."""
        size = len(entry.body) + sum(map(len, entry.reply))
        if size > self.MAX_BYTES:
            entry.omit_bodies(size)
            size = 0
        self._entries.append(entry)
        self._sizes.append(size)
        self.body_bytes += size
        self._quota.used_bytes += size
        if len(self._sizes) > self.MAX_ENTRIES:
            self.drop_oldest()
        if self._quota.used_bytes > self.MAX_BYTES:
            self._quota.free_space(self)

    def drop_oldest(self) -> None:
        """Let the oldest entry go."""
        entry, size = self._entries.popleft(), self._sizes.popleft()
        self.body_bytes -= size
        self._quota.used_bytes -= size
        self.dropped_count += 1
        if self.on_removed is not None:
            self.on_removed(entry)

    def clear(self) -> None:
        """Let all entries go; numbers begin anew."""
        while self._entries:
            self.drop_oldest()
        self.dropped_count = 0

    def close(self) -> None:
        """Let all entries go, and the place on the shelf; what still comes takes none of its room."""
        self.clear()
        self._quota.journals.remove(self)
        self._quota = JournalQuota()
        self._quota.journals.append(self)

    @property
    def last(self) -> Entry:
        """The newest entry; IndexError where there is none."""
        return self._entries[-1]

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Entry:
        return self._entries[index]

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries))
