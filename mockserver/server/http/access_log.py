"""The access log: one readable line per request, without keys and control characters."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TextIO, TypeAlias

from mockserver.contract.findings import Finding, Severity
from mockserver.named_tuples import NamedTuple
from mockserver.server.http.background_stream import BackgroundStream
from mockserver.server.state.journal import FALLBACK, Entry, EntryDetails
from mockserver.server.state.sessions import DEFAULT_SESSION_NAME
from mockserver.wire.masks import NO_MASKS, configured_masks
from mockserver.wire.redaction import may_have_credentials, redact, redact_url, text_redactor

__all__ = ["AccessLog", "LogFormat", "format_entry", "format_lines", "number_lines", "open_access_log"]

#: Seconds that a line may wait to be written together with others.
_FLUSH_DELAY_SECONDS = 0.02

#: Characters of a prompt that a line shows.
_MAX_PROMPT_SHOWN = 40

#: Characters of a prompt that are searched for keys: more than the shown words and a key together.
_MAX_PROMPT_REDACTED = 2000

#: Characters of a model, of the ignored parameters and of an error that a line shows.
_MAX_FIELD_SHOWN = 300


LogFormat: TypeAlias = Callable[["Sequence[Entry | str]", float], list[str]]
"""Turns entries, or lines of text, into the texts to write; the time is in seconds since the epoch."""


class AccessLog:
    """Writes lines to a stream, or nowhere.

    It formats and writes close lines together, because a write costs more than a line.
    """

    def __init__(
        self, stream: TextIO | BackgroundStream | None = None, log_format: LogFormat | None = None
    ) -> None:
        """`log_format` formats the lines; default: `format_lines`."""
        self._stream = stream
        self._format = log_format or format_lines
        self._pending: list[Entry | str] = []

    def add(self, entry: Entry | str) -> None:
        """Add a line for a journal entry, or a line of text."""
        if self._stream is None:
            return
        if not self._pending:
            asyncio.get_running_loop().call_later(_FLUSH_DELAY_SECONDS, self.flush)
        self._pending.append(entry)

    def flush(self) -> None:
        """Write the pending lines; if the stream fails, log no more and go on."""
        if self._stream is None or not self._pending:
            return
        lines = self._format(self._pending, time.time())
        self._pending.clear()
        try:
            self._stream.write("\n".join((*lines, "")))
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None

    def close(self) -> None:
        """Write the pending lines, and wait a little for a stream in the background."""
        self.flush()
        if isinstance(self._stream, BackgroundStream):
            self._stream.close()


def open_access_log(stream: TextIO, log_format: LogFormat | None = None) -> AccessLog:
    """An access log that never waits for the reader of the stream; what it drops is counted in a line."""
    to_texts = log_format or format_lines

    def describe_loss(lines: int) -> str:
        return to_texts([f"{lines} lines are missing: nobody read the log"], time.time())[0] + "\n"

    return AccessLog(BackgroundStream(stream, describe_loss), log_format)


def format_lines(records: Sequence[Entry | str], now: float) -> list[str]:
    """A line for each journal entry or line of text, with the time of day."""
    time_of_day = time.strftime("%H:%M:%S", time.localtime(now))
    known = _KnownLines()
    return [f"{time_of_day} {each if isinstance(each, str) else known.line_for(each)}" for each in records]


class _LineForm(NamedTuple):
    """What the lines of similar entries have before and after the prompt, and what redacts it."""

    before: str
    after: str
    redact: Callable[[str], str]


class _KnownLines:
    """Formats entries that are written together, most of which are alike."""

    def __init__(self) -> None:
        self._forms: dict[tuple[object, ...], _LineForm] = {}
        # A mask may cover the prompt, or match across the parts of a line.
        self._has_forms = configured_masks() == NO_MASKS
        self._latest: tuple[EntryDetails | None, tuple[object, ...], str] = (None, (), "")

    def line_for(self, entry: Entry) -> str:
        """The line of an entry. Equal requests share their details, and their lines are the same."""
        details = entry.details
        method, path, _, authorization, accepted_keys, session, _ = entry.request_head
        event_count = len(entry.reply) if entry.stream else None
        key = (
            method,
            path,
            accepted_keys,
            authorization,
            session,
            details.model,
            details.stub_name == FALLBACK,  # the line names no other
            entry.status,
            event_count,
        )
        latest_details, latest_key, line = self._latest
        if details is not latest_details or key != latest_key:
            line = self._format(entry, key)
            self._latest = details, key, line
        return line

    def _format(self, entry: Entry, key: tuple[object, ...]) -> str:
        """The line of an entry; those of entries that differ only in the prompt have a form in common."""
        details = entry.details
        if (
            details.request_findings
            or details.error_detail
            or details.reply_findings
            or not self._has_forms
            or not entry.body  # left out: it may have had credentials
            or (details.may_have_credentials and may_have_credentials(entry.body))
        ):
            return format_entry(entry)
        form = self._forms.get(key)
        if form is None:
            form = self._forms[key] = _form_of(entry)
        before, after, redact_text = form
        words = _shorten_words(details.prompt, redact_text)
        return f"{before} {words!r}{after}" if words else before + after


def _form_of(entry: Entry) -> _LineForm:
    redact_text = text_redactor(entry.secrets)
    before, after = _around_prompt(entry, entry.secrets)
    return _LineForm(_printable(redact_text(before)), _printable(redact_text(after)), redact_text)


def number_lines(log_format: LogFormat | None, number: int) -> LogFormat:
    """A format that begins each text with the number of its worker."""
    to_texts = log_format or format_lines
    return lambda records, now: [f"[{number}] {each}" for each in to_texts(records, now)]


def format_entry(entry: Entry) -> str:
    """Method, path, model, start of the prompt, status, events, findings, ignored parameters and error."""
    redact_text = text_redactor(entry.secrets)
    before, after = _around_prompt(entry, entry.secrets)
    words = _shorten_words(entry.unmasked_prompt, redact_text)
    return _printable(redact_text(f"{before}{f' {words!r}' if words else ''}{after}"))


def _around_prompt(entry: Entry, secrets: tuple[str, ...]) -> tuple[str, str]:
    """The line of an entry before and after the prompt, to be redacted."""
    head, details = entry.request_head, entry.details
    before = (
        f"{'' if head.session in ('', DEFAULT_SESSION_NAME) else f'[{head.session}] '}"
        f"{head.method} {redact_url(head.path, secrets) if '?' in head.path else head.path}"
        f"{' ' + _shorten(details.model, secrets) if details.model else ''}"
    )
    after = (
        f" {entry.status}"
        f"{f' {FALLBACK}' if details.stub_name == FALLBACK else ''}"
        f"{f' {len(entry.reply)} events' if entry.stream else ''}"
        f" {_verdict(entry)}"
        f"{' ignored: ' + _shorten(', '.join(details.ignored), secrets) if details.ignored else ''}"
        f"{f' ({_shorten(details.error_detail, secrets)})' if details.error_detail else ''}"
    )
    return before, after


def _shorten_words(prompt: str, redact_text: Callable[[str], str]) -> str:
    """The start of the prompt, redacted before it is cut: half a key is a secret too."""
    text = redact_text(prompt if len(prompt) <= _MAX_PROMPT_REDACTED else prompt[:_MAX_PROMPT_REDACTED])
    if len(prompt) > _MAX_PROMPT_SHOWN:
        text = text[: 2 * _MAX_PROMPT_SHOWN]
    # Of all white space, only a space is printable.
    is_tidy = text.isprintable() and "  " not in text
    words = text.strip() if is_tidy else _printable(" ".join(text.split()))
    if len(prompt) <= _MAX_PROMPT_SHOWN or len(words) <= _MAX_PROMPT_SHOWN:
        return words
    return words[: _MAX_PROMPT_SHOWN - 1] + "…"


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join(each if each.isprintable() else "?" for each in text)


def _shorten(text: str, secrets: tuple[str, ...]) -> str:
    if len(text) <= _MAX_FIELD_SHOWN:
        return text
    return redact(text[:_MAX_PROMPT_REDACTED], secrets)[:_MAX_FIELD_SHOWN] + "…"


def _verdict(entry: Entry) -> str:
    """The rules that the request breaks, and those that a live endpoint's reply breaks, else "ok" or "refused"."""
    details = entry.details
    if details.request_findings or details.reply_findings:
        rules = [*_broken_rules(details.request_findings)]
        rules += [f"reply {rule}" for rule in _broken_rules(details.reply_findings)]
        if rules:
            return ", ".join(rules)
    return "ok" if entry.status < 400 else "refused"


def _broken_rules(findings: tuple[Finding, ...]) -> Iterable[str]:
    return dict.fromkeys(each.rule for each in findings if each.severity is not Severity.INFO)
