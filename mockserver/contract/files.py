"""Check a file of any kind: what `mockserver check` does with each file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from mockserver.contract.check import (
    check_body,
    check_error,
    check_request,
    check_response,
    check_stream,
)
from mockserver.contract.detection import (
    DetectedContent,
    ProfileChoice,
    detect_content,
    detect_long_stream,
    detect_profile,
    named_models,
)
from mockserver.contract.findings import Finding, errors
from mockserver.contract.operations import Operation, find_operation
from mockserver.contract.rules import Report, make_finding
from mockserver.contract.turn_history import TurnHistory
from mockserver.errors import InvalidExchange
from mockserver.profiles import DEFAULT_PROFILE, load_profile, profile_names
from mockserver.wire.text_files import is_utf16

if TYPE_CHECKING:
    from mockserver.contract.chat.migration import MigrationNote
    from mockserver.exchanges import Exchange

__all__ = ["AUTO", "HEAD_BYTES", "CheckResult", "CheckedMigration", "check_file", "is_long_stream"]

#: How many bytes of a file tell whether it is a stream, and of which profile.
HEAD_BYTES = 1 << 19

#: The profile or kind is detected from the file.
AUTO = "auto"

_CHAT_TARGET = ("POST", "/chat/completions")


@dataclass(frozen=True, slots=True)
class CheckedMigration:
    """A chat request, migrated to the Responses API."""

    body: dict[str, Any]
    notes: tuple[MigrationNote, ...]
    """What the Responses API lacks or does differently, and what to do about it."""
    findings: tuple[Finding, ...]
    """The findings on the migrated body."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of checking one file; input to every reporter."""

    kind: str | None
    """One of `detection.KINDS`; None if there is no signal."""
    profile: str
    profile_reason: str
    """Why this profile was chosen, in a few words."""
    findings: tuple[Finding, ...]
    migration: CheckedMigration | None = None
    """For a chat request without errors."""


def is_long_stream(head: bytes, kind: str = AUTO) -> bool:
    """Whether a file with these first `HEAD_BYTES` is a stream, which `check_file` takes piece by piece."""
    return len(head) >= HEAD_BYTES and kind in (AUTO, "stream") and detect_long_stream(head) is not None


def check_file(
    data: bytes,
    profile: str = AUTO,
    kind: str = AUTO,
    turns: TurnHistory | None = None,
    rest: Iterable[bytes] | None = None,
) -> CheckResult:
    """Check the content of a file; `auto` detects its profile and kind. Raises UnknownProfile.

    `turns` has the exchanges that were recorded before. An exchange is checked against them, and added.
    `rest` is what follows `data`, if that is the head of a long stream.

    >>> result = check_file(b'{"model": "qwen3-max-2026-01-23", "input": "Hello!"}')
    >>> result.kind, result.profile, result.findings
    ('request', 'qwen-2026-01', ())
    """
    content = (detect_long_stream(data) if rest is not None else None) or detect_content(data)
    if kind != AUTO:
        content = replace(content, kind=kind)
    choice = ProfileChoice(profile, "as requested") if profile != AUTO else _choose_profile(content)
    load_profile(choice.profile)
    if content.kind == "exchange":
        findings = _check_exchange(content, choice.profile, turns or TurnHistory())
    elif rest is not None:
        findings = _check_stream(content, choice.profile, rest=rest)
    else:
        findings = _CHECKS[content.kind](content, choice.profile)
    migration = None
    if content.kind == "chat_request" and not errors(findings):
        migration = _check_migration(content.value, choice.profile)
    return CheckResult(content.kind, choice.profile, choice.reason, tuple(findings), migration)


def _check_migration(value: dict[str, Any], profile: str) -> CheckedMigration:
    from mockserver.contract.chat.migration import migrate_request

    body, notes = migrate_request(value, load_profile(profile))
    return CheckedMigration(body, notes, tuple(check_request(body, profile)))


def _choose_profile(detected: DetectedContent) -> ProfileChoice:
    if detected.kind is not None and detected.kind.startswith("chat_"):
        return _choose_chat_profile(detected)
    if detected.kind == "exchange" and isinstance(detected.value, dict):
        named = detected.value.get("profile")
        if named in profile_names():
            return ProfileChoice(str(named), "as the exchange says")
        if named is not None:
            return ProfileChoice(DEFAULT_PROFILE, f"the default: there is no profile {named!r}")
        return detect_profile(b"", detected.value.get("request"), is_ours=True)
    return detect_profile(detected.body, detected.value)


def _choose_chat_profile(detected: DetectedContent) -> ProfileChoice:
    """Chat Completions has one contract for all profiles; the choice is for its migrated request."""
    model = next(iter(named_models(detected)), None)
    listing = [each for each in map(load_profile, profile_names()) if model in each.models]
    if not listing:
        return ProfileChoice(DEFAULT_PROFILE, "the default: no profile lists its model")
    return ProfileChoice(
        min(listing, key=lambda each: each.date).name, f"the first profile that lists {model}"
    )


def _check_chat(detected: DetectedContent, profile: str, request: Any = None) -> list[Finding]:
    # Imported only for chat files: most files are not, and start faster without.
    from mockserver.contract.chat.check import check_chat_completion, check_chat_request, check_chat_stream

    if detected.kind == "chat_request":
        return check_chat_request(detected.body, profile)
    if detected.kind == "chat_completion":
        return check_chat_completion(detected.body, request)
    return check_chat_stream(detected.value if isinstance(detected.value, list) else detected.body, request)


def _check_request(detected: DetectedContent, profile: str, _: Any = None) -> list[Finding]:
    return check_request(detected.body, profile)


def _check_response(detected: DetectedContent, profile: str, request: Any = None) -> list[Finding]:
    findings = check_response(detected.body, profile, request)
    failed = isinstance(detected.value, dict) and detected.value.get("status") == "failed"
    return _check_head(detected, profile, "application/json", may_fail=failed) + findings


def _check_error(detected: DetectedContent, profile: str, _: Any = None) -> list[Finding]:
    findings = check_error(detected.body, profile, detected.status)
    return _check_head(detected, profile, "application/json", may_fail=True) + findings


def _check_head(
    detected: DetectedContent, profile: str, content_type: str, *, may_fail: bool = False
) -> list[Finding]:
    """SSE-006, SSE-013 and SSE-014: the HTTP head of `curl -i` fits the body."""
    report = Report(profile)
    if detected.status is not None and detected.status != 200 and not may_fail:
        message = f"the head has status {detected.status}, but the body is no error"
        report.add("SSE-013", "", message, expected=200, got=detected.status)
    given = detected.headers.get("content-type", "").partition(";")[0].strip()
    if given == "text/event-stream" and given != content_type and not may_fail:
        report.add("SSE-006", "", "the head announces an event stream, but the body is JSON")
    elif given and given != content_type:
        message = f"the head has content type {given}"
        report.add("SSE-014", "", message, expected=content_type, got=given)
    return report.findings


def _check_stream(
    detected: DetectedContent, profile: str, request: Any = None, rest: Iterable[bytes] = ()
) -> list[Finding]:
    source = detected.value if isinstance(detected.value, list) else chain([detected.body], rest)
    findings = check_stream(source, profile, request)
    if not any(each.rule == "SSE-006" for each in findings):
        is_framed = not isinstance(detected.value, list) and not detected.body.lstrip().startswith(b"{")
        findings = _check_head(detected, profile, "text/event-stream" if is_framed else "") + findings
    if detected.truncated and not any(each.rule == "SSE-003" for each in findings):
        findings.append(
            make_finding("SSE-003", "", "the last chunk is missing: the connection was closed early")
        )
    return findings


def _check_undetected(detected: DetectedContent, profile: str, _: Any = None) -> list[Finding]:
    """Report a file of unknown kind: as broken JSON if it starts like JSON, else by SCH-008."""
    if not detected.is_json and detected.body.lstrip()[:1] in (b"{", b"["):
        return check_response(detected.body, profile)
    message = "not recognized as a request, response, error, stream or exchange; name its kind with --kind"
    if is_utf16(detected.body):
        message = "the file is UTF-16, as PowerShell's > writes it, not what was on the wire; use curl --output FILE"
    shown = detected.body[:80].decode(errors="replace")
    return [make_finding("SCH-008", "", message, got=shown)]


def _check_exchange(detected: DetectedContent, profile: str, turns: TurnHistory) -> list[Finding]:
    from mockserver.exchanges import parse_exchange

    try:
        exchange = parse_exchange(detected.body, "exchange")
    except InvalidExchange as error:
        return [make_finding("SCH-001", each.pointer, each.reason) for each in error.problems]
    findings = _check_exchange_request(exchange, profile, turns)
    if exchange.shown is not None:
        shown = exchange.shown
        check: Callable[..., list[Finding]] = check_stream if shown.kind == "stream" else check_response
        source = shown.body if shown.kind != "stream" else "\n".join(shown.body)
        findings += _prefix_pointers("/shown/body", check(source, profile, trimmed=shown.trimmed))
    return findings + _check_reply(exchange, profile, turns)


def _target(exchange: Exchange) -> tuple[str, str]:
    """The method and path of a request; an exchange that was not recorded creates a response."""
    recorded = exchange.recorded
    return ("POST", "/responses") if recorded is None else (recorded.method, recorded.path.partition("?")[0])


def _operation(exchange: Exchange, profile: str) -> Operation | None:
    method, path = _target(exchange)
    loaded = load_profile(profile)
    return find_operation(loaded, method, loaded.base_path + path)


def _check_exchange_request(exchange: Exchange, profile: str, turns: TurnHistory) -> list[Finding]:
    target, request = _target(exchange), exchange.request
    unparsed = exchange.recorded.body if exchange.recorded is not None else None
    pointer = "/request" if request is not None else "/recorded/body"
    body = dict(request) if request is not None else unparsed
    if body is None:
        return []
    if target == ("POST", "/responses"):
        history = turns.before(request) if request is not None else None
        return _prefix_pointers(pointer, check_request(body, profile, history=history))
    if target == _CHAT_TARGET:
        from mockserver.contract.chat.check import check_chat_request

        return _prefix_pointers(pointer, check_chat_request(body, profile))
    operation = _operation(exchange, profile)
    schema_name = operation.request_schema if operation is not None else None
    return _prefix_pointers(pointer, check_body(body, schema_name, profile)) if schema_name else []


def _check_reply(exchange: Exchange, profile: str, turns: TurnHistory) -> list[Finding]:
    """Check a reply that is wire data; scripts and errors become that only when they are served."""
    from mockserver.wire import json

    if "http" in exchange.reply:
        return _prefix_pointers("/reply/http", _check_http_reply(exchange, profile, turns))
    if "body" in exchange.reply:
        body = json.dumps(exchange.reply["body"])
        turns.remember(*_target(exchange), exchange.request, body)
        return _prefix_pointers("/reply/body", _check_embedded(body, profile, exchange))
    return []


def _check_http_reply(exchange: Exchange, profile: str, turns: TurnHistory) -> list[Finding]:
    from mockserver.exchanges import recorded_chunks

    http = exchange.reply["http"]
    body = b"".join(data for _, data in recorded_chunks(http))
    operation = _operation(exchange, profile)
    if http["status"] == 200:
        turns.remember(*_target(exchange), exchange.request, body)
        if operation is not None and operation.name != "createResponse":
            return check_body(body, operation.response_schema, profile)
    head = f"HTTP/1.1 {http['status']}\r\n"
    names = http.get("headers", {}).items()
    lines = "".join(f"{name}: {value}\r\n" for name, value in names if name != "transfer-encoding")
    return _check_embedded(f"{head}{lines}\r\n".encode() + body, profile, exchange)


def _check_embedded(data: bytes, profile: str, exchange: Exchange) -> list[Finding]:
    content = detect_content(data)
    check = _check_undetected if content.kind == "exchange" else _CHECKS[content.kind]
    # A reply that was written by hand may belong to other requests as well.
    is_reply = exchange.recorded is not None and exchange.request is not None
    return check(content, profile, dict(exchange.request or {}) if is_reply else None)


def _prefix_pointers(pointer: str, findings: Iterable[Finding]) -> list[Finding]:
    """Move findings on a part to its pointer; in a stream the pointer continues into the event."""
    return [replace(each, pointer=pointer + each.pointer) for each in findings]


_CHECKS: dict[str | None, Callable[..., list[Finding]]] = {
    "request": _check_request,
    "response": _check_response,
    "error": _check_error,
    "stream": _check_stream,
    "chat_request": _check_chat,
    "chat_completion": _check_chat,
    "chat_stream": _check_chat,
    None: _check_undetected,
}
