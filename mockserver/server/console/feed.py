"""The live list of requests: what changed in the journals, as rows for the page.

The feed looks at the journals several times a second while a console is open. A server whose console nobody
looks at does nothing for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Any

from mockserver.contract.findings import Severity
from mockserver.server.http.requests import HttpRequest
from mockserver.server.journal_entries import findings_for_entry
from mockserver.server.state.journal import Entry, Journal
from mockserver.server.state.sessions import Session
from mockserver.wire import json, sse
from mockserver.wire.redaction import redact

__all__ = ["Feed", "entry_row", "send_feed"]

_POLL_SECONDS = 0.1
#: Seconds without an event after which a comment shows that the connection is alive.
_KEEP_ALIVE_SECONDS = 15
_MAX_PROMPT = 200
#: Characters of a longer prompt to redact.
_MAX_CUT_PROMPT = 2 * _MAX_PROMPT


class Feed:
    """Finds the entries that were added or ended since the last look."""

    def __init__(self) -> None:
        self._last_numbers: dict[str, tuple[Journal, int, int]] = {}
        self._unfinished: dict[tuple[str, int], Entry] = {}

    def changes(self, sessions: Iterable[Session]) -> Iterator[tuple[str, Any]]:
        """Yield (event, data): "reset" with a session's name, "rows" with new and changed rows."""
        added: list[tuple[float, dict[str, Any]]] = []
        for session in sessions:
            journal, name = session.journal, session.name
            known, clear_count, last = self._last_numbers.get(name, (journal, journal.clear_count, 0))
            if known is not journal or clear_count != journal.clear_count:
                yield "reset", {"session": name}
                last = 0
                self._unfinished = {key: each for key, each in self._unfinished.items() if key[0] != name}
            newest = journal.dropped_count + len(journal)
            for number in range(max(last, journal.dropped_count) + 1, newest + 1):
                entry = journal[number - journal.dropped_count - 1]
                self._unfinished[name, number] = entry
                added.append((entry.recorded_at, entry_row(name, number, entry)))
            self._last_numbers[name] = (journal, journal.clear_count, newest)
        # Those of several sessions as they came: each session has a clock of its own.
        rows = [row for _, row in sorted(added, key=itemgetter(0))]
        rows += self._ended_rows({(row["session"], row["number"]) for row in rows})
        if rows:
            yield "rows", rows

    def _ended_rows(self, new: set[tuple[str, int]]) -> Iterator[dict[str, Any]]:
        ended = [key for key, entry in self._unfinished.items() if entry.end is not None]
        for key in ended:
            entry = self._unfinished.pop(key)
            if key not in new:
                yield entry_row(*key, entry)


def entry_row(session_name: str, number: int, entry: Entry) -> dict[str, Any]:
    """A journal entry as a row of the list, without keys; an entry of a relay does not know its session."""
    prompt = entry.unmasked_prompt
    if len(prompt) > _MAX_CUT_PROMPT:
        prompt = f"{prompt[:_MAX_CUT_PROMPT]}…"
    secrets = entry.secrets
    findings = findings_for_entry(entry)
    severities = {each.severity for each in findings}
    return {
        "session": session_name,
        "number": number,
        "at": entry.at,
        "method": entry.method,
        "path": entry.path,
        "model": redact(entry.model, secrets),
        "prompt": redact(prompt, secrets)[:_MAX_PROMPT],
        "status": entry.status,
        "stream": entry.stream,
        "rules": list(dict.fromkeys(each.rule for each in findings)),
        "findings": len(findings),
        "severity": next((each.value for each in Severity if each in severities), None),
        "stub": entry.exchange,
        "fault": ", ".join(entry.fault_names) or None,
        "duration": None if entry.end is None else round(entry.end - entry.at, 6),
        "left": entry.left,
    }


async def send_feed(request: HttpRequest) -> None:
    """Send the feed until the browser leaves."""
    send, services, feed = request.send, request.services, Feed()
    headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    request.response_started = True
    await send(_body(sse.encode(b"{}", event="hello")))
    departure = asyncio.ensure_future(_wait_for_departure(request))
    silent_polls = 0
    try:
        while not departure.done():
            frames = [
                sse.encode(json.dumps(data), event=event) for event, data in feed.changes(services.sessions)
            ]
            silent_polls = 0 if frames else silent_polls + 1
            if silent_polls * _POLL_SECONDS >= _KEEP_ALIVE_SECONDS:
                frames, silent_polls = [sse.encode_comment()], 0
            if frames:
                await send(_body(b"".join(frames)))
            await asyncio.wait({departure}, timeout=_POLL_SECONDS)
    finally:
        departure.cancel()


def _body(data: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": True}


async def _wait_for_departure(request: HttpRequest) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
