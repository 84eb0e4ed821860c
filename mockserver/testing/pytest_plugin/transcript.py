"""The transcript: requests and replies of a test, as a section of its pytest report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from threading import Lock
from typing import TypeAlias

from mockserver.contract.findings import Severity
from mockserver.server.journal_entries import findings_for_entry
from mockserver.server.state.journal import Entry
from mockserver.server.state.sessions import DEFAULT_SESSION_NAME, Session
from mockserver.server.verdicts import FailurePolicy
from mockserver.wire.redaction import redact, redact_body
from mockserver.wire.terminal import escape_unprintable

__all__ = ["RemovedRequests", "session_transcript"]

_REMOVED_MARK = " (no longer in the journal)"

_SessionKey: TypeAlias = tuple[int, str]
"""The default session of a server, by its identity, and the name of one of its sessions."""

#: Latest requests of a session that are shown.
_MAX_ENTRIES = 10
#: Earlier requests that are shown because they broke a rule, the first ones.
_MAX_VIOLATIONS = 10
#: Characters of a body that are shown.
_MAX_REQUEST_CHARACTERS = 2000
_MAX_REPLY_CHARACTERS = 600


def session_transcript(session: Session, policy: FailurePolicy, removed: Sequence[str] = ()) -> str:
    """The stubs and the journal of one session, without keys; "" if it has neither.

    It shows the latest requests, and those that broke a rule wherever they stand; `removed` are the lines of
    such requests that are in no journal any more.
    """
    return "\n".join(_transcript_lines(session, policy, removed))


class RemovedRequests:
    """The requests of a test that broke a rule and are in no journal any more: dropped, or before a reset."""

    def __init__(self, policy: FailurePolicy) -> None:
        self._policy = policy
        self._counts: Counter[_SessionKey] = Counter()
        self._lines: dict[_SessionKey, list[str]] = {}
        self._shown: Counter[_SessionKey] = Counter()
        self._lock = Lock()  # the server's thread drops entries, the test's thread resets

    def add(self, server_session: Session, entry: Entry) -> None:
        """Keep the transcript of an entry that its journal removes, if it broke a rule."""
        key = id(server_session), entry.session
        with self._lock:
            self._counts[key] += 1
            if self._shown[key] < _MAX_VIOLATIONS and _is_violation(entry, self._policy):
                self._shown[key] += 1
                head, *rest = _entry_lines(self._counts[key], entry)
                self._lines.setdefault(key, []).extend([head + _REMOVED_MARK, *rest])

    def take(self, server_session: Session, name: str) -> list[str]:
        """Remove and return the lines of a session."""
        return self._lines.pop((id(server_session), name), [])

    def take_all(self) -> list[list[str]]:
        """Remove and return the lines of all other sessions, which exist no more."""
        lines = [[f"session {name}", *lines] for (_, name), lines in self._lines.items()]
        self._lines.clear()
        return lines


def _transcript_lines(session: Session, policy: FailurePolicy, removed: Sequence[str]) -> Iterator[str]:
    entries = list(session.journal.numbered())
    if entries or session.stubs.all:
        name = "" if session.name == DEFAULT_SESSION_NAME else f"session {session.name}, "
        yield f"{name}profile {session.profile.name}, rendering {session.rendering}"
    for stub in session.stubs.all[-_MAX_ENTRIES:]:
        yield escape_unprintable(redact(f"stub: {stub}"))
    latest, earlier = entries[-_MAX_ENTRIES:], entries[:-_MAX_ENTRIES]
    violations = [each for each in earlier if _is_violation(each[1], policy)]
    yield from removed
    for number, entry in violations[:_MAX_VIOLATIONS]:
        yield from _entry_lines(number, entry)
    shown_removed = sum(line.endswith(_REMOVED_MARK) for line in removed)
    hidden = (
        len(earlier)
        - len(violations[:_MAX_VIOLATIONS])
        + max(0, session.journal.dropped_count - shown_removed)
    )
    if hidden:
        more = len(violations) - len(violations[:_MAX_VIOLATIONS])
        which = f", {more} of them with findings like these" if more > 0 else ""
        yield f"({hidden} earlier requests{which})"
    for number, entry in latest:
        yield from _entry_lines(number, entry)


def _is_violation(entry: Entry, policy: FailurePolicy) -> bool:
    return any(
        policy.is_violation(each) and each.rule not in policy.allowed_rules
        for each in findings_for_entry(entry)
    )


def _entry_lines(number: int, entry: Entry) -> Iterator[str]:
    yield escape_unprintable(f"{number}. {entry.method} {entry.path} -> {entry.status}")
    if entry.body:
        yield f"   > {_truncate_body(entry.body, _MAX_REQUEST_CHARACTERS, entry)}"
    reply = b"".join(entry.sent_reply)
    if reply:
        yield f"   < {_truncate_body(reply, _MAX_REPLY_CHARACTERS, entry)}"
    if entry.sent_bytes is not None:
        yield f"   the client {entry.departure}"
    for finding in findings_for_entry(entry):
        if finding.severity is not Severity.INFO:
            yield f"   {finding}"
    if entry.ignored:
        yield escape_unprintable(redact(f"   ignored: {', '.join(entry.ignored)}", entry.secrets))


def _truncate_body(body: bytes, max_characters: int, entry: Entry) -> str:
    """The start of a body; keys are removed before it is cut."""
    limit = 4 * max_characters + 400
    start = body[:limit].decode(errors="replace")
    text = redact_body(start if len(body) <= limit else f"{start}…", entry.secrets)
    text = text.strip().replace("\r", "")
    shown = text if len(text) <= max_characters else f"{text[:max_characters]}… ({len(body)} bytes)"
    return "\n     ".join(escape_unprintable(line) for line in shown.split("\n"))
