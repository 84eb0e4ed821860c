"""Fixtures and cassettes of other tools, as parts of exchange files.

- aimock (`@copilotkit/aimock` 1.43): `{"fixtures": [{"match": {"userMessage"}, "response": {"content"}}]}`
- stubllm (0.1.5): `{"fixtures": [{"match": {"messages"}, "response": {"content"}}]}`, in YAML or JSON
- vcrpy and pytest-recording: `{"interactions": [{"request", "response"}]}`, in YAML or JSON

What has no equivalent is named, never guessed.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from mockserver.errors import ConfigurationError, MockServerError
from mockserver.wire import json
from mockserver.wire.content_encoding import CODINGS, decode_pieces

__all__ = ["ImportedStub", "cassette_entries", "imported_stubs", "parse_yaml"]

#: Bytes of a body in a cassette, decompressed; `record` keeps as many of a reply.
_MAX_BODY_BYTES = 32 << 20

#: Values of a YAML document, its aliases written out: a short text with aliases can stand for billions.
_MAX_VALUES = 1_000_000


class ImportedStub(NamedTuple):
    """A fixture of another tool: members of an exchange, and what was left out of them."""

    location: str
    exchange: dict[str, Any]
    left_out: tuple[str, ...] = ()


def parse_yaml(text: str) -> Any:
    """Parse YAML, from which only plain values come. Raises ConfigurationError, also if its aliases make it endless."""
    try:
        import yaml
    except ImportError:
        raise ConfigurationError("a source in YAML needs PyYAML: pip install pyyaml") from None
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigurationError(f"cannot parse the YAML: {' '.join(str(error).split())}") from None
    if not _is_bounded(value):
        raise ConfigurationError(
            f"cannot use the YAML: it is more than {json.MAX_DEPTH} levels deep, "
            f"or its aliases stand for more than {_MAX_VALUES:,} values"
        )
    return value


def _is_bounded(value: Any) -> bool:
    """Whether a value is not too large once its aliases are written out, nor contains itself."""
    remaining, count = [(value, 0)], 0
    while remaining:
        each, depth = remaining.pop()
        count += 1
        if count > _MAX_VALUES or depth > json.MAX_DEPTH:
            return False
        parts = each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
        remaining += [(part, depth + 1) for part in parts]
    return True


def imported_stubs(fixtures: Any) -> Iterator[ImportedStub | str]:
    """The fixtures of aimock or stubllm, in the order in which they answer; a text says why one is left out."""
    entries = fixtures if isinstance(fixtures, list) else []
    if any(_is_stubllm(entry) for entry in entries):
        entries = sorted(entries, key=_specificity, reverse=True)
    for index, entry in enumerate(entries):
        location = f"fixture {index}"
        try:
            parts = _stubllm_parts(entry) if _is_stubllm(entry) else _aimock_parts(entry)
            for exchange, left_out in parts:
                yield ImportedStub(location, exchange, left_out)
        except ConfigurationError as error:
            yield f"{location}: {error}"
        except (AttributeError, KeyError, TypeError, ValueError):
            yield f"{location}: it is no fixture of aimock or stubllm: a member has another type"


def cassette_entries(interactions: Any) -> Iterator[dict[str, Any]]:
    """The interactions of a cassette as the entries of a HAR file."""
    for each in interactions if isinstance(interactions, list) else []:
        request, response = _object(each, "request"), _object(each, "response")
        headers = {
            str(name).lower(): value[0] if isinstance(value, list) and value else value
            for name, value in _object(response, "headers").items()
        }
        yield {
            "request": {
                "method": request.get("method"),
                "url": request.get("uri"),
                "postData": {"text": _body_text(request.get("body"), "")},
            },
            "response": {
                "status": _object(response, "status").get("code"),
                "content": {
                    "mimeType": headers.get("content-type"),
                    "text": _body_text(response.get("body"), headers.get("content-encoding")),
                },
            },
        }


def _object(value: Any, name: str) -> dict[str, Any]:
    member = value.get(name) if isinstance(value, dict) else None
    return member if isinstance(member, dict) else {}


def _body_text(body: Any, coding: Any) -> str:
    """The text of a body, which is a text, bytes, or an object with one of them; "" if it is neither."""
    try:
        if isinstance(body, dict):
            body = b64decode(body["base64_string"]) if "base64_string" in body else body.get("string")
        if isinstance(body, bytes):
            codings = (coding,) if coding in CODINGS else ()
            body = b"".join(decode_pieces(body, codings, _MAX_BODY_BYTES)).decode()
    except (MockServerError, TypeError, ValueError):
        return ""
    return body if isinstance(body, str) else ""


#: Conditions of aimock that say the same here.
_AIMOCK_TEXTS = {
    "userMessage": "contains",
    "systemMessage": "instructions",
    "model": "model",
    "toolName": "tool",
    "toolResultContains": "tool_output",
}
#: Members of aimock's fixtures that change how a reply is sent, and have no equivalent.
_AIMOCK_LEFT_OUT = ("chunkSize", "truncateAfterChunks", "disconnectAfterMs", "recordedTimings", "chaos")


def _aimock_parts(entry: Any) -> Iterator[tuple[dict[str, Any], tuple[str, ...]]]:
    match, times = _aimock_match(_object(entry, "match"))
    reply = _aimock_reply(_object(entry, "response"))
    latency = entry.get("latency")
    if isinstance(latency, int | float) and latency > 0:
        reply["delay_ms"] = latency
    profile = _object(entry, "streamingProfile")
    if profile.get("tps") and "error" not in reply:
        reply["pace"] = f"model:{profile.get('ttft', 0):g},{profile['tps']:g},{profile.get('jitter', 0):g}"
    yield {"match": match, "reply": reply, **times}, tuple(each for each in _AIMOCK_LEFT_OUT if each in entry)


def _aimock_match(conditions: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, int]]:
    """(the conditions, how often the fixture answers)."""
    match: dict[str, Any] = {"json_subset": {}}
    times: dict[str, int] = {}
    for name, value in conditions.items():
        if name in _AIMOCK_TEXTS and isinstance(value, str):
            match[_AIMOCK_TEXTS[name]] = value
        elif name == "turnIndex" and isinstance(value, int):
            match["turn"] = value + 1
        elif name == "hasToolResult":
            match |= {"tool_output": ""} if value else {}
        elif name == "sequenceIndex":
            times = {"times": 1}
        elif name == "responseFormat":
            match["json_subset"] = {"text": {"format": {"type": value}}}
        elif name == "toolCallId":
            match |= {
                "tool_output": match.get("tool_output", ""),
                "json_path": {"$.input[-1].call_id": value},
            }
        elif name != "endpoint" or value != "chat":
            raise ConfigurationError(f"the condition {name} has no equivalent")
    return match, times


def _aimock_reply(response: Mapping[str, Any]) -> dict[str, Any]:
    if "error" in response:
        error = _object(response, "error")
        code = error.get("code") or error.get("type") or "error"
        return _error(response.get("status", 500), str(code), str(error.get("message", "")))
    items: list[dict[str, Any]] = []
    if response.get("reasoning"):
        items.append({"type": "reasoning", "text": response["reasoning"]})
    blocks = response.get("blocks") or [
        *([{"type": "text", "text": response["content"]}] if "content" in response else []),
        *({"type": "toolCall", **call} for call in response.get("toolCalls") or ()),
    ]
    items += [_aimock_item(block) for block in blocks]
    if not items:
        raise ConfigurationError(f"a response with {', '.join(response) or 'nothing'} has no equivalent")
    status = {"status": "incomplete"} if response.get("finishReason") in ("length", "max_tokens") else {}
    return {"script": {"items": items, **_usage(response.get("usage")), **status}}


def _aimock_item(block: Mapping[str, Any]) -> dict[str, Any]:
    if block.get("type") == "toolCall":
        return _call(block, block.get("id"))
    text = block.get("text", "")
    return {"type": "message", "text": text if isinstance(text, str) else json.dumps(text).decode()}


def _call(call: Mapping[str, Any], call_id: Any) -> dict[str, Any]:
    item = {"type": "function_call", "name": call.get("name"), "arguments": call.get("arguments", {})}
    return {**item, "call_id": call_id} if call_id else item


def _usage(counts: Any) -> dict[str, Any]:
    """Token counts in the names of either API."""
    names = {
        "prompt_tokens": "input_tokens", "completion_tokens": "output_tokens",
        "input_tokens": "input_tokens", "output_tokens": "output_tokens",
    }  # fmt: skip
    known = {names[name]: value for name, value in (counts or {}).items() if name in names}
    return {"usage": known} if known else {}


def _error(status: Any, code: str, message: str) -> dict[str, Any]:
    return {"error": {"status": status, "code": code, "message": message}}


def _is_stubllm(entry: Any) -> bool:
    """Whether a fixture is one of stubllm and not of aimock."""
    if not isinstance(entry, dict):
        return False
    own = {"sequence", "name"} & entry.keys() or "messages" in _object(entry, "match")
    return bool(own) or "tool_calls" in _object(entry, "response")


def _specificity(entry: Any) -> int:
    """How stubllm orders its fixtures, as far as their conditions are kept."""
    match = _object(entry, "match")
    scores = {"exact": 10, "contains": 5, "regex": 4}
    score = 2 * bool(match.get("model")) + len(_object(match, "headers"))
    for message in match.get("messages") or ():
        content = message.get("content") if isinstance(message, dict) else None
        kinds = [scores[name] for name in scores if isinstance(content, dict) and content.get(name)]
        score += (kinds or [3 * bool(content)])[0]
    return score


def _stubllm_parts(entry: Any) -> Iterator[tuple[dict[str, Any], tuple[str, ...]]]:
    match = _stubllm_match(_object(entry, "match"))
    sequence = entry.get("sequence") or [_object(entry, "response")]
    for index, response in enumerate(sequence):
        is_last = index == len(sequence) - 1
        yield {"match": match, "reply": _stubllm_reply(response), **({} if is_last else {"times": 1})}, ()


def _stubllm_match(conditions: Mapping[str, Any]) -> dict[str, Any]:
    match: dict[str, Any] = {"json_subset": {}}
    for name, value in conditions.items():
        if name == "model":
            match["model"] = value
        elif name == "headers":
            match["header"] = value
        elif name == "messages":
            for message in value or ():
                match |= _stubllm_message(message)
        elif name not in ("provider", "endpoint") or value not in (None, "openai", "any"):
            raise ConfigurationError(f"the condition {name} has no equivalent")
    return match


def _stubllm_message(message: Mapping[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    if message.get("role", "user") != "user" or content is None:
        raise ConfigurationError("a condition on another message than the user's has no equivalent")
    if isinstance(content, str):
        return {"contains": content, "ignore_case": True}
    if content.get("exact") is not None:
        return {"prompt": content["exact"]}
    if content.get("contains") is not None:
        return {"contains": content["contains"], "ignore_case": True}
    return {"prompt": {"matches": f"(?is){content.get('regex')}"}}


def _stubllm_reply(response: Mapping[str, Any]) -> dict[str, Any]:
    status = response.get("http_status", 200)
    if status >= 400:
        return _error(status, response.get("error_code") or "error", response.get("error_message") or "")
    items = [{"type": "message", "text": response["content"]}] if response.get("content") else []
    items += [_call(_object(call, "function"), call.get("id")) for call in response.get("tool_calls") or ()]
    reply: dict[str, Any] = {
        "script": {
            "items": items or [{"type": "message", "text": "Mock response."}],
            **_usage(response.get("usage")),
        }
    }
    return {**reply, "delay_ms": response["latency_ms"]} if response.get("latency_ms") else reply
