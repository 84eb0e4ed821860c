"""Check what crosses the wire of Chat Completions: the four functions that everything else calls.

They are to Chat what those of `contract.check` are to Responses, and return findings of the same kind.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from itertools import chain, islice
from typing import Any

from mockserver.contract.bodies.parsing import Body, body_value, parse_body
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
    """Check the body of a chat request; any model will do unless `models` are given.

    >>> for finding in check_chat_request({"model": "qwen3-max-2026-01-23", "messages": []}):
    ...     print(finding.rule, finding.pointer, finding.message)
    REQ-001 /messages [] is too short - 'messages'
    """
    value, found = parse_body(body)
    if found and value is None:
        return found
    about = load_profile(profile) if isinstance(profile, str) else profile
    return found + chat_request_findings(value, about, models)


def check_chat_completion(body: Body, request: Body = None) -> list[Finding]:
    """Check the body of a completion that was not streamed; with the `request` also whether it fits that."""
    value, found = parse_body(body)
    if found and value is None:
        return found
    shape = schema_findings(load_chat_schemas(), "chat_completion", value)
    report = Report(CHAT_PROFILE)
    asked = body_value(request)
    if not errors(shape):
        check_completion(value, asked, report)
    if isinstance(asked, dict) and asked.get("stream") is True:
        report.add("SSE-006", "", "a stream was asked for, and JSON came")
    return found + shape + report.findings


def check_chat_error(body: Body) -> list[Finding]:
    """Check the body of a refused chat request: `{error: {message, type, param, code}, request_id}`."""
    value, found = parse_body(body)
    if found and value is None:
        return found
    return found + schema_findings(load_chat_schemas(), "chat_error", value)


def check_chat_stream(
    source: bytes | bytearray | memoryview | str | Iterable[Any], request: Body = None
) -> list[Finding]:
    """Check a streamed completion: its bytes or text, or an iterable of chunks of bytes or of parsed chunks.

    Bytes are server-sent events, or JSON Lines: one chunk a line. The marker `[DONE]` is looked for in
    server-sent events alone.
    """
    asked = body_value(request)
    if isinstance(source, str):
        source = source.encode(errors="surrogatepass")
    if isinstance(source, bytes | bytearray | memoryview):
        source = [source]
    items = iter(source)
    first = list(islice(items, 1))
    if first and isinstance(first[0], bytes | bytearray | memoryview):
        data = b"".join(bytes(each) for each in chain(first, items))
        found = _check_lines(data, asked) if data.lstrip().startswith(b"{") else _check_framed(data, asked)
    else:
        found = _check_chunks(chain(first, items), asked)
    if isinstance(asked, dict) and asked.get("stream") is not True:
        found.append(make_finding("SSE-006", "", "no stream was asked for, and one came"))
    return found


def _check_framed(data: bytes, request: Any) -> list[Finding]:
    checker = ChatFramingChecker(request)
    return checker.feed(data) + checker.finish()


def _check_chunks(chunks: Iterable[Any], request: Any) -> list[Finding]:
    checker = ChunkSequenceChecker(request)
    found = [each for chunk in chunks for each in checker.feed(chunk)]
    return found + checker.finish()


def _check_lines(data: bytes, request: Any) -> list[Finding]:
    """Findings of chunks that were kept one a line."""
    checker = ChunkSequenceChecker(request)
    found: list[Finding] = []
    for at, line in enumerate(filter(None, map(bytes.strip, data.splitlines()))):
        try:
            found += checker.feed(json.loads(line))
        except InvalidJSON as error:
            got = line[:80].decode(errors="replace")
            found.append(make_finding("SSE-002", "", f"the line is not JSON: {error}", event=at, got=got))
            checker.mark_unreadable()
    return found + checker.finish()
