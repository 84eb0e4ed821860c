"""The log: one line a request, for people; keys and control characters never get in."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TextIO

from mockserver.contract.findings import Severity
from mockserver.server.journal import Entry
from mockserver.wire.redaction import redact

__all__ = ["Logbook", "line"]

#: Characters of a prompt that a line shows.
_FIRST_WORDS = 40


class Logbook:
    """Writes lines to a stream, or nowhere."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    @property
    def quiet(self) -> bool:
        return self._stream is None

    def note(self, entry: Entry, prompt: str, secrets: Iterable[str]) -> None:
        """One line for a request that was answered."""
        if self._stream is not None:
            self.write(line(entry, prompt, secrets))

    def write(self, text: str) -> None:
        """One line as it is, with the time of day; a log that can not be written stops nothing."""
        if self._stream is None:
            return
        try:
            self._stream.write(f"{time.strftime('%H:%M:%S')} {text}\n")
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None


def line(entry: Entry, prompt: str, secrets: Iterable[str] = ()) -> str:
    """Method, path, model, first words, status, events, verdict, ignored parameters, and what went wrong."""
    words = " ".join(prompt[: 2 * _FIRST_WORDS].split())
    shown = words if len(words) <= _FIRST_WORDS else words[: _FIRST_WORDS - 1] + "…"
    parts = [entry.method, entry.path]
    if entry.model:
        parts.append(entry.model)
    if shown:
        parts.append(f'"{shown}"')
    parts.append(str(entry.status))
    if entry.stream:
        parts.append(f"{len(entry.reply)} events")
    parts.append(_verdict(entry))
    if entry.ignored:
        parts.append(f"ignored: {', '.join(entry.ignored)}")
    if entry.detail:
        parts.append(f"({entry.detail})")
    text = redact(" ".join(parts), secrets)
    return text if text.isprintable() else "".join(each if each.isprintable() else "?" for each in text)


def _verdict(entry: Entry) -> str:
    """What the contract says of the request; of one that was refused for another reason, that it was."""
    told = [finding.rule for finding in entry.findings if finding.severity is not Severity.INFO]
    if told:
        return ", ".join(dict.fromkeys(told))
    return "ok" if entry.status < 400 else "refused"
