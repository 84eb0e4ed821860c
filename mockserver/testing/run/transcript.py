"""The transcript: what the clients of a test asked and were told, as a section of its report."""

from __future__ import annotations

from collections.abc import Iterator

from mockserver.contract.findings import Severity
from mockserver.server.state.journal import Entry
from mockserver.server.state.sessions import DEFAULT_SESSION_NAME, Session
from mockserver.testing.run.verdicts import judged
from mockserver.wire.redaction import redact

__all__ = ["transcript"]

#: Requests of one session that are shown, the latest.
_ENTRIES = 10
#: Characters of a body that are shown.
_BODY = 2000
_REPLY = 600


def transcript(session: Session) -> str:
    """One session's plan and journal, without keys; empty where there is nothing to tell."""
    return "\n".join(_lines(session))


def _lines(session: Session) -> Iterator[str]:
    entries = list(session.journal)
    if entries or session.stubs.all:
        name = "" if session.name == DEFAULT_SESSION_NAME else f"session {session.name}, "
        yield f"{name}profile {session.profile.name}, rendering {session.rendering}"
    for stub in session.stubs.all[-_ENTRIES:]:
        yield redact(f"planned: {stub}")
    hidden = max(0, len(entries) - _ENTRIES)
    if hidden:
        yield f"({hidden} earlier requests)"
    for number, entry in enumerate(entries[hidden:], start=hidden + 1):
        yield from _entry(number, entry)


def _entry(number: int, entry: Entry) -> Iterator[str]:
    yield f"{number}. {entry.method} {entry.path} -> {entry.status}"
    if entry.body:
        yield f"   > {_cut(entry.body, _BODY, entry)}"
    reply = b"".join(entry.reply)
    if reply:
        yield f"   < {_cut(reply, _REPLY, entry)}"
    for finding in judged(entry):
        if finding.severity is not Severity.INFO:
            yield f"   {finding}"
    if entry.ignored:
        yield redact(f"   ignored: {', '.join(entry.ignored)}", entry.secrets)


def _cut(body: bytes, most: int, entry: Entry) -> str:
    """A body on one line, as far as it is shown; keys are taken out before it is cut."""
    text = redact(body[: 4 * most + 400].decode(errors="replace"), entry.secrets)
    text = text.strip().replace("\r", "").replace("\n", "\n     ")
    return text if len(text) <= most else f"{text[:most]}… ({len(body)} bytes)"
