"""Judge a file, whatever it holds: what `mockserver check` says of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mockserver.contract.check import check_error, check_request, check_response, check_stream
from mockserver.contract.detect import Detected, detect
from mockserver.contract.findings import Finding, errors
from mockserver.contract.marks import Choice, choose_profile
from mockserver.contract.rules import finding
from mockserver.errors import InvalidExchange
from mockserver.profiles import DEFAULT_PROFILE, load_profile, profile_names

if TYPE_CHECKING:
    from mockserver.contract.chat.migration import Note

__all__ = ["AUTO", "ResponsesForm", "Verdict", "check_file"]

#: Stands for a profile or kind that the file itself is to tell.
AUTO = "auto"


@dataclass(frozen=True, slots=True)
class ResponsesForm:
    """What a chat request is for the Responses API."""

    body: dict[str, Any]
    notes: tuple[Note, ...]
    """What of the chat request has no counterpart, or is otherwise there, and what to do."""
    findings: tuple[Finding, ...]
    """What the contract of the profile says of the body."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found in one file."""

    kind: str | None
    """One of `detect.KINDS`; None where nothing tells."""
    profile: str
    why: str
    """Why it was judged by this profile, in a few words."""
    findings: tuple[Finding, ...]
    responses: ResponsesForm | None = None
    """Of a chat request that its judge takes."""


def check_file(data: bytes, profile: str = AUTO, kind: str = AUTO) -> Verdict:
    """Judge the content of a file; `auto`: as what it shows itself to be. UnknownProfile.

    >>> verdict = check_file(b'{"model": "qwen3-max-2026-01-23", "input": "Hello!"}')
    >>> verdict.kind, verdict.profile, verdict.findings
    ('request', 'qwen-2026-01', ())
    """
    found = detect(data)
    if kind != AUTO:
        found = replace(found, kind=kind)
    choice = Choice(profile, "as asked") if profile != AUTO else _chosen(found)
    load_profile(choice.profile)
    findings = _JUDGES[found.kind](found, choice.profile)
    form = None
    if found.kind == "chat_request" and not errors(findings):
        form = _responses_form(found.value, choice.profile)
    return Verdict(found.kind, choice.profile, choice.why, tuple(findings), form)


def _responses_form(value: dict[str, Any], profile: str) -> ResponsesForm:
    from mockserver.contract.chat.migration import responses_form

    body, notes = responses_form(value, load_profile(profile))
    return ResponsesForm(body, notes, tuple(check_request(body, profile)))


def _chosen(found: Detected) -> Choice:
    if found.kind is not None and found.kind.startswith("chat_"):
        return _chosen_for_chat(found.value)
    if found.kind == "exchange" and isinstance(found.value, dict):
        named = found.value.get("profile")
        if named in profile_names():
            return Choice(str(named), "as the exchange says")
        if named is not None:
            return Choice(DEFAULT_PROFILE, f"the default: there is no profile {named!r}")
        return choose_profile(b"", found.value.get("request"))
    return choose_profile(found.body, found.value)


def _chosen_for_chat(value: Any) -> Choice:
    """Chat Completions is judged alike in all ages: which one is for its Responses form to know."""
    model = value.get("model") if isinstance(value, dict) else None
    listing = [each for each in map(load_profile, profile_names()) if model in each.models]
    if not listing:
        return Choice(DEFAULT_PROFILE, "the default: no age lists its model")
    return Choice(min(listing, key=lambda each: each.age).name, f"the first age that lists {model}")


def _chat(found: Detected, profile: str) -> list[Finding]:
    # A second contract, loaded for its own files alone: most are of the first, and wait for nothing.
    from mockserver.contract.chat.check import check_chat_completion, check_chat_request, check_chat_stream

    if found.kind == "chat_request":
        return check_chat_request(found.body, profile)
    if found.kind == "chat_completion":
        return check_chat_completion(found.body)
    return check_chat_stream(found.value if isinstance(found.value, list) else found.body)


def _request(found: Detected, profile: str) -> list[Finding]:
    return check_request(found.body, profile)


def _response(found: Detected, profile: str) -> list[Finding]:
    return check_response(found.body, profile)


def _error(found: Detected, profile: str) -> list[Finding]:
    return check_error(found.body, profile, found.status)


def _stream(found: Detected, profile: str) -> list[Finding]:
    source = found.value if isinstance(found.value, list) else found.body
    findings = check_stream(source, profile)
    if found.cut and not any(each.rule == "SSE-003" for each in findings):
        findings.append(finding("SSE-003", "", "the last chunk is missing: the connection was cut"))
    return findings


def _untold(found: Detected, profile: str) -> list[Finding]:
    """What to say of a file that nothing tells the kind of; for broken JSON that it is broken."""
    if not found.is_json and found.body.lstrip()[:1] in (b"{", b"["):
        return check_response(found.body, profile)
    message = "can not be told to be a request, response, error, stream or exchange; name it with --kind"
    shown = found.body[:80].decode(errors="replace")
    return [finding("SCH-008", "", message, got=shown)]


def _exchange(found: Detected, profile: str) -> list[Finding]:
    from mockserver.exchanges import parse_exchange

    try:
        exchange = parse_exchange(found.body, "exchange")
    except InvalidExchange as error:
        return [finding("SCH-001", error.pointer, error.reason)]
    findings = []
    if exchange.request is not None:
        findings += _under("/request", check_request(dict(exchange.request), profile))
    if exchange.shown is not None:
        shown = exchange.shown
        judge: Callable[..., list[Finding]] = check_stream if shown.kind == "stream" else check_response
        source = shown.body if shown.kind != "stream" else "\n".join(shown.body)
        findings += _under("/shown/body", judge(source, profile, trimmed=shown.trimmed))
    return findings + _reply(dict(exchange.reply), profile)


def _reply(reply: dict[str, Any], profile: str) -> list[Finding]:
    """Judge a reply that is wire data; scripts and errors become it only when they are served."""
    from mockserver.exchanges import recorded_chunks
    from mockserver.wire import json

    if "http" in reply:
        head = f"HTTP/1.1 {reply['http']['status']}\r\n"
        names = reply["http"].get("headers", {}).items()
        lines = "".join(f"{name}: {value}\r\n" for name, value in names if name != "transfer-encoding")
        body = b"".join(data for _, data in recorded_chunks(reply["http"]))
        return _under("/reply/http", _part(f"{head}{lines}\r\n".encode() + body, profile))
    if "body" in reply:
        return _under("/reply/body", _part(json.dumps(reply["body"]), profile))
    return []


def _part(data: bytes, profile: str) -> list[Finding]:
    found = detect(data)
    return _JUDGES[found.kind](found, profile) if found.kind != "exchange" else _untold(found, profile)


def _under(pointer: str, findings: Iterable[Finding]) -> list[Finding]:
    """The findings as of a part: in a stream their pointer goes on into the event."""
    return [replace(each, pointer=pointer + each.pointer) for each in findings]


_JUDGES: dict[str | None, Callable[[Detected, str], list[Finding]]] = {
    "request": _request,
    "response": _response,
    "error": _error,
    "stream": _stream,
    "exchange": _exchange,
    "chat_request": _chat,
    "chat_completion": _chat,
    "chat_stream": _chat,
    None: _untold,
}
