"""One request and its reply as a page of the console: what a report shows, and what the server knows beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from mockserver.replies.token_counts import count_tokens
from mockserver.reports.formatting import format_duration
from mockserver.reports.markup import tag
from mockserver.reports.model import EventStream
from mockserver.reports.page import render_document, render_exchange_page
from mockserver.server.console.access import RULES_PATH
from mockserver.server.journal_entries import exchange_from_entry, incoming_request
from mockserver.server.state.journal import Entry
from mockserver.server.state.sessions import Session
from mockserver.server.stubs.matchers import IncomingRequest
from mockserver.wire import json
from mockserver.wire.redaction import redact

__all__ = ["render_entry_page", "render_missing_page"]

#: Stubs and exchanges to show for a request that none of them matched: the nearest ones.
_MAX_NEAR_MISSES = 5


def render_entry_page(session: Session, number: int, entry: Entry) -> bytes:
    """A journal entry as an HTML page without keys, which takes seconds for a stream of megabytes.

    It changes no state, so that it can run in any thread.
    """
    details = _redacted_details(entry, _details(session, entry))
    exchange = exchange_from_entry(entry, number, session.profile.name, details=details)
    timing = _redacted_details(entry, _timing(entry, exchange.stream))
    page = render_exchange_page(replace(exchange, details=(*timing, *exchange.details), rule_path=RULES_PATH))
    return page.encode("utf-8", "replace")


def render_missing_page(message: str) -> str:
    """An HTML page in place of an entry that the journal does not have."""
    body = tag("body", tag("main", tag("p", message, class_="note")), class_="embedded")
    return render_document("No request", body)


def _redacted_details(entry: Entry, details: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((what, redact(value, entry.secrets)) for what, value in details if value)


def _details(session: Session, entry: Entry) -> Iterator[tuple[str, str]]:
    for name in entry.ignored:
        yield "ignored", f"{name}: {session.profile.title} does not support it and ignores it"
    request = incoming_request(entry, session.profile)
    if request is None:
        return
    yield "understood as", _description(request)
    if entry.exchange is None and entry.status < 400:
        yield "answered by", "a generated reply: no stub and no exchange matches"
    if entry.exchange is None or entry.refusal:
        misses = [
            *((stub.name, lacks) for stub, lacks in session.stubs.near_misses(request)),
            *((each.name, lacks) for each, lacks in session.user_exchange_index.near_misses(request)),
        ]
        for name, lacks in sorted(misses, key=lambda each: len(each[1]))[:_MAX_NEAR_MISSES]:
            yield "did not match", f"{name}: {'; '.join(lacks) or 'it was added later'}"


def _description(request: IncomingRequest) -> str:
    facts = request.facts
    parts = [
        f"turn {request.turn}" + (f" after {request.after}" if request.after else ""),
        f"{facts.input_tokens:,} input tokens by the mock's estimate",
        "thinking" if facts.thinking else "no thinking",
        "a stream" if facts.stream else "one reply",
    ]
    if request.tools:
        parts.append(f"tools: {', '.join(request.tools)}")
    if facts.max_output_tokens is not None:
        parts.append(f"at most {facts.max_output_tokens:,} output tokens")
    return "; ".join(parts)


def _timing(entry: Entry, stream: EventStream | None) -> Iterator[tuple[str, str]]:
    if entry.end is None:
        yield "state", "the reply is still being sent"
    if entry.end is None or stream is None:
        return
    first_token = next((each.elapsed for each in stream.events if each.added_text), None)
    if first_token is None:  # without text, or its time is unknown
        return
    yield "first token", f"{format_duration(max(0.0, first_token))} after the request"
    seconds = entry.end - entry.at - first_token
    if seconds > 0:
        tokens = _output_tokens(stream)
        yield "speed", f"{tokens / seconds:,.1f} tokens per second ({tokens:,} output tokens)"


def _output_tokens(stream: EventStream) -> int:
    """The output tokens that the reply reports, or else an estimate from its texts."""
    for event in reversed(stream.events):
        value = json.loads_or_none(event.data.encode(errors="replace")) if '"usage"' in event.data else None
        usage = (value.get("response") or value).get("usage") if isinstance(value, dict) else None
        if isinstance(usage, dict):
            return int(usage.get("output_tokens") or usage.get("completion_tokens") or 0)
    return sum(count_tokens(lane.text) for lane in stream.lanes)
