"""Checks requests, completions, errors and streams of Chat Completions.

The four functions correspond to those of `contract.check`, and return the same kind of findings.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

from mockserver.contract.bodies.parsing import Body, body_value, parse_body, stream_pieces
from mockserver.contract.chat.completions import check_completion
from mockserver.contract.chat.requests import chat_request_findings
from mockserver.contract.chat.service import CHAT_PROFILE, load_chat_schemas
from mockserver.contract.chat.stream import ChatFramingChecker, ChunkSequenceChecker
from mockserver.contract.findings import Finding, errors
from mockserver.contract.rules import Report, make_finding
from mockserver.contract.schema.validation import schema_findings
from mockserver.errors import InvalidJSON
from mockserver.profiles import DEFAULT_PROFILE, Profile, load_profile
from mockserver.wire import json

__all__ = ["check_chat_completion", "check_chat_error", "check_chat_request", "check_chat_stream"]


def check_chat_request(
    body: Body, profile: str | Profile = DEFAULT_PROFILE, models: Container[str] | None = None
) -> list[Finding]:
    """Check the body of a chat request; without `models`, any model is allowed.

    >>> for finding in check_chat_request({"model": "qwen3-max-2026-01-23", "messages": []}):
    ...     print(finding.rule, finding.pointer, finding.message)
    REQ-001 /messages [] is too short - 'messages'
    """
    value, findings = parse_body(body)
    if findings and value is None:
        return findings
    loaded = load_profile(profile) if isinstance(profile, str) else profile
    return findings + chat_request_findings(value, loaded, models)


def check_chat_completion(body: Body, request: Body = None) -> list[Finding]:
    """Check the body of a completion without `stream`, and whether it fits the `request` if you pass one."""
    value, findings = parse_body(body)
    if findings and value is None:
        return findings
    findings += schema_findings(load_chat_schemas(), "chat_completion", value)
    report = Report(CHAT_PROFILE)
    requested = body_value(request)
    if not errors(findings):
        check_completion(value, requested, report)
    if isinstance(requested, dict) and requested.get("stream") is True:
        report.add("SSE-006", "", "the request asks for a stream, but the response is JSON")
    return findings + report.findings + report.omitted_findings()


def check_chat_error(body: Body) -> list[Finding]:
    """Check the body of an error: `{error: {message, type, param, code}, request_id}`."""
    value, findings = parse_body(body)
    if findings and value is None:
        return findings
    return findings + schema_findings(load_chat_schemas(), "chat_error", value)


def check_chat_stream(
    source: bytes | bytearray | memoryview | str | Iterable[Any], request: Body = None
) -> list[Finding]:
    """Check a streamed completion: bytes, text, or an iterable of pieces of bytes or of parsed chunks.

    Bytes and text are server-sent events, or JSON Lines with one chunk per line. Only server-sent events have
    to end with `[DONE]`.
    """
    requested = body_value(request)
    pieces, are_bytes = stream_pieces(source)
    if are_bytes:
        data = b"".join(map(bytes, pieces))
        check = _check_lines if data.lstrip().startswith(b"{") else _check_framed
        findings = check(data, requested)
    else:
        findings = _check_chunks(pieces, requested)
    if isinstance(requested, dict) and requested.get("stream") is not True:
        message = "the response is a stream, but the request does not ask for one"
        findings.append(make_finding("SSE-006", "", message))
    return findings


def _check_framed(data: bytes, request: Any) -> list[Finding]:
    checker = ChatFramingChecker(request)
    return checker.feed(data) + checker.finish()


def _check_chunks(chunks: Iterable[Any], request: Any) -> list[Finding]:
    checker = ChunkSequenceChecker(request)
    findings = [finding for chunk in chunks for finding in checker.feed(chunk)]
    return findings + checker.finish()


def _check_lines(data: bytes, request: Any) -> list[Finding]:
    checker = ChunkSequenceChecker(request)
    report = Report(CHAT_PROFILE)
    findings: list[Finding] = []
    for at, line in enumerate(filter(None, map(bytes.strip, data.splitlines()))):
        try:
            findings += checker.feed(json.loads(line))
        except InvalidJSON as error:
            got = line[:80].decode(errors="replace")
            report.event, report.findings = at, []
            report.add("SSE-002", "", f"the line is not JSON: {error}", got=got)
            findings += report.findings
            checker.mark_unreadable()
    return findings + checker.finish() + report.omitted_findings()
