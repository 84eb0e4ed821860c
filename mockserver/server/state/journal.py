"""The request journal: every request of a session and its reply, bounded in size and without keys."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
from time import monotonic
from typing import Any, TypeAlias

from mockserver.clock import Clock
from mockserver.contract.findings import Finding
from mockserver.ids import request_digest
from mockserver.named_tuples import NamedTuple
from mockserver.replies.markers import StreamFrames
from mockserver.wire import json, redaction
from mockserver.wire.masks import configured_masks

__all__ = [
    "FALLBACK",
    "BodyText",
    "ClientAddress",
    "DisabledJournal",
    "Entry",
    "EntryDetails",
    "Journal",
    "JournalQuota",
    "RequestHead",
    "SendTimes",
    "request_secrets",
]


#: Name of the live endpoint that answers unmatched requests, in place of a stub's.
FALLBACK = "fallback"

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]


class ClientAddress(tuple[Any, ...]):  # noqa: SLOT001 (its times change)
    """The host and port of a client, with the times of its connection by the monotonic clock."""

    opened_at = 0.0
    closed_at: float | None = None
    """None: the connection is open."""


class RequestHead(NamedTuple):
    """A request's head as received, with the accepted keys. Redact it before you show it."""

    method: str
    path: str
    headers: Headers
    authorization: bytes
    accepted_keys: tuple[str, ...]
    session: str = ""
    """Name of the session that answered."""
    client: tuple[Any, ...] | None = None
    """Where the request comes from: a ClientAddress on a running server."""


@lru_cache(maxsize=64)
def request_secrets(authorization: bytes, accepted_keys: tuple[str, ...]) -> tuple[str, ...]:
    """Return the texts to redact: the accepted keys, and whatever the request presented as its key.

    A rejected key, or one of another scheme, may still open something else.
    """
    presented = authorization.decode("latin-1").rpartition(" ")[2]
    return (*accepted_keys, presented) if presented else accepted_keys


class EntryDetails(NamedTuple):
    """What the server knows about a reply beside its bytes; replies to the same request share it."""

    model: str = ""
    prompt: str = ""
    stub_name: str | None = None
    request_findings: tuple[Finding, ...] = ()
    ignored: tuple[str, ...] = ()
    may_have_credentials: bool = True
    """False: the request's body has nothing of what bodies with credentials have."""
    error_detail: str = ""
    reply_findings: tuple[Finding, ...] = ()
    """Findings in a reply that the mock did not build itself."""
    after: str | None = None
    """Name of the stub or exchange that answered the previous turn."""
    turn: int = 1
    refusal: str = ""
    """Why the mock rejected the request: "unplanned" (no stub matches) or "refused" (not an API request)."""
    is_checked: bool = True
    """Whether the request's body was read and checked, so that no findings means valid."""
    reply_headers: tuple[tuple[bytes, bytes], ...] = ()
    """The headers of an error reply, if it has some of its own, such as Retry-After."""


class SendTimes(NamedTuple):
    """When the body of a reply was sent, in seconds since the epoch, by the session's clock."""

    first_byte: float | None = None
    """When its first byte was sent; None: not yet."""
    end: float | None = None
    """When it ended, complete or not; None: not yet."""
    pieces: Sequence[float] = ()
    """When each piece was sent, if the server has a console."""
    real_end: float | None = None
    """When it ended, by the monotonic clock."""


class BodyText(NamedTuple):
    """What the text of a request's body tells beside its value."""

    credentials: tuple[str, ...]
    """To be redacted wherever they appear."""
    findings: tuple[Finding, ...]
    digest: bytes
    """For ids, in place of the body."""

    @classmethod
    def of(cls, body: bytes) -> BodyText:
        """Examine a body, which takes long if it is large."""
        return cls(redaction.find_credentials(body), tuple(_check_text(body)), request_digest(body))


def _check_text(body: bytes) -> list[Finding]:
    from mockserver.contract.check import check_json_text  # the whole checker: only to read the journal

    return check_json_text(body)


class Entry:
    """One request and its reply.

    An entry stores what was received and redacts it when it is read, because few entries are ever read.
    """

    __slots__ = (
        "_secrets",
        "_sent_bytes",
        "_stopped_at",
        "at",
        "body",
        "body_text",
        "clock",
        "details",
        "kept_bytes",
        "left_at",
        "left_out",
        "recorded_at",
        "reply",
        "request_head",
        "request_id",
        "send_times",
        "status",
        "stream",
    )

    clock: Clock
    """The session's; absent if the mock only passed the request on."""

    def __init__(
        self,
        at: float,
        request_head: RequestHead,
        body: bytes,
        status: int,
        reply: Sequence[bytes],
        stream: bool,
        request_id: str,
        details: EntryDetails,
    ) -> None:
        self.at = at
        """When the request arrived, in seconds since the epoch, by the session's clock."""
        self.request_head = request_head
        self.body = body
        """The request's body."""
        self.status = status
        self.reply = reply
        """The complete body of the reply, in pieces: in a stream, one event each."""
        self.stream = stream
        self.request_id = request_id
        """The reply's `x-request-id`."""
        self.details = details
        self.left_at: float | None = None
        """When the client disconnected before it had the whole reply, by the session's clock; None: it did not."""
        self.kept_bytes = 0
        """Bytes of its bodies that count in the journal."""
        self.left_out = 0
        """Bytes of the bodies, if they were too large to keep; they were checked first."""
        self.send_times: SendTimes | None = None
        """None for a reply that is sent at once."""
        self.body_text: BodyText | None = None
        """None: the body is examined when it is needed."""
        self.recorded_at = 0.0
        """When the journal got the entry, by a clock that never stands still."""
        self._secrets: tuple[str, ...] | None = None

    @property
    def left(self) -> bool:
        """Whether the client disconnected before it had the whole reply, as far as a server can know.

        True if the connection ended before everything was sent, or was reset afterwards. A client that
        stops reading, but closes in order once everything is in the socket buffers, looks like any other.
        """
        return self.left_at is not None

    def mark_left(self) -> None:
        """Record that the client disconnects now."""
        clock: Clock | None = getattr(self, "clock", None)
        self.left_at = self.at if clock is None else clock.now()

    @property
    def stopped_at(self) -> float | None:
        """When a test told the client to stop, by the session's clock; None: it did not."""
        return getattr(self, "_stopped_at", None)

    @stopped_at.setter
    def stopped_at(self, moment: float) -> None:
        self._stopped_at = moment

    @property
    def sent_bytes(self) -> int | None:
        """Bytes of the reply that were sent before the client disconnected; None: all were written, or still are."""
        return getattr(self, "_sent_bytes", None)

    @sent_bytes.setter
    def sent_bytes(self, size: int) -> None:
        self._sent_bytes = size

    @property
    def sent_reply(self) -> Sequence[bytes]:
        """What was sent of the reply, in its pieces; the last one may be cut."""
        size = self.sent_bytes
        if size is None:
            return self.reply
        starts = accumulate(map(len, self.reply), initial=0)
        return tuple(
            piece[: size - start] for start, piece in zip(starts, self.reply, strict=False) if start < size
        )

    @property
    def departure(self) -> str:
        """How far the reply had been sent when the client disconnected; "" if it did not disconnect early."""
        if not self.left:
            return ""
        size = self.sent_bytes
        if size is None or self.left_out:
            return "disconnected before the end of the reply"
        total = sum(map(len, self.reply))
        events = f" and {len(self.sent_reply):,} of {len(self.reply):,} events" if self.stream else ""
        return f"disconnected after {size:,} of {total:,} bytes{events}"

    @property
    def first_byte(self) -> float | None:
        """When the first byte of the reply's body was sent, by the session's clock; None: not (yet)."""
        return self.at if self.send_times is None else self.send_times.first_byte

    @property
    def end(self) -> float | None:
        """When the reply ended, complete or not, by the session's clock; None: it is still being sent."""
        return self.at if self.send_times is None else self.send_times.end

    @property
    def session(self) -> str:
        """Name of the session that answered."""
        return self.request_head.session

    def omit_bodies(self, size: int) -> None:
        """Check the request, keep the findings and the texts to redact, and drop both bodies."""
        self._secrets = self.secrets
        self.details = self.details._replace(request_findings=tuple(self.findings))
        self.body, self.reply, self.left_out = b"", (), size

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts to redact: keys, and the credentials in the request's body."""
        if self._secrets is None:
            keys = request_secrets(self.request_head.authorization, self.request_head.accepted_keys)
            credentials = self._find_credentials() if self.body else ()
            self._secrets = (*keys, *credentials) if credentials else keys
        return self._secrets

    def _find_credentials(self) -> tuple[str, ...]:
        if self.body_text is not None:
            return self.body_text.credentials
        return redaction.find_credentials(self.body)

    @property
    def method(self) -> str:
        return self.request_head.method

    @property
    def path(self) -> str:
        return redaction.redact_url(self.request_head.path, self.secrets)

    @property
    def headers(self) -> dict[str, str]:
        """The request's headers; values that are not on the allow-list are redacted."""
        return redaction.redact_headers(self.request_head.headers, self.secrets)

    @property
    def model(self) -> str:
        return self.details.model

    @property
    def prompt(self) -> str:
        """Text of the last user message; empty if the body is invalid."""
        return self.details.prompt

    @property
    def unmasked_prompt(self) -> str:
        """The prompt, or `[masked]` if the project masks it. Redact it before you show it."""
        is_masked = bool(self.prompt) and configured_masks().cover_prompt
        return redaction.MASK if is_masked else self.prompt

    @property
    def exchange(self) -> str | None:
        """Name of the stub or exchange that answered; None for a generated reply."""
        return self.details.stub_name

    @property
    def ignored(self) -> tuple[str, ...]:
        """Parameters that the profile ignores."""
        return self.details.ignored

    @property
    def reply_findings(self) -> tuple[Finding, ...]:
        """Findings in the reply, if it is a live endpoint's."""
        return self.details.reply_findings

    @property
    def refusal(self) -> str:
        """Why the mock rejected the request: "unplanned", "refused" (not an API request), or empty."""
        return self.details.refusal

    @property
    def is_checked(self) -> bool:
        """Whether the body was read and checked; if not, the absence of findings says nothing about it."""
        return self.details.is_checked

    @property
    def detail(self) -> str:
        """More about an error than the reply says."""
        return redaction.redact(self.details.error_detail, self.secrets) if self.details.error_detail else ""

    @property
    def fault_names(self) -> tuple[str, ...]:
        """Names of the faults in the reply."""
        prefix, _, names = self.details.error_detail.partition(" ")
        return tuple(names.split(", ")) if prefix == "fault" else ()

    @property
    def request_findings(self) -> tuple[Finding, ...]:
        """Findings in the request's value."""
        return self.details.request_findings

    @property
    def findings(self) -> list[Finding]:
        """Findings in the request, including those in its text, such as duplicate names.

        A request without a body, or whose body was not read, has no text to check.
        """
        if self.left_out or not self.body:
            return list(self.request_findings)
        known = self.body_text
        text_findings = _check_text(self.body) if known is None else known.findings
        return [*text_findings, *self.request_findings]

    @property
    def json(self) -> Any:
        """The request's body as a value. Raises InvalidJSON."""
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"<{self.method} {self.path} {self.status} {self.request_id}>"


class JournalQuota:
    """The space that the journals of a server share: 64 MiB of bodies."""

    def __init__(self) -> None:
        self.used_bytes = 0
        self.journals: list[Journal] = []

    def free_space(self, newest: Journal) -> None:
        """Drop the oldest entries of the largest journal, but never the entry just added to `newest`."""
        while self.used_bytes > Journal.MAX_BYTES:
            others = (each for each in self.journals if len(each) > (each is newest))
            max(others, key=lambda each: each.body_bytes).drop_oldest()


class Journal:
    """The latest 1,000 entries of a session; all sessions of a server keep at most 64 MiB of bodies."""

    MAX_ENTRIES = 1000
    MAX_BYTES = 64 << 20
    is_enabled = True
    """Whether it keeps entries at all."""

    def __init__(self, quota: JournalQuota | None = None) -> None:
        self._entries: deque[Entry] = deque()
        self._quota = quota or JournalQuota()
        self._quota.journals.append(self)
        self.body_bytes = 0
        """Bytes of the stored bodies."""
        self.dropped_count = 0
        """Entries dropped since the last reset."""
        self.clear_count = 0
        """How often the journal was cleared, and its numbers restarted."""
        self.on_removed: Callable[[Entry], None] | None = None
        """Called with every entry that is removed, to free space or by a reset."""

    def for_new_session(self) -> Journal:
        """Return a journal for another session, with the same quota and `on_removed`."""
        other = Journal(self._quota)
        other.on_removed = self.on_removed
        return other

    def add(self, entry: Entry) -> None:
        """Append an entry; drop the oldest entries to make room, or the bodies of an oversized entry."""
        reply = entry.reply
        if type(reply) is StreamFrames:
            size = reply.size + len(entry.body)
        else:
            size = len(entry.body) + (len(reply[0]) if len(reply) == 1 else sum(map(len, reply)))
        if size > self.MAX_BYTES:
            entry.omit_bodies(size)
            size = 0
        entry.kept_bytes = size
        entry.recorded_at = monotonic()
        self._entries.append(entry)
        self.body_bytes += size
        self._quota.used_bytes += size
        if len(self._entries) > self.MAX_ENTRIES:
            self.drop_oldest()
        if self._quota.used_bytes > self.MAX_BYTES:
            self._quota.free_space(self)

    def drop_oldest(self) -> None:
        """Remove the oldest entry."""
        entry = self._entries.popleft()
        size = entry.kept_bytes
        self.body_bytes -= size
        self._quota.used_bytes -= size
        self.dropped_count += 1
        if self.on_removed is not None:
            self.on_removed(entry)

    def clear(self) -> None:
        """Remove all entries and restart their numbers."""
        while self._entries:
            self.drop_oldest()
        self.dropped_count = 0
        self.clear_count += 1

    def close(self) -> None:
        """Remove all entries and leave the shared quota; later entries count against a quota of their own."""
        self.clear()
        self._quota.journals.remove(self)
        self._quota = JournalQuota()
        self._quota.journals.append(self)

    @property
    def last(self) -> Entry:
        """The newest entry. Raises IndexError if no request has arrived."""
        if not self._entries:
            raise IndexError("the journal is empty: no request has arrived since the last reset")
        return self._entries[-1]

    def numbered(self) -> Iterator[tuple[int, Entry]]:
        """Each entry with its number since the last reset, from 1; the dropped ones count."""
        return enumerate(self._entries, start=self.dropped_count + 1)

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Entry:
        return self._entries[index]

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries))


class DisabledJournal(Journal):
    """A journal that stays empty, for load tests."""

    is_enabled = False

    def for_new_session(self) -> Journal:
        """Return another one."""
        return DisabledJournal()

    def add(self, entry: Entry) -> None:
        """Keep nothing."""
