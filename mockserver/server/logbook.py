"""The log: one line a request, for people; keys and control characters never get in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import TextIO

from mockserver.contract.findings import Severity
from mockserver.server.journal import Entry
from mockserver.wire.redaction import redact

__all__ = ["Logbook", "line"]

#: Characters of a prompt that a line shows.
_FIRST_WORDS = 40

#: Characters of a prompt that are looked at for keys: more than a key and the first words together.
_LOOK_AT = 2000


class Logbook:
    """Writes lines to a stream, or nowhere."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._lines: list[str] = []
        self._time = ""

    @property
    def quiet(self) -> bool:
        return self._stream is None

    def note(self, entry: Entry, prompt: str, secrets: Iterable[str]) -> None:
        """One line for a request that was answered."""
        if self._stream is not None:
            self.write(line(entry, prompt, secrets))

    def write(self, text: str) -> None:
        """One line as it is, with the time of day.

        Lines of one turn of the event loop go out together: a write costs more than a line.
        """
        if self._stream is None:
            return
        if not self._lines:
            self._time = time.strftime("%H:%M:%S")
            asyncio.get_running_loop().call_soon(self._flush)
        self._lines.append(f"{self._time} {text}\n")

    def _flush(self) -> None:
        text = "".join(self._lines)
        self._lines.clear()
        if self._stream is None:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None  # a log that can not be written stops nothing


def line(entry: Entry, prompt: str, secrets: Iterable[str] = ()) -> str:
    """Method, path, model, first words, status, events, verdict, ignored parameters, and what went wrong."""
    # Before it is cut: half a key is a key too.
    words = " ".join(redact(prompt[:_LOOK_AT], secrets)[: 2 * _FIRST_WORDS].split())
    if len(words) > _FIRST_WORDS:
        words = words[: _FIRST_WORDS - 1] + "…"
    text = (
        f"{entry.method} {entry.path}"
        f"{' ' + entry.model if entry.model else ''}"
        f"{f' {words!r}' if words else ''}"
        f" {entry.status}"
        f"{f' {len(entry.reply)} events' if entry.stream else ''}"
        f" {_verdict(entry)}"
        f"{' ignored: ' + ', '.join(entry.ignored) if entry.ignored else ''}"
        f"{f' ({entry.detail})' if entry.detail else ''}"
    )
    text = redact(text, secrets)
    return text if text.isprintable() else "".join(each if each.isprintable() else "?" for each in text)


def _verdict(entry: Entry) -> str:
    """What the contract says of the request; of one that was refused for another reason, that it was."""
    if entry.judged:
        told = [finding.rule for finding in entry.judged if finding.severity is not Severity.INFO]
        if told:
            return ", ".join(dict.fromkeys(told))
    return "ok" if entry.status < 400 else "refused"
