"""Judge a file, whatever it holds: what `mockserver check` says of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mockserver.contract.check import check_error, check_request, check_response, check_stream
from mockserver.contract.detection import DetectedContent, ProfileChoice, detect_content, detect_profile
from mockserver.contract.findings import Finding, errors
from mockserver.contract.rules import make_finding
from mockserver.errors import InvalidExchange
from mockserver.profiles import DEFAULT_PROFILE, load_profile, profile_names

if TYPE_CHECKING:
    from mockserver.contract.chat.migration import MigrationNote

__all__ = ["AUTO", "CheckResult", "CheckedMigration", "check_file"]

#: Stands for a profile or kind that the file itself is to tell.
AUTO = "auto"


@dataclass(frozen=True, slots=True)
class CheckedMigration:
    """What a chat request is for the Responses API."""

    body: dict[str, Any]
    notes: tuple[MigrationNote, ...]
    """What of the chat request has no counterpart, or is otherwise there, and what to do."""
    findings: tuple[Finding, ...]
    """What the contract of the profile says of the body."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What was found in one file."""

    kind: str | None
    """One of `detect.KINDS`; None where nothing tells."""
    profile: str
    profile_reason: str
    """Why it was judged by this profile, in a few words."""
    findings: tuple[Finding, ...]
    migration: CheckedMigration | None = None
    """Of a chat request that its judge takes."""


def check_file(data: bytes, profile: str = AUTO, kind: str = AUTO) -> CheckResult:
    """Judge the content of a file; `auto`: as what it shows itself to be. UnknownProfile.

    >>> verdict = check_file(b'{"model": "qwen3-max-2026-01-23", "input": "Hello!"}')
    >>> verdict.kind, verdict.profile, verdict.findings
    ('request', 'qwen-2026-01', ())
    """
    found = detect_content(data)
    if kind != AUTO:
        found = replace(found, kind=kind)
    choice = ProfileChoice(profile, "as asked") if profile != AUTO else _choose_profile(found)
    load_profile(choice.profile)
    findings = _CHECKS[found.kind](found, choice.profile)
    form = None
    if found.kind == "chat_request" and not errors(findings):
        form = _check_migration(found.value, choice.profile)
    return CheckResult(found.kind, choice.profile, choice.reason, tuple(findings), form)


def _check_migration(value: dict[str, Any], profile: str) -> CheckedMigration:
    from mockserver.contract.chat.migration import migrate_request

    body, notes = migrate_request(value, load_profile(profile))
    return CheckedMigration(body, notes, tuple(check_request(body, profile)))


def _choose_profile(detected: DetectedContent) -> ProfileChoice:
    if detected.kind is not None and detected.kind.startswith("chat_"):
        return _choose_chat_profile(detected.value)
    if detected.kind == "exchange" and isinstance(detected.value, dict):
        named = detected.value.get("profile")
        if named in profile_names():
            return ProfileChoice(str(named), "as the exchange says")
        if named is not None:
            return ProfileChoice(DEFAULT_PROFILE, f"the default: there is no profile {named!r}")
        return detect_profile(b"", detected.value.get("request"))
    return detect_profile(detected.body, detected.value)


def _choose_chat_profile(value: Any) -> ProfileChoice:
    """Chat Completions is judged alike in all ages: which one is for its Responses form to know."""
    model = value.get("model") if isinstance(value, dict) else None
    listing = [each for each in map(load_profile, profile_names()) if model in each.models]
    if not listing:
        return ProfileChoice(DEFAULT_PROFILE, "the default: no age lists its model")
    return ProfileChoice(min(listing, key=lambda each: each.date).name, f"the first age that lists {model}")


def _check_chat(detected: DetectedContent, profile: str) -> list[Finding]:
    # A second contract, loaded for its own files alone: most are of the first, and wait for nothing.
    from mockserver.contract.chat.check import check_chat_completion, check_chat_request, check_chat_stream

    if detected.kind == "chat_request":
        return check_chat_request(detected.body, profile)
    if detected.kind == "chat_completion":
        return check_chat_completion(detected.body)
    return check_chat_stream(detected.value if isinstance(detected.value, list) else detected.body)


def _check_request(detected: DetectedContent, profile: str) -> list[Finding]:
    return check_request(detected.body, profile)


def _check_response(detected: DetectedContent, profile: str) -> list[Finding]:
    return check_response(detected.body, profile)


def _check_error(detected: DetectedContent, profile: str) -> list[Finding]:
    return check_error(detected.body, profile, detected.status)


def _check_stream(detected: DetectedContent, profile: str) -> list[Finding]:
    source = detected.value if isinstance(detected.value, list) else detected.body
    findings = check_stream(source, profile)
    if detected.truncated and not any(each.rule == "SSE-003" for each in findings):
        findings.append(make_finding("SSE-003", "", "the last chunk is missing: the connection was cut"))
    return findings


def _check_undetected(detected: DetectedContent, profile: str) -> list[Finding]:
    """What to say of a file that nothing tells the kind of; for broken JSON that it is broken."""
    if not detected.is_json and detected.body.lstrip()[:1] in (b"{", b"["):
        return check_response(detected.body, profile)
    message = "can not be told to be a request, response, error, stream or exchange; name it with --kind"
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
        judge: Callable[..., list[Finding]] = check_stream if shown.kind == "stream" else check_response
        source = shown.body if shown.kind != "stream" else "\n".join(shown.body)
        findings += _prefix_pointers("/shown/body", judge(source, profile, trimmed=shown.trimmed))
    return findings + _check_reply(dict(exchange.reply), profile)


def _check_reply(reply: dict[str, Any], profile: str) -> list[Finding]:
    """Judge a reply that is wire data; scripts and errors become it only when they are served."""
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
    found = detect_content(data)
    return (
        _CHECKS[found.kind](found, profile) if found.kind != "exchange" else _check_undetected(found, profile)
    )


def _prefix_pointers(pointer: str, findings: Iterable[Finding]) -> list[Finding]:
    """The findings as of a part: in a stream their pointer goes on into the event."""
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
