"""The transcript: requests and replies of a test, as a section of its pytest report."""

from __future__ import annotations

from collections.abc import Iterator

from mockserver.contract.findings import Severity
from mockserver.server.journal_entries import findings_for_entry
from mockserver.server.state.journal import Entry
from mockserver.server.state.sessions import DEFAULT_SESSION_NAME, Session
from mockserver.wire.redaction import redact

__all__ = ["session_transcript"]

#: Latest requests of a session that are shown.
_MAX_ENTRIES = 10
#: Characters of a body that are shown.
_MAX_REQUEST_CHARACTERS = 2000
_MAX_REPLY_CHARACTERS = 600


def session_transcript(session: Session) -> str:
    """The stubs and the journal of one session, without keys; "" if it has neither."""
    return "\n".join(_transcript_lines(session))


def _transcript_lines(session: Session) -> Iterator[str]:
    entries = list(session.journal)
    if entries or session.stubs.all:
        name = "" if session.name == DEFAULT_SESSION_NAME else f"session {session.name}, "
        yield f"{name}profile {session.profile.name}, rendering {session.rendering}"
    for stub in session.stubs.all[-_MAX_ENTRIES:]:
        yield redact(f"stub: {stub}")
    hidden = max(0, len(entries) - _MAX_ENTRIES)
    if hidden:
        yield f"({hidden} earlier requests)"
    for number, entry in enumerate(entries[hidden:], start=hidden + 1):
        yield from _entry_lines(number, entry)


def _entry_lines(number: int, entry: Entry) -> Iterator[str]:
    yield f"{number}. {entry.method} {entry.path} -> {entry.status}"
    if entry.body:
        yield f"   > {_truncate_body(entry.body, _MAX_REQUEST_CHARACTERS, entry)}"
    reply = b"".join(entry.reply)
    if reply:
        yield f"   < {_truncate_body(reply, _MAX_REPLY_CHARACTERS, entry)}"
    for finding in findings_for_entry(entry):
        if finding.severity is not Severity.INFO:
            yield f"   {finding}"
    if entry.ignored:
        yield redact(f"   ignored: {', '.join(entry.ignored)}", entry.secrets)


def _truncate_body(body: bytes, max_characters: int, entry: Entry) -> str:
    """The start of a body; keys are removed before it is cut."""
    text = redact(body[: 4 * max_characters + 400].decode(errors="replace"), entry.secrets)
    text = text.strip().replace("\r", "").replace("\n", "\n     ")
    return text if len(text) <= max_characters else f"{text[:max_characters]}… ({len(body)} bytes)"
