"""Answers: a plan as what goes down the connection, for the model and tools that a request names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from mockserver.replies.script import Message, Script, ScriptError
from mockserver.server.delivery.steps import Close, Reset, Send, Step, Wait
from mockserver.server.errors import ApiError
from mockserver.testing.cases.plan import ENDS, FAULTS, LONG, Plan
from mockserver.testing.strategies.framing import frames_of
from mockserver.testing.strategies.replies import Reply, render_events, render_response
from mockserver.testing.strategies.values import JSONObject, Look
from mockserver.wire import json, sse

__all__ = ["Answer", "answer", "said"]

#: Seconds between two writes that a client is to read one by one, and all pauses of an answer at the most.
PAUSE = 0.02
PAUSES = 0.25

#: The same where it has to be certain that the client did read one by one, however busy its machine is.
APART = 0.1
APART_IN_ALL = 1.5

#: Seconds of a silence that no client outlasts.
SILENCE = 3600.0

#: A time of January 2026.
_TIME = 1769084048

#: Status, code and message of a refusal (the vendor's error-code page, 2026).
REFUSALS = (
    (400, "InvalidParameter", "Required body invalid, please check the request body format."),
    (429, "Throttling.RateQuota", "Requests rate limit exceeded, please try again later."),
    (
        500,
        "InternalError",
        "An internal error has occured, please try again later or contact service support.",
    ),
    (
        503,
        "ModelServingError",
        "Too many requests. Your requests are being throttled due to system capacity limits.",
    ),
)

#: What a stream says that goes wrong half-way (API reference, August 2026: a payload without a type).
_PAYLOAD = {
    "code": "InternalError.Algo",
    "message": "The model failed.",
    "request_id": "00000000-0000-9000-8000-000000000000",
}

#: Members of a response that may be null in every profile (OpenAI's OpenAPI document, 2026).
_NULLABLE = (
    *("background", "conversation", "error", "incomplete_details", "instructions", "max_output_tokens"),
    *("max_tool_calls", "metadata", "previous_response_id", "prompt", "reasoning", "service_tier"),
    *("temperature", "text", "top_logprobs", "top_p", "truncation", "usage", "user"),
)
_DETAILS = ("input_tokens_details", "output_tokens_details")


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to a client."""

    steps: tuple[Step, ...]
    stream: bool
    length: int | None = None
    """The length that is promised, which may be more than comes; None: none is."""


def said(
    plan: Plan, here: Look, request: Mapping[str, Any] | None = None, number: int = 1
) -> list[JSONObject]:
    """The events of a plan's stream, or its one response; what a fault keeps back is among them.

    `number` is which response of its conversation it is; its ids count from there.
    """
    asked = request or {}
    model = asked.get("model") or here.profile.models[0]
    tools = tuple(asked.get("tools") or ())
    reply = Reply(_script(plan), model, _TIME, asked.get("tool_choice") or "auto", number, tools)
    values = render_events(reply, here) if plan.stream else [render_response(reply, here)]
    if plan.unknown_members:
        _add_members(values)
    _change_members(values, plan.members)
    return _with_stranger(values) if plan.unknown_event and plan.stream else values


def answer(plan: Plan, here: Look, request: Mapping[str, Any], number: int = 1) -> Answer:
    """The answer to a request, in the form it asks for; ApiError where the plan is to refuse it."""
    plan = _as_asked(plan, request.get("stream") is True)
    if plan.fault == "refused":
        status, code, message = REFUSALS[plan.at % len(REFUSALS)]
        raise ApiError(status, code, message)
    values = said(plan, here, request, number)
    if plan.stream:
        return Answer(tuple(_stream_steps(plan, values, here)), stream=True)
    body = json.dumps(values[0])
    length = None if plan.cut != "events" and plan.fault is None else len(body)
    return Answer(tuple(_body_steps(plan, body)), stream=False, length=0 if plan.fault == "empty" else length)


def _as_asked(plan: Plan, stream: bool) -> Plan:
    """The plan in the form that is asked for; a fault that the form does not have becomes its nearest."""
    if plan.fault is not None and not FAULTS[plan.fault][stream]:
        return replace(plan, stream=stream, fault="cut")
    return replace(plan, stream=stream)


def _script(plan: Plan) -> Script:
    items = plan.script.items
    if plan.long:
        last = items[-1]
        assert isinstance(last, Message)  # noqa: S101 - what is long is a message, where a plan is drawn
        items = (*items[:-1], Message((*last.chunks, LONG)))
    if plan.fault == "failed":
        error = ScriptError("server_error", "The model failed.")
        return Script(items, plan.script.usage, "failed", error)
    return Script(items, plan.script.usage)


def _add_members(values: Sequence[JSONObject]) -> None:
    for place in (*values, *_responses(values), *_items(values)):
        place["x_note"] = {"a": [None, 1]}


def _change_members(values: Sequence[JSONObject], how: str) -> None:
    if not how:
        return
    for response in _responses(values):
        if how == "null":
            response.update({name: None for name in _NULLABLE if name not in response})
        usage = response.get("usage") or {}
        for name in usage.keys() & set(_DETAILS):
            _change(usage, name, how)
    for event in values:
        for place in (event, event.get("part") or {}):
            if "logprobs" in place:
                _change(place, "logprobs", how)


def _change(place: JSONObject, name: str, how: str) -> None:
    if how == "null":
        place[name] = None
    else:
        del place[name]


def _responses(values: Sequence[JSONObject]) -> Iterator[JSONObject]:
    for value in values:
        if "output" in value:
            yield value
        elif "response" in value:
            yield value["response"]


def _items(values: Sequence[JSONObject]) -> Iterator[JSONObject]:
    for response in _responses(values):
        yield from response["output"]
    yield from (value["item"] for value in values if "item" in value)


def _with_stranger(events: list[JSONObject]) -> list[JSONObject]:
    """An event of a type that no client knows, before the last one (Open Responses: a `slug:` event)."""
    told = [*events[:-1], {"sequence_number": 0, "type": "vendor:note"}, events[-1]]
    return [{**event, "sequence_number": number} for number, event in enumerate(told)]


def _stream_steps(plan: Plan, events: list[JSONObject], here: Look) -> Iterator[Step]:
    frames = [_framed(plan, frame) for frame in frames_of(events, None if plan.plain else here.profile.name)]
    if here.profile.done_marker and plan.fault != "failed":
        frames.append(_framed(plan, sse.encode("[DONE]")))
    if plan.fault in (None, "failed"):
        yield from _writes(plan, frames)
        return
    kept = 1 + plan.at * (len(events) - 1) // 1000
    yield from map(Send, [] if plan.fault == "empty" else frames[:kept])
    yield from _ENDINGS[plan.fault](frames[kept], here)


def _cut_frame(frame: bytes, _: Look) -> Iterator[Step]:
    yield Send(frame[: len(frame) // 2])


def _error_frame(_: bytes, here: Look) -> Iterator[Step]:
    yield Send(sse.encode(json.dumps(_PAYLOAD)))


def _nothing(_: bytes, here: Look) -> Iterator[Step]:
    yield from ()


def _then(step: Step, _: bytes, here: Look) -> Iterator[Step]:
    yield Wait(PAUSE)
    yield step


_ENDINGS: Mapping[str, Callable[[bytes, Look], Iterator[Step]]] = MappingProxyType(
    {
        "cut": _cut_frame,
        "closed": _nothing,
        "error": _error_frame,
        "dropped": partial(_then, Close()),
        "reset": partial(_then, Reset()),
        "empty": _nothing,
        "stalled": partial(_then, Wait(SILENCE)),
    }
)
"""How a stream ends, by its fault, in place of the event that would have been next."""


def _body_steps(plan: Plan, body: bytes) -> Iterator[Step]:
    if plan.fault == "empty":
        return
    if plan.fault in (None, "failed"):
        yield from _paused([body] if plan.cut == "events" else _halves(body))
        return
    yield Send(body[: len(body) // 2])
    ends = {"cut": Close(), "reset": Reset(), "stalled": Wait(SILENCE)}
    yield from _then(ends[plan.fault], b"", None)  # type: ignore[arg-type]


def _framed(plan: Plan, frame: bytes) -> bytes:
    """A frame with the plan's line ends, and a keep-alive before it."""
    end = ENDS[plan.end]
    before = b": keep-alive\n\n" if plan.comments else b""
    return (before + frame).replace(b"\n", end)


def _writes(plan: Plan, frames: list[bytes]) -> Iterator[Step]:
    data = b"".join(frames)
    if plan.cut == "events":
        yield from map(Send, frames)
    elif plan.cut == "apart":
        yield from _paused(frames, APART, APART_IN_ALL)
    elif plan.cut == "whole":
        yield Send(data)
    elif plan.cut == "lines":
        yield from _paused(_LINE.findall(data))
    elif plan.cut == "blank":
        size = len(ENDS[plan.end])
        ends = [at - size for at in _running(frames)]
        yield from _paused(data[start:end] for start, end in pairwise([0, *ends, len(data)]))
    else:
        yield from _paused(piece for frame in frames for piece in _halves(frame))


#: A line with its end: CRLF is cut in two, as a network may.
_LINE = re.compile(rb"[^\r\n]*[\r\n]|[^\r\n]+")


def _running(frames: Sequence[bytes]) -> Iterator[int]:
    total = 0
    for frame in frames:
        total += len(frame)
        yield total


def _halves(data: bytes) -> tuple[bytes, bytes]:
    """Cut within the first character beyond ASCII, else in the middle."""
    beyond = next((at for at, byte in enumerate(data) if byte >= 0x80), None)
    at = len(data) // 2 if beyond is None else beyond + 1
    return data[:at], data[at:]


def _paused(pieces: Iterable[bytes], each: float = PAUSE, in_all: float = PAUSES) -> Iterator[Step]:
    listed = list(pieces)
    pause = Wait(min(each, in_all / len(listed)))
    for number, piece in enumerate(listed):
        if number:
            yield pause
        yield Send(piece)
