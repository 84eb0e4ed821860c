"""A request of the journal and its reply, without keys, as what a copy of them needs to know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from mockserver.contract.detection import detect_content
from mockserver.contract.findings import Severity
from mockserver.documents.short_forms import DELIVERY_MEMBERS
from mockserver.profiles import Profile
from mockserver.replies.script import chunk_text
from mockserver.server.journal_entries import UNPLANNED, incoming_request
from mockserver.server.state.journal import Entry
from mockserver.server.state.sessions import Session
from mockserver.wire import json, sse
from mockserver.wire.redaction import redact, redact_body

__all__ = ["PLACEHOLDER", "CopiedReply", "CopiedRequest", "read_request"]

#: The text of a reply that was never sent.
PLACEHOLDER = "Write the reply of the model here."

#: Members of a tool's item that the server sets.
_GENERATED_MEMBERS = ("id", "status", "type")
_TEXT_DELTAS = (
    "response.output_text.delta",
    "response.reasoning_summary_text.delta",
    "response.reasoning_text.delta",
)
#: How a reply is sent, in contrast to what it is.
_SENDING = tuple(name for name in DELIVERY_MEMBERS if name not in ("invalid", "template"))


class CopiedReply(NamedTuple):
    """A reply in the form of an exchange file."""

    content: Any
    """The member `reply`."""
    delivery: Mapping[str, Any]
    status: int
    texts: tuple[str, ...]
    """What the body contains."""


class CopiedRequest(NamedTuple):
    """What a snippet needs to know of a request, without keys."""

    url: str
    """The base URL of the session."""
    path: str
    """The path below the base URL, or the whole path if it is not below it."""
    name: str
    """A name for the test or exchange."""
    body: Mapping[str, Any]
    prompt: str
    profile: str
    broken_rules: tuple[str, ...]
    """The rules that the request violates."""
    is_refused: bool
    """Whether no stub could answer it, because it violates the contract."""
    reply: CopiedReply

    @property
    def is_chat(self) -> bool:
        """Whether it is a request of Chat Completions."""
        return self.path.endswith("/chat/completions")


def read_request(session: Session, number: int, entry: Entry, server_url: str) -> CopiedRequest | None:
    """Read an entry; None if its body is not a JSON object."""
    body = json.loads_or_none(redact_body(entry.body.decode(errors="replace"), entry.secrets).encode())
    if not isinstance(body, dict):
        return None
    request = incoming_request(entry, session.profile)
    base = session.profile.base_path
    for each in session.profile.base_paths:
        base = each if entry.path.startswith(f"{each}/") else base
    prefix = server_url + ("" if session.name == "default" else f"/s/{session.name}")
    below = entry.path.startswith(f"{base}/")
    rules = dict.fromkeys(each.rule for each in entry.findings if each.severity is Severity.ERROR)
    return CopiedRequest(
        prefix + base if below else prefix,
        entry.path.removeprefix(base) if below else entry.path,
        f"request_{number}",
        body,
        redact(entry.unmasked_prompt, entry.secrets) if request else "",
        session.profile.name,
        tuple(rules),
        bool(rules) and entry.status >= 400 and entry.exchange is None,
        _read_reply(session, entry),
    )


def _read_reply(session: Session, entry: Entry) -> CopiedReply:
    if entry.refusal == UNPLANNED:
        return CopiedReply(_script([]), {}, 200, ())
    written = _written_reply(session, entry)
    if written is not None:
        return written
    body = redact_body(b"".join(entry.reply).decode(errors="replace"), entry.secrets).encode()
    value: Any = json.loads_or_none(body)
    if entry.status >= 400:
        return _error_reply(entry.status, value)
    chunks: Mapping[int, list[str]] = {}
    if value is None and detect_content(body).kind == "stream":
        value, chunks = _last_response(body), _chunks(body)
    is_incomplete = isinstance(value, dict) and value.get("status") == "incomplete"
    items = [*_script_items(value, chunks, session.profile)] or [*_chat_items(body)]
    invalid = {"invalid": True} if "invalid" in entry.detail.removeprefix("fault ").split(", ") else {}
    return CopiedReply(
        {**_script(items, is_incomplete=is_incomplete), **invalid},
        {},
        entry.status or 200,
        tuple(_texts(items)),
    )


def _script(items: list[dict[str, Any]], *, is_incomplete: bool = False) -> dict[str, Any]:
    script = {"items": items or [{"type": "message", "text": PLACEHOLDER}]}
    return {"script": {**script, "status": "incomplete"} if is_incomplete else script}


def _written_reply(session: Session, entry: Entry) -> CopiedReply | None:
    """The reply of the stub or exchange as it was written, if the one that was sent does not tell it."""
    document = _document(session, entry.exchange)
    if document is None:
        return None
    document = json.loads(redact_body(json.dumps(document).decode(), entry.secrets).encode())
    reply = document["reply"]
    is_literal = isinstance(reply, dict) and not {"body", "http", "error"}.isdisjoint(reply)
    is_faulty = entry.detail.startswith("fault ") and entry.status < 400
    if not (is_literal or is_faulty):
        return None
    options = reply if isinstance(reply, dict) else {}
    content = {name: each for name, each in options.items() if name not in _SENDING} if options else reply
    delivery = {
        **document.get("delivery", {}),
        **{name: options[name] for name in _SENDING if name in options},
    }
    return CopiedReply(content, delivery, entry.status or 200, ())


def _document(session: Session, name: str | None) -> Mapping[str, Any] | None:
    if name is None:
        return None
    stub = session.stubs.get(name)
    if stub is not None:
        return stub.definition.document
    exchanges = session.user_exchange_index.exchanges
    return next((each.document for each in exchanges if each.name == name), None)


def _error_reply(status: int, value: Any) -> CopiedReply:
    value = value if isinstance(value, dict) else {}
    error = value["error"] if isinstance(value.get("error"), dict) else value
    code, message = (str(error.get(name) or "") for name in ("code", "message"))
    content = {"error": {"status": status, "code": code or "InternalError", "message": message}}
    return CopiedReply(content, {}, status, (message,) if message else ())


def _events(body: bytes) -> Iterator[Mapping[str, Any]]:
    values = (json.loads_or_none((each.data or "").encode()) for each in sse.decode_frames(body))
    return (each for each in values if isinstance(each, dict))


def _last_response(body: bytes) -> Any:
    responses = [each["response"] for each in _events(body) if isinstance(each.get("response"), dict)]
    return responses[-1] if responses else None


def _chunks(body: bytes) -> Mapping[int, list[str]]:
    """The pieces of the texts in a stream, by the index of their item."""
    found: dict[int, list[str]] = {}
    for each in _events(body):
        if each.get("type") in _TEXT_DELTAS and isinstance(each.get("delta"), str):
            found.setdefault(each.get("output_index", 0), []).append(each["delta"])
    return found


def _script_items(
    response: Any, chunks: Mapping[int, list[str]], profile: Profile
) -> Iterator[dict[str, Any]]:
    """The output items of a response in the form of a script."""
    output = response.get("output") if isinstance(response, dict) else None
    kinds = {tool.item: kind for kind, tool in profile.tools.items()}
    for index, item in enumerate(output if isinstance(output, list) else ()):
        kind = item.get("type") if isinstance(item, dict) else None
        if kind == "message":
            yield {"type": kind, **_text(_joined_texts(item.get("content")), chunks.get(index, []))}
        elif kind == "reasoning":
            yield {"type": kind, **_text(_joined_texts(item.get("summary")), chunks.get(index, []))}
        elif kind == "function_call":
            yield {"type": kind, "name": item.get("name"), "arguments": item.get("arguments")}
        elif kind in kinds:
            yield {
                "type": kinds[kind],
                **{name: each for name, each in item.items() if name not in _GENERATED_MEMBERS},
            }


def _text(text: str, chunks: list[str]) -> dict[str, Any]:
    """A text; in its pieces if a stream cut it in another way than it does by default."""
    is_cut = "".join(chunks) == text and all(chunks) and tuple(chunks) != chunk_text(text)
    return {"chunks": chunks} if is_cut else {"text": text}


def _joined_texts(parts: Any) -> str:
    return "".join(str(each.get("text") or "") for each in parts or () if isinstance(each, dict))


def _chat_items(body: bytes) -> Iterator[dict[str, Any]]:
    """The message of a completion, or of its chunks, in the form of a script."""
    value = json.loads_or_none(body)
    choices = [
        choice
        for each in ([value] if isinstance(value, dict) else _events(body))
        for choice in (each.get("choices") or ())[:1]
    ]
    messages = [each.get("message") or each.get("delta") or {} for each in choices if isinstance(each, dict)]
    for kind, name in (("reasoning", "reasoning_content"), ("message", "content")):
        if text := "".join(each.get(name) or "" for each in messages):
            yield {"type": kind, "text": text}
    calls: dict[int, dict[str, Any]] = {}
    for each in (call for message in messages for call in message.get("tool_calls") or ()):
        call = calls.setdefault(each.get("index", len(calls)), {"name": "", "arguments": ""})
        for name in call:
            call[name] += (each.get("function") or {}).get(name) or ""
    yield from ({"type": "function_call", **each} for each in calls.values())


def _texts(items: list[dict[str, Any]]) -> Iterator[str]:
    for each in items:
        if each["type"] in ("message", "function_call"):
            yield str(each.get("text") or "".join(each.get("chunks", ())) or each.get("name") or "")
