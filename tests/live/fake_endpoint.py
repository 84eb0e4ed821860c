"""A fake endpoint for `mockserver verify`: the mock server, honest or with one deviation.

    python -m tests.live.fake_endpoint URL_FILE PROFILE KEY

The first segment of a path names the deviation: `{url}/numbers-skip{base_path}/responses`. The mock's replies
are changed on their way out. Deviations are independent of the contract checker.
"""

from __future__ import annotations

import asyncio
import copy
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mockserver.exchanges import packaged_exchanges
from mockserver.server.access import ApiKeys
from mockserver.server.http.app import App
from mockserver.server.http.listeners import bind_socket, listener_url
from mockserver.server.http.services import Services
from mockserver.server.http.uvicorn_server.server import run_forever
from mockserver.server.state.sessions import open_session
from mockserver.testing.strategies.framing import encode_events
from mockserver.wire import json, sse

Object = dict[str, Any]


@dataclass
class OutgoingReply:
    """A reply on its way out."""

    method: str
    request: Object
    """The request's body; empty if it is not an object."""
    authorization: str
    status: int
    headers: dict[str, str]
    frames: list[bytes]
    """The chunks of the body: one frame each in a stream."""
    pauses: list[float] = field(default_factory=list)
    """Seconds before each chunk."""
    closed_early: bool = False
    """Close the connection after the last chunk."""

    @property
    def streamed(self) -> bool:
        return self.headers.get("content-type", "").startswith("text/event-stream")

    @property
    def events(self) -> list[Object]:
        decoder = sse.Decoder()
        texts = [frame.data for chunk in self.frames for frame in decoder.feed(chunk)]
        return [json.loads(text.encode()) for text in texts if text is not None]

    @events.setter
    def events(self, events: list[Object]) -> None:
        self.frames = encode_events(events)

    @property
    def value(self) -> Any:
        return json.loads(b"".join(self.frames))

    @value.setter
    def value(self, value: Any) -> None:
        self.frames = [json.dumps(value)]


Deviate = Callable[[OutgoingReply], None]
DEVIATIONS: dict[str, Deviate] = {"honest": lambda reply: None}


def deviation(name: str) -> Callable[[Deviate], Deviate]:
    def register(function: Deviate) -> Deviate:
        DEVIATIONS[name] = function
        return function

    return register


def on_responses(name: str, edit: Callable[[Object], None]) -> None:
    """Change every response object, in replies and in the snapshots of streams."""

    @deviation(name)
    def run(reply: OutgoingReply) -> None:
        if reply.status != 200:
            return
        if reply.streamed:
            events = reply.events
            for event in events:
                if "response" in event:
                    edit(event["response"])
            reply.events = events
        else:
            value = reply.value
            if value.get("object") == "response":
                edit(value)
            reply.value = value


def on_streams(name: str, edit: Callable[[list[Object]], list[Object]]) -> None:
    """Change the events of every stream."""

    @deviation(name)
    def run(reply: OutgoingReply) -> None:
        if reply.streamed:
            reply.events = edit(reply.events)


def on_frames(name: str, edit: Callable[[list[bytes]], list[bytes]]) -> None:
    """Change the frames of every stream."""

    @deviation(name)
    def run(reply: OutgoingReply) -> None:
        if reply.streamed:
            reply.frames = edit(reply.frames)


def on_refusals(name: str, edit: Callable[[OutgoingReply], None]) -> None:
    """Change every error except that of a wrong key."""

    @deviation(name)
    def run(reply: OutgoingReply) -> None:
        if reply.status >= 400 and reply.status != 401:
            edit(reply)


def numbered(events: list[Object]) -> list[Object]:
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


# Members that are removed, added or have another type.
on_responses("member-removed", lambda response: response.pop("object", None))
on_responses("member-retyped", lambda response: response.update(created_at=str(response["created_at"])))
on_responses("member-added", lambda response: response.update(vendor_note="new"))
on_responses("usage-member-added", lambda response: (response.get("usage") or {}).update(x_new=1))


# Statuses, ids, usage.
on_responses(
    "status-unknown",
    lambda response: response.update(status="done") if response["status"] == "completed" else None,
)
on_responses(
    "usage-total",
    lambda response: response["usage"].update(total_tokens=1) if response.get("usage") else None,
)
on_responses("usage-gone", lambda response: response.pop("usage", None))


on_responses(
    "usage-cached",
    lambda response: (
        response["usage"]["input_tokens_details"].update(cached_tokens=10**6)
        if response.get("usage")
        else None
    ),
)


def _other_id(events: list[Object]) -> list[Object]:
    events[-1]["response"]["id"] = "11111111-2222-9333-8444-555555555555"
    return events


on_streams("response-id-changes", _other_id)


def _other_item_id(events: list[Object]) -> list[Object]:
    for event in events:
        if event["type"] == "response.output_text.delta":
            event["item_id"] = "msg_another"
    return events


on_streams("item-id-differs", _other_item_id)


# Order and numbering.
on_streams(
    "numbers-from-one", lambda events: [{**e, "sequence_number": e["sequence_number"] + 1} for e in events]
)
on_streams(
    "numbers-skip",
    lambda events: [
        {**e, "sequence_number": e["sequence_number"] + (e["sequence_number"] > 4)} for e in events
    ],
)
on_streams(
    "numbers-repeat",
    lambda events: [{**e, "sequence_number": max(0, e["sequence_number"] - 1)} for e in events],
)
on_streams("created-missing", lambda events: numbered(events[1:]))


def _swap_text_and_part_done(events: list[Object]) -> list[Object]:
    kinds = [event["type"] for event in events]
    if "response.output_text.done" in kinds:
        at = kinds.index("response.output_text.done")
        events[at], events[at + 1] = events[at + 1], events[at]
    return numbered(events)


on_streams("text-done-late", _swap_text_and_part_done)
on_streams("terminal-missing", lambda events: events[:-1])


def _another_text(events: list[Object]) -> list[Object]:
    for event in events:
        if event["type"] == "response.output_text.done":
            event["text"] += " "
    return events


on_streams("text-differs", _another_text)
on_streams(
    "index-off",
    lambda events: [
        {**e, "output_index": 7} if e["type"] == "response.output_text.delta" else e for e in events
    ],
)


# New events and items.
def _with_unknown_event(events: list[Object]) -> list[Object]:
    return numbered([*events[:2], {"type": "response.heartbeat"}, *events[2:]])


on_streams("event-new", _with_unknown_event)


@deviation("item-new")
def item_new(reply: OutgoingReply) -> None:
    """An unknown item type at the end of every output."""
    item = {"type": "memory_call", "id": "msg_memory", "status": "completed", "note": "x"}
    if reply.status != 200:
        return
    if not reply.streamed:
        value = reply.value
        value["output"].append(item)
        reply.value = value
        return
    events = reply.events
    at = len(events[-1]["response"]["output"])
    added = {**item, "status": "in_progress"}
    events[-1]["response"]["output"].append(item)
    events[-1:-1] = [
        {"type": "response.output_item.added", "output_index": at, "item": added},
        {"type": "response.output_item.done", "output_index": at, "item": item},
    ]
    reply.events = numbered(events)


# Framing.
on_frames(
    "event-name-wrong",
    lambda frames: [*frames[:-1], frames[-1].replace(b"event:response.completed", b"event:done")],
)
on_frames("event-lines-gone", lambda frames: [_without_field(frame, b"event:") for frame in frames])
on_frames("end-cut", lambda frames: [*frames[:-1], frames[-1][:-1]])
on_frames("done-marker", lambda frames: [*frames, b"data: [DONE]\n\n"])
on_frames("done-missing", lambda frames: [each for each in frames if b"[DONE]" not in each])
on_frames("done-twice", lambda frames: [*frames, b"data: [DONE]\n\n", b"data: [DONE]\n\n"])
on_frames("done-early", lambda frames: [*frames[:-1], b"data: [DONE]\n\n", frames[-1]])
on_frames("data-broken", lambda frames: [*frames[:2], frames[2].replace(b"data:{", b"data:{,"), *frames[3:]])


def _without_field(frame: bytes, field_name: bytes) -> bytes:
    return b"\n".join(line for line in frame.split(b"\n") if not line.startswith(field_name))


on_frames("zero-events", lambda frames: [])


@deviation("silent")
def silent(reply: OutgoingReply) -> None:
    reply.pauses = [600.0]


@deviation("html-for-stream")
def html_for_stream(reply: OutgoingReply) -> None:
    if reply.streamed:
        reply.frames = [b"<html><body>Bad gateway</body></html>"]


@deviation("json-for-stream")
def json_for_stream(reply: OutgoingReply) -> None:
    if reply.streamed:
        reply.value = reply.events[-1]["response"]
        reply.headers["content-type"] = "application/json"


@deviation("content-type")
def content_type(reply: OutgoingReply) -> None:
    if reply.streamed:
        reply.headers["content-type"] = "text/plain"


# Envelope and status.
@deviation("envelope")
def envelope(reply: OutgoingReply) -> None:
    if reply.status >= 400:
        reply.value = {"detail": "no"}


on_refusals("refusals-500", lambda reply: setattr(reply, "status", 500))


@deviation("failed-as-200")
def failed_as_200(reply: OutgoingReply) -> None:
    """Documented behaviour: a refusal as a failed response with HTTP status 200. No drift."""
    if reply.status in (400, 404) and not reply.streamed:
        error = reply.value
        reply.status = 200
        failed = {"code": error["code"], "message": error["message"]}
        reply.value = {
            "id": "11111111-2222-9333-8444-555555555555",
            "object": "response",
            "created_at": 1769084048,
            "model": "",
            "status": "failed",
            "error": failed,
            "output": [],
            "parallel_tool_calls": False,
            "tool_choice": "auto",
            "tools": [],
        }


@deviation("deleted-kept")
def deleted_kept(reply: OutgoingReply) -> None:
    """A deleted response can still be retrieved."""
    if reply.method == "GET" and reply.status == 404 and _COUNTS.get("deleted"):
        reply.status = 200
        reply.value = _LAST_RESPONSE
    elif reply.method == "DELETE":
        _COUNTS["deleted"] = 1
    elif reply.method == "POST" and reply.status == 200 and not reply.streamed:
        _LAST_RESPONSE.clear()
        _LAST_RESPONSE.update(reply.value)
        _COUNTS["deleted"] = 0


_LAST_RESPONSE: Object = {}


@deviation("retrieved-another")
def retrieved_another(reply: OutgoingReply) -> None:
    if reply.method == "GET" and reply.status == 200 and reply.value.get("object") == "response":
        reply.value = {**reply.value, "id": "resp_11111111-2222-9333-8444-555555555555"}


@deviation("retrieved-untyped")
def retrieved_untyped(reply: OutgoingReply) -> None:
    if reply.method == "GET" and reply.status == 200 and reply.value.get("object") == "response":
        reply.value = {**reply.value, "created_at": "yesterday"}


on_responses(
    "echo-lost",
    lambda response: response.update(temperature=0.5) if "temperature" in response else None,
)


# Time and connections.
@deviation("slow")
def slow(reply: OutgoingReply) -> None:
    reply.pauses = [0.01] * len(reply.frames)


@deviation("stalled")
def stalled(reply: OutgoingReply) -> None:
    if reply.streamed:
        reply.pauses = [0.0] * 3 + [600.0]


@deviation("closed-early")
def closed_early(reply: OutgoingReply) -> None:
    if reply.streamed:
        reply.frames, reply.closed_early = reply.frames[:4], True


@deviation("redirect")
def redirect(reply: OutgoingReply) -> None:
    if reply.status == 200:
        reply.status, reply.headers["location"] = 307, "http://192.0.2.1/elsewhere"


@deviation("compressed")
def compressed(reply: OutgoingReply) -> None:
    if reply.status == 200:
        reply.headers["content-encoding"] = "gzip"


# Rate limits.
@deviation("throttled")
def throttled(reply: OutgoingReply) -> None:
    reply.status, reply.headers = 429, {"content-type": "application/json", "retry-after": "0"}
    message = "Requests rate limit exceeded, please try again later."
    reply.value = {"request_id": "x", "code": "Throttling.RateQuota", "message": message}


_COUNTS: dict[str, int] = {}


@deviation("throttled-once")
def throttled_once(reply: OutgoingReply) -> None:
    """Every other request is limited."""
    _COUNTS["once"] = _COUNTS.get("once", 0) + 1
    if _COUNTS["once"] % 2:
        throttled(reply)


@deviation("broken")
def broken(reply: OutgoingReply) -> None:
    reply.status, reply.headers = 503, {"content-type": "application/json"}
    reply.value = {"request_id": "x", "code": "ServiceUnavailable", "message": "Try again later."}


@deviation("streams-throttled")
def streams_throttled(reply: OutgoingReply) -> None:
    if reply.request.get("stream") is True:
        throttled(reply)


@deviation("key-refused")
def key_refused(reply: OutgoingReply) -> None:
    reply.status, reply.headers = 401, {"content-type": "application/json"}
    reply.value = {"request_id": "x", "code": "InvalidApiKey", "message": "Invalid API-key provided."}


@deviation("key-in-body")
def key_in_body(reply: OutgoingReply) -> None:
    """Hostile: sends the key back wherever it can."""
    key = reply.authorization.removeprefix("Bearer ")
    reply.headers["x-note"] = key
    if reply.status == 200 and not reply.streamed:
        reply.value = {**reply.value, "note": f"you sent {key}", "object": key}
    elif reply.streamed:
        reply.frames = [
            frame.replace(b'"type":"response', f'"note":"{key}","type":"response'.encode())
            for frame in reply.frames
        ]


#: Deviations that change a request on its way in.
REQUEST_DEVIATIONS: dict[str, Callable[[Object, dict[bytes, bytes], bytes], object]] = {
    "wrong-key-accepted": lambda request, headers, key: (
        b"authorization" in headers and headers.update({b"authorization": b"Bearer " + key})
    ),
    "unknown-id-accepted": lambda request, headers, key: (
        request.pop("previous_response_id", None)
        if str(request.get("previous_response_id", "")).endswith("0000-4000-8000-000000000000")
        else None
    ),
    "context-forgotten": lambda request, headers, key: (
        request.pop("previous_response_id", None) if request.get("input") == "And now?" else None
    ),
    "range-ignored": lambda request, headers, key: request.pop("temperature", None),
}


class FakeEndpoint:
    """The mock server with deviations in its requests and replies."""

    def __init__(self, app: App, key: str) -> None:
        self._app = app
        self._key = key.encode()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        _, name, rest = scope["path"].split("/", 2)
        headers, body = dict(scope["headers"]), await _read_request_body(receive)
        request = _parse_object(body)
        authorization = headers.get(b"authorization", b"").decode()
        if name in REQUEST_DEVIATIONS and request:
            REQUEST_DEVIATIONS[name](request, headers, self._key)
            body = json.dumps(request)
            headers[b"content-length"] = str(len(body)).encode()
        inner = {**scope, "path": f"/{rest}", "raw_path": f"/{rest}".encode(), "headers": [*headers.items()]}
        reply = await self._mock_reply(inner, body, request, authorization)
        DEVIATIONS.get(name, DEVIATIONS["honest"])(reply)
        await _send_reply(reply, scope, send)

    async def _mock_reply(
        self, scope: Any, body: bytes, request: Object, authorization: str
    ) -> OutgoingReply:
        messages: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            messages.append(copy.copy(message))

        await self._app(scope, receive, send)
        names = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
        names.pop("content-length", None)
        # The application sends a whole reply as one message.
        pieces = [*messages[0].get("pieces", ()), *(each["body"] for each in messages[1:])]
        chunks = [bytes(each) for each in pieces if each]
        return OutgoingReply(scope["method"], request, authorization, messages[0]["status"], names, chunks)


async def _read_request_body(receive: Callable[[], Awaitable[Any]]) -> bytes:
    chunks = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(chunks)


def _parse_object(body: bytes) -> Object:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


async def _send_reply(reply: OutgoingReply, scope: Any, send: Any) -> None:
    headers = [(name.encode(), value.encode()) for name, value in reply.headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    for pause, chunk in _frames_with_pauses(reply):
        await asyncio.sleep(pause)
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    if reply.closed_early:
        scope["extensions"]["mockserver.connection"].close()
        return
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _frames_with_pauses(reply: OutgoingReply) -> Iterator[tuple[float, bytes]]:
    pauses = [*reply.pauses, *[0.0] * len(reply.frames)]
    return zip(pauses, reply.frames, strict=False)


def main(url_file: str, profile: str, key: str) -> None:
    session = open_session(profile=profile, seed=1, exchanges=packaged_exchanges(profile))
    app = App(Services(default_session=session, keys=ApiKeys([key])))
    listener = bind_socket("127.0.0.1", 0)
    target = Path(url_file)

    def announce() -> None:
        part = target.with_suffix(".part")
        part.write_text(listener_url(listener), encoding="utf-8")
        part.replace(target)

    run_forever(FakeEndpoint(app, key), [listener], announce)


if __name__ == "__main__":
    main(*sys.argv[1:])
