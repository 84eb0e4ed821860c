"""Journal entries as findings, report exchanges and parsed requests.

They serve the pytest plugin, `mockserver run` and the console.
Imports no pytest, so that commands work without it.
"""

from __future__ import annotations

from dataclasses import replace

from mockserver.contract.chat.service import CHAT_PATHS
from mockserver.contract.findings import Finding, Severity
from mockserver.contract.formatting import redact_finding
from mockserver.errors import InvalidJSON
from mockserver.profiles import Profile
from mockserver.reports.formatting import format_count
from mockserver.reports.model import ReportExchange
from mockserver.reports.report_exchanges import RawExchange, exchange_from_raw
from mockserver.server.chat.pipeline import incoming_chat_request
from mockserver.server.errors import ApiError
from mockserver.server.request_facts import parse_request
from mockserver.server.state.journal import Entry
from mockserver.server.stubs.matchers import IncomingRequest
from mockserver.wire.redaction import redact

__all__ = [
    "REFUSED",
    "UNPLANNED",
    "exchange_from_entry",
    "findings_for_entry",
    "findings_for_request",
    "incoming_request",
]

#: Values of `Entry.refusal`, which findings have in place of a rule id.
UNPLANNED, REFUSED = "unplanned", "refused"


def findings_for_entry(entry: Entry) -> list[Finding]:
    """Findings for a request and its reply."""
    if entry.refusal:
        return findings_for_request(entry)
    reply_findings = [
        replace(each, message=f"the endpoint's reply: {each.message}") for each in entry.reply_findings
    ]
    return [
        *findings_for_request(entry),
        *(redact_finding(finding, entry.secrets) for finding in reply_findings),
    ]


def findings_for_request(entry: Entry) -> list[Finding]:
    """Findings for a request alone: contract violations, and why it was not answered."""
    if entry.refusal == UNPLANNED:
        prompt = f" with prompt {entry.unmasked_prompt!r}" if entry.prompt else ""
        message = f"no stub matches this request{prompt}; {entry.detail}"
        return [Finding(UNPLANNED, Severity.ERROR, "", None, redact(message, entry.secrets))]
    if entry.refusal == REFUSED and not entry.detail.startswith("the endpoint"):
        message = redact(f"{entry.method} {entry.path}: not an API request: {entry.detail}", entry.secrets)
        return [Finding(REFUSED, Severity.ERROR, "", None, message, got=entry.status)]
    findings = [redact_finding(finding, entry.secrets) for finding in entry.findings]
    if entry.refusal:
        message = redact(f"{entry.method} {entry.path}: {entry.detail}", entry.secrets)
        return [Finding(entry.refusal, Severity.ERROR, "", None, message), *findings]
    return findings


def exchange_from_entry(
    entry: Entry, number: int, profile: str, group: str = "", details: tuple[tuple[str, str], ...] = ()
) -> ReportExchange:
    """A journal entry as a report shows it: request, reply, stream and findings, without keys."""
    omitted = f"{format_count(entry.left_out, 'byte')}, too large to keep" if entry.left_out else ""
    more = (
        ("answered by", entry.exchange or ""),
        ("server detail", entry.detail),
        ("left out", omitted),
        ("request body", "" if entry.is_checked else "not checked"),
        ("client", entry.departure),
    )
    return exchange_from_raw(
        RawExchange(
            name=f"request {number}{': ' + entry.unmasked_prompt[:80] if entry.prompt else ''}",
            profile=profile,
            method=entry.method,
            path=entry.path,
            status=entry.status or None,
            request_body=entry.body,
            chunks=_timed_chunks(entry),
            reply_findings=entry.reply_findings,
            request_findings=tuple(findings_for_request(entry)),
            secrets=entry.secrets,
            group=group,
            details=(*details, *((label, value) for label, value in more if value)),
        )
    )


def _timed_chunks(entry: Entry) -> tuple[tuple[float | None, bytes], ...]:
    """The pieces of a reply that were sent, with the seconds after the request if they are known."""
    times, pieces = () if entry.send_times is None else entry.send_times.pieces, entry.sent_reply
    if len(times) != len(pieces):
        return tuple((None, piece) for piece in pieces)
    return tuple((at - entry.at, piece) for at, piece in zip(times, pieces, strict=True))


def incoming_request(entry: Entry, profile: Profile) -> IncomingRequest | None:
    """The request of an entry, as matchers see it; None if it is no valid API request.

    A chat request is in its Responses form.
    """
    headers, details = dict(entry.request_head.headers), entry.details
    try:
        if entry.request_head.path in CHAT_PATHS:
            return incoming_chat_request(entry.json, profile, headers).with_context(headers, details.after)
        facts = parse_request(entry.json, profile)
    except (ApiError, InvalidJSON, KeyError, TypeError, AttributeError):
        return None
    return IncomingRequest(entry.json, facts, headers, details.after, details.turn)
