"""The operations on what a session has received: its journal, the verdict, and when a client was stopped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs

from anyio import move_on_after, sleep

from mockserver.contract.findings import NumberedFinding
from mockserver.contract.formatting import format_location, redact_finding
from mockserver.errors import ConfigurationError
from mockserver.server.admin.operations import OperationFunction
from mockserver.server.admin.session_handlers import existing_session
from mockserver.server.http.requests import HttpRequest
from mockserver.server.large_bodies import run_in_worker
from mockserver.server.state.journal import Entry, Journal
from mockserver.server.state.sessions import Session
from mockserver.server.verdicts import FailurePolicy, judge_session, violation_line
from mockserver.wire.redaction import redact, redact_body

__all__ = ["JOURNAL_OPERATIONS"]

#: Entries on a page of the journal: the default and the maximum.
_DEFAULT_PAGE_SIZE, _MAX_PAGE_SIZE = 100, 1_000
#: Seconds between two looks at whether a client has left.
_POLL_SECONDS = 0.01


async def _read_journal(request: HttpRequest, _: Any) -> Any:
    query = _parse_query(request)
    after = _parse_number(query, "after", 0, (0, 1 << 53))
    limit = _parse_number(query, "limit", _DEFAULT_PAGE_SIZE, (1, _MAX_PAGE_SIZE))
    await _wait_for_fallback(request)
    journal = _enabled_journal(request.session)
    numbered = list(journal.numbered())
    remaining = [(number, entry) for number, entry in numbered if number > after]
    page = remaining[:limit]
    return {
        "entries": await run_in_worker(_entry_objects, page),
        "first": page[0][0] if page else None,
        "last": page[-1][0] if page else None,
        "has_more": len(remaining) > len(page),
    }


def _enabled_journal(session: Session) -> Journal:
    if not session.journal.is_enabled:
        raise ConfigurationError("the server keeps no journal: it was started with --load")
    return session.journal


def _parse_query(request: HttpRequest) -> Mapping[str, list[str]]:
    return parse_qs(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)


def _parse_boolean(query: Mapping[str, list[str]], name: str) -> bool:
    text = query.get(name, ["false"])[-1]
    if text not in ("true", "false"):
        raise ConfigurationError(f"{name} must be true or false, not {text[:40]!r}")
    return text == "true"


def _parse_number(query: Mapping[str, list[str]], name: str, default: int, bounds: tuple[int, int]) -> int:
    if name not in query:
        return default
    text, (minimum, maximum) = query[name][-1], bounds
    if not (
        text.isascii()
        and text.isdigit()
        and len(text) <= len(str(maximum))
        and minimum <= int(text) <= maximum
    ):
        raise ConfigurationError(f"{name} must be an integer from {minimum} to {maximum}, not {text[:40]!r}")
    return int(text)


async def _wait_for_fallback(request: HttpRequest) -> None:
    """Wait for the journal's entries of what a live endpoint answered: they are checked after the reply."""
    if request.services.fallback is not None:
        await request.services.fallback.wait_until_idle()


async def _read_verdict(request: HttpRequest, _: Any) -> Any:
    session = existing_session(request)
    await _wait_for_fallback(request)
    conduct = _parse_boolean(_parse_query(request), "conduct")
    policy = FailurePolicy(strict=session.strict, conduct=conduct)
    verdict = await run_in_worker(judge_session, session, policy)
    return {
        "session": session.name,
        "verdict": verdict.name,
        "requests": verdict.request_count,
        "violations": _violation_objects(verdict.violations),
        "unused": list(verdict.unused_stubs),
        "unchecked": list(verdict.unchecked),
        **({"conduct": _violation_objects(verdict.conduct)} if conduct else {}),
    }


def _violation_objects(numbered: Iterable[NumberedFinding]) -> list[dict[str, Any]]:
    return [
        {
            "request": number or None,
            "rule": finding.rule,
            "severity": finding.severity.value,
            "location": format_location(finding),
            "message": violation_line(finding),
        }
        for number, finding in numbered
    ]


async def _stop_client(request: HttpRequest, value: Any) -> Any:
    session = existing_session(request)
    journal, now = _enabled_journal(session), session.clock.now()
    newest = journal.dropped_count + len(journal)
    number = value.get("request", newest)
    if number == 0:
        return {"request": None, "stopped_at": now, "end": None, "left_at": None}
    if not journal.dropped_count < number <= newest:
        raise ConfigurationError(f"the journal of the session {session.name!r} has no request {number}")
    entry = journal[number - journal.dropped_count - 1]
    entry.stopped_at = now
    await _wait_until_left(entry, value.get("timeout", 0))
    return {"request": number, "stopped_at": now, "end": entry.end, "left_at": entry.left_at}


async def _wait_until_left(entry: Entry, seconds: float) -> None:
    """Wait until the client of a request has disconnected, but at most `seconds`."""
    with move_on_after(seconds):
        # An entry tells nobody that its client has left.
        while not (entry.left and entry.end is not None):  # noqa: ASYNC110
            await sleep(_POLL_SECONDS)


def _entry_objects(page: list[tuple[int, Entry]]) -> list[dict[str, Any]]:
    return [_entry_object(number, entry) for number, entry in page]


def _entry_object(number: int, entry: Entry) -> dict[str, Any]:
    """Return a journal entry without keys."""
    secrets = entry.secrets
    return {
        "number": number,
        "session": entry.session,
        "at": entry.at,
        "first_byte": entry.first_byte,
        "end": entry.end,
        "method": entry.method,
        "path": entry.path,
        "headers": entry.headers,
        "body": redact_body(entry.body.decode(errors="replace"), secrets),
        "status": entry.status,
        "stream": entry.stream,
        "reply": redact_body(b"".join(entry.reply).decode(errors="replace"), secrets),
        "left_out": entry.left_out,
        "request_id": entry.request_id,
        "model": redact(entry.model, secrets),
        "prompt": redact(entry.unmasked_prompt, secrets),
        "exchange": entry.exchange,
        "ignored": [redact(name, secrets) for name in entry.ignored],
        "findings": [str(redact_finding(each, secrets)) for each in entry.findings],
        "reply_findings": [str(redact_finding(each, secrets)) for each in entry.reply_findings],
        "checked": entry.is_checked,
        "refusal": entry.refusal,
        "detail": entry.detail,
        "left": entry.left,
        "left_at": entry.left_at,
        "sent_bytes": entry.sent_bytes,
    }


JOURNAL_OPERATIONS: Mapping[str, OperationFunction] = MappingProxyType(
    {
        "readJournal": _read_journal,
        "readVerdict": _read_verdict,
        "stopClient": _stop_client,
    }
)
