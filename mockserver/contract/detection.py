"""Detect what a file holds and which profile it follows.

Kinds: requests, responses, errors, streams and exchanges, and the requests, completions and streams of Chat
Completions. A file may be JSON, a JSON array or JSON Lines of events, or raw server-sent events, with or
without the HTTP head that `curl -i` writes, chunked or not.

Both are detected by *signals*: forms of ids, members, types, framing. The signals of a profile are facts in
its file (`marks`). Its `hints` are signals that other services share; they only tell dated profiles apart
once a mark shows that the content follows one of them. Breaches of the contract are no signals, so a bad
stream never gets a milder profile.

Some marks are `weak`: next to the model of another service they prove nothing, since xAI and others form ids
from UUIDs too. A profile that `yields` is chosen only if no other profile has a mark.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from mockserver.contract.stream.json_lines import is_event
from mockserver.errors import EventTooLarge, InvalidJSON
from mockserver.profiles import DEFAULT_PROFILE, Profile, load_profile, load_profile_document, profile_names
from mockserver.wire import json, sse

__all__ = [
    "KINDS",
    "DetectedContent",
    "ProfileChoice",
    "detect_content",
    "detect_endpoint_profile",
    "detect_long_stream",
    "detect_profile",
    "named_models",
    "profiles_for_path",
]

#: What a file can be checked as; an exchange is checked part by part.
KINDS = (
    "request",
    "response",
    "stream",
    "error",
    "exchange",
    "chat_request",
    "chat_completion",
    "chat_stream",
)

_STATUS_LINE = re.compile(rb"HTTP/[0-9](?:\.[0-9])? ([1-5][0-9]{2})(?: [^\r\n]*)?\r?\n")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:;[^\r\n]*)?\r\n")
_SSE_FIELD = re.compile(rb"^(?:(?:data|event|id|retry) *:|:)", re.MULTILINE)
_CHAT_CHUNK = re.compile(rb'^data: ?\{.*"object": ?"chat\.completion\.chunk"', re.MULTILINE)
_BOM = b"\xef\xbb\xbf"
#: How far into a file to look for the first field of a stream.
_MAX_SEARCHED_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class DetectedContent:
    """The content of a file and its kind."""

    kind: str | None
    """One of `KINDS`; None if there is no signal."""
    body: bytes
    """The content without the HTTP head, its chunks joined."""
    value: Any = None
    """The JSON value of the body, if it is JSON."""
    is_json: bool = False
    status: int | None = None
    """The status of the HTTP head, if there is one."""
    headers: Mapping[str, str] = field(default_factory=dict)
    truncated: bool = False
    """Whether the last chunk of a chunked body is missing."""


def detect_content(data: bytes) -> DetectedContent:
    """Detect the kind of `data` and take its HTTP head off."""
    content = _strip_http_heads(data)
    text = content.body.removeprefix(_BOM).strip()
    if not text or text[:1] == b"<":
        # Nothing, or an HTML page: check_stream reports that it is no stream.
        return replace(content, kind="stream")
    try:
        value = json.loads(text)
    except InvalidJSON:
        return replace(content, kind=_kind_of_text(content, text))
    return replace(content, kind=_kind_of_value(content, value), value=value, is_json=True)


def detect_long_stream(head: bytes) -> DetectedContent | None:
    """Detect a stream by the first bytes of a file; None if that takes the whole file.

    It is None for a short head, for other kinds, and for streams that have to be joined from HTTP chunks.
    """
    content = _strip_http_heads(head)
    text = content.body.removeprefix(_BOM).lstrip()
    if len(text) < _MAX_BYTES or "chunked" in content.headers.get("transfer-encoding", ""):
        return None
    # One line of several is not the whole value, and no JSON value begins like a field.
    has_more_lines = text[:1] == b"{" and text.partition(b"\n")[2].strip()
    is_decided = has_more_lines or _SSE_FIELD.match(text)
    if not is_decided or _kind_of_text(content, text) != "stream":
        return None
    return replace(content, kind="stream")


def _strip_http_heads(data: bytes) -> DetectedContent:
    """Take off any number of HTTP heads (100 Continue, a proxy's 200, redirects, the answer)."""
    status, headers, rest = None, {}, data
    while (line := _STATUS_LINE.match(rest)) is not None:
        status = int(line[1])
        head, blank, rest = _split_head(rest[line.end() :])
        headers = _parse_headers(head)
        if not blank:
            break
    if "chunked" in headers.get("transfer-encoding", "") and _CHUNK_SIZE.match(rest):
        body, whole = _join_chunks(rest)
        return DetectedContent(None, body, status=status, headers=headers, truncated=not whole)
    return DetectedContent(None, rest, status=status, headers=headers)


def _split_head(data: bytes) -> tuple[bytes, bytes, bytes]:
    blank = re.search(rb"(?:\A|\n)\r?\n", data)
    return (data, b"", b"") if blank is None else (data[: blank.start()], b"\n", data[blank.end() :])


def _parse_headers(head: bytes) -> dict[str, str]:
    pairs = (line.partition(":") for line in head.decode("latin-1").splitlines())
    return {name.strip().lower(): value.strip().lower() for name, _, value in pairs}


def _join_chunks(data: bytes) -> tuple[bytes, bool]:
    """Join the chunks, and tell whether the last one is there."""
    pieces: list[bytes] = []
    at = 0
    while (size := _CHUNK_SIZE.match(data, at)) is not None:
        length = int(size[1], 16)
        if not length:
            return b"".join(pieces), True
        pieces.append(data[size.end() : size.end() + length])
        at = size.end() + length + 2
    return b"".join(pieces), False


def _kind_of_text(detected: DetectedContent, text: bytes) -> str | None:
    """The kind of a body that is not one JSON value."""
    if text[:1] == b"{":
        first = _first_line_value(text)
        if _is_chat_chunk(first):
            return "chat_stream"
        return "stream" if _is_response_event(first) else None
    if _CHAT_CHUNK.search(text[:_MAX_SEARCHED_BYTES]):
        return "chat_stream"
    if "text/event-stream" in detected.headers.get("content-type", "") or _SSE_FIELD.search(
        text[:_MAX_SEARCHED_BYTES]
    ):
        return "stream"
    return None


def _first_line_value(text: bytes) -> Any:
    return json.loads_or_none(text.partition(b"\n")[0])


def _kind_of_value(detected: DetectedContent, value: Any) -> str | None:
    if isinstance(value, list):
        if any(map(_is_chat_chunk, value)):
            return "chat_stream"
        return "stream" if not value or any(map(_is_response_event, value)) else None
    if not isinstance(value, dict):
        return None
    for kind, marked in _KIND_SIGNALS.items():
        if marked(value):
            return kind
    return "error" if detected.status is not None and detected.status >= 400 else None


def _is_response_event(value: Any) -> bool:
    """Whether a value is an event of a response, not an input item, which has a type too."""
    return is_event(value) and value["type"].startswith(("response.", "error"))


def _is_chat_chunk(value: Any) -> bool:
    """Whether a value is a chunk of Chat Completions."""
    return isinstance(value, dict) and value.get("object") == "chat.completion.chunk"


def _is_error_body(value: dict[str, Any]) -> bool:
    return isinstance(value.get("error"), dict | str) or ("code" in value and "message" in value)


#: Members of an exchange that need no `match`.
_EXCHANGE_MEMBERS = frozenset(
    {
        "format",
        "name",
        "source",
        "profile",
        "request",
        "reply",
        "delivery",
        "scenario",
        "times",
        "shown",
        "recorded",
    }
)

_KIND_SIGNALS = {
    "exchange": lambda value: "reply" in value and ("match" in value or value.keys() <= _EXCHANGE_MEMBERS),
    "chat_stream": _is_chat_chunk,
    "chat_completion": lambda value: value.get("object") == "chat.completion",
    "chat_request": lambda value: "messages" in value and "input" not in value,
    "response": lambda value: value.get("object") == "response" or ("output" in value and "status" in value),
    "stream": _is_response_event,
    "request": lambda value: (
        "input" in value or ("model" in value and "id" not in value) or isinstance(value.get("prompt"), dict)
    ),
    "error": _is_error_body,
}
"""The signal of each kind of object, in the order in which to try them."""


#: How many events and bytes of a stream to search for signals.
_MAX_EVENTS = 200
_MAX_BYTES = 1 << 18

Signal = tuple[str, str]
"""The kind of signal and its text: ("response_id", "resp_0a1b…")."""


class ProfileChoice(NamedTuple):
    """A profile and the reason for choosing it."""

    profile: str
    reason: str


def detect_profile(body: bytes, value: Any = None, *, is_ours: bool = False) -> ProfileChoice:
    """Choose the profile whose marks `body` has; `value` is the JSON value of the body.

    If it has no mark, but the ids, types or models of a Responses API, it is the profile for any server; if it
    has none of these or `is_ours`, such as an exchange, it is the default.
    """
    signals = _signals(body, value)
    choice = _choose_by_signals(signals, ())
    if choice is not None:
        return choice
    if not is_ours and any(kind != "member" for kind, _ in signals):
        return ProfileChoice(_GENERIC_PROFILE, "a Responses API: it has no mark of Qwen")
    return ProfileChoice(DEFAULT_PROFILE, "the default: it has no mark of any profile")


def profiles_for_path(base_url: str) -> list[Profile]:
    """The profiles with the base path that a URL ends with, oldest first; the longest base path wins.

    Profiles that cannot be played are left out, and so are paths that several services share: `/v1` is the
    path of every gateway.
    """
    profiles = [load_profile(name) for name in profile_names()]
    shared = {alias for each in profiles for alias in each.aliases}
    candidates = [
        each
        for each in profiles
        if each.models and each.base_path not in shared and base_url.endswith(each.base_path)
    ]
    longest = max((len(each.base_path) for each in candidates), default=0)
    return [each for each in candidates if len(each.base_path) == longest]


def detect_endpoint_profile(base_url: str, reply: bytes | None) -> ProfileChoice:
    """Choose the profile of an endpoint by its first reply, then by its path.

    `reply` is its body, best a stream: it has more signals; None if there is none. Several profiles
    share the path `/v1`, as do gateways, so this path decides nothing.
    """
    by_path = profiles_for_path(base_url)
    choice = _choose_by_signals(_signals(reply or b"", None), tuple(each.name for each in by_path))
    if choice is not None:
        return ProfileChoice(choice.profile, f"{choice.reason} of its first reply")
    if by_path:
        newest = max(by_path, key=lambda each: each.date)
        return ProfileChoice(newest.name, "by its path")
    return ProfileChoice(_GENERIC_PROFILE, "neither its first reply nor its path shows a profile")


def named_models(content: DetectedContent) -> list[str]:
    """The models that a body or stream names, in their order."""
    return [text for kind, text in _signals(content.body, content.value) if kind == "model" and text]


#: The profile for servers that no other profile describes.
_GENERIC_PROFILE = "openai"


def _signals(body: bytes, value: Any) -> list[Signal]:
    return list(dict.fromkeys(_signals_of_text(body) if value is None else _signals_of_value(value)))


def _choose_by_signals(signals: list[Signal], preferred: tuple[str, ...]) -> ProfileChoice | None:
    """The profile with most marks, a `preferred` one if several have as many; None if there is no mark."""
    seen = {name: _matching_signals(name, signals) for name in profile_names()}
    strict = {
        name: marks for name, marks in seen.items() if marks and not _signal_patterns(name).get("yields")
    }
    marked = strict or {name: marks for name, marks in seen.items() if marks}
    if not marked:
        return None

    def rank(name: str) -> tuple[Any, ...]:
        # If nothing tells dated profiles apart: the default if it is among them, else the newest.
        return *_score(name, marked[name], signals), name in preferred, name == DEFAULT_PROFILE, name

    best = max(marked, key=rank)
    return ProfileChoice(best, "by " + ", ".join(marked[best][:3]))


def _signal_patterns(profile: str) -> Mapping[str, Any]:
    facts: Mapping[str, Any] = load_profile_document(profile)["facts"].get("marks", {"value": {}})["value"]
    return facts


def _score(profile: str, matching: list[str], signals: list[Signal]) -> tuple[int, int]:
    """Count the marks of a profile, then, to break ties, its models and hints."""
    hints = load_profile_document(profile)["facts"].get("hints", {"value": {}})["value"]
    models = load_profile(profile).models
    hinted = [text for kind, text in signals if kind in hints and re.match(hints[kind], text)]
    listed = [text for kind, text in signals if kind == "model" and text in models]
    return len(matching), len(hinted) + len(listed)


def _matching_signals(profile: str, signals: list[Signal]) -> list[str]:
    """The marks of a profile among the signals; without the weak ones if only other services have the model."""
    patterns = _signal_patterns(profile)
    marks = [(kind, text) for kind, text in signals if kind in patterns and re.match(patterns[kind], text)]
    if "weak" in patterns and _is_foreign(profile, signals):
        marks = [each for each in marks if not re.match(patterns["weak"], " ".join(each))]
    return [f"{kind.replace('_', ' ')} {text[:44]}" for kind, text in marks]


def _is_foreign(profile: str, signals: list[Signal]) -> bool:
    models = [text for kind, text in signals if kind == "model" and text]
    own, listed = _signal_patterns(profile)["model"], load_profile(profile).models
    return bool(models) and not any(re.match(own, each) or each in listed for each in models)


def _signals_of_value(value: Any) -> Iterator[Signal]:
    for each in value[:_MAX_EVENTS] if isinstance(value, list) else [value]:
        if isinstance(each, dict):
            yield from _signals_of_object(each)


def _signals_of_text(body: bytes) -> Iterator[Signal]:
    if body.lstrip()[:1] == b"{":
        for line in body[:_MAX_BYTES].splitlines():
            yield from _signals_of_line(line)
        return
    try:
        frames = sse.Decoder().feed(body[:_MAX_BYTES])
    except EventTooLarge:
        return
    for frame in frames[:_MAX_EVENTS]:
        for comment in frame.comments:
            yield "framing", f":{comment}"
        if frame.data is not None:
            yield from _signals_of_line(frame.data.encode(errors="replace"))
    if re.search(rb"^data:\{", body[:_MAX_BYTES], re.MULTILINE):
        yield "framing", "data:{"


def _signals_of_line(line: bytes) -> Iterator[Signal]:
    try:
        yield from _signals_of_value(json.loads(line))
    except InvalidJSON:
        return


def _signals_of_object(value: dict[str, Any]) -> Iterator[Signal]:
    """The signals in a request, response, error or event."""
    yield from (("member", name) for name, member in value.items() if member is not None)
    yield from _text_signal("type", value.get("type"))
    yield from _text_signal("model", value.get("model"))
    for tool in _dicts(value.get("tools")):
        yield from _text_signal("type", tool.get("type"))
    if value.get("object") == "response":
        yield from _text_signal("response_id", value.get("id"))
    for name in ("response", "item", "usage"):
        for inner in _dicts([value.get(name)]):
            yield from _signals_of_object(inner) if name != "item" else _signals_of_item(inner)
    for item in _dicts(value.get("output")):
        yield from _signals_of_item(item)


def _signals_of_item(item: dict[str, Any]) -> Iterator[Signal]:
    yield from _text_signal("type", item.get("type"))
    yield from _text_signal("item_id", item.get("id"))


def _text_signal(kind: str, value: Any) -> Iterator[Signal]:
    if isinstance(value, str):
        yield kind, value


def _dicts(values: Any) -> Iterator[dict[str, Any]]:
    return (each for each in values if isinstance(each, dict)) if isinstance(values, list) else iter(())
