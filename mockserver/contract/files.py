"""Check a file of any kind: what `mockserver check` does with each file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mockserver.contract.check import check_error, check_request, check_response, check_stream
from mockserver.contract.detection import (
    DetectedContent,
    ProfileChoice,
    detect_content,
    detect_profile,
    named_models,
)
from mockserver.contract.findings import Finding, errors
from mockserver.contract.rules import Report, make_finding
from mockserver.errors import InvalidExchange
from mockserver.profiles import DEFAULT_PROFILE, load_profile, profile_names

if TYPE_CHECKING:
    from mockserver.contract.chat.migration import MigrationNote

__all__ = ["AUTO", "CheckResult", "CheckedMigration", "check_file"]

#: The profile or kind is detected from the file.
AUTO = "auto"


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


def check_file(data: bytes, profile: str = AUTO, kind: str = AUTO) -> CheckResult:
    """Check the content of a file; `auto` detects its profile and kind. Raises UnknownProfile.

    >>> result = check_file(b'{"model": "qwen3-max-2026-01-23", "input": "Hello!"}')
    >>> result.kind, result.profile, result.findings
    ('request', 'qwen-2026-01', ())
    """
    content = detect_content(data)
    if kind != AUTO:
        content = replace(content, kind=kind)
    choice = ProfileChoice(profile, "as requested") if profile != AUTO else _choose_profile(content)
    load_profile(choice.profile)
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


def _check_chat(detected: DetectedContent, profile: str) -> list[Finding]:
    # Imported only for chat files: most files are not, and start faster without.
    from mockserver.contract.chat.check import check_chat_completion, check_chat_request, check_chat_stream

    if detected.kind == "chat_request":
        return check_chat_request(detected.body, profile)
    if detected.kind == "chat_completion":
        return check_chat_completion(detected.body)
    return check_chat_stream(detected.value if isinstance(detected.value, list) else detected.body)


def _check_request(detected: DetectedContent, profile: str) -> list[Finding]:
    return check_request(detected.body, profile)


def _check_response(detected: DetectedContent, profile: str) -> list[Finding]:
    findings = check_response(detected.body, profile)
    failed = isinstance(detected.value, dict) and detected.value.get("status") == "failed"
    return _check_head(detected, profile, "application/json", may_fail=failed) + findings


def _check_error(detected: DetectedContent, profile: str) -> list[Finding]:
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


def _check_stream(detected: DetectedContent, profile: str) -> list[Finding]:
    source = detected.value if isinstance(detected.value, list) else detected.body
    findings = check_stream(source, profile)
    if not any(each.rule == "SSE-006" for each in findings):
        is_framed = not isinstance(detected.value, list) and not detected.body.lstrip().startswith(b"{")
        findings = _check_head(detected, profile, "text/event-stream" if is_framed else "") + findings
    if detected.truncated and not any(each.rule == "SSE-003" for each in findings):
        findings.append(
            make_finding("SSE-003", "", "the last chunk is missing: the connection was closed early")
        )
    return findings


def _check_undetected(detected: DetectedContent, profile: str) -> list[Finding]:
    """Report a file of unknown kind: as broken JSON if it starts like JSON, else by SCH-008."""
    if not detected.is_json and detected.body.lstrip()[:1] in (b"{", b"["):
        return check_response(detected.body, profile)
    message = "not recognized as a request, response, error, stream or exchange; name its kind with --kind"
    shown = detected.body[:80].decode(errors="replace")
    return [make_finding("SCH-008", "", message, got=shown)]


def _check_exchange(detected: DetectedContent, profile: str) -> list[Finding]:
    from mockserver.exchanges import parse_exchange

    try:
        exchange = parse_exchange(detected.body, "exchange")
    except InvalidExchange as error:
        return [make_finding("SCH-001", error.pointer, error.reason)]
    findings = []
    if exchange.request is not None:
        findings += _prefix_pointers("/request", check_request(dict(exchange.request), profile))
    if exchange.shown is not None:
        shown = exchange.shown
        check: Callable[..., list[Finding]] = check_stream if shown.kind == "stream" else check_response
        source = shown.body if shown.kind != "stream" else "\n".join(shown.body)
        findings += _prefix_pointers("/shown/body", check(source, profile, trimmed=shown.trimmed))
    return findings + _check_reply(dict(exchange.reply), profile)


def _check_reply(reply: dict[str, Any], profile: str) -> list[Finding]:
    """Check a reply that is wire data; scripts and errors become that only when they are served."""
    from mockserver.exchanges import recorded_chunks
    from mockserver.wire import json

    if "http" in reply:
        head = f"HTTP/1.1 {reply['http']['status']}\r\n"
        names = reply["http"].get("headers", {}).items()
        lines = "".join(f"{name}: {value}\r\n" for name, value in names if name != "transfer-encoding")
        body = b"".join(data for _, data in recorded_chunks(reply["http"]))
        return _prefix_pointers("/reply/http", _check_embedded(f"{head}{lines}\r\n".encode() + body, profile))
    if "body" in reply:
        return _prefix_pointers("/reply/body", _check_embedded(json.dumps(reply["body"]), profile))
    return []


def _check_embedded(data: bytes, profile: str) -> list[Finding]:
    content = detect_content(data)
    check = _check_undetected if content.kind == "exchange" else _CHECKS[content.kind]
    return check(content, profile)


def _prefix_pointers(pointer: str, findings: Iterable[Finding]) -> list[Finding]:
    """Move findings on a part to its pointer; in a stream the pointer continues into the event."""
    return [replace(each, pointer=pointer + each.pointer) for each in findings]


_CHECKS: dict[str | None, Callable[[DetectedContent, str], list[Finding]]] = {
    "request": _check_request,
    "response": _check_response,
    "error": _check_error,
    "stream": _check_stream,
    "exchange": _check_exchange,
    "chat_request": _check_chat,
    "chat_completion": _check_chat,
    "chat_stream": _check_chat,
    None: _check_undetected,
}
