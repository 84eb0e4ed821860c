"""The log: one line a request, for people; keys and control characters never get in."""

from __future__ import annotations

import asyncio
import time
from typing import TextIO

from mockserver.contract.findings import Severity
from mockserver.server.state.journal import Entry
from mockserver.server.state.sessions import DEFAULT_SESSION_NAME
from mockserver.wire.redaction import redact

__all__ = ["AccessLog", "format_entry"]

#: Seconds that a line may wait for others.
_FLUSH_DELAY_SECONDS = 0.02

#: Characters of a prompt that a line shows.
_MAX_PROMPT_SHOWN = 40

#: Characters of a prompt that are looked at for keys: more than a key and the first words together.
_MAX_PROMPT_REDACTED = 2000


class AccessLog:
    """Writes lines to a stream, or nowhere.

    Lines that follow one another closely are made and written together: a write costs more than a line.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._pending: list[Entry | str] = []

    def add(self, entry: Entry | str) -> None:
        """A line for a request that was answered, or a line as it is."""
        if self._stream is None:
            return
        if not self._pending:
            asyncio.get_running_loop().call_later(_FLUSH_DELAY_SECONDS, self.flush)
        self._pending.append(entry)

    def flush(self) -> None:
        """Write what is waiting; a log that can not be written stops nothing."""
        if self._stream is None or not self._pending:
            return
        now = time.strftime("%H:%M:%S")
        lines = [each if isinstance(each, str) else format_entry(each) for each in self._pending]
        self._pending.clear()
        try:
            self._stream.write("".join([f"{now} {each}\n" for each in lines]))
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None


def format_entry(entry: Entry) -> str:
    """Method, path, model, first words, status, events, verdict, ignored parameters, and what went wrong."""
    secrets, sent, about = entry.secrets, entry.request_head, entry.details
    # Redacted before it is cut: half a key is a key too.
    words = " ".join(redact(about.prompt[:_MAX_PROMPT_REDACTED], secrets)[: 2 * _MAX_PROMPT_SHOWN].split())
    if len(words) > _MAX_PROMPT_SHOWN:
        words = words[: _MAX_PROMPT_SHOWN - 1] + "…"
    text = (
        f"{'' if sent.session in ('', DEFAULT_SESSION_NAME) else f'[{sent.session}] '}"
        f"{sent.method} {sent.path}"
        f"{' ' + about.model if about.model else ''}"
        f"{f' {words!r}' if words else ''}"
        f" {entry.status}"
        f"{f' {len(entry.reply)} events' if entry.stream else ''}"
        f" {_verdict(entry)}"
        f"{' ignored: ' + ', '.join(about.ignored) if about.ignored else ''}"
        f"{f' ({about.error_detail})' if about.error_detail else ''}"
    )
    text = redact(text, secrets)
    return text if text.isprintable() else "".join(each if each.isprintable() else "?" for each in text)


def _verdict(entry: Entry) -> str:
    """What the contract says of the request; of one that was refused for another reason, that it was."""
    if entry.details.request_findings:
        told = [
            finding.rule
            for finding in entry.details.request_findings
            if finding.severity is not Severity.INFO
        ]
        if told:
            return ", ".join(dict.fromkeys(told))
    return "ok" if entry.status < 400 else "refused"
